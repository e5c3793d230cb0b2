"""Typical sizes of several fields that one law couples, each in units of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sciml.forms.linearised import jacobian_blocks
from sciml.forms.pointwise import pointwise
from sciml.nn.samples import Samples
from sciml.problem import Problem

__all__ = ["coupled_sizes"]

_PASSES = 4


def coupled_sizes(
    problem: Problem, samples: Sequence[Samples], state: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes of u − state, of the flux and of the law of each component, ``(k,)`` each.

    With K_fg the size of what a unit of field g adds to the law of field f (slopes count in multiples of 1/L, and a
    second derivative of what is held on the boundary is 8/L² as in −u″ = f on an interval), a field has the size of
    the data that prescribe it, or, if that is larger, the one at which it balances what else stands in a law:

        U_g = max(data_g, min over f of max(source_f, K_fh U_h for all h ≠ g) / K_fg).

    The minimum is taken over the laws with as many equations as g has components, which alone can hold all of it, or
    else over the others: the momentum balance says how large a pressure is, div u = 0 does not say that u is small. A
    law of its own size is that of its largest term. K of a nonlinear law is taken at states of the sizes found.

    Parameters
    ----------
    problem : Problem
        With several fields.
    samples : sequence of Samples
        At its instants.
    state : (k,) array
        A constant state that the unknown is near to.
    """
    slots = problem.layout
    of_fields = [slice(slot.offset, slot.offset + slot.size) for slot in slots]

    def by_field(values: np.ndarray, reduce: str) -> np.ndarray:
        return np.array([getattr(values[own], reduce)() for own in of_fields])

    data = np.max([by_field(s.prescribed(state), "max") for s in samples], axis=0)
    sources = np.max(
        [np.maximum(by_field(s.sources(state), "max"), by_field(s.inflows(state), "max") / problem.domain.size)
         for s in samples], axis=0,
    )  # fmt: skip
    rates = by_field(_rates(problem), "max")
    spread = np.repeat(np.arange(len(slots)), [slot.size for slot in slots])
    sizes = np.where(data > 0, data, 1.0)
    for number in range(_PASSES):
        law = _coefficients(problem, np.maximum(np.abs(state), sizes[spread]), rates)
        found = _balanced(law, data, sources, np.array([slot.size for slot in slots]))
        sizes = found if number == 0 else np.sqrt(sizes * found)
    law = _coefficients(problem, np.maximum(np.abs(state), sizes[spread]), rates)
    fluxes, residuals = (law.flux * sizes).max(axis=1), (law.total * sizes).max(axis=1)
    residuals = np.where(residuals > 0, residuals, 1.0)
    return sizes[spread], fluxes[spread], residuals[spread]


@dataclass(frozen=True)
class _Coefficients:
    """What a unit of each field (columns) adds to the flux, the law, and the law where it is held (rows)."""

    flux: np.ndarray
    total: np.ndarray
    held: np.ndarray


def _coefficients(problem: Problem, sizes: np.ndarray, rates: np.ndarray) -> _Coefficients:
    d, k, length = problem.dim, problem.n_components, problem.domain.size
    blocks = np.abs(jacobian_blocks(problem, sizes))
    rows = [(_entries(slot.components, d), k * d + np.array(slot.components)) for slot in problem.layout]
    a, b, c, e = (
        np.array([[_median(blocks, row[i], column[j]) for column in rows] for row in rows])
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1))
    )
    rest = b / length + c / length + e + np.diag(rates)
    return _Coefficients(a / length + b, a / length**2 + rest, 8 * a / length**2 + rest)


def _entries(components: range, d: int) -> np.ndarray:
    """Where their slopes stand in (∇u, u)."""
    return (np.array(components)[:, None] * d + np.arange(d)).ravel()


def _median(blocks: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
    return float(np.median(blocks[:, rows][:, :, columns].max(axis=(1, 2))))


def _balanced(law: _Coefficients, data: np.ndarray, sources: np.ndarray, equations: np.ndarray) -> np.ndarray:
    """The sizes of the fields; fields that nothing says anything of get 1."""
    sizes = data.copy()
    for _ in range(2 * len(sizes) + 2):
        sizes = np.array([max(data[g], _balancing(law, sizes, sources, equations, g)) for g in range(len(sizes))])
    if not sizes.any():
        return _balanced(law, np.eye(len(sizes))[0], sources, equations)
    return np.where(sizes > 0, sizes, 1.0)


def _balancing(law: _Coefficients, sizes: np.ndarray, sources: np.ndarray, equations: np.ndarray, g: int) -> float:
    """The size of field g at which it balances the other terms of some law; zero while there are none."""
    terms = law.total * sizes
    terms[:, g] = sources
    others = terms.max(axis=1)
    says = (others > 0) & (law.held[:, g] > 0)
    enough = says & (equations >= equations[g])
    rows = enough if enough.any() else says
    return float((others[rows] / law.held[rows, g]).min()) if rows.any() else 0.0


def _rates(problem: Problem) -> np.ndarray:
    """Of the terms in time for u = 1, for each component."""
    out = np.zeros(problem.n_components)
    if not problem.evolves:
        return out
    declared, duration = problem.declaration, problem.time.duration
    points = problem.domain.sample(256, np.random.default_rng(0))
    for factor, time in ((declared.damping, duration), (declared.mass, duration**2)):
        if factor is not None:
            values = np.abs(pointwise(problem, factor).at(points)).reshape(len(points), -1).mean(axis=0) / time
            out = np.maximum(out, values)
    return out
