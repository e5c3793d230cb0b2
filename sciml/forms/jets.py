"""Jets: the value and the partial derivatives of a network at a batch of points.

A jet is a dictionary from :class:`~sciml.forms.Derivative` to tensors ``(n,)``. Two providers make one:

- :func:`reverse_jet` by nested reverse mode, for any function whose row i depends on row i of the points only;
- :func:`taylor_jet` by pushing truncated Taylor series through the layers of an MLP, up to second order, in
  one stacked pass: no graph of a graph is built, so it is faster and needs less memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from sciml.errors import UnsupportedError
from sciml.forms.lowering import Derivative

__all__ = [
    "AffineRecord",
    "Jet",
    "TaylorLayers",
    "TaylorSeries",
    "has_taylor_rules",
    "jet_of_output",
    "reverse_jet",
    "taylor_jet",
]

Jet = dict[Derivative, torch.Tensor]

_BLOCK = 4096
"""Rows times slots of a stacked series that are pushed at a time, so that the layers stay in the processor's cache."""


def reverse_jet(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, keys: Iterable[Derivative]) -> Jet:
    """The derivatives `keys` of a row-wise `function` at `x`, by nested reverse mode.

    Parameters
    ----------
    function : callable
        Maps ``(n, dim)`` to ``(n,)`` or ``(n, k)``; row i of the result may depend on row i of the points
        only (no batch normalisation).
    x : (n, dim) tensor
        Points.
    keys : iterable of Derivative
        What is needed, of any order.

    Returns
    -------
    dict from Derivative to (n,) tensors
        Differentiable with respect to the function's parameters.
    """
    # Derivatives are wanted even where the caller switched gradients off.
    with torch.enable_grad():
        if not x.requires_grad:
            x = x.detach().requires_grad_(True)
        return jet_of_output(function(x), x, keys)


def jet_of_output(y: torch.Tensor, x: torch.Tensor, keys: Iterable[Derivative]) -> Jet:
    """As :func:`reverse_jet`, for an output `y` that was already computed from `x` (which requires grad)."""
    columns = y.reshape(x.shape[0], -1)
    gradients: dict[Derivative, torch.Tensor] = {}

    def get(key: Derivative) -> torch.Tensor:
        if not key.axes:
            return columns[:, key.component]
        lower = Derivative(key.component, key.axes[:-1])
        if lower not in gradients:
            gradients[lower] = _gradient(get(lower), x)
        return gradients[lower][:, key.axes[-1]]

    return {key: get(key) for key in keys}


def _gradient(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """∂values_i/∂x_i, zero where the graph does not reach x (a solution that is linear in x)."""
    if not values.requires_grad:
        return torch.zeros_like(x)
    (gradient,) = torch.autograd.grad(
        values, x, torch.ones_like(values), create_graph=True, allow_unused=True, materialize_grads=True
    )
    return gradient


class TaylorSeries:
    """Value, first and second derivatives of a batch of vectors, pushed through layers together.

    Attributes
    ----------
    value : (n, k) tensor
    first : (m1, n, k) tensor
        Along the directions `axes`.
    second : (m2, n, k) tensor
        For the pairs `pairs` of positions in `axes`; None while all are zero.
    tape : list of AffineRecord, optional
        Where affine layers note what went in and out, in their order; handed on from series to series.
    """

    def __init__(
        self,
        value: torch.Tensor,
        first: torch.Tensor,
        second: torch.Tensor | None,
        axes: Sequence[int],
        pairs: Sequence[tuple[int, int]],
        tape: list[AffineRecord] | None = None,
    ) -> None:
        self.value, self.first, self.second = value, first, second
        self.axes, self.pairs, self.tape = list(axes), list(pairs), tape

    def parts(self) -> list[torch.Tensor]:
        """The tensors that it is made of."""
        return [self.value, self.first] + ([] if self.second is None else [self.second])

    def with_tape(self, tape: list[AffineRecord] | None) -> TaylorSeries:
        """The same series, whose layers from here on are noted."""
        return TaylorSeries(self.value, self.first, self.second, self.axes, self.pairs, tape)

    def _next(self, value: torch.Tensor, first: torch.Tensor, second: torch.Tensor | None) -> TaylorSeries:
        return TaylorSeries(value, first, second, self.axes, self.pairs, self.tape)

    @classmethod
    def of_points(cls, x: torch.Tensor, keys: Sequence[Derivative]) -> TaylorSeries:
        """The series of the identity at `x`, with room for the derivatives `keys`."""
        axes = sorted({axis for key in keys for axis in key.axes})
        position = {axis: k for k, axis in enumerate(axes)}
        pairs = sorted({(position[k.axes[0]], position[k.axes[1]]) for k in keys if len(k.axes) == 2})
        unit = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)[axes]
        first = unit[:, None, :].expand(len(axes), *x.shape)
        return cls(x, first, None, axes, pairs)

    def linear(self, weight: torch.Tensor, bias: torch.Tensor | None) -> TaylorSeries:
        """Through y = W x + b."""
        second = None if self.second is None else self.second @ weight.T
        value = torch.nn.functional.linear(self.value, weight, bias)
        out = self._next(value, self.first @ weight.T, second)
        if self.tape is not None:
            for part in out.parts():
                if not part.requires_grad:
                    part.requires_grad_(True)
            self.tape.append(AffineRecord(weight, bias, self, out))
        return out

    def select(self, columns: Sequence[int]) -> TaylorSeries:
        """Some components, in any order and number."""
        index = list(columns)
        second = None if self.second is None else self.second[..., index]
        return self._next(self.value[:, index], self.first[..., index], second)

    def scale(self, factor: torch.Tensor, shift: torch.Tensor) -> TaylorSeries:
        """Through y = factor · x + shift, per component."""
        second = None if self.second is None else self.second * factor
        return self._next(self.value * factor + shift, self.first * factor, second)

    def activation(self, f: torch.Tensor, df: torch.Tensor, ddf: torch.Tensor) -> TaylorSeries:
        """Through a pointwise function with value f and derivatives f′, f″ at the current value.

        (f∘a)_i = f′ a_i,  (f∘a)_ij = f″ a_i a_j + f′ a_ij.
        """
        second = None
        if self.pairs:
            curvature = self._products()
            second = ddf * curvature if self.second is None else torch.addcmul(ddf * curvature, df, self.second)
        return self._next(f, df * self.first, second)

    def _products(self) -> torch.Tensor:
        """a_i a_j for all pairs; without a copy where the pairs are the squares in order, as for a Laplacian."""
        if self.pairs == [(k, k) for k in range(len(self.axes))]:
            return self.first * self.first
        left, right = zip(*self.pairs)
        return self.first[list(left)] * self.first[list(right)]

    def jet(self, keys: Iterable[Derivative]) -> Jet:
        """Read the derivatives `keys` of the components."""
        position = {axis: k for k, axis in enumerate(self.axes)}
        pair = {p: k for k, p in enumerate(self.pairs)}
        out: Jet = {}
        for key in keys:
            if not key.axes:
                out[key] = self.value[:, key.component]
            elif len(key.axes) == 1:
                out[key] = self.first[position[key.axes[0]], :, key.component]
            elif self.second is None:
                out[key] = torch.zeros_like(self.value[:, 0])
            else:
                out[key] = self.second[pair[position[key.axes[0]], position[key.axes[1]]], :, key.component]
        return out


@dataclass(frozen=True)
class AffineRecord:
    """What went into an affine layer and what came out, for derivatives by its weight and bias.

    The parts of the output require grad, so that a reverse pass gives the adjoint of each of them.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    input: TaylorSeries
    output: TaylorSeries


@runtime_checkable
class TaylorLayers(Protocol):
    """A network that can push a Taylor series through itself."""

    def taylor(self, series: TaylorSeries) -> TaylorSeries:
        """The series of the output from the series of the input."""
        ...


def taylor_jet(network: torch.nn.Module, x: torch.Tensor, keys: Iterable[Derivative]) -> Jet:
    """The derivatives `keys` of an MLP at `x`, by Taylor series.

    Parameters
    ----------
    network : torch.nn.Module
        A ``torch.nn.Sequential`` of ``Linear``, ``Tanh``, ``Sigmoid`` and ``SiLU`` layers, or a module with a method
        ``taylor(series)`` (:class:`TaylorLayers`), such as :class:`sciml.nn.MLP`.
    x : (n, dim) tensor
        Points.
    keys : iterable of Derivative
        What is needed, up to second order.

    Raises
    ------
    UnsupportedError
        A derivative of higher order, or a layer without a rule: use :func:`reverse_jet`.
    """
    keys = list(keys)
    if any(len(key.axes) > 2 for key in keys):
        raise UnsupportedError("Taylor jets go up to second order; use reverse-mode jets for higher derivatives.")
    slots = 1 + len({axis for key in keys for axis in key.axes}) + sum(len(key.axes) == 2 for key in keys)
    blocks = x.split(max(64, _BLOCK // slots))
    jets = [push(network, TaylorSeries.of_points(block, keys)).jet(keys) for block in blocks]
    return jets[0] if len(jets) == 1 else {key: torch.cat([jet[key] for jet in jets]) for key in keys}


def has_taylor_rules(layer: torch.nn.Module) -> bool:
    """Whether a Taylor series can be pushed through a layer or network."""
    if isinstance(layer, torch.nn.Sequential):
        return all(map(has_taylor_rules, layer))
    return isinstance(layer, (TaylorLayers, torch.nn.Linear)) or type(layer) in ACTIVATIONS


def push(layer: torch.nn.Module, series: TaylorSeries) -> TaylorSeries:
    """The series of a layer's output."""
    if isinstance(layer, TaylorLayers):
        return layer.taylor(series)
    if isinstance(layer, torch.nn.Sequential):
        for inner in layer:
            series = push(inner, series)
        return series
    if isinstance(layer, torch.nn.Linear):
        return series.linear(layer.weight, layer.bias)
    rule = ACTIVATIONS.get(type(layer))
    if rule is None:
        raise UnsupportedError(f"The layer {type(layer).__name__} has no Taylor rule; use reverse-mode jets.")
    return series.activation(*rule(series.value))


def tanh_derivatives(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tanh a and its first two derivatives."""
    f = torch.tanh(a)
    df = 1 - f * f
    return f, df, -2 * f * df


def sin_derivatives(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sin a and its first two derivatives."""
    f = torch.sin(a)
    return f, torch.cos(a), -f


def sigmoid_derivatives(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The logistic function and its first two derivatives."""
    f = torch.sigmoid(a)
    df = f * (1 - f)
    return f, df, df * (1 - 2 * f)


def silu_derivatives(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A σ(a) and its first two derivatives."""
    s, ds, dds = sigmoid_derivatives(a)
    return a * s, s + a * ds, 2 * ds + a * dds


ACTIVATIONS = {
    torch.nn.Tanh: tanh_derivatives,
    torch.nn.Sigmoid: sigmoid_derivatives,
    torch.nn.SiLU: silu_derivatives,
}
