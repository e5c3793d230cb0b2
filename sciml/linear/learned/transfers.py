"""Interpolation that follows the operator, and the matrix of coarser cells that belongs to it, by array operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sciml.linear.learned.layout import Layout, Parity, parities
from sciml.linear.stencils import Offset

__all__ = ["Transfer", "choose_halved"]

_WEAK = 0.02
"""Of the diagonal: below it what is left of a collapsed stencil counts as nothing."""
_SEMI = 4.0
"""Times by which couplings along an axis may be weaker than along the strongest one, for it to be halved too."""


def choose_halved(stencil: Tensor, layout: Layout) -> tuple[bool, ...]:
    """The axes to halve: those along which the stencil, summed over the other axes, couples strongly.

    Parameters
    ----------
    stencil : (3^dim, length) tensor
    layout : Layout
    """
    diagonal = stencil[layout.centre]
    known = diagonal > 0
    inverse = known / torch.where(known, diagonal, 1.0)
    grid = stencil.view(*(3,) * layout.dim, -1)
    strength = []
    for axis, n in enumerate(layout.shape):
        ahead = grid.select(axis, 2).flatten(0, -2).sum(0)
        strength.append(float((-ahead * inverse).clamp(min=0).sum()) if n > 1 else 0.0)
    strongest = max(strength)
    return tuple(s > 0 and _SEMI * s > strongest for s in strength)


class Transfer:
    """P and Pᵀ between a grid and its coarser cells, and Pᵀ A P.

    A coarser cell is a cell with odd numbers along the halved axes; it is interpolated to itself. A cell between them
    along the axes E takes ::

        u = −(Σ_(o ≠ 0) c_o u_o)/c_0,   c_o = Σ of the stencil over the offsets that are o on E

    with neighbours u_o that are coarser cells or between fewer axes: the stencil is collapsed along the axes where
    the cell is in line, and what that equation says is exact where the solution is constant along them. Where the
    collapsed stencil has no diagonal left, the signs of the couplings decide alone.

    Parameters
    ----------
    stencil : (3^dim, length) tensor
        Of the finer grid, zero where there is no unknown; differentiable.
    layout : Layout
    halved : (dim,) sequence of bool
    tilt : (dim, length) tensor, optional
        Added to the logarithm of w₊/w₋, the two weights of a cell between two coarser ones along one axis; 0 by
        default.

    Attributes
    ----------
    coarse : Layout
    weights : mapping from (parity, offset) to (length of the coarser layout,) tensor
        Of the cells of a parity, at the index of the coarser cell above (offset 0) or below (−1) them.

    Notes
    -----
    J. E. Dendy, Black box multigrid, J. Comput. Phys. 48 (1982) 366, for cells between one and two axes.
    """

    def __init__(self, stencil: Tensor, layout: Layout, halved: Sequence[bool], tilt: Tensor | None = None) -> None:
        self.fine, self.halved = layout, tuple(halved)
        self.coarse = layout.coarser(halved)
        self.parities = parities(halved)
        self._selected = {p: layout.select(stencil, self.coarse, halved, p) for p in self.parities}
        one = (self._selected[()][layout.centre] > 0).to(stencil.dtype)
        none = (0,) * layout.dim
        self.weights: dict[tuple[Parity, Offset], Tensor] = {((), none): one}
        self._wide: dict[tuple[Parity, Offset], Tensor] = {((), none): self.coarse.widen(one)}
        for parity in self.parities[1:]:
            self._add(parity, None if tilt is None else layout.select(tilt, self.coarse, halved, parity))

    # -- weights -------------------------------------------------------------------------------------------------

    def _add(self, parity: Parity, tilt: Tensor | None) -> None:
        collapsed = self._collapsed(parity)
        parts = self._parts(collapsed, parity)
        if tilt is not None and len(parity) == 1:
            parts = _tilted(parts, parity[0], tilt[parity[0]])
        found: dict[Offset, Tensor] = {}
        for offset, share in parts.items():
            left = tuple(axis for axis in parity if not offset[axis])
            # Along E the neighbour ahead has the same number, and the one behind the number before.
            start = tuple(-1 if o < 0 else 0 for o in offset)
            for (other, tap), weight in self._wide.items():
                if other == left:
                    place = tuple(s + t for s, t in zip(start, tap, strict=True))
                    term = share * self.coarse.shifted(weight, start)
                    found[place] = found[place] + term if place in found else term
        for place, weight in found.items():
            self.weights[parity, place] = weight
            self._wide[parity, place] = self.coarse.widen(weight)

    def _collapsed(self, parity: Parity) -> dict[Offset, Tensor]:
        """The stencil of a parity summed over the axes that are not in it."""
        out: dict[Offset, Tensor] = {}
        for k, offset in enumerate(self.fine.offsets):
            kept = tuple(o if axis in parity else 0 for axis, o in enumerate(offset))
            a = self._selected[parity][k]
            out[kept] = out[kept] + a if kept in out else a
        return out

    def _parts(self, collapsed: dict[Offset, Tensor], parity: Parity) -> dict[Offset, Tensor]:
        """−c_o/c_0, within 0 and 1 for one axis."""
        none = (0,) * self.fine.dim
        diagonal = self._selected[parity][self.fine.centre]
        centre = collapsed.pop(none)
        kept = centre > _WEAK * diagonal
        negative = {o: (-c).clamp(min=0) for o, c in collapsed.items()}
        total = torch.stack(list(negative.values())).sum(0)
        unknown = diagonal > 0
        safe = torch.where(kept, centre, 1.0)
        spread = torch.where(total > 0, total, 1.0)
        parts = {}
        for offset, c in collapsed.items():
            follows = -c / safe
            if len(parity) == 1:
                follows = follows.clamp(0, 1)
            parts[offset] = torch.where(kept, follows, torch.where(unknown, negative[offset] / spread, 0.0))
        return parts

    # -- P and its transpose ---------------------------------------------------------------------------------------

    def prolong(self, coarse: Tensor) -> Tensor:
        """P u for lines ``(…, length)`` without margins."""
        wide = self.coarse.widen(coarse)
        out = coarse.new_zeros(*coarse.shape[:-1], *self.fine.slots)
        for parity in self.parities:
            terms = [w * self.coarse.shifted(wide, tap) for (p, tap), w in self.weights.items() if p == parity]
            view, part = self.fine.view_of(out.view(*coarse.shape[:-1], -1), self.coarse, self.halved, parity)
            view.copy_(sum(terms, torch.zeros_like(coarse)).view(*coarse.shape[:-1], *self.coarse.slots)[part])
        return out.view(*coarse.shape[:-1], self.fine.length)

    def restrict(self, fine: Tensor) -> Tensor:
        """Pᵀ r for lines ``(…, length)`` without margins."""
        total = None
        for parity in self.parities:
            own = self.fine.select(fine, self.coarse, self.halved, parity)
            for (p, tap), w in self.weights.items():
                if p == parity:
                    back = tuple(-t for t in tap)
                    term = self.coarse.shifted(self.coarse.widen(w * own), back)
                    total = term if total is None else total + term
        assert total is not None
        return total

    # -- Pᵀ A P ----------------------------------------------------------------------------------------------------

    def galerkin(self) -> Tensor:
        """The stencil of Pᵀ A P ``(3^dim, length)``, exactly symmetric."""
        coarse = self.coarse
        out: dict[Offset, Tensor] = {}
        half = coarse.offsets[coarse.centre :]
        for parity in self.parities:
            image = self._times_prolongation(parity)
            for (own, tap), weight in self.weights.items():
                if own != parity:
                    continue
                back = tuple(-t for t in tap)
                for reach, value in image.items():
                    offset = tuple(r - t for r, t in zip(reach, tap, strict=True))
                    if offset not in half:
                        continue
                    term = weight * value
                    if any(tap):
                        term = coarse.shifted(coarse.widen(term), back)
                    out[offset] = out[offset] + term if offset in out else term
        zero = torch.zeros_like(self.weights[(), (0,) * coarse.dim])
        upper = {o: out.get(o, zero) for o in half}
        lines = []
        for offset in coarse.offsets:
            if offset in upper:
                lines.append(upper[offset])
            else:
                mirrored = upper[tuple(-o for o in offset)]
                lines.append(coarse.shifted(coarse.widen(mirrored), offset))
        return torch.stack(lines)

    def _times_prolongation(self, parity: Parity) -> dict[Offset, Tensor]:
        """A P in the rows of a parity: entries by the offset of the coarser cell."""
        out: dict[Offset, Tensor] = {}
        for k, offset in enumerate(self.fine.offsets):
            a = self._selected[parity][k]
            if not a.any():
                continue
            other, start = self._neighbour(parity, offset)
            for (own, tap), weight in self._wide.items():
                if own != other:
                    continue
                reach = tuple(s + t for s, t in zip(start, tap, strict=True))
                term = a * self.coarse.shifted(weight, start)
                out[reach] = out[reach] + term if reach in out else term
        return out

    def _neighbour(self, parity: Parity, offset: Offset) -> tuple[Parity, Offset]:
        """The parity of a cell's neighbour, and its index from that of the cell."""
        other, start = [], []
        for axis, o in enumerate(offset):
            between = axis in parity
            if self.halved[axis] and (between != bool(o)):
                other.append(axis)
            if not self.halved[axis]:
                start.append(o)
            elif between:
                start.append(-1 if o < 0 else 0)
            else:
                start.append(1 if o > 0 else 0)
        return tuple(other), tuple(start)


def _tilted(parts: Mapping[Offset, Tensor], axis: int, tilt: Tensor) -> dict[Offset, Tensor]:
    """Both weights with the same sum and another ratio."""
    (low, behind), (high, ahead) = sorted(parts.items(), key=lambda item: item[0][axis])
    total = behind + ahead
    share = ahead / torch.where(total > 0, total, 1.0)
    both = (behind > 0) & (ahead > 0)
    inside = torch.where(both, share, 0.5)
    moved = torch.where(both, torch.sigmoid(torch.logit(inside.clamp(1e-6, 1 - 1e-6)) + tilt), share)
    return {low: total * (1 - moved), high: total * moved}
