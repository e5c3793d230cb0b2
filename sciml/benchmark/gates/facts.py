"""What gates and refusals both need to know of solvers and problems."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

from sciml.benchmark.records import Candidate, Run
from sciml.benchmark.suite import Method, ProblemEntry, Suite
from sciml.benchmark.tuning import search_space
from sciml.errors import ScimlError
from sciml.registry import load_problem, load_solver
from sciml.solvers.base import read_options

__all__ = [
    "MIN_BASELINE_POINTS",
    "MIN_LEARNED_POINTS",
    "MIN_REPEATS",
    "MIN_SEEDS",
    "full_parameters",
    "is_family",
    "is_stochastic",
    "is_untuned",
    "missing_cells",
    "same_options",
    "space_of",
    "whole_space",
]

MIN_BASELINE_POINTS, MIN_LEARNED_POINTS = 5, 3
MIN_REPEATS, MIN_SEEDS = 5, 5
_NOT_THE_RESULT = {"cpu_seconds", "measure_error", "threads"}


def is_stochastic(solver: str) -> bool | None:
    """Whether the seed matters to a solver; None where it cannot be loaded."""
    try:
        return bool(load_solver(solver).stochastic)
    except ScimlError:
        return None


def is_family(problem: str) -> bool | None:
    """Whether random members of a problem can be drawn; None where it cannot be loaded."""
    try:
        return bool(load_problem(problem).family.laws)
    except ScimlError:
        return None


def full_parameters(problem: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a problem, defaults included; those given where it cannot be loaded."""
    try:
        return dict(load_problem(problem, **given).parameters.plain())
    except ScimlError:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}


def same_options(solver: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two sets of options make a solver compute the same, defaults included."""
    try:
        loaded = load_solver(solver)
        one, other = read_options(loaded, one).model_dump(), read_options(loaded, other).model_dump()
    except ScimlError:
        pass
    keys = (set(one) | set(other)) - _NOT_THE_RESULT
    return all(one.get(key) == other.get(key) for key in keys)


def space_of(suite: Suite, name: str) -> dict[str, Any]:
    """What the tuning of a method may vary; nothing where its solver cannot be loaded."""
    try:
        return search_space(suite, name)
    except ScimlError:
        return {}


def _solver_space(method: Method) -> dict[str, Any]:
    try:
        return dict(load_solver(method.solver).tuning_space)
    except ScimlError:
        return {}


def whole_space(suite: Suite, name: str) -> float:
    """Number of configurations in a method's space; infinity where it is continuous."""
    values = space_of(suite, name).values()
    return math.prod(len(v) if isinstance(v, (list, tuple)) else math.inf for v in values)


def is_untuned(suite: Suite, name: str) -> bool:
    """Whether a method is left as it is although others are tuned and its users would tune it, without a reason."""
    entries = [method for method in suite.methods if method.name == name]
    if suite.tuning is None or any(entry.why_untuned for entry in entries) or space_of(suite, name):
        return False
    swept = {key for entry in entries for point in entry.points for key in point}
    others = any(space_of(suite, other) for other in suite.method_names if other != name)
    return others and bool(set(_solver_space(entries[0])) - swept)


def missing_cells(run: Run) -> int:
    """Number of cells that the suite asks for and that have no finished attempt, as far as the suite alone tells."""
    suite, missing = run.suite, 0
    cannot = {(c.method, c.problem, c.placement) for c in run.cannot}
    failed = {a.task.key for a in run.attempts if a.stage == "truth" and a.reason and a.task} - set(run.truths)
    for entry in suite.problems:
        tasks = [task for task in run.tasks if run.entry(task.problem) == entry]
        unknown = max(_count_tasks(suite, entry) - len(tasks), 0)
        for method, placement in product(suite.methods, suite.placements):
            runs = method.runs_on(entry.name) and method.runs_at(placement.name)
            if not runs or (method.name, entry.name, placement.name) in cannot:
                continue
            cells = len(method.points) * (1 if is_stochastic(method.solver) is False else len(suite.statistics.seeds))
            who, missing = Candidate(method.name, placement.name), missing + unknown * cells
            for task in tasks:
                rows = [row for row in run.rows_of(task.key, candidate=who) if dict(row.point) in method.points]
                missing += 0 if task.key in failed else max(cells - len(rows), 0)
    return missing


def _count_tasks(suite: Suite, entry: ProblemEntry) -> int:
    hidden = suite.statistics.hidden if entry.hidden is None else entry.hidden
    return len(entry.settings) + len(entry.out_of_range) + (hidden if hidden and is_family(entry.name) else 0)
