"""Between unstructured points and a grid by Fourier series, at places that a network moves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from sciml.nn.grids import reference_coordinates

__all__ = ["DeformationNet", "FourierLayers", "ModeWeights", "PointCloudNetwork", "grid_from_modes", "modes_of_grid"]

_CENTRE = 1e-4
_FREQUENCIES = 8


class DeformationNet(nn.Module):
    """ξ(x) = x + x ⊙ g(x), with a perceptron g of place, polar coordinates and their sines.

    Parameters
    ----------
    width : int
        Of each of the parts that features are mapped to.
    code : int
        Numbers that tell about the whole domain, such as radii of its boundary; 0 for none. With a code there are two
        first layers, so that the same network does without one as well.

    Notes
    -----
    Maps places ``(n, points, 2)``, and codes ``(n, code)`` if there are any, to places ``(n, points, 2)``. Features are
    x, y, angle and radius about (1e-4, 1e-4), and sin and cos of π 2^j times each, j = 0 … 7.

    Source: Z. Li, D. Z. Huang, B. Liu, A. Anandkumar, arXiv 2207.05209, with the layers of the authors' program.
    """

    def __init__(self, width: int = 32, code: int = 0) -> None:
        super().__init__()
        self.linear = nn.Linear(4, width)
        features = width + 8 * _FREQUENCIES
        if code:
            self.code = nn.Linear(code, width)
        self.first = nn.Linear(features, 4 * width)
        self.hidden = nn.ModuleList(nn.Linear(4 * width, 4 * width) for _ in range(3))
        self.last = nn.Linear(4 * width, 2)

    def forward(self, x: torch.Tensor, code: torch.Tensor | None = None) -> torch.Tensor:
        away = x - _CENTRE
        angle = torch.atan2(away[..., 1:], away[..., :1])
        features = torch.cat([x, angle, away.norm(dim=-1, keepdim=True)], dim=-1)
        frequencies = math.pi * 2.0 ** torch.arange(_FREQUENCIES, dtype=x.dtype, device=x.device)
        waves = (features[..., None] * frequencies).flatten(-2)
        y = torch.cat([self.linear(features), waves.sin(), waves.cos()], dim=-1)
        if code is None:
            y = torch.tanh(self.first(y))
        else:
            known = self.code(code)[:, None].expand(-1, y.shape[1], -1)
            y = torch.cat([known, y], dim=-1)
        for layer in self.hidden:
            y = torch.tanh(layer(y))
        return x + x * self.last(y)


class ModeWeights(nn.Module):
    """A complex matrix of channels for each Fourier mode (k1, k2), −m1 / 2 ≤ k1 < m1 / 2 and 0 ≤ k2 < m2 / 2.

    Maps ``(n, c_in, m1, m2 // 2)`` to ``(n, c_out, m1, m2 // 2)``; starts uniform in [0, 1 / (c_in c_out)], real and
    imaginary parts alike.
    """

    def __init__(self, inputs: int, outputs: int, modes: Sequence[int]) -> None:
        super().__init__()
        shape = (inputs, outputs, modes[0], modes[1] // 2)
        self.weight = nn.Parameter(torch.rand(shape, dtype=torch.complex64) / (inputs * outputs))

    def forward(self, modes: torch.Tensor) -> torch.Tensor:
        return torch.einsum("nikl,iokl->nokl", modes, self.weight)


def modes_of_grid(values: torch.Tensor, modes: Sequence[int]) -> torch.Tensor:
    """The lowest modes ``(n, c, m1, m2 // 2)`` of values ``(n, c, s1, s2)``, as means of values times waves."""
    kept = torch.fft.rfft(values, norm="forward").narrow(-1, 0, modes[1] // 2)
    kept = torch.fft.fft(kept, dim=-2, norm="forward")
    half = modes[0] // 2
    return torch.cat([kept.narrow(-2, values.shape[-2] - half, half), kept.narrow(-2, 0, half)], dim=-2)


def grid_from_modes(modes: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
    """The real values ``(n, c, s1, s2)`` of a series with modes ``(n, c, m1, m2 // 2)``."""
    half = modes.shape[-2] // 2
    gap = modes.new_zeros(*modes.shape[:2], grid[0] - 2 * half, modes.shape[-1])
    full = torch.cat([modes[..., half:, :], gap, modes[..., :half, :]], dim=-2)
    return torch.fft.irfft(torch.fft.ifft(full, dim=-2, norm="forward"), n=grid[1], norm="forward")


class PointCloudNetwork(nn.Module):
    """A network on a grid between Fourier series at points: points → modes → grid → modes → points.

    Parameters
    ----------
    body : torch.nn.Module
        ``(n, width, *grid)`` to the same shape.
    inputs, outputs, width : int
        Channels.
    grid, modes : pair of int
        Of the latent grid and the series; modes count both signs, are even and at most as many as the grid has.
    code : int
        Of :class:`DeformationNet`.

    Notes
    -----
    Maps inputs ``(n, points, inputs)`` at places ``(points, 2)`` or ``(n, points, 2)`` on the unit square to
    ``(n, points, outputs)``. Series are means over the points and not sums, and the one that is read at the points is
    that of a real field, so that neither the number of points nor the grid changes the size of anything.

    Source: Z. Li, D. Z. Huang, B. Liu, A. Anandkumar, arXiv 2207.05209.
    """

    def __init__(
        self,
        body: nn.Module,
        *,
        inputs: int,
        outputs: int,
        width: int,
        grid: Sequence[int],
        modes: Sequence[int],
        code: int = 0,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        self.grid, self.modes = tuple(grid), tuple(modes)
        self.deformation = DeformationNet(code=code)
        self.lift = nn.Linear(inputs, width)
        self.enter = ModeWeights(width, width, modes)
        self.grid_bias = nn.Linear(2, width)
        self.body = body
        self.leave = ModeWeights(width, width, modes)
        self.point_bias = nn.Linear(2, width)
        self.project = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, outputs))

    def forward(self, inputs: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        places = places.expand(len(inputs), *places.shape[-2:])
        waves = self._waves(self.deformation(places))
        x = grid_from_modes(self.enter(self._at_modes(self.lift(inputs), waves)), self.grid)
        known = reference_coordinates(self.grid, (True, True), dtype=inputs.dtype, device=inputs.device)
        x = nn.functional.gelu(x + self.grid_bias(known).movedim(-1, 0))
        modes = self.leave(modes_of_grid(self.body(x), self.modes))
        return self.project(self._at_points(modes, waves) + self.point_bias(places))

    def _waves(self, places: torch.Tensor) -> torch.Tensor:
        """Cos and sin of 2π k·ξ, ``(n, points, 2, modes)``."""
        half = self.modes[0] // 2
        frequencies = (torch.arange(-half, half), torch.arange(self.modes[1] // 2))
        phases = [2 * math.pi * places[..., i, None] * k.to(places) for i, k in enumerate(frequencies)]
        (c1, s1), (c2, s2) = ((p.cos(), p.sin()) for p in phases)
        cosines = c1[..., None] * c2[..., None, :] - s1[..., None] * s2[..., None, :]
        sines = s1[..., None] * c2[..., None, :] + c1[..., None] * s2[..., None, :]
        return torch.stack([cosines.flatten(-2), sines.flatten(-2)], dim=-2)

    def _at_modes(self, values: torch.Tensor, waves: torch.Tensor) -> torch.Tensor:
        """Means of values times e^(−2πi k·ξ), ``(n, c, m1, m2 // 2)``."""
        sums = values.mT @ waves.flatten(-2) / values.shape[1]
        cosines, sines = sums.chunk(2, dim=-1)
        return torch.complex(cosines, -sines).unflatten(-1, (self.modes[0], -1))

    def _at_points(self, modes: torch.Tensor, waves: torch.Tensor) -> torch.Tensor:
        """The real series at the points, ``(n, points, c)``; modes with k2 > 0 stand for those with k2 < 0 too."""
        weight = modes.new_full((modes.shape[-1],), 2).real
        weight[0] = 1
        modes = (modes * weight).flatten(-2)
        return waves.flatten(-2) @ torch.cat([modes.real, -modes.imag], dim=-1).mT


class FourierLayers(nn.Module):
    """Layers GELU(K v + W v + B x) on the latent grid, as geo-FNO has them; ``(n, width, *grid)`` to the same shape."""

    def __init__(self, layers: int, width: int, modes: Sequence[int]) -> None:
        super().__init__()
        self.modes = tuple(modes)
        self.products = nn.ModuleList(ModeWeights(width, width, modes) for _ in range(layers))
        self.local = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(layers))
        self.biases = nn.ModuleList(nn.Linear(2, width) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grid = tuple(x.shape[-2:])
        known = reference_coordinates(grid, (True, True), dtype=x.dtype, device=x.device)
        for product, local, bias in zip(self.products, self.local, self.biases):
            spectral = grid_from_modes(product(modes_of_grid(x, self.modes)), grid)
            x = nn.functional.gelu(spectral + local(x) + bias(known).movedim(-1, 0))
        return x
