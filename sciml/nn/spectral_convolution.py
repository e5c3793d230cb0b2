"""Spectral convolutions of neuraloperator that hold on grids of any size."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch

with warnings.catch_warnings():  # its modules change the filters of the process
    from neuralop.layers.spectral_convolution import SpectralConv

__all__ = ["SpectralConvolution"]


class SpectralConvolution(SpectralConv):
    """A product with a matrix of channels for each of the lowest Fourier modes.

    The weights, their start and their factorisations are those of the parent. What it does with them differs on grids
    of odd size, where the parent shifts frequencies back by one too few, and where fewer modes fit than there are
    weights, which the parent may pair with modes that are off by one: here a mode has the same weight on every grid.

    Notes
    -----
    Maps ``(n, in_channels, *grid)`` to ``(n, out_channels, *grid)`` or another grid. Transforms are scaled by the size
    of the grid, so that results do not depend on it, and what is not kept after one axis is not transformed along the
    next.
    """

    def forward(self, x: torch.Tensor, output_shape: Sequence[int] | None = None) -> torch.Tensor:
        grid = tuple(x.shape[2:])
        sizes = self._output_grid(grid, output_shape)
        smallest = [min(pair) for pair in zip(grid, sizes)]
        *counts, last = self.max_n_modes
        last = min(last, smallest[-1] // 2 + 1)
        # Weight i of an axis belongs to frequency i − count // 2.
        bands = [(min(k // 2, n // 2), min(k - k // 2, (n + 1) // 2)) for k, n in zip(counts, smallest)]
        middles = [slice(k // 2 - below, k // 2 + above) for k, (below, above) in zip(counts, bands)]
        weight = self.weight[(slice(None),) * (1 if self.separable else 2) + (*middles, slice(0, last))]
        kept = torch.fft.rfft(x, norm="forward").narrow(-1, 0, last)
        for axis, (below, above) in enumerate(bands, start=2):
            kept = torch.fft.fft(kept, dim=axis, norm="forward")
            negative = kept.narrow(axis, kept.shape[axis] - below, below)
            kept = torch.cat([negative, kept.narrow(axis, 0, above)], dim=axis)
        kept = self._contract(kept, weight, separable=self.separable)
        for axis, (below, above) in enumerate(bands, start=2):
            shape = list(kept.shape)
            shape[axis] = sizes[axis - 2] - below - above
            negative, positive = kept.split([below, above], dim=axis)
            kept = torch.cat([positive, kept.new_zeros(shape), negative], dim=axis)
            kept = torch.fft.ifft(kept, dim=axis, norm="forward")
        values = torch.fft.irfft(kept, n=sizes[-1], norm="forward")
        return values if self.bias is None else values + self.bias

    def _output_grid(self, grid: tuple[int, ...], given: Any) -> tuple[int, ...]:
        if given is not None:
            return tuple(given)
        scaling: Any = self.resolution_scaling_factor
        return grid if scaling is None else tuple(round(n * s) for n, s in zip(grid, scaling))
