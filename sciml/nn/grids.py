"""Coordinates of regular grids, as channels for networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["append_coordinates", "reference_coordinates"]


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
