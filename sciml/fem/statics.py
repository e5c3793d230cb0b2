"""Solving a stationary problem on one mesh: one linear solve, or Newton's method with a line search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ufl
from dolfinx import fem
from petsc4py import PETSc

from sciml.errors import DivergenceError
from sciml.fem.algebra import (
    LinearChoice,
    LinearSolver,
    choose_linear_solver,
    in_words,
    python_preconditioner,
    rigid_body_modes,
)
from sciml.fem.compiling import compile_form
from sciml.fem.constraints import Independent
from sciml.fem.discretisation import Discretisation
from sciml.fem.grids import ON_GRIDS, unknown_grid
from sciml.forms import Analysis, number

__all__ = ["StaticReport", "shift_means", "solve_static"]

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
    linear_solver : str
        As in :func:`choose_linear_solver`.
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
        fields=len(discretisation.problem.layout),
        lattice=_takes_a_lattice(linear_solver, analysis) and discretisation.lattice is not None,
        grid=linear_solver in ON_GRIDS and not analysis.pure_neumann and unknown_grid(discretisation) is not None,
        processes=discretisation.comm.size,
    )
    several = len(discretisation.problem.layout) > 1
    system = _System(
        discretisation,
        choice,
        free_constants=analysis.free_constants,
        conserves=analysis.pure_neumann and (several or analysis.conserves),
        petsc_options=petsc_options or {},
        scaled=choice.name == "fast_diagonalisation" and analysis.smooth_coefficients,
    )
    try:
        if analysis.linear:
            discretisation.u.x.array[:] = 0.0
            system.impose()
            outcome = _linear(system, report)
        else:
            outcome = _nonlinear(system, tolerance, max_iterations, load_steps, report)
    finally:
        system.destroy()
    shift_means(discretisation, analysis.free_constants)
    return outcome


def _takes_a_lattice(requested: str, analysis: Analysis) -> bool:
    """Whether to look for a grid: a free constant, or Newton's changing matrices, are left to others unless asked."""
    return not analysis.pure_neumann and (bool(analysis.linear) or requested == "fast_diagonalisation")


class _System:
    """Assembled residual and Jacobian with constrained degrees of freedom taken out."""

    def __init__(
        self,
        disc: Discretisation,
        choice: LinearChoice,
        *,
        free_constants: Sequence[int],
        conserves: bool,
        petsc_options: Mapping[str, Any],
        scaled: bool,
    ) -> None:
        self.disc, self.choice, self.petsc_options = disc, choice, petsc_options
        self._scaled = scaled
        self._conserves = conserves
        self.independent = Independent(disc)
        self.dirichlet = constrained, _ = self.independent.prescribed(disc.dirichlet)
        self.component = self.independent.values(disc.unknowns.component)
        if choice.name == "direct":
            # Where constants are free: hold one degree of freedom of each, and shift the means afterwards.
            constrained = np.append(constrained, self.independent.one_of_each(free_constants)).astype(np.int32)
        self.constrained = constrained
        self._reduced = self.independent.matrix(disc.jacobian)
        self.matrix = self._reduced.matrix
        self.vector = self.independent.vector()
        self.null_space = self._constants(free_constants) if free_constants else None
        if choice.name in ("gamg", "pyamg", "pyamg_rs"):
            self._prepare_multigrid()

    def _constants(self, components: Sequence[int]) -> PETSc.NullSpace:
        """What conditions on fluxes alone leave free."""
        if self.disc.problem.n_components == 1:
            return PETSc.NullSpace().create(constant=True, comm=self.disc.comm)
        vectors = [self.independent.vector() for _ in components]
        for component, vector in zip(components, vectors, strict=True):
            vector.array[:] = self.component == component
            vector.normalize()
        return PETSc.NullSpace().create(vectors=vectors, comm=self.disc.comm)

    def _prepare_multigrid(self) -> None:
        disc = self.disc
        if len(disc.problem.layout) == 1 and disc.problem.shape == (disc.problem.dim,):
            self.matrix.setNearNullSpace(rigid_body_modes(disc.space, disc.mesh, self.independent))
        if self.null_space is not None:
            self.matrix.setNullSpace(self.null_space)

    def impose(self, factor: float = 1.0) -> None:
        """Write (scaled) Dirichlet values into the state."""
        dofs, values = self.dirichlet
        state = self.state()
        state.array[dofs] = factor * values
        self.load(state)

    def solver(self, petsc_options: Mapping[str, Any] | None = None) -> LinearSolver:
        """A new linear solver of the kind chosen."""
        preconditioner = python_preconditioner(self.disc, self.choice, scaled=self._scaled)
        return LinearSolver(self.choice, self.disc.comm, petsc_options=petsc_options, preconditioner=preconditioner)

    def load(self, x: PETSc.Vec) -> None:
        """Take the state from a vector."""
        self.independent.load(x)

    def state(self) -> PETSc.Vec:
        """The state as a new vector."""
        return self.independent.state()

    def residual(self, out: PETSc.Vec) -> None:
        """F(u) into `out`, zero on constrained degrees of freedom."""
        self.independent.residual(out)
        if self.null_space is not None and self._conserves:
            # What quadrature leaves of an imbalance would otherwise act as a point source.
            self.null_space.remove(out)
        out.array[self.constrained] = 0.0

    def tangent(self) -> PETSc.Mat:
        """F′(u) of all degrees of freedom."""
        return self._reduced.assemble()

    def jacobian(self) -> None:
        """F′(u) into the matrix, identity on constrained degrees of freedom."""
        self.tangent()
        self.constrain()

    def constrain(self) -> None:
        """Make the rows and columns of constrained degrees of freedom those of the identity."""
        self.independent.hold(self.matrix, self.constrained)

    def magnitude(self) -> float:
        """Size of the terms of F at the present state, against which a residual counts as zero.

        It leaves F in `vector` and F′, not constrained yet, in `matrix`.
        """
        self.residual(self.vector)
        return float((self.tangent() * self.state()).norm() + self.independent.size(self.vector))

    def destroy(self) -> None:
        """Free PETSc's memory."""
        self._reduced.destroy()
        self.vector.destroy()
        self.independent.destroy()


def _linear(system: _System, report: Report) -> StaticReport:
    scale = system.magnitude()
    system.constrain()
    step = system.vector.duplicate()
    system.vector.scale(-1.0)
    solver = system.solver(system.petsc_options)
    iterations = solver.solve(system.matrix, system.vector, step)
    choice = solver.choice
    solver.destroy()
    step.axpy(1.0, system.state())
    system.load(step)
    system.residual(system.vector)
    residual = system.vector.norm() / scale if scale else 0.0
    if residual > 1e-6:
        raise DivergenceError(f"The linear solver {choice} left a relative residual of {residual:.1e}.")
    report(f"linear solve: {iterations} iterations, relative residual {residual:.1e}")
    return StaticReport(1, iterations, residual, str(choice), "boundary values")


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
            system.impose()
        iterations, inner, residual = _newton(system, tolerance, max_iterations, report, step, load_steps)
        newton, linear = newton + iterations, linear + inner
    start = "harmonic lift of the Dirichlet data" if load_steps == 1 else f"zero, {load_steps} load steps"
    return StaticReport(newton, linear, residual, str(system.choice), start)


def _predict(system: _System, factor: float) -> int:
    """Move to the next load level along the tangent, so that the interior follows the boundary."""
    dofs, values = system.dirichlet
    state, increment = system.state(), system.independent.vector()
    increment.array[dofs] = factor * values - state.array_r[dofs]
    system.tangent()
    right = system.matrix * increment
    system.residual(system.vector)
    right.axpy(1.0, system.vector)
    right.scale(-1.0)
    right.array[system.constrained] = 0.0
    system.constrain()
    solver = system.solver(system.petsc_options)
    step = right.duplicate()
    iterations = solver.solve(system.matrix, right, step)
    solver.destroy()
    step.axpy(1.0, increment)
    step.axpy(1.0, state)
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
    snes.setJacobian(lambda _, x, j, p: (system.load(x), system.jacobian()), system.matrix)
    snes.setType("newtonls")
    snes.getLineSearch().setType("bt")
    snes.setTolerances(rtol=tolerance, atol=1e-13 * scale, stol=1e-13, max_it=max_iterations)
    inner_solver = system.solver()
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
    # A process may have no part of a boundary that others do have.
    prescribed = disc.unknowns.component[disc.dirichlet[0]]
    held = np.flatnonzero(disc.comm.allreduce(np.bincount(prescribed, minlength=disc.problem.n_components)))
    if not len(held):
        return
    system.impose()
    space = disc._symbols.unknown.ufl_function_space()
    form = ufl.inner(ufl.grad(ufl.TrialFunction(space)), ufl.grad(ufl.TestFunction(space))) * ufl.dx
    bound = fem.forms.create_form(compile_form(form, disc.comm), [disc.space] * 2, disc.mesh.mesh, {}, {}, {})
    laplacian = system.independent.matrix(bound)
    matrix = laplacian.assemble()
    right = matrix * system.state()
    right.scale(-1.0)
    # Components without any Dirichlet value stay zero.
    fixed = np.union1d(system.constrained, np.flatnonzero(~np.isin(system.component, held))).astype(np.int32)
    right.array[fixed] = 0.0
    system.independent.hold(matrix, fixed)
    choice = choose_linear_solver("auto", symmetric=True, definite=True, dim=disc.problem.dim, n_dofs=disc.n_dofs)
    solver = LinearSolver(choice, disc.comm, tolerance=1e-6)
    step = right.duplicate()
    solver.solve(matrix, right, step)
    solver.destroy()
    step.axpy(1.0, system.state())
    system.load(step)
    laplacian.destroy()


def shift_means(disc: Discretisation, components: Sequence[int]) -> None:
    """Add the constants that give the mean values asked for to components of the state."""
    problem = disc.problem
    u = problem.declaration.u
    wanted = {c: m.entry(c) for m in problem.declaration.means for c in m.components(problem.n_components)}
    for component in components:
        value = float(number(problem, wanted[component])) if component in wanted else 0.0
        present = disc.functional((u if problem.shape == () else u[component]) * problem.dx)
        present /= disc.functional(1 * problem.dx)
        disc.u.x.array[disc.unknowns.component == component] += value - present
