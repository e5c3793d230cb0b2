"""Pictures of a diagnosis: where the residual is, where points are drawn from, and where they are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from sciml.solution.diagnosis import DiagnosisArrays
from sciml.solution.plot import save_figure

__all__ = ["draw_diagnosis", "figures_of"]

_COORDINATES = 4
_BINS = 24
_COLOURS = {"residual": "magma", "density": "viridis"}
_TITLES = {"residual": "|residual|, in multiples of its size", "density": "density of points, 1 is even"}


def draw_diagnosis(folder: Path) -> list[Path]:
    """Draw what a training has left in a folder, and say where the pictures are; none where there are no arrays.

    Raises
    ------
    OutputError
        The arrays are damaged, or the folder cannot be written.
    """
    arrays = DiagnosisArrays.read(folder)
    if arrays is None:
        return []
    paths = []
    for name, figure in figures_of(arrays).items():
        paths.append(folder / f"{name}.png")
        save_figure(figure, paths[-1])
    return paths


def figures_of(arrays: DiagnosisArrays) -> dict[str, Figure]:
    """The pictures by name.

    In one dimension curves over the points, in two dimensions maps beside the points: one picture. In more dimensions
    one picture each for residual, density and points, over pairs of at most four coordinates: those along which the
    residual varies most.
    """
    if arrays.dim == 1:
        return {"diagnosis": _curves(arrays)}
    if arrays.dim == 2:
        return {"diagnosis": _maps(arrays)}
    axes = _telling(arrays)
    figures = {"diagnosis_residual": _pairs(arrays, axes, "residual")}
    if arrays.density is not None:
        figures["diagnosis_density"] = _pairs(arrays, axes, "density")
    return figures | {"diagnosis_points": _pairs(arrays, axes, "points")}


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _fields(arrays: DiagnosisArrays) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Points and values of what is drawn in colours."""
    found = {"residual": (arrays.residual_points, np.abs(arrays.residual))}
    if arrays.density is not None and arrays.density_points is not None:
        found["density"] = (arrays.density_points, arrays.density)
    return found


def _curves(arrays: DiagnosisArrays) -> Figure:
    fields = _fields(arrays)
    figure = _figure(7.0, 2.6 * len(fields) + 1.0)
    ratios = [*(2.6 for _ in fields), 0.5]
    axes = figure.subplots(len(fields) + 1, 1, sharex=True, height_ratios=ratios)
    for axis, (name, (points, values)) in zip(axes, fields.items(), strict=False):
        order = np.argsort(points[:, 0])
        axis.plot(points[order, 0], values[order], lw=1)
        axis.set_ylabel(_TITLES[name].replace(", ", ",\n"))
        if name == "residual" and values.max() > 0:
            axis.set_yscale("log")
            axis.set_ylim(max(values.max() * 1e-6, np.quantile(values, 0.01) / 2), 2 * values.max())
    axes[-1].plot(arrays.points[:, 0], np.zeros(len(arrays.points)), "|", ms=12, color="black", alpha=_opacity(arrays))
    axes[-1].set(yticks=[], xlabel=arrays.coordinates[0], ylabel="points")
    return figure


def _maps(arrays: DiagnosisArrays) -> Figure:
    fields = _fields(arrays)
    extent = np.ptp(arrays.residual_points, axis=0)
    height = np.clip(4.2 * extent[1] / extent[0], 2.4, 7.0) if _aspect(arrays) == "equal" else 4.2
    figure = _figure(4.8 * (len(fields) + 1), float(height))
    axes = figure.subplots(1, len(fields) + 1, sharex=True, sharey=True)
    for axis, (name, (points, values)) in zip(axes, fields.items(), strict=False):
        norm = _norm(values, name)
        drawn = _map(axis, points, values, norm, _COLOURS[name])
        figure.colorbar(drawn, ax=axis, shrink=0.85, extend="min" if isinstance(norm, LogNorm) else "neither")
        axis.set_title(_TITLES[name])
    axes[-1].scatter(*arrays.points.T, s=_dot(arrays), color="black", alpha=_opacity(arrays), lw=0)
    axes[-1].set_title(f"{len(arrays.points)} points")
    for axis in axes:
        axis.set(xlabel=arrays.coordinates[0], ylabel=arrays.coordinates[1], aspect=_aspect(arrays))
        axis.label_outer()
    return figure


def _map(axis: Axes, points: np.ndarray, values: np.ndarray, norm: Normalize, colours: str) -> Any:
    """A map where the points fill a grid, dots elsewhere: between points nothing is known."""
    columns, rows = (np.unique(points[:, i]) for i in range(2))
    if len(columns) * len(rows) == len(points):
        grid = values[np.lexsort((points[:, 0], points[:, 1]))].reshape(len(rows), len(columns))
        return axis.pcolormesh(columns, rows, grid, norm=norm, cmap=colours, shading="nearest", rasterized=True)
    order = np.argsort(values)
    size = float(np.clip(8e4 / len(points), 1.0, 80.0))
    return axis.scatter(*points[order].T, c=values[order], s=size, norm=norm, cmap=colours, lw=0, rasterized=True)


def _norm(values: np.ndarray, name: str) -> Normalize:
    """Colours by the logarithm where values span more than a factor of 30."""
    finite = values[np.isfinite(values)]
    high = float(finite.max(initial=0.0)) or 1.0
    low = float(np.quantile(finite, 0.02)) if len(finite) else 0.0
    if high > 30 * low:
        return LogNorm(max(low, high * (1e-4 if name == "residual" else 1e-3)), high)
    return Normalize(0.0, high)


def _telling(arrays: DiagnosisArrays) -> list[int]:
    """Coordinates to draw, in their order: those along which the mean residual varies most."""
    variation = [_variation(x, np.abs(arrays.residual)) for x in arrays.residual_points.T]
    return sorted(sorted(range(arrays.dim), key=lambda i: -variation[i])[:_COORDINATES])


def _variation(x: np.ndarray, values: np.ndarray) -> float:
    edges = np.quantile(x, np.linspace(0, 1, 11)[1:-1])
    bins = np.searchsorted(edges, x)
    counts = np.bincount(bins, minlength=10)
    means = np.bincount(bins, values, minlength=10)[counts > 0] / counts[counts > 0]
    return float(np.std(means))


def _pairs(arrays: DiagnosisArrays, axes: list[int], name: str) -> Figure:
    """One panel for each pair of coordinates."""
    pairs = list(combinations(axes, 2))
    columns = 3
    rows = -(-len(pairs) // columns)
    figure = _figure(4.0 * columns, 3.4 * rows + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(pairs) :]:
        panel.set_axis_off()
    draw = _dots(arrays) if name == "points" else _cells(figure, panels, *_fields(arrays)[name], pairs, name)
    for panel, (i, j) in zip(panels, pairs, strict=False):
        draw(panel, i, j)
        panel.set(xlabel=arrays.coordinates[i], ylabel=arrays.coordinates[j])
    some = f" (4 of {arrays.dim} coordinates)" if len(axes) < arrays.dim else ""
    title = f"{len(arrays.points)} points" if name == "points" else f"{_TITLES[name]}: mean over the others"
    figure.suptitle(title + some)
    return figure


def _dots(arrays: DiagnosisArrays) -> Callable[[Axes, int, int], None]:
    def draw(panel: Axes, i: int, j: int) -> None:
        points = arrays.points[:, [i, j]]
        panel.scatter(*points.T, s=_dot(arrays), color="black", alpha=_opacity(arrays), lw=0, rasterized=True)

    return draw


def _cells(
    figure: Figure, panels: np.ndarray, points: np.ndarray, values: np.ndarray, pairs: list, name: str
) -> Callable[[Axes, int, int], None]:
    """Means over cells of two coordinates, with one scale of colours for all panels."""
    means = {pair: _means(points[:, list(pair)], values) for pair in pairs}
    every = np.concatenate([mean[np.isfinite(mean)] for _, _, mean in means.values()])
    norm = _norm(every, name)
    first = True

    def draw(panel: Axes, i: int, j: int) -> None:
        nonlocal first
        drawn = panel.pcolormesh(*means[i, j], norm=norm, cmap=_COLOURS[name], rasterized=True)
        if first:
            figure.colorbar(drawn, ax=list(panels), shrink=0.7)
        first = False

    return draw


def _means(points: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges of cells along both coordinates, and the mean in each; NaN where no point lies."""
    bins = int(np.clip(np.sqrt(len(points) / 8), 4, _BINS))
    sums, x, y = np.histogram2d(*points.T, bins=bins, weights=values)
    counts, _, _ = np.histogram2d(*points.T, bins=[x, y])
    with np.errstate(invalid="ignore"):
        return x, y, np.where(counts > 0, sums / counts, np.nan).T


def _aspect(arrays: DiagnosisArrays) -> str:
    """Equal scales unless the domain is much longer than wide."""
    extent = np.ptp(arrays.residual_points, axis=0)
    return "equal" if extent.min() > 0 and extent.max() < 5 * extent.min() else "auto"


def _dot(arrays: DiagnosisArrays) -> float:
    return float(np.clip(2e4 / len(arrays.points), 2.0, 12.0))


def _opacity(arrays: DiagnosisArrays) -> float:
    return float(np.clip(2e3 / len(arrays.points), 0.4, 0.8))
