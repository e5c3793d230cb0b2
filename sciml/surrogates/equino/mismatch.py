"""The constitutive mismatch: what the law makes of the displacement's strain, less the stress of the other branch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sciml.errors import UnsupportedError
from sciml.laws import CellModel, Law
from sciml.surrogates.equino.bases import Bases, stiffness_factors

__all__ = ["Mismatch", "local_strains"]

_BLOCK = 60_000
"""Numbers of one array that the law works on at a time, so that they stay in the cache."""


def local_strains(bases: Bases, points: np.ndarray | slice = slice(None)) -> np.ndarray:
    """What strains and coefficients of the fluctuation are multiplied with: (3 + r, 3, n_points), components first."""
    modes = bases.strain[:, points].transpose(0, 2, 1)
    directions = np.broadcast_to(np.eye(3)[:, :, None], (3, 3, modes.shape[2]))
    return np.concatenate([directions, modes])


@dataclass
class _Curved:
    """The points of a phase whose law is not linear."""

    law: Law
    strain: Tensor
    stress: Tensor
    whitening: Tensor
    roots: Tensor


class Mismatch:
    """The squared mismatch of n strains as a function of the coefficients of both branches.

    ::

        Σ_q w_q |L⁻¹ (σ(E + Σ_k b_k ε(φ_k)) − Σ_k c_k ψ_k)|²

    with w the quadrature weights and L Lᵀ the stiffness of the unstrained phases; without weights the mean of the
    squares over points and components. Phases that are linear enter by a triangular matrix of 3 + 2r rows.

    Parameters
    ----------
    cell : CellModel
        Without history, its laws given as formulas.
    bases : Bases
    weighted : bool
    dtype, device
        Of the computation.

    Raises
    ------
    UnsupportedError
        A phase's law is no formula.
    """

    def __init__(
        self,
        cell: CellModel,
        bases: Bases,
        *,
        weighted: bool = True,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        for name, law in cell.laws.items():
            if not law.is_formula:
                raise UnsupportedError(f"The law of the phase {name!r} is no formula, so nothing can be trained on it.")
        self.modes = len(bases.stress)
        whitening, roots = _weights(cell, weighted)
        self._curved: list[_Curved] = []
        rows = []

        def tensor(values: np.ndarray) -> Tensor:
            return torch.tensor(np.ascontiguousarray(values), dtype=dtype, device=device)

        for name, law in cell.laws.items():
            points = cell.phases[name]
            strain, stress = local_strains(bases, points), bases.stress[:, points].transpose(0, 2, 1)
            white = whitening[points[0]]
            if law.linear:
                made = np.einsum("ij,kjq->kiq", law.evaluate(np.zeros((1, 3))).tangent[0], strain)
                both = np.einsum("ij,kjq->kiq", white, np.concatenate([made, -stress])) * roots[points]
                rows.append(both.reshape(len(both), -1))
            else:
                parts = (strain.reshape(len(strain), -1), stress.reshape(len(stress), -1), white, roots[points])
                self._curved.append(_Curved(law, *map(tensor, parts)))
        together = np.concatenate(rows, axis=1).T if rows else np.zeros((0, 3 + 2 * self.modes))
        self._straight = tensor(np.linalg.qr(together, mode="r").T)

    def __call__(self, strain: Tensor, coefficients: Tensor) -> Tensor:
        """The squares (n,), of strains (n, 3) and coefficients (n, 2r)."""
        total = ((torch.cat([strain, coefficients], dim=1) @ self._straight) ** 2).sum(dim=1)
        given = torch.cat([strain, coefficients[:, : self.modes]], dim=1)
        for phase in self._curved:
            n, local = len(strain), given @ phase.strain
            stress = phase.law.stress_torch(local.view(n, 3, -1).movedim(1, -1)).movedim(-1, 1)
            rest = stress - (coefficients[:, self.modes :] @ phase.stress).view(n, 3, -1)
            total = total + ((phase.whitening @ (rest * phase.roots)) ** 2).sum(dim=(1, 2))
        return total

    def value_and_gradient(self, strain: Tensor, coefficients: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Σ weight · square, and its derivative (n, 2r) by the coefficients, some strains at a time."""
        largest = max((phase.strain.shape[1] // 3 for phase in self._curved), default=1)
        size = max(1, _BLOCK // largest)
        value, gradients = strain.new_zeros(()), []
        for at in range(0, len(strain), size):
            part = slice(at, at + size)
            own = coefficients[part].detach().requires_grad_()
            with torch.enable_grad():
                loss = (weights[part] * self(strain[part], own)).sum()
                gradients.append(torch.autograd.grad(loss, own)[0])
            value = value + loss.detach()
        return value, torch.cat(gradients)


def _weights(cell: CellModel, weighted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Whitening matrices (n_points, 3, 3), the same in all of a phase, and factors (n_points,)."""
    if weighted:
        return np.linalg.inv(stiffness_factors(cell)), np.sqrt(cell.weights)
    count = cell.n_points
    return np.broadcast_to(np.eye(3), (count, 3, 3)), np.full(count, 1 / np.sqrt(3 * count))
