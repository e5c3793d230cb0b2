"""From a request to a trained network of a linear solver, in files that say what made them."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

import sciml
from sciml.errors import DivergenceError, OptionError, OutputError, unknown_name
from sciml.linear.trained import write_network
from sciml.solvers.base import Progress, checked_device, package_versions, validated_options
from sciml.surrogates.continuing import identity_of, make_steps
from sciml.training import TrainingState

__all__ = ["TRAININGS", "train_linear"]

TRAININGS = {
    "dcdm": "sciml.surrogates.linear_solvers.directions:DirectionTraining",
    "learned_mg": "sciml.surrogates.linear_solvers.cycles:CycleTraining",
}
"""Solver → module and class. Of a class: `Options`, `sources`; of what it makes: `network`, `about`, `findings`."""

_LIMITS = ("cpu_seconds", "checkpoint_every")


def train_linear(
    model: str,
    options: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    out: str | Path,
    resume: bool = False,
    force: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> tuple[dict[str, Any], list[Path]]:
    """Train the network of a linear solver and write it as ``OUT.safetensors`` and ``OUT.json``.

    Checkpoints are kept in the folder ``OUT.training`` until the end.

    Parameters
    ----------
    model : str
        A name of :data:`TRAININGS`.
    options : mapping
    seed, device : int, str
    out : path
    resume : bool
        Go on from the last checkpoint.
    force : bool
        Replace what is there.
    report : callable

    Returns
    -------
    dict, list of Path
        The manifest, and the files.

    Raises
    ------
    UnknownNameError, OptionError, OutputError
        Bad input, before work starts.
    DivergenceError
        The loss became infinite or not a number.
    Interrupted
        By SIGTERM or Ctrl-C.
    """
    if model not in TRAININGS:
        raise unknown_name("linear solver that is trained", model, TRAININGS)
    if seed < 0:
        raise OptionError(f"seed={seed} was given; it takes a whole number ≥ 0.")
    checked_device(device)
    path = Path(out).with_suffix("")
    if not path.parent.is_dir():
        raise OutputError(f"There is no folder {str(path.parent)!r}; make it first.")
    if path.with_suffix(".safetensors").exists() and not force:
        raise OutputError(f"{path}.safetensors exists; give --force to replace it, or another --out.")
    module, _, attribute = TRAININGS[model].partition(":")
    kind = getattr(importlib.import_module(module), attribute)
    checked = validated_options(kind.Options, options or {}, f"the training of {model}")
    training = kind(checked, seed=seed, device=device)
    request = {"model": model, "seed": seed, "options": _kept(checked)}
    state = TrainingState(identity_of("linear systems", kind.__name__, model, checked, seed=seed), training=training)
    folder = path.with_name(f"{path.name}.training")
    ending = make_steps(training, state, checked, folder=folder, resume=resume, report=report)
    if ending.status == "diverged":
        raise DivergenceError(f"The training of {model} diverged: {ending.reason}; take a lower learning_rate.")
    manifest = {
        "command": _command(kind.Options, model, checked, seed, path),
        "request": request,
        "sources": {name: _digest(name) for name in kind.sources},
        **training.about(),
        "trainable_parameters": sum(p.numel() for p in training.network.parameters()),
        "loss": sum(training.losses) / len(training.losses),
        "steps": state.course.steps,
        "cpu_seconds": state.course.cpu_seconds,
        "status": ending.status,
        "reason": ending.reason,
        "threads": torch.get_num_threads(),
        "found": training.findings(),
        "versions": package_versions("sciml", "torch", "numpy", "scipy"),
    }
    files = write_network(path, model, manifest, training.network.state_dict())
    _clear(folder)
    return json.loads(files[1].read_text(encoding="utf-8")), files


def _kept(options: Any) -> dict[str, Any]:
    """All that decides the course of a training."""
    return {key: value for key, value in options.model_dump(mode="json").items() if key not in _LIMITS}


def _command(kind: Any, model: str, options: Any, seed: int, path: Path) -> str:
    """What makes the same network again."""
    changed = options.model_dump(mode="json", exclude_defaults=True)
    settings = [
        f"-o {key}={json.dumps(value, separators=(',', ':'))}".replace('"', "") for key, value in changed.items()
    ]
    return " ".join(
        ["sciml train-linear", model, *settings, f"--seed {seed}", f"--out {path.name if path.is_absolute() else path}"]
    )


def _digest(name: str) -> str:
    """Of a module's text."""
    return hashlib.sha256((Path(sciml.__file__).parent / name).read_bytes()).hexdigest()


def _clear(folder: Path) -> None:
    for file in sorted(folder.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    folder.rmdir()
