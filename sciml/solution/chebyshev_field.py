"""Polynomials on a box as fields, at an instant and in time, by their Chebyshev coefficients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sciml.errors import OutputError
from sciml.forms import Derivative
from sciml.linear.chebyshev import (
    chebyshev_basis,
    chebyshev_nodes,
    clenshaw_curtis_weights,
    coefficients_of_derivative,
)
from sciml.problem import Problem, grid_points
from sciml.solution.evolution import Evolution
from sciml.solution.field import Rule
from sciml.solution.series_field import SeriesField

if TYPE_CHECKING:
    import h5py

__all__ = ["ChebyshevEvolution", "ChebyshevField", "checked_coefficients"]

_CHUNK = 1 << 23
_GRID_RATIO = 4
_INSTANTS = 17


class ChebyshevField(SeriesField):
    """A polynomial in each coordinate: Σ_k c_k Π_a T_{k_a}(s_a), s_a from −1 to 1 along each axis of the box.

    Evaluated by its sum at any points, exact to rounding, with derivatives of any order; points that form a grid are
    summed axis by axis. NaN outside of the box.

    Parameters
    ----------
    problem : Problem
        On a box.
    coefficients : (k, n₀, …) array
        Of each component, for the polynomials along each axis.
    """

    kind = "Chebyshev"

    def __init__(self, problem: Problem, coefficients: np.ndarray) -> None:
        self.problem, self.shape = problem, problem.shape
        self.coefficients = np.asarray(coefficients, dtype=float)

    def _derivative(self, key: Derivative) -> np.ndarray:
        domain, out = self.problem.domain, self.coefficients[key.component]
        for axis in key.axes:
            out = coefficients_of_derivative(out, axis) * (2 / (domain.upper[axis] - domain.lower[axis]))
        return out

    def rule(self, n_target: int = 65_536) -> Rule:
        """Clenshaw's and Curtis's rule, exact for products of two such fields."""
        domain = self.problem.domain
        wanted = round(n_target ** (1 / domain.dim))
        lines, weights = [], []
        for n, a, b in zip(self.coefficients.shape[1:], domain.lower, domain.upper, strict=True):
            size = int(np.clip(wanted, 2 * n + 1, max(4 * n, 65)))
            lines.append(a + (b - a) * (1 + chebyshev_nodes(size)) / 2)
            weights.append((b - a) / 2 * clenshaw_curtis_weights(size))
        return Rule(grid_points(lines), grid_points(weights).prod(axis=1))

    def _sum(self, coefficients: np.ndarray, points: np.ndarray) -> np.ndarray:
        domain = self.problem.domain
        points = np.asarray(points, dtype=float)
        out = np.full((len(coefficients), len(points)), np.nan)
        inside = domain.contains(points)
        places = 2 * (points[inside] - domain.lower) / (domain.upper - domain.lower) - 1
        if len(places):
            out[:, inside] = self._sum_inside(coefficients, places)
        return out

    def _sum_inside(self, coefficients: np.ndarray, places: np.ndarray) -> np.ndarray:
        lines = [np.unique(column, return_inverse=True) for column in places.T]
        if np.prod([len(values) for values, _ in lines]) <= _GRID_RATIO * len(places):
            total = coefficients
            for axis, (values, _) in enumerate(lines):
                basis = chebyshev_basis(total.shape[axis + 1], values)
                total = np.moveaxis(np.tensordot(basis, total, (1, axis + 1)), 0, axis + 1)
            return total[(slice(None), *(inverse for _, inverse in lines))]
        size = max(1, _CHUNK // (coefficients.size // coefficients.shape[1]))
        blocks = np.array_split(np.arange(len(places)), -(-len(places) // size))
        return np.concatenate([_scattered(coefficients, places[rows]) for rows in blocks], axis=1)

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> ChebyshevField:
        return cls(problem, checked_coefficients(group["coefficients"][()], problem, 1 + problem.dim))


def _scattered(coefficients: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Sums at points ``(n, dim)`` without any order."""
    k, first, *rest = coefficients.shape
    flat = np.moveaxis(coefficients, 1, 0).reshape(first, -1)
    total = (chebyshev_basis(first, places[:, 0]) @ flat).reshape(len(places), k, *rest)
    for axis, n in enumerate(rest, start=1):
        total = np.einsum("pka...,pa->pk...", total, chebyshev_basis(n, places[:, axis]))
    return total.T


class ChebyshevEvolution(Evolution):
    """Polynomials in place and time on one interval of time after the other.

    Parameters
    ----------
    problem : Problem
    edges : (m + 1,) array
        Ends of the intervals, from the start of the problem's time to its end.
    coefficients : sequence of m arrays (k, n₀, …, n_t)
        See :class:`ChebyshevField`; the time is the last axis.
    """

    kind = "Chebyshev in time"

    def __init__(self, problem: Problem, edges: np.ndarray, coefficients: Sequence[np.ndarray]) -> None:
        self.problem, self.edges = problem, np.asarray(edges, dtype=float)
        self.coefficients = [np.asarray(c, dtype=float) for c in coefficients]
        n = max(_INSTANTS, len(self.edges))
        self.times = np.linspace(problem.time.start, problem.time.end, n)

    def field_at(self, instant: float) -> ChebyshevField:
        k = int(np.clip(np.searchsorted(self.edges, instant) - 1, 0, len(self.coefficients) - 1))
        start, end = self.edges[k : k + 2]
        here = self.coefficients[k]
        basis = chebyshev_basis(here.shape[-1], np.array([2 * (instant - start) / (end - start) - 1]))
        return ChebyshevField(self.problem.at_time(instant), here @ basis[0])

    def store(self, group: h5py.Group) -> None:
        group.create_dataset("edges", data=self.edges)
        for k, coefficients in enumerate(self.coefficients):
            group.create_dataset(f"coefficients/{k}", data=coefficients)

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> ChebyshevEvolution:
        return cls(problem, group["edges"][()], list(_slabs(group, problem)))


def _slabs(group: h5py.Group, problem: Problem) -> Iterator[np.ndarray]:
    for k in range(len(group["edges"]) - 1):
        yield checked_coefficients(group[f"coefficients/{k}"][()], problem, 2 + problem.dim)


def checked_coefficients(coefficients: np.ndarray, problem: Problem, ndim: int) -> np.ndarray:
    """Coefficients that were read, refused where they are not of the problem."""
    if coefficients.ndim != ndim or coefficients.shape[0] != problem.n_components:
        raise OutputError(
            f"The stored coefficients have shape {coefficients.shape}, which does not fit; the file is damaged."
        )
    return coefficients
