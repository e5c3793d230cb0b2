"""The best density against a frozen residual on a grid, by an active set: what the adversary is measured against."""

from __future__ import annotations

from functools import reduce

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu, spsolve

_SWEEPS = 200


def best_density(residual: np.ndarray, penalties: tuple[float, ...]) -> tuple[np.ndarray, float]:
    """The cell averages π ≥ 0 with mean 1 that maximise mean(ρ π) − Σ c_i mean((∂π/∂ξ_i)²) on the unit box.

    With A = −2 Σ c_i ∂²/∂ξ_i² (zero slope at the walls) the conditions are A π − ρ + λ = s, π ≥ 0, s ≥ 0, π s = 0.
    Cells change their role as long as π or s has the wrong sign there; λ follows from the mean.

    Parameters
    ----------
    residual : (n_1, …, n_d) array
        ρ at the cells' centres.
    penalties : tuple of float
        c_i.

    Returns
    -------
    (n_1, …, n_d) array, float
        π and the objective.
    """
    rho, n = residual.ravel(), residual.size
    matrix = 2 * _stiffness(residual.shape, penalties)
    empty = np.zeros(n, dtype=bool)
    for _ in range(_SWEEPS):
        density, multiplier = _on_support(matrix, rho, ~empty)
        slack = np.where(empty, matrix @ density - rho + multiplier, 0.0)
        changed = np.where(empty, slack > 0, density < 0)
        if np.array_equal(changed, empty):
            objective = float((rho @ density - 0.5 * density @ (matrix @ density)) / n)
            return density.reshape(residual.shape), objective
        empty = changed
    raise ArithmeticError(f"The active set still changes after {_SWEEPS} sweeps.")


def _on_support(matrix: sp.csr_matrix, rho: np.ndarray, support: np.ndarray) -> tuple[np.ndarray, float]:
    """π that solves A π = ρ − λ on its support and has the mean 1, and λ."""
    n, inside = len(rho), np.flatnonzero(support)
    density, ones = np.zeros(n), np.ones(len(inside))
    block = matrix[inside][:, inside].tocsc()
    if len(inside) == n:
        bordered = sp.bmat([[block, ones[:, None]], [ones[None, :], None]], format="csc")
        solution = spsolve(bordered, np.append(rho, n))
        return solution[:-1], float(solution[-1])
    factors = splu(block, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    free, unit = factors.solve(rho[inside]), factors.solve(ones)
    multiplier = (free.sum() - n) / unit.sum()
    density[inside] = free - multiplier * unit
    return density, float(multiplier)


def _stiffness(shape: tuple[int, ...], penalties: tuple[float, ...]) -> sp.csr_matrix:
    """Σ c_i D_iᵀ D_i with differences of neighbouring cells."""
    total = sp.csr_matrix((int(np.prod(shape)),) * 2)
    for axis, (n, penalty) in enumerate(zip(shape, penalties)):
        difference = n * sp.diags([-np.ones(n - 1), np.ones(n - 1)], [0, 1], shape=(n - 1, n))
        factors = [penalty * difference.T @ difference if k == axis else sp.eye(m) for k, m in enumerate(shape)]
        total = total + reduce(sp.kron, factors)
    return total.tocsr()
