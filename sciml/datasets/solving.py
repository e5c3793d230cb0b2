"""Solving the members of one chunk, in this process or another one; plain data goes in and arrays come out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from sciml.datasets.request import Chunk, Request
from sciml.registry import load_solver
from sciml.solution import Solution
from sciml.solvers.base import Progress, Solver
from sciml.solvers.members import LabelErrors, measure_label_errors, solve_members

__all__ = ["die_with_parent", "measure_error", "solve_chunk"]

_RECORDS = ("iterations", "residual", "wall_seconds", "cpu_seconds")


def solve_chunk(
    content: dict[str, Any],
    split: str,
    seed: int,
    first: int,
    last: int,
    report: Callable[[Progress], None] | None = None,
) -> dict[str, np.ndarray]:
    """Solve members of a request and keep what its layout says.

    Parameters
    ----------
    content : dict
        :meth:`Request.as_json`.
    split, seed, first, last
        Of a :class:`Chunk`.

    Returns
    -------
    dict of arrays, a row for each member
        ``outputs`` and ``fields`` in single precision; ``places`` where they vary; ``parameter NAME`` of what is drawn;
        ``index``; the records.
    """
    request, worker = _kept(json.dumps(content, sort_keys=True))
    layout, chunk = request.layout, Chunk(split, seed, first, last)
    rows: dict[str, list[Any]] = {}
    members = range(chunk.first, chunk.last)
    run = solve_members(
        request.problem, members, request.solver, seed=seed, report=report, worker=worker, **request.options
    )
    for index, solution in zip(range(first, last), run):
        member = solution.problem
        row: dict[str, Any] = {"index": index, "outputs": layout.kept(solution).astype(np.float32)}
        if layout.fields:
            fields = [layout.field_values(member, name) for name in layout.fields]
            row["fields"] = np.stack(fields, axis=-1).astype(np.float32)
        if layout.grid.varying:
            row["places"] = layout.grid.places(member).astype(np.float32)
        for name in (*layout.constants, *sorted(layout.shaping)):
            row[f"parameter {name}"] = np.asarray(member.parameters.plain()[name], dtype=float)
        seconds = solution.seconds
        residual = np.nan if solution.residual is None else solution.residual
        wall = seconds.setup + seconds.train + seconds.solve + seconds.post
        row |= dict(zip(_RECORDS, (solution.iterations, residual, wall, solution.cpu_seconds)))
        for key, value in row.items():
            rows.setdefault(key, []).append(value)
    return {key: np.array(values) for key, values in rows.items()}


@lru_cache(maxsize=1)
def _kept(content: str) -> tuple[Request, Solver]:
    """The request of the chunks that this process works on, and the solver with what their members share."""
    request = Request.from_json(json.loads(content))
    worker = load_solver(request.solver).for_members()
    worker.load()
    return request, worker


def measure_error(
    content: dict[str, Any], report: Callable[[Progress], None] | None = None
) -> tuple[LabelErrors, float]:
    """Solve the first members of the training split again, with twice the resolution (once more for a rate).

    Returns
    -------
    LabelErrors
    float
        The mean relative difference to the next resolution where the one in a hundred nodes that differ most are left
        out: much smaller than that of all nodes where a solution is singular at a few places.
    """
    request = Request.from_json(content)
    steady_on_a_box = not request.problem.evolves and "cells" in request.options
    seen: list[np.ndarray] = []

    def kept(solution: Solution) -> np.ndarray:
        seen.append(request.layout.kept(solution))
        return seen[-1]

    errors = measure_label_errors(
        request.problem,
        request.check,
        kept,
        solver=request.solver,
        seed=request.stream("train"),
        refinements=2 if steady_on_a_box else 1,
        report=report,
        **request.options,
    )
    # Of one member: [frames,] nodes, channels.
    first = 1 if request.layout.times is None else 2
    n, axes = request.check, tuple(range(first, first + len(request.layout.grid.shape)))
    one, other = np.array(seen[:n]), np.array(seen[n : 2 * n])
    return errors, _difference_elsewhere(one, other, axes)


def _difference_elsewhere(one: np.ndarray, other: np.ndarray, axes: tuple[int, ...]) -> float:
    """Mean relative difference ``(n, …)`` without the 1 % of nodes, along some axes, where it is largest."""
    rest = tuple(axis for axis in range(one.ndim) if axis not in axes)
    squares = ((one - other) ** 2).mean(axis=rest)
    usual = squares <= np.quantile(squares, 0.99)
    gaps, sizes = (np.moveaxis(a, axes, range(-len(axes), 0))[..., usual] for a in (one - other, other))
    shares = np.linalg.norm(gaps.reshape(len(one), -1), axis=1) / np.linalg.norm(sizes.reshape(len(one), -1), axis=1)
    return float(shares.mean())


def die_with_parent() -> None:
    """End this process with the one that started it, also if that was killed."""
    import threading
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
