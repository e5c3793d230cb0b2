"""A cell by POD-Galerkin with empirical cubature: the strong classical reduced model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as linalg
from scipy.optimize import nnls

from sciml.errors import DeclarationError, DivergenceError, ParameterError
from sciml.laws.base import Law, LawResult, State, checked_strains
from sciml.laws.cell import CellModel

__all__ = ["ReducedCell", "energy_modes"]

_ROUNDING = 1e-15
_CHUNK = 4_000_000
"""Numbers in the largest temporary array of a batch."""


def energy_modes(cell: CellModel, fluctuations: np.ndarray, modes: int) -> tuple[np.ndarray, np.ndarray]:
    """The modes that hold most of the snapshots' energy at the stiffness of the unstrained cell.

    ::

        (w, v) = ∫ ε(w) · D(0) ε(v),   modes orthonormal in it

    Parameters
    ----------
    cell : CellModel
    fluctuations : (m, n_dofs) array
    modes : int

    Returns
    -------
    modes : (n_dofs, r) array
        As many as asked for, or as are independent.
    energies : (m,) array
        Of all modes, largest first.

    Raises
    ------
    ParameterError
        No mode is asked for, or no snapshot has a fluctuation.
    """
    if modes < 1:
        raise ParameterError(f"modes={modes} was given; a reduced cell takes 1 or more.")
    rest = cell.local_stress(np.zeros((cell.n_points, 3)), _unloaded(cell))
    stiff = cell.numbered.stiffness(rest.tangent) @ fluctuations.T
    energies, vectors = linalg.eigh(fluctuations @ stiff)
    energies, vectors = energies[::-1], vectors[:, ::-1]
    independent = int((energies > 1e-13 * max(energies[0], 0.0)).sum()) if energies[0] > 0 else 0
    if independent == 0:
        raise ParameterError("The snapshots have no fluctuation, so there are no modes; give other strains.")
    kept = min(modes, independent)
    return fluctuations.T @ (vectors[:, :kept] / np.sqrt(energies[:kept])), energies


def _unloaded(cell: CellModel) -> dict[str, np.ndarray]:
    return {key: values[0] for key, values in cell.initial_state(1).items()}


@dataclass
class _Phase:
    """The quadrature points of one phase that are kept: its law, their weights, and strains by (E, a)."""

    law: Law
    weights: np.ndarray
    strain: np.ndarray


class ReducedCell(Law):
    """A cell whose fluctuation is a sum of modes, integrated at a few points.

    ::

        q = (E, a),   ε = H q,   f(q) = G q + Σ w Hᵀ σ(H q),   f_a = 0,   S = f_E/|V|

    Phases that are linear enter by the matrix G, exactly; the others by empirical cubature: non-negative weights at few
    of their quadrature points, which integrate Hᵀ σ of all snapshots to a tolerance.

    Parameters
    ----------
    cell : CellModel
        Without history.
    strains : (m, 3) array
        Macroscopic strains of the snapshots.
    fluctuations : (m, n_dofs) array
        Their fluctuations, as :meth:`CellModel.solve` gives them.
    modes : int
        Number of modes.
    cubature : float
        What is dropped of the integrands, relative to the largest singular value, before points are chosen.
    tolerance : float
        Of the balance of the reduced forces, beside the largest coefficient.
    box : (low, high), optional
        Range of the components of the strain that the model is made for; that of the snapshots by default.

    Raises
    ------
    DeclarationError
        The cell's law has a past.
    ParameterError
        There are no modes or no snapshots, or the box has no size.

    Attributes
    ----------
    modes : (n_dofs, r) array
    n_cubature : int
        Number of quadrature points that are kept.

    Notes
    -----
    Good values: the defaults, from 100 snapshots of a cell with one inclusion.

    When it breaks: beyond the snapshots, and with fewer modes than directions that the fluctuation takes.

    Source: Hernández, Caicedo, Ferrer, "Dimensional hyper-reduction of nonlinear finite element models via empirical
    cubature", Comput. Methods Appl. Mech. Engrg. 313 (2017).
    """

    def __init__(
        self,
        cell: CellModel,
        strains: np.ndarray,
        fluctuations: np.ndarray,
        *,
        modes: int = 16,
        cubature: float = 1e-3,
        tolerance: float = 1e-10,
        max_iterations: int = 30,
        box: tuple[float, float] | None = None,
    ) -> None:
        if cell.history:
            raise DeclarationError(f"A reduced cell has no past, and the law of this one has ({cell.history[0]}).")
        strains = checked_strains(strains)
        if not len(strains) or fluctuations.shape != (len(strains), cell.n_dofs):
            raise ParameterError(
                f"{len(strains)} strains and fluctuations of shape {fluctuations.shape} were given; a reduced cell "
                f"takes at least one snapshot, of {cell.n_dofs} unknowns each."
            )
        self.low, self.high = box if box is not None else (float(strains.min()), float(strains.max()))
        if not self.low < self.high:
            raise ParameterError(f"The strains fill a box of no size ({self.low:g} to {self.high:g}); vary them.")
        self.cell, self.volume, self.cubature = cell.digest, cell.volume, cubature
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self.modes, self.energies = energy_modes(cell, fluctuations, modes)
        by_modes = (cell.numbered.strain_matrix @ self.modes).reshape(cell.n_points, 3, -1)
        directions = np.broadcast_to(np.eye(3), (cell.n_points, 3, 3))
        strain = np.concatenate([directions, by_modes], axis=2)
        # The modes are orthonormal in the energy, so a product gives the coefficients.
        rest = cell.local_stress(np.zeros((cell.n_points, 3)), _unloaded(cell))
        coefficients = fluctuations @ (cell.numbered.stiffness(rest.tangent) @ self.modes)
        states = np.concatenate([strains, coefficients], axis=1)
        self._linear = np.zeros((strain.shape[2],) * 2)
        self._phases: list[_Phase] = []
        for name, law in cell.laws.items():
            points = cell.phases[name]
            weights, own = cell.weights[points], strain[points]
            if law.linear:
                tangent = law.evaluate(np.zeros((len(points), 3))).tangent
                self._linear += np.einsum("p,pik,pij,pjl->kl", weights, own, tangent, own, optimize=True)
                continue
            chosen, found = _cubature(law, weights, own, states, cubature)
            self._phases.append(_Phase(law, found, own[chosen]))
        self.n_cubature = sum(len(phase.weights) for phase in self._phases)

    def __repr__(self) -> str:
        return f"ReducedCell({self.n_modes} modes, {self.n_cubature} points, of the cell {self.cell})"

    @property
    def n_modes(self) -> int:
        """Number of modes."""
        return self.modes.shape[1]

    def initial_state(self, n: int) -> dict[str, np.ndarray]:
        """``coefficients`` (n, r) of the modes, where Newton's method starts."""
        return {"coefficients": np.zeros((n, self.n_modes))}

    def outside(self, strain: np.ndarray) -> np.ndarray:
        return ((strain < self.low) | (strain > self.high)).any(axis=1)

    def evaluate(self, strain: np.ndarray, state: State | None = None, dt: float = 0.0) -> LawResult:
        strain = checked_strains(strain)
        start = self.initial_state(len(strain)) if state is None else state
        size = max(1, _CHUNK // max(1, 3 * self.n_cubature * (3 + self.n_modes)))
        parts = [
            self._solve(strain[k : k + size], start["coefficients"][k : k + size])
            for k in range(0, max(len(strain), 1), size)
        ]
        stress, tangent, coefficients = (np.concatenate(values) for values in zip(*parts))
        return LawResult(stress, tangent, {"coefficients": coefficients})

    def fluctuation(self, coefficients: np.ndarray) -> np.ndarray:
        """The fluctuation (n, n_dofs) of coefficients (n, r)."""
        return coefficients @ self.modes.T

    def _solve(self, strain: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        state = np.concatenate([strain, start], axis=1)
        forces, stiffness = self._forces(state)
        active = np.arange(len(state))
        for _ in range(self.max_iterations + 1):
            residual = np.abs(forces[active, 3:]).max(axis=1, initial=0.0)
            # The modes are orthonormal at the stiffness at rest, so forces are of the size of the coefficients there.
            scale = np.abs(state[active, 3:]).max(axis=1, initial=0.0)
            active = active[residual > self.tolerance * scale + _ROUNDING * np.abs(forces[active]).max(axis=1)]
            if not len(active):
                break
            step = np.linalg.solve(stiffness[active, 3:, 3:], forces[active, 3:, None])[..., 0]
            state[active, 3:] -= step
            forces[active], stiffness[active] = self._forces(state[active])
        else:
            worst = ", ".join(f"{value:.4g}" for value in strain[active[0]])
            raise DivergenceError(
                f"The reduced cell at strain ({worst}) is not in balance after {self.max_iterations} Newton "
                f"iterations; take a milder strain, or more snapshots around it."
            )
        across, within = stiffness[:, 3:, :3], stiffness[:, 3:, 3:]
        tangent = stiffness[:, :3, :3] - stiffness[:, :3, 3:] @ np.linalg.solve(within, across)
        return forces[:, :3] / self.volume, tangent / self.volume, state[:, 3:]

    def _forces(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """F (n, 3 + r) and its derivative (n, 3 + r, 3 + r) of states (n, 3 + r)."""
        n, size = state.shape
        forces = state @ self._linear.T
        stiffness = np.tile(self._linear, (n, 1, 1))
        for phase in self._phases:
            points, flat = len(phase.weights), phase.strain.reshape(-1, size)
            result = phase.law.evaluate((state @ flat.T).reshape(-1, 3))
            weighted = phase.weights[:, None] * result.stress.reshape(n, points, 3)
            forces += weighted.reshape(n, 3 * points) @ flat
            tangent = phase.weights[:, None, None] * result.tangent.reshape(n, points, 3, 3)
            right = np.matmul(tangent, phase.strain)
            stiffness += np.matmul(flat.T, right.reshape(n, 3 * points, size))
        return forces, stiffness


def _cubature(
    law: Law, weights: np.ndarray, strain: np.ndarray, states: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Points and non-negative weights that integrate Hᵀ σ of all states, and the volume."""
    local = np.einsum("pik,mk->pmi", strain, states)
    stress = law.evaluate(local.reshape(-1, 3)).stress.reshape(local.shape)
    integrands = np.einsum("pik,pmi->pkm", strain, stress, optimize=True)
    # Every direction counts alike: forces on modes are far smaller than stresses.
    integrands /= np.maximum(np.abs(integrands).max(axis=(0, 2), keepdims=True), 1e-300)
    root = np.sqrt(weights)
    left, values, _ = linalg.svd(root[:, None] * integrands.reshape(len(weights), -1), full_matrices=False)
    basis = left[:, values > tolerance * values[0]]
    rest = root - basis @ (basis.T @ root)
    if np.linalg.norm(rest) > 1e-10 * np.linalg.norm(root):
        basis = np.concatenate([basis, rest[:, None] / np.linalg.norm(rest)], axis=1)
    # Orthonormal rows of the system: the weights are those that leave all integrals as they are.
    found, _ = nnls(basis.T / root, basis.T @ root, maxiter=50 * len(weights))
    chosen = np.flatnonzero(found > 0)
    return chosen, found[chosen]
