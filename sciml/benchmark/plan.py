"""From a suite to its cells: tasks, what each method runs on them, and what cannot be done."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from sciml.benchmark.placing import placed_options, precision_obstacle
from sciml.benchmark.records import Cannot
from sciml.benchmark.suite import Method, Placement, ProblemEntry, Suite, TruthSettings
from sciml.benchmark.tasks import Role, task_of
from sciml.benchmark.tuning import draw_trials, search_space
from sciml.errors import OptionError, ScimlError, SuiteError
from sciml.problem import Problem
from sciml.registry import load_problem, load_solver
from sciml.solvers.base import read_options
from sciml.solvers.run import check_request

__all__ = ["Cell", "Plan", "PlannedTask", "make_plan", "placement_of"]


@dataclass(frozen=True)
class PlannedTask:
    """One task, and the problem that it is made of.

    Attributes
    ----------
    about : dict
        As :func:`~sciml.benchmark.tasks.task_of` says it.
    entry : ProblemEntry
    problem : Problem
    truth : TruthSettings
    """

    about: dict[str, Any]
    entry: ProblemEntry
    problem: Problem
    truth: TruthSettings

    @property
    def key(self) -> str:
        """Hash of what decides the solution."""
        return self.about["key"]

    @property
    def role(self) -> str:
        """named, hidden, out_of_range or tuning."""
        return self.about["role"]


@dataclass(frozen=True)
class Cell:
    """One run of one method on one task.

    Attributes
    ----------
    about : dict
        Stage, task, method, solver, options, sweep point, trial, seed and placement, as the ledger holds them.
    repeats : int
        Timed ones.
    """

    about: dict[str, Any]
    repeats: int

    @property
    def key(self) -> str:
        """Hash of what decides the result, and of the method that it is a result of."""
        return self._hash("stage", "method", "solver", "options", "seed", "placement")

    @property
    def work(self) -> str:
        """Hash of what decides the result alone."""
        return self._hash("stage", "solver", "options", "seed", "placement")

    def _hash(self, *names: str) -> str:
        content = {name: self.about[name] for name in names} | {"task": self.about["task"]["key"]}
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """In words, for people."""
        about = self.about
        point = ", ".join(f"{name}={value}" for name, value in about["point"].items())
        return " · ".join(filter(None, [about["method"], about["task"]["label"], point]))


@dataclass
class Plan:
    """What a suite asks for on this machine.

    Attributes
    ----------
    suite : Suite
    tasks : list of PlannedTask
    cannot : list of Cannot
    """

    suite: Suite
    tasks: list[PlannedTask]
    cannot: list[Cannot] = field(default_factory=list)

    def tested(self) -> list[PlannedTask]:
        """Tasks that results are shown of."""
        return [task for task in self.tasks if task.role != "tuning"]

    def tuned_on(self) -> list[PlannedTask]:
        """Tasks that methods are tuned on."""
        return [task for task in self.tasks if task.role == "tuning"]

    def space(self, name: str) -> dict[str, Any]:
        """What the tuning of a method searches; empty where there is nothing to tune."""
        entries = [method for method in self.suite.methods if method.name == name]
        if self.suite.tuning is None or any(entry.why_untuned for entry in entries):
            return {}
        return search_space(self.suite, name)

    def test_cells(self, chosen: Mapping[str, Mapping[str, Any]]) -> list[Cell]:
        """Cells on the tasks that are shown, with the options that tuning chose; the first seed of all comes first."""
        cells = [
            cell
            for task in self.tested()
            for method, placement in self._pairs(task, self.suite.placements)
            for cell in self._cells("test", task, method, placement, chosen.get(method.name, {}), None)
        ]
        order = {seed: k for k, seed in enumerate(self.suite.statistics.seeds)}
        return sorted(cells, key=lambda cell: order.get(cell.about["seed"], 0))

    def tuning_cells(self, trials: Mapping[str, list[dict[str, Any]]]) -> list[Cell]:
        """Cells of all trials on the tasks for tuning, at the first placement."""
        return [
            cell
            for task in self.tuned_on()
            for method, placement in self._pairs(task, self.suite.placements[:1])
            for number, options in enumerate(trials.get(method.name, []))
            for cell in self._cells("tuning", task, method, placement, options, number)
        ]

    def _pairs(self, task: PlannedTask, placements: tuple[Placement, ...]) -> Iterator[tuple[Method, Placement]]:
        """Methods and placements that can do a task; what cannot is kept."""
        for method, placement in product(self.suite.methods, placements):
            if not (method.runs_on(task.entry.name) and method.runs_at(placement.name)):
                continue
            reason = _obstacle(task, method, placement)
            if reason is None:
                yield method, placement
                continue
            if task.entry.name in method.problems:
                raise SuiteError(f"Method {method.name!r} is asked to do {task.entry.name!r} and cannot: {reason}.")
            cannot = Cannot(method.name, task.entry.name, placement.name, reason)
            if cannot not in self.cannot:
                self.cannot.append(cannot)

    def _cells(
        self,
        stage: str,
        task: PlannedTask,
        method: Method,
        placement: Placement,
        tuned: Mapping[str, Any],
        trial: int | None,
    ) -> Iterator[Cell]:
        solver = load_solver(method.solver)
        statistics, tuning = self.suite.statistics, self.suite.tuning
        if stage == "tuning" and tuning is not None:
            seeds, repeats = [tuning.seed], 1
        elif solver.stochastic:
            seeds, repeats = list(statistics.seeds), 1
        else:
            seeds, repeats = [statistics.seeds[0]], statistics.repeats
        place = placement_of(placement)
        for point, seed in product(method.points, seeds):
            # What is fixed for these problems, and the placement, go before what was tuned for all.
            options = dict(tuned) | placed_options(solver, method.options | point, place)
            about = {
                "stage": stage,
                "task": task.about,
                "method": method.name,
                "solver": method.solver,
                "options": options,
                "point": point,
                "trial": trial,
                "seed": seed,
                "placement": place,
            }
            yield Cell(about, repeats)


def make_plan(suite: Suite) -> Plan:
    """Load all that a suite names and check every option, before anything runs.

    Raises
    ------
    SuiteError, UnknownNameError, OptionError, ParameterError, …
        What cannot be run as it is written.
    """
    for method in suite.methods:
        _check_names(suite, method)
    tasks = [task for entry in suite.problems for task in _tasks_of(suite, entry)]
    seen: dict[str, PlannedTask] = {}
    for task in tasks:
        twin = seen.setdefault(task.key, task)
        if twin is task:
            continue
        if "tuning" in (task.role, twin.role) and task.role != twin.role:
            raise SuiteError(
                f"{task.about['label']} is tested on and tuned on too; give other parameters under `tuning`, or "
                f"another tuning seed."
            )
        raise SuiteError(f"{task.about['label']} stands twice in the suite.")
    plan = Plan(suite, tasks)
    for task in tasks:
        for method, placement in plan._pairs(task, suite.placements):
            _check_options(task, method, placement)
    _refuse_twins(plan.test_cells({}))
    return plan


def placement_of(placement: Placement) -> dict[str, Any]:
    """A placement with numbers of this machine."""
    cores = os.cpu_count() or 1
    numbers = {
        name: cores if (value := getattr(placement, name)) == "all" else value for name in ("threads", "processes")
    }
    return placement.model_dump() | numbers


def _tasks_of(suite: Suite, entry: ProblemEntry) -> Iterator[PlannedTask]:
    truth = entry.truth or suite.truth
    settings = entry.settings
    common = {name: values[0] for name, values in entry.parameters.items()}
    base = load_problem(entry.name, **common)

    def planned(problem: Problem, role: Role, given: Mapping[str, Any], suffix: str = "") -> PlannedTask:
        label = _label(entry.name, given, suffix)
        return PlannedTask(task_of(problem, role, label), entry, problem, truth)

    for given in settings:
        yield planned(load_problem(entry.name, **given), "named", given)
    n_hidden = suite.statistics.hidden if entry.hidden is None else entry.hidden
    if n_hidden and not base.family.laws and entry.hidden:
        raise SuiteError(f"{entry.name!r} is no family, so it has no hidden members; leave out `hidden`.")
    for k in range(n_hidden if base.family.laws else 0):
        yield planned(base.draw(k, suite.statistics.hidden_seed), "hidden", {}, f"hidden member {k}")
    for given in entry.out_of_range:
        yield planned(base.with_parameters(**given), "out_of_range", common | given, "out of range")
    if suite.tuning is None:
        return
    for given in entry.tuning or ():
        yield planned(base.with_parameters(**given), "tuning", common | given, "for tuning")
    if entry.tuning is None and base.family.laws:
        for k in range(suite.tuning.members):
            yield planned(base.draw(k, suite.tuning.seed), "tuning", {}, f"member {k} for tuning")


def _label(name: str, given: Mapping[str, Any], suffix: str) -> str:
    values = ", ".join(
        f"{key} = {value:g}" if isinstance(value, float) else f"{key} = {value}" for key, value in given.items()
    )
    return ", ".join(filter(None, [name.rsplit("/", 1)[-1] if ".py" in name else name, values, suffix]))


def _obstacle(task: PlannedTask, method: Method, placement: Placement) -> str | None:
    """Why a method cannot do a task at a placement, or None."""
    solver = load_solver(method.solver)
    return precision_obstacle(solver, placement.precision) or solver.supports(task.problem)


def _check_options(task: PlannedTask, method: Method, placement: Placement) -> None:
    solver, place = load_solver(method.solver), placement_of(placement)
    for point in method.points:
        try:
            options = placed_options(solver, method.options | point, place)
            check_request(task.problem, method.solver, options, placement.device)
        except ScimlError as error:
            raise type(error)(f"Method {method.name!r} on {task.about['label']}: {error}") from error


def _check_names(suite: Suite, method: Method) -> None:
    """Refuse options that the solver does not have, also of a method that no task is left for."""
    solver = load_solver(method.solver)
    trials = [] if suite.tuning is None else draw_trials(method.space or {}, suite.tuning)
    for options in [method.options | point for point in method.points] + trials:
        try:
            read_options(solver, options)
        except OptionError as error:
            raise OptionError(f"Method {method.name!r}: {error}") from error


def _refuse_twins(cells: list[Cell]) -> None:
    """Refuse two methods that would run the same cell.

    Raises
    ------
    SuiteError
    """
    seen: dict[str, Cell] = {}
    for cell in cells:
        twin = seen.setdefault(cell.work, cell)
        if twin is not cell:
            raise SuiteError(
                f"Two cells are the same: {twin.label} and {cell.label}; take one of them out of the suite, or give "
                f"the entries of one method patterns of problems that do not overlap."
            )
