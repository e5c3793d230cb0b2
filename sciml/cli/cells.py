"""Periodic cells on the command line: their data sets, training them into laws, evaluating these."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sciml.cli.console import console, progress, significant
from sciml.cli.folder import TrainRequest
from sciml.cli.training import refuse_what_families_take, run_training
from sciml.datasets import generate_cell
from sciml.datasets.cells import TOLERANCE
from sciml.errors import OptionError
from sciml.laws import Cell
from sciml.surrogates.equino import MODEL, CellFit, CellRun, EquinoOptions, evaluate_cell

__all__ = ["evaluate_law", "make_snapshots", "model_row", "train_law"]


def make_snapshots(cell: Cell, out: Path, as_json: bool, *, count: int | None, seed: int, **rest: Any) -> None:
    """Generate a cell's data set and say what was written.

    Raises
    ------
    OptionError
        Options that are for families of fields.
    """
    force, tolerance = rest.pop("force"), rest.pop("tolerance", TOLERANCE)
    if rest.pop("workers") != 1:
        raise OptionError("--workers was given; the strains of a cell are solved by one process.")
    given = [name for name, value in rest.items() if value is not None]
    if given:
        raise OptionError(
            f"{given[0]!r} was given, which is for families of fields; the data of a cell take --count, --seed and -o "
            f"tolerance=…."
        )
    with progress(f"solving {cell.name}") as report:
        data = generate_cell(
            cell, out, count=100 if count is None else count, seed=seed, tolerance=float(tolerance), force=force,
            report=report,
        )  # fmt: skip
    row = {
        "path": str(out),
        "family": data.family,
        "sizes": {"train": len(data)},
        "box": data.box.tolist(),
        "unknowns": data.about["unknowns"],
        "points": data.about["points"],
        "cell": data.about["cell"],
        "checksum": data.checksum,
        "cpu_seconds": data.cpu_seconds,
    }
    if as_json:
        print(json.dumps(row, allow_nan=False))
        return
    console.print(
        f"Written: {out}: {data.family}, {len(data)} strains from {data.box[0, 0]:g} to {data.box[1, 0]:g}, "
        f"{row['unknowns']} unknowns, {row['points']} quadrature points; {significant(data.cpu_seconds)} CPU s",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def train_law(request: TrainRequest, *, out: Path | None, force: bool, resume: bool, as_json: bool) -> None:
    """Train a cell, print what came of it, and write it to a folder.

    Raises
    ------
    OptionError
        Another model, or options that are for families of fields.
    """
    if request.model != MODEL:
        raise OptionError(f"--model {request.model} was given, and {request.data} is of a cell; give --model {MODEL}.")
    refuse_what_families_take(request, "a cell")
    fit = CellFit(request.family, request.data, request.options, seed=request.seed, device=request.device)
    console.print(
        f"{MODEL}: {fit.training.branches.trainable_parameters:,} weights, {fit.options.modes} modes each of "
        f"{len(fit.data)} snapshots of {fit.data.family}; recipe {fit.options.recipe}.",
        highlight=False,
    )
    run_training(
        fit, request, out=out, force=force, resume=resume, as_json=as_json,
        said=lambda run: f"{MODEL}: loss {significant(run['loss'])} after {significant(run['cpu_seconds'])} CPU "
        f"seconds; {run['reason']}.",
    )  # fmt: skip


def evaluate_law(run: CellRun, folder: Path, *, as_json: bool) -> None:
    """Hold a trained cell against finite elements on fresh strains, and print the errors."""
    found = evaluate_cell(run)
    if as_json:
        print(json.dumps({"run": str(folder), "family": run["family"]} | found, allow_nan=False))
        return
    shown = ("homogenised", "shear", "tangent", "local", "worst", "equilibrium", "mismatch")
    said = ", ".join(f"{name} {significant(found[name])}" for name in shown)
    console.print(f"{run['model']} on {found['strains']} fresh strains of {run['family']}: {said}", highlight=False)


def model_row() -> dict[str, Any]:
    """What `sciml models` says of it."""
    options = {name: field.description for name, field in EquinoOptions.model_fields.items()}
    title = "a law of a periodic cell, from modes of its fluctuation and stress (EquiNO)"
    return {"model": MODEL, "title": title, "any_resolution": False, "options": options}
