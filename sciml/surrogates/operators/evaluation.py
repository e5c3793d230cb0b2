"""What a trained network is worth on samples that it has not seen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from sciml.datasets import Dataset, Samples
from sciml.errors import OptionError
from sciml.surrogates.operators.conformal import coverage
from sciml.surrogates.operators.figures import error_histogram, sample_figure
from sciml.surrogates.operators.run import OperatorRun, check_samples
from sciml.surrogates.operators.samples import Batch, batch_of
from sciml.surrogates.operators.surrogate import relative_l2

__all__ = ["Evaluation", "evaluate"]


@dataclass
class Evaluation:
    """Errors on a split of a data file.

    Attributes
    ----------
    errors : (n,) array
        Relative L2 error of each sample.
    figures : dict
        What `sciml evaluate` prints: errors, coverage, baselines, costs.
    samples : Samples
    predicted : ``(n, *grid, c_out)`` array
    """

    errors: np.ndarray
    figures: dict[str, Any]
    samples: Samples
    predicted: np.ndarray

    def histogram(self) -> Figure:
        """How the errors are spread."""
        names = ("mean_field", "nearest_sample")
        return error_histogram(self.errors, {name.replace("_", " "): self.figures[name] for name in names})

    def pictures(self, names: tuple[str, str]) -> Figure:
        """The best, the median and the worst sample."""
        order = np.argsort(self.errors)
        chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
        places, rows = [], []
        for label, index in chosen.items():
            own = self.samples.places
            where = own[index] if own.ndim == self.samples.inputs.ndim else own
            shown = (self.samples.inputs[index], self.samples.outputs[index], self.predicted[index])
            planes = [_plane(values[..., -1] if k else values[..., 0]) for k, values in enumerate(shown)]
            rows.append((f"{label}: {self.errors[index]:.3g}", *planes))
            places.append(_plane(where, trailing=1))
        return sample_figure(rows, places, names)


def evaluate(
    run: OperatorRun,
    dataset: Dataset,
    split: str = "test",
    *,
    device: str = "cpu",
    batch_statistics: bool = False,
) -> Evaluation:
    """Hold a trained network against a split of a data file.

    Parameters
    ----------
    run : OperatorRun
    dataset : Dataset
        Of the family that the network was trained on, at the resolution that it was trained for unless it takes any.
    split : {"train", "validation", "test"}
    device : str
    batch_statistics : bool
        Let batch normalisation use the statistics of the batch that is evaluated, as some published figures do. It
        changes nothing else.

    Raises
    ------
    OptionError
        A file of another family, another layout, or another resolution that the network does not take.
    """
    refuse_other_data(run, dataset)
    options = run["options"]
    frames = {"frames_in": options["frames_in"], "frames_out": options["frames_out"]}
    samples = dataset.samples(split, **frames)  # type: ignore[arg-type]
    if not len(samples.inputs):
        raise OptionError(f"{dataset.path} has no samples to {split}: it has {dataset.sizes}.")
    batch = batch_of(samples, run["bounds"])
    cpu = time.process_time()
    with _batch_statistics(run.surrogate, batch_statistics):
        predicted = check_samples(run.predict(batch, device=device))
    cpu = time.process_time() - cpu
    errors = relative_l2(predicted, batch.outputs).double().numpy()
    train = batch_of(dataset.samples("train", **frames), run["bounds"])  # type: ignore[arg-type]
    figures = {
        "relative_l2": float(errors.mean()),
        "median": float(np.median(errors)),
        "worst": float(errors.max()),
        "max_error": float((predicted - batch.outputs).abs().max()),
        "coverage": coverage(predicted, batch.outputs, run.width(tuple(batch.outputs.shape[1:-1]))),
        "nominal_coverage": run.band.nominal,
        "samples": len(errors),
        **_trivial(train, batch),
        "trainable_parameters": run["trainable_parameters"],
        "cpu_seconds": run["cpu_seconds"],
        "evaluation_cpu_seconds": cpu,
    }
    return Evaluation(errors, figures, samples, predicted.reshape(samples.outputs.shape).numpy())


def refuse_other_data(run: OperatorRun, dataset: Dataset) -> None:
    """Refuse data that the network was not made for.

    Raises
    ------
    OptionError
    """
    if dataset.family != run["family"]:
        raise OptionError(
            f"{dataset.path} is of family {dataset.family!r}; the network was trained on {run['family']!r}."
        )
    names = {"inputs": list(dataset.input_names), "outputs": list(dataset.output_names)}
    if names != run["names"]:
        raise OptionError(f"{dataset.path} has {names}; the network was trained with {run['names']}.")
    grid = tuple(dataset.grid)
    if grid != tuple(run["grid"]) and not run["any_resolution"]:
        raise OptionError(
            f"{dataset.path} has {_times(grid)} nodes; model {run['model']!r} takes no other grid than the "
            f"{_times(run['grid'])} that it was trained on."
        )


def _times(grid: Any) -> str:
    return " × ".join(map(str, grid))


def _trivial(train: Batch, batch: Batch) -> dict[str, float]:
    """Errors of the mean of the training outputs, and of the training sample with the nearest input."""
    if train.outputs.shape[1:] != batch.outputs.shape[1:] or not len(train):
        return {}
    mean = train.outputs.mean(0, keepdim=True).expand_as(batch.outputs)
    distance = torch.cdist(batch.inputs.flatten(1), train.inputs.flatten(1))
    nearest = train.outputs[distance.argmin(1)]
    return {
        "mean_field": float(relative_l2(mean, batch.outputs).double().mean()),
        "nearest_sample": float(relative_l2(nearest, batch.outputs).double().mean()),
    }


@contextmanager
def _batch_statistics(module: nn.Module, wanted: bool) -> Iterator[None]:
    """Batch normalisation by the batch itself inside of the block, its running statistics untouched."""
    layers = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)] if wanted else []
    before = [(m.running_mean, m.running_var, m.track_running_stats) for m in layers]
    for layer in layers:
        layer.running_mean = layer.running_var = None
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer, (mean, variance, track) in zip(layers, before, strict=True):
            layer.running_mean, layer.running_var, layer.track_running_stats = mean, variance, track


def _plane(values: np.ndarray, trailing: int = 0) -> np.ndarray:
    """The middle plane of what has more than two axes."""
    while values.ndim - trailing > 2:
        values = np.take(values, values.shape[2] // 2, axis=2)
    return values[..., :2] if trailing and values.shape[-1] > 2 else values
