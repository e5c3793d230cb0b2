"""The truth of a task with its own measured error, and what trivial answers miss it by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sciml.benchmark.metrics import N_POINTS
from sciml.errors import OutputError, UnsupportedError
from sciml.files import plain
from sciml.forms import analyse
from sciml.problem import Problem
from sciml.solution import (
    Errors,
    Evolution,
    Field,
    Solution,
    evaluate_quantities,
    exact_solution,
    load_solution,
    measure_errors,
)
from sciml.solvers.compare import REFERENCE, solve_truth

__all__ = ["find_truth", "load_truth", "trivial_answers", "true_quantities"]

_INSTANTS = 17


def find_truth(problem: Problem, settings: Mapping[str, Any], file: str | Path) -> dict[str, Any]:
    """Make the truth of a problem: exact where it declares one, else a solver's answer that measured its own error.

    Parameters
    ----------
    problem : Problem
    settings : mapping
        ``solver`` (the reference by default; one that measures its own error), ``accuracy`` or ``options``, as for
        :func:`~sciml.solvers.compare.solve_truth`.
    file : path
        ``truths/KEY.h5`` in a run's folder; written unless the truth is exact.

    Returns
    -------
    dict
        ``kind`` ("exact" or the solver), ``file`` (relative to the run's folder), ``error`` and ``error_h1`` (relative;
        0 for an exact one), ``integration_error`` (relative change of ‖u‖ with a quarter of the points),
        ``method``, ``options``, ``evolves``, ``dim``, ``elliptic`` (stationary, with second derivatives), ``trivial``,
        ``norms``, ``quantities``.

    Raises
    ------
    UnsupportedError
        The solver cannot do the problem, or did not measure its error.
    DivergenceError, OptionError
        As for :func:`sciml.solve`.
    """
    exact = exact_solution(problem)
    if exact is not None:
        truth, record = exact, {"kind": "exact", "file": None, "error": 0.0, "error_h1": 0.0, "options": None}
        record["method"] = "declared by the problem"
    else:
        solution = _solved(problem, settings)
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        truth, record = solution.field, _record(solution, solution.save(file))
    zero = measure_errors(_constant(truth, 0.0), truth, n_target=N_POINTS, same_points=True)
    return record | {
        "integration_error": _integration_error(truth, zero),
        "evolves": problem.evolves,
        "dim": problem.dim,
        "elliptic": not problem.evolves and analyse(problem).order >= 2,
        "trivial": trivial_answers(truth),
        "norms": {"l2": zero.truth_l2, "max": zero.truth_max},
        "quantities": true_quantities(truth),
    }


def _solved(problem: Problem, settings: Mapping[str, Any]) -> Solution:
    solver = settings.get("solver") or REFERENCE
    solution = solve_truth(problem, solver, accuracy=settings.get("accuracy"), options=settings.get("options"))
    if solution.error_estimate is None:
        raise UnsupportedError(
            f"Solver {solver!r} did not measure the error of the truth of {problem!r}; take one that does, such as "
            f"{REFERENCE!r}, and leave its measure_error on."
        )
    return solution


def _record(solution: Solution, file: Path) -> dict[str, Any]:
    estimate = solution.error_estimate
    assert estimate is not None
    return {
        "kind": solution.solver,
        "file": f"{file.parent.name}/{file.name}",
        "error": estimate.relative_l2,
        "error_h1": estimate.relative_h1,
        "method": estimate.method,
        "options": plain(solution.options),
    }


def load_truth(problem: Problem, found: Mapping[str, Any], folder: str | Path) -> Field | Evolution:
    """The truth that :func:`find_truth` made, `folder` being that of the run.

    Raises
    ------
    OutputError
        The file is missing or damaged.
    """
    if found["file"] is not None:
        return load_solution(Path(folder) / found["file"], problem).field
    exact = exact_solution(problem)
    if exact is None:
        raise OutputError(f"The truth of {problem!r} is recorded as exact, but the problem declares none; start anew.")
    return exact


def true_quantities(truth: Field | Evolution) -> dict[str, float]:
    """Quantities of interest of a truth, at the end of one that runs in time; none above three dimensions."""
    final = truth.final if isinstance(truth, Evolution) else truth
    return {} if final.problem.dim > 3 else evaluate_quantities(final.problem, final)


def _integration_error(truth: Field | Evolution, fine: Errors) -> float:
    coarse = measure_errors(_constant(truth, 0.0), truth, n_target=N_POINTS // 4, same_points=True)
    return abs(coarse.truth_l2 - fine.truth_l2) / (fine.truth_l2 or 1.0)


def trivial_answers(truth: Field | Evolution) -> dict[str, dict[str, float]]:
    """Errors of answers that need no method.

    Returns
    -------
    dict
        Of ``zero``, of the truth's own ``mean`` (over domain and time), and of the state at the start kept for ever
        (``persistence``, of what runs in time): ``relative_l2`` and ``max_error`` relative to the truth's maximum.
    """
    answers = {"zero": _constant(truth, 0.0), "mean": _constant(truth, _mean(truth))}
    if isinstance(truth, Evolution):
        answers["persistence"] = _Kept(truth.problem, truth.at(truth.problem.time.start))
    out = {}
    for name, answer in answers.items():
        errors = measure_errors(answer, truth, n_target=N_POINTS // 4, same_points=True)
        out[name] = {"relative_l2": errors.relative_l2, "max_error": errors.relative_max}
    return out


def _mean(truth: Field | Evolution) -> np.ndarray:
    """Of each component over the domain, and over the time."""
    domain = truth.problem.domain
    if domain.dim > 3:
        points, weights = domain.quasi_random(N_POINTS // 4, np.random.default_rng(0)), np.ones(N_POINTS // 4)
    else:
        points, weights = domain.quadrature(N_POINTS // 4)
    if isinstance(truth, Field):
        return np.average(truth.evaluate(points).reshape(len(points), -1), axis=0, weights=weights)
    times = np.linspace(truth.problem.time.start, truth.problem.time.end, _INSTANTS)
    means = [np.average(truth.at(t).evaluate(points).reshape(len(points), -1), axis=0, weights=weights) for t in times]
    return np.trapezoid(means, times, axis=0) / truth.problem.time.duration


def _constant(truth: Field | Evolution, value: Any) -> Field | Evolution:
    field = _Constant(truth.problem, value)
    return _Kept(truth.problem, field) if isinstance(truth, Evolution) else field


class _Constant(Field):
    """One number for each component, everywhere."""

    kind = "constant"

    def __init__(self, problem: Problem, value: Any) -> None:
        self.problem, self.shape = problem, problem.shape
        self._value = np.broadcast_to(value, (problem.n_components,)).reshape(problem.shape)

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self._value, (len(points), *self.shape))

    def gradient(self, points: np.ndarray) -> np.ndarray:
        return np.zeros((len(points), *self.shape, points.shape[1]))

    def store(self, group: h5py.Group) -> None:
        raise OutputError("A trivial answer is not saved.")


class _Kept(Evolution):
    """One state at all times."""

    kind = "kept in time"

    def __init__(self, problem: Problem, state: Field) -> None:
        self.problem, self._state = problem, state
        self.times = np.array([problem.time.start, problem.time.end])

    def field_at(self, instant: float) -> Field:
        return self._state

    def store(self, group: h5py.Group) -> None:
        raise OutputError("A trivial answer is not saved.")

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> Evolution:
        raise OutputError("A trivial answer is not saved.")
