"""What the runner itself costs, and how near to its limits a process is ended."""

from __future__ import annotations

import tempfile
import time
from typing import Any

from sciml.benchmark.executors import LocalPool
from sciml.benchmark.ledger import Ledger
from sciml.benchmark.process import Limits, run_limited
from sciml.benchmark.runner import Job, run_jobs

__all__ = ["limits", "overhead"]

_HERE = __name__
_GIB = 2**30


def overhead(n: int = 10) -> dict[str, float]:
    """Wall seconds that the runner costs, a cell: start-up, hand-over, watching, ledger.

    `n` cells that import this package and return at once, one after the other on a local pool: wall time of the whole
    run without what the processes spent in imports and in the function, divided by `n`, as ``"seconds_a_cell"``; and
    the largest overhead that a cell was recorded with, as ``"largest"``.
    """
    bounds = Limits(cpu_seconds=60, memory=2)
    jobs = [Job(f"cell{k}", f"cell {k}", "nothing", f"{_HERE}:_nothing", {"k": k}, bounds, {}) for k in range(n)]
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger(folder, suite="overhead", digest="", version="") as ledger,
        LocalPool(1) as pool,
    ):
        ledger.begin_session()
        start = time.monotonic()
        lines = run_jobs(jobs, ledger, pool).values()
        total = time.monotonic() - start
    work = sum(line["wall_seconds"] - line["overhead_seconds"] for line in lines)
    return {"seconds_a_cell": (total - work) / n, "largest": max(line["overhead_seconds"] for line in lines)}


def limits() -> dict[str, float]:
    """By how much a process exceeds its limits before it is ended: ``"cpu_seconds"`` and ``"memory"`` (GiB).

    One process burns CPU seconds without end (limit 8, imports included), one fills memory as fast as it can (limit
    0.5 GiB).
    """
    burnt = run_limited(f"{_HERE}:_burn", {}, Limits(cpu_seconds=8, memory=2))
    filled = run_limited(f"{_HERE}:_fill", {}, Limits(cpu_seconds=60, memory=0.5))
    if (burnt.reason, filled.reason) != ("time", "memory"):
        raise AssertionError(f"ended for other reasons: {burnt.message} {filled.message}")
    return {"cpu_seconds": burnt.cpu_seconds - 8, "memory": filled.peak_memory / _GIB - 0.5}


def _nothing(payload: dict[str, Any]) -> dict[str, Any]:
    return payload


def _burn(payload: dict[str, Any]) -> dict[str, Any]:
    while True:
        sum(range(10_000))


def _fill(payload: dict[str, Any]) -> dict[str, Any]:
    kept = []
    while True:
        kept.append(b"x" * 2**22)
