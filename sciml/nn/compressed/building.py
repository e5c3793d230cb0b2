"""Convolutions in a format, from what a user gives."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import torch

from sciml.errors import OptionError, ScimlWarning, unknown_name
from sciml.nn.compressed.formats import FORMATS, Convolution, checked_ranks
from sciml.nn.compressed.geometry import Geometry

__all__ = ["build_convolution", "dearer_than_dense", "make_convolution"]


def make_convolution(
    format: str,
    dim: int,
    in_channels: int,
    out_channels: int,
    kernel: int | Sequence[int],
    rank: int | Sequence[int] | None = None,
    *,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = "same",
    output_padding: int | Sequence[int] | None = None,
    padding_mode: str = "zeros",
    transposed: bool = False,
    bias: bool = True,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> Convolution:
    """A convolution whose kernel is held in a format; equal to the dense one with the kernel that it materialises to.

    Parameters
    ----------
    format : {"dense", "chain", "canonical", "separable", "depthwise", "tucker"}
    dim : int
        1, 2 or 3.
    in_channels, out_channels : int
    kernel : int or one for each axis
    rank : int or several, optional
        Of the format: the chain has one between two axes, "canonical" and "separable" one, "tucker" two. By default it
        follows from the channels, and is not dearer than dense where one of 1 is not.
    stride, dilation : int or one for each axis
    padding : int, one for each axis, "same" or "valid"
        "same" is dilation (k − 1)/2 on both sides, which needs odd kernels: grids stay, or are divided by the stride,
        or multiplied by it where the convolution is transposed.
    output_padding : int or one for each axis, optional
        Of transposed convolutions; stride − 1 with "same", else 0.
    padding_mode : {"zeros", "reflect", "replicate", "circular", "periodic"}
        The last two are one. Transposed convolutions take zeros alone.
    transposed, bias : bool
    device, dtype
        Of the weights; PyTorch's defaults where none is given.
    generator : torch.Generator, optional
        Of the first weights, which keep the variance that PyTorch's dense ones have; PyTorch's own by default.

    Returns
    -------
    Convolution
        ``(n, in_channels, *grid)`` to ``(n, out_channels, *grid)``; its ``kernel()`` is ``(out_channels, in_channels,
        *kernel)``, also where it is transposed (PyTorch has the first two the other way round there).

    Raises
    ------
    OptionError
        Sizes that contradict each other; an even kernel with "same".
    UnknownNameError
        Another format or padding mode.

    Warns
    -----
    ScimlWarning
        A rank for which the layer takes more than the dense one.

    Examples
    --------
    >>> layer = make_convolution("chain", 2, 16, 16, 5, generator=torch.Generator().manual_seed(0))
    """
    geometry = Geometry.of(
        dim, kernel, stride=stride, padding=padding, dilation=dilation, output_padding=output_padding,
        mode=padding_mode, transposed=transposed,
    )  # fmt: skip
    layer = build_convolution(
        format, geometry, in_channels, out_channels, rank, bias=bias, device=device, dtype=dtype, generator=generator
    )
    said = None if rank is None else dearer_than_dense(layer)
    if said is not None:
        warnings.warn(f"rank={rank} was given; {said}.", ScimlWarning, stacklevel=2)
    return layer


def build_convolution(
    format: str,
    geometry: Geometry,
    in_channels: int,
    out_channels: int,
    rank: int | Sequence[int] | None = None,
    *,
    bias: bool = True,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> Convolution:
    """A convolution of some geometry, with weights drawn, without a word on its rank.

    Raises
    ------
    OptionError, UnknownNameError
    """
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    if in_channels < 1 or out_channels < 1:
        raise OptionError(
            f"{in_channels} channels in and {out_channels} out were given; a convolution takes at least one of each."
        )
    kind = FORMATS[format]
    ranks = checked_ranks(kind, rank, in_channels, out_channels, geometry.kernel)
    layer = kind(geometry, in_channels, out_channels, ranks, bias=bias, device=device, dtype=dtype)
    layer.reset(generator)
    return layer


def dearer_than_dense(layer: Convolution) -> str | None:
    """Why a layer is dearer than the dense one, or None where it is not.

    Layers of default ranks are only where not even a rank of one is cheaper, as between two single channels.
    """
    inputs, outputs, kernel = layer.in_channels, layer.out_channels, layer.geometry.kernel
    held, dense = layer.weights(inputs, outputs, kernel, layer.ranks), inputs * outputs * math.prod(kernel)
    if held <= dense:
        return None
    does = "holds {} numbers" if layer.format == "separable" else "takes {} multiply-adds at each place"
    most = _largest_useful(layer, dense)
    ranks = f" of rank {' and '.join(map(str, layer.ranks))}" if layer.ranks else ""
    return (
        f"format {layer.format!r}{ranks} from {inputs} to {outputs} channels with a kernel of "
        f"{' × '.join(map(str, kernel))} {does.format(held)}, the dense one {dense}, and is slower or larger: "
        f"{f'take a rank of at most {most}' if most else 'leave it dense'}"
    )


def _largest_useful(layer: Convolution, dense: int) -> int:
    """The largest rank, alike for all, that is not dearer than dense; 0 where none is."""
    inputs, outputs, kernel = layer.in_channels, layer.out_channels, layer.geometry.kernel
    rank = max(layer.ranks, default=0)
    while rank and layer.weights(inputs, outputs, kernel, (rank,) * len(layer.ranks)) > dense:
        rank -= 1
    return rank
