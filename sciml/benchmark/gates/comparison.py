"""Gates on how methods are timed and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sciml.benchmark.curves import point_label, sample_rows
from sciml.benchmark.gates.facts import (
    MIN_REPEATS,
    MIN_SEEDS,
)
from sciml.benchmark.gates.finding import Finding, Unranked, broken, gate, kept, several, unchecked
from sciml.benchmark.records import Row, Run, Task
from sciml.benchmark.suite import NORMS

_PHASES = ("setup", "train", "solve", "post")


@gate(
    "phases apart", "Set-up, training, solve and post-processing are timed apart; threads, device, precision stand by."
)
def phases_apart(run: Run) -> Iterator[Finding]:
    """Every measured row has them."""
    lacking: dict[str, list[Row]] = {}
    for row in run.rows:
        cell = row.measured
        if cell is None:
            continue
        timed = bool(cell.timings) and all(phase in timing for timing in cell.timings for phase in _PHASES)
        if not (timed and cell.threads and cell.device and cell.precision):
            lacking.setdefault(row.method, []).append(row)
    for method, rows in lacking.items():
        yield broken(
            f"{several(len(rows), 'row')} of {method} lack times of the phases, threads, device or precision.",
            *(Unranked(row.task.key, row.method, row.key) for row in rows),
        )


@gate("equal means", "Methods are ranked against others with the same threads, device, precision and machine only.")
def equal_means(run: Run) -> Iterator[Finding]:
    """What a cell recorded is what its placement says, and one machine did all that is ranked."""
    for row in run.rows:
        cell, placement = row.measured, row.placement
        if cell is None:
            continue
        said = (placement.get("threads"), placement.get("precision"), str(placement.get("device", "")).split(":")[0])
        used = (cell.threads, cell.precision, cell.device.split(":")[0])
        if any(a not in (None, "", "all") and a != b for a, b in zip(said, used)):
            yield broken(
                f"{row.task.label}: {row.method} ran with {used} in place of {said} (threads, precision, device).",
                Unranked(row.task.key, row.method, row.key),
            )
    used_sessions = {row.session for row in run.rows}
    machines = {_processor(s.machine) for s in run.sessions if s.number in used_sessions} - {""}
    if len(machines) > 1:
        yield broken(f"Rows come from several kinds of machine ({'; '.join(sorted(machines))}).", Unranked())


def _processor(machine: object) -> str:
    if not isinstance(machine, dict):
        return ""
    return str(machine.get("cpu") or machine.get("cpu_model") or machine.get("processor") or "")


@gate("same evaluation", "All methods of a task are evaluated at the same points in float64.")
def same_evaluation(run: Run) -> Iterator[Finding]:
    """By the number of points that the cells say."""
    silent = False
    for task in run.tasks:
        said = {row.measured.errors.get("n_points") for row in run.rows_of(task.key) if row.measured is not None}
        silent |= None in said
        if len(said - {None}) > 1:
            yield broken(f"{task.label}: rows were evaluated at different points.", Unranked(task=task.key))
    if silent:
        yield unchecked("Some cells do not say at how many points they were evaluated.")


@gate("warm-up excluded", "What only the first solve of a process costs is not timed.")
def warm_up_excluded(run: Run) -> Iterator[Finding]:
    """Every measured row says what its warm-up was."""
    rows = [row for row in run.rows if row.measured is not None and not row.measured.warm_up]
    for method, count in Counter(row.method for row in rows).items():
        of_method = [row for row in rows if row.method == method]
        yield broken(
            f"{several(count, 'row')} of {method} record no warm-up.",
            *(Unranked(row.task.key, method, row.key) for row in of_method),
        )


@gate("enough repeats", f"{MIN_REPEATS} timed repeats where nothing is random, {MIN_SEEDS} seeds where something is.")
def enough_repeats(run: Run) -> Iterator[Finding]:
    """Repeats of each row, or seeds of each point of the sweep."""
    few: dict[tuple[str, str], list[tuple[Task, int]]] = {}
    for task in run.tasks:
        for candidate in sorted({row.candidate for row in run.rows_of(task.key)}):
            rows = run.rows_of(task.key, candidate=candidate)
            by_seed = candidate.method in run.learned or sample_rows(rows) == "seeds"
            if by_seed:
                points = Counter(point_label(row.point) for row in rows)
                least, noun = min(points.values()), "seed"
            else:
                least, noun = (
                    min((len(row.measured.timings) for row in rows if row.measured), default=0),
                    "timed repeat",
                )
            if least < (MIN_SEEDS if by_seed else MIN_REPEATS) and any(row.measured for row in rows):
                few.setdefault((candidate.method, noun), []).append((task, least))
    for (method, noun), tasks in few.items():
        least = min(count for _, count in tasks)
        yield broken(
            f"{method} has {several(least, noun)} on {several(len(tasks), 'task')}; a ranking needs {MIN_SEEDS}.",
            *(Unranked(task.key, method) for task, _ in tasks),
        )


@gate("seeds fixed before", "All seeds stand in the suite, whose digest the ledger began with.")
def seeds_fixed(run: Run) -> Iterator[Finding]:
    """No row has a seed that the suite does not list."""
    stated = set(run.suite.statistics.seeds)
    for method in sorted({row.method for row in run.rows}):
        foreign = sorted({row.seed for row in run.rows if row.method == method} - stated)
        if foreign and (method in run.learned or len(foreign) > 1):
            yield broken(f"{method} ran with seeds {foreign} that the suite does not state.", Unranked(method=method))


@gate("failures count", "No cell failed.")
def failures_count(run: Run) -> Iterator[Finding]:
    """Failed cells are not left out: they reach no error and win nothing."""
    failed = [row for row in run.rows if row.measured is None and row.reason != "unsupported"]
    nameless = [row for row in failed if not row.reason]
    if nameless:
        yield broken(f"{several(len(nameless), 'failed cell')} without a typed reason.", Unranked())
    if failed:
        yield kept(f"{several(len(failed), 'failed cell')} of {len(run.rows)} count as not reached, in every median.")


@gate("two norms", "L2 and max errors of every row, H1 for elliptic problems, a roll-out for those that run in time.")
def two_norms(run: Run) -> Iterator[Finding]:
    """By what the truth says of the problem."""
    lacking: dict[tuple[str, str], list[Row]] = {}
    for row in run.rows:
        truth, cell = run.truths.get(row.task.key), row.measured
        if cell is None or truth is None:
            continue
        needed = ["relative_l2", "max_error", *(["relative_h1"] if truth.elliptic else [])]
        missing = [norm for norm in needed if cell.errors.get(norm) is None]
        missing += ["roll-out"] if truth.evolves and not cell.rollout else []
        if missing:
            lacking.setdefault((row.method, ", ".join(missing)), []).append(row)
    for (method, missing), rows in lacking.items():
        yield broken(
            f"{several(len(rows), 'row')} of {method} without {missing}.",
            *(Unranked(row.task.key, method, row.key) for row in rows),
        )


@gate("time to an error", "The ranking goes by the time to reach an error, never by iterations.")
def time_to_an_error(run: Run) -> Iterator[Finding]:
    """The norm and the objective of tuning."""
    if run.norm not in NORMS:
        yield broken(f"The ranking goes by {run.norm!r}, which is no norm of the error.", Unranked())
