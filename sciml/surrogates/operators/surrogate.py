"""A network with its normalisation: from inputs of a family to outputs, in physical units."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sciml.surrogates.operators.base import Operator
from sciml.surrogates.operators.normalising import Normaliser

__all__ = ["Surrogate", "relative_l2"]


class Surrogate(nn.Module):
    """Outputs from inputs, as a data file has them.

    Of trajectories the network makes the next frame from static fields and the last frames; it is applied to what it
    said before, frame after frame.

    Parameters
    ----------
    operator : Operator
        ``(n, *grid, c_in), places → (n, *grid, c)``.
    inputs, outputs : Normaliser
        Of what goes into the network, and of what comes out of it.
    frames : int
        How many times the network is applied; 1 unless outputs are frames of a trajectory.
    static : int
        Channels of the inputs before the frames; they stay.
    """

    def __init__(
        self, operator: Operator, inputs: Normaliser, outputs: Normaliser, *, frames: int = 1, static: int = 0
    ) -> None:
        super().__init__()
        self.operator, self.inputs, self.outputs = operator, inputs, outputs
        self.frames, self.static = frames, static

    @property
    def model(self) -> str:
        """Name of the network's kind."""
        return self.operator.model

    @property
    def trained(self) -> bool:
        """Whether gradients train it."""
        return self.operator.trained

    def forward(self, inputs: Tensor, places: Tensor | None = None) -> Tensor:
        """Outputs ``(n, *grid, c_out)`` of inputs ``(n, *grid, c_in)``."""
        if self.frames == 1:
            return self._next(inputs, places)
        predicted = []
        for _ in range(self.frames):
            frame = self._next(inputs, places)
            predicted.append(frame)
            kept = inputs[..., self.static + frame.shape[-1] :]
            inputs = torch.cat([inputs[..., : self.static], kept, frame], dim=-1)
        return torch.cat(predicted, dim=-1)

    def _next(self, inputs: Tensor, places: Tensor | None) -> Tensor:
        return self.outputs.decode(self.operator(self.inputs.encode(inputs), places))


def relative_l2(predicted: Tensor, truth: Tensor) -> Tensor:
    """‖predicted − truth‖/‖truth‖ over all nodes and channels of each sample, ``(n,)``."""
    difference = (predicted - truth).flatten(1).norm(dim=1)
    return difference / truth.flatten(1).norm(dim=1).clamp(min=torch.finfo(truth.dtype).tiny)
