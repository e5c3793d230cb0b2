"""Chebyshev collocation on boxes: exponential convergence where the solution is smooth."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from sciml.errors import DivergenceError, OptionError
from sciml.forms import analyse, leaving_with_data, rated_components
from sciml.problem import Box, Problem
from sciml.solution import ADVICE, Seconds, Solution
from sciml.solvers.base import Context, Progress, Solver, SolverOptions, package_versions
from sciml.solvers.chebyshev.levels import solve_to_accuracy, unknowns_allowed
from sciml.solvers.chebyshev.newton import NewtonError

__all__ = ["SOLVER", "ChebyshevOptions", "ChebyshevSolver"]


class ChebyshevOptions(SolverOptions):
    """Options of Chebyshev collocation."""

    nodes: int | None = Field(
        None, ge=4, description="nodes along each axis; by default more and more until two grids agree"
    )
    accuracy: float = Field(1e-9, gt=0, description="relative L2 difference of two grids to stop at")
    max_unknowns: int | None = Field(
        None, ge=16, description="largest linear system; 5000 by default, 300000 where a fast solver applies"
    )
    slabs: int = Field(1, ge=1, description="parts of the time that are solved one after the other")
    tolerance: float = Field(1e-11, gt=0, description="relative correction at which Newton's method stops")
    max_iterations: int = Field(50, ge=1, description="of Newton's method")
    measure_error: bool = Field(True, description="with given nodes, measure the error with two thirds of them")


class ChebyshevSolver(Solver):
    """Collocation of the strong form at Chebyshev's points of a box in one to three dimensions.

    The unknown is a polynomial in each coordinate. The compiled residual holds at the nodes inside, conditions hold at
    those on the sides; Newton's method takes derivatives of the residual by the jet, point by point, and of the jet by
    differentiation matrices. Time is one more coordinate, for problems on an interval.

    Errors of smooth solutions fall exponentially, down to rounding. Where the solution has a corner singularity, a kink
    or a layer that no grid here resolves, they fall slowly, which the measured error shows.

    Notes
    -----
    Good values: the defaults. Waves need some four nodes each, a layer of width ε about 3/√ε nodes where it lies on a
    side.

    L. N. Trefethen, Spectral Methods in MATLAB (2000); J. P. Boyd, Chebyshev and Fourier Spectral Methods (2001).
    """

    name = "chebyshev"
    title = "Chebyshev collocation on boxes, for smooth solutions, with a measured error"
    Options = ChebyshevOptions
    stochastic: ClassVar[bool] = False
    tuning_space: ClassVar[Mapping[str, Sequence[Any]]] = {}

    def supports(self, problem: Problem) -> str | None:
        if not isinstance(problem.domain, Box) or problem.dim > 3:
            return "Chebyshev collocation needs a box of at most 3 dimensions"
        if problem.evolves and problem.dim > 1:
            return "in time it does problems on an interval, and this one has more dimensions"
        if problem.evolves and problem.declaration.means:
            return "it does not prescribe mean values in time"
        return analyse(problem).strong_form_obstacle or _obstacle_of_saddles(problem) or _obstacle_of_outflow(problem)

    def check(self, problem: Problem, options: ChebyshevOptions, device: str) -> None:
        if device != "cpu":
            raise OptionError(f"device = {device!r} is not possible: Chebyshev collocation runs on the cpu.")
        if options.slabs > 1 and not problem.evolves:
            raise OptionError(f"`slabs` is for problems that run in time; {problem!r} does not.")
        if options.nodes is None:
            return
        unknowns = problem.n_components * options.nodes ** (problem.dim + problem.evolves)
        limit = unknowns_allowed(problem, options)
        if unknowns > limit:
            most = math.floor((limit / problem.n_components) ** (1 / (problem.dim + problem.evolves)))
            raise OptionError(
                f"nodes={options.nodes} along each axis are {unknowns} unknowns, and the limit is {limit}; give at "
                f"most {most} nodes, or a larger `max_unknowns` if there is memory for a dense matrix of that size."
            )

    def solve(self, problem: Problem, options: ChebyshevOptions, context: Context) -> Solution:
        start = time.perf_counter()
        within = partial(context.within, options)

        try:
            refined = solve_to_accuracy(
                problem, options, within, lambda text: context.report(Progress("chebyshev", text=text))
            )
        except NewtonError as error:
            raise DivergenceError(
                f"chebyshev on {problem!r}: {error}; give more `nodes`, or an easier load to start with."
            ) from error
        level = refined.level
        advice = {
            "converged": ADVICE["converged"],
            "stagnated": "the solution is as good as float64 allows here",
            "budget_reached": "the solution is not smooth enough for so few nodes; give more, or accept the error",
        }[refined.status]
        last = level.outcomes[-1]
        return Solution(
            problem=problem,
            field=level.solved,
            solver=self.name,
            options=options.model_dump(),
            status=refined.status,  # type: ignore[arg-type]
            message=f"{refined.reason}; {advice}",
            seconds=Seconds(solve=time.perf_counter() - start),
            cpu_seconds=context.cpu_seconds,
            iterations=level.iterations,
            residual=last.residual,
            seed=context.seed,
            device=context.device,
            versions=package_versions("torch", "fenics-ufl", "numpy", "scipy"),
            details={
                "nodes": list(level.shape),
                "unknowns": level.unknowns,
                "linear_solver": f"{last.system.kind} ({last.system.why})",
                "tried": [list(shape) for shape in refined.tried],
                "notes": refined.notes,
            },
            history={
                "difference": np.array(refined.differences),
                "correction": np.array(last.history),
            },
            error_estimate=refined.estimate,
        )


def _obstacle_of_saddles(problem: Problem) -> str | None:
    """A component that its own equation does not contain, as the pressure of a flow."""
    k, d, blocks = problem.n_components, problem.dim, np.abs(analyse(problem).blocks).max(axis=0)
    declared = problem.declaration
    rated = {c for factor in (declared.mass, declared.damping) for c in rated_components(problem, factor)}
    for slot in problem.layout:
        for c in slot.components:
            own = [*range(c * d, (c + 1) * d), k * d + c]
            if c not in rated and not blocks[np.ix_(own, own)].any():
                return (
                    f"the equation of {slot.name!r} does not contain it (a saddle point), which collocation on one "
                    f"grid leaves with spurious modes"
                )
    return None


def _obstacle_of_outflow(problem: Problem) -> str | None:
    held = leaving_with_data(problem)
    if held:
        return f"{held[0]} is where a law without diffusion leaves, which collocation cannot hold as well"
    return None


SOLVER = ChebyshevSolver()
