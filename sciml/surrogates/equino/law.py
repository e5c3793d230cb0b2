"""A trained cell as a material law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.datasets.cells import cell_of
from sciml.laws import CellModel, Law, LawResult, State
from sciml.laws.base import checked_strains
from sciml.surrogates.equino.network import Branches

__all__ = ["CellFields", "EquinoLaw"]

_ROWS = 1000
_MARGIN = 1e-9


@dataclass(frozen=True, eq=False)
class CellFields:
    """What a trained cell says of the inside of m cells.

    Attributes
    ----------
    displacement : (m, n_nodes, 2) array
        At the nodes of the cell's elements.
    fluctuation : (m, n_dofs) array
    stress : (m, n_points, 3) array
        Of the branch of stresses, in equilibrium whatever the weights are.
    constitutive_stress : (m, n_points, 3) array
        What the phases' laws make of the strains of the displacement.
    """

    displacement: np.ndarray
    fluctuation: np.ndarray
    stress: np.ndarray
    constitutive_stress: np.ndarray


class EquinoLaw(Law):
    """Mean stress and tangent of a cell from a network of the strain.

    ::

        S(E) = Σ_k b_k(E) ⟨ψ_k⟩,   C = dS/dE

    with stresses ψ_k that are each in equilibrium. Value and derivative come from one pass forward, for all points
    together, in double precision. C is not symmetric by construction.

    Parameters
    ----------
    branches : Branches
    fluctuation : (r, n_dofs) array
        Modes of the fluctuation.
    stress : (r, n_points, 3) array
        Modes of the stress.
    mean_stress : (r, 3) array
        ⟨ψ_k⟩.
    box : (2, 3) array
        Lowest and highest strains that it was trained on.
    about : mapping
        What the data file says of its cell.
    model : CellModel, optional
        The cell by finite elements, for fields inside of it; made from the declaration when it is asked for.
    """

    def __init__(
        self,
        branches: Branches,
        fluctuation: np.ndarray,
        stress: np.ndarray,
        mean_stress: np.ndarray,
        box: np.ndarray,
        about: Mapping[str, Any],
        *,
        model: CellModel | None = None,
    ) -> None:
        self.branches, self.box, self.about = branches, np.asarray(box, dtype=float), dict(about)
        self.fluctuation_modes, self.stress_modes, self.mean_stress = fluctuation, stress, mean_stress
        self.cell = str(about["cell"])
        self._model = model

    def __repr__(self) -> str:
        return f"EquinoLaw({self.about['family']}, {len(self.mean_stress)} modes)"

    @cached_property
    def model(self) -> CellModel:
        """The cell by finite elements.

        Raises
        ------
        OutputError
            Its declaration has changed since the data were made.
        """
        return cell_of(self.about).model() if self._model is None else self._model

    def evaluate(self, strain: np.ndarray, state: State | None = None, dt: float = 0.0) -> LawResult:
        strain = checked_strains(strain)
        result = LawResult(np.empty((len(strain), 3)), np.empty((len(strain), 3, 3)))
        mean = self._mean
        with torch.no_grad():
            for at in range(0, len(strain), _ROWS):
                rows = slice(at, at + _ROWS)
                value, slope = self.branches.stress_with_slope(self._tensor(strain[rows]))
                result.stress[rows] = (value @ mean).cpu().numpy()
                result.tangent[rows] = (slope @ mean).permute(1, 2, 0).cpu().numpy()
        return result

    def outside(self, strain: np.ndarray) -> np.ndarray:
        lower, upper = self.box
        margin = _MARGIN * (upper - lower)
        return ((strain < lower - margin) | (strain > upper + margin)).any(axis=1)

    def stress_torch(self, strain: Any) -> Any:
        flat = strain.reshape(-1, 3)
        return (self.branches(flat)[:, self.branches.modes :] @ self._mean.to(flat)).reshape(strain.shape)

    def fields(self, strain: np.ndarray) -> CellFields:
        """Fields in the cells under the strains (m, 3)."""
        strain, model = checked_strains(strain), self.model
        with torch.no_grad():
            both = self.branches(self._tensor(strain)).cpu().numpy()
        fluctuation = both[:, : len(self.mean_stress)] @ self.fluctuation_modes
        stress = np.tensordot(both[:, len(self.mean_stress) :], self.stress_modes, axes=1)
        past = {key: values[0] for key, values in model.initial_state(1).items()}
        law = [model.local_stress(e + model.numbered.strains(w), past).stress for e, w in zip(strain, fluctuation)]
        made = np.stack(law) if law else np.zeros_like(stress)
        return CellFields(model.displacement(strain, fluctuation), fluctuation, stress, made)

    def local_fields(self, strain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fluctuation and branch of stresses under the strains (m, 3)."""
        fields = self.fields(strain)
        return fields.fluctuation, fields.stress

    def trust(self, strain: np.ndarray) -> dict[str, np.ndarray]:
        """How far to trust the law at strains (m, 3), without a true solution.

        Returns
        -------
        dict
            ``mismatch`` (m,): ‖σ(ε) − σ_stress‖/‖σ_stress‖ in L², of the displacement's strain and the branch of
            stresses. ``residual`` (m,): unbalanced forces of σ(ε) beside the forces of all cells.
        """
        fields, model = self.fields(strain), self.model
        size = stress_norm(fields.stress, model.weights)
        apart = stress_norm(fields.constitutive_stress - fields.stress, model.weights)
        return {
            "mismatch": apart / np.maximum(size, np.finfo(float).tiny),
            "residual": np.array([model.equilibrium_residual(own) for own in fields.constitutive_stress]),
        }

    @cached_property
    def _mean(self) -> Tensor:
        return self._tensor(self.mean_stress)

    def _tensor(self, values: np.ndarray) -> Tensor:
        like = self.branches.linear
        return torch.tensor(values, dtype=like.dtype, device=like.device)


def stress_norm(stress: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(∫ σ : σ)^½ of stresses (m, n_points, 3); the shear counts twice, as in the tensor."""
    return np.sqrt(np.einsum("mqi,i,q->m", stress**2, np.array([1.0, 1.0, 2.0]), weights))
