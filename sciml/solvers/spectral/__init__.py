"""Fourier modes on periodic boxes: a pseudo-spectral solver in torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any, Literal

import numpy as np
from pydantic import Field
from ufl import classes

from sciml.errors import OptionError, ParameterError, UnsupportedError
from sciml.forms import analyse, check_problem, lower, number
from sciml.forms.balance import constrained_fields
from sciml.forms.lowering import nodes
from sciml.forms.splitting import linear_split
from sciml.problem import Box, Periodic, Problem
from sciml.solution import ADVICE, ErrorEstimate, FourierEvolution, FourierField, Seconds, Solution
from sciml.solvers.base import (
    Context,
    Progress,
    Solver,
    SolverOptions,
    checked_device,
    package_versions,
    read_options,
)
from sciml.solvers.spectral.levels import Level, Outcome, solve_level, solve_levels
from sciml.solvers.spectral.marching import BlowupError
from sciml.solvers.spectral.semidiscrete import components_of, linear_symbol, undetermined_wave

__all__ = ["SOLVER", "SpectralOptions", "SpectralSolver", "solve_batch"]

_LOW_WAVES = 3


class SpectralOptions(SolverOptions):
    """Options of the Fourier solver."""

    modes: int | None = Field(
        None, ge=4, description="grid points per axis; by default doubled until the measured error is small enough"
    )
    steps: int | None = Field(
        None, ge=1, description="equal steps in time; by default as many as the speed of the solution asks for"
    )
    step: float | None = Field(None, gt=0, description="length of a step in time, in place of steps")
    scheme: Literal["etdrk4", "ifrk4", "cn_heun"] = Field(
        "etdrk4", description="exponential or integrating-factor Runge–Kutta of order 4, or Crank–Nicolson with Heun"
    )
    dealias: bool = Field(True, description="keep two thirds of the waves, so that products are free of aliases")
    snapshots: int = Field(33, ge=2, description="instants that are kept")
    accuracy: float = Field(1e-6, gt=0, description="relative L2 error to refine for where modes are not given")
    max_work: float = Field(1e8, gt=0, description="numbers in a state times steps that automatic refinement may reach")
    measure_error: bool = Field(True, description="measure the solution's own error with two coarser levels")
    dtype: Literal["float64", "float32"] = Field("float64", description="precision of the computation")


class SpectralSolver(Solver):
    """A Fourier pseudo-spectral method for boxes that are periodic in all directions.

    The part of the law that is linear with constant coefficients acts on each wave by itself: it is exact (exponential
    schemes) or implicit. The rest is evaluated on the grid by the compiled law, products free of aliases by the 2/3
    rule. Fields that no time derivative acts on are eliminated wave by wave; a stationary problem is solved in that way
    as a whole.

    The error is measured on two coarser levels, see :mod:`sciml.solvers.spectral.levels`.

    Notes
    -----
    Data must be periodic too: an initial state or a load that jumps from one side to the other converges slowly, which
    the measured error shows.
    """

    name = "spectral"
    title = "Fourier modes on boxes that are periodic in all directions, with a measured error"
    Options = SpectralOptions
    stochastic = False
    resolution = "modes"
    tuning_space = {"scheme": ("etdrk4", "ifrk4", "cn_heun"), "dealias": (True, False)}

    def supports(self, problem: Problem) -> str | None:
        if not isinstance(problem.domain, Box) or problem.dim > 3:
            return "Fourier modes need a box of at most 3 dimensions"
        if any(not isinstance(c, Periodic) for piece in problem.boundary_pieces for c in piece.conditions):
            return "Fourier modes need every side of the box periodic, for all components"
        return analyse(problem).strong_form_obstacle or _obstacle_in_time(problem) or _obstacle_of_waves(problem)

    def check(self, problem: Problem, options: SpectralOptions, device: str) -> None:
        checked_device(device)
        if options.modes is None and not options.measure_error:
            raise OptionError("`measure_error=no` needs `modes`: automatic refinement goes by the error.")
        given = [name for name in ("steps", "step") if getattr(options, name) is not None]
        if given and not problem.evolves:
            raise OptionError(f"`{given[0]}` is for problems that run in time; {problem!r} does not.")
        if len(given) == 2:
            raise OptionError("`steps` and `step` are both given; one of them decides the other.")
        if given and options.modes is None:
            raise OptionError(f"`{given[0]}` needs `modes`: automatic refinement shortens the steps with the grid.")
        if options.step is not None:
            ratio = problem.time.duration / options.step
            whole = max(1, round(ratio))
            if abs(ratio - whole) > 1e-6 * ratio:
                raise OptionError(
                    f"step={options.step:g} does not divide the time of {problem.time.duration:g}; with "
                    f"steps={whole} it is {problem.time.duration / whole:.6g}."
                )

    def solve(self, problem: Problem, options: SpectralOptions, context: Context) -> Solution:
        start = time.perf_counter()
        within = partial(context.within, options)

        try:
            outcome = solve_levels(
                problem, options, context.device, within, lambda text: context.report(Progress("spectral", text=text))
            )
        except BlowupError as error:
            error.solution = _diverged(problem, options, context, error)
            raise
        seconds = Seconds(setup=outcome.delivered.setup_seconds, solve=outcome.delivered.solve_seconds)
        seconds.post = max(0.0, time.perf_counter() - start - seconds.setup - seconds.solve)
        return _solution(problem, 0, options, outcome, seconds, context.cpu_seconds, context.seed, context.device)


def _obstacle_in_time(problem: Problem) -> str | None:
    """What about the time derivatives does not fit."""
    declared = problem.declaration
    if not problem.evolves:
        return None
    if declared.mass is not None:
        return "it steps laws with ∂u/∂t alone, and this one has ∂²u/∂t²"
    if any(isinstance(n, (classes.SpatialCoordinate, classes.Coefficient)) for n in nodes(lower(declared.damping))):
        return "its `damping` depends on the place"
    evolving, _ = components_of(problem)
    values = np.broadcast_to(number(problem, declared.damping), (problem.n_components,))
    if not evolving or (values[evolving] <= 0).any():
        return "it needs a positive `damping` of every field that a time derivative acts on"
    return None


def _obstacle_of_waves(problem: Problem) -> str | None:
    """What about the equations without a time derivative does not fit; looked at for the lowest waves."""
    _, bound = components_of(problem)
    if not bound:
        return None
    split, k, d = linear_split(problem), problem.n_components, problem.dim
    rows = [c * d + axis for c in bound for axis in range(d)] + [k * d + c for c in bound]
    if not split.constant[rows].all():
        what = "a stationary law"
        if problem.evolves:
            what = f"the law of {' and '.join(repr(slot.name) for slot in constrained_fields(problem))}"
        return f"{what} must be linear with constant coefficients, to be solved wave by wave"
    waves = np.array(list(product(range(-_LOW_WAVES, _LOW_WAVES + 1), repeat=d)))
    vectors = 2 * np.pi * waves / (problem.domain.upper - problem.domain.lower)
    symbol = linear_symbol(split.coefficients(problem), vectors, k)
    return undetermined_wave(problem, symbol[:, bound][:, :, bound], waves)


def _field(problem: Problem, member: int, level: Level) -> FourierField | FourierEvolution:
    states = level.march.states[:, member]
    return FourierEvolution(problem, level.march.times, states) if problem.evolves else FourierField(problem, states[0])


def _solution(
    problem: Problem,
    member: int,
    options: SpectralOptions,
    outcome: Outcome,
    seconds: Seconds,
    cpu_seconds: float,
    seed: int,
    device: str,
) -> Solution:
    level, estimate = outcome.delivered, outcome.estimate
    details: dict[str, Any] = {
        "modes": level.grid.modes,
        "highest_wave": level.grid.highest,
        "dealiased": level.grid.dealias,
        "unknowns": level.unknowns,
        "levels": outcome.levels,
        "notes": outcome.notes,
    }
    if problem.evolves:
        details |= {"scheme": options.scheme, "steps": level.march.total, "step_range": list(level.march.step_range)}
    return Solution(
        problem=problem,
        field=_field(problem, member, level),
        solver=SOLVER.name,
        options=options.model_dump(),
        status="converged",
        message=ADVICE["converged"],
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        iterations=level.march.total,
        seed=seed,
        device=device,
        versions=package_versions("torch", "fenics-ufl", "numpy"),
        details=details,
        error_estimate=estimate if isinstance(estimate, ErrorEstimate) else None,
    )


def _diverged(problem: Problem, options: SpectralOptions, context: Context, error: BlowupError) -> Solution:
    """The last state that was finite."""
    t, states = error.last
    return Solution(
        problem=problem,
        field=FourierField(problem.at_time(t), states[0]),
        solver=SOLVER.name,
        options=options.model_dump(),
        status="diverged",
        message=str(error),
        seconds=Seconds(),
        cpu_seconds=context.cpu_seconds,
        iterations=0,
        seed=context.seed,
        device=context.device,
        versions=package_versions("torch", "fenics-ufl", "numpy"),
    )


def solve_batch(problems: Sequence[Problem], *, device: str = "cpu", **options: Any) -> list[Solution]:
    """Solve several members of a family at once: the same declaration, one set of transforms.

    Parameters
    ----------
    problems : sequence of Problem
        Copies of one problem that differ in real parameters and random fields, such as ``problem.draw(k)``.
    device : str
        Where torch computes.
    **options
        As for the solver, with `modes`; errors are not measured. Steps are those that the fastest member needs.

    Returns
    -------
    list of Solution
        Each with its share of the CPU seconds.

    Raises
    ------
    ParameterError
        No problems, or problems that do not share a declaration or their time.
    OptionError, UnsupportedError, DivergenceError
        As :func:`sciml.solve`.

    Examples
    --------
    >>> solutions = solve_batch([problem.draw(k) for k in range(8)], modes=128)
    >>> solutions[0].field.final.on_grid(64)
    """
    problems = list(problems)
    if not problems or any(
        p.declaration is not problems[0].declaration or p.time != problems[0].time for p in problems
    ):
        raise ParameterError(
            "solve_batch takes members of one family, which share their declaration and time; make them by "
            "problem.draw(index) or problem.with_parameters(…)."
        )
    checked = read_options(SOLVER, {"measure_error": False, **options})
    assert isinstance(checked, SpectralOptions)
    if checked.measure_error:
        raise OptionError("solve_batch does not measure errors; solve one member by itself to see its error.")
    for problem in problems:
        check_problem(problem)
        reason = SOLVER.supports(problem)
        if reason is not None:
            raise UnsupportedError(f"Solver 'spectral' cannot do {problem!r}: {reason}.")
    SOLVER.check(problems[0], checked, device)
    context = Context(device=device)
    assert checked.modes is not None
    level = solve_level(problems, checked, device, checked.modes)
    level.check_balance(problems[0])
    n = len(problems)
    return [
        _solution(
            problem,
            k,
            checked,
            Outcome(level),
            Seconds(level.setup_seconds / n, solve=level.solve_seconds / n),
            context.cpu_seconds / n,
            0,
            device,
        )
        for k, problem in enumerate(problems)
    ]


SOLVER = SpectralSolver()
