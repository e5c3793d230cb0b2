"""Matrices of several grids in torch, applied in batches by shifts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sciml.errors import ParameterError
from sciml.linear.stencils import Grid

__all__ = ["StencilOperator"]


class StencilOperator:
    """A u of several grids of one shape; which grid is whose is said for each entry of a batch.

    Differentiable, on any device.

    Parameters
    ----------
    grids : sequence of Grid
        Of the same shape.
    dtype, device

    Attributes
    ----------
    fluid : (grids, n₀, …) tensor
        1 for unknowns, 0 elsewhere.

    Raises
    ------
    ParameterError
        Grids of several shapes.
    """

    def __init__(
        self, grids: Sequence[Grid], dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> None:
        shapes = {grid.shape for grid in grids}
        if len(shapes) != 1:
            raise ParameterError(f"Grids have the shapes {sorted(shapes)}; one is needed.")
        self.shape = shapes.pop()
        self.offsets = sorted({offset for grid in grids for offset in grid.stencil})
        zero = np.zeros(self.shape)
        self.fluid = torch.stack([torch.as_tensor(grid.fluid) for grid in grids]).to(device, dtype)
        self._weights = [
            torch.stack([torch.as_tensor(grid.stencil.get(offset, zero)) for grid in grids]).to(device, dtype)
            for offset in self.offsets
        ]

    def __call__(self, u: Tensor, which: Tensor) -> Tensor:
        """A u for values ``(batch, n₀, …)``, zero outside of the fluid, on the grids `which` ``(batch,)``."""
        wide = torch.nn.functional.pad(u, [1, 1] * len(self.shape))
        out = torch.zeros_like(u)
        for offset, weights in zip(self.offsets, self._weights, strict=True):
            part = (slice(1 + o, 1 + o + n) for o, n in zip(offset, self.shape, strict=True))
            out = out + weights[which] * wide[(slice(None), *part)]
        return out
