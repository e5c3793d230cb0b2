"""Solving: check, refuse or run, and time what is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sciml.errors import DivergenceError, UnsupportedError
from sciml.forms import check_problem
from sciml.problem import Problem
from sciml.registry import load_problem, load_solver, solver_names
from sciml.solution import Solution
from sciml.solution.solution import RAISING
from sciml.solvers.base import Context, Progress, Solver, SolverOptions, read_options

__all__ = ["check_request", "run_solver", "solve", "who_can"]


def solve(
    problem: Problem | str,
    solver: str = "fenics",
    *,
    seed: int = 0,
    device: str = "cpu",
    throw: bool = True,
    report: Callable[[Progress], None] | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    **options: Any,
) -> Solution:
    """Solve a problem.

    Parameters
    ----------
    problem : Problem or str
        A problem, a catalogue name, or the path of a file that declares one.
    solver : str
        ``"fenics"`` (the reference), ``"deepxde"``, …; `sciml list` shows all.
    seed : int
        Of everything random in the solver.
    device : str
        Where torch computes.
    throw : bool
        Raise if the solve diverged or the problem lies outside of a surrogate's range; with False, what there is
        of a solution is returned with that status.
    report : callable, optional
        Takes :class:`~sciml.solvers.base.Progress` objects while the solver runs.
    folder : path, optional
        Where an iterative solver keeps checkpoints.
    resume : bool
        Continue from the checkpoint in `folder`.
    **options
        The solver's options; ``sciml show PROBLEM --options`` lists them.

    Returns
    -------
    Solution

    Raises
    ------
    UnsupportedError
        The solver cannot do this problem; the message says why, and who can.
    OptionError, ParameterError, ConditionError, …
        Bad input, before any work starts.
    DivergenceError
        The solve failed; the partial solution is attached as ``solution`` where there is one.

    Examples
    --------
    >>> solution = solve("poisson/sine", "fenics", degree=2)
    >>> solution.error().relative_l2
    """
    if isinstance(problem, str):
        problem = load_problem(problem)
    chosen, checked = check_request(problem, solver, options, device)
    chosen.load()
    context = Context(
        seed=seed,
        device=device,
        report=report or (lambda progress: None),
        folder=None if folder is None else Path(folder),
        resume=resume,
    )
    return run_solver(chosen, problem, checked, context, throw)


def run_solver(solver: Solver, problem: Problem, options: SolverOptions, context: Context, throw: bool) -> Solution:
    """Run a solver on a request that was checked; `throw` as for :func:`solve`."""
    try:
        solution = _timed(lambda: solver.solve(problem, options, context))
    except DivergenceError as error:
        if throw or not isinstance(error.solution, Solution):
            raise
        solution = error.solution
    if throw and solution.status in RAISING:
        raise DivergenceError(f"{solver.name} on {problem!r}: {solution.status}: {solution.message}.", solution)
    return solution


def check_request(
    problem: Problem, solver: str, options: Mapping[str, Any], device: str = "cpu"
) -> tuple[Solver, SolverOptions]:
    """Look at everything that can be wrong with a request before work starts.

    Returns
    -------
    Solver, SolverOptions
        The solver of that name and its options, validated.

    Raises
    ------
    UnknownNameError, OptionError, UnsupportedError, ConditionError, …
        As :func:`solve`.
    """
    chosen = load_solver(solver)
    checked = read_options(chosen, options)
    check_problem(problem)
    reason = chosen.supports(problem)
    if reason is not None:
        able = who_can(problem)
        advice = f"{' and '.join(able)} can" if able else "no solver here can"
        raise UnsupportedError(f"Solver {solver!r} cannot do {problem!r}: {reason}; {advice}.")
    chosen.check(problem, checked, device)
    return chosen, checked


def _timed(run: Callable[[], Solution]) -> Solution:
    wall = time.perf_counter()
    solution = run()
    elapsed = time.perf_counter() - wall
    seconds = solution.seconds
    # What no phase claims is preparation.
    seconds.setup += max(0.0, elapsed - (seconds.setup + seconds.train + seconds.solve + seconds.post))
    return solution


def who_can(problem: Problem) -> list[str]:
    """Names of the solvers that support a problem."""
    return [name for name in solver_names() if load_solver(name).supports(problem) is None]
