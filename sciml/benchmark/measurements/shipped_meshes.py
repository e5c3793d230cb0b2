"""How well the meshes that the repository ships follow their circles and balls."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from pathlib import Path
from typing import Any

from ufl import grad

import sciml
from sciml import Dirichlet, MeshFile, Problem, ds, dx, solve

_MESHES = Path(sciml.__file__).parent / "data" / "meshes"


def shipped_meshes() -> dict[str, float]:
    """Lengths, areas and volumes of meshes in ``data/meshes``, as the reference integrates them.

    Returns
    -------
    dict
        ``hole_length``, ``fibre_area``, ``disc_area``, ``void_length``: relative errors of quadratic cells.
        ``ball_surface``, ``ball_volume``: what the straight cells of `obstacles.msh` lack, as a share.
    """
    hole = _integral("plate_with_hole", lambda u: u * ds("hole"))
    fibre = _integral("fibre", lambda u: u * dx("fibre"))
    disc = _integral("disc", lambda u: u * dx)
    void = _integral("periodic_cell", lambda u: u * ds("hole"))
    surface = _integral("obstacles", lambda u: u * ds("obstacle_1"))
    volume = 2 - _integral("obstacles", lambda u: u * dx)
    return {
        "hole_length": abs(hole / (pi / 2) - 1),
        "fibre_area": abs(fibre / (0.09 * pi) - 1),
        "disc_area": abs(disc / pi - 1),
        "void_length": abs(void / (0.5 * pi) - 1),
        "ball_surface": 1 - surface / (0.25 * pi),
        "ball_volume": 1 - volume / (2 * 4 / 3 * pi / 64),
    }


def _integral(mesh: str, integrand: Callable[[Any], Any]) -> float:
    """With u = 1 everywhere, which is the solution."""
    problem = Problem(
        domain=MeshFile(_MESHES / f"{mesh}.msh"),
        flux=lambda u: grad(u),
        load=0.0,
        conditions=[Dirichlet(1.0, on="boundary")],
        quantities=lambda u: {"integral": integrand(u)},
    )
    return solve(problem, "fenics", degree=1).quantities()["integral"]
