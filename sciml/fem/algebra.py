"""PETSc's linear solvers as this package uses them: which one, why, and failures in words."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from dolfinx import fem
from petsc4py import PETSc

from sciml.errors import DivergenceError, OptionError
from sciml.fem.grids import ON_GRIDS, grid_preconditioner
from sciml.fem.lattice import LatticePreconditioner
from sciml.fem.meshes import FEMesh
from sciml.fem.multigrid import AlgebraicMultigrid
from sciml.linear.petsc import PythonPreconditioner, last_directions

__all__ = [
    "LinearChoice",
    "LinearSolver",
    "choose_linear_solver",
    "in_words",
    "python_preconditioner",
    "rigid_body_modes",
]

_DIRECT_LIMIT = {1: 10**7, 2: 400_000, 3: 30_000}
_FAST_FROM = {1: 10**9, 2: 4_000, 3: 2_000}
"""Unknowns from which fast diagonalisation is quicker than a direct solver."""
_FAST_ITERATIONS = 60
_MOST_ITERATIONS = 2000
_LABELS = {
    "direct": "MUMPS {preconditioner}",
    "gamg": "GAMG-{krylov}",
    "fast_diagonalisation": "fast diagonalisation-cg",
    "pyamg": "PyAMG smoothed aggregation-cg",
    "pyamg_rs": "PyAMG Ruge–Stüben-cg",
    "icc": "ICC-cg",
    "learned_mg": "learned multigrid-cg",
    "gmg": "geometric multigrid-cg",
    "dcdm": "deep conjugate directions-{krylov}",
}
_PYAMG = ("pyamg", "pyamg_rs")
_DIRECTIONS = 10
"""Against how many deep conjugate directions are made conjugate: a reference needs more digits than two get to."""
_STAGNANT = 20
"""Iterations in which they have to halve the residual."""
_counter = itertools.count()
Preconditioner = LatticePreconditioner | AlgebraicMultigrid | PythonPreconditioner


@dataclass(frozen=True)
class LinearChoice:
    """A linear solver and the reason for it.

    Attributes
    ----------
    krylov, preconditioner : str
        PETSc's names.
    name : str
        The option's name.
    reason : str
        Why it was chosen.
    instead : LinearChoice or None
        What takes its place if it needs too many iterations; None for what was asked for.
    """

    name: str
    krylov: str
    preconditioner: str
    reason: str
    instead: LinearChoice | None = None

    def __str__(self) -> str:
        label = _LABELS[self.name].format(krylov=self.krylov, preconditioner=self.preconditioner)
        return f"{label} ({self.reason})"


def choose_linear_solver(
    requested: str,
    *,
    symmetric: bool,
    definite: bool,
    dim: int,
    n_dofs: int,
    fields: int = 1,
    lattice: bool = False,
    grid: bool = False,
    processes: int = 1,
) -> LinearChoice:
    """Choose a linear solver from what the analysis and the mesh say.

    Fast diagonalisation where the unknowns of a symmetric monotone law are a grid; else a direct solver up to a size
    that depends on the dimension (its fill-in grows like n^1.5 in 2-D and n² in 3-D), algebraic multigrid beyond;
    conjugate gradients where the law is symmetric and monotone, GMRES else. Several fields, of which one may be a
    constraint, are solved directly whatever their number.

    Parameters
    ----------
    requested : str
        "auto", "direct", "gamg", "icc", "fast_diagonalisation" or "dst", which are one, "pyamg", "pyamg_rs",
        "learned_mg", "gmg" or "dcdm".
    symmetric, definite : bool
        Of the linearised law.
    dim, n_dofs : int
    fields : int
        Number of fields.
    lattice : bool
        Whether fast diagonalisation applies to the unknowns.
    grid : bool
        Whether they are a grid of elements of degree 1 or 2.
    processes : int
        Over which the unknowns are distributed.

    Raises
    ------
    OptionError
        Another name, or fast diagonalisation or PyAMG where it does not apply.
    """
    fast = lattice and symmetric and definite
    asked_for, requested = requested, "fast_diagonalisation" if requested == "dst" else requested
    if requested == "fast_diagonalisation" and not fast:
        raise OptionError(
            f"linear_solver={asked_for} needs a scalar unknown of a symmetric positive law on a box, "
            "cell_type=tensor, one process, and sides with Dirichlet conditions as a whole or not at all (with neither "
            "those nor a reaction the constant is free); take linear_solver=auto."
        )
    if requested == "fast_diagonalisation":
        return LinearChoice(requested, "cg", "python", "symmetric positive law; as asked")
    if requested in ON_GRIDS:
        return _on_a_grid(requested, grid and symmetric and definite and fields == 1)
    if requested in (*_PYAMG, "icc"):
        if not (symmetric and definite and fields == 1 and processes == 1):
            raise OptionError(
                f"linear_solver={requested} needs a symmetric positive law of one field on one process; take "
                f"linear_solver=auto."
            )
        kind = "icc" if requested == "icc" else "python"
        return LinearChoice(requested, "cg", kind, "symmetric positive law; as asked")
    if requested == "auto" and fast and n_dofs >= _FAST_FROM[dim]:
        instead = choose_linear_solver("auto", symmetric=symmetric, definite=definite, dim=dim, n_dofs=n_dofs)
        reason = f"symmetric positive law; {n_dofs} unknowns on a grid, ≥ {_FAST_FROM[dim]} in {dim}-D"
        return LinearChoice("fast_diagonalisation", "cg", "python", reason, instead)
    kind = "symmetric" if symmetric else "unsymmetric"
    positive = " positive" if symmetric and definite else ""
    limit = _DIRECT_LIMIT[dim]
    if requested not in ("auto", "direct", "gamg"):
        raise OptionError(
            f"linear_solver={requested!r}; allowed are auto, direct, gamg, icc, pyamg, pyamg_rs, on the cells of boxes "
            f"learned_mg, gmg, dcdm, and on tensor cells dst, which is fast_diagonalisation."
        )
    direct = requested == "direct" or (requested == "auto" and (n_dofs <= limit or fields > 1))
    asked = "as asked" if requested != "auto" else f"{n_dofs} unknowns, {'≤' if direct else '>'} {limit} in {dim}-D"
    if fields > 1 and requested == "auto":
        asked = f"{fields} fields, {n_dofs} unknowns"
    reason = f"{kind}{positive} law; {asked}"
    if direct:
        return LinearChoice("direct", "preonly", "cholesky" if positive and fields == 1 else "lu", reason)
    return LinearChoice("gamg", "cg" if positive else "gmres", "gamg", reason)


def _on_a_grid(requested: str, possible: bool) -> LinearChoice:
    if not possible:
        raise OptionError(
            f"linear_solver={requested} needs a scalar unknown of a symmetric positive law on a box, elements of "
            f"degree 1 or 2, one process, and sides with Dirichlet conditions as a whole or not at all, at least one "
            f"of them; take linear_solver=auto."
        )
    reason = "symmetric positive law on a grid; as asked"
    if requested != "dcdm":
        return LinearChoice(requested, "cg", "python", reason)
    # A network may stagnate short of rounding, where something has to go on.
    instead = LinearChoice("icc", "cg", "icc", "symmetric positive law")
    return LinearChoice(requested, "fcg", "python", reason, instead)


class _Stagnation:
    """Converged by the norm of the residual, or given up where that was not halved in some iterations."""

    def __init__(self) -> None:
        self._norms = list[float]()

    def __call__(self, ksp: PETSc.KSP, iteration: int, norm: float) -> int:
        reasons = PETSc.KSP.ConvergedReason
        if iteration == 0:
            self._norms = []
        self._norms.append(norm)
        if norm <= max(ksp.rtol * self._norms[0], ksp.atol):
            return reasons.CONVERGED_RTOL
        if not np.isfinite(norm):
            return reasons.DIVERGED_NANORINF
        if iteration >= _STAGNANT and norm > 0.5 * self._norms[-1 - _STAGNANT]:
            return reasons.DIVERGED_BREAKDOWN
        return reasons.CONVERGED_ITERATING


def python_preconditioner(disc: Any, choice: LinearChoice, *, scaled: bool) -> Preconditioner | None:
    """What a choice needs besides PETSc, as the context of its preconditioner "python"; None for those of PETSc alone.

    Parameters
    ----------
    disc : Discretisation
    choice : LinearChoice
    scaled : bool
        Fast diagonalisation for coefficients that are smooth.
    """
    if choice.name in _PYAMG:
        return AlgebraicMultigrid(classical=choice.name == "pyamg_rs")
    if choice.name in ON_GRIDS:
        return grid_preconditioner(disc, choice.name)
    if choice.name != "fast_diagonalisation":
        return None
    assert disc.lattice is not None
    return LatticePreconditioner(disc.lattice, scaled=scaled)


class LinearSolver:
    """A configured PETSc KSP.

    Parameters
    ----------
    choice : LinearChoice
    comm : MPI communicator
    tolerance : float
        Relative tolerance on the preconditioned residual (iterative solvers).
    petsc_options : mapping, optional
        The user's own options, without prefix, which go last: ``{"pc_gamg_threshold": 0.02}``.
    preconditioner : Preconditioner, optional
        From :func:`python_preconditioner`.
    """

    def __init__(
        self,
        choice: LinearChoice,
        comm: Any,
        *,
        tolerance: float = 1e-11,
        petsc_options: Mapping[str, Any] | None = None,
        preconditioner: Preconditioner | None = None,
    ) -> None:
        self.choice, self._preconditioner = choice, preconditioner
        self._tolerance, self._petsc_options = tolerance, petsc_options or {}
        self.ksp = PETSc.KSP().create(comm)
        self.configure(self.ksp, tolerance, self._petsc_options)

    def configure(self, ksp: PETSc.KSP, tolerance: float, petsc_options: Mapping[str, Any]) -> None:
        """Apply the choice and the user's options to a KSP."""
        prefix = f"sciml_{next(_counter)}_"
        ksp.setOptionsPrefix(prefix)
        ksp.setType(self.choice.krylov)
        fast = self.choice.name == "fast_diagonalisation" and self.choice.instead is not None
        ksp.setTolerances(rtol=tolerance, max_it=_FAST_ITERATIONS if fast else _MOST_ITERATIONS)
        pc = ksp.getPC()
        pc.setType(self.choice.preconditioner)
        if self.choice.name == "direct":
            pc.setFactorSolverType("mumps")
        if self.choice.preconditioner == "python":
            pc.setPythonContext(self._preconditioner)
        if self.choice.krylov == "fcg":
            # What a network makes of a residual has no size: that of the residual counts.
            ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
            ksp.setConvergenceTest(_Stagnation())
            petsc_options = last_directions(_DIRECTIONS) | dict(petsc_options)
        options = PETSc.Options()
        for key, value in petsc_options.items():
            options[prefix + key] = value
        # Inner solvers read theirs when they are set up, so the values stay until the solver is destroyed.
        self._given = {key: prefix + key for key in petsc_options}
        try:
            ksp.setFromOptions()
        except PETSc.Error as error:
            raise OptionError(
                f"PETSc does not accept petsc_options={dict(petsc_options)!r} (error {error.ierr})."
            ) from error

    def solve(self, matrix: PETSc.Mat, right: PETSc.Vec, solution: PETSc.Vec) -> int:
        """Solve; returns the iterations.

        Raises
        ------
        DivergenceError
            With PETSc's reason in words.
        """
        self.ksp.setOperators(matrix)
        try:
            self.ksp.solve(right, solution)
        except PETSc.Error as error:
            if isinstance(self._preconditioner, PythonPreconditioner) and self._preconditioner.failure is not None:
                raise self._preconditioner.failure from None
            raise DivergenceError(f"PETSc failed in the linear solver {self.choice}: {error}.") from error
        self.forget_options()
        reason = self.ksp.getConvergedReason()
        if reason < 0 and self.choice.instead is not None:
            return self._solve_instead(matrix, right, solution)
        if reason < 0 or not np.isfinite(solution.norm()):
            raise DivergenceError(
                f"The linear solver {self.choice} failed: {in_words(PETSc.KSP.ConvergedReason, reason)} after "
                f"{self.ksp.getIterationNumber()} iterations; try -o linear_solver=direct or check the law for "
                f"a singular operator."
            )
        return int(self.ksp.getIterationNumber())

    def _solve_instead(self, matrix: PETSc.Mat, right: PETSc.Vec, solution: PETSc.Vec) -> int:
        """Solve with what takes the place of a preconditioner that did not suit the matrix, from now on."""
        tried, instead = self.ksp.getIterationNumber(), self.choice.instead
        assert instead is not None
        in_full = self.choice.name.replace("_", " ")
        reason = f"{instead.reason}; {in_full} did not converge in {tried} iterations"
        self.choice = replace(instead, reason=reason)
        self.ksp.destroy()
        self.ksp = PETSc.KSP().create(matrix.getComm())
        self.configure(self.ksp, self._tolerance, self._petsc_options)
        solution.set(0.0)
        return tried + self.solve(matrix, right, solution)

    def forget_options(self) -> None:
        """Take the user's options out of PETSc's global ones; refuse those that nothing has read."""
        options = PETSc.Options()
        unused = [key for key, full in self._given.items() if not options.used(full)]
        for full in self._given.values():
            options.delValue(full)
        self._given = {}
        if unused:
            raise OptionError(f"PETSc has no use for the option {unused[0]!r} with the linear solver {self.choice}.")

    def destroy(self) -> None:
        """Free PETSc's memory."""
        self.ksp.destroy()


_WORDS = {
    "DIVERGED_MAX_IT": "the iteration limit was reached",
    "DIVERGED_DTOL": "the residual grew",
    "DIVERGED_BREAKDOWN": "the Krylov method broke down",
    "DIVERGED_INDEFINITE_PC": "the preconditioner is indefinite",
    "DIVERGED_INDEFINITE_MAT": "the matrix is indefinite",
    "DIVERGED_NANORINF": "not-a-number or infinity appeared",
    "DIVERGED_PCSETUP_FAILED": "the factorisation or preconditioner could not be set up (a singular matrix)",
    "DIVERGED_PC_FAILED": "the factorisation or preconditioner failed (a singular matrix)",
    "DIVERGED_LINE_SEARCH": "the line search found no decrease",
    "DIVERGED_LINEAR_SOLVE": "a linear solve failed",
    "DIVERGED_FNORM_NAN": "the residual became not-a-number",
    "DIVERGED_FUNCTION_NANORINF": "the residual became not-a-number",
    "DIVERGED_FUNCTION_DOMAIN": "the state left the law's domain",
    "DIVERGED_INNER": "an inner solve failed",
    "DIVERGED_LOCAL_MIN": "a local minimum of the residual norm was reached",
    "DIVERGED_FUNCTION_COUNT": "too many residual evaluations were needed",
    "DIVERGED_TR_DELTA": "the trust region collapsed",
    "DIVERGED_JACOBIAN_DOMAIN": "the state left the domain of the law's derivative",
    "DIVERGED_OBJECTIVE_DOMAIN": "the state left the energy's domain",
    "DIVERGED_OBJECTIVE_NANORINF": "the energy became not-a-number",
    "DIVERGED_BREAKDOWN_BICG": "the Krylov method broke down",
    "DIVERGED_NONSYMMETRIC": "the matrix is not symmetric",
    "DIVERGED_NULL": "the solver was not set up",
}


def in_words(reasons: type, number: int) -> str:
    """PETSc's reason for stopping, in words, with its name."""
    for name in dir(reasons):
        if name.isupper() and getattr(reasons, name) == number and name in _WORDS:
            return f"{_WORDS[name]} ({name})"
    names = [name for name in dir(reasons) if name.isupper() and getattr(reasons, name) == number]
    return f"reason {names[0] if names else number}"


def rigid_body_modes(space: fem.FunctionSpace, mesh: FEMesh, independent: Any = None) -> PETSc.NullSpace:
    """Translations and rotations of a displacement space, orthonormal: GAMG's near null space.

    Of a periodic problem they are taken on its independent degrees of freedom (see
    :class:`~sciml.fem.constraints.Independent`). Rotations then jump at the seam only: multigrid's smoother deals with
    that, and away from it coarse spaces need them.
    """
    dim = mesh.data.dim
    points = space.tabulate_dof_coordinates()[:, :dim]
    # The same on all processes: a rotation round several centres is no rigid motion.
    centre = np.mean(mesh.data.bounds, axis=0)
    modes = [np.tile(np.eye(dim)[i], (len(points), 1)) for i in range(dim)]
    for i, j in itertools.combinations(range(dim), 2):
        spin = np.zeros((dim, dim))
        spin[i, j], spin[j, i] = -1.0, 1.0
        modes.append((points - centre) @ spin.T)
    vectors = []
    for mode in modes:
        vector = fem.petsc.create_vector(space) if independent is None else independent.vector()
        entries = mode.ravel() if independent is None else independent.values(mode.ravel())
        vector.array[:] = entries[: vector.getLocalSize()]
        for other in vectors:
            vector.axpy(-vector.dot(other), other)
        vector.normalize()
        vectors.append(vector)
    return PETSc.NullSpace().create(vectors=vectors, comm=mesh.comm)
