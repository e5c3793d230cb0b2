"""The reference: Lagrange finite elements in DOLFINx, with a measured error."""

from __future__ import annotations

import functools
import importlib.util
import time
from dataclasses import asdict
from typing import Any, Literal

from pydantic import Field

from sciml.errors import ConditionError, DivergenceError, DomainError, OptionError
from sciml.forms import analyse, check_degree, constrained_fields, leaving_with_data
from sciml.forms.peclet import refuse_stabilisation
from sciml.forms.schemes import choose_scheme
from sciml.problem import Box, Dirichlet, Periodic, Problem
from sciml.solution import ADVICE, ErrorEstimate, FEEvolution, FEField, Seconds, Solution
from sciml.solvers.base import Context, Progress, Solver, SolverOptions, package_versions

__all__ = ["SOLVER", "FenicsOptions", "FenicsSolver"]


class FenicsOptions(SolverOptions):
    """Options of the reference."""

    degree: int = Field(2, ge=1, le=4, description="polynomial degree of the elements, 1 to 4")
    cells: int | None = Field(
        None, ge=1, description="cells per axis of a box; by default doubled until the measured error is small enough"
    )
    cell_type: Literal["simplex", "tensor"] = Field(
        "simplex", description="triangles and tetrahedra, or quadrilaterals and hexahedra (boxes)"
    )
    refine: int | None = Field(None, ge=0, le=6, description="times a mesh file's cells are divided")
    accuracy: float | None = Field(
        None,
        gt=0,
        description="relative L2 error to refine for where neither cells nor refine is given (1e-4; 1e-3 in time)",
    )
    max_unknowns: int = Field(300_000, ge=10, description="largest system that automatic refinement may build")
    steps: int | None = Field(None, ge=1, description="equal steps in time")
    step: float | None = Field(None, gt=0, description="length of a step in time, in place of steps")
    step_tolerance: float | None = Field(
        None, gt=0, lt=1, description="relative local error of a step: steps as long as it allows, by TR-BDF2"
    )
    min_step: float | None = Field(None, gt=0, description="shortest step of step_tolerance (1e-10 of the time)")
    max_step: float | None = Field(None, gt=0, description="longest step of step_tolerance (an eighth of the time)")
    scheme: Literal["auto", "theta", "bdf2", "newmark", "generalised_alpha", "explicit"] = Field(
        "auto", description="time integrator: bdf2 for laws with ∂u/∂t alone, newmark with ∂²u/∂t², or the one named"
    )
    theta: float = Field(0.5, ge=0, le=1, description="of scheme=theta: 0.5 Crank–Nicolson, 1 backward Euler")
    rho_infinity: float = Field(0.8, ge=0, le=1, description="damping of scheme=generalised_alpha at high frequencies")
    snapshots: int = Field(33, ge=2, description="instants that are kept")
    max_work: float = Field(
        1e8,
        gt=0,
        description="unknowns times steps that automatic refinement may reach; a step of a nonlinear law counts ten "
        "times, one of several fields three times",
    )
    measure_error: bool = Field(True, description="measure the solution's own error with two further levels")
    linear_solver: Literal[
        "auto",
        "direct",
        "gamg",
        "icc",
        "fast_diagonalisation",
        "dst",
        "pyamg",
        "pyamg_rs",
        "learned_mg",
        "gmg",
        "dcdm",
    ] = Field(
        "auto",
        description="how linear systems are solved; pyamg is smoothed aggregation by PyAMG, pyamg_rs Ruge–Stüben's; on "
        "boxes learned_mg, gmg (the same without its network) and dcdm, and on their tensor cells dst, which is "
        "fast_diagonalisation",
    )
    stabilisation: Literal["auto", "none", "supg"] = Field(
        "auto", description="streamline upwinding of advection; auto where the mesh Péclet number exceeds 1"
    )
    petsc_options: dict[str, Any] = Field(default_factory=dict, description="PETSc options of the linear solver")
    tolerance: float = Field(1e-10, gt=0, lt=1, description="relative tolerance of Newton's method")
    max_iterations: int = Field(50, ge=1, description="Newton iterations per load step")
    load_steps: int = Field(1, ge=1, description="equal steps in which load and data are applied")


@functools.cache
def _installed() -> bool:
    """Whether DOLFINx can be found, by the wheel or otherwise; nothing is imported."""
    try:
        return any(importlib.util.find_spec(name) is not None for name in ("dolfinx_solver", "dolfinx"))
    except ValueError:
        return False


class FenicsSolver(Solver):
    """Finite elements through DOLFINx.

    Linear problems take one linear solve, nonlinear ones Newton's method (PETSc's SNES with a backtracking line
    search) from the harmonic lift of the boundary data. The linear solver is chosen by what the analysis says and
    stated in the solution's details.

    Without `cells` and `refine` a box is refined until the measured relative L2 error is below `accuracy` or the next
    system would exceed `max_unknowns`; a mesh file is used as it is.

    The error is measured on three levels with their observed rate (see :mod:`sciml.fem.hierarchy`).
    """

    name = "fenics"
    title = "finite elements (DOLFINx), the reference with a measured error"
    Options = FenicsOptions
    member_defaults = {"measure_error": False}
    stochastic, parallel = False, True
    resolution = "cells"
    tuning_space = {
        "degree": (1, 2, 3, 4),
        "cell_type": ("simplex", "tensor"),
        "linear_solver": ("auto", "direct", "gamg"),
    }

    def __init__(self) -> None:
        self._shared: Any = None

    def for_members(self) -> FenicsSolver:
        from sciml.fem import Shared

        worker = FenicsSolver()
        worker._shared = Shared()
        return worker

    def supports(self, problem: Problem) -> str | None:
        if problem.dim > 3:
            return f"finite elements need at most 3 dimensions, and this problem has {problem.dim}"
        if not _installed():
            return (
                "FEniCSx is not installed (on Linux x86-64 `pip install dolfinx-solver-real`, elsewhere "
                "`conda install -c conda-forge fenics-dolfinx`)"
            )
        leaving = leaving_with_data(problem)
        if leaving:
            return (
                f"its law has no diffusion, so that data where the solution is carried out ({leaving[0]}) determine it "
                f"twice; Galerkin's method takes data on the inflow alone"
            )
        return None

    def check(self, problem: Problem, options: FenicsOptions, device: str) -> None:
        if isinstance(problem.domain, Box) and options.refine is not None:
            raise DomainError("`refine` is for mesh files; give a box its number of `cells` per axis.")
        if isinstance(problem.domain, Box) and options.cells is None and not options.measure_error:
            raise OptionError("`measure_error=no` needs a number of `cells`: automatic refinement goes by the error.")
        if not isinstance(problem.domain, Box):
            problem.domain.mesh(options.cells)
        check_degree(problem, options.degree)
        for condition in problem.declaration.conditions:
            slot = condition.slot
            if slot is not None and slot.kind.family == "RT" and isinstance(condition, (Dirichlet, Periodic)):
                raise ConditionError(
                    f"{condition}: Raviart–Thomas elements have no values to prescribe; prescribe flux·n by Neumann, "
                    f"or take another element for {slot.name!r}."
                )
        self._check_time(problem, options)
        refuse_stabilisation(problem, options.stabilisation)

    @staticmethod
    def _check_time(problem: Problem, options: FenicsOptions) -> None:
        if not problem.evolves:
            names = ("steps", "step", "step_tolerance", "min_step", "max_step")
            given = [name for name in names if getattr(options, name) is not None]
            if given:
                raise OptionError(f"`{given[0]}` is for problems that run in time; {problem!r} does not.")
            return
        if options.steps is not None and options.step is not None:
            raise OptionError("`steps` and `step` are both given; one of them decides the other.")
        if options.step is not None:
            ratio = problem.time.duration / options.step
            if abs(ratio - round(ratio)) > 1e-6 * ratio or round(ratio) < 1:
                raise OptionError(
                    f"step={options.step:g} does not divide the time of {problem.time.duration:g}; with "
                    f"steps={max(1, round(ratio))} it is {problem.time.duration / max(1, round(ratio)):.6g}."
                )
        choose_scheme(problem, options.scheme, options.theta, options.rho_infinity)
        FenicsSolver._check_adaptive(problem, options)

    @staticmethod
    def _check_adaptive(problem: Problem, options: FenicsOptions) -> None:
        shortest, longest = options.min_step or 0.0, options.max_step or problem.time.duration
        if options.step_tolerance is None:
            given = [name for name in ("min_step", "max_step") if getattr(options, name) is not None]
            if given:
                raise OptionError(f"`{given[0]}` goes with `step_tolerance`; equal steps take `steps` or `step`.")
            return
        fixed = [name for name in ("steps", "step") if getattr(options, name) is not None]
        if fixed:
            raise OptionError(f"`{fixed[0]}` and `step_tolerance` are both given; one of them decides the steps.")
        if problem.declaration.mass is not None or options.scheme != "auto":
            raise OptionError(
                "`step_tolerance` takes TR-BDF2, for laws with ∂u/∂t alone: leave `scheme` at auto, or give `steps`."
            )
        constraints = constrained_fields(problem)
        if constraints:
            raise OptionError(
                f"`step_tolerance` needs a rate of every field, and no time derivative acts on "
                f"{constraints[0].name!r}; give equal `steps`."
            )
        if shortest >= longest:
            raise OptionError(f"min_step={shortest:g} must be shorter than max_step={longest:g}.")

    def load(self) -> None:
        importlib.import_module("sciml.fem.hierarchy")

    def solve(self, problem: Problem, options: FenicsOptions, context: Context) -> Solution:
        from sciml.fem.compiling import compile_seconds
        from sciml.fem.hierarchy import solve_hierarchy

        start, compiled = time.perf_counter(), compile_seconds()
        try:
            outcome = solve_hierarchy(
                problem,
                analyse(problem),
                options,
                lambda text: context.report(Progress("fenics", text=text)),
                self._shared,
            )
        except DivergenceError as error:
            error.solution = self._diverged(problem, options, context, error)
            raise
        level = outcome.delivered
        field = FEField(problem, level.function) if level.trajectory is None else FEEvolution(problem, level.trajectory)
        seconds = Seconds(setup=outcome.setup_seconds, solve=outcome.solve_seconds)
        seconds.post = max(0.0, time.perf_counter() - start - seconds.setup - seconds.solve)
        return Solution(
            problem=problem,
            field=field,
            solver=self.name,
            options=options.model_dump(),
            status="converged",
            message=ADVICE["converged"],
            seconds=seconds,
            cpu_seconds=context.cpu_seconds,
            iterations=level.report.newton_iterations,
            residual=level.report.residual,
            seed=context.seed,
            device="cpu",
            versions=package_versions("dolfinx-solver-real", "fenics-dolfinx", "fenics-ufl", "numpy"),
            details={
                "unknowns": level.function.n_dofs,
                "cells": len(level.function.mesh.data.cells),
                "cell_type": level.function.mesh.data.cell_type,
                "linear_solver": level.report.linear_solver,
                "linear_iterations": level.report.linear_iterations,
                "stabilisation": str(outcome.stabilisation),
                "start": level.report.start,
                "levels": outcome.level_sizes,
                **({"steps": level.steps} if problem.evolves else {}),
                **({"rejected_steps": level.report.rejected} if options.step_tolerance is not None else {}),
                "compile_seconds": compile_seconds() - compiled,
                "notes": outcome.notes,
            },
            error_estimate=None if outcome.estimate is None else ErrorEstimate(**asdict(outcome.estimate)),
        )

    def _diverged(
        self, problem: Problem, options: FenicsOptions, context: Context, error: DivergenceError
    ) -> Solution | None:
        """The last state of a solve that failed, where there is one."""
        from sciml.fem import FEFunction

        if not isinstance(error.solution, FEFunction):
            return None
        return Solution(
            problem=problem,
            field=FEField(problem, error.solution),
            solver=self.name,
            options=options.model_dump(),
            status="diverged",
            message=str(error),
            seconds=Seconds(),
            cpu_seconds=context.cpu_seconds,
            iterations=0,
            seed=context.seed,
            versions=package_versions("dolfinx-solver-real", "fenics-dolfinx", "fenics-ufl", "numpy"),
        )


SOLVER = FenicsSolver()
