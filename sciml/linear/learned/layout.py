"""A grid as one line of memory, so that every neighbour is one shift of it; and its cells by parity."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import product

import numpy as np
import torch
from torch import Tensor

from sciml.linear.stencils import Offset

__all__ = ["Layout", "Parity"]

Parity = tuple[int, ...]
"""The halved axes along which a cell lies between coarser ones."""


class Layout:
    """Row-major cells with one empty slot at the end of each axis, between two empty margins.

    The empty slot is the neighbour of the last cell of a row and of the first one of the next, so that the cell at an
    offset is a fixed number of places away, wherever the cell is.

    Parameters
    ----------
    shape : (dim,) sequence of int
        Cells along each axis.

    Attributes
    ----------
    slots : (dim,) tuple of int
        Cells and empty slots.
    length, margin : int
        Places of the line without its margins, and of each margin.
    offsets : list of tuple of int
        Those of the 3^dim cells around one, in row-major order.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self.slots = tuple(n + 1 for n in self.shape)
        self.strides = tuple(int(np.prod(self.slots[axis + 1 :])) for axis in range(self.dim))
        self.length = int(np.prod(self.slots))
        self.margin = sum(self.strides)
        self.offsets: list[Offset] = list(product((-1, 0, 1), repeat=self.dim))

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @cached_property
    def centre(self) -> int:
        """Number of the offset 0."""
        return self.offsets.index((0,) * self.dim)

    def step(self, offset: Offset) -> int:
        """Places from a cell to the one at an offset."""
        return sum(o * s for o, s in zip(offset, self.strides, strict=True))

    def inner(self, wide: Tensor) -> Tensor:
        """A line without its margins; a view."""
        return wide[..., self.margin : self.margin + self.length]

    def shifted(self, wide: Tensor, offset: Offset) -> Tensor:
        """The values at an offset from each place, from a line with margins; a view."""
        start = self.margin + self.step(offset)
        return wide[..., start : start + self.length]

    def widen(self, line: Tensor) -> Tensor:
        """A line with empty margins."""
        return torch.nn.functional.pad(line, (self.margin, self.margin))

    def zeros(self, *lead: int, dtype: torch.dtype, device: torch.device | str) -> Tensor:
        """A line with margins."""
        return torch.zeros(*lead, self.length + 2 * self.margin, dtype=dtype, device=device)

    def pack(self, values: Tensor) -> Tensor:
        """A line without margins from values ``(…, n₀, …)``."""
        lead = values.shape[: values.dim() - self.dim]
        return torch.nn.functional.pad(values, [0, 1] * self.dim).reshape(*lead, self.length)

    def unpack(self, line: Tensor) -> Tensor:
        """Values ``(…, n₀, …)`` from a line without margins; a view."""
        grid = line.view(*line.shape[:-1], *self.slots)
        return grid[(..., *(slice(0, n) for n in self.shape))]

    # -- coarser cells: every second one along some axes, the odd ones ---------------------------------------

    def coarser(self, halved: Sequence[bool]) -> Layout:
        """The layout of the cells with odd numbers along halved axes."""
        return Layout([n // 2 if half else n for n, half in zip(self.shape, halved, strict=True)])

    def select(self, line: Tensor, coarse: Layout, halved: Sequence[bool], parity: Parity) -> Tensor:
        """The cells of a parity in the layout of the coarser ones: cell i there is 2 i + 1, or 2 i in `parity`.

        Without margins on both sides.
        """
        index, missing = [], []
        for axis, half in enumerate(halved):
            index.append(slice(None) if not half else slice(0 if axis in parity else 1, None, 2))
            taken = len(range(self.slots[axis])[index[-1]])
            missing = [0, coarse.slots[axis] - taken, *missing]
        grid = line.view(*line.shape[:-1], *self.slots)[(..., *index)]
        return torch.nn.functional.pad(grid, missing).reshape(*line.shape[:-1], coarse.length)

    def view_of(self, line: Tensor, coarse: Layout, halved: Sequence[bool], parity: Parity) -> tuple[Tensor, tuple]:
        """The same as a view of the line, and the part of the coarser slots that it fills."""
        index, part = [], []
        for axis, half in enumerate(halved):
            index.append(slice(None) if not half else slice(0 if axis in parity else 1, None, 2))
            part.append(slice(0, len(range(self.slots[axis])[index[-1]])))
        return line.view(*line.shape[:-1], *self.slots)[(..., *index)], (..., *part)


def parities(halved: Sequence[bool]) -> list[Parity]:
    """All subsets of the halved axes, smaller ones first."""
    axes = [axis for axis, half in enumerate(halved) if half]
    found = [tuple(a for a, used in zip(axes, bits) if used) for bits in product((0, 1), repeat=len(axes))]
    return sorted(found, key=len)
