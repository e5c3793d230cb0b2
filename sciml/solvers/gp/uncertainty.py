"""What is left uncertain: the covariance of the posterior, and the error between two estimates.

The equation is observed on the grid with independent normal errors of deviation τ, and the conditions hold. With the
prior's covariance P of the free coefficients γ, given the conditions, and the linearised equation A on the grid,

    cov(γ) = (P⁻¹ + AᵀA/τ²)⁻¹ = L (I + LᵀAᵀA L/τ²)⁻¹ Lᵀ,   P = L Lᵀ,

from the singular values of A L, so that P is never inverted. Where there are too many coefficients for that, A is the
Kronecker sum that preconditions, whose eigenfunctions are taken as independent a priori: variances then are sums over
products of one function for each axis.

Without noise, τ is what the equation misses between the points of the grid, and the prior is scaled to the size of the
solution: error bars are as wide as an error of that size everywhere makes them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property, reduce

import numpy as np
import scipy.linalg

from sciml.forms import Derivative
from sciml.solvers.gp.newton import KroneckerInverse
from sciml.solvers.gp.system import System, along

__all__ = ["DensePosterior", "KroneckerPosterior", "Posterior", "difference", "posterior"]

_MOST_WORK = 1e9
_TINY = 1e-300


class Posterior(ABC):
    """Variance of the posterior on grids of points.

    Parameters
    ----------
    system : System
    slopes : mapping
        The linearised equation on the grid.
    noise : float
        τ, in the units of the equation.
    amplitude : float
        What deviations of the prior are multiplied by.
    """

    def __init__(
        self, system: System, slopes: dict[Derivative, np.ndarray], noise: float, amplitude: float = 1.0
    ) -> None:
        self.system, self.slopes, self.noise, self.amplitude = system, slopes, noise, amplitude

    @abstractmethod
    def variance(self, lines: list[np.ndarray]) -> np.ndarray:
        """On the grid with these coordinates along each axis."""

    def _priors(self) -> list[np.ndarray]:
        """Covariances of the free coefficients of each axis, given that the conditions hold."""
        return [
            free.T @ _conditioned(axis.covariance, held) @ free
            for axis, held, free in zip(self.system.axes, self.system.held, self.system.free, strict=True)
        ]


def _conditioned(covariance: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if not len(rows):
        return covariance
    across = covariance @ rows.T
    return covariance - across @ scipy.linalg.solve(rows @ across, across.T, assume_a="sym")


class DensePosterior(Posterior):
    """All covariances, for few coefficients."""

    @cached_property
    def _factors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """L, and the singular value decomposition of A L/τ."""
        roots = [_root(prior) for prior in self._priors()]
        root = self.amplitude * reduce(np.kron, roots)
        system, shape = self.system, self.system.shape
        total = np.zeros((int(np.prod(shape)), root.shape[0]))
        for key, slope in self.slopes.items():
            matrices = [system.matrix(a, key.axes.count(a)) @ free for a, free in enumerate(system.free)]
            total += np.broadcast_to(slope, shape).reshape(-1, 1) * reduce(np.kron, matrices)
        left, sizes, right = scipy.linalg.svd(
            total @ root / max(self.noise, _TINY), full_matrices=False, check_finite=False
        )
        return root, left, sizes, right

    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """Free coefficients of a function drawn from the prior."""
        root = self._factors[0]
        return root @ generator.standard_normal(root.shape[1])

    def mean(self, data: np.ndarray) -> np.ndarray:
        """Free coefficients given what the equation's operator is observed to be on the grid ``(n₀, …)``."""
        root, left, sizes, right = self._factors
        return root @ (right.T @ (sizes / (1 + sizes**2) * (left.T @ data.ravel() / max(self.noise, _TINY))))

    def variance(self, lines: list[np.ndarray]) -> np.ndarray:
        root, _, sizes, right = self._factors
        values = [axis.at(x, 0) @ free for axis, x, free in zip(self.system.axes, lines, self.system.free, strict=True)]
        spread = reduce(np.kron, values) @ (root @ right.T)
        return ((spread**2) @ (1 / (1 + sizes**2))).reshape([len(line) for line in lines])


class KroneckerPosterior(Posterior):
    """Eigenfunctions of the averaged operator, independent of each other."""

    def variance(self, lines: list[np.ndarray]) -> np.ndarray:
        inverse = KroneckerInverse(self.system, self.slopes, diagonal=True)
        spreads = [
            np.einsum("ij,jk,ik->i", back, prior, back.conj()).real
            for back, prior in zip(inverse.back, self._priors(), strict=True)
        ]
        before = self.amplitude**2 * reduce(np.multiply.outer, spreads)
        after = 1 / (1 / np.maximum(before, _TINY) + (np.abs(inverse.eigenvalues) / max(self.noise, _TINY)) ** 2)
        functions = [
            np.abs(axis.at(x, 0) @ free @ vectors) ** 2
            for axis, x, free, vectors in zip(self.system.axes, lines, self.system.free, inverse.vectors, strict=True)
        ]
        return along(functions, after)


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = scipy.linalg.eigh((covariance + covariance.T) / 2, check_finite=False)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def posterior(
    system: System, slopes: dict[Derivative, np.ndarray], coefficients: np.ndarray, noise: float
) -> Posterior:
    """The posterior around a solution, with the prior scaled to its mean square."""
    size = float(np.sqrt(np.mean(system.values(coefficients) ** 2)))
    prior = np.prod(
        [
            np.einsum("ij,jk,ik->", q, a.covariance, q) / len(q)
            for q, a in zip(_values(system), system.axes, strict=True)
        ]
    )
    size_of_all, points = float(np.prod(system.free_shape)), float(np.prod(system.shape))
    kind = DensePosterior if size_of_all**2 * points <= _MOST_WORK else KroneckerPosterior
    return kind(system, slopes, noise, size / float(np.sqrt(prior)))


def _values(system: System) -> list[np.ndarray]:
    return [system.matrix(a, 0) for a in range(len(system.axes))]


def difference(
    system: System, coefficients: np.ndarray, other: System, others: np.ndarray, lines: list[np.ndarray]
) -> tuple[float, float]:
    """Relative differences of two functions in L2 and in H1, the time derivative left out, on a grid.

    In H1 gradients are multiplied by the size of the domain, as in :func:`~sciml.solution.norms.measure_errors`.
    """
    dim, scale = system.problem.dim, system.problem.domain.size

    def sums(axes: tuple[int, ...]) -> tuple[float, float]:
        own, finer = (
            along([axis.at(x, axes.count(a)) for a, (axis, x) in enumerate(zip(s.axes, lines))], c)
            for s, c in ((system, coefficients), (other, others))
        )
        return float(np.mean((own - finer) ** 2)), float(np.mean(finer**2))

    error, size = sums(())
    slopes = [sums((axis,)) for axis in range(dim)]
    errors = error + scale**2 * sum(e for e, _ in slopes)
    sizes = size + scale**2 * sum(s for _, s in slopes)
    return float(np.sqrt(error / (size or 1.0))), float(np.sqrt(errors / (sizes or 1.0)))
