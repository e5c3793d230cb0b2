"""Running what was asked for, with an output folder that tells finished from unfinished."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sciml.cli.console import console, progress, result_table, significant
from sciml.errors import OutputError
from sciml.files import write_json
from sciml.problem import Problem
from sciml.solution import ExactField, Solution
from sciml.solvers.compare import Comparison, Row, compare, row_of
from sciml.solvers.run import solve

__all__ = ["Request", "read_request", "run_comparison", "run_request"]

_REQUEST, _RECORD, _CHECKPOINT = "run.json", "record.json", "checkpoint"


@dataclass(frozen=True)
class Request:
    """What `solve` was asked for, as it can be written down and asked again."""

    source: str
    parameters: dict[str, Any]
    solver: str
    options: dict[str, Any]
    seed: int
    device: str


def read_request(folder: Path) -> Request:
    """The request of an unfinished run.

    Raises
    ------
    OutputError
        The folder holds no run, or a finished one.
    """
    if not (folder / _REQUEST).is_file():
        raise OutputError(
            f"{folder} holds no run that could be resumed; start one with `sciml solve … --out {folder}`."
        )
    if (folder / _RECORD).is_file():
        raise OutputError(f"The run in {folder} is finished; there is nothing to resume.")
    try:
        content = json.loads((folder / _REQUEST).read_text(encoding="utf-8"))
        return Request(**content)
    except (ValueError, TypeError) as error:
        raise OutputError(f"{folder / _REQUEST} is damaged ({error}); start the run again with --force.") from error


@contextmanager
def _output(out: Path | None, content: dict[str, Any], *, force: bool, resume: bool) -> Iterator[Path | None]:
    """Open an output folder: refuse to overwrite, and mark it unfinished until the block ends well."""
    if out is None:
        yield None
        return
    if (out / _RECORD).is_file() and not force:
        raise OutputError(f"{out} already holds a finished result; keep it, or replace it with --force.")
    if (out / _REQUEST).is_file() and not force and not resume:
        raise OutputError(f"{out} holds an unfinished run; `sciml resume {out}` continues it, --force starts over.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        if force:
            (out / _RECORD).unlink(missing_ok=True)
            for file in (out / _CHECKPOINT).glob("*"):
                file.unlink()
    except OSError as error:
        raise OutputError(f"{out} cannot be written to: {error.strerror}.") from error
    write_json(out / _REQUEST, content)
    try:
        yield out
    except KeyboardInterrupt:
        console.print(f"Interrupted; `sciml resume {out}` continues.", highlight=False)
        raise


def run_request(
    problem: Problem, request: Request, *, out: Path | None, force: bool, resume: bool, as_json: bool
) -> None:
    """Solve, print, and write what was asked for."""
    with _output(out, asdict(request), force=force, resume=resume) as folder:
        continue_from = resume and folder is not None and any((folder / _CHECKPOINT).glob("*.json"))
        with progress(f"{request.solver} on {problem.name}") as report:
            solution = solve(
                problem,
                request.solver,
                seed=request.seed,
                device=request.device,
                report=report,
                folder=folder,
                resume=continue_from,
                **request.options,
            )
        exact = ExactField(problem) if problem.declaration.exact is not None else None
        row = row_of(solution, request.solver, exact, "exact" if exact else None, None)
        if folder is not None:
            _write_solution(solution, folder)
            write_json(folder / _RECORD, solution.record() | row.as_dict(problem))
    _print_rows(problem, [row], as_json)
    if folder is not None and not as_json:
        console.print(
            f"Written to {folder}: solution.h5, record.json, figure.png" + _vtu_note(problem), highlight=False
        )


def _vtu_note(problem: Problem) -> str:
    return ", solution.vtu" if problem.dim <= 3 else f" (no solution.vtu in {problem.dim} dimensions)"


def _write_solution(solution: Solution, folder: Path) -> None:
    solution.save(folder / "solution.h5")
    if solution.problem.dim <= 3:
        solution.write_vtu(folder / "solution.vtu")
    solution.plot(folder / "figure.png")


def run_comparison(
    problem: Problem,
    requests: list[tuple[str, dict[str, Any]]],
    *,
    seed: int,
    device: str,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Compare, print, and write what was asked for."""
    content = {
        "source": problem.source,
        "parameters": problem.parameters.plain(),
        "compare": requests,
        "seed": seed,
        "device": device,
    }
    with _output(out, content, force=force, resume=True) as folder:
        with progress(f"comparing on {problem.name}") as report:
            comparison = compare(problem, *requests, seed=seed, device=device, report=report)
        if folder is not None:
            _write_comparison(comparison, folder)
    _print_rows(problem, comparison.rows, as_json)
    if not as_json:
        for verdict in comparison.verdicts():
            console.print(verdict, highlight=False)


def _write_comparison(comparison: Comparison, folder: Path) -> None:
    comparison.plot(folder / "figure.png")
    for number, row in enumerate(comparison.rows):
        if row.solution is not None:
            row.solution.save(folder / f"solution_{number}_{row.solver}.h5")
            if comparison.problem.dim <= 3:
                row.solution.write_vtu(folder / f"solution_{number}_{row.solver}.vtu")
    write_json(folder / _RECORD, {"rows": comparison.as_dicts(), "verdicts": comparison.verdicts()})


def _print_rows(problem: Problem, rows: list[Row], as_json: bool) -> None:
    dicts = [row.as_dict(problem) for row in rows]
    if as_json:
        for row in dicts:
            print(json.dumps(row, allow_nan=False))
        return
    console.print(result_table(dicts))
    for row in dicts:
        if row["quantities"]:
            values = ", ".join(f"{name} = {significant(value, 6)}" for name, value in row["quantities"].items())
            console.print(f"{row['label']}: {values}", highlight=False)
        if row["status"] != "converged":
            console.print(f"{row['label']}: {row['message']}", highlight=False)
