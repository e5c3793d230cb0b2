"""What trainings of surrogates share: who a training is, and making its steps from where a checkpoint left them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from sciml.files import plain
from sciml.solvers.base import Progress
from sciml.training import Course, Ending, Identity, Interrupts, Report, TrainingState, train
from sciml.training.distributed import is_first, largest

__all__ = ["Training", "TrainingLimits", "identity_of", "make_steps"]

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
