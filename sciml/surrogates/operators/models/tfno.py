"""Fourier neural operators with factorised weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from sciml.nn.grids import OnReferenceGrid
from sciml.surrogates.operators.base import ModelKind, Range, Setting
from sciml.surrogates.operators.models.fno import FourierOptions, check_modes, fourier_network, resolved_modes
from sciml.surrogates.operators.sizes import refuse_points, resolved_axes

__all__ = ["MODEL", "TensorFourierModel", "TensorFourierOptions"]


class TensorFourierOptions(FourierOptions):
    """Options of Fourier neural operators with factorised weights."""

    rank: float = Field(0.1, gt=0, le=1, description="share of the weights that the factors have")
    factorization: Literal["tucker", "cp", "tt"] = Field("tucker", description="of the weights of a layer")


class TensorFourierModel(ModelKind):
    """A Fourier neural operator whose spectral weights are a low-rank tensor; neuraloperator's TFNO.

    Source: J. Kossaifi, N. Kovachki, K. Azizzadenesheli, A. Anandkumar, arXiv 2310.00120.
    """

    name = "tfno"
    title = "Fourier neural operator with factorised weights"
    Options = TensorFourierOptions
    discretisation_invariant = True
    tuning_space: ClassVar[Mapping[str, Sequence[Any] | Range]] = {
        "modes": (12, 16, 24),
        "width": (32, 48, 64),
        "rank": (0.05, 0.1, 0.3),
    }

    def resolve(self, setting: Setting, options: TensorFourierOptions) -> TensorFourierOptions:
        refuse_points(self.name, setting)
        return options.model_copy(update={"modes": resolved_modes(setting, options.modes)})

    def check(self, setting: Setting, options: TensorFourierOptions) -> None:
        check_modes(setting, resolved_axes(options.modes))

    def network(self, setting: Setting, options: TensorFourierOptions) -> torch.nn.Module:
        network = fourier_network(setting, options, factorization=options.factorization, rank=options.rank)
        return OnReferenceGrid(network, setting.periodic, channels_first=True)


MODEL = TensorFourierModel()
