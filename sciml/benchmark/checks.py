"""Figures that must hold: stated in a suite, measured each in a process of its own, printed beside their bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import median
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from rich.console import Console
from rich.table import Table

from sciml.benchmark.measuring import find_measurement
from sciml.benchmark.process import Limits, Outcome, run_limited
from sciml.errors import OptionError, unknown_name
from sciml.registry import absolute_name, load_problem, load_solver
from sciml.solvers.run import check_request

__all__ = [
    "Bound",
    "Check",
    "CheckResult",
    "FigureResult",
    "Solve",
    "all_hold",
    "bound_in_words",
    "check_rows",
    "judge",
    "matching",
    "print_checks",
    "run_checks",
    "selected",
    "verify",
]

HOLDS, SHORT, FAILED, REACHED, MISSED = "holds", "falls short", "failed", "aim reached", "aim missed"
_SEEDS = 3
_FUNCTION = "sciml.benchmark.measurements:run_measurement"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Run = Callable[[str, dict[str, Any], Limits], Outcome]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Bound(_Part):
    """What a figure must keep; one of `at_most`, `at_least`, `between`, an aim, or one of each.

    Attributes
    ----------
    at_most, at_least : float
    between : (float, float)
    aim_at_most, aim_at_least : float
        What is aimed at: said, not enforced.
    scaled : bool
        The bounds are meant for a core with a float64 matrix product of 49 GFLOP/s: on one that is slower by a factor,
        `at_most` (CPU seconds) is multiplied and `at_least` (so many a CPU second) divided by it.
    unit, about : str
        For people.
    """

    at_most: Finite | None = None
    at_least: Finite | None = None
    between: tuple[Finite, Finite] | None = None
    aim_at_most: Finite | None = None
    aim_at_least: Finite | None = None
    scaled: bool = False
    unit: str = ""
    about: str = ""

    @model_validator(mode="after")
    def _one_of_each(self) -> Bound:
        bounds = [key for key in ("at_most", "at_least", "between") if getattr(self, key) is not None]
        aims = [key for key in ("aim_at_most", "aim_at_least") if getattr(self, key) is not None]
        if not bounds and not aims:
            raise ValueError(
                "a figure needs a bound: at_most, at_least, between = [low, high], aim_at_most or aim_at_least"
            )
        for given in (bounds, aims):
            if len(given) > 1:
                raise ValueError(f"{' and '.join(given)} stand together; one of them is allowed (a range is `between`)")
        if self.between is not None and self.between[0] > self.between[1]:
            raise ValueError(f"between = {list(self.between)} holds nothing; give [low, high] with low ≤ high")
        if self.between is not None and self.scaled:
            raise ValueError("a range cannot be scaled by the machine's speed; give at_most or at_least")
        return self

    def limits(self, scale: float) -> tuple[float, float]:
        """Smallest and largest value that is allowed on a machine that is slower by the factor `scale`."""
        if self.between is not None:
            return self.between
        return self._range(self.at_least, self.at_most, scale)

    def aims(self, scale: float) -> tuple[float, float]:
        """As :meth:`limits`, of what is aimed at."""
        return self._range(self.aim_at_least, self.aim_at_most, scale)

    def _range(self, low: float | None, high: float | None, scale: float) -> tuple[float, float]:
        factor = scale if self.scaled else 1.0
        return -math.inf if low is None else low / factor, math.inf if high is None else high * factor

    @property
    def enforced(self) -> bool:
        """Whether there is more than an aim."""
        return self.at_most is not None or self.at_least is not None or self.between is not None

    @property
    def aimed(self) -> bool:
        """Whether there is an aim."""
        return self.aim_at_most is not None or self.aim_at_least is not None


class Solve(_Part):
    """A solve whose figures are its errors, its cost and the problem's quantities."""

    problem: str
    parameters: dict[str, Any] = {}
    solver: str
    options: dict[str, Any] = {}


class Check(_Part):
    """Figures of one measurement, or of one solve, with their bounds.

    Attributes
    ----------
    name : str
        By which it is asked for.
    title : str
        For people.
    measure : str
        A measurement of the package, or ``./file.py:function``; with its `arguments`.
    solve : Solve
        In place of it. Figures are `relative_l2`, `relative_h1`, `max_error` (against the exact solution, or else the
        reference), the same of each of several fields as ``FIELD_relative_l2``, `cpu_seconds`, and the quantities of
        the problem.
    seeds : int, optional
        How many; 3 where a seed matters and 1 elsewhere, if nothing is said. Every one must keep the bounds.
    cpu_seconds, memory : float
        Limits of a seed's run: CPU seconds on a core of 49 GFLOP/s; GiB.
    figures : dict
        Bounds by name of the figure, or by a pattern such as ``"l2_*"`` for all that it matches.
    """

    name: Annotated[str, Field(min_length=1)]
    title: Annotated[str, Field(min_length=1)]
    measure: str | None = None
    solve: Solve | None = None
    arguments: dict[str, Any] = {}
    seeds: Annotated[int, Field(ge=1)] | None = None
    cpu_seconds: Positive = 300.0
    memory: Positive = 8.0
    figures: Annotated[dict[str, Bound], Field(min_length=1)]

    @model_validator(mode="after")
    def _measures_one_thing(self) -> Check:
        if (self.measure is None) == (self.solve is None):
            raise ValueError(f"check {self.name!r} needs either `measure` or `solve`, and has {self._given()}")
        if self.solve is not None and self.arguments:
            raise ValueError(f"check {self.name!r} gives `arguments` to a solve; they are `parameters` and `options`")
        return self

    def _given(self) -> str:
        return "neither" if self.measure is None else "both"

    @property
    def seeded(self) -> bool:
        """Whether a seed matters."""
        if self.measure is not None:
            return find_measurement(self.measure).seeded
        assert self.solve is not None
        return load_solver(self.solve.solver).stochastic

    def runs(self, seeds: int | None = None) -> list[int]:
        """The seeds to measure with; `seeds` in place of the stated number, where a seed matters."""
        if not self.seeded:
            return [0]
        return list(range(seeds or self.seeds or _SEEDS))

    def payload(self, seed: int) -> dict[str, Any]:
        """What the process that measures is told."""
        solve = None if self.solve is None else self.solve.model_dump(mode="json")
        return {"measure": self.measure, "arguments": self.arguments, "solve": solve, "seed": seed}

    def relative_to(self, folder: Path) -> Check:
        """The same with paths of files, which are relative to the folder, made absolute."""
        if self.measure is not None:
            return self.model_copy(update={"measure": absolute_name(self.measure, folder)})
        assert self.solve is not None
        files = {
            "problem": absolute_name(self.solve.problem, folder),
            "solver": absolute_name(self.solve.solver, folder),
        }
        return self.model_copy(update={"solve": self.solve.model_copy(update=files)})


@dataclass(frozen=True)
class FigureResult:
    """What was measured beside one bound.

    Attributes
    ----------
    figure : str
        Name or pattern, as in the check.
    bound : Bound
    low, high, aim_low, aim_high : float
        On this machine; infinite where there is none.
    values : dict
        Figure → a value per seed.
    verdict : str or None
        "holds", "falls short", "failed"; None where there is but an aim.
    aim : str or None
        "aim reached", "aim missed"; None where there is no aim, or nothing to hold against it.
    reason : str
        Why it falls short or failed.
    """

    figure: str
    bound: Bound
    low: float
    high: float
    aim_low: float
    aim_high: float
    values: dict[str, list[float]]
    verdict: str | None
    aim: str | None
    reason: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing that is enforced is missed."""
        return self.verdict in (HOLDS, None)

    @property
    def median(self) -> float | None:
        """Over seeds and figures."""
        found = [value for values in self.values.values() for value in values]
        return median(found) if found else None

    @property
    def worst(self) -> tuple[str, float] | None:
        """Name and value of the one that is nearest to the bound, or furthest beyond it."""
        low, high = (self.low, self.high) if self.verdict is not None else (self.aim_low, self.aim_high)
        pairs = [(name, value) for name, values in self.values.items() for value in values]
        return min(pairs, key=lambda pair: min(pair[1] - low, high - pair[1])) if pairs else None


@dataclass(frozen=True)
class CheckResult:
    """What became of a check: its figures, and the outcome of each seed."""

    check: Check
    figures: list[FigureResult]
    outcomes: dict[int, Outcome]

    @property
    def holds(self) -> bool:
        """Whether all its bounds are kept."""
        return all(figure.holds for figure in self.figures)


def all_hold(results: Iterable[CheckResult]) -> bool:
    """Whether the exit status is 0."""
    return all(result.holds for result in results)


# -- running -------------------------------------------------------------------------------------------------


def selected(checks: Sequence[Check], only: Sequence[str] = ()) -> list[Check]:
    """The checks whose name matches one of the patterns; all without any.

    Raises
    ------
    UnknownNameError
        A pattern that matches none.
    """
    for pattern in only:
        if not any(fnmatchcase(check.name, pattern) for check in checks):
            raise unknown_name("check", pattern, [check.name for check in checks])
    return [check for check in checks if not only or any(fnmatchcase(check.name, pattern) for pattern in only)]


def verify(checks: Sequence[Check]) -> None:
    """Look at everything that can be wrong with checks before one runs.

    Raises
    ------
    OptionError
        Two checks of one name; seeds where none matters; arguments or options that do not exist.
    UnknownNameError, ParameterError, UnsupportedError, …
        A measurement, problem or solver that does not exist, or does not do it.
    """
    names: set[str] = set()
    for check in checks:
        if check.name in names:
            raise OptionError(f"Two checks are named {check.name!r}; rename one.")
        names.add(check.name)
        if check.measure is not None:
            find_measurement(check.measure).check(check.arguments)
        elif check.solve is not None:
            problem = load_problem(check.solve.problem, **check.solve.parameters)
            check_request(problem, check.solve.solver, check.solve.options)
        if check.seeds is not None and not check.seeded:
            raise OptionError(f"Check {check.name!r} asks for {check.seeds} seeds, but no seed matters there; drop it.")


def run_checks(
    checks: Sequence[Check],
    *,
    only: Sequence[str] = (),
    run: Run = run_limited,
    scale: float = 1.0,
    seeds: int | None = None,
    report: Callable[[CheckResult], None] = lambda result: None,
) -> list[CheckResult]:
    """Measure, one seed of one check after the other, each in a process of its own.

    Parameters
    ----------
    checks : sequence of Check
    only : sequence of str
        Patterns of names; all without any.
    run : callable
        Runs ``(function, payload, limits)`` and returns an :class:`~sciml.benchmark.process.Outcome`.
    scale : float
        How much slower this machine is than a core of 49 GFLOP/s.
    seeds : int, optional
        In place of what the checks say, where a seed matters.
    report : callable
        Takes each result as soon as it is there.

    Raises
    ------
    OptionError, UnknownNameError, …
        See :func:`verify` and :func:`selected`; nothing has run then.
    """
    chosen = selected(checks, only)
    verify(chosen)
    results = []
    for check in chosen:
        limits = Limits(cpu_seconds=check.cpu_seconds * scale, memory=check.memory)
        outcomes = {seed: run(_FUNCTION, check.payload(seed), limits) for seed in check.runs(seeds)}
        results.append(judge(check, outcomes, scale))
        report(results[-1])
    return results


def judge(check: Check, outcomes: Mapping[int, Outcome], scale: float) -> CheckResult:
    """Hold the outcomes of all seeds against the bounds."""
    figures = [_judged(pattern, bound, outcomes, scale) for pattern, bound in check.figures.items()]
    return CheckResult(check, figures, dict(outcomes))


def _judged(pattern: str, bound: Bound, outcomes: Mapping[int, Outcome], scale: float) -> FigureResult:
    (low, high), (aim_low, aim_high) = bound.limits(scale), bound.aims(scale)
    values = _values(pattern, outcomes)
    reason = _failure(outcomes)
    if reason:
        verdict = FAILED
    elif absent := _absent(pattern, outcomes):
        verdict, reason = SHORT, absent
    elif bound.enforced:
        reason = _beyond(values, low, high)
        verdict = SHORT if reason else HOLDS
    else:
        verdict = None
    aim = None
    if bound.aimed and verdict != FAILED and values:
        aim = MISSED if _beyond(values, aim_low, aim_high) else REACHED
    return FigureResult(pattern, bound, low, high, aim_low, aim_high, values, verdict, aim, reason)


def matching[Value](pattern: str, found: Mapping[str, Value]) -> dict[str, Value]:
    """The entry of that name, or else all that match the pattern."""
    names = [pattern] if pattern in found else [name for name in found if fnmatchcase(name, pattern)]
    return {name: found[name] for name in names}


def _values(pattern: str, outcomes: Mapping[int, Outcome]) -> dict[str, list[float]]:
    """Figures of that name, or that match the pattern, with a value per seed."""
    values: dict[str, list[float]] = {}
    for outcome in outcomes.values():
        for name, value in matching(pattern, outcome.result or {}).items():
            values.setdefault(name, []).append(value)
    return values


def _failure(outcomes: Mapping[int, Outcome]) -> str:
    """The first seed that came to nothing, and why."""
    for seed, outcome in outcomes.items():
        if outcome.reason is not None or outcome.result is None:
            which = f"seed {seed}: " if len(outcomes) > 1 else ""
            return f"{which}{outcome.reason or 'error'}: {outcome.message}"
    return ""


def _absent(pattern: str, outcomes: Mapping[int, Outcome]) -> str:
    """The first seed that measured nothing of that name, in words."""
    for seed, outcome in outcomes.items():
        found = outcome.result or {}
        if not matching(pattern, found):
            which = f" with seed {seed}" if len(outcomes) > 1 else ""
            return f"no figure {pattern!r} was measured{which}; there are {', '.join(sorted(found)) or 'none'}"
    return ""


def _beyond(values: Mapping[str, Sequence[float]], low: float, high: float) -> str:
    """The first value out of the range, in words."""
    for name, found in values.items():
        for seed, value in enumerate(found):
            if not low <= value <= high:
                which = f" of seed {seed}" if len(found) > 1 else ""
                return f"{name}{which} is {value:.4g}"
    return ""


# -- saying --------------------------------------------------------------------------------------------------


def check_rows(results: Iterable[CheckResult]) -> list[dict[str, Any]]:
    """One JSON object per bound of each check; a bound that does not exist is null."""
    return [_row(result, figure) for result in results for figure in result.figures]


def _row(result: CheckResult, figure: FigureResult) -> dict[str, Any]:
    worst = figure.worst
    return {
        "check": result.check.name,
        "figure": figure.figure,
        "verdict": figure.verdict,
        "aim": figure.aim,
        "reason": figure.reason,
        "median": figure.median,
        "worst": None if worst is None else worst[1],
        "worst_figure": None if worst is None else worst[0],
        "bound": [_finite(figure.low), _finite(figure.high)],
        "aim_bound": [_finite(figure.aim_low), _finite(figure.aim_high)],
        "unit": figure.bound.unit,
        "values": figure.values,
        "seeds": list(result.outcomes),
        "cpu_seconds": sum(outcome.cpu_seconds for outcome in result.outcomes.values()),
        "peak_memory": max(outcome.peak_memory for outcome in result.outcomes.values()),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def print_checks(results: Sequence[CheckResult], console: Console) -> None:
    """A table of what was measured beside what was asked, and a line that counts."""
    table = Table(box=None, pad_edge=False)
    for column in ("check", "figure"):
        table.add_column(column, overflow="fold")
    for column in ("median", "worst", "bound"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold", min_width=12)
    for result in results:
        for figure in result.figures:
            table.add_row(*_cells(result, figure))
    console.print(table)
    for result in results:
        if any(figure.verdict == FAILED for figure in result.figures):
            console.print(f"{result.check.name} failed: {result.figures[0].reason}", markup=False, highlight=False)
    short = [result.check.name for result in results if not result.holds]
    held = f"{len(results) - len(short)} of {len(results)} checks hold"
    console.print(held + (f"; {', '.join(short)} fall short." if short else "."), markup=False, highlight=False)


def _cells(result: CheckResult, figure: FigureResult) -> list[str]:
    worst = figure.worst
    name = figure.figure if worst is None or worst[0] == figure.figure else f"{figure.figure} (worst: {worst[0]})"
    style = "" if figure.holds else "[red]"
    verdict = ", ".join(word for word in (figure.verdict, figure.aim) if word)
    reason = f": {figure.reason}" if figure.verdict == SHORT else ""
    return [
        result.check.name,
        name.replace("[", r"\["),
        "–" if figure.median is None else f"{figure.median:.3g}",
        "–" if worst is None else f"{worst[1]:.3g}",
        _bound_in_words(figure),
        style + (verdict + reason).replace("[", r"\["),
    ]


def _bound_in_words(figure: FigureResult) -> str:
    ranges = (figure.low, figure.high), (figure.aim_low, figure.aim_high)
    return bound_in_words(figure.bound, *ranges, lambda value: f"{value:.3g}")


def bound_in_words(
    bound: Bound, limits: tuple[float, float], aims: tuple[float, float], number: Callable[[float], str]
) -> str:
    """Such as "≤ 5 (aim ≤ 1) CPU s"; `number` writes a number."""
    parts = [_range(*limits, number)] if bound.enforced else []
    parts += [f"(aim {_range(*aims, number)})"] if bound.aimed else []
    return " ".join([*parts, bound.unit]).strip()


def _range(low: float, high: float, number: Callable[[float], str]) -> str:
    if low == high:
        return f"= {number(low)}"
    if math.isinf(low):
        return f"≤ {number(high)}"
    return f"≥ {number(low)}" if math.isinf(high) else f"{number(low)} to {number(high)}"
