"""Gaussian processes whose mean fulfils a declared equation, with Kronecker structure on boxes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from sciml.errors import OptionError, UnsupportedError
from sciml.forms import analyse
from sciml.linear.kernels import Matern
from sciml.problem import Box, Problem
from sciml.solution import ADVICE, Seconds, Solution
from sciml.solvers.base import Context, Progress, Solver, SolverOptions, package_versions
from sciml.solvers.gp.levels import Found, as_field, estimated, first_grid, search
from sciml.solvers.gp.projected import check_projected, solve_projected
from sciml.solvers.gp.published import PublishedOptions, check_published, solve_published
from sciml.solvers.gp.system import rows_along

__all__ = ["SOLVER", "GpOptions", "GpSolver"]


# Of both estimators.
_POINTS_PER_AXIS: Any = Field(
    None, ge=4, description="points of the grid along each axis; by default as many as load and data ask for"
)
_COMPONENTS: Any = Field(30, ge=1, description="frequencies of a fixed grid, or of the published estimator's kernel")
_TOP_FREQUENCY: Any = Field(
    None, gt=0, description="end of a band or a grid of frequencies, in cycles per length; by default the load's"
)


class FastOptions(SolverOptions):
    """Options of the fast estimator, and which of the two is asked for."""

    estimator: Literal["fast", "published", "variable_projection"] = Field(
        "fast",
        description="weights by linear solves; grid values and hyper-parameters by Adam as in the paper; or the same "
        "density with the values solved for, over the hyper-parameters by L-BFGS",
    )
    points_per_axis: int | None = _POINTS_PER_AXIS
    prior: Literal["gaussian", "student_t", "grid_mixture"] = Field(
        "gaussian",
        description="spectrum around each frequency; student_t is that of a Matérn kernel, grid_mixture a grid of "
        "Gaussians whose weights are learned, most of them as zero",
    )
    frequencies: Literal["auto", "spectrum", "band", "grid"] = Field(
        "auto",
        description="of the prior: lines of the load's spectrum, a whole band, whichever leaves less, or a fixed grid",
    )
    components: int = _COMPONENTS
    top_frequency: float | None = _TOP_FREQUENCY
    terms: int | None = Field(None, ge=1, le=30, description="features of each envelope; 14, on a fixed grid 8")
    width: float | None = Field(
        None, gt=0, le=12, description="edge of the box in lengths of the envelope; 1.5, on a fixed grid 6"
    )
    accuracy: float = Field(1e-6, gt=0, description="relative residual between the points that counts as converged")
    measure_error: bool = Field(True, description="measure the error by a solution with more functions and points")
    tolerance: float = Field(1e-10, gt=0, description="relative correction at which Newton's method stops")
    max_iterations: int = Field(50, ge=1, description="of Newton's method, or of L-BFGS")


class GpOptions(PublishedOptions, FastOptions):
    """Options of the Gaussian-process solver; those of the published estimator belong to `estimator=published`."""

    points_per_axis: int | None = _POINTS_PER_AXIS
    components: int = _COMPONENTS
    top_frequency: float | None = _TOP_FREQUENCY


class GpSolver(Solver):
    """The posterior of a Gaussian process, given the equation on a grid and the conditions on the sides.

    The prior is a product of one kernel for each axis, whose spectrum has its mass where the load has: around the
    lines of its spectrum (of data on the sides, where there is no load), or all over a band. Written as functions with
    random weights, it needs no kernel matrix: the posterior's mean without noise is one linear solve, by small
    matrices of each axis where coefficients are constant, else by GMRES around that; nonlinear laws take Newton's
    method. Time is one more axis. The residual between the points of the grid, which nothing has made small, chooses
    among priors and grids and says how good the result is, without a truth.

    That is the mean of the posterior for given frequencies and widths. The published method maximises the joint density
    of grid values, weights, widths and frequencies instead; `estimator=published` does that, in many thousand steps.

    Notes
    -----
    Good values: the defaults. Errors of smooth solutions are 1e-9 and below. `band` takes more functions than
    `spectrum` and misses nothing up to its end.

    When it breaks: Kinks and layers thinner than three points; the residual and the measured error say so. Data on an
    outflow follow from those on the inflow, and are neither used nor looked at.

    S. Fang, M. Cooley, D. Long, S. Li, R. Kirby, S. Zhe, Solving High Frequency and Multi-Scale PDEs with Gaussian
    Processes, ICLR 2024 (arXiv 2311.04465).
    """

    name = "gp"
    title = "Gaussian processes with Kronecker structure on boxes, for high frequencies, with error bars"
    Options = GpOptions
    stochastic: ClassVar[bool] = False
    resolution: ClassVar[str | None] = "points_per_axis"
    tuning_space: ClassVar[Mapping[str, Sequence[Any]]] = {"frequencies": ("auto", "spectrum", "band")}

    def supports(self, problem: Problem) -> str | None:
        if not isinstance(problem.domain, Box):
            return "its kernels are products over the axes of a box, and an irregular domain has no such axes"
        if problem.dim + problem.evolves > 3:
            return "it needs a box of at most 3 dimensions, the time among them"
        if problem.shape != ():
            return "its prior is for one scalar unknown"
        found = analyse(problem)
        if found.strong_form_obstacle:
            return found.strong_form_obstacle
        if found.order > 2:
            return f"the equation is of order {found.order}, and its functions have two derivatives"
        if found.free_constants and not found.linear:
            return "a nonlinear law leaves a constant free"
        try:
            rows_along(problem)
        except UnsupportedError as error:
            return str(error)
        return None

    def check(self, problem: Problem, options: GpOptions, device: str) -> None:
        if options.estimator == "published":
            check_published(problem, options)
            return
        if device != "cpu":
            raise OptionError(f"device = {device!r} is not possible: estimator={options.estimator} runs on the cpu.")
        if options.estimator == "variable_projection":
            check_projected(problem, options)
            return
        _check_prior(problem, options)
        first_grid(problem, rows_along(problem), options)

    def solve(self, problem: Problem, options: GpOptions, context: Context) -> Solution:
        if options.estimator == "published":
            return solve_published(problem, options, context)
        if options.estimator == "variable_projection":
            return solve_projected(problem, options, context)
        start = time.perf_counter()
        found = search(
            problem, options, partial(context.within, options), lambda text: context.report(Progress("gp", text=text))
        )
        return self._solution(problem, options, context, found, start)

    def _solution(self, problem: Problem, options: GpOptions, context: Context, found: Found, start: float) -> Solution:
        level, outcome = found.level, found.level.outcome
        return Solution(
            problem=problem,
            field=as_field(level),
            solver=self.name,
            options=options.model_dump(),
            status=found.status,  # type: ignore[arg-type]
            message=f"{found.reason}; {ADVICE[found.status]}",
            seconds=Seconds(solve=time.perf_counter() - start),
            cpu_seconds=context.cpu_seconds,
            iterations=outcome.iterations,
            residual=level.residual,
            seed=context.seed,
            device=context.device,
            versions=package_versions("torch", "fenics-ufl", "numpy", "scipy"),
            details={
                "estimator": "weights of the prior's functions by linear solves",
                "points": list(level.shape),
                "functions": [axis.rank for axis in level.system.axes],
                "frequencies": [[round(f, 6) for f in own] for own in level.prior.frequencies],
                "frequencies_from": level.prior.origin,
                "weights": level.prior.weights,
                "linear_solver": outcome.kind,
                "krylov_iterations": outcome.krylov,
                "off_grid_residual": level.residual,
                "off_grid_boundary": level.boundary,
                "noise": level.noise,
                "tried": found.tried,
            },
            history={"correction": np.array(outcome.history)},
            error_estimate=estimated(found),
        )


def _check_prior(problem: Problem, options: GpOptions) -> None:
    """Refuse priors that cannot be made, or are not smooth enough."""
    possible = {"student_t": ("auto", "spectrum", "grid"), "grid_mixture": ("auto", "grid")}.get(options.prior)
    if possible and options.frequencies not in possible:
        raise OptionError(
            f"prior={options.prior} was given frequencies={options.frequencies}; take {' or '.join(possible)}, "
            f"or prior=gaussian."
        )
    if options.prior == "student_t":
        Matern(options.smoothness).check_operator(analyse(problem).order)


SOLVER = GpSolver()
