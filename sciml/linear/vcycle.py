"""A symmetric multigrid V-cycle on labelled cells, matrix-free in torch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from sciml.linear.cells import SOLID, Cells
from sciml.linear.checkerboard import Checkerboard, NeighbourSum

__all__ = ["VCycle"]

RED, BLACK = 0, 1
_DIRECT = 320
"""Unknowns of the coarsest system, which is solved by its pseudo-inverse."""
_ALONE = 4
"""Times as many sweeps where nothing coarser has any fluid."""


class VCycle:
    """x = B b with one V-cycle from zero, where B is symmetric and positive definite and close to the inverse of A.

    Red-black Gauss–Seidel before the coarse correction and in the opposite order after it. The last half-sweep before
    the correction leaves no residual on black cells, and the first one after it overwrites them: only red residuals
    are restricted, and only red cells corrected. Coarser matrices are those of coarser cells (:meth:`Cells.coarser`).

    Parameters
    ----------
    cells : Cells
        Even along the axes that are halved.
    dtype : torch.dtype
    sweeps : int
        Before and after each correction.
    device : torch.device or str

    Attributes
    ----------
    b, x : (2, …) tensors
        Right side and result in the colours of `board`.
    """

    def __init__(self, cells: Cells, dtype: torch.dtype, sweeps: int, device: torch.device | str) -> None:
        self.levels: list[_Level] = []
        self._coarsest: _Coarsest | None = None
        above = None
        while True:
            coarser = cells.coarser()
            small = coarser is not None and int(coarser.fluid.sum()) <= _DIRECT
            coarser = coarser if coarser is None or small else coarser.padded()
            level = _Level(cells, coarser, above, dtype, sweeps if coarser is not None else _ALONE * sweeps, device)
            self.levels.append(level)
            if coarser is None:
                break
            if small:
                self._coarsest = _Coarsest(coarser, level.transfer)
                break
            cells, above = coarser, level.transfer
        self.board, self.b, self.x = self.levels[0].board, self.levels[0].b, self.levels[0].x

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Cells of each level, the finest first."""
        return [level.board.given for level in self.levels] + ([self._coarsest.shape] if self._coarsest else [])

    def run(self) -> None:
        """Make x from b."""
        for level, coarser in pairwise(self.levels):
            level.smooth()
            level.restrict()
            coarser.receive(level.transfer)
        last = self.levels[-1]
        last.smooth()
        if self._coarsest is not None:
            last.restrict()
            self._coarsest.solve()
            last.correct()
        last.smooth_back()
        for coarser, level in pairwise(reversed(self.levels)):
            coarser.hand_back(level.transfer)
            level.correct()
            level.smooth_back()


class _Level:
    """One level: x and b, the sweeps, and the way to the coarser cells and back."""

    def __init__(
        self,
        cells: Cells,
        coarser: Cells | None,
        above: _Transfer | None,
        dtype: torch.dtype,
        sweeps: int,
        device: torch.device | str,
    ) -> None:
        self.board = board = Checkerboard(cells.shape, dtype, device)
        self.b, self.x = board.zeros(), board.zeros()
        self._sums = NeighbourSum(board, self.x, cells.weights)
        self._sweeps, self._scale, last = sweeps, 1 / cells.weights[-1], cells.weights[-1]
        diagonal = cells.diagonal
        inverse = np.divide(last, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0)
        inverses = board.pack(inverse)
        pieces = list(enumerate(self._sums.pieces))
        self._halves = [[(k, self.b[c, p], inverses[c, p], self.x[c, p]) for k, p in pieces] for c in (RED, BLACK)]
        self._starts = [(self.b[RED, p], inverses[RED, p], self.x[RED, p]) for _, p in pieces]
        if above is not None:
            self._received = board.views(self.b, above.inside)
            self._handed = board.views(self.x, above.inside)
        if coarser is not None:
            self._transfer = transfer = _Transfer(board, cells, coarser)
            weights, diagonals = transfer.weights, board.pack(diagonal / last)[RED]
            lines = self.b[RED], self.x[RED], diagonals, weights * (last * transfer.share), transfer.red
            self._residuals = [(k, *(line[p] for line in lines)) for k, p in pieces]
            self._corrections = [(self.x[RED, p], transfer.red[p], weights[p]) for _, p in pieces]

    @property
    def transfer(self) -> _Transfer:
        """To the coarser cells."""
        return self._transfer

    def _half_sweep(self, colour: int) -> None:
        for piece, b, inverse, x in self._halves[colour]:
            torch.mul(self._sums(colour, piece).add_(b, alpha=self._scale), inverse, out=x)

    def smooth(self) -> None:
        """Sweeps from zero: red, black, red, black …"""
        for b, inverse, x in self._starts:
            torch.mul(b, inverse, out=x).mul_(self._scale)
        self._half_sweep(BLACK)
        for _ in range(self._sweeps - 1):
            self._half_sweep(RED)
            self._half_sweep(BLACK)

    def smooth_back(self) -> None:
        """Sweeps: black, red, black, red …"""
        for _ in range(self._sweeps):
            self._half_sweep(BLACK)
            self._half_sweep(RED)

    def restrict(self) -> None:
        """The residual to the coarser cells."""
        for piece, b, x, diagonal, weight, out in self._residuals:
            sums = self._sums(RED, piece).add_(b, alpha=self._scale)
            torch.mul(sums.addcmul_(x, diagonal, value=-1), weight, out=out)
        self._transfer.restrict()

    def correct(self) -> None:
        """Add the solution of the coarser cells."""
        self._transfer.prolong()
        for x, seen, weight in self._corrections:
            x.addcmul_(seen, weight)

    def receive(self, above: _Transfer) -> None:
        """Take b from the finer level."""
        for own, seen in self._received:
            own.copy_(seen)
        above.clear()

    def hand_back(self, above: _Transfer) -> None:
        """Give x to the finer level."""
        for own, seen in self._handed:
            seen.copy_(own)


class _Transfer:
    """Linear interpolation from the centres of coarser cells to red cells, and its transpose, axis by axis.

    Along a halved axis a cell takes 3/4 from its parent and 1/4 from the parent's neighbour on its side. Each step adds
    a multiple of one array to another; the transpose takes the steps backwards.

    Attributes
    ----------
    red : tensor
        Values of red cells, a line of memory of the finer board.
    inside : (planes, rows, row) tensor
        Values of coarser cells.
    weights : tensor
        1 over the interpolated share of what is not solid, so that solid cells do not pull to zero and Dirichlet cells
        do; 0 outside of the fluid.
    share : float
        1 over the number of children of a coarser cell: right sides are means.
    """

    def __init__(self, board: Checkerboard, cells: Cells, coarser: Cells) -> None:
        self.red = board.zeros()[RED]
        coarse = Checkerboard(coarser.shape, board.dtype, board.device)
        halved = (False,) * (3 - cells.dim) + cells.halved
        planes, rows, row = coarse.natural().shape
        self._all = self._room(board, planes + 2, rows + 2, row + 2)
        self.inside = self._all[1:-1, 1:-1, 1:-1]
        self.share = 0.5 ** sum(halved)
        self._steps: list[tuple[torch.Tensor, torch.Tensor, float]] = []
        self._rooms: list[torch.Tensor] = []
        whole: dict[int, torch.Tensor] = {}
        last: list[tuple[torch.Tensor, torch.Tensor, float]] = []
        first: list[tuple[torch.Tensor, torch.Tensor, float]] = []
        between: dict[tuple[int, int], torch.Tensor] = {}
        for a, b in board.classes:
            fine, parity = board.rows_of(self.red, a, b), (a + b) % 2
            if parity not in whole:
                whole[parity] = self._room(board, planes + 2, rows + 2, board.half)
                last += _along(self._all, whole[parity], 2, parity, halved[2])
            if (b, parity) not in between:
                between[b, parity] = self._room(board, planes + 2, fine.shape[1], board.half)
                last = _along(whole[parity], between[b, parity], 1, b, halved[1]) + last
            first += _along(between[b, parity], fine, 0, a, halved[0])
        self._steps = first + last
        self._rooms = [*between.values(), *whole.values()]
        self.weights = self._weights(board, cells, coarser)

    @staticmethod
    def _room(board: Checkerboard, *shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=board.dtype, device=board.device)

    def _weights(self, board: Checkerboard, cells: Cells, coarser: Cells) -> torch.Tensor:
        known = (coarser.labels != SOLID).reshape((1,) * (3 - cells.dim) + coarser.labels.shape)
        begin = [0 if axis >= 3 - cells.dim else 1 for axis in range(3)]
        place = tuple(slice(start, start + n) for start, n in zip(begin, known.shape, strict=True))
        self._all[place].copy_(torch.as_tensor(known))
        self.prolong()
        self.clear()
        fluid = board.pack(cells.fluid)[RED]
        return fluid / torch.where(self.red > 1e-6, self.red, torch.inf)

    def clear(self) -> None:
        """Zero for all coarser cells and what lies around them."""
        self._all.zero_()

    def restrict(self) -> None:
        """Coarser cells from red cells."""
        self.clear()
        for room in self._rooms:
            room.zero_()
        for coarse, fine, weight in self._steps:
            coarse.add_(fine, alpha=weight)

    def prolong(self) -> None:
        """Red cells from coarser cells."""
        self.red.zero_()
        for room in self._rooms:
            room.zero_()
        for coarse, fine, weight in reversed(self._steps):
            fine.add_(coarse, alpha=weight)


def _along(
    coarse: torch.Tensor, fine: torch.Tensor, axis: int, child: int, halved: bool
) -> list[tuple[torch.Tensor, torch.Tensor, float]]:
    """Steps between every second line of cells along an axis, from `child`, and an array with one layer around."""
    n = fine.shape[axis]
    if halved:
        near, far = coarse.narrow(axis, 1, n), coarse.narrow(axis, 2 * child, n)
        return [(near, fine, 0.75), (far, fine, 0.25)]
    index = [slice(None)] * 3
    index[axis] = slice(1 + child, 1 + child + 2 * n - 1, 2)
    return [(coarse[tuple(index)], fine, 1.0)]


class _Coarsest:
    """The pseudo-inverse of a small system."""

    def __init__(self, cells: Cells, above: _Transfer) -> None:
        self.shape, self._above = cells.shape, above
        like = above.inside
        inverse = np.linalg.pinv(cells.matrix.toarray(), rcond=1e-10, hermitian=True)
        self._inverse = torch.as_tensor(inverse).to(like)
        places = np.nonzero(cells.fluid.reshape((1,) * (3 - cells.dim) + cells.shape))
        self._places = tuple(torch.as_tensor(index, device=like.device) for index in places)

    def solve(self) -> None:
        """The solution in the place of the right side."""
        values = self._inverse @ self._above.inside[self._places]
        self._above.clear()
        self._above.inside[self._places] = values
