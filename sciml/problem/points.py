"""Points that a field is evaluated at again and again, and the grid that they may lie on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["Lattice", "Points", "grid_points"]

_SAME = 1e-10
_SPARSEST = 8
"""Grid points per point up to which the whole grid is worth its while."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """A grid of lines along the axes, and points on it.

    Attributes
    ----------
    lines : list of (mᵢ,) arrays
        Ascending coordinates along each axis.
    index : tuple of (n,) int arrays
        Line of each point along each axis.
    """

    lines: list[np.ndarray]
    index: tuple[np.ndarray, ...]


class Points:
    """Points of a domain.

    Attributes
    ----------
    array : (n, dim) array
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array = np.ascontiguousarray(array, dtype=float)

    def __len__(self) -> int:
        return len(self.array)

    @cached_property
    def lattice(self) -> Lattice | None:
        """The grid that the points fill, at least an eighth of it; None for points that lie on none."""
        if not len(self.array):
            return None
        found = [_lines(column) for column in self.array.T]
        grid = np.prod([float(len(line)) for line, _ in found])
        if grid > _SPARSEST * len(self.array):
            return None
        return Lattice([line for line, _ in found], tuple(index for _, index in found))


def grid_points(lines: Sequence[np.ndarray]) -> np.ndarray:
    """All points of a grid, the last axis fastest: ``(n, dim)`` from the coordinates along each axis."""
    return np.stack([g.ravel() for g in np.meshgrid(*lines, indexing="ij")], axis=1)


def _lines(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different coordinates up to rounding, and which of them each point has."""
    order = np.argsort(x)
    ascending = x[order]
    new = np.append(True, np.diff(ascending) > _SAME * (ascending[-1] - ascending[0]))
    index = np.empty(len(x), dtype=np.int64)
    index[order] = np.cumsum(new) - 1
    return ascending[new], index
