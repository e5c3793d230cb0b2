"""Gates on tuning, on what was tested beside the named tasks, and on the record."""

from __future__ import annotations

from collections.abc import Iterator

from sciml.benchmark.gates.facts import (
    is_family,
    is_untuned,
    missing_cells,
    whole_space,
)
from sciml.benchmark.gates.finding import Finding, Unranked, broken, gate, kept, several, unchecked
from sciml.benchmark.records import Run
from sciml.benchmark.statistics import coverage


@gate("equal tuning", "All methods had the same number of trials, or their whole space, or nothing to tune.")
def equal_tuning(run: Run) -> Iterator[Finding]:
    """By the trials that were recorded."""
    tuning = run.suite.tuning
    if tuning is None:
        yield kept("Nothing is tuned: every method runs with the options that the suite states.")
        return
    for method in sorted({row.method for row in run.rows}):
        if method not in run.suite.method_names:
            yield broken(f"{method} is none of the suite's methods.", Unranked(method=method))
            continue
        whole = whole_space(run.suite, method)
        if is_untuned(run.suite, method):
            yield broken(f"{method} was not tuned although its opponents were.", Unranked(method=method))
            continue
        excused = any(entry.why_untuned for entry in run.method_entries(method))
        needed = 0 if whole <= 1 or excused else min(tuning.trials, whole)
        tuned = run.tuned.get(method)
        trials = 0 if tuned is None else len(tuned.trials)
        if trials < needed:
            yield broken(
                f"{method} had {several(trials, 'tuning trial')}, its opponents {tuning.trials}.",
                Unranked(method=method),
            )
        elif trials > tuning.trials:
            yield broken(
                f"{method} had {trials} tuning trials, its opponents {tuning.trials}.", Unranked(method=method)
            )


@gate("tuning apart from tests", "No method was tuned on a task that it is tested on.")
def tuning_apart(run: Run) -> Iterator[Finding]:
    """Keys of the tasks of tuning against those of the tests."""
    tested = {task.key: task for task in run.tasks}
    seen = {name: set(tuned.tasks) for name, tuned in run.tuned.items()}
    for attempt in run.attempts:
        if attempt.stage == "tuning" and attempt.task is not None:
            seen.setdefault(attempt.method, set()).add(attempt.task.key)
    for method, tasks in sorted(seen.items()):
        common = sorted(tasks & set(tested))
        if common:
            yield broken(
                f"{method} was tuned on {tested[common[0]].label}, which is a test"
                f"{f' (and {len(common) - 1} more)' if len(common) > 1 else ''}.",
                Unranked(method=method),
            )


@gate("hidden members", "Families are tested on hidden members that were drawn at random.")
def hidden_members(run: Run) -> Iterator[Finding]:
    """Where a problem is a family."""
    for problem in run.problems:
        family = is_family(problem)
        if family is None:
            yield unchecked(f"{problem} cannot be loaded here, so whether it is a family is not known.")
        tasks = [task for task in run.tasks if task.problem == problem]
        if family and not any(task.role == "hidden" for task in tasks):
            yield broken(f"{problem} is a family without hidden members.", *(Unranked(task=task.key) for task in tasks))


@gate("out of range", "Methods that learn once over a range are tested outside of it too.")
def out_of_range(run: Run) -> Iterator[Finding]:
    """Where a method has one-off costs of training."""
    once = {row.method for row in run.rows if row.measured and row.measured.one_off_cpu_seconds > 0}
    for method in sorted(once):
        for problem in run.problems:
            rows = [row for row in run.rows if row.method == method and row.task.problem == problem]
            if rows and not any(row.task.role == "out_of_range" for row in rows):
                yield broken(
                    f"{method} learns once for all of {problem} and was not tested out of range.",
                    *(Unranked(key, method) for key in sorted({row.task.key for row in rows})),
                )


@gate("every attempt recorded", "Every cell that was started has its outcome in the ledger.")
def every_attempt_recorded(run: Run) -> Iterator[Finding]:
    """Starts without an outcome, and cells that have not run yet."""
    if run.interrupted:
        count = len(run.interrupted)
        yield broken(
            f"Of {several(count, 'cell')} there is a start and no outcome: run the suite again with the same --out.",
            Unranked(),
        )
    elif missing := missing_cells(run):
        yield broken(f"{several(missing, 'cell')} did not run yet: the run is unfinished.", Unranked())


@gate("provenance", "Commit, versions, machine, wall time and memory are recorded.")
def provenance(run: Run) -> Iterator[Finding]:
    """Of every session and every row."""
    if not run.sessions:
        yield broken("No session is recorded, so neither machine nor versions are known.", Unranked())
    for session in run.sessions:
        if not session.machine or not session.versions:
            yield broken(f"Session {session.number} records no machine or no versions.", Unranked())
        if session.commit is None:
            yield kept(f"Session {session.number} ran an installed package: its version stands for the commit.")
        elif session.commit.endswith("-dirty"):
            yield kept(f"Session {session.number} ran a working copy with changes ({session.commit}).")
    bare = [row for row in run.rows if row.measured and not (row.wall_seconds > 0 and row.peak_memory > 0)]
    if bare:
        yield broken(
            f"{several(len(bare), 'row')} without wall time or peak memory.",
            *(Unranked(row.task.key, row.method, row.key) for row in bare),
        )


@gate("error bars are checked", "No method states an error of its own.")
def error_bars_checked(run: Run) -> Iterator[Finding]:
    """How often the true error lies within the stated one."""
    for method in sorted({row.method for row in run.rows}):
        cells = [row.measured for row in run.rows if row.method == method and row.measured is not None]
        held = coverage([cell.covered for cell in cells if cell.covered is not None])
        if held is not None:
            yield kept(
                f"{held.covered} of {held.count} error bars of {method} hold "
                f"({100 * held.low:.0f}–{100 * held.high:.0f} % with 95 % confidence)."
            )
        unknown = sum(cell.error_estimate is not None and cell.covered is None for cell in cells)
        if unknown:
            yield unchecked(
                f"{several(unknown, 'row')} of {method} state an error that was not compared to the true one."
            )
