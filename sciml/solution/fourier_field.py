"""Trigonometric polynomials on a periodic box as fields, at an instant and in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sciml.errors import OutputError
from sciml.forms import Derivative
from sciml.problem import Problem, grid_points
from sciml.problem.evolution import interpolation_weights
from sciml.solution.evolution import Evolution
from sciml.solution.field import Rule
from sciml.solution.series_field import SeriesField

if TYPE_CHECKING:
    import h5py

__all__ = ["FourierEvolution", "FourierField"]

_CHUNK = 1 << 22
_NEAR = 6
_GRID_RATIO = 4


class FourierField(SeriesField):
    """A real trigonometric polynomial: Σ_n c_n exp(2πi Σ_j n_j (x_j − lower_j)/length_j).

    Evaluated by its sum at any points, exact to rounding; points that form a grid are summed axis by axis.

    Parameters
    ----------
    problem : Problem
        On a box.
    coefficients : (k, 2 K + 1, …, K + 1) complex array
        Of each component, for waves −K … K along each axis, ascending; of the last axis only 0 … K, since the rest are
        their conjugates.
    """

    kind = "Fourier"

    def __init__(self, problem: Problem, coefficients: np.ndarray) -> None:
        self.problem, self.shape = problem, problem.shape
        self.coefficients = np.asarray(coefficients, dtype=complex)
        self._highest = self.coefficients.shape[-1] - 1

    @property
    def _waves(self) -> list[np.ndarray]:
        both = np.arange(-self._highest, self._highest + 1)
        return [both] * (self.problem.dim - 1) + [np.arange(self._highest + 1)]

    @property
    def _frequencies(self) -> list[np.ndarray]:
        domain = self.problem.domain
        return [2 * np.pi * n / (b - a) for n, a, b in zip(self._waves, domain.lower, domain.upper, strict=True)]

    def _derivative(self, key: Derivative) -> np.ndarray:
        out = self.coefficients[key.component]
        for axis in key.axes:
            factor = 1j * self._frequencies[axis]
            out = out * factor.reshape(-1, *(1,) * (self.problem.dim - 1 - axis))
        return out

    def rule(self, n_target: int = 65_536) -> Rule:
        """An even grid with equal weights, exact for products of two such fields."""
        domain = self.problem.domain
        n = max(int(np.ceil(n_target ** (1 / domain.dim))), 4 * self._highest + 1)
        points = _lattice(domain.lower, domain.upper, n)
        return Rule(points, np.full(len(points), domain.volume / len(points)))

    def on_grid(self, n: int) -> np.ndarray:
        """Values at the `n` points along each axis of the even grid from the lower corner, ``(n, …, *shape)``.

        By one fast transform, on a multiple of the grid where it is too coarse for the waves.
        """
        dim, highest = self.problem.dim, self._highest
        stride = -(-(2 * highest + 1) // n)
        size = stride * n
        spectrum = np.zeros((len(self.coefficients), *(size,) * (dim - 1), size // 2 + 1), dtype=complex)
        own = [np.arange(-highest, highest + 1)] * (dim - 1) + [np.arange(highest + 1)]
        spectrum[(slice(None), *np.ix_(*own))] = self.coefficients
        values = np.fft.irfftn(spectrum, s=(size,) * dim, axes=tuple(range(1, dim + 1)), norm="forward")
        values = values[(slice(None), *(slice(None, None, stride),) * dim)]
        return np.moveaxis(values, 0, -1).reshape(*(n,) * dim, *self.shape)

    def _sum(self, coefficients: np.ndarray, points: np.ndarray) -> np.ndarray:
        weighted = coefficients * np.where(self._waves[-1] > 0, 2.0, 1.0)
        shifted = np.asarray(points, dtype=float) - self.problem.domain.lower
        if not len(shifted):
            return np.zeros((len(coefficients), 0))
        lines = [np.unique(np.round(column, 14), return_index=True, return_inverse=True) for column in shifted.T]
        if np.prod([len(values) for values, _, _ in lines]) <= _GRID_RATIO * len(shifted):
            bases = [self._basis(shifted[first, axis], axis) for axis, (_, first, _) in enumerate(lines)]
            for axis, basis in enumerate(bases):
                weighted = np.moveaxis(np.tensordot(basis, weighted, (1, axis + 1)), 0, axis + 1)
            return weighted.real[(slice(None), *(inverse for _, _, inverse in lines))]
        # Points with the same last coordinate share most of the work.
        order = np.argsort(lines[-1][2], kind="stable")
        size = max(1, _CHUNK // (weighted.size // weighted.shape[-1]))
        out = np.empty((len(coefficients), len(shifted)))
        for rows in np.array_split(order, -(-len(order) // size)):
            out[:, rows] = self._scattered(weighted, shifted[rows], lines[-1][2][rows])
        return out

    def _basis(self, distance: np.ndarray, axis: int) -> np.ndarray:
        return np.exp(1j * np.multiply.outer(distance, self._frequencies[axis]))

    def _scattered(self, weighted: np.ndarray, shifted: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
        last = weighted.ndim - 2
        out = (weighted @ self._basis(shifted[first, last], last).T)[..., inverse]
        for axis in range(last - 1, -1, -1):
            out = np.einsum("...kn,nk->...n", out, self._basis(shifted[:, axis], axis))
        return out.real

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> FourierField:
        return cls(problem, _checked(group["coefficients"][()], problem, 1))


class FourierEvolution(Evolution):
    """Trigonometric polynomials at some instants.

    Between them by polynomials in time through the six nearest; a solution that changes much from one instant to the
    next needs more of them (the option `snapshots`).

    Parameters
    ----------
    problem : Problem
    times : (m,) array
    coefficients : (m, k, 2 K + 1, …, K + 1) complex array
        See :class:`FourierField`.
    """

    kind = "Fourier in time"

    def __init__(self, problem: Problem, times: np.ndarray, coefficients: np.ndarray) -> None:
        self.problem, self.times = problem, np.asarray(times, dtype=float)
        self.coefficients = np.asarray(coefficients, dtype=complex)

    def field_at(self, instant: float) -> FourierField:
        first = int(np.clip(np.searchsorted(self.times, instant) - _NEAR // 2, 0, max(0, len(self.times) - _NEAR)))
        nodes = slice(first, first + _NEAR)
        weights = interpolation_weights(self.times[nodes], instant)
        used = np.flatnonzero(weights)
        state = np.tensordot(weights[used], self.coefficients[nodes][used], (0, 0))
        return FourierField(self.problem.at_time(instant), state)

    def store(self, group: h5py.Group) -> None:
        group.create_dataset("times", data=self.times)
        group.create_dataset("coefficients", data=self.coefficients)

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> FourierEvolution:
        return cls(problem, group["times"][()], _checked(group["coefficients"][()], problem, 2))


def _checked(coefficients: np.ndarray, problem: Problem, lead: int) -> np.ndarray:
    waves = coefficients.shape[lead:]
    fits = len(waves) == problem.dim and coefficients.shape[lead - 1] == problem.n_components
    if not fits or any(n != 2 * waves[-1] - 1 for n in waves[:-1]):
        raise OutputError(f"The stored waves have shape {coefficients.shape}, which does not fit; the file is damaged.")
    return coefficients


def _lattice(lower: np.ndarray, upper: np.ndarray, n: int) -> np.ndarray:
    lines = [a + (b - a) * np.arange(n) / n for a, b in zip(lower, upper, strict=True)]
    return grid_points(lines)
