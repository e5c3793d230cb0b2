"""Solving a stationary problem on one mesh: one linear solve, or Newton's method with a line search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import ufl
from dolfinx import fem
from petsc4py import PETSc

from sciml.errors import DivergenceError
from sciml.fem.algebra import LinearChoice, LinearSolver, choose_linear_solver, in_words, rigid_body_modes
from sciml.fem.compiling import compile_form
from sciml.fem.discretisation import Discretisation
from sciml.forms import Analysis, number

__all__ = ["StaticReport", "solve_static"]

Report = Callable[[str], None]


@dataclass(frozen=True)
class StaticReport:
    """How a stationary solve went.

    Attributes
    ----------
    newton_iterations, linear_iterations : int
        In all load steps together; one Newton iteration for a linear problem.
    residual : float
        ‖F(u)‖ over the free degrees of freedom, relative to the size of its terms.
    linear_solver : str
        Which one, and why.
    start : str
        Where Newton's method started.
    rejected : int
        Steps in time that were not accepted.
    """

    newton_iterations: int
    linear_iterations: int
    residual: float
    linear_solver: str
    start: str
    rejected: int = 0


def solve_static(
    discretisation: Discretisation,
    analysis: Analysis,
    *,
    linear_solver: str = "auto",
    petsc_options: Mapping[str, Any] | None = None,
    tolerance: float = 1e-10,
    max_iterations: int = 50,
    load_steps: int = 1,
    report: Report = lambda text: None,
) -> StaticReport:
    """Solve; the solution is left in ``discretisation.u``.

    A nonlinear problem starts from the harmonic lift of its Dirichlet data, or, with `load_steps` > 1, from zero
    with loads and data scaled up in equal steps.

    Parameters
    ----------
    discretisation : Discretisation
    analysis : Analysis
        Of the same problem.
    linear_solver : {"auto", "direct", "gamg"}
    petsc_options : mapping, optional
        For the linear solver.
    tolerance : float
        Relative tolerance of Newton's method on ‖F‖.
    max_iterations : int
        Newton iterations per load step.
    load_steps : int
    report : callable
        Takes a line of text after each iteration.

    Raises
    ------
    DivergenceError
        With PETSc's reason in words.
    """
    choice = choose_linear_solver(
        linear_solver,
        symmetric=bool(analysis.symmetric),
        definite=bool(analysis.monotone),
        dim=discretisation.problem.dim,
        n_dofs=discretisation.n_dofs,
    )
    system = _System(
        discretisation,
        choice,
        pure_neumann=analysis.pure_neumann,
        conserves=analysis.pure_neumann and analysis.conserves,
        petsc_options=petsc_options or {},
    )
    try:
        if analysis.linear:
            discretisation.u.x.array[:] = 0.0
            discretisation.impose()
            outcome = _linear(system, report)
        else:
            outcome = _nonlinear(system, tolerance, max_iterations, load_steps, report)
    finally:
        system.destroy()
    if analysis.pure_neumann:
        _shift_mean(discretisation)
    return outcome


class _System:
    """Assembled residual and Jacobian with constrained degrees of freedom taken out."""

    def __init__(
        self,
        disc: Discretisation,
        choice: LinearChoice,
        *,
        pure_neumann: bool,
        conserves: bool,
        petsc_options: Mapping[str, Any],
    ) -> None:
        self.disc, self.choice, self.petsc_options = disc, choice, petsc_options
        self._conserves = conserves
        space = disc.space
        self._n_owned = space.dofmap.index_map.size_local * space.dofmap.index_map_bs
        constrained = disc.dirichlet[0]
        if pure_neumann and choice.name == "direct" and disc.comm.rank == 0:
            # The constant is free: hold one degree of freedom, and shift the mean afterwards.
            constrained = np.append(constrained, 0).astype(np.int32)
        self.constrained = constrained[constrained < self._n_owned]
        self.matrix = fem.petsc.create_matrix(disc.jacobian)
        self.vector = fem.petsc.create_vector(space)
        self.null_space = None
        if pure_neumann:
            self.null_space = PETSc.NullSpace().create(constant=True, comm=disc.comm)
        if choice.name == "gamg":
            self._prepare_multigrid()

    def _prepare_multigrid(self) -> None:
        disc = self.disc
        if disc.problem.shape == (disc.problem.dim,):
            self.matrix.setNearNullSpace(rigid_body_modes(disc.space, disc.mesh))
        if self.null_space is not None:
            self.matrix.setNullSpace(self.null_space)

    def load(self, x: PETSc.Vec) -> None:
        """Take the state from a vector."""
        u = self.disc.u.x
        u.array[: self._n_owned] = x.array_r[: self._n_owned]
        u.scatter_forward()

    def state(self) -> PETSc.Vec:
        """The state as a new vector."""
        x = self.vector.duplicate()
        x.array[:] = self.disc.u.x.array[: self._n_owned]
        return x

    def residual(self, out: PETSc.Vec) -> None:
        """F(u) into `out`, zero on constrained degrees of freedom."""
        with out.localForm() as local:
            local.set(0.0)
        fem.petsc.assemble_vector(out, self.disc.residual)
        out.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
        if self.null_space is not None and self._conserves:
            # What quadrature leaves of an imbalance would otherwise act as a point source.
            self.null_space.remove(out)
        out.array[self.constrained] = 0.0

    def jacobian(self, out: PETSc.Mat) -> None:
        """F′(u) into `out`, identity on constrained degrees of freedom."""
        out.zeroEntries()
        fem.petsc.assemble_matrix(out, self.disc.jacobian)
        out.assemble()
        out.zeroRowsColumnsLocal(self.constrained, 1.0)

    def magnitude(self) -> float:
        """Size of the terms of F at the present state, against which a residual counts as zero."""
        self.residual(self.vector)
        self.matrix.zeroEntries()
        fem.petsc.assemble_matrix(self.matrix, self.disc.jacobian)
        self.matrix.assemble()
        state = self.state()
        return float((self.matrix * state).norm() + self.vector.norm())

    def destroy(self) -> None:
        """Free PETSc's memory."""
        self.matrix.destroy()
        self.vector.destroy()


def _linear(system: _System, report: Report) -> StaticReport:
    scale = system.magnitude()
    system.residual(system.vector)
    system.jacobian(system.matrix)
    step = system.vector.duplicate()
    system.vector.scale(-1.0)
    solver = LinearSolver(system.choice, system.disc.comm, petsc_options=system.petsc_options)
    iterations = solver.solve(system.matrix, system.vector, step)
    solver.destroy()
    step.axpy(1.0, system.state())
    system.load(step)
    system.residual(system.vector)
    residual = system.vector.norm() / scale if scale else 0.0
    if residual > 1e-6:
        raise DivergenceError(f"The linear solver {system.choice} left a relative residual of {residual:.1e}.")
    report(f"linear solve: {iterations} iterations, relative residual {residual:.1e}")
    return StaticReport(1, iterations, residual, str(system.choice), "boundary values")


def _nonlinear(system: _System, tolerance: float, max_iterations: int, load_steps: int, report: Report) -> StaticReport:
    disc = system.disc
    disc.u.x.array[:] = 0.0
    newton = linear = 0
    residual = 0.0
    if load_steps == 1:
        _harmonic_lift(system)
    for step in range(1, load_steps + 1):
        disc.set_load_factor(step / load_steps)
        if load_steps > 1:
            linear += _predict(system, step / load_steps)
        else:
            disc.impose()
        iterations, inner, residual = _newton(system, tolerance, max_iterations, report, step, load_steps)
        newton, linear = newton + iterations, linear + inner
    start = "harmonic lift of the Dirichlet data" if load_steps == 1 else f"zero, {load_steps} load steps"
    return StaticReport(newton, linear, residual, str(system.choice), start)


def _predict(system: _System, factor: float) -> int:
    """Move to the next load level along the tangent, so that the interior follows the boundary."""
    disc = system.disc
    dofs, values = disc.dirichlet
    increment = system.vector.duplicate()
    increment.set(0.0)
    owned = dofs < system._n_owned
    increment.array[dofs[owned]] = factor * values[owned] - disc.u.x.array[dofs[owned]]
    system.matrix.zeroEntries()
    fem.petsc.assemble_matrix(system.matrix, disc.jacobian)
    system.matrix.assemble()
    right = system.matrix * increment
    system.residual(system.vector)
    right.axpy(1.0, system.vector)
    right.scale(-1.0)
    right.array[system.constrained] = 0.0
    system.matrix.zeroRowsColumnsLocal(system.constrained, 1.0)
    solver = LinearSolver(system.choice, disc.comm, petsc_options=system.petsc_options)
    step = right.duplicate()
    iterations = solver.solve(system.matrix, right, step)
    solver.destroy()
    step.axpy(1.0, increment)
    step.axpy(1.0, system.state())
    system.load(step)
    return iterations


def _newton(
    system: _System, tolerance: float, max_iterations: int, report: Report, step: int, load_steps: int
) -> tuple[int, int, float]:
    scale = system.magnitude()
    system.residual(system.vector)
    if system.vector.norm() == 0.0:
        return 0, 0, 0.0
    if not np.isfinite(scale):
        raise DivergenceError(
            f"The law is not finite where Newton's method starts{f' load step {step}' if load_steps > 1 else ''}; "
            f"try -o load_steps={max(10, 2 * load_steps)} or a milder parameter value."
        )
    snes = PETSc.SNES().create(system.disc.comm)
    snes.setFunction(lambda _, x, f: (system.load(x), system.residual(f)), system.vector)
    snes.setJacobian(lambda _, x, j, p: (system.load(x), system.jacobian(j)), system.matrix)
    snes.setType("newtonls")
    snes.getLineSearch().setType("bt")
    snes.setTolerances(rtol=tolerance, atol=1e-13 * scale, stol=1e-13, max_it=max_iterations)
    inner_solver = LinearSolver(system.choice, system.disc.comm)
    inner_solver.configure(snes.getKSP(), 1e-10, system.petsc_options)
    label = f"load step {step} of {load_steps}, " if load_steps > 1 else ""
    snes.setMonitor(lambda _, k, norm: report(f"{label}Newton {k}: ‖F‖ = {norm:.2e}"))
    x = system.state()
    try:
        snes.solve(None, x)
    except PETSc.Error as error:
        raise DivergenceError(f"PETSc failed in Newton's method: {error}.") from error
    inner_solver.forget_options()
    reason, iterations = snes.getConvergedReason(), snes.getIterationNumber()
    if reason < 0:
        raise DivergenceError(
            f"Newton's method failed{f' in load step {step}' if load_steps > 1 else ''}: "
            f"{in_words(PETSc.SNES.ConvergedReason, reason)} after {iterations} iterations at ‖F‖ = "
            f"{snes.getFunctionNorm():.2e}; try -o load_steps={max(10, 2 * load_steps)}, a finer mesh, or a milder "
            f"parameter value."
        )
    system.load(x)
    residual = snes.getFunctionNorm() / scale if scale else 0.0
    inner = snes.getLinearSolveIterations()
    snes.destroy()
    return iterations, inner, residual


def _harmonic_lift(system: _System) -> None:
    """Start from the discrete harmonic extension of the Dirichlet data (zero if there are none)."""
    disc = system.disc
    if not len(disc.dirichlet[0]):
        return
    disc.impose()
    space = disc._symbols.unknown.ufl_function_space()
    form = ufl.inner(ufl.grad(ufl.TrialFunction(space)), ufl.grad(ufl.TestFunction(space))) * ufl.dx
    bound = fem.forms.create_form(compile_form(form, disc.comm), [disc.space] * 2, disc.mesh.mesh, {}, {}, {})
    matrix = fem.petsc.assemble_matrix(bound)
    matrix.assemble()
    right = matrix * system.state()
    right.scale(-1.0)
    # Components without any Dirichlet value stay zero.
    held = np.unique(system.constrained % disc.problem.n_components)
    free = np.arange(system._n_owned) % disc.problem.n_components
    fixed = np.union1d(system.constrained, np.flatnonzero(~np.isin(free, held))).astype(np.int32)
    right.array[fixed] = 0.0
    matrix.zeroRowsColumnsLocal(fixed, 1.0)
    choice = choose_linear_solver("auto", symmetric=True, definite=True, dim=disc.problem.dim, n_dofs=disc.n_dofs)
    solver = LinearSolver(choice, disc.comm, tolerance=1e-6)
    step = right.duplicate()
    solver.solve(matrix, right, step)
    solver.destroy()
    step.axpy(1.0, system.state())
    system.load(step)
    matrix.destroy()


def _shift_mean(disc: Discretisation) -> None:
    """Add the constant that gives the mean value asked for."""
    problem = disc.problem
    mean = problem.declaration.mean
    volume = disc.functional(1 * problem.dx)
    present = disc.functional(problem.declaration.u * problem.dx) / volume
    disc.u.x.array[:] += (0.0 if mean is None else float(number(problem, mean.value))) - present
