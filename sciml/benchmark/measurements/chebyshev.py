"""Chebyshev collocation on smooth laws: how exact, and in how much CPU time."""

from __future__ import annotations

from sciml import solve

__all__ = ["chebyshev"]

_PROBLEMS = (
    "poisson/sine",
    "poisson/peak",
    "poisson/mixed_conditions",
    "multiscale/sine",
    "multiscale/sum_of_products",
    "nonlinear/minimal_surface",
    "allen_cahn/three_scales",
    "advection_diffusion/corner_layers",
    "elasticity/cantilever",
)


def chebyshev() -> dict[str, float]:
    """Relative L2 errors against exact solutions and CPU seconds, with default options, of problems in the catalogue.

    Returns
    -------
    dict
        ``"NAME: relative L2"`` and ``"NAME: CPU seconds"`` of each problem; the seconds are of the whole search for
        enough nodes, on the first solve of the problem in this process.
    """
    found = {}
    for name in _PROBLEMS:
        solution = solve(name, "chebyshev")
        found[f"{name}: relative L2"] = solution.error().relative_l2
        found[f"{name}: CPU seconds"] = solution.cpu_seconds
    return found
