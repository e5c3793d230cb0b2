"""Values on the lines of a grid, such as the centres of cells and the faces around them, as a field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from sciml.errors import OutputError
from sciml.problem import Problem
from sciml.solution.field import Field

if TYPE_CHECKING:
    import h5py

__all__ = ["CellField"]

_SLACK = 1e-10


class CellField(Field):
    """The multilinear interpolant of a scalar unknown's values where the lines of a grid cross.

    Lines need not be evenly spaced: those of a box are the centres of its cells and its two sides. The gradient is
    that of the interpolant; it jumps from one cell of the lines to the next.

    Parameters
    ----------
    problem : Problem
        Of a scalar unknown.
    lines : sequence of (mᵢ,) arrays
        Ascending coordinates along each axis, at least two.
    values : (m₀, …) array

    Raises
    ------
    OutputError
        Lines and values that do not fit; a file that holds such is damaged.
    """

    kind = "cells"

    def __init__(self, problem: Problem, lines: Sequence[np.ndarray], values: np.ndarray) -> None:
        self.problem, self.shape = problem, problem.shape
        self.lines = [np.asarray(line, dtype=float) for line in lines]
        self.values = np.asarray(values, dtype=float)
        if self.values.shape != tuple(map(len, self.lines)) or len(self.lines) != problem.dim:
            raise OutputError(
                f"Values of shape {self.values.shape} do not fit {len(self.lines)} lines in {problem.dim} dimensions."
            )

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        """Values at points ``(n, dim)`` → ``(n,)``; NaN beyond the first and last lines."""
        cells, places, inside, _ = self._located(points)
        out = np.zeros(len(places))
        for corner, values in self._corners(cells):
            out += np.prod(np.where(corner, places, 1 - places), axis=1) * values
        return np.where(inside, out, np.nan)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        """Gradients at points ``(n, dim)`` → ``(n, dim)``; NaN beyond the first and last lines."""
        cells, places, inside, widths = self._located(points)
        out = np.zeros(places.shape)
        for corner, values in self._corners(cells):
            factors = np.where(corner, places, 1 - places)
            for axis in range(places.shape[1]):
                others = np.prod(np.delete(factors, axis, axis=1), axis=1)
                out[:, axis] += (1 if corner[axis] else -1) * others * values
        return np.where(inside[:, None], out / widths, np.nan)

    def _located(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Cells of the lines, places within them from 0 to 1, whether inside, and widths of the cells."""
        points = np.asarray(points, dtype=float)
        cells = np.empty(points.shape, dtype=np.int64)
        widths, starts = np.empty(points.shape), np.empty(points.shape)
        inside = np.ones(len(points), dtype=bool)
        for axis, line in enumerate(self.lines):
            x, slack = points[:, axis], _SLACK * (line[-1] - line[0])
            inside &= (x >= line[0] - slack) & (x <= line[-1] + slack)
            found = np.clip(np.searchsorted(line, x, side="right") - 1, 0, len(line) - 2)
            cells[:, axis], starts[:, axis], widths[:, axis] = found, line[found], np.diff(line)[found]
        return cells, (points - starts) / widths, inside, widths

    def _corners(self, cells: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for corner in product((0, 1), repeat=cells.shape[1]):
            yield np.array(corner), self.values[tuple((cells + corner).T)]

    def store(self, group: h5py.Group) -> None:
        group.create_dataset("values", data=self.values)
        for axis, line in enumerate(self.lines):
            group.create_dataset(f"line{axis}", data=line)

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> CellField:
        return cls(problem, [group[f"line{axis}"][()] for axis in range(problem.dim)], group["values"][()])
