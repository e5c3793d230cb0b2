"""Benchmark suites: what is compared, stated in TOML before anything runs.

A suite is a product of problems (with parameter values, members drawn at random, members out of range), methods (a
solver with options, a sweep over its resolution, a space that its tuning searches), seeds and placements (device,
threads, precision), with limits per cell and the accuracies that time is measured to.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sciml.benchmark.checks import Bound, Check, Solve
from sciml.benchmark.toml_lines import line_of, toml_lines
from sciml.errors import OptionError, SuiteError, unknown_name
from sciml.registry import absolute_name
from sciml.solvers.base import Range

__all__ = [
    "Accuracy",
    "Baseline",
    "Method",
    "Placement",
    "ProblemEntry",
    "Statistics",
    "Suite",
    "SuiteLimits",
    "TruthSettings",
    "Tuning",
    "load_suite",
    "suite_names",
    "with_devices",
]

FORMAT = 1
_SUITES = Path(__file__).resolve().parents[1] / "data" / "suites"
_SENTENCE = 20
NORMS = ("relative_l2", "relative_h1", "relative_max")

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Values = Annotated[tuple[Any, ...], Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class SuiteLimits(_Part):
    """Of every cell.

    Attributes
    ----------
    cpu_seconds : float
        On a core with a float64 matrix product of 49 GFLOP/s; scaled by this machine's rate.
    memory : float
        GiB, resident.
    """

    cpu_seconds: Positive = 60.0
    memory: Positive = 4.0


class Statistics(_Part):
    """Seeds and repetitions, fixed before the run.

    Attributes
    ----------
    seeds : tuple of int
        Of what is random in a solver. A ranking needs five.
    repeats : int
        Timed repeats of a solver in which nothing is random.
    hidden, hidden_seed : int
        How many members of each family are drawn beside the named one, and their seed.
    """

    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (1, 2, 3, 4, 5)
    repeats: int = Field(5, ge=1)
    hidden: int = Field(0, ge=0)
    hidden_seed: int = Field(2026, ge=0)

    @field_validator("seeds")
    @classmethod
    def _different(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed stands twice")
        return seeds


class Accuracy(_Part):
    """What results are read off at.

    Attributes
    ----------
    errors : tuple of float
        ε: how long does a method take to reach it?
    cpu_seconds : tuple of float
        T: what error does a method reach within it?
    norm : {"relative_l2", "relative_h1", "relative_max"}
    instants : int
        Of a roll-out's error, for problems that run in time.
    """

    errors: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1e-1, 1e-2, 1e-3, 1e-4)
    cpu_seconds: tuple[Positive, ...] = (0.1, 1.0, 10.0)
    norm: str = "relative_l2"
    instants: int = Field(8, ge=1)

    @field_validator("norm")
    @classmethod
    def _is_norm(cls, norm: str) -> str:
        if norm not in NORMS:
            raise ValueError(f"a ranking goes by the time to an error in one of {', '.join(NORMS)}, by nothing else")
        return norm


class Tuning(_Part):
    """The same number of trials for every method that has something to tune.

    Attributes
    ----------
    trials : int
        Configurations per method, its defaults first, the others drawn from its space; all of a smaller space.
    objective : {"time", "error"}
        Time to reach `error`, or the smallest error within the limits.
    error : float
    seed : int
        Of the configurations, of the solver, and of the members drawn for tuning, which are never tested on.
    members : int
        Members per family; a problem may state parameters to tune on instead.
    """

    trials: int = Field(4, ge=2)
    objective: Literal["time", "error"] = "time"
    error: Positive = 1e-2
    seed: int = Field(7, ge=0)
    members: int = Field(1, ge=1)


class TruthSettings(_Part):
    """Where the truth comes from if a problem declares no exact solution.

    Attributes
    ----------
    solver : str
        One that measures its own error.
    accuracy : float or None
        Relative L2 error that it refines to.
    options : dict
        In place of an accuracy: how finely it is resolved.
    cpu_seconds : float
        Limit.
    """

    solver: str = "fenics"
    accuracy: Positive | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    cpu_seconds: Positive = 600.0


class Baseline(_Part):
    """An efficient classical method for a problem.

    Attributes
    ----------
    method : str
        One of the suite's methods.
    why : str
        The sentence that says why it is efficient.
    """

    method: str
    why: str

    @field_validator("why")
    @classmethod
    def _is_sentence(cls, why: str) -> str:
        if len(why.strip()) < _SENTENCE:
            raise ValueError("needs a sentence that says why the method is efficient here")
        return why.strip()


class ProblemEntry(_Part):
    """One problem with its variations.

    Attributes
    ----------
    name : str
        Of the catalogue, or the path of a file (relative paths start at the suite's folder).
    parameters : dict
        Values of parameters; several make a product.
    hidden : int or None
        Members drawn at random beside the named ones; the suite's number by default.
    tuning : tuple of dict or None
        Parameters that methods are tuned on, none where it is empty; by default members of the family, drawn with
        another seed.
    out_of_range : tuple of dict
        Parameters that lie outside of what methods were tuned or trained on.
    baselines : tuple of Baseline
    truth : TruthSettings or None
        In place of the suite's.
    """

    name: str
    parameters: dict[str, Values] = Field(default_factory=dict)
    hidden: int | None = Field(None, ge=0)
    tuning: tuple[dict[str, Any], ...] | None = None
    out_of_range: tuple[dict[str, Any], ...] = ()
    baselines: tuple[Baseline, ...] = ()
    truth: TruthSettings | None = None

    @property
    def settings(self) -> list[dict[str, Any]]:
        """Every combination of parameter values."""
        return _product(self.parameters)


class Method(_Part):
    """A solver with its options.

    Entries of one name and solver are one method, with other sweeps for other problems.

    Attributes
    ----------
    name, solver : str
    options : dict
        Fixed ones.
    sweep : dict of lists, or list of dicts
        What its error–cost curve is drawn over: a product, or a list of points.
    space : dict or None
        What tuning searches: options with lists of values, or {low, high, log} of a real one; the solver's own
        `tuning_space` by default, ``{}`` for nothing.
    problems : tuple of str
        Patterns of the problems that it runs on; it must be able to do those that are named without a wildcard.
    placements : tuple of str
        Patterns of the placements that it runs at.
    why_untuned : str or None
        Why there is nothing to tune although the solver has something.
    """

    name: Annotated[str, Field(min_length=1)]
    solver: str
    options: dict[str, Any] = Field(default_factory=dict)
    sweep: dict[str, Values] | Annotated[tuple[dict[str, Any], ...], Field(min_length=1)] = Field(default_factory=dict)
    space: dict[str, Any] | None = None
    problems: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    placements: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    why_untuned: str | None = None

    @property
    def points(self) -> list[dict[str, Any]]:
        """The sweep, point by point."""
        return _product(self.sweep) if isinstance(self.sweep, Mapping) else list(self.sweep)

    def runs_on(self, problem: str) -> bool:
        """Whether its patterns select a problem."""
        return any(fnmatchcase(problem, pattern) for pattern in self.problems)

    def runs_at(self, placement: str) -> bool:
        """Whether its patterns select a placement."""
        return any(fnmatchcase(placement, pattern) for pattern in self.placements)


class Placement(_Part):
    """Where and how precisely a cell computes.

    Attributes
    ----------
    name, device : str
    threads, processes : int or "all"
        Of torch, BLAS and OpenMP; processes under MPI, for the reference.
    precision : {"float64", "float32"}
    """

    name: str = "one thread"
    device: str = "cpu"
    threads: Annotated[int, Field(ge=1)] | Literal["all"] = 1
    processes: Annotated[int, Field(ge=1)] | Literal["all"] = 1
    precision: Literal["float64", "float32"] = "float64"


class Suite(_Part):
    """A benchmark suite; see the parts.

    Attributes
    ----------
    title, about : str
    cpu_hours : float
        What the whole takes on a core of 49 GFLOP/s.
    ranking : bool
        Whether methods are ranked, so that all gates must be kept.
    needs_device : str or None
        A device without which the suite has nothing to measure.
    """

    format: Literal[1]
    name: str = ""
    title: str
    about: str = ""
    cpu_hours: Positive
    ranking: bool = False
    needs_device: str | None = None
    limits: SuiteLimits = SuiteLimits()
    statistics: Statistics = Field(default_factory=lambda: Statistics.model_validate({}))
    accuracy: Accuracy = Field(default_factory=lambda: Accuracy.model_validate({}))
    tuning: Tuning | None = None
    truth: TruthSettings = TruthSettings()
    problems: tuple[ProblemEntry, ...] = ()
    methods: tuple[Method, ...] = ()
    placements: Annotated[tuple[Placement, ...], Field(min_length=1)] = (Placement(),)
    checks: tuple[Check, ...] = ()

    @model_validator(mode="after")
    def _hold_together(self) -> Suite:
        if bool(self.problems) != bool(self.methods):
            raise ValueError("problems and methods go together: the cells are their product, which is empty")
        if not self.problems and not self.checks:
            raise ValueError("there is neither a cell (problems × methods) nor a check in it")
        return self

    @property
    def method_names(self) -> list[str]:
        """Names of the methods, in order."""
        return list(dict.fromkeys(method.name for method in self.methods))

    @property
    def digest(self) -> str:
        """A hash of all that decides the results, without texts that only people read."""
        silent = {"title", "about", "cpu_hours", "checks"}
        text = json.dumps(self.model_dump(mode="json", exclude=silent), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def with_devices(suite: Suite, devices: Sequence[str]) -> Suite:
    """The suite with other devices in place of those of its placements, in the order in which these come first.

    Raises
    ------
    SuiteError
        Their numbers differ.
    """
    own = list(dict.fromkeys(placement.device for placement in suite.placements))
    if len(own) != len(devices):
        raise SuiteError(
            f"--devices gives {len(devices)} device(s), {', '.join(devices)}, and the suite {suite.name!r} has "
            f"{len(own)}: {', '.join(own)}; give one for each."
        )
    other = dict(zip(own, devices))
    placements = tuple(p.model_copy(update={"device": other[p.device]}) for p in suite.placements)
    return suite.model_copy(update={"placements": placements, "needs_device": None})


def suite_names() -> list[str]:
    """Names of the suites that are shipped."""
    return sorted(path.stem for path in _SUITES.glob("[!.]*.toml"))


def load_suite(name: str | Path) -> Suite:
    """Read a suite.

    Parameters
    ----------
    name : str or path
        One that is shipped (`quick`, `poisson`, …), or the path of a TOML file.

    Raises
    ------
    UnknownNameError
        There is no such suite.
    SuiteError
        What is wrong in it, with the line.
    """
    path = Path(name)
    if path.suffix != ".toml" and str(name) not in suite_names():
        raise unknown_name("suite", str(name), suite_names(), "The path of your own ends in .toml.")
    if path.suffix != ".toml":
        path = _SUITES / f"{name}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path} cannot be read as a suite: {error}.") from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SuiteError(f"{path} is not valid TOML: {error}.") from None
    lines = toml_lines(text)
    try:
        suite = Suite.model_validate({"name": path.stem} | content)
    except ValidationError as error:
        raise SuiteError(_first_error(path, lines, error, content)) from None
    _check(suite, path, lines)
    return _with_files(suite, path.parent)


def _product(options: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(options, values)) for values in product(*options.values())]


def _first_error(path: Path, lines: Any, error: ValidationError, content: Any) -> str:
    # A key that is not known comes first: it is often why another one is missing.
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    steps = [step for step in first["loc"] if not (isinstance(step, str) and ("[" in step or "-" in step))]
    where = _place(path, line_of(lines, steps))
    what = _in_words(steps)
    if first["type"] == "extra_forbidden":
        return f"{where}: {what} is not a key of a suite{_nearest(steps)}."
    if first["type"] == "missing":
        return f"{where}: {what} is missing."
    if first["type"] == "too_short":
        return f"{where}: {what} is empty, so there would be no cell; give it at least one value or leave it out."
    said = first["msg"].removeprefix("Value error, ").lower()
    given = "" if isinstance(first["input"], (dict, BaseModel)) else f" = {first['input']!r}"
    return f"{where}: {what}{given}: {said}." if what else f"{where}: {said}."


def _place(path: Path, line: int | None) -> str:
    return f"{path}, line {line}" if line is not None else str(path)


def _in_words(steps: Sequence[str | int]) -> str:
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _nearest(steps: Sequence[str | int]) -> str:
    parts = {
        "limits": SuiteLimits,
        "statistics": Statistics,
        "accuracy": Accuracy,
        "tuning": Tuning,
        "truth": TruthSettings,
        "problems": ProblemEntry,
        "methods": Method,
        "placements": Placement,
        "baselines": Baseline,
        "checks": Check,
        "solve": Solve,
        "figures": Bound,
    }
    around = next((s for s in reversed(steps[:-1]) if s in parts), None)
    known = parts.get(around or "", Suite).model_fields
    near = get_close_matches(str(steps[-1]), known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(k for k in known if k != 'name')}"


def _check(suite: Suite, path: Path, lines: Any) -> None:
    """What the parts of a suite must have in common."""

    def fail(text: str, *steps: str | int) -> None:
        raise SuiteError(f"{_place(path, line_of(lines, steps))}: {text}.")

    names = suite.method_names
    for i, entry in enumerate(suite.problems):
        for j, baseline in enumerate(entry.baselines):
            if baseline.method not in names:
                fail(
                    f"the baseline {baseline.method!r} of {entry.name!r} is none of the methods {', '.join(names)}",
                    *("problems", i, "baselines", j, "method"),
                )
    solvers: dict[str, str] = {}
    for i, method in enumerate(suite.methods):
        if solvers.setdefault(method.name, method.solver) != method.solver:
            fail(
                f"method {method.name!r} has the solver {method.solver!r} here and {solvers[method.name]!r} above; one "
                f"name is one method",
                *("methods", i, "solver"),
            )
        swept = {key for point in method.points for key in point}
        twice = sorted(swept & set(method.options))
        if twice:
            fail(f"option {twice[0]!r} of {method.name!r} is both fixed and swept over", "methods", i, "sweep")
        repeated = [point for k, point in enumerate(method.points) if point in method.points[:k]]
        if repeated:
            fail(f"the point {repeated[0]} stands twice in the sweep of {method.name!r}", "methods", i, "sweep")
        if not any(method.runs_on(entry.name) for entry in suite.problems):
            fail(f"method {method.name!r} runs on none of the problems of the suite", "methods", i, "problems")
        for option, values in (method.space or {}).items():
            _check_space(method.name, option, values, lambda text, i=i: fail(text, "methods", i, "space"))
    placements = [placement.name for placement in suite.placements]
    if len(set(placements)) < len(placements):
        fail("two placements have one name", "placements")


def _check_space(method: str, option: str, values: Any, fail: Any) -> None:
    if isinstance(values, Mapping):
        try:
            Range(**values)
        except (TypeError, OptionError):
            fail(f"space {option!r} of {method!r} needs low < high (both > 0 with log = true), not {dict(values)}")
    elif not isinstance(values, (list, tuple)) or not values:
        fail(f"space {option!r} of {method!r} needs a list of values or {{low, high, log}}, not {values!r}")


def _with_files(suite: Suite, folder: Path) -> Suite:
    """Paths of problem and solver files made absolute: they are relative to the suite's folder."""
    problems = tuple(entry.model_copy(update={"name": absolute_name(entry.name, folder)}) for entry in suite.problems)
    methods = tuple(
        method.model_copy(
            update={
                "solver": absolute_name(method.solver, folder),
                "problems": tuple(absolute_name(pattern, folder) for pattern in method.problems),
            }
        )
        for method in suite.methods
    )
    checks = tuple(check.relative_to(folder) for check in suite.checks)
    return suite.model_copy(update={"problems": problems, "methods": methods, "checks": checks})
