"""What people see, all on standard error: progress, tables, numbers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from sciml.cli.parallel import is_first
from sciml.solvers.base import Progress as Report

__all__ = ["console", "progress", "result_table", "significant"]

console = Console(stderr=True, width=None if sys.stderr.isatty() else 120, quiet=not is_first())
_QUIET_SECONDS = 10.0
_WIDE = 110
_WORDS = ("status", "truth (its error)")


@contextmanager
def progress(label: str) -> Iterator[Callable[[Report], None]]:
    """A function that shows reports: a live bar on a terminal, a line every ten seconds elsewhere."""
    if not is_first():
        yield lambda report: None
        return
    if not sys.stderr.isatty():
        yield _plain_reporter(label)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=None)

        def show(report: Report) -> None:
            text = f"{label}: {report.phase} {report.text}"
            bar.update(task, description=text, completed=report.done, total=report.total or None)

        yield show


def _plain_reporter(label: str) -> Callable[[Report], None]:
    last = time.monotonic()

    def show(report: Report) -> None:
        nonlocal last
        if time.monotonic() - last > _QUIET_SECONDS:
            last = time.monotonic()
            steps = f" {report.done}/{report.total}" if report.total else ""
            print(f"{label}: {report.phase}{steps} {report.text}", file=sys.stderr, flush=True)

    return show


def significant(value: float | None, digits: int = 3) -> str:
    """A number in few digits, a dash for none."""
    if value is None:
        return "–"
    plain = value == 0 or 1e-3 <= abs(value) < 10.0 ** max(4, digits)
    return f"{value:.{digits}g}" if plain else f"{value:.{max(1, digits - 2)}e}"


def result_table(rows: list[dict[str, Any]], width: int) -> Table:
    """Results of solvers side by side; a terminal of less than 110 columns gets one column for all seconds."""
    narrow = width < _WIDE
    table = Table(box=None, pad_edge=False, collapse_padding=narrow)
    cells = [_cells(row, narrow=narrow) for row in rows]
    for name in cells[0]:
        if name == "solver":
            table.add_column(name, overflow="fold", min_width=10)
        elif name in _WORDS:
            table.add_column(name, min_width=9)
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for row in cells:
        table.add_row(*row.values())
    return table


def _cells(row: dict[str, Any], *, narrow: bool) -> dict[str, str]:
    seconds = row["seconds"] or {}
    truth = "–" if row["truth"] is None else f"{row['truth']} ({significant(row['truth_error'], 2)})"
    wall = {"wall s": sum(seconds.values()) if seconds else None}
    split = {"train s": seconds.get("train"), "solve s": seconds.get("solve")}
    return {
        "solver": row["label"],
        "status": row["status"].replace("_", " "),
        "rel. L2": significant(row["relative_l2"]),
        "rel. H1": significant(row["relative_h1"]),
        "max": significant(row["max_error"]),
        "truth (its error)": truth + (" limited" if row["reference_limited"] else ""),
        **{name: significant(value) for name, value in (wall if narrow else split).items()},
        "CPU s": significant(row["cpu_seconds"]),
        "weights": str(row["trainable_parameters"] or "–"),
    }
