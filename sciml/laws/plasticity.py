"""Plasticity of metals: von Mises' yield condition with linear isotropic hardening."""

from __future__ import annotations

import numpy as np

from sciml.errors import ParameterError
from sciml.laws.base import Law, LawResult, State, checked_strains
from sciml.laws.isotropic import DEVIATOR, IDENTITY, positive

__all__ = ["J2"]

_FACTOR = np.sqrt(2 / 3)


class J2(Law):
    """Small-strain plasticity in plane strain, by radial return.

    ::

        σ = K tr(E) I + 2 G (e − e_p),   |s| ≤ √(2/3) (σ_y + H α),   ė_p = γ̇ s/|s|,   α̇ = √(2/3) γ̇

    Parameters
    ----------
    bulk_modulus, shear_modulus : positive, MPa
        K and G.
    yield_stress : positive, MPa
        σ_y in uniaxial tension.
    hardening : at least 0, MPa
        H; 0 is perfect plasticity.

    Raises
    ------
    ParameterError
        A constant out of its range.

    Notes
    -----
    The state is the plastic strain (xx, yy, zz, xy) and the accumulated one α; of the work, ∫ σ_y dα is dissipated and
    H α²/2 stored. The tangent is that of the update.

    Good values: aluminium, K = 71660, G = 27280, σ_y = 243 and H = 2171 MPa.

    When it breaks: without hardening a cell may have no unique answer.

    Source: Simo, Hughes, "Computational Inelasticity" (1998), box 3.2.
    """

    history = ("plastic_strain", "hardening")

    def __init__(
        self, *, bulk_modulus: float, shear_modulus: float, yield_stress: float, hardening: float = 0.0
    ) -> None:
        self.bulk_modulus = positive("bulk_modulus", bulk_modulus)
        self.shear_modulus = positive("shear_modulus", shear_modulus)
        self.yield_stress = positive("yield_stress", yield_stress)
        if not np.isfinite(hardening) or hardening < 0:
            raise ParameterError(f"hardening={hardening!r} was given to a law; it takes a finite number, at least 0.")
        self.hardening = float(hardening)

    def __repr__(self) -> str:
        return (
            f"J2(bulk_modulus={self.bulk_modulus:.10g}, shear_modulus={self.shear_modulus:.10g}, "
            f"yield_stress={self.yield_stress:.10g}, hardening={self.hardening:.10g})"
        )

    def initial_state(self, n: int) -> dict[str, np.ndarray]:
        """``plastic_strain`` (n, 4) as xx, yy, zz, xy, and ``hardening`` (n,), α."""
        return {"plastic_strain": np.zeros((n, 4)), "hardening": np.zeros(n)}

    def evaluate(self, strain: np.ndarray, state: State | None = None, dt: float = 0.0) -> LawResult:
        strain = checked_strains(strain)
        past = self.initial_state(len(strain)) if state is None else state
        trace = strain[:, 0] + strain[:, 1]
        deviator = np.stack([strain[:, 0], strain[:, 1], np.zeros_like(trace), strain[:, 2] / 2], axis=1)
        deviator[:, :3] -= trace[:, None] / 3
        twice = 2 * self.shear_modulus
        trial = twice * (deviator - past["plastic_strain"])
        norm = np.sqrt(trial**2 @ np.array([1.0, 1.0, 1.0, 2.0]))
        excess = norm - _FACTOR * (self.yield_stress + self.hardening * past["hardening"])
        slip = np.maximum(excess, 0.0) / (twice + 2 / 3 * self.hardening)
        direction = trial / np.maximum(norm, 1e-300)[:, None]
        shear = trial - twice * slip[:, None] * direction
        stress = shear[:, [0, 1, 3]] + np.outer(self.bulk_modulus * trace, IDENTITY)
        after = {
            "plastic_strain": past["plastic_strain"] + slip[:, None] * direction,
            "hardening": past["hardening"] + _FACTOR * slip,
        }
        return LawResult(stress, self._tangent(norm, slip, direction[:, [0, 1, 3]]), after)

    def _tangent(self, norm: np.ndarray, slip: np.ndarray, direction: np.ndarray) -> np.ndarray:
        twice = 2 * self.shear_modulus
        left = 1 - twice * slip / np.maximum(norm, 1e-300)
        along = np.where(slip > 0, twice / (twice + 2 / 3 * self.hardening) - (1 - left), 0.0)
        tangent = self.bulk_modulus * np.outer(IDENTITY, IDENTITY) + np.multiply.outer(twice * left, DEVIATOR)
        return tangent - (twice * along)[:, None, None] * direction[:, :, None] * direction[:, None, :]
