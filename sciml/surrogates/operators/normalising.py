"""Numbers of order one for networks: affine maps of fields, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["Normaliser", "Scaling", "on_grid"]

Scaling = Literal["pixel", "channel", "none"]

# Of the typical deviation: what hardly varies, such as a value that the boundary holds, is not blown up.
_LEAST = 1e-5


class Normaliser(nn.Module):
    """(values − mean)/deviation, with one mean and deviation for each node or for each channel.

    Parameters
    ----------
    mean, deviation : Tensor
        ``(*grid, c)``, or ``(1, …, 1, c)`` where all nodes share them.

    Examples
    --------
    >>> normaliser = Normaliser.of(outputs, "pixel")
    >>> outputs == normaliser.decode(normaliser.encode(outputs))
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    @classmethod
    def of(cls, values: Tensor, scaling: Scaling, *, static: int = 0, frame: int = 0) -> Normaliser:
        """That of some values.

        Parameters
        ----------
        values : ``(n, *grid, c)`` Tensor
        scaling : {"pixel", "channel", "none"}
            One mean and deviation for each node and channel, for each channel, or 0 and 1.
        static, frame : int
            With "channel": after `static` channels come frames of `frame` channels each, which share theirs, so that a
            step from frame to frame means the same everywhere. A `frame` of 0 is none.
        """
        shape = values.shape[1:]
        if scaling == "none":
            flat = (1,) * (len(shape) - 1) + shape[-1:]
            return cls(torch.zeros(flat), torch.ones(flat))
        if scaling == "pixel":
            mean, deviation = values.mean(0), values.std(0, correction=0)
            return cls(mean, deviation + _LEAST * _typical(deviation))
        axes = tuple(range(values.ndim - 1))
        mean, square = values.mean(axes), values.square().mean(axes)
        if frame:
            mean, square = _shared(mean, static, frame), _shared(square, static, frame)
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        place = (1,) * (len(shape) - 1) + (-1,)
        return cls(mean.view(place), torch.where(deviation > 0, deviation, 1.0).view(place))

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Normaliser:
        """One of that shape whose numbers are still to be read from a file."""
        return cls(torch.zeros(shape), torch.ones(shape))

    def encode(self, values: Tensor) -> Tensor:
        """Values of order one."""
        grid = values.shape[1:-1]
        return (values - on_grid(self.mean, grid)) / on_grid(self.deviation, grid)

    def decode(self, values: Tensor) -> Tensor:
        """Back to what they were."""
        grid = values.shape[1:-1]
        return values * on_grid(self.deviation, grid) + on_grid(self.mean, grid)


def on_grid(statistic: Tensor, grid: Sequence[int]) -> Tensor:
    """A statistic ``(*own, c)`` on another grid that ends where its own does, by linear interpolation."""
    own = statistic.shape[:-1]
    if own == tuple(grid) or all(n == 1 for n in own):
        return statistic
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(grid)]
    first = statistic.movedim(-1, 0)[None]
    return nn.functional.interpolate(first, size=tuple(grid), mode=mode, align_corners=True)[0].movedim(0, -1)


def _typical(deviation: Tensor) -> Tensor:
    """The root mean square over the grid for each channel; 1 where nothing varies."""
    typical = deviation.square().mean(tuple(range(deviation.ndim - 1))).sqrt()
    return torch.where(typical > 0, typical, 1.0 / _LEAST)


def _shared(statistic: Tensor, static: int, frame: int) -> Tensor:
    """The mean over the frames, at the place of each."""
    frames = statistic[static:].view(-1, frame)
    return torch.cat([statistic[:static], frames.mean(0).repeat(len(frames))])
