"""Proper orthogonal decompositions of a cell's snapshots: modes of the fluctuation, and of stresses in equilibrium."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sciml.errors import DeclarationError, OptionError
from sciml.laws import CellModel

__all__ = ["Bases", "stiffness_factors"]

_INDEPENDENT = 1e-9


@dataclass(frozen=True, eq=False)
class Bases:
    """Modes of a cell and what the snapshots are in them.

    Modes are sums of snapshots. So those of the fluctuation are periodic, and those of the stress are in equilibrium,
    as far as the snapshots are; any other sums of them are as well.

    Attributes
    ----------
    fluctuation : (r, n_dofs) array
    strain : (r, n_points, 3) array
        Of the modes of the fluctuation.
    stress : (r, n_points, 3) array
    mean_stress : (r, 3) array
        ⟨·⟩ of the modes of the stress.
    fluctuation_coefficients, stress_coefficients : (m, r) arrays
        The snapshots.
    fluctuation_values, stress_values : (m,) arrays
        Singular values.
    """

    fluctuation: np.ndarray
    strain: np.ndarray
    stress: np.ndarray
    mean_stress: np.ndarray
    fluctuation_coefficients: np.ndarray
    stress_coefficients: np.ndarray
    fluctuation_values: np.ndarray
    stress_values: np.ndarray

    @classmethod
    def of(
        cls, cell: CellModel, fluctuation: np.ndarray, stress: np.ndarray, modes: int, *, weighted: bool = True
    ) -> Bases:
        """Decompose snapshots.

        Parameters
        ----------
        cell : CellModel
        fluctuation : (m, n_dofs) array
        stress : (m, n_points, 3) array
            At the quadrature points.
        modes : int
            r.
        weighted : bool
            Orthogonal in ∫ ε · C ε and ∫ σ · C⁻¹ σ, C the phases' stiffness in the unstrained state; or else in the
            Euclidean product of values at nodes and quadrature points.

        Raises
        ------
        OptionError
            The snapshots have fewer independent modes.
        DeclarationError
            The stiffness of a phase is not positive definite.
        """
        matrix = cell.numbered.strain_matrix
        strains = (matrix @ fluctuation.T).T.reshape(len(fluctuation), -1, 3)
        if weighted:
            factors, roots = stiffness_factors(cell), np.sqrt(cell.weights)[:, None]
            moved = np.einsum("qji,mqj->mqi", factors, strains) * roots
            loaded = np.linalg.solve(factors, stress[..., None])[..., 0] * roots
        else:
            moved, loaded = cell.fluctuation_at_nodes(fluctuation), stress
        of_fluctuation = _combinations(moved.reshape(len(moved), -1), modes, "fluctuations")
        of_stress = _combinations(loaded.reshape(len(loaded), -1), modes, "stresses")
        stress_modes = np.tensordot(of_stress[0], stress, axes=1)
        return cls(
            fluctuation=of_fluctuation[0] @ fluctuation,
            strain=np.tensordot(of_fluctuation[0], strains, axes=1),
            stress=stress_modes,
            mean_stress=np.tensordot(stress_modes, cell.weights, axes=([1], [0])) / cell.volume,
            fluctuation_coefficients=of_fluctuation[1],
            stress_coefficients=of_stress[1],
            fluctuation_values=of_fluctuation[2],
            stress_values=of_stress[2],
        )


def _combinations(rows: np.ndarray, modes: int, what: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the modes are of the snapshots (r, m), the snapshots' coefficients (m, r), and all singular values."""
    left, values, _ = np.linalg.svd(rows, full_matrices=False)
    independent = int((values > _INDEPENDENT * values[0]).sum()) if values.size and values[0] > 0 else 0
    if independent < modes:
        raise OptionError(
            f"modes={modes} was given; the {len(rows)} snapshots have {independent} independent {what}: take fewer "
            f"modes or more snapshots."
        )
    kept, sizes = left[:, :modes], values[:modes]
    return (kept / sizes).T, kept * sizes, values


def stiffness_factors(cell: CellModel) -> np.ndarray:
    """L with L Lᵀ = C(x), the phases' stiffness in the unstrained state: (n_points, 3, 3), lower triangular.

    Raises
    ------
    DeclarationError
        A phase's stiffness is not positive definite.
    """
    out = np.empty((cell.n_points, 3, 3))
    for name, law in cell.laws.items():
        tangent = law.evaluate(np.zeros((1, 3)), law.initial_state(1)).tangent[0]
        try:
            out[cell.phases[name]] = np.linalg.cholesky((tangent + tangent.T) / 2)
        except np.linalg.LinAlgError:
            raise DeclarationError(
                f"The stiffness of the phase {name!r} in the unstrained state is not positive definite, so nothing can "
                f"be weighted by it; take recipe=as_published."
            ) from None
    return out
