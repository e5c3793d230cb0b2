"""A run as the report looks at it: curves with and without what is not ranked, names, colours."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from sciml.benchmark.curves import curve_of, error_floor, point_label
from sciml.benchmark.gates import Finding, judge, unranked_reason, unranked_rows
from sciml.benchmark.records import Candidate, Row, Run, Task
from sciml.benchmark.statistics import Curve, Reached, median, ratio, time_to_error

__all__ = ["COLOURS", "View"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#4d4d4d")
"""Okabe and Ito's, which colour-blind people tell apart."""


class View:
    """What sections ask of a run.

    Attributes
    ----------
    run : Run
    findings : list of Finding
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.findings: list[Finding] = judge(run)
        self._without = unranked_rows(self.findings)
        self.curve = functools.cache(self._curve)
        self.ranked = functools.cache(self._ranked)
        self.why_unranked = functools.cache(self._why_unranked)

    def _curve(self, task: Task, candidate: Candidate) -> Curve | None:
        """All that was measured, with errors limited by the truth's."""
        return curve_of(self.run, task.key, candidate)

    def _why_unranked(self, task: Task, method: str) -> str | None:
        return unranked_reason(self.findings, self.run, task, method)

    def _ranked(self, task: Task, candidate: Candidate) -> Curve | None:
        """What takes part in the ranking."""
        if self.why_unranked(task, candidate.method) is not None:
            return None
        return curve_of(self.run, task.key, candidate, without=self._without)

    def present(self, task: Task) -> list[Candidate]:
        """Who ran on a task, whether it worked or not, baselines first."""
        there = {row.candidate for row in self.run.rows_of(task.key) if row.reason != "unsupported"}
        ordered = [candidate for candidate in self.run.candidates if candidate in there]
        return sorted(ordered, key=lambda candidate: not self.is_baseline(candidate, task.problem))

    def competitors(self, problem: str) -> list[Candidate]:
        """Who has rows on any task of a problem, baselines first."""
        there = {candidate for task in self.tasks(problem) for candidate in self.present(task)}
        ordered = [candidate for candidate in self.run.candidates if candidate in there]
        return sorted(ordered, key=lambda candidate: not self.is_baseline(candidate, problem))

    def tasks(self, problem: str, *roles: str) -> list[Task]:
        """Tasks of a problem, of some roles or all."""
        return [task for task in self.run.tasks if task.problem == problem and (not roles or task.role in roles)]

    def is_baseline(self, candidate: Candidate, problem: str) -> bool:
        """Whether it is a classical baseline of a problem."""
        return candidate.method in self.run.baselines(problem)

    def name(self, candidate: Candidate) -> str:
        """The method, with its placement where there are several."""
        several = len({c.placement for c in self.run.candidates}) > 1
        return f"{candidate.method} ({candidate.placement})" if several else candidate.method

    def marked(self, candidate: Candidate, task: Task) -> str:
        """Its name with ◆ for a baseline and † where it is not ranked."""
        marks = "◆" * self.is_baseline(candidate, task.problem)
        marks += "†" * (self.why_unranked(task, candidate.method) is not None)
        return f"{self.name(candidate)} {marks}".strip()

    @functools.cached_property
    def colours(self) -> dict[str, str]:
        """One for each candidate, throughout."""
        return {self.name(c): COLOURS[k % len(COLOURS)] for k, c in enumerate(self.run.candidates)}

    def floor(self, task: Task) -> float:
        """The error below which nothing is known on a task."""
        return error_floor(self.run, task.key)

    def rows(self, task: Task, candidate: Candidate) -> list[Row]:
        """Cells of a candidate on a task."""
        return self.run.rows_of(task.key, candidate=candidate)

    def best_rows(self, task: Task, candidate: Candidate) -> list[Row]:
        """Measured cells at the most accurate point of its sweep."""
        curve = self.curve(task, candidate)
        if curve is None or curve.best is None:
            return []
        return [
            row for row in self.rows(task, candidate) if row.measured and point_label(row.point) == curve.best.label
        ]

    def best_baseline(self, task: Task, candidate: Candidate, error: float) -> tuple[Candidate, Reached] | None:
        """The ranked baseline at the same placement that reaches an error first, itself excluded."""
        found: tuple[Candidate, Reached] | None = None
        for other in self.present(task):
            same_place = other.placement == candidate.placement and other != candidate
            curve = self.ranked(task, other) if same_place and self.is_baseline(other, task.problem) else None
            reached = time_to_error(curve, error) if curve is not None else None
            if reached is not None and reached.is_reached and (found is None or reached.cost < found[1].cost):
                found = other, reached
        return found

    def ratio(self, task: Task, candidate: Candidate, error: float) -> tuple[Candidate, float] | None:
        """Its time by that of the best baseline, where both are ranked and their curves overlap at the error."""
        baseline, curve = self.best_baseline(task, candidate, error), self.ranked(task, candidate)
        if baseline is None or curve is None or error < self.floor(task):
            return None
        other = self.ranked(task, baseline[0])
        value = ratio(curve, other, error) if other is not None else None
        return None if value is None else (baseline[0], value)

    def sample_times(self, curve: Curve, error: float) -> list[float]:
        """Time to an error by every seed or repeat."""
        return [time_to_error(curve.sample(sample), error).cost for sample in curve.samples]

    def typical_time(self, tasks: Sequence[Task], candidate: Candidate, error: float, *, ranked: bool) -> float:
        """Median time to an error over tasks; infinity where more than half of them are not reached."""
        look = self.ranked if ranked else self.curve
        values = []
        for task in tasks:
            curve = look(task, candidate)
            if curve is not None:
                values.append(time_to_error(curve, error).cost if error >= self.floor(task) else math.inf)
        return median(values)
