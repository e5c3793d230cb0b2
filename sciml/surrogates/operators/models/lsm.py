"""Latent spectral models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from sciml.errors import OptionError
from sciml.nn.grids import OnReferenceGrid
from sciml.nn.latent_spectral import NeuralSpectralBlock
from sciml.nn.point_cloud import PointCloudNetwork
from sciml.nn.unet import PaddedUNet, UNet, convolution
from sciml.surrogates.operators.base import ModelKind, ModelOptions, Range, Setting
from sciml.surrogates.operators.sizes import (
    PerAxis,
    allowed_levels,
    check_divisible,
    even_modes,
    per_axis,
    resolved_axes,
)

__all__ = ["MODEL", "LatentSpectralModel", "LatentSpectralOptions"]

_LATENT_GRID, _LATENT_MODES = 32, 24


class LatentSpectralOptions(ModelOptions):
    """Options of latent spectral models."""

    levels: int | None = Field(
        None,
        ge=1,
        le=8,
        description="resolutions, each half of the one before; by default at most 5, as the grid allows",
    )
    width: int = Field(16, ge=1, description="channels on the finest level; the source takes 32 to 64")
    tokens: int = Field(4, ge=1, description="latent tokens of each head")
    basis: int = Field(12, ge=1, description="sines and as many cosines for each channel")
    heads: int = Field(8, ge=1, description="heads, which must divide the width")
    patch: PerAxis | None = Field(
        None, description="places of a patch along each axis, on every level; by default one patch covers the coarsest"
    )
    padding: PerAxis | None = Field(
        None, description="zeros behind each axis; by default as few as levels and patches need"
    )
    norm: Literal["batch", "instance"] = Field("batch", description="over the batch, or over each sample")
    latent_grid: PerAxis | None = Field(
        None, description="for unstructured points: the grid of the U-Net, 32 by default; the source takes 96"
    )
    modes: PerAxis | None = Field(
        None, description="for unstructured points: Fourier modes of both signs along each axis, 24 by default"
    )


class LatentSpectralModel(ModelKind):
    """A U-Net whose skip connections pass through neural spectral blocks.

    Notes
    -----
    Good values: those of the source are 5 levels, width 32 to 64, and as patch a sixteenth of the padded grid, so that
    one patch covers the coarsest level. Levels are by default as many, up to 5, as leave 4 places along each axis of
    the coarsest: three halvings and patches of 4 at 32², four and 6 at 85².

    Source: H. Wu, T. Hu, H. Luo, J. Wang, M. Long, arXiv 2301.12664.
    """

    name = "lsm"
    title = "latent spectral model: a U-Net with neural spectral blocks"
    Options = LatentSpectralOptions
    tuning_space: ClassVar[Mapping[str, Sequence[Any] | Range]] = {
        "width": (16, 24, 32),
        "tokens": (2, 4, 8),
        "basis": (8, 12, 16),
    }

    def resolve(self, setting: Setting, options: LatentSpectralOptions) -> LatentSpectralOptions:
        chosen: dict[str, Any] = self._ends(setting, options)
        grid = chosen.get("latent_grid", setting.grid)
        levels = options.levels or allowed_levels(grid)
        patch, padding = options.patch, options.padding
        if patch is None:
            extra = per_axis(padding or 0, setting.dim, "padding")
            patch = tuple(-(-(n + zeros) // 2 ** (levels - 1)) for n, zeros in zip(grid, extra))
        patch = per_axis(patch, setting.dim, "patch")
        if padding is None:
            padding = tuple(-n % (p * 2 ** (levels - 1)) for n, p in zip(grid, patch))
        padding = per_axis(padding, setting.dim, "padding")
        return options.model_copy(update={"levels": levels, "patch": patch, "padding": padding, **chosen})

    def _ends(self, setting: Setting, options: LatentSpectralOptions) -> dict[str, Any]:
        if not setting.points:
            if options.latent_grid is not None or options.modes is not None:
                raise OptionError("latent_grid and modes are for unstructured points; leave them out on a grid.")
            return {}
        if setting.dim != 2:
            raise OptionError(f"Model 'lsm' takes unstructured points in 2 dimensions; these have {setting.dim}.")
        grid = per_axis(options.latent_grid or _LATENT_GRID, 2, "latent_grid")
        modes = options.modes or tuple(min(_LATENT_MODES, n - n % 2) for n in grid)
        return {"latent_grid": grid, "modes": per_axis(modes, 2, "modes")}

    def check(self, setting: Setting, options: LatentSpectralOptions) -> None:
        if options.width % options.heads:
            raise OptionError(f"width={options.width} is not divisible by heads={options.heads}; make it a multiple.")
        grid: Any = options.latent_grid if setting.points else setting.grid
        patch, padding = resolved_axes(options.patch), resolved_axes(options.padding)
        for size, extra, places in zip(grid, padding, patch):
            check_divisible(size, extra, places, options.levels or 1)
        if setting.points:
            even_modes(resolved_axes(options.modes), grid)
            if any(padding):
                raise OptionError(f"padding={padding} was given; a latent grid takes none, choose its size instead.")

    def network(self, setting: Setting, options: LatentSpectralOptions) -> torch.nn.Module:
        unet, width = _unet(setting.dim, options), options.width
        if setting.points:
            return PointCloudNetwork(
                torch.nn.Sequential(unet, convolution(2, width, width)),
                inputs=setting.in_channels,
                outputs=setting.out_channels,
                width=width,
                grid=resolved_axes(options.latent_grid),
                modes=resolved_axes(options.modes),
            )
        inputs = setting.in_channels + setting.dim
        network = PaddedUNet(unet, inputs, setting.out_channels, width, resolved_axes(options.padding))
        return OnReferenceGrid(network, setting.periodic)


def _unet(dim: int, options: LatentSpectralOptions) -> UNet:
    block = partial(
        NeuralSpectralBlock,
        patch=resolved_axes(options.patch),
        tokens=options.tokens,
        basis=options.basis,
        heads=options.heads,
    )
    return UNet(dim, options.width, options.levels or 1, options.norm, block)


MODEL = LatentSpectralModel()
