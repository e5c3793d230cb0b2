"""From a data file to a trained simulator: options, training, and the record of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sciml.datasets import Dataset, open_dataset
from sciml.errors import DivergenceError, OptionError
from sciml.files import plain
from sciml.registry import other_names
from sciml.solvers.base import Progress, checked_device, validated_options
from sciml.surrogates.continuing import identity_of, make_steps, train_in_folder, what_it_took
from sciml.surrogates.wave_cnn.evaluation import roll_outs
from sciml.surrogates.wave_cnn.options import WaveOptions
from sciml.surrogates.wave_cnn.run import WaveRun
from sciml.surrogates.wave_cnn.training import WaveTraining
from sciml.surrogates.wave_cnn.waves import Waves
from sciml.training import Course, Ending, TrainingState

__all__ = ["MODEL", "WaveFit", "train_waves"]

MODEL = "wave_cnn"
_MARGIN = 0.1


class WaveFit:
    """A training that was looked over and can begin: nothing of its request is wrong.

    Parameters
    ----------
    family : str
        As the data file names it.
    data : path
    options : mapping
    seed, device : int, str

    Raises
    ------
    UnknownNameError, OptionError, OutputError, UnsupportedError
        Bad input.
    """

    def __init__(
        self,
        family: str,
        data: str | Path,
        options: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        if seed < 0:
            raise OptionError(f"seed={seed} was given; it is a whole number ≥ 0.")
        checked_device(device)
        self.options = validated_options(WaveOptions, options or {}, f"model {MODEL!r}")
        self.seed, self.device = seed, device
        self.dataset: Dataset = open_dataset(data)
        family = other_names().get(family, family)
        if self.dataset.family != family:
            raise OptionError(
                f"{data} is of family {self.dataset.family!r}, not {family!r}; give a file of that family."
            )
        self.waves = Waves.of(self.dataset, "train", self.options.samples)
        self.training = WaveTraining(self.waves, self.options, seed=seed, device=device)

    def run(
        self,
        *,
        folder: Path | None = None,
        resume: bool = False,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> WaveRun:
        """Train.

        Raises
        ------
        DivergenceError
            The loss became infinite or not a number.
        Interrupted
            By SIGTERM or Ctrl-C; the checkpoint in `folder` holds the state.
        """
        training = self.training
        who = identity_of(self.dataset.family, self.dataset.checksum[:16], MODEL, self.options, seed=self.seed)
        state = TrainingState(who, training=training)
        training.course = state.course
        ending = make_steps(training, state, self.options, folder=folder, resume=resume, report=report)
        if ending.status == "diverged":
            raise DivergenceError(f"The training of {MODEL!r} diverged: {ending.reason}; lower the learning_rate.")
        run = WaveRun(training.simulator.eval(), {})
        run.manifest = self._manifest(state.course, ending)
        run.manifest["validation"] = roll_outs(run, Waves.of(self.dataset, "validation"), device=self.device)[
            "relative_l2"
        ]
        return run

    def _manifest(self, course: Course, ending: Ending) -> dict[str, Any]:
        dataset, simulator = self.dataset, self.training.simulator
        return plain(
            {
                "family": dataset.family,
                "model": MODEL,
                "options": self.options.model_dump(),
                "specification": dataset.specification,
                "grid": list(dataset.grid),
                "step": simulator.step,
                "spacing": simulator.spacing,
                "frames": 0 if dataset.times is None else len(dataset.times),
                "speed": list(simulator.speed),
                "ranges": {name: _widened(*ends) for name, ends in dataset.ranges.items()},
                "data": {"file": dataset.path.name, "checksum": dataset.checksum, "sizes": dataset.sizes},
                "label_error": dataset.label_error,
                "seed": self.seed,
                "device": self.device,
                "trainable_parameters": simulator.trainable_parameters,
                "loss": course.loss,
                "course": {"history": course.history},
                **what_it_took(course, ending),
            }
        )


def _widened(low: np.ndarray, high: np.ndarray) -> list[list[float]]:
    """A range with a tenth more on both sides: members drawn like the samples lie a little outside of these."""
    margin = _MARGIN * (high - low)
    return [(low - margin).tolist(), (high + margin).tolist()]


def train_waves(
    family: str,
    data: str | Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    folder: str | Path | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
    **options: Any,
) -> WaveRun:
    """Train a simulator of a family of waves.

    Parameters
    ----------
    family : str
        Such as ``"wave/membrane"``.
    data : path
        A file that `sciml generate` has written.
    seed : int
        Of the first weights, windows and noise.
    device : str
    folder : path, optional
        For checkpoints while it runs, and for the result.
    resume : bool
        Go on from the checkpoint in `folder`.
    report : callable
        Takes :class:`~sciml.solvers.base.Progress` objects.
    **options
        Of :class:`~sciml.surrogates.wave_cnn.options.WaveOptions`.

    Raises
    ------
    UnknownNameError, OptionError, OutputError, UnsupportedError
        Bad input, before work starts.
    DivergenceError
        The loss became infinite or not a number.

    Examples
    --------
    >>> run = train_waves("wave/membrane", "wave64.h5", format="chain", folder="run")
    """
    return train_in_folder(
        WaveFit(family, data, options, seed=seed, device=device), folder, resume=resume, report=report
    )
