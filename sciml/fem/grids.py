"""Solvers that need a grid, as preconditioners of what DOLFINx assembles on the equal cells of a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from sciml.fem.lattice import held_sides
from sciml.linear import linear_solver
from sciml.linear.halving import EverySecond
from sciml.linear.learned import LearnedMultigrid
from sciml.linear.petsc import PythonPreconditioner
from sciml.problem import Box, Points

if TYPE_CHECKING:
    from sciml.fem.discretisation import Discretisation

__all__ = ["ON_GRIDS", "UnknownGrid", "grid_preconditioner", "unknown_grid"]

ON_GRIDS = ("learned_mg", "gmg", "dcdm")
"""Options of `linear_solver` that need a grid of unknowns."""


@dataclass(frozen=True, eq=False)
class UnknownGrid:
    """Free unknowns of elements of degree 1 or 2 as the points of a grid.

    Attributes
    ----------
    free : (n,) array of int
        The unknown at each point, the last axis fastest.
    shape : (dim,) tuple of int
    interpolations : list of (n, m) sparse arrays
        Of degree 2, along each axis from the vertices to all points; empty for degree 1.
    """

    free: np.ndarray
    shape: tuple[int, ...]
    interpolations: list[scipy.sparse.csr_array]


def unknown_grid(disc: Discretisation) -> UnknownGrid | None:
    """The grid of a scalar unknown on the cells of a box, triangles and tetrahedra too.

    None where the unknowns are no grid, where a side has Dirichlet conditions in part or is periodic, where they are of
    a degree above 2, or distributed over processes.
    """
    problem = disc.problem
    alone = isinstance(problem.domain, Box) and problem.shape == () and disc.comm.size == 1 and not problem.periodic
    if not alone or disc.degree > 2:
        return None
    found = Points(disc.unknowns.points).lattice
    if found is None or np.prod(shape := tuple(map(len, found.lines))) != disc.n_dofs:
        return None
    numbers = np.empty(shape, dtype=np.int64)
    numbers[found.index] = np.arange(disc.n_dofs)
    held = held_sides(numbers, disc.dirichlet[0])
    if held is None:
        return None
    inside = [slice(int(lower), n - int(upper)) for n, (lower, upper) in zip(shape, held, strict=True)]
    free = numbers[tuple(inside)]
    ways = [_interpolation(n, part) for n, part in zip(shape, inside, strict=True)] if disc.degree == 2 else []
    if any(0 in way.shape for way in ways):
        return None
    return UnknownGrid(free.ravel(), free.shape, ways)


def _interpolation(points: int, inside: slice) -> scipy.sparse.csr_array:
    """From every second point of an axis to all of them, without those that are held."""
    whole = np.zeros((points, (points + 1) // 2))
    whole[::2] = np.eye((points + 1) // 2)
    whole[1::2] = (whole[:-1:2] + whole[2::2]) / 2
    vertices = slice(inside.start, whole.shape[1] - (points - inside.stop))
    return scipy.sparse.csr_array(whole[inside, vertices])


def grid_preconditioner(disc: Discretisation, name: str) -> PythonPreconditioner:
    """A solver of :data:`ON_GRIDS` as the context of PETSc's preconditioner "python".

    Constrained rows must be those of the identity. "gmg" is the cycle of "learned_mg" without its network, since
    matrices of elements have no labelled cells.
    """
    grid = unknown_grid(disc)
    assert grid is not None
    solver = LearnedMultigrid(network="untrained") if name == "gmg" else linear_solver(name)
    if grid.interpolations:
        return PythonPreconditioner(EverySecond(solver, grid.interpolations), free=grid.free)
    return PythonPreconditioner(solver, grid.shape, free=grid.free)
