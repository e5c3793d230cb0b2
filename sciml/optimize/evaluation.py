"""The last value and gradient of a system, so that the end of a step is not computed again at the next start."""

from __future__ import annotations

import torch
from torch import Tensor

from sciml.optimize.least_squares import LeastSquares

__all__ = ["LastEvaluation"]


class LastEvaluation:
    """Remembers E and ∇E at one θ of one system."""

    def __init__(self) -> None:
        self._kept: tuple[LeastSquares, Tensor, Tensor, Tensor] | None = None
        self.evaluations = 0

    def at(self, system: LeastSquares, theta: Tensor) -> tuple[Tensor, Tensor]:
        """E and ∇E at `theta`: those remembered if it is the same system and the same numbers."""
        kept = self._kept
        if kept is None or kept[0] is not system or not torch.equal(kept[1], theta):
            value, gradient = system.value_and_gradient(theta)
            self._kept = kept = system, theta.detach().clone(), value, gradient
            self.evaluations += 1
        return kept[2], kept[3]

    def forget(self) -> None:
        """Compute anew what is asked next."""
        self._kept = None
