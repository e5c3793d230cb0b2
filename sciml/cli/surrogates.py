"""Training networks over a family, and evaluating them: `sciml train` and `sciml evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sciml.cli.cells import evaluate_law, model_row, train_law
from sciml.cli.console import console, progress, significant
from sciml.cli.folder import TrainRequest, Workplace, output_folder
from sciml.cli.waves import evaluate_simulator, train_simulator, wave_row
from sciml.datasets import content_of, open_dataset
from sciml.errors import OptionError
from sciml.solution.plot import save_figure
from sciml.surrogates.equino import KIND as CELL
from sciml.surrogates.equino import MODEL as CELL_MODEL
from sciml.surrogates.equino import load_cell_run
from sciml.surrogates.manifest import kind_in
from sciml.surrogates.operators import MODELS
from sciml.surrogates.operators.evaluation import Evaluation, evaluate
from sciml.surrogates.operators.fitting import Fit, course_of
from sciml.surrogates.operators.options import TrainingOptions
from sciml.surrogates.operators.run import OperatorRun, load_run
from sciml.surrogates.wave_cnn import KIND as WAVES
from sciml.surrogates.wave_cnn import MODEL as WAVE_MODEL

__all__ = ["evaluate_run", "model_rows", "print_models", "train"]

_SPLITS = ("train", "validation", "test")
_SHOWN = ("relative_l2", "median", "worst", "mean_field", "nearest_sample", "coverage")


def train(
    request: TrainRequest, *, out: Path | None, force: bool = False, resume: bool = False, as_json: bool = False
) -> None:
    """Do what a request asks for, print what came of it, and write it to a folder."""
    if content_of(Path(request.data)) == CELL:
        train_law(request, out=out, force=force, resume=resume, as_json=as_json)
        return
    if request.model == WAVE_MODEL:
        train_simulator(request, out=out, force=force, resume=resume, as_json=as_json)
        return
    if request.model == CELL_MODEL:
        raise OptionError(f"Model {CELL_MODEL!r} is trained on the data of a cell, and {request.data} holds fields.")
    if request.split != "train":
        raise OptionError(
            f"--split {request.split} was given; networks are trained on the training samples, and the others are kept "
            f"to choose and to judge: leave --split out."
        )
    fit = Fit(
        request.family,
        request.data,
        request.model,
        request.options,
        seed=request.seed,
        device=request.device,
        tune=request.tune,
    )
    _describe(fit)
    with output_folder(out, request, force=force, resume=resume) as place:
        folder = None if place is None else place.path
        with progress(f"{request.model} on {request.family}") as report:
            run = fit.run(folder=folder, resume=resume, report=report)
        if place is not None and not place.writes:
            return
        record = _record(run)
        if place is not None:
            names = _write(run, fit, place, record)
    if as_json:
        print(json.dumps(record, allow_nan=False))
    console.print(
        f"{request.model}: relative L2 error {significant(run['validation'])} on the validation samples after "
        f"{significant(run['cpu_seconds'])} CPU seconds; {run['reason']}.",
        highlight=False,
    )
    if place is not None:
        console.print(f"Written to {out}: {', '.join(names)}", highlight=False)


def _describe(fit: Fit) -> None:
    operator = fit.operator
    sizes = ", ".join(f"{n} {name}" for name, n in fit.dataset.sizes.items())
    flops = operator.flops(1)
    console.print(
        f"{fit.model}: {operator.trainable_parameters:,} weights, {flops / 1e9:.3g} GFLOP a sample; {sizes} samples of "
        f"{fit.dataset.family} on {' × '.join(map(str, fit.dataset.grid))} nodes.",
        highlight=False,
    )


def _write(run: OperatorRun, fit: Fit, place: Workplace, record: dict[str, Any]) -> list[str]:
    names = run.save(place.path)
    save_figure(course_of(run), place.path / "course.png")
    held = evaluate(run, fit.dataset, "validation", device=fit.device)
    names += _write_figures(held, place.path, _names(run))
    place.write_record(record)
    return [*names, "course.png", "record.json"]


def _record(run: OperatorRun) -> dict[str, Any]:
    keys = (
        "family",
        "model",
        "model_options",
        "options",
        "seed",
        "device",
        "threads",
        "validation",
        "status",
        "reason",
    )
    more = ("trainable_parameters", "real_parameters", "flops", "cpu_seconds", "wall_seconds", "trials", "versions")
    return {key: run[key] for key in (*keys, *more)}


def evaluate_run(
    folder: Path,
    data: Path | None,
    *,
    split: str = "test",
    device: str = "cpu",
    batch_statistics: bool = False,
    out: Path | None = None,
    as_json: bool = False,
) -> None:
    """Hold a trained network against a split of a data file, print the figures, and draw them into a folder.

    A trained cell is held against finite elements on fresh strains.

    Raises
    ------
    OptionError
        No data file for a network over a family, or one for a cell; another split.
    """
    if kind_in(folder) == CELL:
        if data is not None or out is not None:
            raise OptionError(
                f"{folder} holds a trained cell, which is judged on fresh strains; leave --data and --out."
            )
        evaluate_law(load_cell_run(folder, device=device), folder, as_json=as_json)
        return
    if kind_in(folder) == WAVES:
        if split not in _SPLITS:
            raise OptionError(f"--split {split} was given; it takes {', '.join(_SPLITS)}.")
        evaluate_simulator(folder, data, split=split, device=device, out=out, as_json=as_json)
        return
    if data is None:
        raise OptionError(f"{folder} holds a network over a family; say by --data on which file it is judged.")
    if split not in _SPLITS:
        raise OptionError(f"--split {split} was given; it takes {', '.join(_SPLITS)}.")
    run, dataset = load_run(folder), open_dataset(data)
    found = evaluate(run, dataset, split, device=device, batch_statistics=batch_statistics)
    if as_json:
        print(json.dumps({"run": str(folder), "data": str(data), "split": split} | found.figures, allow_nan=False))
    else:
        said = ", ".join(f"{name.replace('_', ' ')} {significant(found.figures.get(name))}" for name in _SHOWN)
        console.print(f"{run['model']} on {found.figures['samples']} samples to {split}: {said}", highlight=False)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        written = _write_figures(found, out, _names(run))
        console.print(f"Written to {out}: {', '.join(written)}", highlight=False)


def model_rows() -> list[dict[str, Any]]:
    """One JSON object for each network: title, whether it takes any resolution, options."""
    rows = []
    for name, kind in MODELS.items():
        options = {key: field.description for key, field in kind.Options.model_fields.items()}
        rows.append(
            {
                "model": name,
                "title": kind.title,
                "any_resolution": kind.discretisation_invariant,
                "options": options,
            }
        )
    return [*rows, wave_row(), model_row()]


def print_models() -> None:
    """The networks for people, then the options of the training."""
    for row in model_rows():
        any_grid = "; takes any resolution" if row["any_resolution"] else ""
        console.print(f"{row['model']}: {row['title']}{any_grid}", highlight=False)
        for name, text in row["options"].items():
            console.print(f"    {name}: {text}", highlight=False)
    console.print("every training of a network over a family:", highlight=False)
    for name, field in TrainingOptions.model_fields.items():
        console.print(f"    {name} = {field.default}: {field.description}", highlight=False)


def _names(run: OperatorRun) -> tuple[str, str]:
    return run["names"]["inputs"][0], run["names"]["outputs"][-1]


def _write_figures(found: Evaluation, folder: Path, names: tuple[str, str]) -> list[str]:
    save_figure(found.histogram(), folder / "errors.png")
    save_figure(found.pictures(names), folder / "samples.png")
    return ["errors.png", "samples.png"]
