"""Streamline upwinding."""

from __future__ import annotations

import numpy as np
from ufl import exp, sin

from sciml import Box, Dirichlet, Problem, load_problem, solve
from sciml.benchmark.measurements._systems import final_error, make_system, observed_order
from sciml.forms.schemes import Scheme


def advection_orders() -> dict[str, float]:
    """Observed orders in relative L2 of steady advection by a curved wind, without diffusion, from 32² to 64² cells.

    Returns
    -------
    dict
        ``p1``, ``p2``, ``p3``; theory promises P + 1/2.
    """
    figures = {}
    problem = load_problem("advection/quarter_turn")
    for degree in (1, 2, 3):
        coarse, fine = (solve(problem, degree=degree, cells=n, measure_error=False).error() for n in (32, 64))
        figures[f"p{degree}"] = observed_order(coarse.relative_l2, fine.relative_l2)
    return figures


def advection_in_time() -> dict[str, float]:
    """Observed orders in L2 of a pulse carried along an interval, with BDF2 steps fine enough not to matter.

    Returns
    -------
    dict
        ``p1``, ``p2``, ``p3``.
    """
    pulse = Problem(
        domain=Box(0.0, 1.0),
        time=0.5,
        damping=1.0,
        reaction=lambda u: u.dx(0),
        load=0.0,
        exact=lambda x, t: exp(-50 * (x[0] - t - 0.2) ** 2) + sin(5 * (x[0] - t)),
        conditions=[Dirichlet(on="left")],
    )
    figures = {}
    for degree, cells, steps in ((1, 64, (800, 1600)), (2, 32, (800, 3200)), (3, 16, (400, 1600))):
        runs = zip((cells, 2 * cells), steps, strict=True)
        coarse, fine = (final_error(make_system(pulse, n, degree, stabilised=True), Scheme("bdf2"), m) for n, m in runs)
        figures[f"p{degree}"] = observed_order(coarse, fine)
    return figures


def layers(peclet: float = 1e4) -> dict[str, float]:
    """Boundary layers inside of one cell: what the solution is off them, 32 cells in 1-D and 16² in 2-D, P1 to P3.

    Returns
    -------
    dict
        ``stabilised_PROBLEM_pP``, ``plain_PROBLEM_pP``: largest difference from x (1-D) or x y (2-D), the limit without
        diffusion, two cells and more away from the layer.
    """
    figures = {}
    for name, cells in (("boundary_layer", 32), ("corner_layers", 16)):
        problem = load_problem(f"advection_diffusion/{name}", peclet=peclet)
        axis = np.linspace(0, 1 - 2 / cells, 201)
        points = np.stack(np.meshgrid(*[axis] * problem.dim), axis=-1).reshape(-1, problem.dim)
        for degree in (1, 2, 3):
            for label, stabilisation in (("stabilised", "auto"), ("plain", "none")):
                solution = solve(problem, degree=degree, cells=cells, measure_error=False, stabilisation=stabilisation)
                gap = np.abs(solution.evaluate(points) - points.prod(axis=1)).max()
                figures[f"{label}_{name}_p{degree}"] = float(gap)
    return figures
