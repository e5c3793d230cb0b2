"""Latent spectral models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from sciml.errors import OptionError
from sciml.nn.grids import append_coordinates
from sciml.nn.latent_spectral import NeuralSpectralBlock
from sciml.nn.unet import PaddedUNet, UNet
from sciml.surrogates.operators.base import ModelKind, ModelOptions, PerAxis, Range, Setting, per_axis

__all__ = ["MODEL", "LatentSpectralModel", "LatentSpectralOptions"]

_MOST_LEVELS = 5


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
        grid = self.grid(setting)
        levels = options.levels or allowed_levels(grid)
        patch, padding = options.patch, options.padding
        if patch is None:
            extra = per_axis(padding or 0, setting.dim, "padding")
            patch = tuple(-(-(n + zeros) // 2 ** (levels - 1)) for n, zeros in zip(grid, extra))
        patch = per_axis(patch, setting.dim, "patch")
        if padding is None:
            padding = tuple(-n % (p * 2 ** (levels - 1)) for n, p in zip(grid, patch))
        padding = per_axis(padding, setting.dim, "padding")
        return options.model_copy(update={"levels": levels, "patch": patch, "padding": padding})

    def check(self, setting: Setting, options: LatentSpectralOptions) -> None:
        if options.width % options.heads:
            raise OptionError(f"width={options.width} is not divisible by heads={options.heads}; make it a multiple.")
        levels, patch, padding = options.levels or 1, options.patch, options.padding
        assert isinstance(patch, tuple) and isinstance(padding, tuple)
        if min(patch) < 1 or min(padding) < 0:
            raise OptionError(f"patch={patch} and padding={padding} were given; patches are at least 1, padding 0.")
        for size, extra, places in zip(self.grid(setting), padding, patch):
            check_divisible(size + extra, places, levels)

    def grid(self, setting: Setting) -> tuple[int, ...]:
        """The grid on which the U-Net works."""
        return setting.grid

    def network(self, setting: Setting, options: LatentSpectralOptions) -> torch.nn.Module:
        unet = _unet(setting.dim, options)
        inputs = setting.in_channels + setting.dim
        assert isinstance(options.padding, tuple)
        return OnReferenceGrid(
            PaddedUNet(unet, inputs, setting.out_channels, options.width, options.padding), setting.periodic
        )


class OnReferenceGrid(torch.nn.Module):
    """A network with channels last that is given the coordinates of the reference grid behind its inputs."""

    def __init__(self, network: torch.nn.Module, periodic: Sequence[bool]) -> None:
        super().__init__()
        self.network = network
        self.periodic = tuple(periodic)

    def forward(self, inputs: torch.Tensor, places: torch.Tensor | None = None) -> torch.Tensor:
        return self.network(append_coordinates(inputs, self.periodic))


def allowed_levels(grid: Sequence[int]) -> int:
    """As many resolutions, at most 5, as leave 4 places along each axis of the coarsest."""
    levels = 1
    while levels < _MOST_LEVELS and min(grid) // 2**levels >= 4:
        levels += 1
    return levels


def check_divisible(size: int, patch: int, levels: int) -> None:
    """Refuse a size that halvings and patches do not divide.

    Raises
    ------
    OptionError
    """
    unit = patch * 2 ** (levels - 1)
    if size % unit:
        fitting = [p for p in range(1, size + 1) if size % (p * 2 ** (levels - 1)) == 0]
        possible = f"patches of {', '.join(map(str, fitting))} can" if fitting else "none can with so many levels"
        raise OptionError(
            f"{size} places on an axis with its padding cannot be halved {levels - 1} times and cut into patches of "
            f"{patch}; {possible}, or pad to {size + -size % unit}."
        )


def _unet(dim: int, options: LatentSpectralOptions) -> UNet:
    block = partial(
        NeuralSpectralBlock, patch=options.patch, tokens=options.tokens, basis=options.basis, heads=options.heads
    )
    return UNet(dim, options.width, options.levels or 1, options.norm, block)


MODEL = LatentSpectralModel()
