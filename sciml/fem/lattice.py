"""Unknowns on the grid of a box, and fast diagonalisation on it as a preconditioner for PETSc."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sciml.linear import Axis, EvenAxis, FastDiagonalisation, GeneralAxis, element_matrices, nearest_coefficients
from sciml.problem import Box, Points

if TYPE_CHECKING:
    from sciml.fem.discretisation import Discretisation

__all__ = ["Lattice", "LatticePreconditioner", "held_sides", "lattice_of"]

_TENSOR_CELLS = ("interval", "quadrilateral", "hexahedron")
_LEAST = 1e-13
_LONGEST = 2048
"""Unknowns along an axis up to which its eigenvectors are a dense matrix (degree 2 and above)."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """Free unknowns as the points of a grid.

    Attributes
    ----------
    axes : tuple of Axis
        Stiffness and mass along each axis, diagonalised.
    free : (m₀ m₁ …,) int array
        The unknown at each point of the grid, the last axis fastest.
    """

    axes: tuple[Axis, ...]
    free: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Free unknowns along each axis."""
        return tuple(map(len, self.axes))


def lattice_of(disc: Discretisation) -> Lattice | None:
    """The grid of a scalar unknown on the even tensor cells of a box.

    None where the unknowns are no such grid, where a side has Dirichlet conditions in part or is periodic, or where the
    unknowns are distributed over processes.
    """
    problem, data = disc.problem, disc.mesh.data
    tensor = data.cell_type in _TENSOR_CELLS and data.degree == 1
    if not (tensor and isinstance(problem.domain, Box) and problem.shape == () and disc.comm.size == 1):
        return None
    if problem.periodic:
        return None
    found = Points(disc.unknowns.points).lattice
    shape = () if found is None else tuple(map(len, found.lines))
    if found is None or np.prod(shape) != disc.n_dofs:
        return None
    numbers = np.empty(shape, dtype=np.int64)
    numbers[found.index] = np.arange(disc.n_dofs)
    held = held_sides(numbers, disc.dirichlet[0])
    if held is None:
        return None
    axes = [_axis(line, disc.degree, ends) for line, ends in zip(found.lines, held)]
    if any(axis is None for axis in axes):
        return None
    inside = tuple(slice(lower, -1 if upper else None) for lower, upper in held)
    return Lattice(tuple(axis for axis in axes if axis is not None), numbers[inside].ravel())


def held_sides(numbers: np.ndarray, constrained: np.ndarray) -> list[tuple[bool, bool]] | None:
    """Which sides of the grid are constrained, if nothing else is and unknowns are left."""
    mask = np.isin(numbers, constrained)
    sides, expected = [], np.zeros_like(mask)
    for axis in range(mask.ndim):
        whole = [bool(np.take(mask, end, axis).all()) for end in (0, -1)]
        sides.append((whole[0], whole[1]))
        for end, held in zip((0, -1), whole):
            if held:
                np.moveaxis(expected, axis, 0)[end] = True
    return sides if (mask == expected).all() and not mask.all() else None


def _axis(line: np.ndarray, degree: int, held: tuple[bool, bool]) -> Axis | None:
    """The matrices of one axis, if its cells are equal."""
    cells, length = (len(line) - 1) // degree, float(line[-1] - line[0])
    nodes = (line[: degree + 1] - line[0]) * (cells / length)
    even = (np.arange(cells)[:, None] + nodes[:-1]).ravel() * (length / cells) + line[0]
    if np.abs(line[:-1] - even).max() > 1e-9 * length:
        return None
    if degree == 1:
        return EvenAxis(cells, length, held)
    if len(line) > _LONGEST:
        return None
    inside = slice(held[0], -1 if held[1] else None)
    return GeneralAxis(*(matrix[inside, inside] for matrix in element_matrices(cells, length, nodes)))


class LatticePreconditioner:
    """Fast diagonalisation of the operator with constant coefficients that is nearest to the matrix.

    A context of PETSc's preconditioner "python". Constrained rows must be those of the identity.

    Parameters
    ----------
    lattice : Lattice
    scaled : bool
        Scale the matrix first, so that its diagonal is that of constant coefficients (P. Concus, G. H. Golub, SIAM J.
        Numer. Anal. 10, 1973). Then the iterations depend on how much a smooth coefficient bends, not on its contrast;
        with a coefficient that jumps they grow with the number of cells.
    """

    def __init__(self, lattice: Lattice, *, scaled: bool) -> None:
        self.lattice, self.scaled = lattice, scaled

    def setUp(self, pc: Any) -> None:
        """Find the coefficients; called when the matrix has changed."""
        matrix = pc.getOperators()[1]
        free, shape = self.lattice.free, self.lattice.shape
        self.scale = np.ones(shape)
        self.operator = self._nearest(matrix)
        if self.scaled:
            diagonal = matrix.getDiagonal().array_r[free].reshape(shape)
            self.scale = np.sqrt(self.operator.diagonal / diagonal)
            self.operator = self._nearest(matrix)

    def _nearest(self, matrix: Any) -> FastDiagonalisation:
        free, axes = self.lattice.free, self.lattice.axes
        x, y = matrix.createVecs()
        x.set(0.0)

        def multiply(values: np.ndarray) -> np.ndarray:
            x.array[free] = (self.scale * values).ravel()
            matrix.mult(x, y)
            return self.scale * y.array_r[free].reshape(values.shape)

        stiffness, mass = nearest_coefficients(axes, multiply)
        largest = sum(a * axis.eigenvalues[-1] for a, axis in zip(stiffness, axes))
        # Positive, however little holds a problem without Dirichlet conditions.
        return FastDiagonalisation(axes, stiffness, max(mass, _LEAST * largest))

    def apply(self, pc: Any, x: Any, y: Any) -> None:
        """Write P⁻¹ x into y."""
        values, free = x.array_r, self.lattice.free
        out = self.scale * self.operator.solve(self.scale * values[free].reshape(self.lattice.shape))
        y.array[:] = values
        y.array[free] = out.ravel()
