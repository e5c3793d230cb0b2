"""Tuning: the same number of trials for every method, on tasks that are never tested on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from sciml.benchmark.suite import Suite, Tuning
from sciml.registry import load_solver
from sciml.solvers.base import Range

__all__ = ["Score", "Trial", "best_trial", "draw_trials", "score_trials", "search_space"]

_ATTEMPTS = 1000


@dataclass(frozen=True, order=True)
class Score:
    """How good a trial is: the smaller, in this order, the better.

    Attributes
    ----------
    missed : int
        Tasks on which it failed (objective "error") or did not reach the error asked for ("time").
    seconds : float
        Median over the tasks of the CPU seconds to that error; 0 for the objective "error".
    error : float
        Geometric mean over the tasks of the smallest error.
    """

    missed: int
    seconds: float
    error: float


@dataclass(frozen=True)
class Trial:
    """One configuration with its score."""

    options: dict[str, Any]
    score: Score


def search_space(suite: Suite, name: str) -> dict[str, Any]:
    """What the tuning of a method may vary: the suite's space, else what the solver's users would try.

    What every entry of the method fixes or sweeps over is left out; an entry that fixes an option keeps its value.
    """
    entries = [method for method in suite.methods if method.name == name]
    given = next((entry.space for entry in entries if entry.space is not None), None)
    space = load_solver(entries[0].solver).tuning_space if given is None else given
    taken = set.intersection(*({key for part in (entry.options, *entry.points) for key in part} for entry in entries))
    return {option: values for option, values in space.items() if option not in taken}


def draw_trials(space: Mapping[str, Any], tuning: Tuning) -> list[dict[str, Any]]:
    """Configurations to try: the defaults first, then others drawn at random; all of a space that is small enough.

    Parameters
    ----------
    space : mapping
        Option → list of values, or a range with ``low``, ``high`` and ``log`` (as a mapping or as attributes).
    tuning : Tuning
    """
    if not space:
        return []
    discrete = all(isinstance(values, (list, tuple)) for values in space.values())
    if discrete and math.prod(map(len, space.values())) <= tuning.trials:
        return [dict(zip(space, values)) for values in product(*space.values())]
    generator = np.random.default_rng([tuning.seed, *(ord(c) for name in space for c in name)])
    trials: list[dict[str, Any]] = [{}]
    for _ in range(_ATTEMPTS):
        if len(trials) == tuning.trials:
            break
        drawn = {option: _drawn(values, generator) for option, values in space.items()}
        if drawn not in trials:
            trials.append(drawn)
    return trials


def _drawn(values: Any, generator: np.random.Generator) -> Any:
    if isinstance(values, (list, tuple)):
        return values[int(generator.integers(len(values)))]
    span = values if isinstance(values, Range) else Range(**values)
    return float(f"{span.at(float(generator.random())):.3g}")


def score_trials(
    trials: Sequence[dict[str, Any]],
    results: Mapping[int, Mapping[str, Sequence[Mapping[str, Any] | None]]],
    tuning: Tuning,
    norm: str,
) -> list[Trial]:
    """Score every trial.

    Parameters
    ----------
    trials : sequence of dict
    results : mapping
        Number of the trial → key of the task → results of the sweep's cells, None for one that failed.
    tuning : Tuning
    norm : str
    """
    tasks = {key for found in results.values() for key in found}
    own = [{key: results.get(k, {}).get(key, []) for key in tasks} for k in range(len(trials))]
    return [Trial(options, _score(found, tuning, norm)) for options, found in zip(trials, own, strict=True)]


def best_trial(trials: Sequence[Trial]) -> int:
    """The number of the trial with the best score; the first of equal ones."""
    return min(range(len(trials)), key=lambda k: trials[k].score)


def _score(tasks: Mapping[str, Sequence[Mapping[str, Any] | None]], tuning: Tuning, norm: str) -> Score:
    missed, seconds, errors = 0, [], []
    for cells in tasks.values():
        found = [
            (c["errors"][norm], c["cpu_seconds"]) for c in cells if c is not None and c["errors"][norm] is not None
        ]
        if not found:
            missed += 1
            continue
        errors.append(min(error for error, _ in found))
        reached = [cpu for error, cpu in found if error <= tuning.error]
        if tuning.objective == "time" and not reached:
            missed += 1
        elif tuning.objective == "time":
            seconds.append(min(reached))
    tiny = np.finfo(float).tiny
    mean = float(np.exp(np.mean(np.log(np.maximum(errors, tiny))))) if errors else math.inf
    return Score(missed, float(np.median(seconds)) if seconds else 0.0, mean)
