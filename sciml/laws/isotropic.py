"""Isotropic laws σ = K tr(E) I + g(|e|) e, with the deviator e of plane strain."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from sciml.errors import ParameterError
from sciml.laws.base import Law, LawResult, State, checked_strains

__all__ = ["DEVIATOR", "IDENTITY", "LinearElastic", "Matrix", "positive"]

IDENTITY = np.array([1.0, 1.0, 0.0])
"""I as (xx, yy, xy)."""
DEVIATOR = np.array([[2 / 3, -1 / 3, 0.0], [-1 / 3, 2 / 3, 0.0], [0.0, 0.0, 0.5]])
"""The deviator of (E_xx, E_yy, γ_xy): (e_xx, e_yy, e_xy)."""
_SMALLEST = 1e-30
"""Added to |e|², so that the norm has a derivative in the unstrained state; 1e-15 is no strain."""


class _Isotropic(Law):
    """The common part; subclasses give twice the secant shear modulus g and its derivative by the norm."""

    def __init__(self, bulk_modulus: float) -> None:
        self.bulk_modulus = positive("bulk_modulus", bulk_modulus)
        self.norm: Literal["full", "in_plane"] = "full"

    @abstractmethod
    def _secant(self, norm: Any) -> Any:
        """g(|e|), of arrays, tensors or UFL."""

    @abstractmethod
    def _secant_slope(self, norm: np.ndarray) -> np.ndarray:
        """dg/d|e|."""

    def _squared_norm(self, xx: Any, yy: Any, zz: Any, xy: Any) -> Any:
        within = xx * xx + yy * yy + 2 * xy * xy
        return within + zz * zz if self.norm == "full" else within

    def _parts(self, strain: Any, sqrt: Callable[[Any], Any]) -> tuple[Any, tuple[Any, Any, Any, Any], Any]:
        """Trace, deviator (xx, yy, zz, xy) and its norm, of a sequence of three components."""
        trace = strain[0] + strain[1]
        xx, yy, zz, xy = strain[0] - trace / 3, strain[1] - trace / 3, -trace / 3, strain[2] / 2
        return trace, (xx, yy, zz, xy), sqrt(self._squared_norm(xx, yy, zz, xy) + _SMALLEST)

    def _stress(self, strain: Any, sqrt: Callable[[Any], Any]) -> list[Any]:
        trace, (xx, yy, _, xy), norm = self._parts(strain, sqrt)
        pressure, secant = self.bulk_modulus * trace, self._secant(norm)
        return [pressure + secant * xx, pressure + secant * yy, secant * xy]

    def stress_torch(self, strain: Any) -> Any:
        import torch

        return torch.stack(self._stress(strain.unbind(-1), torch.sqrt), dim=-1)

    def stress_ufl(self, strain: Any) -> Any:
        import ufl

        return ufl.as_vector(self._stress(strain, ufl.sqrt))

    def evaluate(self, strain: np.ndarray, state: State | None = None, dt: float = 0.0) -> LawResult:
        columns = checked_strains(strain).T
        _, (xx, yy, zz, xy), norm = self._parts(columns, np.sqrt)
        secant, slope = self._secant(norm), self._secant_slope(norm)
        deviator = np.stack([xx, yy, xy], axis=1)
        gradient = deviator
        if self.norm == "in_plane":
            gradient = deviator + np.outer(zz / 3, IDENTITY)
        tangent = self.bulk_modulus * np.outer(IDENTITY, IDENTITY) + np.multiply.outer(secant, DEVIATOR)
        tangent += (slope / norm)[:, None, None] * deviator[:, :, None] * gradient[:, None, :]
        return LawResult(np.stack(self._stress(columns, np.sqrt), axis=1), tangent)


class LinearElastic(_Isotropic):
    """Isotropic linear elasticity, σ = K tr(E) I + 2 G e.

    Parameters
    ----------
    bulk_modulus, shear_modulus : positive, MPa
        K and G.

    Raises
    ------
    ParameterError
        A modulus that is not positive.

    Notes
    -----
    Good values: glass, K = 43452 MPa and G = 29918 MPa.

    Examples
    --------
    >>> glass = LinearElastic(bulk_modulus=4.345e4, shear_modulus=2.992e4)
    """

    linear = True

    def __init__(self, *, bulk_modulus: float, shear_modulus: float) -> None:
        super().__init__(bulk_modulus)
        self.shear_modulus = positive("shear_modulus", shear_modulus)

    def __repr__(self) -> str:
        return f"LinearElastic(bulk_modulus={self.bulk_modulus:.10g}, shear_modulus={self.shear_modulus:.10g})"

    def _secant(self, norm: Any) -> Any:
        return 2 * self.shear_modulus + 0 * norm

    def _secant_slope(self, norm: np.ndarray) -> np.ndarray:
        return np.zeros_like(norm)

    def energy(self, strain: np.ndarray) -> np.ndarray:
        """ψ = K tr(E)²/2 + G |e|², (n,), MPa."""
        trace, _, norm = self._parts(checked_strains(strain).T, np.sqrt)
        return self.bulk_modulus * trace**2 / 2 + self.shear_modulus * norm**2


class Matrix(_Isotropic):
    """A polymer whose shear stress saturates, σ = K tr(E) I + a₁/(a₂ + |e|) e.

    Its potential is ψ = K tr(E)²/2 + a₁ (|e| − a₂ ln(1 + |e|/a₂)) with the norm of the whole deviator, e_zz = −tr(E)/3
    included.

    Parameters
    ----------
    bulk_modulus : positive, MPa
        K.
    saturation : positive, MPa
        a₁, which no deviatoric stress exceeds.
    softening : positive
        a₂, the strain at which half of it is reached; the shear modulus at rest is a₁/(2 a₂).
    norm : {"full", "in_plane"}
        |e| of the whole deviator, or of its components in the plane alone, as the published code has it: there is no
        potential then, and the tangent is not symmetric.

    Raises
    ------
    ParameterError
        A value that is not positive, or another norm.

    Notes
    -----
    Good values: the defaults, which are those of the source.

    When it breaks: the tangent shear modulus goes to zero as strains grow, and the ratio of Poisson to ½: linear
    triangles lock.

    Source: Eivazi, Tröger, Wittek, Hartmann, Rausch, "EquiNO", J. Comput. Phys. 114745 (2026), constants from its code.
    """

    def __init__(
        self,
        *,
        bulk_modulus: float = 4.78e3,
        saturation: float = 50.0,
        softening: float = 0.06,
        norm: Literal["full", "in_plane"] = "full",
    ) -> None:
        super().__init__(bulk_modulus)
        self.saturation, self.softening = positive("saturation", saturation), positive("softening", softening)
        if norm not in ("full", "in_plane"):
            raise ParameterError(f"norm={norm!r} was given; a matrix takes 'full' or 'in_plane'.")
        self.norm = norm

    def __repr__(self) -> str:
        return (
            f"Matrix(bulk_modulus={self.bulk_modulus:.10g}, saturation={self.saturation:.10g}, "
            f"softening={self.softening:.10g}, norm={self.norm!r})"
        )

    def _secant(self, norm: Any) -> Any:
        return self.saturation / (self.softening + norm)

    def _secant_slope(self, norm: np.ndarray) -> np.ndarray:
        return -self.saturation / (self.softening + norm) ** 2

    def energy(self, strain: np.ndarray) -> np.ndarray:
        """The potential ψ, (n,), MPa; None exists for the norm in the plane.

        Raises
        ------
        ParameterError
            The norm is that in the plane.
        """
        if self.norm != "full":
            raise ParameterError("A matrix with norm='in_plane' has no potential; take norm='full'.")
        trace, _, norm = self._parts(checked_strains(strain).T, np.sqrt)
        shear = self.saturation * (norm - self.softening * np.log1p(norm / self.softening))
        return self.bulk_modulus * trace**2 / 2 + shear


def positive(name: str, value: float) -> float:
    """A constant of a law that is finite and above zero.

    Raises
    ------
    ParameterError
    """
    if not np.isfinite(value) or value <= 0:
        raise ParameterError(f"{name}={value!r} was given to a law; it takes a finite number above 0.")
    return float(value)
