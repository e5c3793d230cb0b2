"""Coordinates of regular grids, as channels for networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["AtPlaces", "OnReferenceGrid", "append_coordinates", "reference_coordinates"]


def reference_coordinates(
    grid: Sequence[int],
    periodic: Sequence[bool] | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """The places of a regular grid on the unit box, ``(*grid, dim)``.

    Both ends of an axis are among them; the upper end of a periodic one is not, as it is the lower one.
    """
    loops = [False] * len(grid) if periodic is None else periodic
    axes = [
        torch.arange(n, dtype=dtype, device=device) / (n if loop else max(n - 1, 1)) for n, loop in zip(grid, loops)
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)


def append_coordinates(inputs: torch.Tensor, periodic: Sequence[bool] | None = None) -> torch.Tensor:
    """Values ``(n, *grid, c)`` with the coordinates of the reference grid behind them, ``(n, *grid, c + dim)``."""
    grid = inputs.shape[1:-1]
    places = reference_coordinates(grid, periodic, dtype=inputs.dtype, device=inputs.device)
    return torch.cat([inputs, places.expand(len(inputs), *places.shape)], dim=-1)


class OnReferenceGrid(torch.nn.Module):
    """A network that is given the coordinates of the reference grid behind its inputs.

    Parameters
    ----------
    network : torch.nn.Module
        ``(n, *grid, inputs + dim)`` to ``(n, *grid, outputs)``.
    periodic : sequence of bool
        Axes whose upper end is left out.
    channels_first : bool
        Whether the network has the channels in front of the grid.

    Notes
    -----
    Maps ``(n, *grid, inputs)`` to ``(n, *grid, outputs)``; places do not matter.
    """

    def __init__(self, network: torch.nn.Module, periodic: Sequence[bool], *, channels_first: bool = False) -> None:
        super().__init__()
        self.network = network
        self.periodic = tuple(periodic)
        self.channels_first = channels_first

    def forward(self, inputs: torch.Tensor, places: torch.Tensor | None = None) -> torch.Tensor:
        extended = append_coordinates(inputs, self.periodic)
        if self.channels_first:
            return self.network(extended.movedim(-1, 1)).movedim(1, -1)
        return self.network(extended)


class AtPlaces(torch.nn.Module):
    """A network that is given the places of points behind its inputs.

    Maps inputs ``(n, points, inputs)`` at places ``(points, dim)`` or ``(n, points, dim)``.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        return self.network(torch.cat([inputs, places.expand(len(inputs), *places.shape[-2:])], dim=-1))
