"""Terms laid out over rows of a system, in blocks of points that go through the network together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sciml.forms import Derivative, Jet, PointwiseOperator
from sciml.nn import PhysicalNetwork, PreparedPoints
from sciml.training.terms import Term

__all__ = ["Block", "blocks_of"]

_NUMBERS = 8192
"""Points times derivatives that go through the network at a time, so that its layers stay in the processor's cache."""


@dataclass(frozen=True)
class _Rows:
    """Where values of a term go: its rows in the system, and what a value is multiplied with."""

    term: Term
    rows: slice
    factor: Tensor


@dataclass(frozen=True)
class _Residuals:
    """An operator at the points of a block, with what the points alone decide, and the rows of its columns."""

    operator: PointwiseOperator
    static: tuple[Tensor, ...]
    columns: tuple[tuple[int, _Rows], ...]


@dataclass(frozen=True)
class _Deviation:
    """u at the points of a block less the wanted mean; its sum, with the rule's weights as factors, is one row."""

    component: int
    wanted: float
    rows: _Rows


@dataclass(frozen=True)
class Block:
    """Points with all that is asked there.

    Attributes
    ----------
    points : PreparedPoints
        For the derivatives that all of it needs.
    summed : bool
        Whether the values at the points are summed to one row (a mean value) or are a row each.
    """

    points: PreparedPoints
    parts: tuple[_Residuals | _Deviation, ...]
    summed: bool = False

    @property
    def rows(self) -> list[_Rows]:
        """Of all values, in the order of :meth:`values`."""
        return [
            rows
            for part in self.parts
            for rows in ([part.rows] if isinstance(part, _Deviation) else [rows for _, rows in part.columns])
        ]

    def values(self, jet: Jet) -> list[Tensor]:
        """Weighted residuals at the points, ``(n,)`` each."""
        out: list[Tensor] = []
        for part in self.parts:
            if isinstance(part, _Deviation):
                out.append((jet[Derivative(part.component)] - part.wanted) * part.rows.factor)
            else:
                values = part.operator(self.points.x, jet, static=part.static).reshape(len(self.points.x), -1)
                out += [values[:, column] * rows.factor for column, rows in part.columns]
        return out


def blocks_of(
    terms: Sequence[Term],
    model: PhysicalNetwork,
    like: Tensor,
    *,
    weights: np.ndarray | None = None,
    chunk: int | None = None,
) -> Iterator[Block]:
    """Lay out terms on the same points, one block after the other.

    Parameters
    ----------
    terms : sequence of Term
        With the same points, and with their rows; a mean value stands alone.
    model : PhysicalNetwork
    like : tensor
        Of the type and on the device that everything gets.
    weights : (n,) array, optional
        Importance of the points in each term's mean square; 1 by default.
    chunk : int, optional
        Points at a time; chosen by default so that layers stay in the cache. The points of one mean value are together.
    """
    points = terms[0].points
    keys = tuple(dict.fromkeys(key for term in terms for key in term.keys))
    if terms[0].average is not None:
        size = len(terms[0].average.weights)
    else:
        slots = 1 + len({axis for key in keys for axis in key.axes}) + sum(len(key.axes) == 2 for key in keys)
        size = chunk or max(64, _NUMBERS // slots)
    importance = np.ones(len(points)) if weights is None else weights
    for start in range(0, len(points), size):
        yield _block(terms, model, like, keys, np.arange(start, min(start + size, len(points))), importance)


def _block(
    terms: Sequence[Term],
    model: PhysicalNetwork,
    like: Tensor,
    keys: tuple,
    some: np.ndarray,
    importance: np.ndarray,
) -> Block:
    x = _tensor(terms[0].points[some], like)
    prepared = model.prepare(x, keys)
    if terms[0].average is not None:
        return Block(prepared, (_deviation(terms[0], int(some[0]), like),), summed=True)
    parts = []
    for operator in dict.fromkeys(term.operator for term in terms):
        assert operator is not None
        sharing = [term for term in terms if term.operator is operator]
        normals = sharing[0].normals
        normal = None if normals is None else _tensor(normals[some], like)
        with torch.no_grad():
            static = operator.static(x, normal=normal)
        columns = tuple(
            (term.component if term.kind == "equation" else 0, _rows(term, some, importance, like)) for term in sharing
        )
        parts.append(_Residuals(operator, static, columns))
    return Block(prepared, tuple(parts))


def _rows(term: Term, some: np.ndarray, importance: np.ndarray, like: Tensor) -> _Rows:
    """E = ½ Σ_t weight_t mean_i w_i (r_i/size_t)² is half of the sum of squares of the rows."""
    start = term.rows.start + int(some[0])
    factor = np.sqrt(term.weight / len(importance) * importance[some]) / term.size
    return _Rows(term, slice(start, start + len(some)), _tensor(factor, like))


def _deviation(term: Term, first: int, like: Tensor) -> _Deviation:
    assert term.average is not None
    row = term.rows.start + first // len(term.average.weights)
    factor = np.sqrt(term.weight / term.average.instants) / term.size * term.average.weights
    return _Deviation(term.component, term.average.wanted, _Rows(term, slice(row, row + 1), _tensor(factor, like)))


def _tensor(array: np.ndarray, like: Tensor) -> Tensor:
    return torch.tensor(array, dtype=like.dtype, device=like.device)
