"""Comparing solvers on one problem, each against the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sciml.errors import DivergenceError, OptionError
from sciml.problem import Box, Problem
from sciml.registry import load_problem, load_solver
from sciml.solution import Errors, Evolution, Field, Solution, exact_solution
from sciml.solution.solution import RAISING
from sciml.solvers.base import Progress
from sciml.solvers.run import check_request, solve, who_can

__all__ = ["REFERENCE", "Comparison", "Row", "check_comparison", "compare", "row_of", "solve_truth"]

REFERENCE = "fenics"
_LIMIT = 10
_RESOLUTIONS = {"accuracy", "cells", "refine", "modes", "nodes"}


@dataclass
class Row:
    """One solver's result beside the truth.

    Attributes
    ----------
    label : str
        The solver and the options that were given.
    solution : Solution or None
        None where the solve failed.
    status, message : str
    truth : str or None
        "exact", the reference's name ("fenics" as a rule), "refinement" (the solver's own measurement), or None.
    errors : Errors or None
    truth_error : float or None
        Relative L2 error of the truth itself: 0 for an exact one, as measured for the reference.
    """

    label: str
    solver: str
    solution: Solution | None
    status: str
    message: str
    truth: str | None = None
    errors: Errors | None = None
    truth_error: float | None = None

    @property
    def relative_l2(self) -> float | None:
        """The headline error: against the truth, or as the solver itself measured it."""
        if self.errors is not None:
            return self.errors.relative_l2
        estimate = self.solution.error_estimate if self.solution is not None else None
        return None if estimate is None else estimate.relative_l2

    @property
    def relative_h1(self) -> float | None:
        """As :attr:`relative_l2`, in H1."""
        if self.errors is not None:
            return self.errors.relative_h1
        estimate = self.solution.error_estimate if self.solution is not None else None
        return None if estimate is None else estimate.relative_h1

    @property
    def reference_limited(self) -> bool:
        """Whether the truth is less than ten times as accurate as the result."""
        own, truth = self.relative_l2, self.truth_error
        measured = self.truth not in (None, "exact", "refinement")
        return measured and own is not None and truth is not None and truth > own / _LIMIT

    def as_dict(self, problem: Problem) -> dict[str, Any]:
        """One JSON object."""
        solution = self.solution
        record = {} if solution is None else solution.record()
        head = {
            "problem": problem.name or problem.source or "in memory",
            "parameters": problem.parameters.plain(),
            "member": None if problem.member is None else list(problem.member),
            "solver": self.solver,
            "label": self.label,
            "status": self.status,
            "message": self.message,
            "truth": self.truth,
            "relative_l2": self.relative_l2,
            "relative_h1": self.relative_h1,
            "max_error": None if self.errors is None else self.errors.max_error,
            "truth_error": self.truth_error,
            "reference_limited": self.reference_limited,
        }
        keys = ("seconds", "cpu_seconds", "iterations", "residual", "trainable_parameters", "seed", "device", "options")
        body = {key: record.get(key) for key in (*keys, "error_estimate", "details", "versions")}
        quantities = {} if solution is None or problem.dim > 3 else solution.quantities()
        return head | body | {"quantities": quantities} | self._by_field()

    def _by_field(self) -> dict[str, Any]:
        """Errors of each of several fields."""
        if self.errors is None or not self.errors.fields:
            return {}
        keys = ("relative_l2", "relative_h1", "max_error")
        return {"fields": {name: {k: getattr(own, k) for k in keys} for name, own in self.errors.fields.items()}}


def row_of(
    solution: Solution, label: str, truth: Field | Evolution | None, truth_name: str | None, truth_error: float | None
) -> Row:
    """Measure a solution against a truth."""
    errors = None if truth is None else solution.error(truth)
    if errors is not None and truth_name == "exact":
        truth_error = errors.integration_error
    if errors is None and solution.error_estimate is not None:
        truth_name, truth_error = "refinement", solution.error_estimate.relative_l2
    return Row(label, solution.solver, solution, solution.status, solution.message, truth_name, errors, truth_error)


@dataclass
class Comparison:
    """All rows of a comparison.

    Attributes
    ----------
    problem : Problem
    truth : Field, Evolution or None
    truth_name : str or None
    rows : list of Row
    """

    problem: Problem
    truth: Field | Evolution | None
    truth_name: str | None
    rows: list[Row] = field(default_factory=list)

    def as_dicts(self) -> list[dict[str, Any]]:
        """One JSON object per row."""
        return [row.as_dict(self.problem) for row in self.rows]

    @property
    def reference(self) -> Row | None:
        """The first row of the reference."""
        return next((row for row in self.rows if row.solution is not None and self._is_reference(row)), None)

    def _is_reference(self, row: Row) -> bool:
        """Whether a row is the solver that the problem names, with the options that it names."""
        name, options = self.problem.reference
        given = {} if row.solution is None else row.solution.options
        return row.solver == name and all(given.get(key) == value for key, value in options.items())

    def verdicts(self) -> list[str]:
        """Who is the better buy, in sentences."""
        return [text for row in self.rows if (text := self._verdict(row)) is not None]

    def _verdict(self, row: Row) -> str | None:
        if self._is_reference(row):
            return None
        if row.solution is None:
            return f"{row.label} failed: {row.message}"
        if row.reference_limited:
            return f"{row.label} is reference-limited: the truth's own error is more than a tenth of the one measured."
        reference = self.reference
        if reference is None or reference.solution is None:
            return f"{row.label}: there is no reference to compare costs with."
        own, other = row.relative_l2, reference.relative_l2
        if own is None or other is None:
            return None
        cost = row.solution.cpu_seconds / max(reference.solution.cpu_seconds, 1e-9)
        if other <= own and cost >= 1:
            return (
                f"The reference is the better buy: {reference.label} has {own / max(other, 1e-300):.3g}× the accuracy "
                f"of {row.label} at 1/{cost:.3g} of its CPU time."
            )
        if other >= own and cost <= 1:
            return f"{row.label} is the better buy here: smaller error in less CPU time than {reference.label}."
        return (
            f"{row.label} took {cost:.3g}× the CPU time of {reference.label} for {own / max(other, 1e-300):.3g}× its "
            f"error; neither is better in both."
        )

    def plot(self, path: str | Path | None = None) -> Any:
        """Draw all solutions with their errors."""
        from sciml.solution.plot import plot_fields, save_figure

        solved = [(row.label, row.solution.field) for row in self.rows if row.solution is not None]
        fields = [(label, field) for label, field in solved if field is not self.truth] or solved
        figure = plot_fields(fields, self.truth, title=self.problem.title or self.problem.name)
        if path is not None:
            save_figure(figure, path)
        return figure


Request = str | tuple[str, Mapping[str, Any]]


def compare(
    problem: Problem | str,
    *solvers: Request,
    seed: int = 0,
    device: str = "cpu",
    report: Callable[[Progress], None] | None = None,
) -> Comparison:
    """Solve a problem by several solvers, and hold each against the truth.

    The truth is the exact solution where the problem declares one; otherwise the reference, refined, with its
    own measured error. The reference also runs as a competitor, unless it was asked for with options.

    A problem may name another reference with options of its own, as one on two scales does, whose truth is the cell in
    full. That one runs as it is asked for, once.

    Parameters
    ----------
    problem : Problem or str
    *solvers : str or (str, mapping)
        Names, or names with options; a solver may appear twice.
    seed, device, report
        As for :func:`solve`.

    Returns
    -------
    Comparison

    Raises
    ------
    UnsupportedError, OptionError, …
        Bad input, before any solver runs.

    Examples
    --------
    >>> compare("poisson/sine", "deepxde", ("fenics", {"degree": 1, "cells": 32}))
    """
    if isinstance(problem, str):
        problem = load_problem(problem)
    requests = check_comparison(problem, *solvers, device=device)
    reference = _reference_among(problem, requests)
    can_refer = load_solver(reference[0]).supports(problem) is None
    if can_refer and reference[0] not in [name for name, _ in requests]:
        requests.insert(0, reference)
    if problem.declaration.exact is not None:
        comparison = Comparison(problem, exact_solution(problem), "exact")
        truth_error: float | None = 0.0
    else:
        comparison, truth_error = _refer(problem, reference, can_refer, report)
        requests = [r for r in requests if r != reference] if comparison.rows else requests
    for name, options in requests:
        comparison.rows.append(_row(comparison, name, options, truth_error, seed, device, report))
    return comparison


def check_comparison(problem: Problem, *solvers: Request, device: str = "cpu") -> list[tuple[str, dict[str, Any]]]:
    """Look at everything that can be wrong with a comparison before any solver runs.

    Returns
    -------
    list of (str, dict)
        Solvers with their options as given.

    Raises
    ------
    OptionError
        No solver is asked for, and there is no reference to run instead.
    UnknownNameError, UnsupportedError, …
        As for :func:`check_request`.
    """
    requests = [(r, {}) if isinstance(r, str) else (r[0], dict(r[1])) for r in solvers]
    for name, options in requests:
        check_request(problem, name, options, device)
    obstacle = load_solver(problem.reference[0]).supports(problem)
    if not requests and obstacle is not None:
        able = "".join(f", such as `--solver {name}`" for name in who_can(problem)[:1])
        raise OptionError(
            f"There is nothing to compare: the reference cannot run, since {obstacle}; ask for another solver{able}."
        )
    return requests


def solve_truth(
    problem: Problem,
    solver: str = REFERENCE,
    *,
    accuracy: float | None = None,
    options: Mapping[str, Any] | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Solution:
    """Solve a problem more finely than by default, as a truth for others.

    Parameters
    ----------
    problem : Problem
    solver : str
        One that measures its own error.
    accuracy : float, optional
        Relative L2 error to refine to; 1e-6 by default, 1e-4 in time. A mesh file is refined twice instead.
    options : mapping, optional
        What else the solver is told; one that fixes the resolution (cells, refine, modes …) takes the accuracy's place.

    Raises
    ------
    UnsupportedError, OptionError, DivergenceError
        As for :func:`solve`.
    """
    given = dict(options or {})
    known = load_solver(solver).Options.model_fields
    if not _RESOLUTIONS & given.keys():
        if "refine" in known and not isinstance(problem.domain, Box):
            given["refine"] = 2
        elif "accuracy" in known:
            given["accuracy"] = accuracy or (1e-4 if problem.evolves else 1e-6)
    return solve(problem, solver, report=report, **given)


def _reference_among(problem: Problem, requests: list[tuple[str, dict[str, Any]]]) -> tuple[str, dict[str, Any]]:
    """The reference that a problem names, with further options if it was asked for with such.

    Without options of its own it is taken with none: what is asked for then is a competitor.
    """
    name, options = problem.reference
    asked = [given for other, given in requests if options and other == name and options.items() <= given.items()]
    return name, asked[0] if asked else dict(options)


def _refer(
    problem: Problem, reference: tuple[str, dict[str, Any]], can_refer: bool, report: Any
) -> tuple[Comparison, float | None]:
    """Make the reference the truth: refined beyond its defaults, where it comes without options of its own."""
    if not can_refer:
        return Comparison(problem, None, None), None
    name, options = reference
    solution = solve(problem, name, report=report, **options) if options else solve_truth(problem, name, report=report)
    estimate = solution.error_estimate
    own = None if estimate is None else estimate.relative_l2
    comparison = Comparison(problem, solution.field, name)
    label = f"{name} {' '.join(f'{key}={value}' for key, value in options.items())}".strip() + " (truth)"
    method = None if estimate is None else "refinement"
    comparison.rows.append(Row(label, name, solution, solution.status, solution.message, method, None, own))
    return comparison, own


def _row(
    comparison: Comparison,
    name: str,
    options: Mapping[str, Any],
    truth_error: float | None,
    seed: int,
    device: str,
    report: Any,
) -> Row:
    given = " ".join(f"{key}={value}" for key, value in options.items())
    label = f"{name} {given}".strip()
    try:
        solution = solve(comparison.problem, name, seed=seed, device=device, report=report, throw=False, **options)
    except DivergenceError as error:
        return Row(label, name, None, "diverged", str(error))
    if solution.status in RAISING:
        return Row(label, name, None, solution.status, solution.message)
    return row_of(solution, label, comparison.truth, comparison.truth_name, truth_error)
