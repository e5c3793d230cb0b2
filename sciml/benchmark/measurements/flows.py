"""Flows and mixed methods by stable pairs of elements."""

from __future__ import annotations

import time

from sciml import load_problem, solve
from sciml.benchmark.measurements._systems import observed_order


def flow_orders() -> dict[str, float]:
    """Observed orders in relative L2 of Taylor–Hood and Raviart–Thomas elements of degree 2, from 32² to 64² cells.

    Returns
    -------
    dict
        ``velocity``, ``pressure`` of a vortex in Stokes flow; ``flow``, ``potential`` of Darcy flow.
    """
    figures = {}
    for name, fields in (("stokes/vortex", ("velocity", "pressure")), ("darcy/mixed", ("flow", "potential"))):
        coarse, fine = (solve(name, degree=2, cells=n, measure_error=False).error().fields for n in (32, 64))
        for field in fields:
            figures[field] = observed_order(coarse[field].relative_l2, fine[field].relative_l2)
    return figures


def pipe(cells: int = 64) -> dict[str, float]:
    """The cost of steady Navier–Stokes flow through a winding pipe, forms compiled before.

    Returns
    -------
    dict
        ``seconds_slow``, ``seconds_fast``: CPU seconds at speed 0.25 and 1; ``unknowns``.
    """
    figures: dict[str, float] = {}
    for label, speed in (("slow", 0.25), ("fast", 1.0)):
        problem = load_problem("navier_stokes/pipe", cells=cells, speed=speed)
        solve(problem.with_parameters(cells=4), measure_error=False)
        start = time.process_time()
        solution = solve(problem, measure_error=False)
        figures[f"seconds_{label}"] = time.process_time() - start
        figures["unknowns"] = float(solution.details["unknowns"])
    return figures


def nearly_incompressible() -> dict[str, float]:
    """Whether a block of rubber-like material locks: displacement and pressure on 16² cells.

    Returns
    -------
    dict
        ``ratio_NU``: relative L2 error of the displacement at Poisson's ratio NU.
    """
    figures = {}
    for ratio in (0.3, 0.4999, 0.499999):
        problem = load_problem("elasticity/nearly_incompressible", poisson_ratio=ratio)
        errors = solve(problem, cells=16, measure_error=False).error()
        figures[f"ratio_{ratio}"] = errors.fields["displacement"].relative_l2
    return figures
