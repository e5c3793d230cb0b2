"""Error–cost curves and roll-outs, as SVG that stands in the page itself."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from sciml.benchmark.curves import curve_of
from sciml.benchmark.records import Candidate, Task
from sciml.benchmark.report import text
from sciml.benchmark.report.blocks import Block, Figure, Heading, Paragraph, Section, Table
from sciml.benchmark.report.results import NORM_NAMES, short_label
from sciml.benchmark.report.view import View
from sciml.benchmark.statistics import median

__all__ = ["error_cost", "rollouts"]

_COLUMNS, _PANEL = 3, (3.4, 2.8)
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.75, 0.15, 0.75, 0.5
_PANELS_PER_FIGURE = 9
_DECADES = 1.5
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sciml",
    "font.family": ["sans-serif"],
    "font.size": 9,
    "axes.edgecolor": "#9a9a9a",
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "axes.labelcolor": "#333333",
}


def error_cost(view: View) -> Section:
    """One figure per problem, a panel per task."""
    clock = "CPU seconds" if view.run.clock == "cpu_seconds" else "wall seconds"
    about = Paragraph(
        f"Error against {clock} of one query, both logarithmic. Points: every seed or repeat; "
        f"lines: medians, along the sweep. Squares and thick lines: classical baselines. Crosses at the top edge: "
        f"failed cells, at the time that they took. Dotted: the best trivial answer. Grey: below ten times the truth's "
        f"own error, where nothing can be told."
    )
    blocks: list[Block] = [about]
    for problem in view.run.problems:
        tasks, blocks = [task for task in view.tasks(problem) if view.present(task)], [*blocks, Heading(problem)]
        if not tasks:
            blocks.append(Paragraph("Nothing has run here yet."))
        for start in range(0, len(tasks), _PANELS_PER_FIGURE):
            some = tasks[start : start + _PANELS_PER_FIGURE]
            svg = _draw(view, problem, some, f"{NORM_NAMES[view.run.norm]} error", clock, _panel)
            blocks.append(Figure(svg, f"Error–cost curves of {problem}.", _medians(view, some)))
    return Section("Error–cost curves", blocks)


def rollouts(view: View) -> Section:
    """Error of the roll-out in time, for tasks that evolve."""
    blocks: list[Block] = []
    for problem in view.run.problems:
        tasks = [
            task
            for task in view.tasks(problem)
            if any(row.measured and row.measured.rollout for row in view.run.rows_of(task.key))
        ]
        for start in range(0, len(tasks), _PANELS_PER_FIGURE):
            some = tasks[start : start + _PANELS_PER_FIGURE]
            svg = _draw(view, problem, some, "relative L2 error", "time t", _rollout_panel)
            heading = [Heading(problem)] if start == 0 else []
            blocks += [*heading, Figure(svg, f"Error along the time axis of {problem}.", _instants(view, some))]
    about = Paragraph(
        "Relative L2 error at instants, at the most accurate point of each sweep: thin every seed, thick median."
    )
    return Section("Roll-outs", [about, *blocks] if blocks else [Paragraph("No task runs in time.")])


def _draw(view: View, problem: str, tasks: Sequence[Task], ylabel: str, xlabel: str, panel: Any) -> str:
    columns = min(_COLUMNS, max(len(tasks), 1))
    lines = math.ceil(len(tasks) / columns)
    candidates = view.competitors(problem)
    with mpl.rc_context(rc=_STYLE):
        size = (_PANEL[0] * columns + _LEFT + _RIGHT, _PANEL[1] * lines + _TOP + _BOTTOM)
        figure = Canvas(figsize=size)
        FigureCanvasSVG(figure)
        axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axis, task in zip(axes.flat, tasks):
            panel(view, axis, task)
            axis.set_title(_wrapped(short_label(task)), fontsize=9, loc="left", color="#333333")
        for axis in axes.flat[len(tasks) :]:
            axis.remove()
        for axis in axes[:, 0]:
            axis.set_ylabel(ylabel)
        for column in range(columns):
            last = axes[max(k for k in range(lines) if k * columns + column < len(tasks)), column]
            last.set_xlabel(xlabel)
            last.tick_params(labelbottom=True)
        handles = [_handle(view, candidate, problem) for candidate in candidates]
        corner = (_LEFT / size[0], 1.0)
        figure.legend(handles=handles, loc="upper left", bbox_to_anchor=corner, ncols=3 * columns // 2, frameon=False)
        figure.subplots_adjust(
            left=_LEFT / size[0],
            right=1 - _RIGHT / size[0],
            top=1 - (_TOP + 0.22 * (len(handles) // (3 * columns // 2))) / size[1],
            bottom=_BOTTOM / size[1],
            wspace=0.12,
            hspace=0.34,
        )
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return _inline(target.getvalue())


def _panel(view: View, axis: Axes, task: Task) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    for candidate in view.present(task):
        curve = curve_of(view.run, task.key, candidate, limited=False)
        if curve is None:
            continue
        style, baseline = _line(view, candidate), view.is_baseline(candidate, task.problem)
        marker = "s" if baseline else "o"
        seen = [
            s for point in curve.points for s in point.samples.values() if math.isfinite(s[0]) and math.isfinite(s[1])
        ]
        axis.plot([s[0] for s in seen], [s[1] for s in seen], marker, ms=3, alpha=0.4, mew=0, color=style["color"])
        for i, j in curve.segments:
            a, b = curve.points[i], curve.points[j]
            if a.works and b.works:
                axis.plot([a.cost, b.cost], [a.error, b.error], lw=2.2 if baseline else 1.4, **style)
        works = [point for point in curve.points if point.works]
        axis.plot(
            [p.cost for p in works],
            [p.error for p in works],
            marker,
            ms=4.5,
            mew=0.6,
            mec="white",
            color=style["color"],
        )
        failed = [max(row.cpu_seconds, 1e-3) for row in view.rows(task, candidate) if row.measured is None]
        top = axis.get_xaxis_transform()
        axis.plot(failed, [0.985] * len(failed), "x", ms=5, mew=1.3, color=style["color"], transform=top, clip_on=False)
    _limits(view, axis, task)
    _ticks(axis, "x")
    _ticks(axis, "y")


def _ticks(axis: Axes, which: str) -> None:
    """Powers of ten; 1, 2 and 5 of each where hardly one lies in the range."""
    side = getattr(axis, f"{which}axis")
    low, high = getattr(axis, f"get_{which}lim")()
    subs = (1.0,) if math.log10(high / low) > _DECADES else (1.0, 2.0, 5.0)
    side.set_major_locator(LogLocator(subs=subs, numticks=7))
    side.set_minor_locator(NullLocator())
    side.set_major_formatter(FuncFormatter(_power))


def _limits(view: View, axis: Axes, task: Task) -> None:
    """The band below which nothing is known, and the best trivial answer."""
    truth = view.run.truths.get(task.key)
    norm = "max_error" if view.run.norm == "relative_max" else view.run.norm
    found = [e.get(norm) for e in truth.trivial.values()] if truth is not None else []
    trivial = [error for error in found if error is not None]
    if trivial and min(trivial) > 0:
        axis.axhline(min(trivial), color="#777777", lw=0.9, ls=":")
    floor, (low, high) = view.floor(task), axis.get_ylim()
    if floor > low:
        axis.axhspan(low, min(floor, high), color="#efefef", lw=0, zorder=0)
        axis.set_ylim(low, high)


def _rollout_panel(view: View, axis: Axes, task: Task) -> None:
    axis.set_yscale("log")
    for candidate in view.present(task):
        style = _line(view, candidate)
        paths = _paths(view, task, candidate)
        for t, errors in paths:
            axis.plot(t, errors, lw=0.6, alpha=0.5, **style)
        if paths:
            t = paths[0][0]
            same = [errors for times, errors in paths if len(times) == len(t)]
            wide = 2.2 if view.is_baseline(candidate, task.problem) else 1.6
            axis.plot(t, [median([errors[k] for errors in same]) for k in range(len(t))], lw=wide, **style)
    _ticks(axis, "y")


def _paths(view: View, task: Task, candidate: Candidate) -> list[tuple[list[float], list[float]]]:
    rows = [row.measured for row in view.best_rows(task, candidate) if row.measured and row.measured.rollout]
    return [(list(m.rollout["t"]), list(m.rollout["relative_l2"])) for m in rows if m.rollout]


def _line(view: View, candidate: Candidate) -> dict[str, Any]:
    """Colour by candidate; dashes where there are more candidates than colours."""
    names = list(view.colours)
    place = names.index(view.name(candidate))
    return {"color": view.colours[names[place]], "ls": ("-", "--", "-.", ":")[place // 7 % 4]}


def _handle(view: View, candidate: Candidate, problem: str) -> Line2D:
    baseline = view.is_baseline(candidate, problem)
    label = f"{view.name(candidate)} (baseline)" if baseline else view.name(candidate)
    marker, width = ("s", 2.2) if baseline else ("o", 1.4)
    return Line2D([], [], marker=marker, ms=4.5, lw=width, label=label, **_line(view, candidate))


def _power(value: float, _: Any) -> str:
    return text.epsilon(value) if value < 1e-2 else f"{value:g}"


def _wrapped(label: str) -> str:
    """A long label on several lines."""
    words, lines = label.split(" "), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > 38:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines[:3])


def _inline(svg: str) -> str:
    """Without XML head, with a size that follows the page, and fonts of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    width = re.search(r'<svg[^>]*?width="([\d.]+)pt"', svg)
    natural = f'style="width: {float(width[1]) * 4 / 3:.0f}px"' if width else ""
    svg = re.sub(r'(<svg[^>]*?) width="[\d.]+pt"', rf'\1 role="img" {natural}', svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[\d.]+pt"', r"\1", svg, count=1)
    # The page's own style sheet is all there is; fonts of the drawing machine need not exist at the reader's.
    return re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", "sans-serif", svg)


def _medians(view: View, tasks: Sequence[Task]) -> Table:
    rows = []
    for task in tasks:
        for candidate in view.present(task):
            curve = curve_of(view.run, task.key, candidate, limited=False)
            for point in curve.points if curve is not None else ():
                failed = sum(not math.isfinite(error) for _, error in point.samples.values())
                cost = text.seconds(point.cost) if point.works else "failed"
                rows.append(
                    [
                        short_label(task),
                        view.marked(candidate, task),
                        point.label,
                        cost,
                        text.error(point.error),
                        f"{failed} of {len(point.samples)}",
                    ]
                )
    return Table(["task", "method", "point", "median time", "median error", "failed"], rows, text_columns=3)


def _instants(view: View, tasks: Sequence[Task]) -> Table:
    rows = []
    for task in tasks:
        for candidate in view.present(task):
            for t, errors in _paths(view, task, candidate)[:1]:
                path = ", ".join(f"{text.error(e)} at {text.plain(s)}" for s, e in zip(t, errors))
                rows.append([short_label(task), view.marked(candidate, task), path])
    return Table(["task", "method", "errors at t, first seed"], rows, text_columns=3)
