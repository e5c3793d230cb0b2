"""Pictures are drawn for every kind of solution, and say what they show."""

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.image import imread
from ufl import as_vector, exp, inner, sin

from sciml import Box, Dirichlet, MeshDomain, compare, solve, vector
from sciml.errors import OptionError, UnsupportedError
from sciml.problem import MeshData
from sciml.solution import ExactField
from sciml.solution.plot import _plane, plot_fields


def drawn(path):
    """The picture's pixels, which must not be blank."""
    pixels = imread(path)
    assert pixels.shape[0] > 100
    assert pixels.shape[1] > 100
    assert pixels[..., :3].std() > 0.02
    return pixels


@pytest.mark.parametrize(("dim", "cell_type"), [(1, "simplex"), (2, "simplex"), (2, "tensor"), (3, "simplex")])
@pytest.mark.parametrize("with_exact", [True, False])
def test_scalars(poisson, tmp_path, dim, cell_type, with_exact):
    problem = poisson(dim, **({"exact": lambda x: sin(3 * x[0])} if with_exact else {}))
    solution = solve(problem, cells=4, cell_type=cell_type, measure_error=False)
    figure = solution.plot(tmp_path / "figure.png")
    drawn(tmp_path / "figure.png")
    maps = [axis for axis in figure.axes if axis.get_xlabel()]
    assert len(maps) == (1 if not with_exact else 2 if dim == 1 else 3)


def test_vectors_and_curved_meshes(poisson, tmp_path, bent_box):
    for shape in ("simplex", "tensor"):
        problem = poisson(domain=bent_box(2, shape), fields={"d": vector}, exact=lambda x: as_vector([sin(x[0]), x[1]]))
        figure = solve(problem, measure_error=False).plot(tmp_path / "figure.png")
        drawn(tmp_path / "figure.png")
        assert [axis.get_title() for axis in figure.axes][:2] == ["|d|, fenics", "|d|, exact"]


def test_a_mesh_in_three_dimensions(poisson, tmp_path, bent_box):
    problem = poisson(domain=bent_box(3), exact=lambda x: x[0] * x[1])
    solve(problem, degree=1, measure_error=False).plot(tmp_path / "figure.png")
    drawn(tmp_path / "figure.png")


def test_ten_dimensions(poisson, tmp_path):
    """The plane of the first two coordinates through the middle."""
    problem = poisson(10, exact=lambda x: exp(-inner(x, x)), title="A bump")
    figure = plot_fields([("exact", ExactField(problem))], None, title=problem.title)
    assert "A bump (plane through the middle of x₂ …)" in figure.get_suptitle()


def test_several_solutions_share_a_scale(poisson, tmp_path):
    problem = poisson(exact=lambda x: sin(3 * x[0]))
    comparison = compare(problem, ("fenics", {"cells": 2, "degree": 1}), ("fenics", {"cells": 4}))
    figure = comparison.plot(tmp_path / "figure.pdf")
    assert (tmp_path / "figure.pdf").stat().st_size > 1000
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles[0] == "u, fenics cells=2 degree=1"
    assert titles.count("error") == 2


def test_a_truth_can_be_handed_in(poisson, tmp_path):
    problem = poisson()
    coarse, fine = (solve(problem, degree=1, cells=n, measure_error=False) for n in (2, 8))
    titles = [axis.get_title() for axis in coarse.plot(truth=fine).axes]
    assert "u, reference" in titles


def test_a_truth_in_the_place_of_the_path_is_refused(poisson):
    solution = solve(poisson(), cells=2, measure_error=False)
    for truth in (solution, solution.field):
        with pytest.raises(OptionError, match=r"a path; .* plot\(truth=other\)"):
            solution.plot(truth)


def test_the_error_of_a_vector_in_one_dimension(poisson):
    """(1, 0) and (0, 1) have the same length and still differ by √2."""
    problem = poisson(1, fields={"d": vector(2)}, exact=lambda x: as_vector([x[0], 1 - x[0]]))
    swapped = poisson(1, fields={"d": vector(2)}, exact=lambda x: as_vector([1 - x[0], x[0]]))
    figure = plot_fields([("swapped", ExactField(swapped))], ExactField(problem))
    error = np.asarray(figure.axes[1].get_lines()[0].get_ydata())
    assert error.max() == pytest.approx(np.sqrt(2), rel=1e-6)


def test_a_truth_of_another_kind_is_refused(poisson):
    plane, line = (solve(poisson(dim), cells=2, measure_error=False) for dim in (2, 1))
    message = r"Only fields of the same kind .* shape \(\) in 2 dimension\(s\) and .* \(\) in 1 dimension\(s\)"
    for compared in (plane.error, lambda truth: plane.plot(truth=truth)):
        with pytest.raises(UnsupportedError, match=message):
            compared(line)


def test_the_users_figures_and_backend_are_left_alone(poisson, tmp_path):
    backend = matplotlib.get_backend()
    open_figures = pyplot.get_fignums()
    solve(poisson(), cells=2, measure_error=False).plot(tmp_path / "figure.png")
    assert matplotlib.get_backend() == backend
    assert pyplot.get_fignums() == open_figures


def shown(figure, title):
    """The values that a map with this title is drawn with."""
    (axis,) = [axis for axis in figure.axes if axis.get_title() == title]
    return np.asarray(axis.collections[0].get_array())


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
@pytest.mark.parametrize("cells", [2, 32])
def test_an_error_map_shows_the_error_between_the_nodes(poisson, cell_type, cells, degree):
    """At its nodes the solution is far better than elsewhere, so a map through the nodes alone would flatter it."""
    problem = poisson(exact=lambda x: sin(np.pi * x[0]) * x[1])
    solution = solve(problem, cells=cells, degree=degree, cell_type=cell_type, measure_error=False)
    figure = solution.plot()
    error = np.abs(shown(figure, "error"))
    assert error.size >= 20_000
    assert error.max() == pytest.approx(solution.error().max_error, rel=0.3)
    assert shown(figure, "u, exact").max() == pytest.approx(1, abs=2e-3)


def test_a_map_covers_the_domain_once(poisson, bent_box):
    for domain in (bent_box(2), bent_box(2, "tensor"), bent_box(2, "simplex", 1), Box((0, 0), (2, 1))):
        plane = _plane(ExactField(poisson(domain=domain, exact=lambda x: x[0])))
        a, b, c = plane.points[plane.triangles].transpose(1, 0, 2)
        areas = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
        assert areas.sum() == pytest.approx(domain.volume, rel=1e-4)


def test_both_sides_of_a_slit_are_drawn(poisson):
    """Two squares with nodes of their own along the common side: 0 on the left one, 1 on the right one."""
    points = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [1, 0], [2, 0], [2, 1], [1, 1]], dtype=float)
    groups = {"left": [[0, 3]], "right": [[5, 6]]}
    domain = MeshDomain(MeshData(points, [[0, 1, 2, 3], [4, 5, 6, 7]], "quadrilateral", 1, groups))
    problem = poisson(domain=domain, load=0.0, conditions=[Dirichlet(0.0, on="left"), Dirichlet(1.0, on="right")])
    solution = solve(problem, measure_error=False)
    values = shown(solution.plot(), "u, fenics")
    np.testing.assert_allclose(values, np.repeat([0, 1], len(values) // 2), atol=1e-12)
