"""The mean of the training set, whatever the input."""

from __future__ import annotations

import torch

from sciml.surrogates.operators.base import ModelKind, ModelOptions, Setting

__all__ = ["MODEL", "MeanField", "MeanModel"]


class MeanField(torch.nn.Module):
    """The mean output of the training set."""

    mean: torch.Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))

    def fit(self, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
        """Take the mean of outputs ``(n, *grid, c)``."""
        self.mean = outputs.double().mean(dim=0).to(self.mean)

    def forward(self, inputs: torch.Tensor, places: torch.Tensor | None = None) -> torch.Tensor:
        return self.mean.expand(len(inputs), *self.mean.shape)


class MeanModel(ModelKind):
    """The trivial baseline: every prediction is the mean field of the training set."""

    name = "mean"
    title = "mean field of the training set"
    trained = False

    def network(self, setting: Setting, options: ModelOptions) -> torch.nn.Module:
        return MeanField((*setting.grid, setting.out_channels))


MODEL = MeanModel()
