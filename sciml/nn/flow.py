"""A normalising flow that lives on a box: a probability density that starts exactly uniform.

Points are carried to ℝ^d by the logit of their place in the box, changed there by couplings, and compared with the
logistic law, which is what the logit makes of the uniform one. Along one coordinate a coupling is

    h(y) = μ + b + asinh(e^k sinh(y − μ)),   h′(y) = e^k cosh(y − μ) / √(1 + e^2k sinh²(y − μ)),

with k, μ, b from a perceptron of the other coordinates. It stretches by e^k near μ and by nothing far away, so that the
density and all its derivatives stay finite up to the walls, and its inverse has the same form with −k. (Affine maps
y ↦ a y + b, which KRnet uses, make the density vanish or blow up like distance^(a−1) at a wall.)

Sources: K. Tang, X. Wan and Q. Liao, "Deep density estimation via invertible block-triangular mapping" (KRnet), Theor.
Appl. Mech. Lett. 10 (2020); L. Zeng, X. Wan and T. Zhou, "Bounded KRnet", arXiv 2305.09063, for a base that is uniform
on the box.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sciml.errors import OptionError
from sciml.nn.mlp import MLP

__all__ = ["BoxFlow"]

_REACH = 5.0
"""Largest |μ| in logits: places within 0.7 % of a wall are reached by shifts only."""


class BoxFlow(torch.nn.Module):
    """A density on a box that can be evaluated, sampled and trained.

    Parameters
    ----------
    lower, upper : sequence of float
        Opposite corners.
    couplings : int
        Each changes half of the coordinates, given the other half; in one dimension, the only one.
    bins : int, optional
        Of a last map of each coordinate by itself, whose slope is linear in each bin: 64 in one dimension, where
        couplings have nothing to be given, and none (0) in more.
    width : int
        Of the hidden layer (tanh) of each coupling's perceptron.
    stretch : float
        Largest |k| of one layer, so that it compresses by at most e^stretch.
    generator : torch.Generator, optional
        For the initial weights; a fresh one with seed 0 by default, never the global one. The density starts uniform
        whatever they are, since the last layer of each perceptron starts at zero.
    dtype, device
        Of the weights; "meta" is allowed.

    Raises
    ------
    OptionError
        A box that is empty or infinite, or numbers that are not positive.

    Notes
    -----
    All methods map row by row and are differentiable to any order, in the points as in the weights. Densities are
    *relative*: 1 is the uniform density 1/|box|. Good values: 6 couplings of width 24 in two dimensions.
    """

    lower: Tensor
    extent: Tensor

    def __init__(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        couplings: int = 6,
        width: int = 24,
        *,
        stretch: float = 2.0,
        bins: int | None = None,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self._lower, self._upper = [float(a) for a in lower], [float(b) for b in upper]
        self.couplings, self.width, self.stretch = couplings, width, stretch
        self.dim = len(self._lower)
        self.bins = (64 if self.dim == 1 else 0) if bins is None else bins
        self._check()
        if generator is None and torch.device(device).type != "meta":
            generator = torch.Generator(device).manual_seed(0)
        extent = [b - a for a, b in zip(self._lower, self._upper)]
        self.register_buffer("lower", torch.tensor(self._lower, dtype=dtype, device=device), persistent=False)
        self.register_buffer("extent", torch.tensor(extent, dtype=dtype, device=device), persistent=False)
        settings: dict[str, Any] = {"dtype": dtype, "device": device}
        layers: list[torch.nn.Module] = []
        for k in range(couplings):
            if k % 2 == 0:
                layers.append(_Coordinatewise(self.dim, stretch, **settings))
            if self.dim > 1:
                given = _given(self.dim, k)
                layers.append(_Coupling(given, self.dim - given, width, stretch, generator=generator, **settings))
            elif k % 2:
                layers.append(_Coordinatewise(1, stretch, **settings))
        if self.bins:
            layers.append(_Bins(self.dim, self.bins, **settings))
        self.layers = torch.nn.ModuleList(layers)

    def _check(self) -> None:
        corners = f"from {self._lower} to {self._upper}"
        if len(self._lower) != len(self._upper) or not self._lower:
            raise OptionError(f"A flow on the box {corners}; give two corners with the same number of coordinates.")
        if not all(math.isfinite(a) and math.isfinite(b) and a < b for a, b in zip(self._lower, self._upper)):
            raise OptionError(f"A flow on the box {corners}, which is empty or infinite; give lower < upper, finite.")
        if self.couplings < 1 or self.width < 1 or not 0 < self.stretch < math.inf or self.bins < 0:
            given = f"couplings={self.couplings}, width={self.width}, stretch={self.stretch:g}, bins={self.bins}"
            raise OptionError(f"A flow with {given}; the first three must be positive, and bins at least 0.")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Points of the box to points of the unit box that are uniform if x has this density.

        Parameters
        ----------
        x : (n, dim) tensor

        Returns
        -------
        (n, dim) tensor, (n,) tensor
            Points in (0, 1)^dim, and log |det ∂/∂ξ| with ξ = (x − lower) / extent, which is the logarithm of the
            relative density.
        """
        y = torch.logit((x - self.lower) / self.extent, eps=_margin(x.dtype))
        z, log_slopes = self._layers(y)
        return torch.sigmoid(z), log_slopes + (_log_logistic(z) - _log_logistic(y)).sum(dim=1)

    def inverse(self, unit: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of :meth:`forward`, with the logarithm of its own determinant (minus that of forward)."""
        z = torch.logit(unit, eps=_margin(unit.dtype))
        y, change = z, torch.zeros_like(z[:, 0])
        for layer in reversed(self.layers):
            y, log_slope = layer.inverse(y)  # type: ignore[operator]
            change = change + log_slope
        log_det = change + (_log_logistic(y) - _log_logistic(z)).sum(dim=1)
        return self.lower + self.extent * torch.sigmoid(y), log_det

    def log_relative_density(self, x: Tensor) -> Tensor:
        """The logarithm of |box| p(x), ``(n,)``: zero where the density is that of the uniform law."""
        y = torch.logit((x - self.lower) / self.extent, eps=_margin(x.dtype))
        z, log_slopes = self._layers(y)
        return log_slopes + (_log_logistic(z) - _log_logistic(y)).sum(dim=1)

    def log_density(self, x: Tensor) -> Tensor:
        """The logarithm of p(x), ``(n,)``, with ∫ p dx = 1 over the box; meaningless outside of it."""
        return self.log_relative_density(x) - self.extent.log().sum()

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw `n` points: ``(n, dim)``, without a graph; from a fresh generator with seed 0 by default."""
        if generator is None:
            generator = torch.Generator(self.lower.device).manual_seed(0)
        settings: dict[str, Any] = {"dtype": self.lower.dtype, "device": self.lower.device}
        with torch.no_grad():
            return self.inverse(torch.rand(n, self.dim, generator=generator, **settings))[0]

    def manifest(self) -> dict[str, Any]:
        """What is needed to build the same flow again: the constructor's arguments."""
        return {
            "lower": self._lower,
            "upper": self._upper,
            "couplings": self.couplings,
            "width": self.width,
            "stretch": self.stretch,
            "bins": self.bins,
        }

    def _layers(self, y: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.zeros_like(y[:, 0])
        for layer in self.layers:
            y, log_slope = layer(y)
            total = total + log_slope
        return y, total


class _Coordinatewise(torch.nn.Module):
    """One map h for each coordinate, the same everywhere: a scale of the whole density along each axis."""

    def __init__(self, dim: int, stretch: float, *, dtype: torch.dtype, device: torch.device | str) -> None:
        super().__init__()
        self.raw = torch.nn.Parameter(torch.zeros(1, 3 * dim, dtype=dtype, device=device))
        self.stretch = stretch

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return _bend(y, *_bounded(self.raw, self.stretch))

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return _unbend(y, *_bounded(self.raw, self.stretch))


class _Coupling(torch.nn.Module):
    """[a, b] ↦ [h(b; a), a]: the changed part comes first, so that the next coupling changes the other."""

    def __init__(
        self,
        given: int,
        changed: int,
        width: int,
        stretch: float,
        *,
        generator: torch.Generator | None,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:
        super().__init__()
        self.sizes, self.stretch = [given, changed], stretch
        self.net = MLP([given, width, 3 * changed], generator=generator, dtype=dtype, device=device)
        last: Any = self.net.branches[0][-1]  # type: ignore[index]
        torch.nn.init.zeros_(last.weight)

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        a, b = y.split(self.sizes, dim=1)
        b, log_slope = _bend(b, *self._law(a))
        return torch.cat([b, a], dim=1), log_slope

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        b, a = y.split(self.sizes[::-1], dim=1)
        b, log_slope = _unbend(b, *self._law(a))
        return torch.cat([a, b], dim=1), log_slope

    def _law(self, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # tanh(y/2) = 2 sigmoid(y) − 1 is the coordinate within the box again.
        return _bounded(self.net(torch.tanh(a / 2)), self.stretch)


class _Bins(torch.nn.Module):
    """t ↦ ∫₀ᵗ f for each coordinate t of the unit box, with a density f that is linear in each of n equal bins."""

    def __init__(self, dim: int, bins: int, *, dtype: torch.dtype, device: torch.device | str) -> None:
        super().__init__()
        self.raw = torch.nn.Parameter(torch.zeros(dim, bins + 1, dtype=dtype, device=device))
        self.bins = bins

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        t, (nodes, sums) = torch.sigmoid(y), self._density()
        k = (t.detach() * self.bins).long().clamp(0, self.bins - 1)
        left, right, below = self._at(nodes, k), self._at(nodes, k + 1), self._at(sums, k)
        s = t * self.bins - k
        z = torch.logit(below + (s * left + s * s * (right - left) / 2) / self.bins, eps=_margin(y.dtype))
        slope = torch.log(left + s * (right - left)) + _log_logistic(y) - _log_logistic(z)
        return z, slope.sum(dim=1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        u, (nodes, sums) = torch.sigmoid(z), self._density()
        k = torch.searchsorted(sums.detach(), u.detach().T.contiguous(), right=True).T - 1
        k = k.clamp(0, self.bins - 1)
        left, right, below = self._at(nodes, k), self._at(nodes, k + 1), self._at(sums, k)
        # The root of left s + (right − left) s²/2 = rest, written so that nothing cancels.
        rest = (self.bins * (u - below)).clamp_min(0)
        s = 2 * rest / (left + torch.sqrt(left * left + 2 * (right - left) * rest))
        y = torch.logit((k + s) / self.bins, eps=_margin(z.dtype))
        slope = torch.log(left + s * (right - left)) + _log_logistic(y) - _log_logistic(z)
        return y, -slope.sum(dim=1)

    def _density(self) -> tuple[Tensor, Tensor]:
        """Values at the nodes, scaled so that the integral is 1, and the integral up to each node."""
        nodes = torch.exp(self.raw)
        sums = torch.cumsum((nodes[:, 1:] + nodes[:, :-1]) / (2 * self.bins), dim=1)
        total = sums[:, -1:]
        return nodes / total, torch.cat([torch.zeros_like(total), sums / total], dim=1)

    @staticmethod
    def _at(table: Tensor, k: Tensor) -> Tensor:
        """Entries (dim, ·) of a table at the places (n, dim)."""
        return torch.gather(table, 1, k.T).T


def _given(dim: int, layer: int) -> int:
    """How many coordinates a coupling is given; it varies where halves would stay the same for ever."""
    return dim // 2 - (layer % 2 if dim % 2 == 0 and dim > 2 else 0)


def _bounded(raw: Tensor, stretch: float) -> tuple[Tensor, Tensor, Tensor]:
    """k, μ and b; all zero, which is the identity, for zeros."""
    k, centre, shift = torch.tanh(raw).chunk(3, dim=1)
    return stretch * k, _REACH * centre, stretch * shift


def _bend(y: Tensor, k: Tensor, centre: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """The map h, and the sum over coordinates of log h′ = k + ½ log(1 + sinh²) − ½ log(1 + e^2k sinh²)."""
    before = torch.sinh(y - centre)
    after = torch.exp(k) * before
    log_slope = k + 0.5 * (torch.log1p(before * before) - torch.log1p(after * after))
    return torch.asinh(after) + (centre + shift), log_slope.sum(dim=1)


def _unbend(y: Tensor, k: Tensor, centre: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of h, which is h with −k about another centre, and the logarithm of its slope."""
    return _bend(y, -k, centre + shift, -shift)


def _log_logistic(y: Tensor) -> Tensor:
    """The logarithm of the logistic density e^y / (1 + e^y)²."""
    return torch.nn.functional.logsigmoid(y) + torch.nn.functional.logsigmoid(-y)


def _margin(dtype: torch.dtype) -> float:
    """How near to a wall (relative) points are told apart, so that logits stay finite."""
    return 1e-12 if dtype == torch.float64 else 1e-6
