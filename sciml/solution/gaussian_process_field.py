"""The posterior of a Gaussian process on a box as a field: mean and variance as polynomials in each coordinate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sciml.linear.chebyshev import chebyshev_basis
from sciml.problem import Problem
from sciml.solution.chebyshev_field import ChebyshevEvolution, ChebyshevField, checked_coefficients

if TYPE_CHECKING:
    import h5py

__all__ = ["GaussianProcessEvolution", "GaussianProcessField"]


class GaussianProcessField(ChebyshevField):
    """The posterior's mean, with its variance at any point.

    Parameters
    ----------
    problem : Problem
        On a box.
    coefficients, variance : (k, n₀, …) arrays
        Chebyshev coefficients of mean and variance, of each component.
    """

    kind = "Gaussian process"

    def __init__(self, problem: Problem, coefficients: np.ndarray, variance: np.ndarray) -> None:
        super().__init__(problem, coefficients)
        self.variance = np.asarray(variance, dtype=float)

    def standard_deviation(self, points: np.ndarray) -> np.ndarray:
        """Of the posterior at points ``(n, dim)`` → ``(n, *shape)``; NaN outside of the box."""
        return np.sqrt(np.maximum(self._sum(self.variance, points), 0.0)).T.reshape(len(points), *self.shape)

    def store(self, group: h5py.Group) -> None:
        super().store(group)
        group.create_dataset("variance", data=self.variance)

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> GaussianProcessField:
        ndim = 1 + problem.dim
        return cls(problem, *(checked_coefficients(group[n][()], problem, ndim) for n in ("coefficients", "variance")))


class GaussianProcessEvolution(ChebyshevEvolution):
    """The same in place and time, which is the last axis.

    Parameters
    ----------
    problem : Problem
    coefficients, variance : (k, n₀, …, n_t) arrays
    """

    kind = "Gaussian process in time"

    def __init__(self, problem: Problem, coefficients: np.ndarray, variance: np.ndarray) -> None:
        super().__init__(problem, np.array([problem.time.start, problem.time.end]), [coefficients])
        self.variance = np.asarray(variance, dtype=float)

    def field_at(self, instant: float) -> GaussianProcessField:
        start, end = self.edges
        place = np.array([2 * (instant - start) / (end - start) - 1])
        mean, variance = (c @ chebyshev_basis(c.shape[-1], place)[0] for c in (self.coefficients[0], self.variance))
        return GaussianProcessField(self.problem.at_time(instant), mean, variance)

    def store(self, group: h5py.Group) -> None:
        group.create_dataset("coefficients", data=self.coefficients[0])
        group.create_dataset("variance", data=self.variance)

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> GaussianProcessEvolution:
        ndim = 2 + problem.dim
        return cls(problem, *(checked_coefficients(group[n][()], problem, ndim) for n in ("coefficients", "variance")))
