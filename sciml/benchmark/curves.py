"""Curves of a run: the rows of a candidate on a task, ordered by its sweep."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from sciml.benchmark.records import Candidate, Row, Run
from sciml.benchmark.statistics import Curve, CurvePoint
from sciml.benchmark.suite import Method

__all__ = ["REFERENCE_MARGIN", "curve_of", "error_floor", "point_label", "sample_rows"]

REFERENCE_MARGIN = 10.0
"""A truth must be this many times more accurate than what is measured against it."""


def curve_of(
    run: Run, task: str, candidate: Candidate, *, without: Iterable[str] = (), limited: bool = True
) -> Curve | None:
    """The error–cost curve of a candidate on a task, or None where it has no rows.

    Parameters
    ----------
    run : Run
    task : str
        Key of the task.
    candidate : Candidate
    without : iterable of str
        Keys of rows that are left out; what they measured counts as not done.
    limited : bool
        Whether an error below ten times the truth's own counts as that: more is not known of it.
    """
    left_out = set(without)
    rows = [row for row in run.rows_of(task, candidate=candidate) if row.key not in left_out]
    if not rows:
        return None
    floor = error_floor(run, task) if limited else 0.0
    by_point: dict[str, list[Row]] = {}
    for row in rows:
        by_point.setdefault(point_label(row.point), []).append(row)
    segments, order = _sweep(run.method_entries(candidate.method, rows[0].task.problem), [row.point for row in rows])
    labels = [label for label in order if label in by_point]
    place = {label: k for k, label in enumerate(labels)}
    points = tuple(CurvePoint(label, _samples(run, by_point[label], rows, floor)) for label in labels)
    return Curve(points, tuple((place[a], place[b]) for a, b in segments if a in place and b in place))


def error_floor(run: Run, task: str) -> float:
    """Ten times the truth's own error: below it, errors say nothing (0 where the truth's error is unknown)."""
    truth = run.truths.get(task)
    own = None if truth is None else truth.own_error(run.norm)
    return REFERENCE_MARGIN * own if own is not None else 0.0


def point_label(point: Mapping[str, Any]) -> str:
    """A point of a sweep in words."""
    return ", ".join(f"{key} = {value}" for key, value in sorted(point.items())) or "as it is"


def sample_rows(rows: Sequence[Row]) -> str:
    """What the samples of a candidate's rows are: "seeds", or "repeats" where there is one seed with several."""
    several = any(row.measured is not None and len(row.measured.timings) > 1 for row in rows)
    return "repeats" if len({row.seed for row in rows}) == 1 and several else "seeds"


def _samples(run: Run, rows: Sequence[Row], all_rows: Sequence[Row], floor: float) -> dict[int, tuple[float, float]]:
    if sample_rows(all_rows) == "seeds":
        return {row.seed: (row.cost(run.clock), max(row.error(run.norm), floor)) for row in rows}
    count = max(len(row.measured.timings) for row in all_rows if row.measured is not None)
    row = rows[0]
    if row.measured is None:
        return dict.fromkeys(range(count), (math.inf, math.inf))
    clock = run.clock.removesuffix("_seconds")
    costs = [float(timing[clock]) for timing in row.measured.timings if clock in timing] or [row.cost(run.clock)]
    error = max(row.error(run.norm), floor)
    return {k: (costs[k % len(costs)], error) for k in range(count)}


def _sweep(entries: Sequence[Method], measured: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[str, str]], list[str]]:
    """Pairs of neighbours in a method's sweep and the order of its points, by label."""
    segments: list[tuple[str, str]] = []
    order: list[str] = []
    for entry in entries:
        if isinstance(entry.sweep, Mapping):
            pairs, points = _grid(entry.sweep)
        else:
            points = [point_label(point) for point in entry.sweep]
            pairs = list(pairwise(points))
        segments += pairs
        order += points
    order += [point_label(point) for point in measured]
    return segments, list(dict.fromkeys(order))


def _grid(sweep: Mapping[str, Sequence[Any]]) -> tuple[list[tuple[str, str]], list[str]]:
    """Neighbours on the product of options differ in one of them, by one step."""
    axes = {option: _in_order(values) for option, values in sweep.items()}
    points: list[dict[str, Any]] = [{}]
    for option, values in axes.items():
        points = [point | {option: value} for point in points for value in values]
    pairs = []
    for point in points:
        for option, values in axes.items():
            here = values.index(point[option])
            if here + 1 < len(values):
                pairs.append((point_label(point), point_label(point | {option: values[here + 1]})))
    return pairs, [point_label(point) for point in points]


def _in_order(values: Sequence[Any]) -> list[Any]:
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    return sorted(values) if numbers else list(values)
