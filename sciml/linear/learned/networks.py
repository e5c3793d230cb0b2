"""The network that looks at the stencil of each cell and says how a cycle should treat it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sciml.errors import OptionError
from sciml.linear.learned.layout import Layout

__all__ = ["Advice", "CycleNetwork", "NetworkShape"]


@dataclass(frozen=True)
class NetworkShape:
    """What decides the number of weights.

    Parameters
    ----------
    dim : {2, 3}
    width : int
        Channels. Good values: 16 to 48.
    reach : {0, 1}
        How far the first convolution sees: the cell's own stencil, or those of its neighbours too.
    """

    dim: int
    width: int = 24
    reach: int = 1

    def __post_init__(self) -> None:
        if self.dim not in (2, 3) or self.width < 1 or self.reach not in (0, 1):
            raise OptionError(
                f"A cycle network was given dim = {self.dim}, width = {self.width}, reach = {self.reach}; allowed are "
                f"2 or 3 axes, a positive width, and a reach of 0 or 1."
            )


class Advice(NamedTuple):
    """What the network says of one level.

    Attributes
    ----------
    lower : (m, length) tensor
        Corrections of the factor's couplings to the m offsets before the centre.
    stretch : (length,) tensor
        Of the logarithm of the factor's diagonal.
    tilt : (dim, length) tensor
        Of the interpolation along each axis.
    relaxation, correction : scalar tensors
        Of the relaxation and of the weight of the coarse correction, both unbounded.
    """

    lower: Tensor
    stretch: Tensor
    tilt: Tensor
    relaxation: Tensor
    correction: Tensor


class CycleNetwork(nn.Module):
    """Stencils, scaled to a unit diagonal, ↦ :class:`Advice`; a few convolutions, once for each level of a system.

    The last layer starts at zero, so that an untrained network changes nothing. One network serves all levels, all
    sizes, and all coefficients: labels show in a stencil as couplings that are not there.

    Parameters
    ----------
    shape : NetworkShape
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        dim, width = shape.dim, shape.width
        taps = 3**dim
        seen = (taps + 1) * (taps if shape.reach else 1)
        self.first, self.second = nn.Linear(seen, width), nn.Linear(width, width)
        self.cells = nn.Linear(width, taps // 2 + 1 + dim)
        self.level = nn.Linear(width, 2)
        for last in (self.cells, self.level):
            nn.init.zeros_(last.weight)
            assert last.bias is not None
            nn.init.zeros_(last.bias)

    def forward(self, scaled: Tensor, layout: Layout) -> Advice:
        """Look at a scaled stencil ``(3^dim, length)``."""
        known = scaled[layout.centre] > 0
        features = torch.cat([scaled, scaled.sum(0, keepdim=True)])
        hidden = torch.relu(self._first(features, layout))
        hidden = torch.relu(torch.addmm(self.second.bias[:, None], self.second.weight, hidden)) * known
        relaxation, correction = self.level(hidden.sum(1) / known.sum().clamp(min=1))
        lines = torch.addmm(self.cells.bias[:, None], self.cells.weight, hidden) * known
        m = 3**self.shape.dim // 2
        return Advice(lines[:m], lines[m], lines[m + 1 :], relaxation, correction)

    def _first(self, features: Tensor, layout: Layout) -> Tensor:
        """The first convolution, as one product of matrices for each offset."""
        if not self.shape.reach:
            return torch.addmm(self.first.bias[:, None], self.first.weight, features)
        wide = layout.widen(features)
        out = self.first.bias[:, None].expand(-1, layout.length)
        for weight, offset in zip(self.first.weight.split(len(features), dim=1), layout.offsets, strict=True):
            out = torch.addmm(out, weight, layout.shifted(wide, offset))
        return out
