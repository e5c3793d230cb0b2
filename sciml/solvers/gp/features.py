"""The prior along one axis in weight space: functions, their derivatives, an orthonormal basis on a grid.

With s = x − centre the Gaussian-mixture kernel of one frequency f and inverse length r is a sum over features,

    exp(−r² (s − s′)²/2) cos 2πf(s − s′) = Σ_k [φ_k(s) cos 2πfs] [φ_k(s′) cos 2πfs′] + the same with sines,
    φ_k(s) = exp(−r² s²/2) (r s)^k / √k!,

which converges once k is well above (r length/2)². A function drawn from the prior is a sum of features with
independent standard normal weights. Features of one envelope are nearly dependent; the same functions are written as
Legendre polynomials times the envelope, so that no digits are lost, and the prior is the covariance of their
coefficients.

Where all frequencies up to a highest one count alike, the prior is that of a flat spectrum, with the kernel sin(c(x −
x′))/(x − x′). Its principal functions are the prolate spheroidal wave functions (D. Slepian, H. O. Pollak, Bell
Syst. Tech. J. 40 (1961) 43), found from the tridiagonal matrix of the differential operator they share (H. Xiao, V.
Rokhlin, N. Yarvin, Inverse Problems 17 (2001) 805).

No kernel matrix is inverted and nothing is added to a diagonal.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.linalg

__all__ = ["Axis", "Band", "Family", "Mixture"]

_CUT = 1e-11
_FULLEST = 0.75
_BEYOND, _MORE_TERMS = 26, 1
_FAINTEST = 1e-16


class Family(ABC):
    """Functions on an interval with a prior for their coefficients.

    Attributes
    ----------
    lower, upper : float
    """

    lower: float
    upper: float

    @property
    def length(self) -> float:
        """Of the interval."""
        return self.upper - self.lower

    @abstractmethod
    def at(self, x: np.ndarray, order: int) -> np.ndarray:
        """Derivatives of an order up to 2 at points ``(n,)``: ``(n, size)``."""

    @property
    @abstractmethod
    def covariance(self) -> np.ndarray:
        """Of the coefficients before anything is known: ``(size, size)``."""

    @abstractmethod
    def richer(self, most: int) -> Family:
        """The same with more functions, at most so many."""

    def _places(self, x: np.ndarray) -> np.ndarray:
        """Points of the interval as points of [−1, 1]."""
        return (2 * np.asarray(x, dtype=float) - self.lower - self.upper) / self.length


@dataclass(frozen=True)
class Mixture(Family):
    """A mixture of Gaussians in the spectrum.

    Attributes
    ----------
    lower, upper : float
    frequencies : tuple of float
        In cycles per length, not negative.
    terms : int
        Features of each envelope, k = 0 … terms − 1.
    width : float
        Inverse length r of the envelope times the length of the interval.
    weights : tuple of float, optional
        Of the frequencies, positive; 1 each by default.
    """

    lower: float
    upper: float
    frequencies: tuple[float, ...]
    terms: int
    width: float
    weights: tuple[float, ...] | None = None

    def at(self, x: np.ndarray, order: int) -> np.ndarray:
        t = self._places(x)
        envelopes, scale = self._envelopes(t, order), 2 / self.length
        blocks = []
        for f, phase in self._waves:
            # Each derivative of cos(ωt + phase) adds a quarter of a turn.
            omega = np.pi * f * self.length
            waves = [omega**k * np.cos(omega * t + phase + k * np.pi / 2)[:, None] for k in range(order + 1)]
            terms = (math.comb(order, k) * envelopes[order - k] * waves[k] for k in range(order + 1))
            blocks.append(scale**order * sum(terms))
        return np.concatenate(blocks, axis=1)

    def richer(self, most: int) -> Mixture:
        # Functions beyond what a grid can tell apart are left out by the axis.
        return replace(self, terms=self.terms + _MORE_TERMS)

    @property
    def covariance(self) -> np.ndarray:
        sizes = np.exp(-0.5 * np.array([math.lgamma(k + 1) for k in range(self.terms)]))
        powers = np.zeros((self.terms, self.terms))
        for k in range(self.terms):
            monomial = np.zeros(k + 1)
            monomial[k] = (self.width / 2) ** k * sizes[k]
            powers[: k + 1, k] = np.polynomial.legendre.poly2leg(monomial)
        weights = dict(zip(self.frequencies, self.weights or (1.0,) * len(self.frequencies), strict=True))
        return scipy.linalg.block_diag(*[weights[f] * powers @ powers.T for f, _ in self._waves])

    @cached_property
    def _waves(self) -> list[tuple[float, float]]:
        """Frequency and phase of each block: cosine and sine, of the frequency zero the cosine alone."""
        return [(f, phase) for f in self.frequencies for phase in ((0.0, -np.pi / 2) if f > 0 else (0.0,))]

    def _envelopes(self, t: np.ndarray, order: int) -> list[np.ndarray]:
        """Legendre polynomials times the bell, and their derivatives: ``(n, terms)`` each."""
        a = (self.width / 2) ** 2
        bell = np.exp(-a * t**2 / 2)
        bells = [bell, -a * t * bell, (a * a * t**2 - a) * bell]
        powers = _legendre(t, self.terms, order)
        return [
            sum(math.comb(k, j) * powers[k - j] * bells[j][:, None] for j in range(k + 1)) for k in range(order + 1)
        ]  # type: ignore[misc]


@dataclass(frozen=True)
class Band(Family):
    """A flat spectrum up to a highest frequency.

    Attributes
    ----------
    lower, upper : float
    top : float
        In cycles per length.
    size : int
        Functions that are kept.
    """

    lower: float
    upper: float
    top: float
    size: int

    @classmethod
    def of(cls, lower: float, upper: float, top: float, most: int) -> Band:
        """With as many functions as waves of that frequency need, and some more for what is smooth but no wave."""
        return cls(lower, upper, top, min(math.ceil(2 * top * (upper - lower)) + _BEYOND, most))

    @staticmethod
    def top_of(size: float, length: float) -> float:
        """The highest frequency that so many functions reach, at least one wave over the length."""
        return max((size - _BEYOND) / 2, 1.0) / length

    def richer(self, most: int) -> Band:
        top = 1.15 * self.top + 1 / self.length
        return Band(self.lower, self.upper, top, min(self.size + math.ceil(0.3 * self.top * self.length) + 8, most))

    @property
    def _bandwidth(self) -> float:
        return math.pi * self.top * self.length

    @cached_property
    def _coefficients(self) -> np.ndarray:
        """Of the functions, orthonormal on [−1, 1], for Legendre polynomials: ``(degrees, size)``."""
        c, n = self._bandwidth, int(self.size + self._bandwidth + 40)
        k = np.arange(n, dtype=float)
        diagonal = k * (k + 1) + c**2 * (2 * k * (k + 1) - 1) / ((2 * k + 3) * (2 * k - 1))
        beside = c**2 * (k + 1) * (k + 2) / ((2 * k + 3) * np.sqrt((2 * k + 1) * (2 * k + 5)))
        out, values = np.zeros((n, n)), np.zeros(n)
        for parity in (0, 1):
            own = slice(parity, None, 2)
            values[own], vectors = scipy.linalg.eigh_tridiagonal(diagonal[own], beside[own][: len(k[own]) - 1])
            out[own, own] = vectors
        first = np.argsort(values)[: self.size]
        return np.sqrt(k + 0.5)[:, None] * out[:, first]

    @property
    def covariance(self) -> np.ndarray:
        # Eigenvalues of the kernel, by its integral over Gauss's points.
        nodes, weights = np.polynomial.legendre.leggauss(len(self._coefficients))
        values = self._values(nodes, 0)
        kernel = np.sinc(self._bandwidth / np.pi * np.subtract.outer(nodes, nodes)) * (self._bandwidth / np.pi)
        weighted = values * weights[:, None]
        sizes = np.einsum("ij,ij->j", weighted, kernel @ weighted)
        return np.diag(np.clip(sizes, _FAINTEST, 1.0))

    def at(self, x: np.ndarray, order: int) -> np.ndarray:
        return self._values(self._places(x), order) * (2 / self.length) ** order

    def _values(self, t: np.ndarray, order: int) -> np.ndarray:
        return _legendre(t, len(self._coefficients), order)[order] @ self._coefficients


def _legendre(t: np.ndarray, n: int, order: int) -> list[np.ndarray]:
    """P_0 … P_{n−1} and their derivatives up to an order, ``(len(t), n)`` each, by the three-term recurrence."""
    out = [np.zeros((n, len(t))) for _ in range(order + 1)]
    out[0][0] = 1.0
    if n > 1:
        out[0][1] = t
    for k in range(2, n):
        out[0][k] = ((2 * k - 1) * t * out[0][k - 1] - (k - 1) * out[0][k - 2]) / k
    for j in range(1, order + 1):
        # P_k⁽ʲ⁾ = P_{k−2}⁽ʲ⁾ + (2k − 1) P_{k−1}⁽ʲ⁻¹⁾
        for k in range(1, n):
            out[j][k] = (out[j][k - 2] if k > 1 else 0.0) + (2 * k - 1) * out[j - 1][k - 1]
    return [values.T for values in out]


@dataclass(frozen=True, eq=False)
class Axis:
    """Functions of a family, combined to be orthonormal on a uniform grid: Σ_i q_j(x_i) q_l(x_i) = δ_jl.

    Attributes
    ----------
    family : Family
    grid : (n,) array
        Ends included.
    combinations : (size, r) array
        What of the family each function is made of.
    covariance : (r, r) array
        The prior of their coefficients.
    """

    family: Family
    grid: np.ndarray
    combinations: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, family: Family, n: int) -> Axis:
        """On n equal points; functions that the grid cannot tell apart are left out."""
        grid = np.linspace(family.lower, family.upper, n)
        values = family.at(grid, 0)
        scale = 1 / np.linalg.norm(values, axis=0)
        _, sizes, right = scipy.linalg.svd(values * scale, full_matrices=False, check_finite=False)
        rank = min(int((sizes > _CUT * sizes[0]).sum()), max(4, int(_FULLEST * n)))
        back = right[:rank] * sizes[:rank, None] / scale
        return cls(family, grid, scale[:, None] * right[:rank].T / sizes[:rank], back @ family.covariance @ back.T)

    @property
    def lower(self) -> float:
        """First point."""
        return self.family.lower

    @property
    def upper(self) -> float:
        """Last point."""
        return self.family.upper

    @property
    def rank(self) -> int:
        """Number of functions."""
        return self.combinations.shape[1]

    def at(self, x: np.ndarray, order: int) -> np.ndarray:
        """Values, or a derivative, of all functions at points: ``(len(x), r)``."""
        return self.family.at(x, order) @ self.combinations
