"""Fourier neural operators."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field

from sciml.errors import OptionError
from sciml.nn.grids import OnReferenceGrid
from sciml.nn.point_cloud import FourierLayers, PointCloudNetwork
from sciml.surrogates.operators.base import ModelKind, ModelOptions, Range, Setting
from sciml.surrogates.operators.sizes import PerAxis, even_modes, per_axis, resolved_axes

__all__ = ["MODEL", "FourierModel", "FourierOptions", "check_modes", "fourier_network", "resolved_modes"]

_LATENT_GRID, _LATENT_MODES = 40, 24


class FourierOptions(ModelOptions):
    """Options of Fourier neural operators."""

    latent_grid: PerAxis | None = Field(
        None, description="for unstructured points: the grid of the hidden layers, 40 by default"
    )
    modes: PerAxis | None = Field(
        None,
        description="Fourier modes along each axis, of both signs; by default 12 (points: 24), or what the grid has",
    )
    width: int = Field(32, ge=1, description="channels of the hidden layers")
    layers: int = Field(4, ge=1, description="Fourier layers")
    padding: float = Field(0.0, ge=0, le=1, description="zeros around the grid, as a share of its size")


class FourierModel(ModelKind):
    """Layers σ(W v + K v) with K a product in Fourier space: neuraloperator's FNO, or geo-FNO for unstructured points.

    Notes
    -----
    Good values: the defaults, with a learning rate of 4e-3. Axes that are not periodic are treated as if they were;
    `padding` softens the jump.

    Source: Z. Li et al., arXiv 2010.08895; for points Z. Li, D. Z. Huang, B. Liu, A. Anandkumar, arXiv 2207.05209.
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
        if not setting.points:
            if options.latent_grid is not None:
                raise OptionError("latent_grid is for unstructured points; leave it out on a grid.")
            return options.model_copy(update={"modes": resolved_modes(setting, options.modes)})
        if setting.dim != 2:
            raise OptionError(f"Model 'fno' takes unstructured points in 2 dimensions; these have {setting.dim}.")
        grid = per_axis(options.latent_grid or _LATENT_GRID, 2, "latent_grid")
        modes = options.modes or tuple(min(_LATENT_MODES, n - n % 2) for n in grid)
        return options.model_copy(update={"latent_grid": grid, "modes": per_axis(modes, 2, "modes")})

    def check(self, setting: Setting, options: FourierOptions) -> None:
        modes = resolved_axes(options.modes)
        if not setting.points:
            check_modes(setting, modes)
            return
        even_modes(modes, resolved_axes(options.latent_grid))
        if options.padding:
            raise OptionError(f"padding={options.padding} was given; unstructured points take none.")

    def network(self, setting: Setting, options: FourierOptions) -> torch.nn.Module:
        if not setting.points:
            return OnReferenceGrid(fourier_network(setting, options), setting.periodic, channels_first=True)
        modes = resolved_axes(options.modes)
        return PointCloudNetwork(
            FourierLayers(options.layers - 1, options.width, modes),
            inputs=setting.in_channels,
            outputs=setting.out_channels,
            width=options.width,
            grid=resolved_axes(options.latent_grid),
            modes=modes,
        )


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
    with warnings.catch_warnings():  # its modules change the filters of the process
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
