"""Multilayer perceptrons that can push Taylor series through themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from sciml.errors import OptionError
from sciml.forms.jets import TaylorSeries, sigmoid_derivatives, silu_derivatives, sin_derivatives, tanh_derivatives
from sciml.nn.features import RandomFourierFeatures

__all__ = ["MLP", "activation_names"]

_ACTIVATIONS = {
    "tanh": (torch.tanh, tanh_derivatives),
    "sin": (torch.sin, sin_derivatives),
    "sigmoid": (torch.sigmoid, sigmoid_derivatives),
    "silu": (torch.nn.functional.silu, silu_derivatives),
}


def activation_names() -> tuple[str, ...]:
    """The activations with Taylor rules; all are smooth, as derivatives of the output are needed."""
    return tuple(_ACTIVATIONS)


class MLP(torch.nn.Module):
    """A perceptron y = W_L σ(… σ(W_1 x + b_1) …) + b_L, or several side by side.

    Parameters
    ----------
    widths : sequence of int, or of such sequences
        Layer sizes from input to output. Several sequences are parallel networks on the same input whose
        outputs are concatenated.
    activation : str
        σ: tanh, sin, sigmoid or silu.
    features : RandomFourierFeatures, optional
        In front of the first layer, which then has `features.outputs` inputs; not trained.
    biases : float
        The hidden layers' biases start uniform in [−biases, biases]. With 1, the bends of the units are spread over
        [−1, 1]^d from the start; with 0, the default, all of the first layer pass through its centre.
    generator : torch.Generator, optional
        For the initial weights (Glorot normal); a fresh one with seed 0 by default, never the global one.
    dtype, device
        Of the weights.

    Raises
    ------
    OptionError
        An unknown activation, a negative size of the biases, or features of another number of inputs.

    Notes
    -----
    Maps ``(n, widths[0])`` to ``(n, widths[-1])``. Good values for a smooth 2-D problem: ``[2, 32, 32, 32, 1]``.
    """

    def __init__(
        self,
        widths: Sequence[int] | Sequence[Sequence[int]],
        activation: str = "tanh",
        *,
        features: RandomFourierFeatures | None = None,
        biases: float = 0.0,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        if activation not in _ACTIVATIONS:
            raise OptionError(f"activation={activation!r}; allowed are {', '.join(_ACTIVATIONS)}.")
        self.activation = activation
        several: Any = widths if not isinstance(widths[0], int) else [widths]
        self.widths: list[list[int]] = [list(w) for w in several]
        if not (math.isfinite(biases) and biases >= 0):
            raise OptionError(f"biases={biases!r}; allowed are finite numbers of at least 0.")
        self.biases = float(biases)
        self.features = None if features is None else features.to(dtype=dtype, device=device)
        if features is not None and any(w[0] != features.inputs for w in self.widths):
            raise OptionError(
                f"The network has {self.widths[0][0]} inputs and its features {features.inputs}; give both the same."
            )
        # A Linear layer would initialise itself from the global generator.
        self.branches = torch.nn.ModuleList(
            torch.nn.ModuleList(
                torch.nn.utils.skip_init(torch.nn.Linear, a, b, dtype=dtype, device=device)
                for a, b in pairwise(w if features is None else [features.outputs, *w[1:]])
            )
            for w in self.widths
        )
        if torch.device(device).type != "meta":
            self.initialise(generator)

    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Glorot-normal weights, zero or uniform biases."""
        if generator is None:
            generator = torch.Generator(self.branches[0][0].weight.device).manual_seed(0)  # type: ignore[index]
        for layer in (layer for branch in self.branches for layer in branch):  # type: ignore[union-attr]
            torch.nn.init.xavier_normal_(layer.weight, generator=generator)
            torch.nn.init.zeros_(layer.bias)
        for branch in self.branches if self.biases else ():
            for layer in branch[:-1]:  # type: ignore[index]
                torch.nn.init.uniform_(layer.bias, -self.biases, self.biases, generator=generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        function = _ACTIVATIONS[self.activation][0]
        outputs = []
        x = x if self.features is None else self.features(x)
        for branch in self.branches:
            y = x
            for layer in branch[:-1]:  # type: ignore[index]
                y = function(layer(y))
            outputs.append(branch[-1](y))  # type: ignore[index]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)

    def taylor(self, series: TaylorSeries) -> TaylorSeries:
        """Push a Taylor series through the network."""
        return self.propagate(self.begin(series))

    def begin(self, series: TaylorSeries) -> TaylorSeries:
        """Through the features, which no weight changes."""
        return series if self.features is None else self.features.taylor(series)

    def propagate(self, series: TaylorSeries) -> TaylorSeries:
        """Through the layers, after :meth:`begin`."""
        derivatives = _ACTIVATIONS[self.activation][1]
        outputs = []
        for branch in self.branches:
            out = series
            for k, layer in enumerate(branch):  # type: ignore[arg-type]
                out = out.activation(*derivatives(out.value)) if k else out
                out = out.linear(layer.weight, layer.bias)
            outputs.append(out)
        return outputs[0] if len(outputs) == 1 else _concatenate(outputs)

    def manifest(self) -> dict[str, Any]:
        """What is needed to build the same network again; weights and frequencies come separately."""
        out = {"widths": self.widths, "activation": self.activation}
        return out if self.features is None else out | {"features": self.features.manifest()}

    @classmethod
    def from_manifest(cls, manifest: dict[str, Any]) -> MLP:
        """Build a network from :meth:`manifest`; weights and frequencies come separately."""
        kept = manifest.get("features")
        features = None if kept is None else RandomFourierFeatures(**kept)
        return cls(manifest["widths"], manifest["activation"], features=features)


def _concatenate(parts: list[TaylorSeries]) -> TaylorSeries:
    if any(part.second is not None for part in parts):
        parts = [part if part.second is not None else _with_zeros(part) for part in parts]
    seconds = [part.second for part in parts if part.second is not None]
    return TaylorSeries(
        torch.cat([part.value for part in parts], dim=-1),
        torch.cat([part.first for part in parts], dim=-1),
        torch.cat(seconds, dim=-1) if len(seconds) == len(parts) else None,
        parts[0].axes,
        parts[0].pairs,
        parts[0].tape,
    )


def _with_zeros(series: TaylorSeries) -> TaylorSeries:
    """The series of an affine branch with its second derivatives written out."""
    second = torch.zeros(len(series.pairs), *series.value.shape, dtype=series.value.dtype, device=series.value.device)
    return TaylorSeries(series.value, series.first, second, series.axes, series.pairs, series.tape)
