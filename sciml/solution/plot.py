"""Pictures of solutions: lines in one dimension, maps side by side with the error in two and three."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from sciml.files import atomic_path
from sciml.problem import Box, MeshData
from sciml.problem.mesh.cells import ReferenceCell, lattice
from sciml.solution.evolution import Evolution, exact_solution
from sciml.solution.fe_field import FEField
from sciml.solution.field import ExactField, Field, FieldPart, Rule, refuse_mismatch

if TYPE_CHECKING:
    from sciml.solution.solution import Solution

__all__ = ["plot_fields", "plot_solution"]

_SEQUENTIAL, _DIVERGING = "viridis", "RdBu_r"
_POINTS = 20_000


def plot_solution(solution: Solution, path: str | Path | None, truth: Field | Evolution | None) -> Figure:
    """Draw a solution; see :meth:`Solution.plot`."""
    problem = solution.problem
    truth = exact_solution(problem) if truth is None else truth
    figure = plot_fields([(solution.solver, solution.field)], truth, title=problem.title or problem.name)
    if path is not None:
        save_figure(figure, path)
    return figure


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a picture file atomically."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130)


def plot_fields(
    fields: Sequence[tuple[str, Field | Evolution]], truth: Field | Evolution | None, *, title: str = ""
) -> Figure:
    """Draw several fields of one problem with their errors against a truth.

    Parameters
    ----------
    fields : list of (label, Field or Evolution)
        What runs in time is drawn at three instants, at the end only where there are several.
    truth : Field, Evolution or None
    title : str

    Returns
    -------
    Figure
        In one dimension lines; in two maps; in three and more, maps of the middle plane of the last coordinates.

    Raises
    ------
    UnsupportedError
        A field and the truth have different dimensions or shapes.
    """
    several = len(fields) > 1 or len(fields[0][1].problem.layout) > 1
    rows = [row for label, field in fields for row in _rows(label, field, truth, 1 if several else 3)]
    for _, field, true in rows:
        if true is not None:
            refuse_mismatch(field, true)
    return _lines(rows, title) if fields[0][1].problem.dim == 1 else _maps(rows, title)


Row = tuple[str, Field, Field | None]


def _rows(label: str, field: Field | Evolution, truth: Field | Evolution | None, instants: int) -> list[Row]:
    """Fields to draw, each with its truth."""
    if not isinstance(field, Evolution):
        assert not isinstance(truth, Evolution)
        if len(field.parts) > 1:
            return [(label, part, truth and truth.part(name)) for name, part in field.parts.items()]
        return [(label, field, truth)]
    assert truth is None or isinstance(truth, Evolution)
    places = np.round(np.arange(1, instants + 1) / instants * (len(field.times) - 1)).astype(int)
    return [
        row
        for t in map(float, field.times[places])
        for row in _rows(f"{label}, t = {t:.3g}", field.at(t), truth and truth.at(t), 1)
    ]


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    # The object interface of matplotlib leaves the user's backend and open figures alone.
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, np.atleast_2d(figure.subplots(rows, columns, squeeze=False))


def _lines(rows: list[Row], title: str) -> Figure:
    problem, truth = rows[0][1].problem, rows[0][2]
    x = np.linspace(problem.domain.lower[0], problem.domain.upper[0], 801)
    figure, axes = _figure(1, 1 if truth is None else 2, 5.0, 3.6)
    drawn = None
    for label, field, truth in rows:
        label = label if len(problem.layout) == 1 else f"{field.name}, {label}"
        values = field.evaluate(x[:, None])
        axes[0, 0].plot(x, _magnitude(values), label=label)
        if truth is not None:
            reference = truth.evaluate(x[:, None])
            error = _magnitude(values - reference)
            axes[0, 1].semilogy(x, np.abs(error) + 1e-300, label=label)
            if truth is not drawn:
                name = _truth_label(truth) if drawn is None else None
                axes[0, 0].plot(x, _magnitude(reference), "k--", lw=1, label=name)
                drawn = truth
    axes[0, 0].set(xlabel="x₀", ylabel=problem.field_name)
    axes[0, 0].legend()
    if drawn is not None:
        axes[0, 1].set(xlabel="x₀", ylabel="|error|", ylim=_log_limits(axes[0, 1]))
    figure.suptitle(title)
    return figure


def _log_limits(axis: Axes) -> tuple[float, float]:
    """Limits that cut off the zeros of an error curve."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axis.get_lines()])
    high = max(float(values.max()), 1e-16)
    return max(high * 1e-6, 1e-18), 2 * high


def _truth_label(truth: Field | None) -> str:
    whole = truth.whole if isinstance(truth, FieldPart) else truth
    return "exact" if isinstance(whole, ExactField) else "reference"


def _magnitude(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 1 else np.linalg.norm(values, axis=1)


def _maps(rows: list[Row], title: str) -> Figure:
    problem, truth = rows[0][1].problem, rows[0][2]
    plane = _plane(rows[0][1])
    columns = 1 if truth is None else 3
    extent = np.ptp(plane.points[:, :2], axis=0)
    height = float(np.clip(4.2 * extent[1] / extent[0], 2.0, 6.0))
    # Without a truth there is one map a row: they stand side by side.
    shape = (len(rows), columns) if columns > 1 else (1, len(rows))
    figure, axes = _figure(*shape, 4.8, height)
    axes = axes.reshape(len(rows), columns)
    for row, (label, field, truth) in enumerate(rows):
        name = field.name if field.shape == () else f"|{field.name}|"
        values = plane.values(field)
        reference = None if truth is None else plane.values(truth)
        shown = [_magnitude(values)] + ([] if reference is None else [_magnitude(reference)])
        limits = float(min(map(np.nanmin, shown))), float(max(map(np.nanmax, shown)))
        _draw(figure, axes[row, 0], plane.triangulation, shown[0], f"{name}, {label}", limits, _SEQUENTIAL)
        if reference is not None:
            _draw(
                figure,
                axes[row, 1],
                plane.triangulation,
                shown[1],
                f"{name}, {_truth_label(truth)}",
                limits,
                _SEQUENTIAL,
            )
            error = values - reference if field.shape == () else _magnitude(values - reference)
            size = _size(error)
            bounds = (-size, size) if field.shape == () else (0.0, size)
            colours = _DIVERGING if field.shape == () else _SEQUENTIAL
            _draw(figure, axes[row, 2], plane.triangulation, error, "error", bounds, colours)
    where = "" if problem.dim == 2 else f" (plane through the middle of x₂{' …' if problem.dim > 3 else ''})"
    figure.suptitle(title + where)
    return figure


def _size(error: np.ndarray) -> float:
    """Largest error, or nearly so where a single point would hide all the rest."""
    magnitudes = np.abs(error[np.isfinite(error)])
    largest, most = float(magnitudes.max()), float(np.quantile(magnitudes, 0.995))
    return (2 * most if largest > 5 * most > 0 else largest) or 1e-16


@dataclass(frozen=True)
class _Plane:
    """Where a map is drawn: points of the domain, the triangles between them, and the cells they were taken from."""

    points: np.ndarray
    triangles: np.ndarray
    mesh: MeshData | None = None
    cells: np.ndarray | None = None

    @property
    def triangulation(self) -> Triangulation:
        return Triangulation(self.points[:, 0], self.points[:, 1], self.triangles)

    def values(self, field: Field) -> np.ndarray:
        """Values at the points, taken from within the cells where the field lives on the same ones."""
        own = self.cells if self.mesh is not None and field.mesh is self.mesh else None
        return field.evaluate(self.points) if own is None else field.at(Rule(self.points, np.ones(len(own)), own))


def _plane(field: Field) -> _Plane:
    """The domain itself, or a plane through its middle above 2-D."""
    domain = field.problem.domain
    if domain.dim == 2:
        return _divided(*_cells(field))
    flat = Box(domain.lower[:2], domain.upper[:2]).mesh(96)
    middle = np.tile((domain.lower + domain.upper) / 2, (len(flat.points), 1))
    middle[:, :2] = flat.points
    triangles = flat.cells
    if not isinstance(domain, Box):
        triangles = triangles[domain.contains(middle)[triangles].all(axis=1)]
    return _Plane(middle, triangles)


def _cells(field: Field) -> tuple[MeshData, int]:
    """The cells that a plane field is drawn on, and its degree on them."""
    whole = field.whole if isinstance(field, FieldPart) else field
    if isinstance(whole, FEField):
        return whole.mesh, whole.degree
    return field.problem.domain.mesh(), 1


def _divided(mesh: MeshData, degree: int) -> _Plane:
    """Every cell divided regularly, finely enough for a picture.

    At its nodes a finite element field is often much better than between them, so points beyond the nodes are
    needed to show what the error is.
    """
    half = 0.5 if mesh.cell.is_simplex else 1.0
    divisions = max(degree + 1, int(np.ceil(np.sqrt(_POINTS / (half * len(mesh.cells))))))
    reference, triangles = _split(mesh.cell, divisions)
    points = np.einsum("qk,cki->cqi", mesh.basis.values(reference), mesh.points[mesh.cells]).reshape(-1, 2)
    cells = np.repeat(np.arange(len(mesh.cells)), len(reference))
    first = len(reference) * np.arange(len(mesh.cells))
    return _Plane(points, (first[:, None, None] + triangles).reshape(-1, 3), mesh, cells)


def _split(cell: ReferenceCell, divisions: int) -> tuple[np.ndarray, np.ndarray]:
    """A lattice on a plane reference cell, and the triangles between its points."""
    points = lattice(cell, divisions)
    steps = np.rint(points * divisions).astype(int)
    number = np.full((divisions + 2, divisions + 2), -1)
    number[tuple(steps.T)] = np.arange(len(points))
    here, right, above, across = number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]
    triangles = np.stack([[here, right, above], [right, across, above]]).transpose(0, 2, 3, 1).reshape(-1, 3)
    return points, triangles[(triangles >= 0).all(axis=1)]


def _draw(
    figure: Figure, axis: Axes, triangulation: Triangulation, values: np.ndarray, title: str, limits: Any, colours: str
) -> None:
    low, high = limits if limits[1] > limits[0] else (limits[0] - 1e-12, limits[0] + 1e-12)
    image = axis.tripcolor(
        triangulation, np.nan_to_num(values), shading="gouraud", cmap=colours, vmin=low, vmax=high, rasterized=True
    )
    axis.set(title=title, xlabel="x₀", ylabel="x₁", aspect="equal")
    beyond = bool(np.nanmax(values) > high * (1 + 1e-9)), bool(np.nanmin(values) < low - 1e-9 * abs(low))
    extend = {(True, True): "both", (True, False): "max", (False, True): "min"}.get(beyond, "neither")
    figure.colorbar(image, ax=axis, shrink=0.85, extend=extend)
