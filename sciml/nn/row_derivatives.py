"""Derivatives of many values by all weights of a network, from one reverse pass for all of them.

Each value r_n depends on row n of a stacked Taylor series only. With A_l[k, n] what goes into affine layer l (slot k:
value, first and second derivatives) and Z̄_l[k, n] the derivative of Σ r by what comes out,

    ∂r_n/∂W_l = Σ_k Z̄_l[k, n] ⊗ A_l[k, n],    ∂r_n/∂b_l = Z̄_l[0, n].

The matrix need not be formed: with V_l, v_l the parts of a direction, (J v)_n = Σ_l (Σ_k Z̄_l · V_l A_l + Z̄_l[0] · v_l).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from sciml.forms.jets import AffineRecord, has_taylor_rules
from sciml.nn.mlp import MLP

__all__ = ["RowDerivatives", "notes_all_layers", "row_derivatives"]


def notes_all_layers(network: torch.nn.Module) -> bool:
    """Whether all that a network does with its weights is noted on the tape of a series."""
    if isinstance(network, torch.nn.Sequential):
        return all(map(notes_all_layers, network))
    if type(network) is MLP:
        return all(type(layer) is torch.nn.Linear for branch in network.branches for layer in branch)  # type: ignore[union-attr]
    if type(network) is torch.nn.Linear:
        return True
    return has_taylor_rules(network) and not list(network.parameters())


@dataclass(frozen=True)
class _Layer:
    """One affine layer: where its weight and bias stand in the flat vector, what went in, adjoints of what came out."""

    weight: slice | None
    bias: slice | None
    inputs: Tensor
    adjoints: Tensor
    shift: Tensor | None

    @property
    def shape(self) -> tuple[int, int]:
        return self.adjoints.shape[-1], self.inputs.shape[-1]


class RowDerivatives:
    """The Jacobian (n, P) of n values by P weights, kept in its factors.

    Parameters
    ----------
    layers : sequence
        From :func:`row_derivatives`.
    places : sequence of slice
        Of all weights and biases in the flat vector.
    n, n_weights : int
        The matrix's shape.
    """

    def __init__(self, layers: Sequence[_Layer], places: Sequence[slice], n: int, n_weights: int) -> None:
        self._layers, self._places, self._n, self._n_weights = list(layers), list(places), n, n_weights

    def write(self, out: Tensor) -> None:
        """Write the matrix into rows ``(n, P)`` of a larger one."""
        written: set[int] = set()
        for layer in self._layers:
            if layer.weight is not None:
                # Batches of (out, slots) times (slots, in).
                block = torch.bmm(layer.adjoints.permute(1, 2, 0), layer.inputs.permute(1, 0, 2))
                _put(out[:, layer.weight].unflatten(1, layer.shape), block, layer.weight, written)
            if layer.bias is not None and layer.shift is not None:
                _put(out[:, layer.bias], layer.shift, layer.bias, written)
        for place in self._places:
            if place.start not in written:
                out[:, place] = 0.0

    def product(self, direction: Tensor) -> Tensor:
        """J v, ``(P,)`` or ``(P, m)`` to ``(n,)`` or ``(n, m)``."""
        columns = direction.reshape(self._n_weights, -1)
        out = columns.new_zeros(self._n, columns.shape[1])
        for layer in self._layers:
            if layer.weight is not None:
                # (slots, n, in) by (in, out m), and the sum over slots and outputs.
                matrix = columns[layer.weight].reshape(*layer.shape, -1).permute(1, 0, 2)
                pushed = (layer.inputs @ matrix.reshape(layer.shape[1], -1)).unflatten(2, matrix.shape[1:])
                out += torch.einsum("kno,knom->nm", layer.adjoints, pushed)
            if layer.bias is not None and layer.shift is not None:
                out += layer.shift @ columns[layer.bias]
        return out.reshape(self._n, *direction.shape[1:])

    def transposed(self, rows: Tensor) -> Tensor:
        """Jᵀ w, ``(n,)`` or ``(n, m)`` to ``(P,)`` or ``(P, m)``."""
        columns = rows.reshape(self._n, -1)
        out = columns.new_zeros(self._n_weights, columns.shape[1])
        for layer in self._layers:
            if layer.weight is not None:
                weighted = torch.einsum("kno,nm->knom", layer.adjoints, columns).flatten(2)
                matrix = weighted.flatten(0, 1).T @ layer.inputs.flatten(0, 1)
                matrix = matrix.unflatten(0, (layer.shape[0], -1)).permute(0, 2, 1)
                out[layer.weight] += matrix.reshape(-1, columns.shape[1])
            if layer.bias is not None and layer.shift is not None:
                out[layer.bias] += layer.shift.T @ columns
        return out.reshape(self._n_weights, *rows.shape[1:])


def _put(place: Tensor, block: Tensor, where: slice, written: set[int]) -> None:
    """Write, or add if a layer with the same weights came before."""
    if where.start in written:
        place.add_(block)
    else:
        place.copy_(block)
        written.add(where.start)


def row_derivatives(
    values: Tensor,
    tape: Sequence[AffineRecord],
    places: Mapping[int, slice],
    n_weights: int,
    *,
    again: bool = False,
) -> RowDerivatives:
    """The derivatives of row-wise values by the weights of the layers on a tape.

    Parameters
    ----------
    values : (n,) tensor
        Row n depends on row n of the taped series only.
    tape : sequence of AffineRecord
        In whose layers all weights stand.
    places : mapping from int to slice
        From the `id` of a weight or bias to its place in the flat vector; others are not trained.
    n_weights : int
        P.
    again : bool
        Whether other values of the same tape come later, so that the graph is kept.
    """
    outputs = list(chain.from_iterable(record.output.parts() for record in tape))
    found: Sequence[Tensor | None] = [None] * len(outputs)
    if values.requires_grad:
        ones = torch.ones_like(values)
        found = torch.autograd.grad(values, outputs, ones, retain_graph=again, allow_unused=True)
    adjoints = iter(found)
    layers = [_layer(record, [next(adjoints) for _ in record.output.parts()], places) for record in tape]
    return RowDerivatives(
        [layer for layer in layers if layer is not None], list(places.values()), len(values), n_weights
    )


def _layer(record: AffineRecord, adjoints: list[Tensor | None], places: Mapping[int, slice]) -> _Layer | None:
    pairs = [(a.detach(), z) for a, z in zip(record.input.parts(), adjoints) if z is not None]
    if not pairs:
        return None
    inputs, outputs = zip(*((_stacked(a), _stacked(z)) for a, z in pairs))
    return _Layer(
        places.get(id(record.weight)),
        None if record.bias is None else places.get(id(record.bias)),
        inputs[0] if len(inputs) == 1 else torch.cat(inputs),
        outputs[0] if len(outputs) == 1 else torch.cat(outputs),
        adjoints[0],
    )


def _stacked(part: Tensor) -> Tensor:
    return part[None] if part.dim() == 2 else part
