"""Sections on roll-outs, frequency bands, quantities, members and error bars."""

from __future__ import annotations

import math

from sciml.benchmark.records import Candidate
from sciml.benchmark.report import text
from sciml.benchmark.report.blocks import Block, Heading, Paragraph, Section, Table
from sciml.benchmark.report.results import short_label
from sciml.benchmark.report.view import View
from sciml.benchmark.statistics import coverage, median

__all__ = ["bands", "error_bars", "members", "quantities"]

_BANDS = ("low", "middle", "high")


def bands(view: View) -> Section:
    """Error per frequency band at the most accurate point."""
    blocks: list[Block] = []
    for problem in view.run.problems:
        rows = []
        for task in view.tasks(problem):
            for candidate in view.present(task):
                cells = [row.measured.bands for row in view.best_rows(task, candidate) if row.measured]
                known = [cell for cell in cells if cell]
                if known:
                    values = [median([float(cell[band]) for cell in known if band in cell]) for band in _BANDS]
                    rows.append([short_label(task), view.marked(candidate, task), *map(text.error, values)])
        if rows:
            blocks += [Heading(problem), Table(["task", "method", *_BANDS], rows)]
    about = Paragraph(
        "Relative L2 norm of the error's part in each band of a cosine transform, at the most accurate point of each "
        "sweep, median over seeds."
    )
    return Section("Frequency bands", [about, *blocks] if blocks else [Paragraph("No task has a box to transform on.")])


def quantities(view: View) -> Section:
    """Quantities of interest at the most accurate point."""
    blocks: list[Block] = []
    for problem in view.run.problems:
        rows = []
        for task in view.tasks(problem):
            for candidate in view.present(task):
                cells = [row.measured for row in view.best_rows(task, candidate) if row.measured]
                for name in dict.fromkeys(name for cell in cells for name in cell.quantities):
                    of_name = [cell.quantities[name] for cell in cells if name in cell.quantities]
                    errors = [q["relative_error"] for q in of_name if q.get("relative_error") is not None]
                    rows.append(
                        [
                            short_label(task),
                            name,
                            view.marked(candidate, task),
                            text.plain(float(of_name[0].get("truth", math.nan)), 4),
                            text.plain(median([float(q["value"]) for q in of_name]), 4),
                            text.error(median(errors)) if errors else "–",
                        ]
                    )
        if rows:
            columns = ["task", "quantity", "method", "truth", "median", "relative error"]
            blocks += [Heading(problem), Table(columns, rows, text_columns=3)]
    about = Paragraph("At the most accurate point of each sweep, median over seeds.")
    return Section("Quantities of interest", [about, *blocks] if blocks else [Paragraph("No problem declares any.")])


def members(view: View) -> Section:
    """How errors on hidden members and out of range compare to those on the named tasks."""
    rows = []
    for problem in view.run.problems:
        for candidate in view.competitors(problem):
            named = _best_errors(view, problem, candidate, "named")
            hidden = _best_errors(view, problem, candidate, "hidden")
            outside = _best_errors(view, problem, candidate, "out_of_range")
            rows.append(
                [problem, view.name(candidate), _typical(named), _typical(hidden), _worst(hidden), *_outside(outside)]
            )
    columns = ["problem", "method", "named", "hidden", "worst hidden", "out of range", "worst out of range"]
    about = Paragraph(
        "Smallest median error of each sweep: median over the named tasks, over hidden members that were drawn at "
        "random, and over parameters out of the range of tuning and training; failed tasks count."
    )
    return Section("Hidden members and out of range", [about, Table(columns, rows)])


def _best_errors(view: View, problem: str, candidate: Candidate, role: str) -> list[float]:
    values = []
    for task in view.tasks(problem, role):
        curve = view.curve(task, candidate)
        if curve is not None:
            values.append(curve.best.error if curve.best is not None else math.inf)
    return values


def _typical(values: list[float]) -> str:
    return "none" if not values else _or_failed(median(values))


def _worst(values: list[float]) -> str:
    return "none" if not values else _or_failed(max(values))


def _outside(values: list[float]) -> list[str]:
    return [_typical(values), _worst(values)]


def _or_failed(value: float) -> str:
    return text.error(value) if math.isfinite(value) else "failed"


def error_bars(view: View) -> Section:
    """How often the stated error holds the true one."""
    rows = []
    for candidate in view.run.candidates:
        cells = [row.measured for row in view.run.rows if row.candidate == candidate and row.measured is not None]
        held = coverage([cell.covered for cell in cells if cell.covered is not None])
        if held is None:
            continue
        levels = {float(e["level"]) for cell in cells if (e := cell.error_estimate) and e.get("level") is not None}
        nominal = text.joined([text.percent(level) for level in sorted(levels)]) if levels else "a bound"
        interval = f"{100 * held.low:.0f}–{100 * held.high:.0f} %"
        rows.append(
            [view.name(candidate), nominal, f"{held.covered} of {held.count}", text.percent(held.share), interval]
        )
    if not rows:
        return Section("Error bars", [Paragraph("No method states an error of its own.")])
    about = Paragraph(
        "How often the true error lies within the one that a method states, with an exact binomial interval."
    )
    columns = ["method", "nominal", "held", "coverage", "95 % interval"]
    return Section("Error bars", [about, Table(columns, rows, text_columns=1)])
