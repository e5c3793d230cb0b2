"""Where a network bends at the start: random Fourier features, and first layers placed by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sciml.errors import OptionError
from sciml.forms.jets import TaylorSeries

if TYPE_CHECKING:
    from sciml.nn.mlp import MLP

__all__ = ["RandomFourierFeatures", "placed_first_layer"]


class RandomFourierFeatures(torch.nn.Module):
    """The fixed map x ↦ (cos 2πBx, sin 2πBx) with B normal of standard deviation σ.

    A network on top learns oscillations of about σ waves per unit length as readily as slow changes (M. Tancik et al.,
    NeurIPS 2020, arXiv 2006.10739).

    Parameters
    ----------
    inputs : int
        d, of x.
    count : int
        Rows m of B; the map has 2m outputs.
    sigma : float
        σ, in waves per unit of the input (a :class:`~sciml.nn.PhysicalNetwork` sees [−1, 1] along each axis).
    generator : torch.Generator, optional
        For B; a fresh one with seed 0 by default, never the global one.
    dtype, device
        Of B.

    Raises
    ------
    OptionError
        No inputs, no rows, or a σ that is not above 0.

    Notes
    -----
    B is a buffer: it is saved with the weights and never trained. Good values: 64 rows; σ of 0.5 for smooth solutions
    and of the number of waves over half of the domain for others. A σ that is too large fits the points and
    oscillates between them.
    """

    frequencies: torch.Tensor

    def __init__(
        self,
        inputs: int,
        count: int,
        *,
        sigma: float = 1.0,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        if inputs < 1 or count < 1:
            raise OptionError(f"inputs={inputs!r} and count={count!r} were given; both are at least 1.")
        if not (math.isfinite(sigma) and sigma > 0):
            raise OptionError(f"sigma={sigma!r}; allowed are finite numbers above 0.")
        self.inputs, self.count, self.sigma = int(inputs), int(count), float(sigma)
        frequencies = torch.empty(self.count, self.inputs, dtype=dtype, device=device)
        if not frequencies.is_meta:
            own = torch.Generator(frequencies.device).manual_seed(0) if generator is None else generator
            torch.nn.init.normal_(frequencies, std=self.sigma, generator=own)
        self.register_buffer("frequencies", frequencies)

    @property
    def outputs(self) -> int:
        """2m."""
        return 2 * self.count

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        phase = x @ (2 * math.pi * self.frequencies).T
        return torch.cat([torch.cos(phase), torch.sin(phase)], dim=-1)

    def taylor(self, series: TaylorSeries) -> TaylorSeries:
        """The same for a series; no layer to be noted on its tape, as nothing is trained."""
        weight = 2 * math.pi * torch.cat([self.frequencies, self.frequencies])
        phases = series.with_tape(None).linear(weight, None)
        cos, sin = torch.cos(phases.value[:, : self.count]), torch.sin(phases.value[:, : self.count])
        f, df = torch.cat([cos, sin], dim=-1), torch.cat([-sin, cos], dim=-1)
        return phases.activation(f, df, -f).with_tape(series.tape)

    def manifest(self) -> dict[str, Any]:
        """What is needed to build the same map again; B is a buffer."""
        return {"inputs": self.inputs, "count": self.count, "sigma": self.sigma}


def placed_first_layer(
    network: MLP,
    points: np.ndarray | torch.Tensor,
    slopes: float | Sequence[float] | np.ndarray,
    generator: torch.Generator,
) -> None:
    """Let the units of the first layer bend at given points.

    Unit j becomes σ(W_j · x + b_j) with W_j = slope_j n_j, n_j a random direction and b_j = −W_j · point_j, so that
    the plane on which its argument vanishes passes through its point.

    Parameters
    ----------
    network : MLP
        Without features; changed in place.
    points : (units, d) array
        In the network's inputs (:attr:`PhysicalNetwork.scaled` of physical points), one for each unit of the first
        layer, those of several branches one after the other.
    slopes : float or (units,) array
        How sharply a unit bends: it goes from one end to the other over about 2/slope.
    generator : torch.Generator
        For the directions.

    Raises
    ------
    OptionError
        A network with features, or points or slopes of another shape or not finite.

    Notes
    -----
    Good slopes: 1 to 3 for smooth solutions; 1/width for a peak or layer of that width.
    """
    if network.features is not None:
        raise OptionError("The first layer of a network with Fourier features sees no points; place one without them.")
    layers: list[Any] = [branch[0] for branch in network.branches]  # type: ignore[index]
    weight = torch.cat([layer.weight for layer in layers])
    places = torch.as_tensor(points, dtype=weight.dtype, device=weight.device)
    if places.shape != weight.shape or not bool(torch.isfinite(places).all()):
        raise OptionError(
            f"points has the shape {tuple(places.shape)}; finite points of the shape {tuple(weight.shape)} are needed, "
            f"one for each unit of the first layer."
        )
    steepness = torch.as_tensor(slopes, dtype=weight.dtype, device=weight.device)
    if steepness.shape not in ((), weight.shape[:1]) or not bool(torch.isfinite(steepness).all()):
        raise OptionError(f"slopes={slopes!r}; one finite number is allowed, or one for each of {len(weight)} units.")
    directions = torch.randn(weight.shape, generator=generator, dtype=weight.dtype, device=weight.device)
    placed = steepness.expand(len(weight))[:, None] * directions / directions.norm(dim=1, keepdim=True)
    shifts = -(placed * places).sum(dim=1)
    sizes = [len(layer.weight) for layer in layers]
    with torch.no_grad():
        for layer, w, b in zip(layers, placed.split(sizes), shifts.split(sizes), strict=True):
            layer.weight.copy_(w)
            layer.bias.copy_(b)
