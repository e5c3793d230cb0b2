"""Elements of the second degree on a grid: solvers of nearest neighbours on every second unknown."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import scipy.sparse

from sciml.linear.krylov import LinearSolver, Prepared
from sciml.linear.stencils import Grid
from sciml.linear.systems import LinearSystem

__all__ = ["EverySecond"]

_SWEEPS = 2
_STEPS = 15
_MARGIN = 1.1
"""On top of the largest eigenvalue as a power iteration has it."""


class EverySecond(LinearSolver):
    """Two levels: damped Jacobi on the matrix, and a solver for the Galerkin matrix on every second unknown.

    ::

        B = 2-level cycle of  S = ω D⁻¹  and  P B_coarse Pᵀ,   P multilinear

    Elements of the second degree couple unknowns two places apart; those on the vertices, with P between them, couple
    nearest neighbours. B is symmetric and positive definite where the other solver's cycle contracts. Of a solver that
    is no fixed matrix, the direction counts and the length is searched for on the coarser system.

    Parameters
    ----------
    solver : LinearSolver
        Of the coarser system, on its grid.
    interpolations : sequence of (n, m) sparse arrays
        Along each axis, from the coarser unknowns to all.
    """

    def __init__(self, solver: LinearSolver, interpolations: Sequence[scipy.sparse.sparray]) -> None:
        self.solver, self.interpolations = solver, list(interpolations)
        self.name, self.title = solver.name, f"{solver.title}, on every second unknown"

    def setup(self, system: LinearSystem) -> Prepared:
        """The coarser matrix, and the solver on it."""
        P = scipy.sparse.csr_array(reduce(scipy.sparse.kron, self.interpolations))
        coarse = scipy.sparse.csr_array(P.T @ system.matrix @ P)
        coarse = scipy.sparse.csr_array((coarse + coarse.T) / 2)
        # What cancels exactly leaves rounding, between unknowns that are no neighbours too.
        coarse.data[np.abs(coarse.data) < 1e-13 * np.abs(coarse.data).max()] = 0.0
        coarse.eliminate_zeros()
        grid = Grid.of_matrix(coarse, [p.shape[1] for p in self.interpolations])
        prepared = self.solver.setup(LinearSystem(np.zeros(coarse.shape[0]), grid, name=system.name))
        return _TwoLevels(system.matrix, P, coarse, prepared)


class _TwoLevels(Prepared):
    def __init__(
        self,
        matrix: scipy.sparse.csr_array,
        P: scipy.sparse.csr_array,
        below: scipy.sparse.csr_array,
        coarse: Prepared,
    ) -> None:
        self._A, self._P, self._R, self._below = matrix, P, scipy.sparse.csr_array(P.T), below
        self._coarse = coarse
        self.symmetric, self.flexible, self.directions = coarse.symmetric, coarse.flexible, coarse.directions
        inverse = 1 / matrix.diagonal()
        v = np.random.default_rng(0).normal(size=len(inverse))
        largest = 1.0
        for _ in range(_STEPS):
            v = inverse * (matrix @ (v / np.linalg.norm(v)))
            largest = float(np.linalg.norm(v))
        self._smoother = inverse * (1.5 / (_MARGIN * largest))

    def apply(self, r: np.ndarray) -> np.ndarray:
        x = self._smoother * r
        for _ in range(_SWEEPS - 1):
            x += self._smoother * (r - self._A @ x)
        rest = self._R @ (r - self._A @ x)
        if rest.any():
            x += self._P @ self._correction(rest)
        for _ in range(_SWEEPS):
            x += self._smoother * (r - self._A @ x)
        return x

    def _correction(self, rest: np.ndarray) -> np.ndarray:
        found = self._coarse.apply(rest)
        if not self._coarse.flexible:
            return found
        curvature = float(found @ (self._below @ found))
        return found * (float(rest @ found) / curvature) if curvature > 0 else found

    def destroy(self) -> None:
        self._coarse.destroy()
