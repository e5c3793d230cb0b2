"""Pictures of a training: its course, how errors are spread, and samples from the best to the worst."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

__all__ = ["course_figure", "error_histogram", "sample_figure"]

_SEQUENTIAL, _ERROR = "viridis", "magma"


def course_figure(history: Sequence[Sequence[float]], validation: Sequence[Sequence[float]], steps: int) -> Figure:
    """Loss of the batches and error of the validation samples over the epochs.

    Parameters
    ----------
    history : list of (step, loss)
    validation : list of (epoch, error)
    steps : int
        In an epoch.
    """
    figure = _figure(6.4, 3.8)
    axis = figure.add_subplot()
    if history:
        numbers, losses = np.array(history, dtype=float).T
        axis.plot(numbers / steps, losses, color="0.6", linewidth=0.8, label="training, batch by batch")
    if validation:
        epochs, errors = np.array(validation, dtype=float).T
        axis.plot(epochs, errors, "o-", color="C0", markersize=4, label="validation")
    axis.set(xlabel="epoch", ylabel="relative L2 error", yscale="log")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.legend(frameon=False)
    axis.grid(alpha=0.3)
    return figure


def error_histogram(errors: np.ndarray, baselines: dict[str, float]) -> Figure:
    """How many samples have which relative L2 error; lines for the mean and what trivial models reach."""
    figure = _figure(6.4, 3.8)
    axis = figure.add_subplot()
    low, high = errors.min(), max(errors.max(), errors.min() * 1.01)
    axis.hist(errors, bins=np.geomspace(low, high, 25), color="C0", alpha=0.8)
    axis.axvline(errors.mean(), color="C0", linestyle="--", label=f"mean {errors.mean():.3g}")
    for place, (name, error) in enumerate(baselines.items(), 1):
        axis.axvline(error, color=f"C{place}", linestyle=":", label=f"{name} {error:.3g}")
    axis.set(xscale="log", xlabel="relative L2 error of a sample", ylabel="samples")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.legend(frameon=False)
    return figure


def sample_figure(
    samples: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]],
    places: Sequence[np.ndarray],
    names: Sequence[str],
) -> Figure:
    """Input, truth, prediction and error of some samples, a row each.

    Parameters
    ----------
    samples : list of (label, input, truth, prediction)
        Values ``(*grid)`` on grids of one or two dimensions, or in a plane.
    places : list of ``(*grid, dim)`` arrays
        Of the nodes, a sample each.
    names : (str, str)
        Of input and output.
    """
    figure = _figure(12.0, 2.75 * len(samples))
    axes = figure.subplots(len(samples), 4, squeeze=False)
    for row, where, (label, given, truth, predicted) in zip(axes, places, samples, strict=True):
        error = predicted - truth
        low, high = float(np.min(truth)), float(np.max(truth))
        columns: list[tuple[str, np.ndarray, dict[str, Any]]] = [
            (names[0], given, {"cmap": _SEQUENTIAL}),
            (f"{names[1]}, reference", truth, {"cmap": _SEQUENTIAL, "vmin": low, "vmax": high}),
            ("prediction", predicted, {"cmap": _SEQUENTIAL, "vmin": low, "vmax": high}),
            ("|error|", np.abs(error), {"cmap": _ERROR, "vmin": 0.0}),
        ]
        for axis, (title, values, style) in zip(row, columns, strict=True):
            _draw(figure, axis, where, values, style)
            axis.set_title(title, fontsize=9)
        row[0].set_ylabel(label, fontsize=9)
    return figure


def _draw(figure: Figure, axis: Axes, places: np.ndarray, values: np.ndarray, style: dict[str, Any]) -> None:
    if values.ndim == 1 and places.shape[-1] == 1:
        axis.plot(places[:, 0], values)
        return
    if values.ndim == 1:
        drawn = axis.scatter(places[:, 0], places[:, 1], c=values, s=4, linewidths=0, **style)
    else:
        drawn = axis.pcolormesh(places[..., 0], places[..., 1], values, shading="gouraud", **style)
    axis.set_aspect("equal")
    axis.set_xticks([])
    axis.set_yticks([])
    figure.colorbar(drawn, ax=axis, shrink=0.85)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
