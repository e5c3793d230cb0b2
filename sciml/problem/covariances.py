"""Covariances of stationary Gaussian random fields, by their spectral density.

A field on all of ℝᵈ with covariance C(x − y) has the spectral density S, with ω the angular frequency::

    C(r) = (2π)^(−d) ∫ S(|ω|²) exp(i ω·r) dω

On a box, −Δ has eigenfunctions φ_k with eigenvalues |ω_k|², and the field is Σ_k √S(|ω_k|²) ξ_k φ_k with independent
standard normal ξ_k. By Poisson's summation formula its covariance is the sum of C over the mirror images (or periods)
of a point, with minus signs for Dirichlet conditions: C itself, up to its value at the distance of the nearest image.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from sciml.errors import DeclarationError

__all__ = ["Covariance", "Matern", "Spectral", "SquaredExponential"]


class Covariance(ABC):
    """A law of Gaussian random fields."""

    @abstractmethod
    def density(self, squared_frequency: np.ndarray, dim: int) -> np.ndarray:
        """The spectral density S(|ω|²) in `dim` dimensions.

        Raises
        ------
        DeclarationError
            The field has no finite variance in that many dimensions.
        """

    def _require(self, valid: bool, wanted: str) -> None:
        if not valid:
            raise DeclarationError(f"{self}: {wanted}.")


def _all_positive(*numbers: float) -> bool:
    return all(math.isfinite(number) and number > 0 for number in numbers)


@dataclass(frozen=True, kw_only=True)
class Matern(Covariance):
    """Matérn's covariance: realisations have fewer than `nu` derivatives.

    ::

        C(r) = variance 2^(1−ν)/Γ(ν) z^ν K_ν(z),   z = √(2ν) r/length

    Parameters
    ----------
    nu : float
        Smoothness ν; ½ gives C(r) = variance exp(−r/length), large values approach the squared exponential.
    length : float
        Correlation length.
    variance : float
        Variance at a point.

    Notes
    -----
    Source: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, equations 4.14 and 4.15.
    """

    nu: float
    length: float
    variance: float = 1.0

    def __post_init__(self) -> None:
        self._require(_all_positive(self.nu, self.length, self.variance), "nu, length and variance are positive")

    def density(self, squared_frequency: np.ndarray, dim: int) -> np.ndarray:
        rate, power = 2 * self.nu / self.length**2, self.nu + dim / 2
        # By logarithms: the powers alone leave the range of numbers for a large nu.
        factor = dim / 2 * math.log(4 * math.pi / rate) + gammaln(power) - gammaln(self.nu)
        return self.variance * np.exp(factor - power * np.log1p(squared_frequency / rate))


@dataclass(frozen=True, kw_only=True)
class SquaredExponential(Covariance):
    """The squared exponential (Gaussian, "RBF") covariance: realisations are analytic.

    ::

        C(r) = variance exp(−r²/(2 length²))

    Parameters
    ----------
    length : float
        Correlation length.
    variance : float
        Variance at a point.
    """

    length: float
    variance: float = 1.0

    def __post_init__(self) -> None:
        self._require(_all_positive(self.length, self.variance), "length and variance are positive")

    def density(self, squared_frequency: np.ndarray, dim: int) -> np.ndarray:
        peak = self.variance * (2 * math.pi * self.length**2) ** (dim / 2)
        return peak * np.exp(-(self.length**2) * squared_frequency / 2)


@dataclass(frozen=True, kw_only=True)
class Spectral(Covariance):
    """A power of the Laplacian, sigma² (−Δ + tau²)^(−alpha), as operator learning likes to draw its inputs from.

    Parameters
    ----------
    sigma : float
        Amplitude.
    tau : float
        Inverse length scale; 0 needs a field without constant part (Dirichlet conditions, or a fixed mean).
    alpha : float
        Smoothness, above d/2: realisations have fewer than alpha − d/2 derivatives.

    Notes
    -----
    With alpha = ν + d/2 and tau = √(2ν)/length it is Matérn's law, with another amplitude.
    """

    sigma: float = 1.0
    tau: float
    alpha: float

    def __post_init__(self) -> None:
        self._require(
            _all_positive(self.sigma, self.alpha) and math.isfinite(self.tau) and self.tau >= 0,
            "sigma and alpha are positive, tau is at least 0",
        )

    def density(self, squared_frequency: np.ndarray, dim: int) -> np.ndarray:
        self._require(self.alpha > dim / 2, f"alpha must exceed {dim / 2:g} in {dim} dimensions for a finite variance")
        with np.errstate(divide="ignore"):
            return self.sigma**2 * (squared_frequency + self.tau**2) ** -self.alpha
