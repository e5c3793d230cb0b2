"""The convolutions that simulators are made of."""

from __future__ import annotations

import torch

from sciml.nn.compressed import Convolution, make_convolution
from sciml.surrogates.wave_cnn.options import WaveOptions

__all__ = ["convolution", "plain_convolution"]


def convolution(
    options: WaveOptions, dim: int, channels_in: int, channels_out: int, mode: str, generator: torch.Generator
) -> Convolution:
    """One without bias that keeps the grid, in the format asked for; its rank is for layers between all channels.

    What comes from a single channel is dense: a chain that has all such kernels holds more numbers than they do, and
    one of fewer saves little and costs accuracy.
    """
    rank = options.rank if channels_in == channels_out == options.width else None
    return make_convolution(
        "dense" if channels_in == 1 else options.format, dim, channels_in, channels_out, options.kernel, rank,
        padding_mode=mode, bias=False, generator=generator,
    )  # fmt: skip


def plain_convolution(
    dim: int, channels_in: int, channels_out: int, kernel: int, mode: str, generator: torch.Generator
) -> Convolution:
    """A dense one with bias."""
    return make_convolution("dense", dim, channels_in, channels_out, kernel, padding_mode=mode, generator=generator)
