"""Gates on the task, its truth and its baselines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from sciml.benchmark.curves import curve_of, error_floor, point_label
from sciml.benchmark.gates.facts import (
    MIN_BASELINE_POINTS,
    MIN_LEARNED_POINTS,
    same_options,
)
from sciml.benchmark.gates.finding import Finding, Unranked, broken, gate, kept, several, unchecked
from sciml.benchmark.records import Run, Task, Truth

_OVER_RESOLVED = 10.0


@gate("tasks are fixed", "Every task is known by a hash of its problem, parameters, domain and time.")
def tasks_are_fixed(run: Run) -> Iterator[Finding]:
    """The suite is the one that the ledger began with, and one key is one task."""
    if run.header.get("digest") != run.suite.digest:
        yield broken("The suite beside the ledger is not the one that the ledger began with.", Unranked())
    known: dict[str, str] = {}
    for row in run.rows:
        content = json.dumps(
            [row.task.problem, dict(row.task.parameters), row.task.member], sort_keys=True, default=str
        )
        if known.setdefault(row.task.key, content) != content:
            yield broken(f"Two different tasks have the key {row.task.key}.", Unranked(task=row.task.key))


@gate("the truth is ten times better", "Every truth's measured error is at most a tenth of every candidate's.")
def truth_is_better(run: Run) -> Iterator[Finding]:
    """Rows whose error is below ten times the truth's are "reference-limited"."""
    for task in run.tasks:
        truth = run.truths.get(task.key)
        if truth is None:
            yield broken(f"{task.label}: there is no truth.", Unranked(task=task.key))
        elif truth.own_error(run.norm) is None:
            yield broken(f"{task.label}: the truth's own error was not measured.", Unranked(task=task.key))
        else:
            yield from _reference_limited(run, task, truth)
    if run.norm == "relative_max":
        yield unchecked("The truth's error in the max norm is not measured; its L2 error stands in for it.")


def _reference_limited(run: Run, task: Task, truth: Truth) -> Iterator[Finding]:
    floor = error_floor(run, task.key)
    rows = [row for row in run.rows_of(task.key) if row.error(run.norm) < floor]
    if rows:
        methods = ", ".join(sorted({row.method for row in rows}))
        yield broken(
            f"{task.label}: {several(len(rows), 'row')} of {methods} reference-limited; the truth's own error is "
            f"{truth.own_error(run.norm):.1e}, so that errors below {floor:.1e} count as that."
        )


@gate("trivial answers ran", "Zero, mean and (in time) the initial state were measured on every task.")
def trivial_answers_ran(run: Run) -> Iterator[Finding]:
    """Whoever is no better than the best of them is said to be so."""
    for task in run.tasks:
        truth = run.truths.get(task.key)
        if truth is None:
            continue
        if not truth.trivial:
            yield broken(f"{task.label}: no trivial answer was measured.", Unranked(task=task.key))
            continue
        norm = "max_error" if run.norm == "relative_max" else run.norm
        errors = {name: e[norm] for name, e in truth.trivial.items() if e.get(norm) is not None}
        if not errors:
            continue
        name = min(errors, key=lambda key: errors[key])
        for candidate in run.candidates:
            curve = curve_of(run, task.key, candidate)
            if curve is not None and curve.best is not None and curve.best.error >= errors[name]:
                yield kept(
                    f"{task.label}: {candidate.method} ({curve.best.error:.2g}) is no better than the trivial answer "
                    f"{name!r} ({errors[name]:.2g})."
                )


@gate("a classical baseline", "Every problem has an efficient classical baseline, and the sentence why it is.")
def has_baseline(run: Run) -> Iterator[Finding]:
    """At least one, classical, with results."""
    for problem in run.problems:
        tasks = [task for task in run.tasks if task.problem == problem]
        baselines = run.baselines(problem)
        if not baselines:
            yield broken(f"{problem} has no classical baseline.", *(Unranked(task=task.key) for task in tasks))
        for method in baselines:
            if method in run.learned:
                yield broken(
                    f"The baseline {method} of {problem} trains, so it is no classical method.",
                    *(Unranked(task.key, method) for task in tasks),
                )
        for task in tasks:
            if baselines and not any(row.measured for method in baselines for row in run.rows_of(task.key, method)):
                yield broken(f"{task.label}: no baseline has a result.", Unranked(task=task.key))


@gate(
    "curves, not points", f"Baselines are swept over {MIN_BASELINE_POINTS} resolutions, learned methods over 3 or more."
)
def curves_not_points(run: Run) -> Iterator[Finding]:
    """Five measured points of a baseline on the same task, three attempted ones of a learned method."""
    for task in run.tasks:
        for method in sorted({row.method for row in run.rows_of(task.key)}):
            rows = run.rows_of(task.key, method)
            if method in run.baselines(task.problem):
                points = {point_label(row.point) for row in rows if row.measured}
                needed, what = MIN_BASELINE_POINTS, "measured"
            elif method in run.learned:
                points = {point_label(row.point) for row in rows}
                needed, what = MIN_LEARNED_POINTS, "run"
            else:
                continue
            if len(points) < needed:
                yield broken(
                    f"{task.label}: {method} was {what} at {several(len(points), 'point')} of its sweep; a curve needs "
                    f"{needed}.",
                    Unranked(task.key, method),
                )


@gate("the truth does not compete", "No candidate is the run that the truth was made by.")
def truth_does_not_compete(run: Run) -> Iterator[Finding]:
    """Options of a row against those of the truth, defaults included."""
    for row in run.rows:
        truth = run.truths.get(row.task.key)
        if truth is None or truth.options is None or truth.kind != row.solver:
            continue
        if same_options(row.solver, row.options, truth.options):
            yield broken(
                f"{row.task.label}: {row.method} at {point_label(row.point)} is the truth's own run.",
                Unranked(row.task.key, row.method, row.key),
            )


@gate("no over-resolved baseline", "Where a learned method is compared, a baseline was run at comparable accuracy.")
def no_over_resolved_baseline(run: Run) -> Iterator[Finding]:
    """A baseline that is far too accurate, and dear, at its coarsest says nothing of its cost at the learned error.

    One that is cheaper too wins at any error, so that nothing need be known of coarser ones.
    """
    for task in run.tasks:
        present = {row.candidate for row in run.rows_of(task.key)}
        for candidate in sorted(present):
            learned = curve_of(run, task.key, candidate, limited=False) if candidate.method in run.learned else None
            if learned is None or learned.best is None:
                continue
            coarsest = {}
            for method in run.baselines(task.problem):
                other = replace(candidate, method=method)
                curve = curve_of(run, task.key, other, limited=False) if other in present else None
                if curve is not None and curve.coarsest is not None and method not in run.learned:
                    coarsest[method] = curve.coarsest
            errors = {method: point.error for method, point in coarsest.items()}
            dearer = all(point.cost > learned.best.cost for point in coarsest.values())
            if coarsest and dearer and max(errors.values()) * _OVER_RESOLVED < learned.best.error:
                method = max(errors, key=lambda name: errors[name])
                yield broken(
                    f"{task.label}: {method} is over-resolved: its coarsest point (error {errors[method]:.1e}) is "
                    f"more than ten times better than the best of {candidate.method} ({learned.best.error:.1e}), so no "
                    f"ratio can be formed; sweep over coarser ones.",
                    Unranked(task.key, candidate.method),
                )
