"""Sections on what was compared and how: gates, failures, tuning, provenance."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from sciml.benchmark.gates import GATES, Finding
from sciml.benchmark.gates.facts import missing_cells
from sciml.benchmark.ledger import LOST
from sciml.benchmark.records import ROLES
from sciml.benchmark.report import text
from sciml.benchmark.report.blocks import Block, Bullets, Code, Heading, Paragraph, Section, Table
from sciml.benchmark.report.view import View
from sciml.benchmark.suite import Method

__all__ = ["cannot", "compared", "failures", "gates", "provenance", "tuning", "unfinished"]


def unfinished(view: View) -> list[Block]:
    """A warning where not all cells have run."""
    count = missing_cells(view.run)
    if not count:
        return []
    cells = f"{count} cell{'s' if count > 1 else ''}"
    said = f"This run is unfinished: {cells} without a finished attempt. What there is, is shown."
    return [Paragraph(said, "warning")]


def compared(view: View) -> Section:
    """Problems with their truth and baselines; methods with their sweep."""
    blocks: list[Block] = [Paragraph(" ".join(view.run.suite.about.split()))] if view.run.suite.about.strip() else []
    return Section("What was compared", [*blocks, _problems(view), _methods(view), *_baselines(view)])


def _problems(view: View) -> Table:
    rows = []
    for problem in view.run.problems:
        tasks = view.tasks(problem)
        counts = Counter(task.role for task in tasks)
        truths = [truth for task in tasks if (truth := view.run.truths.get(task.key)) is not None]
        errors = [truth.error for truth in truths if truth.error is not None]
        kinds = text.joined(sorted({truth.kind for truth in truths})) if truths else "none"
        worst = text.error(max(errors)) if errors else "not measured"
        rows.append([problem, kinds, worst, *(str(counts.get(role, 0)) for role in ROLES[:3])])
    columns = ["problem", "truth", "its error, at most", "named tasks", "hidden", "out of range"]
    return Table(columns, rows, "Problems, and the truth that errors are measured against.")


def _methods(view: View) -> Table:
    rows = []
    for method in view.run.suite.methods:
        tuned = view.run.tuned.get(method.name)
        own = {k: v for k, v in (tuned.chosen or {}).items() if k not in method.options} if tuned else {}
        chosen = text.options(own) if own else "its defaults" if tuned else "–"
        rows.append([method.name, method.solver, text.options(method.options), _sweep(method), chosen])
    columns = ["method", "solver", "fixed options", "swept over", "tuned to"]
    return Table(columns, rows, "Methods.", text_columns=len(columns))


def _sweep(method: Method) -> str:
    if isinstance(method.sweep, Mapping):
        return "; ".join(f"{key}: {', '.join(map(str, values))}" for key, values in method.sweep.items()) or "–"
    return "; ".join(text.options(point) for point in method.sweep)


def _baselines(view: View) -> list[Block]:
    said = [
        f"{entry.name}: {baseline.method}. {baseline.why}"
        for entry in view.run.suite.problems
        for baseline in entry.baselines
    ]
    return [Heading("Why the baselines are efficient"), Bullets(said)] if said else []


def gates(view: View) -> Section:
    """Every gate's outcome."""
    outcomes = Counter(finding.outcome for finding in view.findings)
    broken = [finding for finding in view.findings if finding.outcome == "broken"]
    names = len({finding.gate for finding in broken})
    said = (
        f"{len(GATES)} gates, {names} of them broken; {outcomes['not checked']} remarks on what could not be checked. "
    )
    said += "What breaks a gate stays in all tables and takes no part in the ranking."
    rows = [[finding.gate, finding.outcome, finding.reason, _unranked(view, finding)] for finding in view.findings]
    return Section("Gates", [Paragraph(said), Table(["gate", "outcome", "why", "not ranked"], rows, text_columns=4)])


def _unranked(view: View, finding: Finding) -> str:
    if not finding.unranks:
        return ""
    labels = {task.key: task.label for task in view.run.tasks}
    rows = sum(u.row is not None for u in finding.unranks)
    whole = [u for u in finding.unranks if u.row is None]
    said = list(
        dict.fromkeys(
            " on ".join([u.method or "all", *([labels.get(u.task, u.task)] if u.task is not None else [])])
            for u in whole
        )
    )
    shown = said[:4] + ([f"{len(said) - 4} more"] if len(said) > 4 else [])
    return "; ".join(shown + ([f"{rows} row{'s' if rows > 1 else ''}"] if rows else []))


def failures(view: View) -> Section:
    """Every attempt that failed, with its typed reason."""
    failed = [attempt for attempt in view.run.attempts if attempt.reason not in (None, "unsupported")]
    if not failed:
        return Section("Failures", [Paragraph(f"None of {len(view.run.attempts)} attempts failed.")])
    counts = Counter(str(attempt.reason) for attempt in failed)
    said = f"{len(failed)} of {len(view.run.attempts)} attempts: "
    said += text.joined([f"{count} × {reason.replace('_', ' ')}" for reason, count in counts.most_common()]) + "."
    if any(reason in LOST for reason in counts):
        said += " Lost attempts (interrupted, worker lost) were tried again."
    rows = [
        [
            attempt.stage,
            attempt.method or "truth",
            attempt.task.label if attempt.task is not None else "–",
            attempt.text,
            str(attempt.reason).replace("_", " "),
            attempt.message,
            text.seconds(attempt.cpu_seconds),
            text.memory(attempt.peak_memory),
            attempt.key,
        ]
        for attempt in failed
    ]
    columns = ["stage", "method", "task", "cell", "reason", "message", "CPU", "memory", "key"]
    return Section("Failures", [Paragraph(said), Table(columns, rows, text_columns=6)])


def cannot(view: View) -> Section:
    """What methods cannot do, and what they were not asked for."""
    refused = {(c.method, c.problem): c.reason for c in view.run.cannot}
    for attempt in view.run.attempts:
        if attempt.reason == "unsupported" and attempt.task is not None:
            refused.setdefault((attempt.method, attempt.task.problem), attempt.message)
    for method in view.run.suite.method_names:
        for entry in view.run.suite.problems:
            if not view.run.method_entries(method, entry.name):
                refused.setdefault((method, entry.name), "the suite does not run it there")
    if not refused:
        return Section("What methods cannot do", [Paragraph("Every method ran on every problem.")])
    rows = [[method, problem, reason] for (method, problem), reason in refused.items()]
    return Section("What methods cannot do", [Table(["method", "problem", "why"], rows, text_columns=3)])


def tuning(view: View) -> Section:
    """Trials, what was chosen, why not."""
    settings = view.run.suite.tuning
    if settings is None:
        return Section("Tuning", [Paragraph("Nothing was tuned: methods ran with the options that the suite states.")])
    goal = (
        f"time to an error of {text.epsilon(settings.error)}" if settings.objective == "time" else "the smallest error"
    )
    said = f"{settings.trials} trials for each method that has something to tune, defaults first, judged by {goal}, on "
    said += "tasks that are not tested on."
    rows = []
    for method in view.run.suite.method_names:
        tuned = view.run.tuned.get(method)
        why = next((e.why_untuned for e in view.run.method_entries(method) if e.why_untuned), "nothing to tune")
        if tuned is None or not tuned.trials:
            rows.append([method, why, "–", "0", "–"])
            continue
        tried = "; ".join(f"{text.options(t.get('options') or {})}: {_score(t.get('score'))}" for t in tuned.trials)
        chosen = text.options(tuned.chosen or {})
        rows.append([method, chosen, tried, str(len(tuned.trials)), text.seconds(tuned.cpu_seconds)])
    columns = ["method", "chosen", "tried: score", "trials", "CPU"]
    return Section("Tuning", [Paragraph(said), Table(columns, rows, text_columns=3)])


def _score(score: Any) -> str:
    if isinstance(score, dict):
        known = {name: value for name, value in score.items() if value is not None}
        return ", ".join(f"{name} {text.plain(float(value))}" for name, value in known.items()) or "failed"
    return text.plain(float(score)) if isinstance(score, (int, float)) else "failed"


def provenance(view: View) -> Section:
    """Machines, versions, and how a row is run again."""
    run = view.run
    cpu = sum(attempt.cpu_seconds for attempt in run.attempts)
    peak = max((attempt.peak_memory for attempt in run.attempts), default=0)
    said = (
        f"{len(run.attempts)} attempts, {text.seconds(cpu)} of CPU time in all (stated for a core of 49 GFLOP/s: "
        f"{run.suite.cpu_hours:g} h), peak memory of a cell {text.memory(peak)}. Suite {run.suite.name}, digest "
        f"{str(run.header.get('digest', ''))[:16]}, sciml {run.header.get('version', '?')}."
    )
    rows = [
        [
            str(session.number),
            session.time,
            _machine(session.machine),
            session.commit or "installed package",
            ", ".join(f"{name} {number}" for name, number in session.versions.items()),
            session.scheduler or "local",
            f"{text.plain(session.rate_gflops)} GFLOP/s" if session.rate_gflops else "–",
        ]
        for session in run.sessions
    ]
    columns = ["session", "time", "machine", "commit", "versions", "scheduler", "rate"]
    blocks: list[Block] = [Paragraph(said), Table(columns, rows, text_columns=6), Heading("To run a row again")]
    example = next((row.key for row in run.rows), "KEY")
    blocks += [
        Code(f"sciml benchmark {run.suite.name} --out {run.folder.name} --rerun {example}"),
        _keys(view),
    ]
    return Section("Provenance", blocks)


def _keys(view: View) -> Table:
    rows = [
        [
            row.task.label,
            view.name(row.candidate),
            text.options(row.point),
            str(row.seed),
            text.error(row.error(view.run.norm)) if row.measured else str(row.reason),
            text.seconds(row.cost("cpu_seconds")),
            text.seconds(row.cost("wall_seconds")),
            text.memory(row.peak_memory),
            row.key,
        ]
        for row in view.run.rows
    ]
    columns = ["task", "method", "point", "seed", "error", "CPU", "wall", "memory", "key"]
    return Table(columns, rows, f"All {len(rows)} cells; nothing is left out.", text_columns=3)


def _machine(machine: Mapping[str, Any]) -> str:
    """What a session says of its machine, in one line."""
    plain: dict[str, Any] = {
        key: value for key, value in machine.items() if isinstance(value, (str, int, float)) and value != ""
    }
    if "memory" in plain and not isinstance(plain["memory"], str):
        plain["memory"] = text.memory(plain["memory"])
    return ", ".join(f"{key}: {value}" for key, value in plain.items()) or json.dumps(dict(machine))
