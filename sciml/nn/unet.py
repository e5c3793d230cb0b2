"""U-shaped convolutional networks on grids of 1, 2 or 3 dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn

__all__ = ["ConvolutionPair", "PaddedUNet", "UNet", "convolution"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = {
    "batch": (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    "instance": (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
}
_POOLS = (nn.functional.max_pool1d, nn.functional.max_pool2d, nn.functional.max_pool3d)
_INTERPOLATIONS = ("linear", "bilinear", "trilinear")


def convolution(dim: int, inputs: int, outputs: int, size: int = 1, *, bias: bool = True) -> nn.Module:
    """A convolution of odd size that keeps the grid."""
    return _CONVOLUTIONS[dim - 1](inputs, outputs, size, padding=size // 2, bias=bias)


class ConvolutionPair(nn.Sequential):
    """Twice: convolution of size 3 without bias, normalisation, ReLU; `(n, inputs, *grid)` to `(n, outputs, *grid)`."""

    def __init__(self, dim: int, inputs: int, middle: int, outputs: int, norm: str = "batch") -> None:
        layer = _NORMS[norm][dim - 1]
        super().__init__(
            convolution(dim, inputs, middle, 3, bias=False),
            layer(middle),
            nn.ReLU(inplace=True),
            convolution(dim, middle, outputs, 3, bias=False),
            layer(outputs),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """A U-Net with a module of its own on each level's output.

    The finest level has `width` channels; each next one half the resolution and twice the channels, but the coarsest
    keeps those of the one before. Down: maximum over 2 and a pair of convolutions. Up: linear interpolation with
    aligned corners, the skip connection in front of it, a pair of convolutions whose middle has half the channels that
    come in. What goes down is not what `skips` made of it.

    Parameters
    ----------
    dim : int
        1, 2 or 3.
    width : int
    levels : int
        Resolutions, at least 1.
    norm : str
        "batch" or "instance".
    skips : callable, optional
        Number of channels → module for a level, ``(n, channels, *grid)`` to the same shape; the identity by default.

    Notes
    -----
    Maps ``(n, width, *grid)`` to the same shape; every size must be divisible by ``2**(levels − 1)``.

    Source: O. Ronneberger, P. Fischer, T. Brox, arXiv 1505.04597; with the levels of H. Wu et al., arXiv 2301.12664.
    """

    def __init__(
        self,
        dim: int,
        width: int,
        levels: int,
        norm: str = "batch",
        skips: Callable[[int], nn.Module] = lambda channels: nn.Identity(),
    ) -> None:
        super().__init__()
        self.dim = dim
        channels = [width * 2**k for k in range(levels)]
        if levels > 1:
            channels[-1] = channels[-2]
        self.first = ConvolutionPair(dim, width, width, width, norm)
        self.down = nn.ModuleList(ConvolutionPair(dim, a, b, b, norm) for a, b in pairwise(channels))
        self.skips = nn.ModuleList(skips(c) for c in channels)
        self.up = nn.ModuleList(
            ConvolutionPair(dim, 2 * c, c, channels[max(k - 1, 0)] if k else width, norm)
            for k, c in reversed(list(enumerate(channels[:-1])))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = [self.first(x)]
        for pair in self.down:
            levels.append(pair(_POOLS[self.dim - 1](levels[-1], 2)))
        *skipped, x = [skip(level) for skip, level in zip(self.skips, levels)]
        for pair, skip in zip(self.up, reversed(skipped)):
            x = nn.functional.interpolate(x, scale_factor=2, mode=_INTERPOLATIONS[self.dim - 1], align_corners=True)
            x = pair(torch.cat([skip, x], dim=1))
        return x


class PaddedUNet(nn.Module):
    """A :class:`UNet` between layers that act at each place, on a grid that is padded with zeros behind its upper ends.

    Parameters
    ----------
    unet : UNet
    inputs, outputs, width : int
        Channels.
    padding : sequence of int
        Zeros behind each axis; cut off before the last layers.
    hidden : int
        Width of the last hidden layer.

    Notes
    -----
    Maps ``(n, *grid, inputs)`` to ``(n, *grid, outputs)``. In two and three dimensions its memory is laid out with the
    channels last, which the layers at both ends need and convolutions on a CPU like.
    """

    def __init__(
        self, unet: UNet, inputs: int, outputs: int, width: int, padding: Sequence[int], hidden: int = 128
    ) -> None:
        super().__init__()
        self.padding = tuple(padding)
        self.lift = nn.Linear(inputs, width)
        self.unet = unet
        self.mix = nn.Linear(width, width)
        self.project = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, outputs))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        grid = inputs.shape[1:-1]
        amounts = [amount for extra in reversed(self.padding) for amount in (0, extra)]
        x = self.lift(inputs)
        if any(self.padding):
            x = nn.functional.pad(x, [0, 0, *amounts])
        x = self.unet(x.movedim(-1, 1)).movedim(1, -1)
        # A layer that acts at each place and a cut may change their order.
        for axis, size in enumerate(grid, start=1):
            x = x.narrow(axis, 0, size)
        return self.project(self.mix(x))
