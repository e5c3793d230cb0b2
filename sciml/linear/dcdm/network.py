"""The networks of deep conjugate directions: from a residual to a direction, with one coarser level."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sciml.errors import OptionError

__all__ = ["STRUCTURES", "DirectionNetwork", "Structure", "glorot", "small"]

Structure = Literal["from64", "from128"]
STRUCTURES: dict[str, tuple[int, int, int]] = {"from64": (1, 3, 2), "from128": (2, 5, 3)}
"""Residual blocks before the coarser level, on it, and after it, of the networks trained at 64³ and at 128³."""


class DirectionNetwork(nn.Module):
    """A residual on a grid to a direction that is near to the error, up to a factor.

    Convolutions of 3^dim weights with zeros around the grid, ReLU after all but the first and the last::

        b = conv conv conv(r);   `before` times:  a = conv(b) + a, b = conv(a)
        c = average of 2^dim cells of b;   `coarse` times:  c = conv conv(c) + c
        y = c at all its cells + b;   `after` times:  y = conv conv(y) + y;   the sum of the channels of y, weighted

    where sums are taken after ReLU. Geometry is no input: cells that are no unknowns hold zeros in r.

    Parameters
    ----------
    dim : {2, 3}
    structure : {"from64", "from128"}
        Trained at 64³ or at 128³ by the authors; 32,657 or 51,217 weights in the plane, 97,457 or 152,881 in space.
    channels : int
    device, dtype
        Of the weights.

    Raises
    ------
    OptionError

    Notes
    -----
    A value reaches 21 cells far in the first structure and 33 in the second, so that larger grids take more
    iterations.

    Source: A. Kaneda, O. Akar, J. Chen, V. Kala, D. Hyde, J. Teran, A deep conjugate direction method for iteratively
    solving linear systems, ICML 2023, and the code they released.
    """

    def __init__(
        self,
        dim: int,
        structure: Structure = "from64",
        *,
        channels: int = 16,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if dim not in (2, 3):
            raise OptionError(f"dim = {dim} is not possible; the networks are for 2 and 3 axes.")
        if structure not in STRUCTURES:
            raise OptionError(f"structure = {structure!r} is not possible; allowed are {', '.join(STRUCTURES)}.")
        self.dim, self.structure, self.channels = dim, structure, channels
        before, coarse, after = STRUCTURES[structure]
        kind = nn.Conv2d if dim == 2 else nn.Conv3d

        def convolution(inputs: int = channels) -> nn.Module:
            return kind(inputs, channels, 3, padding=1, device=device, dtype=dtype)

        self.entry = convolution(1)
        self.first = nn.ModuleList(convolution() for _ in range(2))
        self.before = nn.ModuleList(convolution() for _ in range(2 * before))
        self.coarse = nn.ModuleList(convolution() for _ in range(2 * coarse))
        self.after = nn.ModuleList(convolution() for _ in range(2 * after))
        self.exit = nn.Linear(channels, 1, device=device, dtype=dtype)
        self._pool = nn.AvgPool2d(2) if dim == 2 else nn.AvgPool3d(2)

    def forward(self, r: Tensor) -> Tensor:
        """Directions ``(batch, n₀, …)`` for residuals ``(batch, n₀, …)``; an odd number of cells is padded by zeros."""
        wide = [n + n % 2 for n in r.shape[1:]]
        x = nn.functional.pad(r, [k for n, w in zip(r.shape[:0:-1], wide[::-1], strict=True) for k in (0, w - n)])
        x = self._features(x[:, None])
        out = torch.einsum("c,bc...->b...", self.exit.weight[0], x) + self.exit.bias
        return out[(slice(None), *(slice(n) for n in r.shape[1:]))]

    def _features(self, x: Tensor) -> Tensor:
        a = torch.relu(_convolve(self.first[0], _convolve(self.entry, x)))
        b = torch.relu(_convolve(self.first[1], a))
        for one, two in _pairs(self.before):
            a = torch.relu(_convolve(one, b)) + a
            b = torch.relu(_convolve(two, a))
        y = _repeat(self._blocks(self.coarse, self._pool(b)), self.dim) + b
        return self._blocks(self.after, y)

    @staticmethod
    def _blocks(layers: nn.ModuleList, x: Tensor) -> Tensor:
        for one, two in _pairs(layers):
            x = torch.relu(_convolve(two, torch.relu(_convolve(one, x)))) + x
        return x


def _convolve(layer: Any, x: Tensor) -> Tensor:
    """A convolution; PyTorch leaves oneDNN aside for one sample on one thread, which in space costs tenfold."""
    alone = x.ndim == 5 and len(x) == 1 and x.device.type == "cpu" and x.dtype == torch.float32
    if alone and not torch.is_grad_enabled() and torch.backends.mkldnn.is_available():
        around = layer.padding, layer.stride, layer.dilation
        return torch.mkldnn_convolution(x, layer.weight, layer.bias, *around, layer.groups)  # type: ignore[attr-defined]
    return layer(x)


def _pairs(layers: nn.ModuleList) -> list[tuple[Any, Any]]:
    return list(zip(layers[::2], layers[1::2], strict=True))


def _repeat(x: Tensor, dim: int) -> Tensor:
    """Each cell as 2^dim cells."""
    for axis in range(2, 2 + dim):
        x = x.repeat_interleave(2, dim=axis)
    return x


def glorot(network: nn.Module, generator: torch.Generator) -> None:
    """Weights from ±√(6/(inputs + outputs)), biases of 0, in place: what the authors' layers begin with."""
    for module, inputs, outputs in _layers(network):
        _fill(module.weight, math.sqrt(6 / (inputs + outputs)), generator)
        _fill(module.bias, 0.0, generator)


def small(network: nn.Module, generator: torch.Generator) -> None:
    """Weights and biases from ±1/√inputs, in place: blocks that are summed begin as small corrections."""
    for module, inputs, _ in _layers(network):
        _fill(module.weight, inputs**-0.5, generator)
        _fill(module.bias, inputs**-0.5, generator)


def _layers(network: nn.Module) -> list[tuple[Any, int, int]]:
    """Layers, and with how many numbers one of what comes out and goes in is joined."""
    out = []
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.Linear)):
            taps = math.prod(module.weight.shape[2:])
            out.append((module, taps * module.weight.shape[1], taps * module.weight.shape[0]))
    return out


@torch.no_grad()
def _fill(values: Tensor, bound: float, generator: torch.Generator) -> None:
    values.uniform_(-bound, bound, generator=generator)
