"""Transformers with physics attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field

from sciml.errors import OptionError
from sciml.nn.attention import TransolverNetwork
from sciml.nn.grids import AtPlaces, OnReferenceGrid
from sciml.surrogates.operators.base import ModelKind, ModelOptions, Range, Setting

__all__ = ["MODEL", "TransolverModel", "TransolverOptions"]


class TransolverOptions(ModelOptions):
    """Options of transformers with physics attention."""

    width: int = Field(32, ge=1, description="channels; the source takes 128 to 256")
    layers: int = Field(4, ge=1, description="blocks; the source takes 8")
    heads: int = Field(4, ge=1, description="heads, which must divide the width; the source takes 8")
    slices: int = Field(16, ge=1, description="slices of each head; the source takes 32 to 64")
    ratio: int = Field(1, ge=1, description="width of the hidden layer behind attention, in multiples of the width")


class TransolverModel(ModelKind):
    """A transformer between learned slices of the places, whose cost is linear in their number.

    Notes
    -----
    Good values: the source's are width 128, 8 layers, 8 heads, 64 slices, AdamW at 1e-3 with gradients clipped at 0.1;
    the defaults are for training on a CPU.

    Source: H. Wu, H. Luo, H. Wang, J. Wang, M. Long, arXiv 2402.02366.
    """

    name = "transolver"
    title = "transformer with physics attention"
    Options = TransolverOptions
    tuning_space: ClassVar[Mapping[str, Sequence[Any] | Range]] = {
        "width": (32, 48, 64),
        "layers": (4, 6, 8),
        "slices": (16, 32, 64),
    }

    def check(self, setting: Setting, options: TransolverOptions) -> None:
        if options.width % options.heads:
            raise OptionError(f"width={options.width} is not divisible by heads={options.heads}; make it a multiple.")

    def network(self, setting: Setting, options: TransolverOptions) -> torch.nn.Module:
        network = TransolverNetwork(
            setting.in_channels + setting.dim,
            setting.out_channels,
            dim=None if setting.points else setting.dim,
            **options.model_dump(),
        )
        return AtPlaces(network) if setting.points else OnReferenceGrid(network, setting.periodic)


MODEL = TransolverModel()
