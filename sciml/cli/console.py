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

from sciml.solvers.base import Progress as Report

__all__ = ["console", "progress", "result_table", "significant"]

console = Console(stderr=True, width=None if sys.stderr.isatty() else 120)
_QUIET_SECONDS = 10.0


@contextmanager
def progress(label: str) -> Iterator[Callable[[Report], None]]:
    """A function that shows reports: a live bar on a terminal, a line every ten seconds elsewhere."""
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


def result_table(rows: list[dict[str, Any]]) -> Table:
    """Results of solvers side by side."""
    table = Table(box=None, pad_edge=False)
    table.add_column("solver", overflow="fold", min_width=14)
    for name in ("status", "rel. L2", "rel. H1", "max", "truth (its error)", "train s", "solve s", "CPU s", "weights"):
        table.add_column(name, justify="left" if name in ("status", "truth (its error)") else "right")
    for row in rows:
        seconds = row["seconds"] or {}
        truth = "–" if row["truth"] is None else f"{row['truth']} ({significant(row['truth_error'], 2)})"
        table.add_row(
            row["label"],
            row["status"].replace("_", " "),
            significant(row["relative_l2"]),
            significant(row["relative_h1"]),
            significant(row["max_error"]),
            truth + (" limited" if row["reference_limited"] else ""),
            significant(seconds.get("train")),
            significant(seconds.get("solve")),
            significant(row["cpu_seconds"]),
            str(row["trainable_parameters"] or "–"),
        )
    return table
