"""The nearest sample of the training set."""

from __future__ import annotations

import torch

from sciml.surrogates.operators.base import ModelKind, ModelOptions, Setting

__all__ = ["MODEL", "NearestModel", "NearestSample"]


class NearestSample(torch.nn.Module):
    """The output of the training sample whose inputs are nearest.

    The distance is that of L2, with each channel in multiples of its root mean square over the training set.
    """

    inputs: torch.Tensor
    outputs: torch.Tensor
    sizes: torch.Tensor

    def __init__(self, grid: tuple[int, ...], in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.register_buffer("inputs", torch.zeros(1, *grid, in_channels))
        self.register_buffer("outputs", torch.zeros(1, *grid, out_channels))
        self.register_buffer("sizes", torch.ones(in_channels))

    def fit(self, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
        """Keep inputs ``(n, *grid, c_in)`` and outputs ``(n, *grid, c_out)``."""
        self.inputs, self.outputs = inputs.to(self.inputs, copy=True), outputs.to(self.outputs, copy=True)
        sizes = inputs.double().square().flatten(0, -2).mean(dim=0).sqrt().to(self.sizes)
        self.sizes = torch.where(sizes > 0, sizes, torch.ones_like(sizes))

    def forward(self, inputs: torch.Tensor, places: torch.Tensor | None = None) -> torch.Tensor:
        distances = torch.cdist(
            (inputs / self.sizes).flatten(1),
            (self.inputs / self.sizes).flatten(1),
            compute_mode="donot_use_mm_for_euclid_dist",
        )
        return self.outputs[distances.argmin(dim=1)]


class NearestModel(ModelKind):
    """A trivial baseline: the output of the training sample whose inputs are nearest."""

    name = "nearest"
    title = "nearest sample of the training set"
    trained = False

    def network(self, setting: Setting, options: ModelOptions) -> torch.nn.Module:
        return NearestSample(setting.grid, setting.in_channels, setting.out_channels)


MODEL = NearestModel()
