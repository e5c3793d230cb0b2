"""Pictures are drawn for every kind of solution, and say what they show."""

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.image import imread
from ufl import as_vector, exp, inner, sin

from sciml import compare, solve, vector
from sciml.solution import ExactField
from sciml.solution.plot import plot_fields


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


def test_the_error_of_a_vector_in_one_dimension(poisson):
    """(1, 0) and (0, 1) have the same length and still differ by √2."""
    problem = poisson(1, fields={"d": vector(2)}, exact=lambda x: as_vector([x[0], 1 - x[0]]))
    swapped = poisson(1, fields={"d": vector(2)}, exact=lambda x: as_vector([1 - x[0], x[0]]))
    figure = plot_fields([("swapped", ExactField(swapped))], ExactField(problem))
    error = np.asarray(figure.axes[1].get_lines()[0].get_ydata())
    assert error.max() == pytest.approx(np.sqrt(2), rel=1e-6)


def test_the_users_figures_and_backend_are_left_alone(poisson, tmp_path):
    backend = matplotlib.get_backend()
    open_figures = pyplot.get_fignums()
    solve(poisson(), cells=2, measure_error=False).plot(tmp_path / "figure.png")
    assert matplotlib.get_backend() == backend
    assert pyplot.get_fignums() == open_figures
