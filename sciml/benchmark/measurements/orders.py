"""Observed orders of Lagrange elements."""

from __future__ import annotations

from typing import Any

from ufl import exp, grad, pi, sin

from sciml import Box, Dirichlet, Problem, solve
from sciml.benchmark.measurements._systems import observed_order

_CELLS = {1: {1: 32, 2: 32, 3: 32}, 2: {1: 32, 2: 32, 3: 32}, 3: {1: 16, 2: 12, 3: 8}}


def orders() -> dict[str, float]:
    """P1, P2, P3 on a smooth solution of Poisson's equation in one to three dimensions, cells halved once.

    Returns
    -------
    dict
        ``l2_pP_Dd``, ``h1_pP_Dd``: the observed order in relative L2 less P + 1, in relative H1 less P.
    """
    figures = {}
    for dim, cells in _CELLS.items():
        problem = _smooth(dim)
        for degree, n in cells.items():
            coarse, fine = (solve(problem, degree=degree, cells=m, measure_error=False).error() for m in (n, 2 * n))
            in_l2 = observed_order(coarse.relative_l2, fine.relative_l2)
            in_h1 = observed_order(coarse.relative_h1, fine.relative_h1)
            figures[f"l2_p{degree}_{dim}d"] = in_l2 - (degree + 1)
            figures[f"h1_p{degree}_{dim}d"] = in_h1 - degree
    return figures


def _smooth(dim: int) -> Problem:
    def exact(x: Any) -> Any:
        out = exp(x[0])
        for axis in range(dim):
            out = out * sin(pi * x[axis] + 0.3)
        return out

    return Problem(
        domain=Box((0,) * dim, (1,) * dim), flux=lambda u: grad(u), exact=exact, conditions=[Dirichlet(on="boundary")]
    )
