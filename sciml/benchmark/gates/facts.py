"""What gates and refusals both need to know of solvers and problems."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sciml.benchmark.suite import Method, Suite
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
    "same_options",
    "space_of",
    "whole_space",
]

MIN_BASELINE_POINTS, MIN_LEARNED_POINTS = 5, 3
MIN_REPEATS, MIN_SEEDS = 5, 5
_NOT_THE_RESULT = {"cpu_seconds", "measure_error"}


def is_stochastic(solver: str) -> bool:
    """Whether the seed matters to a solver; so it is taken to be where nobody knows."""
    try:
        return bool(getattr(load_solver(solver), "stochastic", True))
    except ScimlError:
        return True


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


def space_of(method: Method) -> dict[str, Any]:
    """What tuning may vary: the suite's space, else the solver's, without what is swept over or fixed."""
    space = _solver_space(method) if method.space is None else dict(method.space)
    taken = {key for point in method.points for key in point} | (set(method.options) if method.space is None else set())
    return {option: values for option, values in space.items() if option not in taken}


def _solver_space(method: Method) -> dict[str, Any]:
    try:
        return dict(getattr(load_solver(method.solver), "tuning_space", {}))
    except ScimlError:
        return {}


def whole_space(method: Method) -> float:
    """Number of configurations in a method's space; infinity where it is continuous."""
    values = space_of(method).values()
    return math.prod(len(v) if isinstance(v, (list, tuple)) else math.inf for v in values)


def is_untuned(suite: Suite, method: Method) -> bool:
    """Whether a method is left as it is although others are tuned and its users would tune it, without a reason."""
    if method.why_untuned or space_of(method):
        return False
    others = any(space_of(other) for other in suite.methods if other.name != method.name)
    swept = {key for point in method.points for key in point}
    return others and suite.tuning is not None and bool(set(_solver_space(method)) - swept)
