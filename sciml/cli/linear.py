"""Linear systems on the command line: solvers side by side on one system, and training those that learn."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from threadpoolctl import threadpool_limits

from sciml.cli.console import console, progress, significant
from sciml.errors import DivergenceError, OptionError, UnsupportedError
from sciml.linear import SOLVERS, LinearResult, LinearSystem, diffusion, from_file, linear_solver, poisson, solve
from sciml.surrogates.linear_solvers import from_problem, train_linear

__all__ = ["SystemRequest", "compare_solvers", "train_solver"]


@dataclass(frozen=True)
class SystemRequest:
    """Which system is meant."""

    system: str = "poisson"
    grid: str | None = None
    obstacles: int = 0
    walls: str | None = None
    contrast: float = 1.0
    anisotropy: float = 1.0
    angle: float = 0.0
    right: str | None = None
    seed: int = 0
    matrix: Path | None = None
    problem: str | None = None
    given: Sequence[str] = field(default_factory=tuple)

    def make(self) -> LinearSystem:
        """The system.

        Raises
        ------
        OptionError, ParameterError
            What was given is not possible, or does not go together.
        """
        shape = None if self.grid is None else parsed_grid(self.grid)
        if self.matrix is not None and self.problem is not None:
            raise OptionError("--matrix and --problem both say which system is meant; give one of them.")
        if self.matrix is not None or self.problem is not None:
            of_others = {"system", "obstacles", "walls", "contrast", "anisotropy", "angle"} & set(self.given)
            if of_others:
                asked = "--matrix" if self.matrix is not None else "--problem"
                raise OptionError(f"--{min(of_others)} is about systems that are made here; leave it out with {asked}.")
        if self.matrix is not None:
            return from_file(self.matrix, self.right, shape=shape)
        if self.problem is not None:
            if self.right is not None:
                raise OptionError("--rhs was given, and the right side of --problem is its load; leave --rhs out.")
            return from_problem(self.problem, shape)
        return self._made_here((64, 64) if shape is None else shape)

    def _made_here(self, shape: tuple[int, ...]) -> LinearSystem:
        right: Any = self.right or ("plume" if self.system == "poisson" else "noise")
        if right not in ("plume", "noise"):
            raise OptionError(f"--rhs {right} is not possible; it is plume or noise, and a file with --matrix.")
        if self.system not in ("poisson", "diffusion"):
            raise OptionError(f"--system {self.system} is not possible; allowed are poisson and diffusion.")
        if self.walls not in (None, "open", "closed"):
            raise OptionError(f"--walls {self.walls} is not possible; allowed are open and closed.")
        others = {"contrast", "anisotropy", "angle"} if self.system == "poisson" else {"obstacles", "walls"}
        if others & set(self.given):
            raise OptionError(f"--{min(others & set(self.given))} is not for --system {self.system}; leave it out.")
        if self.system == "poisson":
            return poisson(shape, obstacles=self.obstacles, seed=self.seed, rhs=right, walls=self.walls)  # type: ignore[arg-type]
        coefficients = {"contrast": self.contrast, "anisotropy": self.anisotropy, "angle": self.angle}
        return diffusion(shape, seed=self.seed, rhs=right, **coefficients)


def parsed_grid(text: str) -> tuple[int, ...]:
    """Cells along each axis of a text as ``64x64``.

    Raises
    ------
    OptionError
    """
    try:
        shape = tuple(int(part) for part in text.lower().split("x"))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise OptionError(f"--grid {text} is no grid; give cells along each axis, as in 64x64 or 32x32x32.")
    return shape


def compare_solvers(
    request: SystemRequest,
    solvers: Sequence[tuple[str, dict[str, Any]]],
    *,
    tolerance: float,
    max_iterations: int | None,
    threads: int,
    as_json: bool,
) -> bool:
    """Solve one system with several solvers, print a row for each, and say whether all of them converged.

    A solver that cannot do the system has a row that says why.

    Raises
    ------
    UnsupportedError
        None of them can.
    """
    chosen = [(name, linear_solver(name, **options)) for name, options in solvers or [(name, {}) for name in SOLVERS]]
    system = request.make()
    console.print(f"{system.name}: {system.about}; {system.size} unknowns", highlight=False, markup=False)
    rows, errors = [], []
    with single_threaded(threads):
        for name, solver in chosen:
            try:
                row = _row(system, solve(system, solver, tolerance=tolerance, max_iterations=max_iterations))
            except (UnsupportedError, DivergenceError) as error:
                errors.append(error)
                row = _refused(system, name, str(error))
            rows.append(row)
            if as_json:
                print(json.dumps(row, allow_nan=False), flush=True)
    if len(errors) == len(rows):
        raise errors[0]
    _show(rows)
    asked_for = bool(solvers)
    return all(row["converged"] for row in rows if asked_for or row["iterations"] is not None)


@contextmanager
def single_threaded(threads: int) -> Iterator[None]:
    """Torch, BLAS and OpenMP on so many threads, and back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)


def _row(system: LinearSystem, found: LinearResult) -> dict[str, Any]:
    times = ("setup_seconds", "solve_seconds", "setup_cpu_seconds", "solve_cpu_seconds")
    kept = ("solver", "iterations", *times, "residual", "converged", "status")
    return {key: getattr(found, key) for key in kept} | {"system": system.name, "unknowns": system.size}


def _refused(system: LinearSystem, name: str, why: str) -> dict[str, Any]:
    times = dict.fromkeys(("setup_seconds", "solve_seconds", "setup_cpu_seconds", "solve_cpu_seconds", "residual"))
    row = {"solver": name, "iterations": None, **times, "converged": False, "status": why}
    return row | {"system": system.name, "unknowns": system.size}


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("solver", "iterations", "set-up s", "solve s", "residual", "status"):
        table.add_column(name, justify="left" if name in ("solver", "status") else "right")
    for row in rows:
        numbers = [significant(row[key]) for key in ("setup_seconds", "solve_seconds", "residual")]
        iterations = "–" if row["iterations"] is None else str(row["iterations"])
        table.add_row(row["solver"], iterations, *numbers, "" if row["converged"] else row["status"])
    console.print(table)


def train_solver(
    model: str,
    options: dict[str, Any],
    *,
    seed: int,
    device: str,
    out: Path,
    resume: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Train a linear solver's network and write it."""
    with progress(f"training {model}") as report:
        manifest, files = train_linear(
            model, options, seed=seed, device=device, out=out, resume=resume, force=force, report=report
        )
    row = {key: manifest[key] for key in ("kind", "loss", "cpu_seconds", "trainable_parameters", "request_digest")}
    row["files"] = [str(file) for file in files]
    if as_json:
        print(json.dumps(row, allow_nan=False))
        return
    console.print(
        f"Written: {', '.join(row['files'])}: loss {significant(manifest['loss'])} after "
        f"{significant(manifest['cpu_seconds'])} CPU s",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
