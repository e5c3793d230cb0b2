"""Multilinear interpolation on lines of a grid."""

import h5py
import numpy as np
import pytest

from sciml import load_problem
from sciml.errors import OutputError
from sciml.solution import CellField


def field(dim, function):
    problem = load_problem("poisson/sine", dim=dim)
    generator = np.random.default_rng(0)
    lines = [np.concatenate([[0.0], np.sort(generator.uniform(0, 1, 5 + k)), [1.0]]) for k in range(dim)]
    return CellField(problem, lines, function(*np.meshgrid(*lines, indexing="ij")))


def multilinear(*x):
    return 1 + np.prod([2 - 3 * coordinate for coordinate in x], axis=0)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_exact_for_products_of_linear_functions(dim):
    made = field(dim, multilinear)
    points = made.problem.domain.sample(100, np.random.default_rng(1))
    assert made.evaluate(points) == pytest.approx(multilinear(*points.T), abs=1e-13)
    for axis in range(dim):
        slope = -3 * np.prod([2 - 3 * points[:, k] for k in range(dim) if k != axis], axis=0)
        assert made.gradient(points)[:, axis] == pytest.approx(slope * np.ones(100), abs=1e-11)


def test_values_on_the_lines():
    made = field(2, lambda x, y: np.sin(9 * x) * np.cos(7 * y))
    points = np.stack([g.ravel() for g in np.meshgrid(*made.lines, indexing="ij")], axis=1)
    assert made.evaluate(points) == pytest.approx(made.values.ravel(), abs=1e-14)


def test_nothing_outside():
    made = field(2, multilinear)
    points = np.array([[0.5, 1.1], [-0.1, 0.5], [0.5, 1.0 + 1e-12]])
    assert np.isnan(made.evaluate(points)).tolist() == [True, True, False]
    assert np.isnan(made.gradient(points)).all(axis=1).tolist() == [True, True, False]
    assert made.evaluate(np.zeros((0, 2))).shape == (0,)


def test_stored_and_restored(tmp_path):
    made = field(3, multilinear)
    with h5py.File(tmp_path / "field.h5", "w") as file:
        made.store(file)
        again = CellField.restore(file, made.problem)
    points = made.problem.domain.sample(20, np.random.default_rng(0))
    assert np.array_equal(made.evaluate(points), again.evaluate(points))


def test_values_that_do_not_fit():
    with pytest.raises(OutputError, match=r"shape \(3, 4\) do not fit"):
        CellField(load_problem("poisson/sine"), [np.arange(4.0), np.arange(3.0)], np.zeros((3, 4)))
