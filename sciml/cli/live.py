"""What people see of a running benchmark."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sciml.benchmark.runner import GroupProgress, Progress
from sciml.cli.console import console

__all__ = ["duration", "live_table", "progress_line", "progress_table"]

_QUIET_SECONDS = 10.0
_LABELS_SHOWN = 4


@contextmanager
def live_table(title: str) -> Iterator[Callable[[Progress], None]]:
    """A function that shows how far a run is: a table that changes on a terminal, a line every ten seconds elsewhere.

    Both go to standard error.
    """
    if not console.is_terminal:
        yield _plain(title)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda progress: live.update(progress_table(title, progress), refresh=True)


def _plain(title: str) -> Callable[[Progress], None]:
    last = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last > _QUIET_SECONDS:
            last = time.monotonic()
            print(f"{title}: {progress_line(progress)}", file=sys.stderr, flush=True)

    return show


def progress_line(progress: Progress) -> str:
    """How far all groups are together, on one line."""
    row = progress.all
    failed = f", {row.failed} failed" if row.failed else ""
    return (
        f"{row.done} of {row.total} done{failed}, {row.running} running, {duration(progress.elapsed)} so far, about "
        f"{duration(progress.remaining)} to go"
    )


def progress_table(title: str, progress: Progress) -> Group:
    """A row for each group, all together, and what runs now."""
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    table.add_column("", overflow="fold")
    for name in ("done", "failed", "running", "to go", "total"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, row in progress.groups.items():
        table.add_row(Text(name), *_numbers(row))
    if len(progress.groups) > 1:
        table.add_section()
        table.add_row("all", *_numbers(progress.all), style="bold")
    shown = list(progress.running[:_LABELS_SHOWN])
    more = len(progress.running) - len(shown)
    running = "; ".join(shown) + (f" and {more} more" if more else "")
    times = f"{duration(progress.elapsed)} so far, about {duration(progress.remaining)} to go"
    return Group(table, Text(times), Text(running, style="dim"))


def _numbers(row: GroupProgress) -> list[Text]:
    failed = Text(str(row.failed or "–"), style="red" if row.failed else "")
    left = row.total - row.done - row.running
    return [Text(str(row.done)), failed, Text(str(row.running or "–")), Text(str(left or "–")), Text(str(row.total))]


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
