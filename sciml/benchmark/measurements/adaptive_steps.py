"""Steps that follow the solution against equal ones."""

from __future__ import annotations

import numpy as np
from ufl import cos, exp, grad, pi, sin

from sciml import Box, Dirichlet, Problem
from sciml.benchmark.measurements._systems import error_at, make_system, observed_order
from sciml.fem.adaptive import Control, march_adaptively
from sciml.fem.stepping import march
from sciml.forms.schemes import Scheme

_TRANSIENTS = {
    "layer": lambda t: 3 * exp(-300 * t) + cos(2 * t),
    "pulse": lambda t: 3 * exp(-300 * (t - 0.5) ** 2) + cos(2 * t),
}


def adaptive_steps(equal: int = 3200) -> dict[str, float]:
    """TR-BDF2 with step control against BDF2 with equal steps at equal error, counted in linear solves.

    Heat with a layer of 1/300 at the start, and with a pulse in the middle; the error is the largest L2 error of all
    steps. Equal steps are run once; that of another number follows from BDF2's order 2.

    Returns
    -------
    dict
        ``order_layer``, ``order_pulse``: when the tolerance falls by 8 (a step's error by 2³).
        ``solves_layer``, ``solves_pulse``: linear solves of equal steps over those of adaptive ones.
    """
    figures = {}
    for name, factor in _TRANSIENTS.items():
        problem = Problem(
            domain=Box(0.0, 1.0),
            time=1.0,
            damping=1.0,
            flux=lambda u: grad(u) / 10,
            exact=lambda x, t, factor=factor: factor(t) * sin(pi * x[0]),
            conditions=[Dirichlet(on="boundary")],
        )
        (coarse, _), (fine, solves) = (_adaptive(problem, tolerance) for tolerance in (1e-4, 1e-4 / 8))
        figures[f"order_{name}"] = observed_order(coarse, fine)
        system = make_system(problem, 12, 3)
        largest = max(error_at(system, state.u, state.t) for state in march(system, Scheme("bdf2"), equal))
        figures[f"solves_{name}"] = equal * float(np.sqrt(largest / fine)) / solves
    return figures


def _adaptive(problem: Problem, tolerance: float) -> tuple[float, int]:
    """Largest error of all steps, and the number of linear solves."""
    system, control = make_system(problem, 12, 3), Control(tolerance, 1e-10, 0.125)
    largest = max(error_at(system, step.u[1], step.end) for step in march_adaptively(system, control))
    return largest, system.counts.linear
