"""Running what was asked for, printing it, and writing it to an output folder."""

from __future__ import annotations

import json
from pathlib import Path

from sciml.cli.console import console, progress, result_table, significant
from sciml.cli.folder import Request, output_folder
from sciml.cli.parallel import n_sharing
from sciml.errors import UnsupportedError
from sciml.problem import Problem
from sciml.solution import Solution, exact_solution
from sciml.solution.diagnosis_plot import draw_diagnosis
from sciml.solvers.compare import Comparison, Row, check_comparison, compare, row_of
from sciml.solvers.run import check_request, solve

__all__ = ["run"]


def run(
    problem: Problem,
    request: Request,
    *,
    out: Path | None,
    force: bool = False,
    resume: bool = False,
    as_json: bool = False,
) -> None:
    """Do what a request asks for, print it, and write it to a folder."""
    act = _solve if request.command == "solve" else _compare
    act(problem, request, out, force, resume, as_json)


def _solve(problem: Problem, request: Request, out: Path | None, force: bool, resume: bool, as_json: bool) -> None:
    ((solver, options),) = request.solvers
    chosen, _ = check_request(problem, solver, options, request.device)
    if n_sharing() > 1 and not chosen.shared:
        raise UnsupportedError(
            f"Solver {solver!r} does not share its work between processes of torchrun; start it without torchrun."
        )
    with output_folder(out, request, force=force, resume=resume) as place:
        with progress(f"{solver} on {problem.name}") as report:
            solution = solve(
                problem,
                solver,
                seed=request.seed,
                device=request.device,
                report=report,
                folder=None if place is None else place.path,
                resume=resume and place is not None and place.has_checkpoint,
                **options,
            )
        if place is not None and not place.writes:
            return
        exact = exact_solution(problem)
        row = row_of(solution, solver, exact, "exact" if exact else None, None)
        if place is not None:
            written = _write_solution(solution, place.path, "solution")
            solution.plot(place.path / "figure.png")
            drawn = [path.name for path in draw_diagnosis(place.path)]
            place.write_record(solution.record() | row.as_dict(problem))
    _print_rows(problem, [row], as_json)
    if place is not None and not as_json:
        _print_written(problem, out, [*written, "record.json", "figure.png", *drawn])


def _compare(problem: Problem, request: Request, out: Path | None, force: bool, resume: bool, as_json: bool) -> None:
    if n_sharing() > 1:
        raise UnsupportedError("A comparison runs in one process; start it without torchrun, or solve with torchrun.")
    check_comparison(problem, *request.solvers, device=request.device)
    with output_folder(out, request, force=force, resume=resume) as place:
        with progress(f"comparing on {problem.name}") as report:
            comparison = compare(problem, *request.solvers, seed=request.seed, device=request.device, report=report)
        if place is not None:
            written = _write_comparison(comparison, place.path)
            place.write_record({"rows": comparison.as_dicts(), "verdicts": comparison.verdicts()})
    _print_rows(problem, comparison.rows, as_json)
    if as_json:
        return
    for verdict in comparison.verdicts():
        console.print(verdict, highlight=False)
    if place is not None:
        _print_written(problem, out, [*written, "record.json", "figure.png"])


def _write_solution(solution: Solution, folder: Path, name: str) -> list[str]:
    solution.save(folder / f"{name}.h5")
    if solution.problem.dim > 3:
        return [f"{name}.h5"]
    if solution.problem.evolves:
        solution.write_pvd(folder / f"{name}.pvd")
        solution.write_vtkhdf(folder / f"{name}.vtkhdf")
        return [f"{name}.h5", f"{name}.pvd", f"{name}.vtkhdf"]
    solution.write_vtu(folder / f"{name}.vtu")
    return [f"{name}.h5", f"{name}.vtu"]


def _write_comparison(comparison: Comparison, folder: Path) -> list[str]:
    written = []
    for number, row in enumerate(comparison.rows):
        if row.solution is not None:
            written += _write_solution(row.solution, folder, f"solution_{number}_{row.solver}")
    comparison.plot(folder / "figure.png")
    return written


def _print_written(problem: Problem, out: Path | None, names: list[str]) -> None:
    missing = "" if problem.dim <= 3 else f" (no VTU in {problem.dim} dimensions)"
    console.print(f"Written to {out}: {', '.join(names)}{missing}", highlight=False)


def _print_rows(problem: Problem, rows: list[Row], as_json: bool) -> None:
    dicts = [row.as_dict(problem) for row in rows]
    if as_json:
        for row in dicts:
            print(json.dumps(row, allow_nan=False))
        return
    console.print(result_table(dicts, console.width))
    for row in dicts:
        for name, own in row.get("fields", {}).items():
            errors = f"{significant(own['relative_l2'], 3)} (H1 {significant(own['relative_h1'], 3)})"
            console.print(f"{row['label']}, {name}: relative L2 error {errors}", highlight=False)
        if row["quantities"]:
            values = ", ".join(f"{name} = {significant(value, 6)}" for name, value in row["quantities"].items())
            console.print(f"{row['label']}: {values}", highlight=False)
        if row["status"] != "converged":
            console.print(f"{row['label']}: {row['message']}", highlight=False)
