"""The learned cycle in place on its own memory: each neighbour is one fused multiplication and addition of lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sciml.linear.learned.layout import Layout
from sciml.linear.stencils import Offset

if TYPE_CHECKING:
    from sciml.linear.learned.hierarchy import Hierarchy

__all__ = ["Cycle", "Sweeper"]

Term = tuple[Tensor, Tensor]


class Sweeper:
    """Â and S = Tᵀ T of a level on buffers: what :class:`Level` says, without new memory.

    Parameters
    ----------
    layout : Layout
    scaled : (3^dim, length) tensor
        Â with the diagonal 1, 0 where there is no unknown.
    diagonal, lower : (length,), (m, length) tensors
        Of T.
    dtype : torch.dtype

    Attributes
    ----------
    b, x, r, t : (length with margins,) tensors
        Right side, solution, residual, and room.
    """

    def __init__(self, layout: Layout, scaled: Tensor, diagonal: Tensor, lower: Tensor, dtype: torch.dtype) -> None:
        self.layout, self.dtype = layout, dtype
        self.b, self.x, self.r, self.t = (layout.zeros(dtype=dtype, device=scaled.device) for _ in range(4))
        self._in = [layout.inner(line) for line in (self.b, self.x, self.r, self.t)]
        self._couplings = [
            (-a.to(dtype), layout.shifted(self.x, offset))
            for k, (a, offset) in enumerate(zip(scaled, layout.offsets, strict=True))
            if k != layout.centre and a.any()
        ]
        before = [(k.to(dtype), o) for k, o in zip(lower, layout.offsets) if k.any()]
        self._diagonal = diagonal.to(dtype)
        # (Tᵀ t)_i = Σ_o (k_o t)_(i − o)
        wide = [(layout.widen(k), tuple(-o for o in offset)) for k, offset in before]
        self._back = [(layout.shifted(k, o), layout.shifted(self.t, o)) for k, o in wide]
        self._ahead = [[(k, layout.shifted(line, o)) for k, o in before] for line in (self.b, self.r)]

    def scale(self, factor: float) -> None:
        """Multiply T."""
        self._diagonal.mul_(factor)
        for weights, _ in (*self._ahead[0], *self._back):
            weights.mul_(factor)

    def residual(self) -> None:
        """R = b − Â x."""
        b, x, r, _ = self._in
        torch.sub(b, x, out=r)
        _add(r, self._couplings)

    def start(self) -> None:
        """X = S b."""
        b, x, _, t = self._in
        torch.mul(b, self._diagonal, out=t)
        _add(t, self._ahead[0])
        torch.mul(t, self._diagonal, out=x)
        _add(x, self._back)

    def sweep(self) -> None:
        """X ← x + S (b − Â x)."""
        self.residual()
        _, x, r, t = self._in
        torch.mul(r, self._diagonal, out=t)
        _add(t, self._ahead[1])
        x.addcmul_(t, self._diagonal)
        _add(x, self._back)

    def largest_eigenvector(self, start: Tensor, steps: int) -> tuple[Tensor, float, float]:
        """Of T Â Tᵀ by Lanczos steps from `start` ``(length,)``: a vector, its Ritz value, and a bound.

        An eigenvalue lies within the residual of the Ritz value.
        """
        b, x, r, t = self._in
        b.zero_()
        basis, alphas, betas = [start / start.norm()], [], []
        for _ in range(steps):
            t.copy_(basis[-1])
            torch.mul(t, self._diagonal, out=x)
            _add(x, self._back)
            self.residual()
            w = torch.mul(r, -self._diagonal)
            for k, seen in self._ahead[1]:
                w.addcmul_(k, seen, value=-1)
            alphas.append(float(w @ basis[-1]))
            w.sub_(basis[-1], alpha=alphas[-1])
            if len(basis) > 1:
                w.sub_(basis[-2], alpha=betas[-1])
            betas.append(float(w.norm()))
            if betas[-1] <= 1e-6 * alphas[0]:
                break
            basis.append(w / betas[-1])
        m = len(alphas)
        off = torch.tensor(betas[: m - 1], dtype=torch.float64)
        tridiagonal = torch.diag(torch.tensor(alphas, dtype=torch.float64)) + torch.diag(off, 1) + torch.diag(off, -1)
        values, vectors = torch.linalg.eigh(tridiagonal)
        top = vectors[:, -1]
        found = torch.zeros_like(basis[0])
        for weight, vector in zip(top.tolist(), basis[:m], strict=True):
            found.add_(vector, alpha=weight)
        value = float(values[-1])
        return found, value, value + betas[-1] * abs(float(top[-1]))


def _add(out: Tensor, terms: Sequence[Term]) -> None:
    for a, b in terms:
        out.addcmul_(a, b)


class _Way:
    """P and Pᵀ in the scaled variables of two levels."""

    def __init__(
        self,
        fine: Sweeper,
        coarse: Layout,
        right: Tensor,
        left: Tensor,
        parts: Sequence[tuple[tuple[int, ...], Sequence[tuple[Offset, Tensor]]]],
        halved: Sequence[bool],
    ) -> None:
        self._right, self._left = coarse.inner(right), coarse.inner(left)
        dtype, device, slots = right.dtype, right.device, coarse.slots
        self._down, self._up = [], []
        self._room = coarse.zeros(dtype=dtype, device=device)
        room = coarse.inner(self._room)
        for parity, taps in parts:
            seen, part = fine.layout.view_of(fine._in[2], coarse, halved, parity)
            corrected, _ = fine.layout.view_of(fine._in[1], coarse, halved, parity)
            own = coarse.zeros(dtype=dtype, device=device)
            down, up = [], []
            for offset, weight in taps:
                wide = coarse.widen(weight.to(dtype))
                back = tuple(-o for o in offset)
                down.append((coarse.shifted(wide, back), coarse.shifted(own, back)))
                up.append((coarse.inner(wide), coarse.shifted(left, offset)))
            self._down.append((coarse.inner(own).view(slots)[part], seen, down))
            self._up.append((corrected, room.view(slots)[part], up))
        self._sum = room

    def restrict(self) -> None:
        """The right side of the coarser level from the residual of the finer one."""
        self._right.zero_()
        for own, seen, terms in self._down:
            own.copy_(seen)
            _add(self._right, terms)

    def correct(self) -> None:
        """Add the solution of the coarser level to that of the finer one."""
        for target, own, terms in self._up:
            (first, seen), *rest = terms
            torch.mul(first, seen, out=self._sum)
            _add(self._sum, rest)
            target.add_(own)


class _Coarsest:
    """The pseudo-inverse."""

    def __init__(self, layout: Layout, places: Tensor, inverse: Tensor, dtype: torch.dtype) -> None:
        self.b, self.x = (layout.zeros(dtype=dtype, device=inverse.device) for _ in range(2))
        self._b, self._x = layout.inner(self.b), layout.inner(self.x)
        self._places, self._inverse = places, inverse.to(dtype)

    def solve(self) -> None:
        self._x[self._places] = self._inverse @ self._b[self._places]


class Cycle:
    """B of a :class:`Hierarchy`, without derivatives, in float32 where that is enough.

    Parameters
    ----------
    hierarchy : Hierarchy
    dtype : torch.dtype
    """

    def __init__(self, hierarchy: Hierarchy, dtype: torch.dtype = torch.float32) -> None:
        self._sweeps, self._repeats = hierarchy.sweeps, hierarchy.repeats
        self.levels = [level.sweeper(dtype) for level in hierarchy.levels]
        self._last = _Coarsest(hierarchy.coarsest, hierarchy.places, hierarchy.inverse, dtype)
        self._ways = []
        below = [*hierarchy.levels, None][1:]
        for number, (level, coarser) in enumerate(zip(hierarchy.levels, below, strict=True)):
            under = self.levels[number + 1] if coarser is not None else self._last
            root = None if coarser is None else coarser.root
            parts = level.scaled_transfer(root)
            self._ways.append(
                _Way(self.levels[number], level.transfer.coarse, under.b, under.x, parts, level.transfer.halved)
            )
        first = hierarchy.levels[0] if hierarchy.levels else None
        self.layout = first.layout if first is not None else hierarchy.coarsest
        self._root = None if first is None else first.root.to(dtype)

    def run(self, b: Tensor) -> Tensor:
        """B b for a line ``(length,)`` without margins; the memory is used again by the next call."""
        if self._root is None:
            self.layout.inner(self._last.b).copy_(b)
            self._last.solve()
            return self.layout.inner(self._last.x)
        first = self.levels[0]
        torch.mul(b, self._root, out=self.layout.inner(first.b))
        self._visit(0)
        return torch.mul(self.layout.inner(first.x), self._root, out=self.layout.inner(first.t))

    def _visit(self, number: int) -> None:
        """X from b on one level."""
        if number == len(self.levels):
            self._last.solve()
            return
        level, way = self.levels[number], self._ways[number]
        for visit in range(self._repeats[number]):
            level.sweep() if visit else level.start()
            for _ in range(self._sweeps - 1):
                level.sweep()
            level.residual()
            way.restrict()
            self._visit(number + 1)
            way.correct()
            for _ in range(self._sweeps):
                level.sweep()
