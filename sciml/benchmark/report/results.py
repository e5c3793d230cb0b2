"""Sections on who reaches what in what time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from sciml.benchmark.records import Candidate, Task
from sciml.benchmark.report import text
from sciml.benchmark.report.blocks import Block, Bullets, Heading, Paragraph, Section, Table
from sciml.benchmark.report.view import View
from sciml.benchmark.statistics import (
    Curve,
    break_even,
    error_within,
    rank_distribution,
    spread,
    time_to_error,
    win_probabilities,
)

__all__ = [
    "NORM_NAMES",
    "costs",
    "error_in_time",
    "headline",
    "losses",
    "ranking",
    "short_label",
    "time_to_errors",
]

_RANKED_ROLES = ("named", "hidden")
NORM_NAMES = {"relative_l2": "relative L2", "relative_h1": "relative H1", "relative_max": "relative max"}
_NEVER = "not reached"
_LIMITED = "reference-limited"


# -- headline ----------------------------------------------------------------------------------------------------------


def headline(view: View) -> Section:
    """Who reaches which ε in what time, in sentences."""
    blocks: list[Block] = []
    for problem in view.run.problems:
        tasks = view.tasks(problem, *_RANKED_ROLES)
        placements = list(dict.fromkeys(candidate.placement for candidate in view.competitors(problem)))
        for placement in placements:
            candidates = [c for c in view.competitors(problem) if c.placement == placement]
            where = f", {placement}" if len(placements) > 1 else ""
            roles = Counter(task.role for task in tasks)
            count = text.joined([f"{number} {role} task{'s' * (number > 1)}" for role, number in roles.items()])
            blocks += [Heading(f"{problem}{where} ({count})"), Bullets(_sentences(view, tasks, candidates))]
    return Section("Headline", blocks or [Paragraph("No method has finished a cell yet.")])


def _sentences(view: View, tasks: Sequence[Task], candidates: Sequence[Candidate]) -> list[str]:
    ranked = [c for c in candidates if any(view.ranked(task, c) is not None for task in tasks)]
    found = [_first(view, tasks, ranked, error) for error in view.run.suite.accuracy.errors] if ranked else []
    reasons: dict[str, list[str]] = {}
    for candidate in candidates:
        why = [view.why_unranked(task, candidate.method) for task in tasks if candidate in view.present(task)]
        if (without := [reason for reason in why if reason]) and without:
            where = "" if len(without) == len(why) else f" on {len(without)} of {len(why)} tasks"
            reasons.setdefault(f"{where}: {without[0]}", []).append(view.name(candidate))
    return found + [f"Not ranked: {text.joined(names)}{reason}" for reason, names in reasons.items()]


def _first(view: View, tasks: Sequence[Task], candidates: Sequence[Candidate], error: float) -> str:
    within = [task for task in tasks if error >= view.floor(task)]
    goal = f"Error {text.epsilon(error)}"
    if not within:
        return f"{goal}: no truth is accurate enough to tell."
    costs = {c: view.typical_time(within, c, error, ranked=True) for c in candidates}
    order = sorted((c for c in candidates if math.isfinite(costs[c])), key=lambda c: costs[c])
    others = [view.name(c) for c in candidates if not math.isfinite(costs[c])]
    if not order:
        return f"{goal}: reached by none of {text.joined(others)}."
    said = []
    for candidate in order:
        verb, bound = "takes" if said else "is first, in", _at_most(view, within, candidate, error)
        factor = _factor(view, within, candidate, error) if said else ""
        once = max(_one_off(view, task, candidate) for task in within)
        factor += f" a query, after {text.seconds(once)} once" if once else ""
        said.append(f"{view.name(candidate)} {verb} {bound}{text.seconds(costs[candidate])}{factor}")
    missing = [f"not reached by {text.joined(others)}"] if others else []
    return f"{goal}: {'; '.join(said + missing)}."


def _at_most(view: View, tasks: Sequence[Task], candidate: Candidate, error: float) -> str:
    curves = [curve for task in tasks if (curve := view.ranked(task, candidate)) is not None]
    return "at most " if any(time_to_error(curve, error).at_most for curve in curves) else ""


def _factor(view: View, tasks: Sequence[Task], candidate: Candidate, error: float) -> str:
    ratios = [found[1] for task in tasks if (found := view.ratio(task, candidate, error)) is not None]
    if not ratios:
        return ""
    return f" ({text.times(math.exp(float(np.mean(np.log(ratios)))))} the best baseline's, where their curves overlap)"


# -- tables ------------------------------------------------------------------------------------------------------------


def time_to_errors(view: View) -> Section:
    """Time to reach each ε, with the range over seeds or repeats and the ratio to the best baseline."""
    errors = view.run.suite.accuracy.errors
    clock = "CPU seconds" if view.run.clock == "cpu_seconds" else "wall seconds"
    blocks: list[Block] = [
        Paragraph(
            f"Median {clock} of one query to reach a {_norm(view)} error, with the range over seeds (or repeats, where "
            f"nothing is random) in brackets. Times are interpolated between neighbours of a sweep, log–log, and never "
            f"beyond: ≤ says that the cheapest measured point is already better. The factor is to the best ranked "
            f"baseline, where both curves were measured around that error. ◆ baseline, † not ranked (see Gates)."
        )
    ]
    for problem in view.run.problems:
        rows = []
        for task in view.tasks(problem):
            rows += [
                [short_label(task), view.marked(c, task), *(_time_cell(view, task, c, error) for error in errors)]
                for c in view.present(task)
            ]
        columns = ["task", "method", *(f"error {text.epsilon(error)}" for error in errors)]
        blocks += [Heading(problem), Table(columns, rows)]
    return Section("Time to an error", blocks)


def _time_cell(view: View, task: Task, candidate: Candidate, error: float) -> str:
    curve = view.curve(task, candidate)
    if curve is None:
        return "–"
    if error < view.floor(task):
        return _LIMITED
    reached = time_to_error(curve, error)
    if not reached.is_reached:
        return _NEVER
    said = f"{'≤ ' if reached.at_most else ''}{text.seconds(reached.cost)}{_range(view, curve, error)}"
    found = view.ratio(task, candidate, error)
    return said if found is None else f"{said} · {text.times(found[1])}"


def _range(view: View, curve: Curve, error: float) -> str:
    values = view.sample_times(curve, error)
    if len(values) < 2:
        return ""
    over = spread(values)
    high = text.seconds(over.greatest) if math.isfinite(over.greatest) else "never"
    low = text.seconds(over.least) if math.isfinite(over.least) else "never"
    return f" [{low}]" if low == high else f" [{low} – {high}]"


def error_in_time(view: View) -> Section:
    """The error that is reached within T."""
    limits = view.run.suite.accuracy.cpu_seconds
    if not limits:
        return Section("Error within a time", [Paragraph("The suite states no times.")])
    scales = sorted({view.run.scale_of(row) for row in view.run.rows})
    scaled = f"here {text.joined([text.plain(s) for s in scales])} times as long" if scales else "not measured here"
    blocks: list[Block] = [
        Paragraph(
            f"Smallest median {_norm(view)} error that is reached within a stated time. Times are those of a core with "
            f"49 GFLOP/s, {scaled}. ◆ baseline, † not ranked."
        )
    ]
    for problem in view.run.problems:
        rows = []
        for task in view.tasks(problem):
            for candidate in view.present(task):
                curve, scale = view.curve(task, candidate), view.run.scale_of(view.rows(task, candidate)[0])
                errors = [error_within(curve, limit * scale) if curve else math.inf for limit in limits]
                cells = [_error_cell(error, view.floor(task)) for error in errors]
                rows.append([short_label(task), view.marked(candidate, task), *cells])
        columns = ["task", "method", *(f"within {text.seconds(limit)}" for limit in limits)]
        blocks += [Heading(problem), Table(columns, rows)]
    return Section("Error within a time", blocks)


def _error_cell(error: float, floor: float) -> str:
    if not math.isfinite(error):
        return "nothing yet"
    return f"≤ {text.error(floor)}" if error <= floor else text.error(error)


def costs(view: View) -> Section:
    """One-off costs, costs per query, and when the first pay off."""
    blocks: list[Block] = [
        Paragraph(
            "One-off: CPU seconds of tuning, and of data and training that queries share. A method breaks even with "
            "the best ranked baseline (its own tuning counted) from that number of queries on; never, where a query is "
            "no cheaper. An empty cell: not both reach that error, or one is not ranked."
        )
    ]
    errors = view.run.suite.accuracy.errors
    for problem in view.run.problems:
        rows = []
        for task in view.tasks(problem):
            for candidate in view.present(task):
                cells = [_query(view, task, candidate, error) for error in errors]
                tuning, training = _tuning_cost(view, candidate), _training(view, task, candidate)
                rows.append([short_label(task), view.marked(candidate, task), tuning, training, *cells])
        columns = ["task", "method", "tuning", "data, training", *(f"error {text.epsilon(e)}" for e in errors)]
        blocks += [Heading(problem), Table(columns, rows)]
    return Section("Three costs", blocks)


def _tuned_seconds(view: View, candidate: Candidate) -> float:
    tuned = view.run.tuned.get(candidate.method)
    return 0.0 if tuned is None else tuned.cpu_seconds


def _tuning_cost(view: View, candidate: Candidate) -> str:
    value = _tuned_seconds(view, candidate)
    return text.seconds(value) if value else "none"


def _training(view: View, task: Task, candidate: Candidate) -> str:
    value = _one_off(view, task, candidate)
    return text.seconds(value) if value else "per query"


def _one_off(view: View, task: Task, candidate: Candidate) -> float:
    values = [row.measured.one_off_cpu_seconds for row in view.rows(task, candidate) if row.measured]
    return max(values, default=0.0)


def _query(view: View, task: Task, candidate: Candidate, error: float) -> str:
    curve = view.ranked(task, candidate)
    reached = time_to_error(curve, error) if curve is not None and error >= view.floor(task) else None
    if reached is None or not reached.is_reached:
        return ""
    said = f"{'≤ ' if reached.at_most else ''}{text.seconds(reached.cost)} a query"
    found = view.best_baseline(task, candidate, error)
    if found is None or view.is_baseline(candidate, task.problem):
        return said
    baseline, other = found
    number = break_even(
        _tuned_seconds(view, candidate) + _one_off(view, task, candidate),
        reached.cost,
        _tuned_seconds(view, baseline) + _one_off(view, task, baseline),
        other.cost,
    )
    return f"{said}, {_pays(number)}"


def _pays(number: float) -> str:
    if not math.isfinite(number):
        return "never"
    return "from the first" if number <= 1 else f"from {text.count(number)} queries"


# -- ranking -----------------------------------------------------------------------------------------------------------


def ranking(view: View) -> Section:
    """Win probabilities and ranks, from seeds that are drawn again."""
    if not view.run.suite.ranking:
        return Section("Ranking", [Paragraph("The suite does not rank (ranking = false).")])
    blocks: list[Block] = [
        Paragraph(
            "How often a method is the first to reach an error where the seeds (or repeats) of each are drawn again "
            "2,000 times, mean over named and hidden tasks; a failure is never first. Places: how often it is first, "
            "second, … over all tasks and errors. Methods are ranked within one placement."
        )
    ]
    for problem in view.run.problems:
        for placement in dict.fromkeys(c.placement for c in view.competitors(problem)):
            table = _ranking_table(view, problem, placement)
            heading = problem if len(view.run.suite.placements) == 1 else f"{problem}, {placement}"
            nobody = Paragraph("Nobody is ranked: see Gates for the reasons.")
            blocks += [Heading(heading), table if table is not None else nobody]
    return Section("Ranking", blocks)


def _ranking_table(view: View, problem: str, placement: str) -> Table | None:
    tasks = view.tasks(problem, *_RANKED_ROLES)
    errors = view.run.suite.accuracy.errors
    candidates = [
        c
        for c in view.competitors(problem)
        if c.placement == placement and any(view.ranked(task, c) is not None for task in tasks)
    ]
    if not candidates:
        return None
    wins: dict[float, list[dict[str, float]]] = {error: [] for error in errors}
    places: list[dict[str, np.ndarray]] = []
    for task in tasks:
        curves = {view.name(c): curve for c in candidates if (curve := view.ranked(task, c)) is not None}
        for error in errors:
            if error < view.floor(task) or not curves:
                continue
            scores = {name: view.sample_times(curve, error) for name, curve in curves.items()}
            won = win_probabilities(scores)
            wins[error].append({**won.shares, "nobody": won.nobody})
            if len(curves) == len(candidates):
                places.append(rank_distribution(scores))
    names = [view.name(c) for c in candidates]
    ranks = {name: np.mean([p[name] for p in places], axis=0) for name in names} if places else {}
    rows = [
        [name, *(_mean_share(wins[error], name) for error in errors), *_places(ranks.get(name), len(names))]
        for name in names
    ]
    rows.sort(key=lambda row: -_expected(ranks.get(row[0]), len(names)))
    rows.append(["nobody", *(_mean_share(wins[error], "nobody") for error in errors), *[""] * len(names)])
    columns = [
        "method",
        *(f"first to {text.epsilon(e)}" for e in errors),
        *(f"place {k + 1}" for k in range(len(names))),
    ]
    return Table(columns, rows, text_columns=1)


def _mean_share(wins: Sequence[dict[str, float]], name: str) -> str:
    return text.percent(float(np.mean([won.get(name, 0.0) for won in wins]))) if wins else "–"


def _places(shares: np.ndarray | None, count: int) -> list[str]:
    return ["–"] * count if shares is None else [text.percent(float(share)) for share in shares]


def _expected(shares: np.ndarray | None, count: int) -> float:
    return 0.0 if shares is None else -float(shares @ np.arange(1, count + 1))


# -- losses ------------------------------------------------------------------------------------------------------------


def losses(view: View) -> Section:
    """Where each method is beaten, learned ones by baselines, baselines by anybody."""
    blocks: list[Block] = []
    for candidate in view.run.candidates:
        learned = candidate.method in view.run.learned
        sentences = []
        for task in view.run.tasks:
            if candidate not in view.present(task):
                continue
            rivals = [
                other
                for other in view.present(task)
                if other != candidate
                and other.placement == candidate.placement
                and (not learned or view.is_baseline(other, task.problem) or other.method not in view.run.learned)
            ]
            lost = [said for e in view.run.suite.accuracy.errors if (said := _lost(view, task, candidate, rivals, e))]
            if lost:
                sentences.append(f"{task.label}: {'; '.join(lost)}.")
        kind = "learned" if learned else "classical"
        against = "classical methods" if learned else "any other method"
        none = Paragraph(f"To no stated error, on no task, is it slower than {against} at the same placement.")
        blocks += [Heading(f"{view.name(candidate)} ({kind})"), Bullets(sentences) if sentences else none]
    return Section("Where it loses", blocks)


def _lost(view: View, task: Task, candidate: Candidate, rivals: Sequence[Candidate], error: float) -> str:
    if error < view.floor(task):
        return ""
    own_curve = view.curve(task, candidate)
    reached = {
        other: found
        for other in rivals
        if (curve := view.curve(task, other)) is not None and (found := time_to_error(curve, error)).is_reached
    }
    if own_curve is None or not reached:
        return ""
    own = time_to_error(own_curve, error)
    rival = min(reached, key=lambda other: reached[other].cost)
    best = reached[rival]
    if own.cost <= best.cost:
        return ""
    goal, bound = text.epsilon(error), "≤ " if best.at_most else ""
    theirs = f"{view.name(rival)} {bound}{text.seconds(best.cost)}"
    if not own.is_reached:
        return f"error {goal} not reached ({theirs})"
    if own.at_most or best.at_most:
        return f"error {goal} in {'≤ ' if own.at_most else ''}{text.seconds(own.cost)} ({theirs})"
    return f"error {goal} in {text.times(own.cost / best.cost)} the time ({text.seconds(own.cost)}; {theirs})"


def short_label(task: Task) -> str:
    """The task's label without the problem, which stands above."""
    label = task.label.removeprefix(task.problem).strip(" ,:()") or "as declared"
    role = task.role.replace("_", " ")
    return label if task.role == "named" or role in label else f"{label} ({role})"


def _norm(view: View) -> str:
    return NORM_NAMES[view.run.norm]
