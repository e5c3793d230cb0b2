"""Algebraic multigrid by PyAMG as a preconditioner for PETSc."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

__all__ = ["AlgebraicMultigrid"]


class AlgebraicMultigrid:
    """One symmetric V-cycle of smoothed aggregation, or of Ruge and Stüben's classical method, on a serial matrix.

    A context of PETSc's preconditioner "python". Smoothed aggregation takes the near null space that the matrix carries
    (rigid body modes of elasticity), constants else, and keeps the components of a node together.

    N. Bell, L. N. Olson, J. Schroder, B. Southworth, PyAMG: Algebraic Multigrid Solvers in Python, JOSS 8 (2023) 5495.

    Parameters
    ----------
    classical : bool
        Ruge and Stüben's method, for scalar unknowns.
    """

    def __init__(self, *, classical: bool) -> None:
        self.classical = classical

    def setUp(self, pc: Any) -> None:
        """Make the hierarchy; called when the matrix has changed."""
        import pyamg

        matrix = pc.getOperators()[1]
        rows, columns, entries = matrix.getValuesCSR()
        system = sparse.csr_matrix((entries, columns, rows), shape=matrix.getSize())
        kernel = matrix.getNearNullSpace()
        near = [mode.array_r.copy() for mode in kernel.getVecs()] if kernel else []
        size = matrix.getBlockSize()
        # PyAMG starts its estimates of eigenvalues at random, from the generator that all of NumPy shares.
        state = np.random.get_state()
        np.random.seed(0)
        try:
            if self.classical:
                hierarchy = pyamg.ruge_stuben_solver(system)
            else:
                blocks = system.tobsr((size, size)) if near and size > 1 else system
                hierarchy = pyamg.smoothed_aggregation_solver(blocks, B=np.stack(near, axis=1) if near else None)
        finally:
            np.random.set_state(state)
        self._cycle = hierarchy.aspreconditioner(cycle="V")

    def apply(self, pc: Any, x: Any, y: Any) -> None:
        """One cycle from zero."""
        y.array[:] = self._cycle @ x.array_r
