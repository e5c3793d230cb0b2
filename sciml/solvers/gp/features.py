"""The Gaussian-mixture kernel along one axis in weight space: features, their derivatives, an orthonormal basis.

With s = x − centre the kernel of one component of frequency f and inverse length r is a sum over features,

    exp(−r² (s − s′)²/2) cos 2πf(s − s′) = Σ_k [φ_k(s) cos 2πfs] [φ_k(s′) cos 2πfs′] + the same with sines,
    φ_k(s) = exp(−r² s²/2) (r s)^k / √k!,

which converges once k is well above (r length/2)². A function drawn from the prior is a sum of features with independent
standard normal weights; a singular value decomposition of their values on a grid gives the principal functions of the
prior there, orthonormal on the grid, and the standard deviation of the prior along each. No kernel matrix is inverted
and nothing is added to a diagonal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

__all__ = ["Axis", "Features"]

_CUT = 1e-14
_FULLEST = 0.75


@dataclass(frozen=True)
class Features:
    """Features of a Gaussian mixture along one axis.

    Attributes
    ----------
    centre, length : float
        Middle and length of the interval.
    frequencies : tuple of float
        In cycles per length, not negative.
    terms : int
        Features of each envelope, k = 0 … terms − 1.
    width : float
        Inverse length r of the envelope times the length of the interval.
    """

    centre: float
    length: float
    frequencies: tuple[float, ...]
    terms: int
    width: float

    @property
    def size(self) -> int:
        """How many there are: one family for the frequency zero, two for any other."""
        return self.terms * sum(2 if f > 0 else 1 for f in self.frequencies)

    def at(self, x: np.ndarray, order: int) -> np.ndarray:
        """The derivative of an order up to 2 at points ``(n,)``: ``(n, size)``."""
        s = np.asarray(x, dtype=float)[:, None] - self.centre
        envelopes = self._envelopes(s, order)
        blocks = []
        for f in self.frequencies:
            omega = 2 * np.pi * f
            for phase in (0.0, -np.pi / 2) if f > 0 else (0.0,):
                # Each derivative of cos(ωs + phase) adds a quarter of a turn.
                waves = [omega**k * np.cos(omega * s + phase + k * np.pi / 2) for k in range(order + 1)]
                blocks.append(sum(math.comb(order, k) * envelopes[order - k] * waves[k] for k in range(order + 1)))
        return np.concatenate(blocks, axis=1)

    def _envelopes(self, s: np.ndarray, order: int) -> list[np.ndarray]:
        """φ_k and its derivatives: ``(n, terms)`` each."""
        r, k = self.width / self.length, np.arange(self.terms)
        z = r * s
        sizes = np.exp(-0.5 * np.array([math.lgamma(j + 1) for j in k]))
        bell = np.exp(-(z**2) / 2)

        def power(shift: int) -> np.ndarray:
            return np.where(k >= shift, z ** np.maximum(k - shift, 0), 0.0) * sizes * bell

        out = [power(0)]
        if order > 0:
            out.append(r * (k * power(1) - z * power(0)))
        if order > 1:
            out.append(r**2 * (k * (k - 1) * power(2) - 2 * k * z * power(1) + (z**2 - 1) * power(0)))
        return out


@dataclass(frozen=True, eq=False)
class Axis:
    """Principal functions of the prior along one axis, orthonormal on a uniform grid: Σ_i q_j(x_i) q_l(x_i) = δ_jl.

    Attributes
    ----------
    lower, upper : float
    features : Features
    grid : (n,) array
        Ends included.
    deviations : (r,) array
        Of the prior along each function, for features with standard normal weights.
    combinations : (size, r) array
        What of the features each function is made of.
    """

    lower: float
    upper: float
    features: Features
    grid: np.ndarray
    deviations: np.ndarray
    combinations: np.ndarray

    @classmethod
    def of(cls, lower: float, upper: float, n: int, frequencies: Sequence[float], terms: int, width: float) -> Axis:
        """Functions along an interval from n equal points; those that the grid cannot tell apart are left out."""
        features = Features((lower + upper) / 2, upper - lower, tuple(frequencies), terms, width)
        grid = np.linspace(lower, upper, n)
        _, sizes, right = scipy.linalg.svd(features.at(grid, 0), full_matrices=False, check_finite=False)
        rank = min(int((sizes > _CUT * sizes[0]).sum()), max(4, int(_FULLEST * n)))
        return cls(lower, upper, features, grid, sizes[:rank], right[:rank].T / sizes[:rank])

    @property
    def rank(self) -> int:
        """Number of functions."""
        return len(self.deviations)

    def at(self, x: np.ndarray, order: int) -> np.ndarray:
        """Values, or a derivative, of all functions at points: ``(len(x), r)``."""
        return self.features.at(x, order) @ self.combinations

    def shortened(self, rank: int) -> Axis:
        """The first functions alone."""
        return replace(self, deviations=self.deviations[:rank], combinations=self.combinations[:, :rank])
