"""From a data file to a trained network: options, tuning, training, calibration, and the record of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from sciml.datasets import Dataset, open_dataset
from sciml.errors import DivergenceError, OptionError, unknown_name
from sciml.files import plain
from sciml.registry import other_names
from sciml.solvers.base import (
    Progress,
    Range,
    checked_device,
    refuse_unknown_options,
    validated_options,
)
from sciml.surrogates.continuing import identity_of, make_steps, train_in_folder, what_it_took
from sciml.surrogates.operators import MODELS, build
from sciml.surrogates.operators.conformal import ConformalBand
from sciml.surrogates.operators.figures import course_figure
from sciml.surrogates.operators.options import TrainingOptions
from sciml.surrogates.operators.run import OperatorRun, setting_as_dict
from sciml.surrogates.operators.samples import TrainingData
from sciml.surrogates.operators.training import OperatorTraining
from sciml.training import Course, Ending, TrainingState
from sciml.training.distributed import is_first

__all__ = ["Fit", "split_options", "train_operator"]

_TRIALS = 7919
_SPACE: dict[str, Any] = {"learning_rate": Range(3e-4, 1e-2, log=True)}


class Fit:
    """A training that was looked over and can begin: nothing of its request is wrong.

    Parameters
    ----------
    family : str
        As the data file names it.
    data : path
    model : str
    options : mapping
        Of the training and of the model together.
    seed, device : int, str
    tune : int
        Trials of the model's tuning space, each with the whole budget, chosen between by validation; 0 takes the
        options as they are.
    space : mapping, optional
        What trials are drawn from, option by option, in place of the learning rate and the model's tuning space.

    Attributes
    ----------
    operator : Operator
        The network as it is before training.

    Raises
    ------
    UnknownNameError, OptionError, OutputError
        Bad input.
    """

    def __init__(
        self,
        family: str,
        data: str | Path,
        model: str = "lsm",
        options: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        device: str = "cpu",
        tune: int = 0,
        space: Mapping[str, Sequence[Any] | Range] | None = None,
    ) -> None:
        if model not in MODELS:
            raise unknown_name("model", model, MODELS)
        if seed < 0 or tune < 0:
            raise OptionError(f"seed={seed} and tune={tune} were given; both are whole numbers ≥ 0.")
        checked_device(device)
        self.model, self.seed, self.device, self.tune = model, seed, device, tune
        self.space = _SPACE | dict(MODELS[model].tuning_space) if space is None else dict(space)
        self.options, self.model_options = split_options(model, options or {})
        self.dataset: Dataset = open_dataset(data)
        family = other_names().get(family, family)
        if self.dataset.family != family:
            raise OptionError(
                f"{data} is of family {self.dataset.family!r}, not {family!r}; give a file of that family."
            )
        self.data = TrainingData.of(self.dataset, self.options)
        self.operator = build(model, self.data.setting, seed, **self.model_options)

    def training(self, options: TrainingOptions, model_options: Mapping[str, Any]) -> OperatorTraining:
        """A training at its beginning."""
        return OperatorTraining(self.data, self.model, model_options, options, seed=self.seed, device=self.device)

    def run(
        self,
        *,
        folder: Path | None = None,
        resume: bool = False,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> OperatorRun:
        """Tune, train and calibrate.

        Raises
        ------
        DivergenceError
            The loss became infinite or not a number.
        Interrupted
            By SIGTERM or Ctrl-C; the checkpoint in `folder` holds the state.
        """
        trials = self._trials(folder, resume, report)
        chosen = min(trials, key=lambda trial: trial["validation"])["options"] if trials else {}
        options, model_options = self._with(chosen)
        training, course, ending = self._trained(options, model_options, folder, resume, report)
        if ending.status == "diverged":
            raise DivergenceError(f"The training of {self.model!r} diverged: {ending.reason}; lower the learning_rate.")
        training.take_best()
        return self._calibrated(training, course, options, trials, ending)

    def _trained(
        self,
        options: TrainingOptions,
        model_options: Mapping[str, Any],
        folder: Path | None,
        resume: bool,
        report: Callable[[Progress], None],
        label: str = "",
    ) -> tuple[OperatorTraining, Course, Ending]:
        training = self.training(options, model_options)
        who = identity_of(
            self.dataset.family,
            self.dataset.checksum[:16],
            self.model,
            options,
            **{**model_options, "seed": self.seed},
        )
        state = TrainingState(who, training=training)
        training.course = state.course
        ending = make_steps(training, state, options, folder=folder, resume=resume, report=report, label=label)
        return training, state.course, ending

    # -- tuning ------------------------------------------------------------------------------------------

    def _trials(self, folder: Path | None, resume: bool, report: Callable[[Progress], None]) -> list[dict[str, Any]]:
        """Options that were tried, with their validation errors; those of before are not made again."""
        if not self.tune:
            return []
        ledger = None if folder is None else folder / "trials.jsonl"
        known = _lines(ledger) if resume else []
        for number in range(len(known), self.tune):
            drawn = self._drawn(number)
            options, model_options = self._with(drawn)
            cpu = time.process_time()
            training, _, ending = self._trained(options, model_options, None, False, report, f"trial {number + 1}, ")
            error = min((value for _, value in training.validation), default=float("inf"))
            known.append({"options": drawn, "validation": error, "cpu_seconds": time.process_time() - cpu})
            if ending.status == "diverged" or not np.isfinite(error):
                known[-1]["validation"] = 1e300
            if ledger is not None and is_first():
                with ledger.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(plain(known[-1])) + "\n")
        return known

    def _drawn(self, number: int) -> dict[str, Any]:
        """Options of a trial; the first is what was asked for."""
        if number == 0:
            return {}
        generator = np.random.default_rng((self.seed, _TRIALS, number))
        return {
            name: values.at(generator.random())
            if isinstance(values, Range)
            else values[int(generator.integers(len(values)))]
            for name, values in self.space.items()
        }

    def _with(self, drawn: Mapping[str, Any]) -> tuple[TrainingOptions, dict[str, Any]]:
        own = {name: value for name, value in drawn.items() if name in TrainingOptions.model_fields}
        rest = {name: value for name, value in drawn.items() if name not in own}
        return self.options.model_copy(update=own), self.model_options | rest

    # -- what is kept ------------------------------------------------------------------------------------

    def _calibrated(
        self,
        training: OperatorTraining,
        course: Course,
        options: TrainingOptions,
        trials: list[dict[str, Any]],
        ending: Ending,
    ) -> OperatorRun:
        validation = self.data.validation
        predicted = training.predict(validation)
        band = ConformalBand.of(predicted - validation.outputs, options.coverage)
        operator, kind, dataset = training.surrogate.operator, training.kind, self.dataset
        manifest = {
            "family": dataset.family,
            "model": self.model,
            "model_options": operator.options,
            "options": options.model_dump(),
            "setting": setting_as_dict(self.data.setting),
            "any_resolution": kind.discretisation_invariant and self.data.scaling != "none",
            "grid": list(dataset.grid),
            "frames": self.data.frames,
            "static": self.data.static,
            "scaling": self.data.scaling,
            "bounds": self.data.bounds,
            "input_range": input_range(self.data.train.inputs),
            "names": {"inputs": list(dataset.input_names), "outputs": list(dataset.output_names)},
            "specification": dataset.specification,
            "ranges": {name: [low.tolist(), high.tolist()] for name, (low, high) in dataset.ranges.items()},
            "data": {"file": dataset.path.name, "checksum": dataset.checksum, "sizes": dataset.sizes},
            "label_error": dataset.label_error,
            "seed": self.seed,
            "device": self.device,
            "trainable_parameters": operator.trainable_parameters,
            "real_parameters": operator.real_parameters,
            "flops": operator.flops(1),
            "validation": min((value for _, value in training.validation), default=training.validation_error()),
            "course": {"history": course.history, "validation": training.validation, "steps": training.steps_of_epoch},
            "trials": trials,
            **what_it_took(course, ending, "neuraloperator"),
        }
        return OperatorRun(training.surrogate, band, plain(manifest))


def train_operator(
    family: str,
    data: str | Path,
    model: str = "lsm",
    *,
    seed: int = 0,
    device: str = "cpu",
    tune: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
    **options: Any,
) -> OperatorRun:
    """Train a network to map the data of a family's members to their solutions.

    Parameters
    ----------
    family : str
        Such as ``"darcy/threshold"``.
    data : path
        A file that `sciml generate` or `sciml import` has written.
    model : str
        ``"lsm"``, ``"fno"``, ``"transolver"``, …
    seed : int
        Of the first weights and of the order of the samples.
    device : str
    tune : int
        Trials of the model's tuning space before the training that counts, the first with the options given; each uses
        the whole budget, and the validation samples choose.
    folder : path, optional
        For checkpoints while it runs, and for the result.
    resume : bool
        Go on from the checkpoint in `folder`.
    report : callable
        Takes :class:`~sciml.solvers.base.Progress` objects.
    **options
        Of the training (:class:`~sciml.surrogates.operators.options.TrainingOptions`) and of the model.

    Returns
    -------
    OperatorRun
        With the weights that did best on the validation samples, and the band calibrated there.

    Raises
    ------
    UnknownNameError, OptionError, OutputError
        Bad input, before work starts.
    DivergenceError
        The loss became infinite or not a number.

    Examples
    --------
    >>> run = train_operator("darcy/threshold", "darcy32.h5", "lsm", epochs=10, folder="run")
    """
    fit = Fit(family, data, model, options, seed=seed, device=device, tune=tune)
    return train_in_folder(fit, folder, resume=resume, report=report)


def split_options(model: str, given: Mapping[str, Any]) -> tuple[TrainingOptions, dict[str, Any]]:
    """Options of the training, and those of the model, validated; from Python or as text from a command line.

    Raises
    ------
    OptionError
        An option that neither has, or a value that is not allowed.
    """
    own = MODELS[model].Options
    shared = TrainingOptions.model_fields
    refuse_unknown_options([*shared, *own.model_fields], given, f"model {model!r}")
    training = validated_options(TrainingOptions, {k: v for k, v in given.items() if k in shared})
    rest = {name: value for name, value in given.items() if name not in shared}
    checked = validated_options(own, rest)
    return training, {name: getattr(checked, name) for name in rest}


def input_range(inputs: Tensor) -> list[list[float]]:
    """The least and the largest value of each channel."""
    flat = inputs.flatten(0, -2)
    return [flat.min(0).values.tolist(), flat.max(0).values.tolist()]


def course_of(run: OperatorRun) -> Any:
    """The picture of how a training went."""
    course = run["course"]
    return course_figure(course["history"], course["validation"], course["steps"])


def _lines(path: Path | None) -> list[dict[str, Any]]:
    """Whole lines of a ledger; one that was being written when the process was killed is left out."""
    if path is None or not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
