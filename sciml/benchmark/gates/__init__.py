"""Gates of fairness: each *must* of an honest comparison, checked on what a run recorded.

A gate is a function of a run that gives findings; :data:`GATES` lists all. What breaks one stays in the report,
unranked and with the reason. What a suite can be told before it runs is in :func:`refusals`.

Source: N. McGreivy and A. Hakim, "Weak baselines and reporting biases lead to overoptimism in machine learning for
fluid-related partial differential equations", Nature Machine Intelligence 6 (2024).
"""

from __future__ import annotations

from collections.abc import Sequence

from sciml.benchmark.gates.comparison import (
    enough_repeats,
    equal_means,
    failures_count,
    phases_apart,
    same_evaluation,
    seeds_fixed,
    time_to_an_error,
    two_norms,
    warm_up_excluded,
)
from sciml.benchmark.gates.conduct import (
    equal_tuning,
    error_bars_checked,
    every_attempt_recorded,
    hidden_members,
    out_of_range,
    provenance,
    tuning_apart,
)
from sciml.benchmark.gates.finding import Finding, Gate, Unranked
from sciml.benchmark.gates.refusals import refusals
from sciml.benchmark.gates.task import (
    curves_not_points,
    has_baseline,
    no_over_resolved_baseline,
    tasks_are_fixed,
    trivial_answers_ran,
    truth_does_not_compete,
    truth_is_better,
)
from sciml.benchmark.records import Run, Task

__all__ = ["GATES", "Finding", "Unranked", "judge", "refusals", "unranked_reason", "unranked_rows"]

GATES: tuple[Gate, ...] = (
    tasks_are_fixed,
    truth_is_better,
    trivial_answers_ran,
    has_baseline,
    curves_not_points,
    truth_does_not_compete,
    no_over_resolved_baseline,
    phases_apart,
    equal_means,
    same_evaluation,
    warm_up_excluded,
    enough_repeats,
    seeds_fixed,
    failures_count,
    two_norms,
    time_to_an_error,
    equal_tuning,
    tuning_apart,
    hidden_members,
    out_of_range,
    every_attempt_recorded,
    provenance,
    error_bars_checked,
)
"""All gates, in the order of the report."""


def judge(run: Run) -> list[Finding]:
    """The findings of all gates, in their order."""
    return [finding for gate in GATES for finding in gate(run)]


def unranked_reason(
    findings: Sequence[Finding], run: Run, task: Task, method: str, row: str | None = None
) -> str | None:
    """Why a method (or one row of it) is not ranked on a task; None where it is.

    Where no baseline of the task's problem is ranked, nobody is.
    """
    own = _direct_reason(findings, task.key, method, row)
    if own is not None:
        return own
    baselines = run.baselines(task.problem)
    reasons = [_direct_reason(findings, task.key, baseline, None) for baseline in baselines]
    if all(reason is not None for reason in reasons):
        return f"no baseline is ranked here: {reasons[0]}" if reasons else "the problem has no baseline"
    return None


def _direct_reason(findings: Sequence[Finding], task: str, method: str, row: str | None) -> str | None:
    for finding in findings:
        if any(unranked.matches(task, method, row) for unranked in finding.unranks):
            return finding.reason
    return None


def unranked_rows(findings: Sequence[Finding]) -> frozenset[str]:
    """Keys of rows that are left out by themselves, without their method or task."""
    return frozenset(u.row for finding in findings for u in finding.unranks if u.row is not None)
