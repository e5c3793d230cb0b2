"""Linear solvers of this package as preconditioners of PETSc and as operators of SciPy."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

from sciml.environment import require
from sciml.errors import DivergenceError, ScimlError, UnsupportedError
from sciml.linear.krylov import Iteration, LinearSolver, Prepared
from sciml.linear.stencils import Grid
from sciml.linear.systems import LinearSystem

__all__ = ["PythonPreconditioner", "attach", "last_directions", "linear_operator", "solve_by_petsc"]


class PythonPreconditioner:
    """A linear solver as the context of PETSc's preconditioner "python", on a serial matrix.

    Vectors are read and written where PETSc keeps them.

    Parameters
    ----------
    solver : LinearSolver
    shape : (dim,) sequence of int, optional
        The grid that the unknowns are on, for solvers that need one.
    free : (n,) array of int, optional
        The rows that are unknowns, in row-major order of the grid; the others are rows of the identity. All by default.
    system : LinearSystem, optional
        What the matrix is of, where that is known; else it is read off the matrix.

    Attributes
    ----------
    prepared : Prepared or None
        After the set-up.
    failure : ScimlError or None
        What was wrong with the system.

    Notes
    -----
    Examples: ``pc.setType("python"); pc.setPythonContext(PythonPreconditioner(LearnedMultigrid(), (255, 255)))``; or
    :func:`attach`, which chooses the Krylov method too.
    """

    def __init__(
        self,
        solver: LinearSolver,
        shape: Sequence[int] | None = None,
        *,
        free: np.ndarray | None = None,
        system: LinearSystem | None = None,
    ) -> None:
        self.solver, self.shape, self.free, self.system = solver, shape, free, system
        self.prepared: Prepared | None = None
        self.failure: ScimlError | None = None

    def setUp(self, pc: Any) -> None:
        """Set the solver up; called by PETSc when the matrix has changed."""
        self.destroy(pc)
        try:
            system = self.system if self.system is not None else self._read(pc.getOperators()[1])
            self.prepared = self.solver.setup(system)
        except ScimlError as error:
            # PETSc hands on a number alone.
            self.failure = error
            raise

    def _read(self, matrix: Any) -> LinearSystem:
        rows, columns, entries = matrix.getValuesCSR()
        A = scipy.sparse.csr_array((entries, columns, rows), shape=matrix.getSize())
        if self.free is not None:
            A = scipy.sparse.csr_array(A[self.free][:, self.free])
        zero = np.zeros(A.shape[0])
        if self.shape is None:
            return LinearSystem(zero, given=A, name="matrix of PETSc")
        return LinearSystem(zero, Grid.of_matrix(A, self.shape), name="matrix of PETSc")

    def apply(self, pc: Any, x: Any, y: Any) -> None:
        """Y = B x."""
        assert self.prepared is not None
        given, out = x.array_r, y.array_w
        if self.free is None:
            self.prepared.apply_to(given, out)
        else:
            out[:] = given
            out[self.free] = self.prepared.apply(given[self.free])

    def destroy(self, pc: Any) -> None:
        """Free what the solver has outside of Python."""
        if self.prepared is not None:
            self.prepared.destroy()
            self.prepared = None


def attach(ksp: Any, context: PythonPreconditioner) -> None:
    """Make a solver of this package the preconditioner of a KSP, and choose a Krylov method that is legal with it.

    Conjugate gradients where the preconditioner is symmetric and positive definite; flexible ones, truncated to the
    number of directions of the solver, where it is nonlinear or changes. The norm that is looked at is that of the
    residual without the preconditioner.

    Parameters
    ----------
    ksp : petsc4py.PETSc.KSP
        With its operators set.
    context : PythonPreconditioner

    Raises
    ------
    ParameterError, UnsupportedError
        The matrix is not of the grid, or not what the solver takes.
    """
    PETSc: Any = import_module("petsc4py.PETSc")
    pc = ksp.getPC()
    pc.setType("python")
    pc.setPythonContext(context)
    try:
        pc.setUp()
    except PETSc.Error:
        if context.failure is not None:
            raise context.failure from None
        raise
    prepared = context.prepared
    assert prepared is not None
    plain = prepared.symmetric and not prepared.flexible
    ksp.setType("cg" if plain else "fcg")
    ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    if not plain:
        prefix = ksp.getOptionsPrefix() or ""
        database = PETSc.Options(prefix)
        given = last_directions(prepared.directions)
        for key, value in given.items():
            database[key] = value
        try:
            ksp.setFromOptions()
        finally:
            for key in given:
                database.delValue(key)


def last_directions(n: int) -> dict[str, Any]:
    """Options, for which PETSc has no calls, by which its flexible conjugate gradients keep the last n directions."""
    return {"ksp_fcg_mmax": max(1, n), "ksp_fcg_truncation_type": "standard"}


def solve_by_petsc(
    system: LinearSystem, solver: LinearSolver, *, tolerance: float = 1e-8, max_iterations: int = 10_000
) -> Iteration:
    """Solve A x = b by a KSP of PETSc with a solver of this package as its preconditioner.

    Parameters
    ----------
    system : LinearSystem
    solver : LinearSolver
    tolerance : float
        For the residual of PETSc's recursion, relative to b.
    max_iterations : int

    Returns
    -------
    Iteration
        With the residual computed from x in float64.

    Raises
    ------
    UnsupportedError
        The solver cannot do this system.
    DivergenceError
        PETSc failed, in words where it is known why.
    """
    require()
    PETSc: Any = import_module("petsc4py.PETSc")
    A = system.matrix
    arrays = A.indptr.astype(np.int32), A.indices.astype(np.int32), A.data
    matrix = PETSc.Mat().createAIJ(A.shape, csr=arrays, comm=PETSc.COMM_SELF)
    if system.null_space:
        vectors = [PETSc.Vec().createWithArray(v.copy(), comm=PETSc.COMM_SELF) for v in system.null_space]
        matrix.setNullSpace(PETSc.NullSpace().create(vectors=vectors, comm=PETSc.COMM_SELF))
    right, solution = matrix.createVecs()
    right.array[:] = b = system.project(system.rhs)
    ksp = PETSc.KSP().create(PETSc.COMM_SELF)
    context = PythonPreconditioner(solver, system=system)
    try:
        ksp.setOperators(matrix)
        attach(ksp, context)
        ksp.setTolerances(rtol=tolerance, atol=0.0, max_it=max_iterations)
        ksp.setConvergenceHistory()
        ksp.solve(right, solution)
        reason, iterations = ksp.getConvergedReason(), ksp.getIterationNumber()
        history = ksp.getConvergenceHistory()
        x = solution.array_r.copy()
    except PETSc.Error as error:
        if context.failure is not None:
            raise context.failure from None
        raise DivergenceError(f"PETSc failed with the preconditioner {solver.name}: {error}.") from error
    finally:
        for made in (ksp, matrix, right, solution):
            made.destroy()
    size = float(np.linalg.norm(b))
    residual = float(np.linalg.norm(b - A @ x)) / size if size else 0.0
    status = "" if reason > 0 else f"PETSc stopped with reason {reason}."
    return Iteration(x, residual, iterations, reason > 0, [float(h) / size for h in history] if size else [], status)


def linear_operator(system: LinearSystem, solver: LinearSolver) -> LinearOperator:
    """A solver, set up for a system, as SciPy's operator: ``scipy.sparse.linalg.cg(A, b, M=linear_operator(…))``.

    Raises
    ------
    UnsupportedError
        It is not symmetric, and SciPy has no flexible method; or the solver cannot do this system.
    """
    prepared = solver.setup(system)
    if prepared.flexible or not prepared.symmetric:
        prepared.destroy()
        raise UnsupportedError(
            f"{solver.name} is no symmetric matrix, and SciPy's conjugate gradients need one; solve with sciml.linear "
            f"or by PETSc's fcg."
        )

    def apply(r: np.ndarray) -> np.ndarray:
        return prepared.apply(np.ascontiguousarray(r, dtype=np.float64).ravel())

    # A symmetric operator is its own adjoint.
    return LinearOperator((system.size, system.size), matvec=apply, rmatvec=apply, dtype=np.float64)  # type: ignore[call-arg]
