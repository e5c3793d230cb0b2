"""Finite volumes on the cells of a box, whose sides are faces of cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sciml.linear import DIRICHLET, FLUID, SOLID, Cells
from sciml.problem import Box, Condition, Dirichlet, Problem, grid_points
from sciml.solution import CellField
from sciml.solvers.multigrid.law import Law, fluxes, held_values, law_of, right_side

__all__ = ["BoxSystem", "divided"]


def divided(extent: np.ndarray, cells: int) -> tuple[int, ...]:
    """Numbers of cells along each axis, `cells` along the longest, that make cells nearly cubes."""
    return tuple(int(max(2, round(n))) for n in cells * extent / extent.max())


@dataclass(frozen=True)
class _Side:
    """One side of a box and what holds on it."""

    axis: int
    upper: bool
    condition: Condition | None

    @property
    def index(self) -> int:
        return -1 if self.upper else 0


class BoxSystem:
    """Cells and right side on a box, of second order.

    With h the width of a cell across a side and k the diffusion, a cell beside it exchanges 2 k/h² (g − u) with a value
    g that the side holds, and (g − α u)/h/(1 + α h/(2 k)) where the flux is g − α u at the side.

    Attributes
    ----------
    cells : Cells
    right : (n₀, …) array
    notes : list of str
    """

    notes: tuple[str, ...] = ()

    def __init__(self, problem: Problem, cells: int) -> None:
        domain = problem.domain
        assert isinstance(domain, Box)
        self.problem, self.law = problem, law_of(problem)
        self.shape = divided(domain.extent, cells)
        self.widths = domain.extent / self.shape
        self._centres = [
            low + h * (np.arange(n) + 0.5) for low, h, n in zip(domain.lower, self.widths, self.shape, strict=True)
        ]
        self._sides = [
            _Side(int(element) // 2, bool(element % 2), piece.conditions[0])
            for piece in problem.boundary_pieces
            for element in piece.part.elements
        ]
        self._assemble(self.law)

    def _assemble(self, law: Law) -> None:
        weights = law.diffusion / self.widths**2
        labels = np.full([n + 2 for n in self.shape], SOLID, dtype=np.int8)
        labels[(slice(1, -1),) * self.problem.dim] = FLUID
        held = np.zeros((self.problem.dim, *self.shape))
        self.right = right_side(self.problem, grid_points(self._centres)).reshape(self.shape).copy()
        for side in self._sides:
            own, weight = self._layer(side), float(weights[side.axis])
            points, shape = self._points(side, self._centres)
            if isinstance(side.condition, Dirichlet):
                labels[self._layer(side)] = DIRICHLET
                held[(side.axis, *own)] += weight
                self.right[own] += 2 * weight * held_values(self.problem, side.condition, points).reshape(shape)
                continue
            g, alpha = (part.reshape(shape) for part in self._fluxes(side, points))
            h = self.widths[side.axis]
            resistance = h * (1 + alpha * h / (2 * law.diffusion[side.axis]))
            held[(side.axis, *own)] += alpha / resistance
            self.right[own] += g / resistance
        # An edge where two sides meet is beyond both; only what lies across a face counts.
        reaction = None if law.reaction == 0 else np.full(self.shape, law.reaction)
        self.cells = Cells(labels, weights.tolist(), reaction, held)

    def _layer(self, side: _Side) -> tuple[slice | int, ...]:
        index: list[slice | int] = [slice(None)] * self.problem.dim
        index[side.axis] = side.index
        return tuple(index)

    def _points(self, side: _Side, lines: list[np.ndarray]) -> tuple[np.ndarray, tuple[int, ...]]:
        """Where the other axes' lines meet a side, and the shape of the grid that they make there."""
        domain = self.problem.domain
        place = (domain.upper if side.upper else domain.lower)[side.axis]
        own = [np.array([place]) if axis == side.axis else line for axis, line in enumerate(lines)]
        return grid_points(own), tuple(len(line) for axis, line in enumerate(own) if axis != side.axis)

    def _fluxes(self, side: _Side, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        normals = np.zeros(points.shape)
        normals[:, side.axis] = 1.0 if side.upper else -1.0
        return fluxes(self.problem, side.condition, points, normals)

    def field(self, values: np.ndarray) -> CellField:
        """The interpolant of values in the centres ``(n₀, …)`` and of what the sides say."""
        domain, lines = self.problem.domain, list(self._centres)
        for axis in range(self.problem.dim):
            sides = sorted((side for side in self._sides if side.axis == axis), key=lambda side: side.upper)
            values = np.concatenate(
                [self._on_side(sides[0], values, lines), values, self._on_side(sides[1], values, lines)], axis=axis
            )
            lines[axis] = np.concatenate([domain.lower[axis : axis + 1], lines[axis], domain.upper[axis : axis + 1]])
        for side in self._sides:
            if isinstance(side.condition, Dirichlet):
                points, shape = self._points(side, lines)
                values[self._layer(side)] = held_values(self.problem, side.condition, points).reshape(shape)
        return CellField(self.problem, lines, values)

    def _on_side(self, side: _Side, values: np.ndarray, lines: list[np.ndarray]) -> np.ndarray:
        """Values on a side from those beside it and the flux, which is linear in between."""
        points, shape = self._points(side, lines)
        beside = values[self._layer(side)]
        if not isinstance(side.condition, Dirichlet):
            g, alpha = (part.reshape(shape) for part in self._fluxes(side, points))
            ratio = self.widths[side.axis] / (2 * self.law.diffusion[side.axis])
            beside = (beside + ratio * g) / (1 + ratio * alpha)
        return np.expand_dims(beside, side.axis)
