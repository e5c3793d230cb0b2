"""The convolutions that simulators are made of."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import skip_init

from sciml.surrogates.wave_cnn.options import WaveOptions

__all__ = ["convolution", "pointwise_convolution"]

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def convolution(
    options: WaveOptions,
    dim: int,
    channels_in: int,
    channels_out: int,
    mode: str,
    generator: torch.Generator,
    *,
    dense: int | None = None,
    bias: bool = False,
) -> nn.Module:
    """A convolution that keeps the grid, in the format asked for; `dense` is the kernel of one that stays dense."""
    kernel = dense or options.kernel
    layer = skip_init(
        _CONVOLUTIONS[dim], channels_in, channels_out, kernel, padding=kernel // 2, bias=bias,
        padding_mode="circular" if mode == "periodic" else "zeros",
    )  # fmt: skip
    return _drawn(layer, generator)


def pointwise_convolution(dim: int, channels_in: int, channels_out: int, generator: torch.Generator) -> nn.Module:
    """One that sees a single node, with bias."""
    return _drawn(skip_init(_CONVOLUTIONS[dim], channels_in, channels_out, 1), generator)


def _drawn(layer: nn.Module, generator: torch.Generator) -> nn.Module:
    """The first weights of PyTorch, from a generator of their own."""
    bound = layer.weight[0].numel() ** -0.5
    with torch.no_grad():
        for weight in layer.parameters():
            weight.uniform_(-bound, bound, generator=generator)
    return layer
