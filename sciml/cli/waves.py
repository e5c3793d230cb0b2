"""Wave simulators on the command line: training and evaluating them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sciml.cli.console import console, significant
from sciml.cli.folder import TrainRequest
from sciml.cli.training import refuse_what_families_take, run_training
from sciml.datasets import open_dataset
from sciml.errors import OptionError
from sciml.solution.plot import save_figure
from sciml.surrogates.wave_cnn import MODEL, WaveFit, WaveOptions, WaveRun, evaluate_waves, load_wave_run
from sciml.surrogates.wave_cnn.figures import error_figure

__all__ = ["evaluate_simulator", "train_simulator", "wave_row"]

_SHOWN = ("frame_1", "frame_10", "frame_40", "first_frame_over_20_percent", "energy_ratio", "from_start_last")


def train_simulator(request: TrainRequest, *, out: Path | None, force: bool, resume: bool, as_json: bool) -> None:
    """Train a simulator, print what came of it, and write it to a folder.

    Raises
    ------
    OptionError
        Options that are for other networks.
    """
    refuse_what_families_take(request, "a wave simulator")
    fit = WaveFit(request.family, request.data, request.options, seed=request.seed, device=request.device)
    console.print(
        f"{MODEL}: {fit.options.simulator}, {fit.training.simulator.trainable_parameters:,} weights "
        f"({fit.options.format}); {len(fit.waves)} trajectories of {fit.dataset.family}.",
        highlight=False,
    )
    run_training(
        fit, request, out=out, force=force, resume=resume, as_json=as_json, more=("validation",),
        said=lambda run: f"{MODEL}: mean relative L2 error {significant(run['validation'])} of validation roll-outs "
        f"after {significant(run['cpu_seconds'])} CPU seconds; {run['reason']}.",
    )  # fmt: skip


def evaluate_simulator(
    folder: Path, data: Path | None, *, split: str, device: str, out: Path | None, as_json: bool
) -> None:
    """Hold a trained simulator against a split of a data file, print the figures, and draw them into a folder.

    Raises
    ------
    OptionError
        No data file, or one that the simulator was not made for.
    """
    if data is None:
        raise OptionError(f"{folder} holds a wave simulator; say by --data on which file it is judged.")
    run: WaveRun = load_wave_run(folder)
    found = evaluate_waves(run, open_dataset(data), split, device=device, folder=folder)
    if as_json:
        print(json.dumps({"run": str(folder), "data": str(data), "split": split} | found, allow_nan=False))
    else:
        shown = [(name, found[name]) for name in _SHOWN if name in found]
        said = ", ".join(f"{name.replace('_', ' ')} {significant(value)}" for name, value in shown)
        console.print(f"{run['model']} on {found['samples']} samples to {split}: {said}", highlight=False)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        save_figure(error_figure(found), out / "errors.png")
        console.print(f"Written to {out}: errors.png", highlight=False)


def wave_row() -> dict[str, Any]:
    """What `sciml models` says of it."""
    options = {name: field.description for name, field in WaveOptions.model_fields.items()}
    title = "a simulator of waves, frame after frame, of convolutions that are compressed before training"
    return {"model": MODEL, "title": title, "any_resolution": False, "options": options}
