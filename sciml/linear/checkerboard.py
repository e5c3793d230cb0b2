"""Numbers on a grid of cells in two colours, stored apart, so that neighbours are shifts of contiguous memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch

__all__ = ["Checkerboard", "NeighbourSum"]

_CHUNK = 1 << 15
"""Numbers handled at once on a CPU, so that they stay in its cache from one operation to the next."""


class Checkerboard:
    """The layout of cells (i, j, k), red where i + j + k is even and black elsewhere.

    A colour is a line of memory: rows of all its cells with the same (i, j), each with one empty place at its end;
    planes of rows with an odd number of them, at least one empty; empty margins on both ends. So the cell before the
    first of a row is an empty place too, the neighbours (i ± 1, j, k) and (i, j ± 1, k) of cell k′ of a row are cells
    k′ of other rows of the other colour, and the number of a row is even where i + j is. There the red cells are the
    even k, whose neighbours are k′ − 1 and k′ of the black ones; in odd rows k′ and k′ + 1.

    Parameters
    ----------
    shape : (≤ 3,) sequence of int
        Cells along each axis.
    dtype, device
        Of the numbers.
    """

    def __init__(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device | str) -> None:
        self.cells: tuple[int, int, int] = (1,) * (3 - len(shape)) + tuple(shape)  # type: ignore[assignment]
        self.given, self.dtype, self.device = tuple(shape), dtype, torch.device(device)
        planes, rows, row = self.cells
        self.half = -(-row // 2)
        self.grid = planes, rows + 1 + rows % 2, self.half + 1
        self.plane = self.grid[1] * self.grid[2]
        self.length = planes * self.plane
        self.margin = self.plane + self.grid[2] + 1
        self.classes = [(a, b) for a, b in product((0, 1), repeat=2) if a < planes and b < rows]

    def zeros(self) -> torch.Tensor:
        """Room for both colours ``(2, margin + length + margin)``."""
        return torch.zeros(2, self.length + 2 * self.margin, dtype=self.dtype, device=self.device)

    def inner(self, colours: torch.Tensor) -> torch.Tensor:
        """Without the margins; a view."""
        return colours[..., self.margin : self.margin + self.length]

    def rows_of(self, colour: torch.Tensor, a: int, b: int) -> torch.Tensor:
        """The cells of one colour in planes i = a, a + 2, … and rows j = b, b + 2, …; a view."""
        _, rows, _ = self.cells
        return self.inner(colour).view(self.grid)[a::2, b:rows:2, : self.half]

    def views(self, colours: torch.Tensor, natural: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The same cells in both colours and in an array ``(planes, rows, 2 half)``, as pairs of views."""
        return [
            (self.rows_of(colours[c], a, b), natural[a::2, b::2, (a + b + c) % 2 :: 2])
            for a, b in self.classes
            for c in (0, 1)
        ]

    def natural(self) -> torch.Tensor:
        """Room for the cells in their own order, rows padded to an even length."""
        return torch.zeros(*self.cells[:2], 2 * self.half, dtype=self.dtype, device=self.device)

    def pack(self, values: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Both colours of an array of the shape of the cells."""
        natural, colours = self.natural(), self.zeros()
        natural[..., : self.cells[2]].copy_(torch.as_tensor(values).reshape(self.cells))
        for own, seen in self.views(colours, natural):
            own.copy_(seen)
        return colours

    def unpack(self, colours: torch.Tensor) -> torch.Tensor:
        """The array that :meth:`pack` takes."""
        natural = self.natural()
        for own, seen in self.views(colours, natural):
            seen.copy_(own)
        return natural[..., : self.cells[2]].reshape(self.given).contiguous()


class NeighbourSum:
    """Σ_axes (w_axis/w_last) Σ_neighbours x of the cells of each colour, piece by piece.

    Parameters
    ----------
    board : Checkerboard
    x : (2, …) tensor
        From ``board.zeros()``; looked at in place, whatever it holds when :meth:`__call__` is used.
    weights : (≤ 3,) sequence of float
        w of each axis.

    Attributes
    ----------
    pieces : list of slice
        Of the line of a colour, with the margins.
    """

    def __init__(self, board: Checkerboard, x: torch.Tensor, weights: Sequence[float]) -> None:
        row = board.grid[2]
        n_rows = board.length // row
        per_piece = n_rows if board.device.type != "cpu" else min(n_rows, max(2, _CHUNK // row))
        per_piece += per_piece % 2
        starts = range(0, n_rows, per_piece)
        ends = [min(start + per_piece, n_rows) for start in starts]
        at = board.margin
        self.pieces = [slice(at + row * start, at + row * end) for start, end in zip(starts, ends)]
        sums = torch.zeros(per_piece * row, dtype=board.dtype, device=board.device)
        full = (1.0,) * (3 - len(weights)) + tuple(w / weights[-1] for w in weights)
        shifts = [(full[1], row), (full[1], -row)] if board.cells[1] > 1 else []
        shifts += [(full[0], board.plane), (full[0], -board.plane)] if board.cells[0] > 1 else []
        self._plans = [[self._plan(board, x, colour, p, sums, shifts) for p in self.pieces] for colour in (0, 1)]

    @staticmethod
    def _plan(
        board: Checkerboard,
        x: torch.Tensor,
        colour: int,
        piece: slice,
        sums: torch.Tensor,
        shifts: list[tuple[float, int]],
    ) -> tuple[torch.Tensor, torch.Tensor, list[tuple[float, torch.Tensor]], list[tuple[torch.Tensor, torch.Tensor]]]:
        other, row = x[1 - colour], board.grid[2]
        out = sums[: piece.stop - piece.start]
        around = [(weight, other[piece.start + s : piece.stop + s]) for weight, s in shifts]
        along = []
        for parity in (0, 1):
            step = 2 * ((parity + colour) % 2) - 1
            shifted = other[piece.start + step : piece.stop + step].view(-1, row)[parity::2]
            if len(shifted):
                along.append((out.view(-1, row)[parity::2], shifted))
        return out, other[piece], around, along

    def __call__(self, colour: int, piece: int) -> torch.Tensor:
        """The sums for a piece of one colour; the memory is used again by the next call."""
        out, same, around, along = self._plans[colour][piece]
        if around:
            (weight, first), *rest = around
            torch.add(same, first, alpha=weight, out=out)
            for weight, shifted in rest:
                out.add_(shifted, alpha=weight)
        else:
            out.copy_(same)
        for rows, shifted in along:
            rows.add_(shifted)
        return out
