"""What trainings of surrogates share: who a training is, and making its steps from where a checkpoint left them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import BaseModel

from sciml.files import plain
from sciml.solvers.base import Progress, package_versions
from sciml.training import Course, Ending, Identity, Interrupts, Report, TrainingState, train
from sciml.training.distributed import is_first, largest

__all__ = ["Training", "TrainingLimits", "identity_of", "make_steps", "train_in_folder", "what_it_took"]

_LIMITS = ("cpu_seconds", "checkpoint_every")


class TrainingLimits(Protocol):
    """Options that every training has."""

    @property
    def cpu_seconds(self) -> float | None:
        """After which it ends with what there is."""
        ...

    @property
    def checkpoint_every(self) -> float:
        """CPU seconds between two checkpoints."""
        ...


class Training(Protocol):
    """What is trained."""

    @property
    def steps(self) -> int:
        """In all."""
        ...

    def step(self) -> Report:
        """One of them."""
        ...


class Run(Protocol):
    """What a training ends with."""

    def save(self, folder: Path) -> Any:
        """Write it."""
        ...


class Fit[R: Run](Protocol):
    """A training that was looked over and can begin."""

    def run(self, *, folder: Path | None = None, resume: bool = False, report: Callable[[Progress], None] = ...) -> R:
        """Train."""
        ...


def train_in_folder[R: Run](
    fit: Fit[R], folder: str | Path | None, *, resume: bool, report: Callable[[Progress], None]
) -> R:
    """Train, and write the result into the folder if one is given, which is made."""
    place = None if folder is None else Path(folder)
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
    run = fit.run(folder=place, resume=resume, report=report)
    if place is not None and is_first():
        run.save(place)
    return run


def what_it_took(course: Course, ending: Ending, *packages: str) -> dict[str, Any]:
    """The part of a manifest that says how the training went."""
    return {
        "cpu_seconds": course.cpu_seconds,
        "wall_seconds": course.wall_seconds,
        "threads": torch.get_num_threads(),
        "status": ending.status,
        "reason": ending.reason,
        "versions": package_versions("sciml", "torch", *packages),
    }


def identity_of(family: str, declaration: str, model: str, options: BaseModel, **more: Any) -> Identity:
    """Who a training is, by its data and all options but its limits."""
    kept = {k: v for k, v in options.model_dump().items() if k not in _LIMITS}
    return Identity(
        problem=family,
        declaration=declaration,
        solver=f"model {model}",
        options=json.loads(json.dumps(plain(kept | more))),
    )


def make_steps(
    training: Training,
    state: TrainingState,
    limits: TrainingLimits,
    *,
    folder: Path | None,
    resume: bool,
    report: Callable[[Progress], None],
    label: str = "",
) -> Ending:
    """Make the steps of a training, from its checkpoint in a folder if it is to go on from there.

    Raises
    ------
    OptionError
        The checkpoint belongs to another training.
    Interrupted
        By SIGTERM or Ctrl-C; the checkpoint holds the state.
    """
    place = None if folder is None else folder / "checkpoint"
    if resume and place is not None and any(place.glob("*.json")):
        state.load(place)

    def show(course: Course, latest: Report) -> None:
        report(Progress(label + latest.phase, course.steps, training.steps, latest.text))

    with Interrupts() as interrupts:
        return train(
            training.step,
            state,
            steps=training.steps,
            cpu_seconds=limits.cpu_seconds,
            checkpoint_every=limits.checkpoint_every,
            folder=place if is_first() else None,
            report=show,
            interrupts=interrupts,
            agree=largest,
        )
