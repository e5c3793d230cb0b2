"""The levels of a learned cycle: scaled stencils, factors of the smoother, transfers; differentiable."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sciml.errors import UnsupportedError
from sciml.linear.learned.cycle import Sweeper
from sciml.linear.learned.layout import Layout, Parity
from sciml.linear.learned.networks import CycleNetwork
from sciml.linear.learned.transfers import Transfer, choose_halved
from sciml.linear.stencils import Grid, Offset

__all__ = ["Hierarchy", "Level", "stencil_of"]

DIRECT = 600
"""Unknowns of the coarsest system, which is solved by its pseudo-inverse."""
_MOST_DIRECT = 4000
"""Unknowns that nothing coarser can be made of, up to which that is still done."""
_TWICE = (1, 2)
"""Levels that are visited several times; what lies below them hardly counts."""
_STEPS = 7
"""Of the Lanczos iteration for the largest eigenvalue."""
_SINGULAR = 1e-9
"""Of a pivot relative to the diagonal: what counts as zero."""
_UPPER, _START = 1.9, 1.5
"""Bound and start of the relaxation times the largest eigenvalue of the smoothed operator; 2 would be the limit."""


def stencil_of(grid: Grid, layout: Layout, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """The stencil of a grid as lines ``(3^dim, length)``."""
    out = torch.zeros(len(layout.offsets), *layout.slots, dtype=dtype)
    inner = tuple(slice(0, n) for n in layout.shape)
    for offset, values in grid.stencil.items():
        out[layout.offsets.index(offset)][inner] = torch.as_tensor(values).to(dtype)
    return out.view(len(layout.offsets), -1).to(device)


@dataclass
class Level:
    """One level in the variables û = √D u, in which the diagonal of A is 1.

    Attributes
    ----------
    layout : Layout
    scaled : (3^dim, length) tensor
        Â = D^−½ A D^−½.
    root : (length,) tensor
        D^−½, 0 where there is no unknown.
    diagonal : (length,) tensor
        Of the factor T of the smoother S = Tᵀ T.
    lower : (m, length) tensor
        Couplings of T to the offsets before the centre.
    transfer : Transfer
        Between the unscaled variables.
    made : Sweeper or None
        The level in place, in float32, where no derivatives are wanted.
    """

    layout: Layout
    scaled: Tensor
    root: Tensor
    diagonal: Tensor
    lower: Tensor
    transfer: Transfer
    made: Sweeper | None = None

    def sweeper(self, dtype: torch.dtype) -> Sweeper:
        """The same in place."""
        if self.made is not None and self.made.dtype == dtype:
            return self.made
        return Sweeper(self.layout, self.scaled, self.diagonal, self.lower, dtype)

    def scaled_transfer(self, root: Tensor | None) -> list[tuple[Parity, list[tuple[Offset, Tensor]]]]:
        """P in the scaled variables of this level and of the coarser one, whose D^−½ is given."""
        transfer, out = self.transfer, []
        wide = None if root is None else transfer.coarse.widen(root)
        for parity in transfer.parities:
            own = self.layout.select(self.rise, transfer.coarse, transfer.halved, parity)
            taps = []
            for (p, tap), weight in transfer.weights.items():
                if p == parity and weight.any():
                    scaled = own * weight
                    taps.append((tap, scaled if wide is None else scaled * transfer.coarse.shifted(wide, tap)))
            if taps:
                out.append((parity, taps))
        return out

    @cached_property
    def rise(self) -> Tensor:
        """D^½."""
        return torch.where(self.root > 0, 1 / torch.where(self.root > 0, self.root, 1.0), 0.0)

    def multiply(self, u: Tensor) -> Tensor:
        """Â u."""
        wide = self.layout.widen(u)
        total = torch.zeros_like(u)
        for a, offset in zip(self.scaled, self.layout.offsets, strict=True):
            total = total + a * self.layout.shifted(wide, offset)
        return total

    def smooth(self, r: Tensor) -> Tensor:
        """Tᵀ T r."""
        layout = self.layout
        before = layout.offsets[: layout.centre]
        wide = layout.widen(r)
        t = self.diagonal * r
        for k, offset in zip(self.lower, before, strict=True):
            t = t + k * layout.shifted(wide, offset)
        return self.smooth_back(t)

    def smooth_back(self, t: Tensor) -> Tensor:
        """Tᵀ t."""
        layout = self.layout
        z = self.diagonal * t
        for k, offset in zip(self.lower, layout.offsets):
            z = z + layout.shifted(layout.widen(k * t), tuple(-o for o in offset))
        return z


class Hierarchy:
    """All levels of a system, and B: one symmetric positive definite cycle.

    On each level, in one or two steps from x = 0 ::

        x ← x + S (b − A x),   x ← x + P B_coarse Pᵀ (b − A x),   x ← x + S (b − A x),   S = Tᵀ T

    T is a lower triangular stencil with a positive diagonal, so that S is symmetric positive definite whatever the
    network says; it is scaled so that the eigenvalues of S A are below 2. The coarse matrix is Pᵀ A P, which is
    definite where A is, and solved exactly on the coarsest level. Then, from the coarsest level upwards, I − B A =
    (I − S A)(I − P B_coarse Pᵀ A)(I − S A) contracts in the energy norm, as its factors do not expand and the smoother
    contracts: B is symmetric, and positive definite.

    An untrained T is I − L with L the part of D^−½ A D^−½ before the diagonal, the first terms of symmetric
    Gauss–Seidel.

    Parameters
    ----------
    stencil : (3^dim, length) tensor
        Of A; differentiable.
    layout : Layout
    network : CycleNetwork, optional
        Without it the cycle is the untrained one.
    sweeps : int
        Before and after each correction.
    visits : int
        Of the two levels below the finest: 1 for a V-cycle; 2 has the iterations of a W-cycle for less.

    Raises
    ------
    UnsupportedError
        Many unknowns of which nothing coarser can be made.

    Notes
    -----
    The largest eigenvalue is the largest Ritz value of some Lanczos steps and its residual on top.
    """

    def __init__(
        self, stencil: Tensor, layout: Layout, network: CycleNetwork | None = None, *, sweeps: int = 1, visits: int = 2
    ) -> None:
        self.sweeps, self.visits, self.levels = sweeps, visits, list[Level]()
        while True:
            known = stencil[layout.centre] > 0
            count = int(known.sum())
            halved = choose_halved(stencil.detach(), layout)
            if count <= DIRECT or not any(halved):
                break
            level = _level(stencil, layout, halved, network)
            self.levels.append(level)
            stencil, layout = level.transfer.galerkin(), level.transfer.coarse
        if count > _MOST_DIRECT:
            raise UnsupportedError(
                f"learned_mg needs unknowns that are coupled along an axis of the grid, and {count} are left that are "
                f"not; take icc."
            )
        self.coarsest, self.places, self.inverse = layout, torch.nonzero(known)[:, 0], _inverse(stencil, layout, known)

    @property
    def repeats(self) -> list[int]:
        """Visits of each level."""
        return [self.visits if number in _TWICE else 1 for number in range(len(self.levels))]

    def apply(self, b: Tensor) -> Tensor:
        """B b for lines ``(…, length)`` without margins, in the variables of A."""
        return self._cycle(0, b)

    def apply_coarsest(self, b: Tensor) -> Tensor:
        """The pseudo-inverse on the coarsest level."""
        return torch.zeros_like(b).index_copy(-1, self.places, b[..., self.places] @ self.inverse)

    def _cycle(self, number: int, b: Tensor) -> Tensor:
        if number == len(self.levels):
            return self.apply_coarsest(b)
        level = self.levels[number]
        b, x = level.root * b, torch.zeros_like(b)
        for visit in range(self.repeats[number]):
            x = level.smooth(b) if not visit else x + level.smooth(b - level.multiply(x))
            for _ in range(self.sweeps - 1):
                x = x + level.smooth(b - level.multiply(x))
            # Â = D^−½ A D^−½, so residuals go back by D^½ and corrections by its inverse.
            rest = level.transfer.restrict(level.rise * (b - level.multiply(x)))
            x = x + level.rise * level.transfer.prolong(self._cycle(number + 1, rest))
            for _ in range(self.sweeps):
                x = x + level.smooth(b - level.multiply(x))
        return level.root * x


def _level(stencil: Tensor, layout: Layout, halved: tuple[bool, ...], network: CycleNetwork | None) -> Level:
    diagonal = stencil[layout.centre]
    known = diagonal > 0
    root = torch.where(known, torch.where(known, diagonal, 1.0).rsqrt(), 0.0)
    wide = layout.widen(root)
    scaled = torch.stack([a * root * layout.shifted(wide, o) for a, o in zip(stencil, layout.offsets, strict=True)])
    lower, unit = -scaled[: layout.centre], known.to(stencil.dtype)
    relaxation, tilt = stencil.new_tensor(_START), None
    if network is not None:
        advice = network(scaled.to(next(network.parameters()).dtype), layout)
        # A coupling of T joins two unknowns.
        both = layout.widen(unit)
        beside = torch.stack([unit * layout.shifted(both, o) for o in layout.offsets[: layout.centre]])
        lower = lower + advice.lower.to(stencil) * beside
        unit = unit * torch.exp(advice.stretch.clamp(-2, 2)).to(stencil)
        tilt = advice.tilt.to(stencil)
        relaxation = _UPPER * torch.sigmoid(advice.relaxation.to(stencil) + _logit(_START / _UPPER))
    level = Level(layout, scaled, root, unit, lower, Transfer(stencil, layout, halved, tilt))
    sweeper = level.sweeper(torch.float32)
    scale = (relaxation / largest_eigenvalue(level, sweeper)).sqrt()
    level.diagonal, level.lower = scale * unit, scale * lower
    if not torch.is_grad_enabled():
        sweeper.scale(float(scale))
        level.made = sweeper
    return level


def _logit(share: float) -> float:
    return float(torch.logit(torch.tensor(share, dtype=torch.float64)))


def largest_eigenvalue(level: Level, sweeper: Sweeper, steps: int = _STEPS) -> Tensor:
    """A bound of the largest eigenvalue of S Â by a few Lanczos steps; differentiable as a Rayleigh quotient."""
    with torch.no_grad():
        # Rough, so that no rough eigenvector is orthogonal to it.
        places = torch.arange(level.layout.length, device=level.root.device, dtype=torch.float32)
        rough = torch.frac(torch.sin(12.9898 * (places % 4093)) * 437.5453) - 0.5
        vector, value, bound = sweeper.largest_eigenvector(torch.where(level.root > 0, rough, 0.0), steps)
    if not torch.is_grad_enabled():
        return level.scaled.new_tensor(bound)
    v = vector.to(level.scaled)
    image = level.smooth_back(v)
    return bound / value * (image * level.multiply(image)).sum() / (v * v).sum()


def _inverse(stencil: Tensor, layout: Layout, known: Tensor) -> Tensor:
    places = torch.nonzero(known)[:, 0]
    number = torch.full((layout.length + 2 * layout.margin,), -1, dtype=torch.int64, device=stencil.device)
    number[layout.margin + places] = torch.arange(len(places), device=stencil.device)
    matrix = stencil.new_zeros(len(places), len(places))
    for a, offset in zip(stencil, layout.offsets, strict=True):
        seen = layout.shifted(number, offset)[places]
        pair = seen >= 0
        rows = torch.arange(len(places), device=stencil.device)[pair]
        matrix = matrix.index_put((rows, seen[pair]), a[places[pair]])
    # A constant of the training: the pseudo-inverse has no stable derivative where the matrix is singular.
    matrix = matrix.detach().double()
    if not len(places):
        return matrix.to(stencil)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    pivots = factor.diagonal() ** 2 / matrix.diagonal()
    if not failed and float(pivots.min()) > _SINGULAR:
        return torch.cholesky_inverse(factor).to(stencil)
    return torch.linalg.pinv(matrix, hermitian=True, rtol=1e-10).to(stencil)
