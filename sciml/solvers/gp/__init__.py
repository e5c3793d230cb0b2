"""Gaussian-process regression on a declared equation, with Kronecker structure on boxes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from sciml.errors import OptionError, UnsupportedError
from sciml.forms import analyse
from sciml.problem import Box, Problem
from sciml.solution import ADVICE, Seconds, Solution
from sciml.solvers.base import Context, Progress, Solver, SolverOptions, package_versions
from sciml.solvers.gp.levels import Found, as_field, estimated, search
from sciml.solvers.gp.system import rows_along

__all__ = ["SOLVER", "GpOptions", "GpSolver"]


class GpOptions(SolverOptions):
    """Options of the Gaussian-process solver."""

    points_per_axis: int | None = Field(
        None, ge=8, description="points of the grid along each axis; by default as many as the load asks for"
    )
    frequencies: Literal["auto", "spectrum", "band", "grid"] = Field(
        "auto", description="of the prior: lines of the load's spectrum, a whole band, what leaves less, or a fixed grid"
    )
    components: int = Field(30, ge=2, description="frequencies of a fixed grid")
    top_frequency: float | None = Field(
        None, gt=0, description="end of the grid of frequencies, in cycles per length; by default that of the load"
    )
    terms: int | None = Field(None, ge=1, description="features of each envelope; 14, on a grid of frequencies 8")
    width: float | None = Field(
        None, gt=0, description="edge of the box in lengths of the envelope; 1.5, on a grid of frequencies 6"
    )
    accuracy: float = Field(1e-6, gt=0, description="relative residual between the points that counts as converged")
    tolerance: float = Field(1e-10, gt=0, description="relative correction at which Newton's method stops")
    measure_error: bool = Field(True, description="measure the error by a solution with more functions and points")
    max_iterations: int = Field(50, ge=1, description="of Newton's method")


class GpSolver(Solver):
    """The posterior mean of a Gaussian process that fulfils the equation on a grid.

    The prior is a Gaussian-mixture kernel along each axis and their product on a box. The weights of its features are
    found directly: with frequencies of the load's spectrum, or all of them on a grid, one linear solve gives the mean
    of the posterior without noise; nonlinear laws take Newton's method around it.

    Notes
    -----
    Good values: the defaults.
    """

    name = "gp"
    title = "Gaussian process with Kronecker structure on boxes, for high frequencies, with error bars"
    Options = GpOptions
    stochastic: ClassVar[bool] = False
    resolution: ClassVar[str | None] = "points_per_axis"
    tuning_space: ClassVar[Mapping[str, Sequence[Any]]] = {}

    def supports(self, problem: Problem) -> str | None:
        if not isinstance(problem.domain, Box):
            return "a product kernel needs a box, and an irregular domain has no grid to multiply it over"
        if problem.dim + problem.evolves > 3:
            return "its grids have at most 3 dimensions, the time included"
        if problem.shape != ():
            return "it has a prior for one scalar unknown"
        found = analyse(problem)
        if found.strong_form_obstacle:
            return found.strong_form_obstacle
        if found.order > 2:
            return f"its equation is of order {found.order}, and features are differentiated twice"
        try:
            rows_along(problem)
        except UnsupportedError as error:
            return str(error).rstrip(".")
        return None

    def check(self, problem: Problem, options: GpOptions, device: str) -> None:
        if device != "cpu":
            raise OptionError(f"device = {device!r} is not possible: the fast estimator runs on the cpu.")

    def solve(self, problem: Problem, options: GpOptions, context: Context) -> Solution:
        start = time.perf_counter()
        found = search(
            problem, options, partial(context.within, options), lambda text: context.report(Progress("gp", text=text))
        )
        return self._solution(problem, options, context, found, time.perf_counter() - start)

    def _solution(
        self, problem: Problem, options: GpOptions, context: Context, found: Found, seconds: float
    ) -> Solution:
        level, outcome = found.level, found.level.outcome
        return Solution(
            problem=problem,
            field=as_field(level),
            solver=self.name,
            options=options.model_dump(),
            status=found.status,  # type: ignore[arg-type]
            message=f"{found.reason}; {ADVICE[found.status]}",
            seconds=Seconds(solve=seconds),
            cpu_seconds=context.cpu_seconds,
            iterations=outcome.iterations,
            residual=level.residual,
            seed=context.seed,
            device=context.device,
            versions=package_versions("torch", "fenics-ufl", "numpy", "scipy"),
            details={
                "points": list(level.shape),
                "functions": [axis.rank for axis in level.system.axes],
                "frequencies": [[round(f, 6) for f in own] for own in level.prior.frequencies],
                "origin": level.prior.origin,
                "linear_solver": outcome.kind,
                "krylov_iterations": outcome.krylov,
                "off_grid_residual": level.residual,
                "off_grid_boundary": level.boundary,
                "tried": found.tried,
                "notes": found.notes,
            },
            history={"correction": np.array(outcome.history)},
            error_estimate=estimated(found),
        )


SOLVER = GpSolver()
