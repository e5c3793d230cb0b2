"""What the runner itself costs, and how near to its limits a process is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from sciml.benchmark.executors import LocalPool
from sciml.benchmark.ledger import LOST, Ledger, read_ledger
from sciml.benchmark.process import Limits, run_limited
from sciml.benchmark.runner import Job, run_jobs

__all__ = ["killed_runner", "limits", "overhead"]

_HERE = __name__
_GIB = 2**30


def overhead(n: int = 10) -> dict[str, float]:
    """Wall seconds that the runner costs, a cell: start-up, hand-over, watching, ledger.

    `n` cells that import this package and return at once, one after the other on a local pool.

    Returns
    -------
    dict
        ``seconds_a_cell``, wall time of the whole run without what the processes spent in imports and in the function,
        divided by `n`; ``largest``, the largest overhead that a cell was recorded with.
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
    """By how much a process exceeds its limits before it is ended.

    One process burns CPU seconds without end (limit 8, imports included), one fills memory as fast as it can (limit
    0.5 GiB).

    Returns
    -------
    dict
        ``cpu_seconds``, ``memory`` (GiB) beyond the limit.
    """
    burnt = run_limited(f"{_HERE}:_burn", {}, Limits(cpu_seconds=8, memory=2))
    filled = run_limited(f"{_HERE}:_fill", {}, Limits(cpu_seconds=60, memory=0.5))
    if (burnt.reason, filled.reason) != ("time", "memory"):
        raise AssertionError(f"ended for other reasons: {burnt.message} {filled.message}")
    return {"cpu_seconds": burnt.cpu_seconds - 8, "memory": filled.peak_memory / _GIB - 0.5}


def killed_runner(kills: int = 10, seed: int = 0) -> dict[str, float]:
    """Run a suite twice, once undisturbed and once ended by SIGKILL at random moments and begun again.

    The suite has one truth and finite elements and collocation on five grids each, in one dimension; the command is
    that of a user. After `kills` kills (less if it is done before) it is left to end.

    Returns
    -------
    dict
        ``cells``; ``kills``; ``lost``, ``doubled``, ``changed`` cells of the disturbed run against the undisturbed one
        (a cell is doubled if it was finished twice, changed if an error differs by a bit); ``left_running``, processes
        that outlived the last runner; ``interrupted``, attempts that the ledger records as such.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "small.toml").write_text(_SUITE, encoding="utf-8")
        subprocess.run(_command(folder, "whole"), capture_output=True, check=True)
        generator, begun = np.random.default_rng(seed), 0
        for kill in range(kills):
            process = subprocess.Popen(
                _command(folder, "torn"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            # The first two moments lie in the start of the program, the others in its work.
            if kill >= 2:
                _wait_for_session(folder / "torn", process)
            with suppress(subprocess.TimeoutExpired):
                process.wait(generator.uniform(0.0, 8.0))
                break
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            begun += 1
        time.sleep(1.0)
        left = _running(folder)
        subprocess.run(_command(folder, "torn"), capture_output=True, check=True)
        whole, torn = (_finished(folder / name) for name in ("whole", "torn"))
        interrupted = sum(line.get("reason") == "interrupted" for line in read_ledger(folder / "torn"))
    return {
        "cells": len(whole),
        "kills": begun,
        "lost": len(whole.keys() - torn.keys()),
        "doubled": sum(len(errors) - 1 for errors in torn.values()),
        "changed": sum(torn[key][-1] != whole[key][-1] for key in whole.keys() & torn.keys()),
        "left_running": left,
        "interrupted": interrupted,
    }


_SUITE = """
format = 1
title = "Small"
cpu_hours = 0.05

[[problems]]
name = "diffusion/cooling_fin"

[[methods]]
name = "FEM"
solver = "fenics"
sweep = { cells = [2, 4, 8, 16, 32] }

[[methods]]
name = "Chebyshev"
solver = "chebyshev"
sweep = { nodes = [4, 6, 8, 10, 12] }
"""


def _command(folder: Path, name: str) -> list[str]:
    return [sys.executable, "-m", "sciml", "benchmark", str(folder / "small.toml"), "--out", str(folder / name)]


def _finished(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Errors of each cell, once for each time that it was finished."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in read_ledger(folder):
        if line["kind"] == "attempt" and line["reason"] not in LOST:
            found.setdefault(line["key"], []).append((line["result"] or {}).get("errors", {}))
    return found


def _wait_for_session(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the runner has taken up the ledger, or ended."""
    seen = _sessions(folder)
    while _sessions(folder) == seen and process.poll() is None:
        time.sleep(0.05)


def _sessions(folder: Path) -> int:
    if not (folder / "ledger.jsonl").is_file():
        return 0
    return (folder / "ledger.jsonl").read_bytes().count(b'"kind": "session"')


def _running(folder: Path) -> int:
    """Processes whose command or payload names the folder's run."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            requests = [Path(os.fsdecode(part)) / "request.json" for part in command if b"sciml-cell-" in part]
            count += any(str(folder) in request.read_text(encoding="utf-8") for request in requests)
    return count


def _nothing(payload: dict[str, Any]) -> dict[str, Any]:
    return payload


def _burn(payload: dict[str, Any]) -> dict[str, Any]:
    while True:
        sum(range(10_000))


def _fill(payload: dict[str, Any]) -> dict[str, Any]:
    kept = []
    while True:
        kept.append(b"x" * 2**22)
