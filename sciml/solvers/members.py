"""Solving many members of a family one after the other, and the error of what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sciml.errors import DivergenceError, OptionError, ParameterError
from sciml.problem import Box, Problem
from sciml.registry import load_problem, load_solver
from sciml.solution import Evolution, Solution
from sciml.solvers.base import Context, Progress, Solver, SolverOptions
from sciml.solvers.run import check_request, run_solver

__all__ = ["LabelErrors", "measure_label_errors", "solve_members"]

_INSTANTS = 8


def solve_members(
    problem: Problem | str,
    members: int | Iterable[int],
    solver: str = "fenics",
    *,
    seed: int = 0,
    device: str = "cpu",
    throw: bool = True,
    report: Callable[[Progress], None] | None = None,
    worker: Solver | None = None,
    **options: Any,
) -> Iterator[Solution]:
    """Solve members of a family, one solution after the other.

    What members have in common is made once: with the reference the mesh, the spaces, the compiled forms, the places
    of constrained unknowns and the transforms of fast diagonalisation. Each member brings its real parameters, its
    coefficient fields and its Dirichlet values. One that differs in structure (an integer, a choice, a domain made of
    numbers) starts anew.

    Parameters
    ----------
    problem : Problem or str
        The family, or its catalogue name, or the path of a file that declares it.
    members : int or iterable of int
        Indices of the members; a number n stands for 0 … n − 1. Member k of a seed is the same however many are solved
        and in whatever order: an interrupted run goes on with ``range(done, n)``.
    solver : str
        As for :func:`solve`.
    seed : int
        Of the family, and of everything random in the solver.
    device, throw
        As for :func:`solve`.
    report : callable, optional
        Takes a :class:`~sciml.solvers.base.Progress` after each member.
    worker : Solver, optional
        What the solver's ``for_members()`` has returned, with all that it has kept of members of the same family.
    **options
        The solver's. The reference wants `cells` (boxes), and does not measure its error unless `measure_error=True`;
        :func:`measure_label_errors` measures that of a few members.

    Yields
    ------
    Solution
        Its ``problem.member`` is (seed, index).

    Raises
    ------
    UnsupportedError, OptionError, ParameterError, ConditionError, …
        Bad input, before any work starts; and, with its member, what a member's own values make impossible.
    DivergenceError
        A member's solve failed; the message names it.

    Notes
    -----
    Good values for a coefficient that jumps, as in `darcy/two_phase`: ``degree=1, cell_type="tensor"`` and at least
    three times as many cells as what is kept has.

    Examples
    --------
    >>> grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 85)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    >>> run = solve_members("darcy/two_phase", 100, cells=252, degree=1, cell_type="tensor")
    >>> labels = np.array([solution.evaluate(grid) for solution in run])
    """
    if isinstance(problem, str):
        problem = load_problem(problem)
    indices = _indices(members)
    first = None
    if indices:
        # A member is what will be solved: a family's default values may be none of its own.
        options = {**load_solver(solver).member_defaults, **options}
        member = problem.draw(indices[0], seed)
        first = member, *check_request(member, solver, options, device)
    return _solved(
        problem, indices, solver, seed, device, throw, report or (lambda progress: None), options, first, worker
    )


def _indices(members: int | Iterable[int]) -> list[int]:
    if isinstance(members, (int, np.integer)):
        if members < 0:
            raise ParameterError(f"members={members} was given; it takes a number of members ≥ 0, or their indices.")
        return list(range(int(members)))
    return list(members)


def _solved(
    problem: Problem,
    indices: list[int],
    solver: str,
    seed: int,
    device: str,
    throw: bool,
    report: Callable[[Progress], None],
    options: Mapping[str, Any],
    first: tuple[Problem, Solver, SolverOptions] | None,
    worker: Solver | None,
) -> Iterator[Solution]:
    for done, index in enumerate(indices, 1):
        if done == 1 and first is not None:
            member, chosen, checked = first
        else:
            member = problem.draw(index, seed)
            chosen, checked = check_request(member, solver, options, device)
        if worker is None:
            worker = chosen.for_members()
            worker.load()
        try:
            solution = run_solver(worker, member, checked, Context(seed=seed, device=device), throw)
        except DivergenceError as error:
            raise DivergenceError(f"Member {index} of seed {seed}: {error}", error.solution) from error
        report(Progress("members", done, len(indices), f"member {index}"))
        yield solution


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """Relative L2 errors of kept values, from solutions on finer meshes.

    Attributes
    ----------
    differences : (n_refinements, n_members) array
        ‖v_k − v_{k+1}‖/‖v_{k+1}‖ of the kept values v_k after k refinements: the first row compares what is kept with
        the next resolution.
    rate : float or None
        log₂ of the ratio of the mean differences of two refinements.
    method : str
        What was compared.
    """

    differences: np.ndarray
    rate: float | None
    method: str

    @property
    def mean(self) -> float:
        """Mean over the members of the difference to the next resolution."""
        return float(self.differences[0].mean())

    @property
    def worst(self) -> float:
        """Largest difference to the next resolution."""
        return float(self.differences[0].max())

    @property
    def extrapolated(self) -> float | None:
        """Mean error against an infinitely fine mesh, if errors go on to fall at the observed rate; else None."""
        if self.rate is None or self.rate <= 0:
            return None
        return float(self.mean / (1 - 2**-self.rate))

    def __str__(self) -> str:
        said = f"relative L2 {self.mean:.2e} on average, {self.worst:.2e} at worst ({self.method})"
        if self.extrapolated is None:
            return said
        return f"{said}; rate {self.rate:.2f}, so {self.extrapolated:.2e} against the limit"


def measure_label_errors(
    problem: Problem | str,
    members: int | Iterable[int],
    points: np.ndarray | Callable[[Solution], np.ndarray],
    *,
    solver: str = "fenics",
    seed: int = 0,
    refinements: int = 1,
    report: Callable[[Progress], None] | None = None,
    **options: Any,
) -> LabelErrors:
    """Measure the error of values that are kept at points, on some members of a family.

    Each member is solved as asked for, and again with all cells (and steps in time) halved once or twice. Everything
    that is declared is evaluated anew on the finer mesh: a medium whose phases cut through cells is another one there,
    so that errors fall with a power of the cells' size between 1 and 2, whatever the degree.

    Parameters
    ----------
    problem, members, seed, report
        As for :func:`solve_members`; a few members are enough.
    points : (n, dim) array or function
        Where values are kept, spread evenly, so that the root mean square over them stands for the L2 norm. Of what
        runs in time, the values at eight even instants after the start are taken together. Or what gives an array of
        the kept values of a solution.
    solver : str
        One whose resolution, on boxes, is a number per axis.
    refinements : int
        1 compares with the next resolution; 2 observe a rate too.
    **options
        Those of the solver that the values are made with.

    Raises
    ------
    OptionError
        Options that do not say what a refinement is: the resolution on a box (`cells` of the reference), `steps` in
        time.
    ParameterError
        No members, or no refinement.
    """
    if isinstance(problem, str):
        problem = load_problem(problem)
    indices = _indices(members)
    if refinements < 1 or not indices:
        raise ParameterError(
            f"refinements={refinements} and {len(indices)} members were given; give one or more of each."
        )
    key = load_solver(solver).resolution or ""
    _check_refinable(problem, solver, key, options)
    kept = []
    for level in range(refinements + 1):
        finer = _refined_options(problem, key, options, level)
        run = solve_members(problem, indices, solver, seed=seed, report=report, **finer)
        kept.append(np.array([_kept(solution, points) for solution in run]).reshape(len(indices), -1))
    differences = np.array([np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1) for a, b in pairwise(kept)])
    means = differences.mean(axis=1)
    rate = float(np.log2(means[-2] / means[-1])) if refinements > 1 and means[-1] > 0 else None
    what = "kept values" if callable(points) else f"{len(points)} points"
    method = f"{what} of {len(indices)} members against {_words(problem, key, options)}"
    return LabelErrors(differences, rate, method)


def _check_refinable(problem: Problem, solver: str, key: str, options: Mapping[str, Any]) -> None:
    if isinstance(problem.domain, Box) and options.get(key) is None:
        raise OptionError(f"The error of labels is measured against twice as many {key or 'cells'}; give `{key}`.")
    if solver != "fenics":
        return
    if problem.evolves and options.get("scheme") != "explicit" and not {"steps", "step"} & set(options):
        raise OptionError("The error of labels is measured against twice as many steps in time; give `steps`.")


def _refined_options(problem: Problem, key: str, options: Mapping[str, Any], level: int) -> dict[str, Any]:
    finer = dict(options)
    if isinstance(problem.domain, Box):
        finer[key] = int(options[key]) * 2**level
    else:
        finer["refine"] = int(options.get("refine") or 0) + level
    if options.get("steps") is not None:
        finer["steps"] = int(options["steps"]) * 2**level
    if options.get("step") is not None:
        finer["step"] = float(options["step"]) / 2**level
    return finer


def _words(problem: Problem, key: str, options: Mapping[str, Any]) -> str:
    finer = _refined_options(problem, key, options, 1)
    cells = f"{key}={finer[key]}" if isinstance(problem.domain, Box) else f"refine={finer['refine']}"
    return f"{cells} and half the step in time" if problem.evolves else cells


def _kept(solution: Solution, points: np.ndarray | Callable[[Solution], np.ndarray]) -> np.ndarray:
    if callable(points):
        return points(solution)
    if not isinstance(solution.field, Evolution):
        return solution.evaluate(points)
    time = solution.problem.time
    return solution.evaluate(points, time.start + time.duration * np.arange(1, _INSTANTS + 1) / _INSTANTS)
