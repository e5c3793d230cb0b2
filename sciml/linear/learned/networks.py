"""The network that looks at the stencil of each cell and says how a cycle should treat it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sciml.errors import OptionError
from sciml.linear.learned.layout import Layout

__all__ = ["Advice", "CycleNetwork", "NetworkShape"]

_CHUNK = 8192
"""Cells looked at at once, so that what lies between the layers stays in a CPU's cache."""


@dataclass(frozen=True)
class NetworkShape:
    """What decides the number of weights.

    Parameters
    ----------
    dim : {2, 3}
    width : int
        Channels. Good values: 16 to 48.
    """

    dim: int
    width: int = 32

    def __post_init__(self) -> None:
        if self.dim not in (2, 3) or self.width < 1:
            raise OptionError(
                f"A cycle network was given dim = {self.dim} and width = {self.width}; allowed are 2 or 3 axes and a "
                f"positive width."
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
    relaxation : scalar tensor
        Of the relaxation, unbounded.
    """

    lower: Tensor
    stretch: Tensor
    tilt: Tensor
    relaxation: Tensor


class CycleNetwork(nn.Module):
    """Stencils, scaled to a unit diagonal, ↦ :class:`Advice`; once for each level of a system.

    It looks at each cell by itself: its couplings to all neighbours, and their sum. The last layer starts at zero, so
    that an untrained network changes nothing. One network serves all levels, all sizes, and all coefficients: labels
    show in a stencil as couplings that are not there.

    Parameters
    ----------
    shape : NetworkShape
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        dim, width = shape.dim, shape.width
        taps = 3**dim
        self.first, self.second = nn.Conv1d(taps + 1, width, 1), nn.Conv1d(width, width, 1)
        self.cells = nn.Conv1d(width, taps // 2 + 1 + dim, 1)
        self.level = nn.Linear(width, 1)
        for last in (self.cells, self.level):
            nn.init.zeros_(last.weight)
            assert last.bias is not None
            nn.init.zeros_(last.bias)

    def forward(self, scaled: Tensor, layout: Layout) -> Advice:
        """Look at a scaled stencil ``(3^dim, length)``."""
        known = (scaled[layout.centre] > 0).to(scaled.dtype)
        features = torch.cat([scaled, scaled.sum(0, keepdim=True)])[None]
        pieces, total = [], 0.0
        for seen, mask in zip(features.split(_CHUNK, -1), known.split(_CHUNK), strict=True):
            hidden = torch.relu(self.second(torch.relu(self.first(seen)))) * mask
            total = total + hidden[0].sum(1)
            pieces.append(self.cells(hidden)[0] * mask)
        relaxation = self.level(total / known.sum().clamp(min=1))[0]
        lines = torch.cat(pieces, -1)
        m = 3**self.shape.dim // 2
        return Advice(lines[:m], lines[m], lines[m + 1 :], relaxation)
