"""What a run recorded, as typed rows, which :mod:`sciml.benchmark.reading` reads from its folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sciml.benchmark.suite import Method, Placement, ProblemEntry, Suite

__all__ = [
    "ROLES",
    "Attempt",
    "Candidate",
    "Cannot",
    "Measured",
    "Row",
    "Run",
    "Session",
    "Task",
    "Truth",
    "Tuned",
]

ROLES = ("named", "hidden", "out_of_range", "tuning")


@dataclass(frozen=True)
class Task:
    """One problem with all its parameters."""

    key: str
    problem: str
    label: str
    parameters: Mapping[str, Any] = field(hash=False)
    member: tuple[int, int] | None
    role: str


@dataclass(frozen=True)
class Measured:
    """What a finished cell measured; see :mod:`sciml.benchmark.worker`.

    Attributes
    ----------
    cpu_seconds, wall_seconds : float
        Of one query: median over the timed repeats.
    timings : tuple of dict
        One per timed repeat: set-up, train, solve, post, wall, cpu.
    one_off_cpu_seconds : float
        Data and training that many queries share.
    covered : bool or None
        Whether the true error is within the stated estimate.
    """

    errors: Mapping[str, float | None]
    cpu_seconds: float
    wall_seconds: float
    timings: tuple[Mapping[str, float], ...] = ()
    one_off_cpu_seconds: float = 0.0
    status: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    quantities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    bands: Mapping[str, float] | None = None
    rollout: Mapping[str, list[float]] | None = None
    warm_up: Mapping[str, Any] | None = None
    device: str = ""
    device_name: str = ""
    threads: int | None = None
    precision: str = ""
    unknowns: int | None = None
    trainable_parameters: int = 0
    peak_memory: int = 0
    error_estimate: Mapping[str, Any] | None = None
    covered: bool | None = None

    @classmethod
    def read(cls, result: Mapping[str, Any]) -> Measured:
        """From the result of a ledger line; what is missing there is empty here."""
        names = cls.__dataclass_fields__
        known: dict[str, Any] = {key: value for key, value in result.items() if key in names and value is not None}
        known["timings"] = tuple(known.get("timings", ()))
        known.setdefault("errors", {})
        for clock in ("cpu_seconds", "wall_seconds"):
            known.setdefault(clock, math.nan)
        return cls(**known)


@dataclass(frozen=True)
class Attempt:
    """One attempt at a cell, whether it worked or not."""

    key: str
    session: int
    number: int
    stage: str
    task: Task | None
    method: str
    text: str
    reason: str | None
    message: str
    wall_seconds: float
    cpu_seconds: float
    peak_memory: int
    overhead_seconds: float
    host: str


@dataclass(frozen=True)
class Row:
    """A finished cell: one method on one task, at one point of its sweep, with one seed.

    Attributes
    ----------
    measured : Measured or None
        None where it failed, for the `reason`.
    """

    key: str
    task: Task
    method: str
    solver: str
    options: Mapping[str, Any]
    point: Mapping[str, Any]
    seed: int
    placement: Mapping[str, Any]
    session: int
    reason: str | None
    message: str
    wall_seconds: float
    cpu_seconds: float
    peak_memory: int
    measured: Measured | None

    @property
    def candidate(self) -> Candidate:
        """Who competes: the method at its placement."""
        return Candidate(self.method, str(self.placement.get("name", "")))

    def error(self, norm: str) -> float:
        """The error in a norm; infinity where the cell failed or the norm was not measured."""
        value = None if self.measured is None else self.measured.errors.get(norm)
        return math.inf if value is None else float(value)

    def cost(self, clock: str) -> float:
        """Seconds of one query by a clock ("cpu_seconds" or "wall_seconds"); infinity where the cell failed."""
        return math.inf if self.measured is None else float(getattr(self.measured, clock))


@dataclass(frozen=True, order=True)
class Candidate:
    """A method at a placement."""

    method: str
    placement: str


@dataclass(frozen=True)
class Truth:
    """What a task's errors are measured against, and how far it is off itself."""

    kind: str
    error: float | None
    error_h1: float | None
    method: str
    options: Mapping[str, Any] | None
    cpu_seconds: float
    evolves: bool
    elliptic: bool
    trivial: Mapping[str, Mapping[str, float]]

    @classmethod
    def read(cls, result: Mapping[str, Any]) -> Truth:
        """From the result of a ledger line."""
        return cls(
            kind=str(result.get("kind", "")),
            error=result.get("error"),
            error_h1=result.get("error_h1"),
            method=str(result.get("method", "")),
            options=result.get("options"),
            cpu_seconds=float(result.get("cpu_seconds") or 0.0),
            evolves=bool(result.get("evolves")),
            elliptic=bool(result.get("elliptic")),
            trivial=result.get("trivial") or {},
        )

    def own_error(self, norm: str) -> float | None:
        """Its measured error, in H1 where that is the norm, else in L2."""
        return self.error_h1 if norm == "relative_h1" else self.error


@dataclass(frozen=True)
class Session:
    """One start of the runner."""

    number: int
    time: str
    machine: Mapping[str, Any]
    scale: float
    rate_gflops: float | None
    commit: str | None
    versions: Mapping[str, str]
    scheduler: str | None
    command: tuple[str, ...]


@dataclass(frozen=True)
class Tuned:
    """What tuning tried for a method, on which tasks, and what it chose."""

    method: str
    trials: tuple[Mapping[str, Any], ...]
    chosen: Mapping[str, Any] | None
    tasks: tuple[str, ...]
    cpu_seconds: float


@dataclass(frozen=True)
class Cannot:
    """A method that was found unable to do a problem before anything ran, and why."""

    method: str
    problem: str
    placement: str
    reason: str


@dataclass(frozen=True)
class Run:
    """All that a folder says about a run."""

    folder: Path
    header: Mapping[str, Any]
    suite: Suite
    sessions: tuple[Session, ...]
    attempts: tuple[Attempt, ...]
    rows: tuple[Row, ...]
    truths: Mapping[str, Truth]
    tuned: Mapping[str, Tuned]
    cannot: tuple[Cannot, ...]
    started: frozenset[tuple[str, int, int]]

    @property
    def norm(self) -> str:
        """The norm that ε is in."""
        return self.suite.accuracy.norm

    @cached_property
    def clock(self) -> str:
        """CPU seconds, since machines are shared; wall seconds where a device that is no CPU does the work."""
        devices = {str(row.placement.get("device", "cpu")) for row in self.rows}
        return "cpu_seconds" if devices <= {"cpu"} else "wall_seconds"

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks that methods are tested on: in the suite's order of problems, by role, then as they ran."""
        seen = {a.task.key: a.task for a in self.attempts if a.task is not None and a.task.role != "tuning"}
        order = {entry.name: k for k, entry in enumerate(self.suite.problems)}

        def place(task: Task) -> tuple[int, int]:
            entry = self.entry(task.problem)
            return len(order) if entry is None else order[entry.name], ROLES.index(task.role)

        return tuple(sorted(seen.values(), key=place))

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Methods at placements, in the suite's order."""
        methods, placements = self.suite.method_names, [p.name for p in self.suite.placements]

        def place(candidate: Candidate) -> tuple[int, int]:
            method = methods.index(candidate.method) if candidate.method in methods else len(methods)
            known = candidate.placement in placements
            return method, placements.index(candidate.placement) if known else len(placements)

        return tuple(sorted({row.candidate for row in self.rows}, key=place))

    @property
    def problems(self) -> list[str]:
        """Names of the problems that tasks exist of."""
        return list(dict.fromkeys(task.problem for task in self.tasks))

    def entry(self, problem: str) -> ProblemEntry | None:
        """What the suite says of a problem."""
        # A file that declares one problem may be named without its class.
        return next((e for e in self.suite.problems if problem == e.name or problem.startswith(f"{e.name}:")), None)

    def method_entries(self, method: str, problem: str | None = None) -> list[Method]:
        """The suite's entries of a method, of those that run on a problem."""
        entries = [entry for entry in self.suite.methods if entry.name == method]
        if problem is None:
            return entries
        known = self.entry(problem)
        return [entry for entry in entries if entry.runs_on(problem if known is None else known.name)]

    def placement(self, name: str) -> Placement | None:
        """A placement of the suite."""
        return next((placement for placement in self.suite.placements if placement.name == name), None)

    def baselines(self, problem: str) -> list[str]:
        """Methods that are the classical baselines of a problem."""
        entry = self.entry(problem)
        return [] if entry is None else [baseline.method for baseline in entry.baselines]

    def rows_of(self, task: str, method: str | None = None, candidate: Candidate | None = None) -> list[Row]:
        """Rows on a task, of a method or candidate."""
        return [row for row in self._by_task.get(task, ()) if _is_of(row, method, candidate)]

    @cached_property
    def _by_task(self) -> Mapping[str, list[Row]]:
        by_task: dict[str, list[Row]] = {}
        for row in self.rows:
            by_task.setdefault(row.task.key, []).append(row)
        return by_task

    @cached_property
    def learned(self) -> frozenset[str]:
        """Methods that train something, by what their cells recorded; else those that are nobody's baseline."""
        measured: dict[str, list[Measured]] = {row.method: [] for row in self.rows}
        for row in self.rows:
            if row.measured is not None:
                measured[row.method].append(row.measured)
        baselines = {baseline.method for entry in self.suite.problems for baseline in entry.baselines}
        return frozenset(
            method
            for method, cells in measured.items()
            if any(cell.trainable_parameters > 0 or cell.one_off_cpu_seconds > 0 for cell in cells)
            or (not cells and method not in baselines)
        )

    @cached_property
    def interrupted(self) -> frozenset[tuple[str, int, int]]:
        """Starts (key, session, attempt) that have no outcome in the ledger."""
        ended = {(attempt.key, attempt.session, attempt.number) for attempt in self.attempts}
        return self.started - ended

    def scale_of(self, row: Row) -> float:
        """By how much the machine of a row is slower than the nominal core."""
        return next((session.scale for session in self.sessions if session.number == row.session), 1.0)


def _is_of(row: Row, method: str | None, candidate: Candidate | None) -> bool:
    return (method is None or row.method == method) and (candidate is None or row.candidate == candidate)
