"""Diagnoses on disk, and that their pictures show what is in the arrays."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sciml.solution.diagnosis import Diagnosis, DiagnosisArrays
from sciml.solution.diagnosis_plot import draw_diagnosis, figures_of

GENERATOR = np.random.default_rng(0)


def arrays(dim: int, *, grid: bool = False, density: bool = True, names: list[str] | None = None) -> DiagnosisArrays:
    """The residual is large in the corner where the first two coordinates are 1."""
    lines = [np.linspace(0, 1, 5), np.linspace(0, 2, 4), np.linspace(0, 1, 3)][:dim]
    points = np.stack(np.meshgrid(*lines), axis=-1).reshape(-1, dim) if grid else GENERATOR.random((500, dim))
    residual = -np.exp(5 * points[:, :2].sum(1))
    more = (points, np.exp(points[:, 0])) if density else (None, None)
    return DiagnosisArrays(GENERATOR.random((40, dim)), points, residual, *more, names=names)


def test_there_and_back(tmp_path):
    written = Diagnosis(
        verdict="v", advice=["a", "b"], terms=[{"name": "t", "loss": 1 / 3}], conditioning={"rank": 0.1}
    )
    written.write(tmp_path, arrays(3, names=["x", "y", "t"]))
    assert Diagnosis.read(tmp_path) == written
    assert Diagnosis.from_dict(json.loads(json.dumps(written.as_dict()))) == written
    read = DiagnosisArrays.read(tmp_path)
    assert read is not None
    assert read.coordinates == ["x", "y", "t"]
    assert read.residual.shape == (500,)
    assert {path.name for path in tmp_path.iterdir()} == {"diagnosis.json", "diagnosis.npz"}


def test_where_there_is_none(tmp_path):
    assert Diagnosis.read(tmp_path) is None
    assert DiagnosisArrays.read(tmp_path) is None
    assert draw_diagnosis(tmp_path) == []


def test_names_of_coordinates():
    assert arrays(12).coordinates[:3] == ["x₀", "x₁", "x₂"]
    assert arrays(12).coordinates[11] == "x₁₁"


def test_in_one_dimension():
    (figure,) = figures_of(arrays(1)).values()
    residual, density, points = figure.axes
    assert residual.get_yscale() == "log"
    assert np.all(np.diff(residual.get_lines()[0].get_xdata()) > 0)
    assert np.all(np.diff(residual.get_lines()[0].get_ydata()) >= 0)
    assert len(density.get_lines()) == 1
    assert len(points.get_lines()[0].get_xdata()) == 40


def test_a_grid_is_drawn_as_a_map():
    drawn = arrays(2, grid=True, names=["x", "t"])
    (figure,) = figures_of(drawn).values()
    image = figure.axes[0].collections[0]
    shown = np.asarray(image.get_array()).reshape(4, 5)
    assert np.array_equal(shown, np.exp(5 * (np.linspace(0, 1, 5)[None] + np.linspace(0, 2, 4)[:, None])))
    assert figure.axes[0].get_xlabel() == "x"
    assert figure.axes[0].get_ylabel() == "t"


def test_scattered_points_are_drawn_as_dots():
    drawn = arrays(2, density=False)
    (figure,) = figures_of(drawn).values()
    dots = figure.axes[0].collections[0]
    order = np.argsort(np.abs(drawn.residual))
    assert np.array_equal(np.asarray(dots.get_offsets()), drawn.residual_points[order])
    assert np.array_equal(np.asarray(figure.axes[1].collections[0].get_offsets()), drawn.points)


def test_pairs_of_coordinates():
    """Of six coordinates four are drawn, among them the two that matter."""
    figures = figures_of(arrays(6))
    assert list(figures) == ["diagnosis_residual", "diagnosis_density", "diagnosis_points"]
    panels = [axis for axis in figures["diagnosis_residual"].axes if axis.get_xlabel()]
    labels = {axis.get_xlabel() for axis in panels} | {axis.get_ylabel() for axis in panels}
    assert len(panels) == 6
    assert len(labels) == 4
    assert {"x₀", "x₁"} <= labels
    means = np.asarray(panels[0].collections[0].get_array()).reshape(7, 7)
    assert np.unravel_index(np.nanargmax(means), means.shape) == (6, 6)


@pytest.mark.parametrize("dim", [1, 2, 3, 10])
def test_files(tmp_path, dim):
    Diagnosis("v").write(tmp_path, arrays(dim, grid=dim == 2))
    paths = draw_diagnosis(tmp_path)
    assert len(paths) == (1 if dim < 3 else 3)
    assert all(path.stat().st_size > 5000 for path in paths)


def test_nothing_left_and_nothing_finite():
    """A residual of zero everywhere, or with values that are not finite, is drawn too."""
    points = np.linspace(0, 1, 20)[:, None]
    for dim in (1, 2, 3):
        for value in (0.0, np.nan):
            where = np.repeat(points, dim, axis=1)
            drawn = DiagnosisArrays(where, where, np.where(np.arange(20) < 3, value, 0.0))
            for figure in figures_of(drawn).values():
                figure.canvas.draw()
