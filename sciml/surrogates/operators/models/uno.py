"""U-shaped Fourier neural operators."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from pydantic import Field

from sciml.errors import OptionError
from sciml.nn.grids import OnReferenceGrid
from sciml.surrogates.operators.base import ModelKind, ModelOptions, Range, Setting
from sciml.surrogates.operators.models.fno import check_modes, resolved_modes
from sciml.surrogates.operators.sizes import PerAxis, refuse_points, resolved_axes

__all__ = ["MODEL", "UShapedModel", "UShapedOptions"]

_SCALES = (1.0, 0.5, 1.0, 2.0, 1.0)
_WIDTHS = (1, 2, 2, 2, 1)


class UShapedOptions(ModelOptions):
    """Options of U-shaped Fourier neural operators."""

    modes: PerAxis | None = Field(
        None, description="Fourier modes along each axis, of both signs; by default 12, or what the grid has"
    )
    width: int = Field(16, ge=1, description="channels on the full grid; there are twice as many on the halved one")


class UShapedModel(ModelKind):
    """Five Fourier layers, of which the second halves the grid and the fourth doubles it; neuraloperator's UNO.

    Source: M. A. Rahman, Z. E. Ross, K. Azizzadenesheli, arXiv 2204.11127.
    """

    name = "uno"
    title = "U-shaped Fourier neural operator"
    Options = UShapedOptions
    discretisation_invariant = True
    tuning_space: ClassVar[Mapping[str, Sequence[Any] | Range]] = {"modes": (8, 12, 16), "width": (16, 24, 32)}

    def resolve(self, setting: Setting, options: UShapedOptions) -> UShapedOptions:
        refuse_points(self.name, setting)
        return options.model_copy(update={"modes": resolved_modes(setting, options.modes)})

    def check(self, setting: Setting, options: UShapedOptions) -> None:
        check_modes(setting, resolved_axes(options.modes))
        if min(setting.grid) < 4:
            raise OptionError(f"A grid of {setting.grid} cannot be halved for model 'uno'; take 4 places or more.")

    def network(self, setting: Setting, options: UShapedOptions) -> torch.nn.Module:
        with warnings.catch_warnings():  # its modules change the filters of the process
            from neuralop.layers.fno_block import FNOBlocks
            from neuralop.models.uno import UNO

        from sciml.nn.spectral_convolution import SpectralConvolution

        fine = list(resolved_modes(setting, options.modes))
        coarse = [min(m, n // 2) for m, n in zip(fine, setting.grid)]
        with contextlib.redirect_stdout(io.StringIO()):  # its constructor prints
            network = UNO(
                in_channels=setting.in_channels + setting.dim,
                out_channels=setting.out_channels,
                hidden_channels=options.width,
                lifting_channels=2 * options.width,
                projection_channels=2 * options.width,
                positional_embedding=None,
                n_layers=len(_SCALES),
                uno_out_channels=[options.width * share for share in _WIDTHS],
                uno_n_modes=[fine, coarse, coarse, coarse, fine],
                uno_scalings=[[scale] * setting.dim for scale in _SCALES],
                channel_mlp_skip="linear",  # its default asks for blocks that keep the number of channels
                operator_block=partial(FNOBlocks, conv_module=SpectralConvolution),
            )
        return OnReferenceGrid(network, setting.periodic, channels_first=True)


MODEL = UShapedModel()
