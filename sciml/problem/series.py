"""Gaussian random fields on a box as finite series of eigenfunctions of the Laplacian."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property, reduce

import numpy as np
from scipy.fft import dct, dst, irfft

from sciml.errors import DeclarationError
from sciml.problem.covariances import Covariance

__all__ = ["EIGENFUNCTIONS", "Eigenfunctions", "GaussianSeries"]

_CHUNK = 1 << 17


class Eigenfunctions(ABC):
    """Orthonormal eigenfunctions of −d²/dx² on an interval, in order of frequency.

    All are scale · sin(frequency (x − lower) + phase), so one formula gives them and all their derivatives.

    Parameters
    ----------
    lower, length : float
        The interval [lower, lower + length].
    modes : int
        The highest wave number.
    """

    def __init__(self, lower: float, length: float, modes: int) -> None:
        self.lower, self.length, self.modes = lower, length, modes
        waves, self.phase = self._waves()
        self.frequency = waves * math.pi / length
        self.scale = np.where(waves == 0, 1.0, math.sqrt(2.0)) / math.sqrt(length)

    def at(self, x: np.ndarray, derivative: int = 0) -> np.ndarray:
        """Values (or a derivative) at points ``(n,)`` → ``(n, m)``."""
        angle = np.multiply.outer(x - self.lower, self.frequency) + (self.phase + derivative * math.pi / 2)
        return self.scale * self.frequency**derivative * np.sin(angle)

    def on_nodes(self, coefficients: np.ndarray, cells: int, axis: int) -> np.ndarray:
        """Sums Σ_k c_k φ_k at the `cells` + 1 nodes of an even grid, by a fast transform along one axis."""
        # A grid that is too coarse for the highest wave is a part of one that is not.
        stride = -(-self._least_cells() // cells)
        values = self._transform(np.moveaxis(coefficients, axis, -1) * self.scale, stride * cells)
        return np.moveaxis(values[..., ::stride], -1, axis)

    def _least_cells(self) -> int:
        return self.modes + 1

    @abstractmethod
    def _waves(self) -> tuple[np.ndarray, np.ndarray]:
        """Half waves on the interval, and phases."""

    @abstractmethod
    def _transform(self, c: np.ndarray, cells: int) -> np.ndarray:
        """Sums Σ_k c_k sin(frequency_k (x − lower) + phase_k) at the nodes, along the last axis."""


class Sines(Eigenfunctions):
    """Zero at both ends (Dirichlet): sin(k π x/length), k = 1 … modes."""

    def _waves(self) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(1, self.modes + 1), np.zeros(self.modes)

    def _transform(self, c: np.ndarray, cells: int) -> np.ndarray:
        inside = dst(_padded(c / 2, cells - 1), type=1)
        return np.pad(inside, [(0, 0)] * (c.ndim - 1) + [(1, 1)])


class Cosines(Eigenfunctions):
    """Zero slope at both ends (Neumann): cos(k π x/length), k = 0 … modes."""

    def _waves(self) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(self.modes + 1), np.full(self.modes + 1, math.pi / 2)

    def _transform(self, c: np.ndarray, cells: int) -> np.ndarray:
        halved = c / 2
        halved[..., 0] = c[..., 0]
        return dct(_padded(halved, cells + 1), type=1)


class Waves(Eigenfunctions):
    """Periodic: 1, then cos(2 k π x/length) and sin(2 k π x/length), k = 1 … modes."""

    def _least_cells(self) -> int:
        return 2 * self.modes + 1

    def _waves(self) -> tuple[np.ndarray, np.ndarray]:
        waves = 2 * ((np.arange(2 * self.modes + 1) + 1) // 2)
        return waves, np.where(np.arange(len(waves)) % 2, math.pi / 2, 0.0) + np.where(waves == 0, math.pi / 2, 0.0)

    def _transform(self, c: np.ndarray, cells: int) -> np.ndarray:
        spectrum = np.concatenate([c[..., :1], (c[..., 1::2] - 1j * c[..., 2::2]) / 2], axis=-1)
        values = irfft(cells * spectrum, n=cells)
        return np.concatenate([values, values[..., :1]], axis=-1)


EIGENFUNCTIONS: dict[str, type[Eigenfunctions]] = {"dirichlet": Sines, "neumann": Cosines, "periodic": Waves}


def _padded(c: np.ndarray, size: int) -> np.ndarray:
    return np.pad(c, [(0, 0)] * (c.ndim - 1) + [(0, size - c.shape[-1])])


class GaussianSeries:
    """Σ_k √λ_k ξ_k φ_k over products of eigenfunctions on a box, with standard normal ξ_k.

    Parameters
    ----------
    covariance : Covariance
        Gives λ_k from the eigenvalue of −Δ.
    lower, upper : (dim,) sequences
        The box; one to three dimensions.
    conditions : {"dirichlet", "neumann", "periodic"}
        Of the eigenfunctions.
    modes : int
        The highest wave number along each axis.
    without_constant : bool
        Leave out the constant eigenfunction, so that the mean over the box is zero.

    Raises
    ------
    DeclarationError
        The field has no finite variance.
    """

    def __init__(
        self,
        covariance: Covariance,
        lower: Sequence[float],
        upper: Sequence[float],
        conditions: str,
        modes: int,
        without_constant: bool = False,
    ) -> None:
        self.lower, self.upper = tuple(lower), tuple(upper)
        kind = EIGENFUNCTIONS[conditions]
        self.axes = [kind(low, high - low, modes) for low, high in zip(lower, upper)]
        squared = reduce(np.add.outer, [axis.frequency**2 for axis in self.axes])
        eigenvalues = np.where(without_constant & (squared == 0), 0.0, covariance.density(squared, self.dim))
        if not np.all(np.isfinite(eigenvalues)):
            raise DeclarationError(
                f"{covariance} leaves the constant part free: give tau > 0, or take `fixed_mean=True` or Dirichlet "
                f"eigenfunctions."
            )
        self.eigenvalues = eigenvalues

    @property
    def dim(self) -> int:
        """Number of dimensions."""
        return len(self.axes)

    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """Coefficients √λ_k ξ_k of a realisation.

        The numbers ξ are used shell by shell, a shell being what one more wave along every axis adds: more modes refine
        the same realisation.
        """
        normals = np.empty(self.eigenvalues.size)
        normals[self._shells] = generator.standard_normal(normals.size)
        return np.sqrt(self.eigenvalues) * normals.reshape(self.eigenvalues.shape)

    @cached_property
    def _shells(self) -> np.ndarray:
        """Flat positions of the coefficients, shell after shell."""
        index = np.indices(self.eigenvalues.shape).reshape(self.dim, -1)
        return np.lexsort([*index[::-1], index.max(axis=0)])

    def at(self, coefficients: np.ndarray, points: np.ndarray, derivative: tuple[int, ...] = ()) -> np.ndarray:
        """The series, or a partial derivative of it, at points ``(n, dim)`` → ``(n,)``; the direct sum."""

        def bases(part: slice) -> list[np.ndarray]:
            return [axis.at(points[part, i], derivative.count(i)) for i, axis in enumerate(self.axes)]

        return _summed(coefficients, len(points), bases)

    def on_nodes(self, coefficients: np.ndarray, cells: Sequence[int]) -> np.ndarray:
        """The series at the nodes of an even grid of the box, by fast transforms → ``(cells₀ + 1, …)``."""
        for i, (axis, n) in enumerate(zip(self.axes, cells)):
            coefficients = axis.on_nodes(coefficients, n, i)
        return coefficients

    def on_lines(self, coefficients: np.ndarray, lines: Sequence[np.ndarray]) -> np.ndarray:
        """The series on the grid of any lines → ``(len(lines₀), …)``."""
        for i, (axis, x) in enumerate(zip(self.axes, lines)):
            coefficients = np.moveaxis(np.tensordot(axis.at(x), coefficients, (1, i)), 0, i)
        return coefficients

    def covariance(self, points: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Covariance of the series between pairs of points, ``(n, dim)`` each → ``(n,)``."""

        def bases(part: slice) -> list[np.ndarray]:
            return [axis.at(points[part, i]) * axis.at(others[part, i]) for i, axis in enumerate(self.axes)]

        return _summed(self.eigenvalues, len(points), bases)


def _summed(coefficients: np.ndarray, n: int, bases: Callable[[slice], list[np.ndarray]]) -> np.ndarray:
    """Σ c_{kl…} a_k(x) b_l(x) … at n points; `bases` gives a, b, … as ``(points, m)`` for some of them.

    A few points at a time, so that what is in between stays in the processor's cache.
    """
    rest = coefficients.shape[:-1]
    matrix = coefficients.reshape(-1, coefficients.shape[-1]).T
    step = max(1, _CHUNK // coefficients.shape[-1] // max(1, math.prod(rest[:-1])))
    out = np.empty(n)
    for start in range(0, n, step):
        part = slice(start, start + step)
        *others, last = bases(part)
        terms = (last @ matrix).reshape(-1, *rest)
        for basis in reversed(others):
            terms = np.einsum("n...k,nk->n...", terms, basis)
        out[part] = terms
    return out
