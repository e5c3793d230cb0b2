"""Plain U-Nets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from sciml.nn.grids import OnReferenceGrid
from sciml.nn.unet import PaddedUNet, UNet
from sciml.surrogates.operators.base import ModelKind, ModelOptions, Range, Setting
from sciml.surrogates.operators.sizes import PerAxis, allowed_levels, check_divisible, per_axis, refuse_points

__all__ = ["MODEL", "UNetModel", "UNetOptions"]


class UNetOptions(ModelOptions):
    """Options of U-Nets."""

    levels: int | None = Field(
        None,
        ge=1,
        le=8,
        description="resolutions, each half of the one before; by default at most 5, as the grid allows",
    )
    width: int = Field(16, ge=1, description="channels on the finest level")
    padding: PerAxis | None = Field(None, description="zeros behind each axis; by default as few as the levels need")
    norm: Literal["batch", "instance"] = Field("batch", description="over the batch, or over each sample")


class UNetModel(ModelKind):
    """Convolutions on halved grids with skip connections: a latent spectral model without its spectral blocks.

    Source: O. Ronneberger, P. Fischer, T. Brox, arXiv 1505.04597.
    """

    name = "unet"
    title = "U-Net"
    Options = UNetOptions
    tuning_space: ClassVar[Mapping[str, Sequence[Any] | Range]] = {"width": (16, 24, 32), "norm": ("batch", "instance")}

    def resolve(self, setting: Setting, options: UNetOptions) -> UNetOptions:
        refuse_points(self.name, setting)
        levels = options.levels or allowed_levels(setting.grid)
        padding = options.padding
        if padding is None:
            padding = tuple(-n % 2 ** (levels - 1) for n in setting.grid)
        padding = per_axis(padding, setting.dim, "padding")
        return options.model_copy(update={"levels": levels, "padding": padding})

    def check(self, setting: Setting, options: UNetOptions) -> None:
        for size, extra in zip(setting.grid, per_axis(options.padding or 0, setting.dim, "padding")):
            check_divisible(size, extra, 1, options.levels or 1)

    def network(self, setting: Setting, options: UNetOptions) -> torch.nn.Module:
        unet = UNet(setting.dim, options.width, options.levels or 1, options.norm)
        padding = per_axis(options.padding or 0, setting.dim, "padding")
        inputs = setting.in_channels + setting.dim
        network = PaddedUNet(unet, inputs, setting.out_channels, options.width, padding)
        return OnReferenceGrid(network, setting.periodic)


MODEL = UNetModel()
