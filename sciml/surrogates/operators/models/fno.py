"""Fourier neural operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field

from sciml.errors import OptionError
from sciml.surrogates.operators.base import GridOperator, ModelKind, ModelOptions, PerAxis, Range, Setting, per_axis

__all__ = ["MODEL", "FourierModel", "FourierOptions", "resolved_modes"]


class FourierOptions(ModelOptions):
    """Options of Fourier neural operators."""

    modes: PerAxis | None = Field(
        None, description="Fourier modes along each axis, of both signs; by default 12, or what the grid has"
    )
    width: int = Field(32, ge=1, description="channels of the hidden layers")
    layers: int = Field(4, ge=1, description="Fourier layers")
    padding: float = Field(0.0, ge=0, le=1, description="zeros around the grid, as a share of its size")


class FourierModel(ModelKind):
    """Layers σ(W v + K v) with K a product in Fourier space; neuraloperator's FNO.

    Notes
    -----
    Good values: the defaults, with a learning rate of 4e-3. Axes that are not periodic are treated as if they were;
    `padding` softens the jump.

    Source: Z. Li et al., arXiv 2010.08895.
    """

    name = "fno"
    title = "Fourier neural operator"
    Options = FourierOptions
    discretisation_invariant = True
    tuning_space: ClassVar[Mapping[str, Sequence[Any] | Range]] = {
        "modes": (8, 12, 16),
        "width": (24, 32, 48),
        "layers": (3, 4, 5),
    }

    def resolve(self, setting: Setting, options: FourierOptions) -> FourierOptions:
        return options.model_copy(update={"modes": resolved_modes(setting, options.modes)})

    def check(self, setting: Setting, options: FourierOptions) -> None:
        assert isinstance(options.modes, tuple)
        check_modes(setting, options.modes)

    def network(self, setting: Setting, options: FourierOptions) -> torch.nn.Module:
        return GridOperator(fourier_network(setting, options), setting.periodic)


def resolved_modes(setting: Setting, modes: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """Modes along each axis; 12 by default, or fewer on a small grid."""
    if modes is None:
        return tuple(min(12, n) for n in setting.grid)
    return per_axis(modes, setting.dim, "modes")


def check_modes(setting: Setting, modes: tuple[int, ...]) -> None:
    """Refuse more modes than the grid has, or none.

    Raises
    ------
    OptionError
    """
    if any(not 1 <= m <= n for m, n in zip(modes, setting.grid)):
        raise OptionError(f"modes={modes} were given on a grid of {setting.grid}; take 1 up to the size of the grid.")


def fourier_network(setting: Setting, options: Any, **factorisation: Any) -> torch.nn.Module:
    """Neuraloperator's FNO with coordinates among the inputs."""
    import warnings

    with warnings.catch_warnings():
        from neuralop.models.fno import FNO

    from sciml.nn.spectral_convolution import SpectralConvolution

    return FNO(
        n_modes=options.modes,
        in_channels=setting.in_channels + setting.dim,
        out_channels=setting.out_channels,
        hidden_channels=options.width,
        n_layers=options.layers,
        positional_embedding=None,
        domain_padding=options.padding or None,
        conv_module=SpectralConvolution,
        **factorisation,
    )


MODEL = FourierModel()
