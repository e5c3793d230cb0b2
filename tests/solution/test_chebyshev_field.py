"""Chebyshev fields against polynomials that are known: values, derivatives of any order, grids, files."""

import h5py
import numpy as np
import pytest
from ufl import as_vector, grad

from sciml import Box, Dirichlet, Problem, vector
from sciml.errors import OutputError
from sciml.forms import Derivative
from sciml.solution import ChebyshevEvolution, ChebyshevField, Rule


@pytest.fixture
def problem():
    return Problem(
        domain=Box((1, -2), (3, 1)),
        fields={"v": vector},
        flux=lambda v: grad(v),
        exact=lambda x: as_vector([x[0] ** 3 * x[1], x[1] ** 2 - x[0]]),
        conditions=[Dirichlet(on="boundary")],
    )


@pytest.fixture
def field(problem):
    """(x³ y, y² − x) with s = x − 2 and r = (2 y + 1)/3, by its values at many points."""
    points = problem.domain.sample(200, np.random.default_rng(0))
    s, r = points[:, 0] - 2, (2 * points[:, 1] + 1) / 3
    basis = np.polynomial.chebyshev.chebvander2d(s, r, (4, 3))
    values = np.stack([points[:, 0] ** 3 * points[:, 1], points[:, 1] ** 2 - points[:, 0]])
    return ChebyshevField(problem, np.linalg.lstsq(basis, values.T)[0].T.reshape(2, 5, 4))


def test_scattered_points_and_grids(field, problem):
    scattered = problem.domain.sample(40, np.random.default_rng(1))
    lattice = np.stack([g.ravel() for g in np.meshgrid([1.0, 1.7, 3.0], [-2.0, 0.3, 1.0])], axis=1)
    for x in (scattered, lattice):
        expected = np.stack([x[:, 0] ** 3 * x[:, 1], x[:, 1] ** 2 - x[:, 0]], axis=1)
        np.testing.assert_allclose(field.evaluate(x), expected, atol=1e-11)
        slopes = np.zeros((len(x), 2, 2))
        slopes[:, 0, 0], slopes[:, 0, 1] = 3 * x[:, 0] ** 2 * x[:, 1], x[:, 0] ** 3
        slopes[:, 1, 0], slopes[:, 1, 1] = -1, 2 * x[:, 1]
        np.testing.assert_allclose(field.gradient(x), slopes, atol=1e-10)


def test_jets_of_higher_order(field, problem):
    x = problem.domain.sample(20, np.random.default_rng(2))
    keys = [Derivative(0, (0, 0)), Derivative(0, (0, 1)), Derivative(1, (1, 1)), Derivative(0, (0, 0, 0, 1))]
    jet = field.jet(Rule(x, np.ones(20)), keys)
    expected = [6 * x[:, 0] * x[:, 1], 3 * x[:, 0] ** 2, np.full(20, 2.0), np.full(20, 6.0)]
    for key, values in zip(keys[:3], expected):
        np.testing.assert_allclose(jet[key].numpy(), values, atol=1e-9)
    np.testing.assert_allclose(jet[keys[3]].numpy(), 6.0, atol=1e-9)


def test_outside_of_the_box_is_not_a_number(field):
    values = field.evaluate(np.array([[2.0, 0.0], [3.5, 0.0]]))
    assert np.isfinite(values[0]).all()
    assert np.isnan(values[1]).all()


def test_the_rule_integrates_squares_exactly(field):
    rule = field.rule(100)
    x, y = rule.points.T
    assert rule.weights @ (x**3 * y) ** 2 == pytest.approx((3**7 - 1) / 7 * (1 + 8) / 3, rel=1e-13)


def test_stored_and_restored(field, problem, tmp_path):
    x = problem.domain.sample(10, np.random.default_rng(3))
    with h5py.File(tmp_path / "field.h5", "w") as file:
        field.store(file)
        np.testing.assert_array_equal(ChebyshevField.restore(file, problem).evaluate(x), field.evaluate(x))
        del file["coefficients"]
        file["coefficients"] = np.zeros((3, 2, 2))
        with pytest.raises(OutputError, match="damaged"):
            ChebyshevField.restore(file, problem)


def test_slabs_of_time(tmp_path):
    problem = Problem(
        domain=Box(0, 1),
        time=2.0,
        damping=1.0,
        flux=lambda u: grad(u),
        load=0.0,
        initial=0.0,
        conditions=[Dirichlet(0.0, on="boundary")],
    )
    # u = t on the first half, 1 + (t − 1)² on the second one.
    first, second = np.zeros((1, 2, 2)), np.zeros((1, 2, 3))
    first[0, 0] = [0.5, 0.5]
    second[0, 0] = [1 + 3 / 8, 0.5, 1 / 8]
    evolution = ChebyshevEvolution(problem, np.array([0.0, 1.0, 2.0]), [first, second])
    x = np.array([[0.3]])
    np.testing.assert_allclose(evolution.evaluate(x, [0.0, 0.5, 1.0, 1.5, 2.0])[:, 0], [0, 0.5, 1, 1.25, 2])
    with h5py.File(tmp_path / "field.h5", "w") as file:
        evolution.store(file)
        again = ChebyshevEvolution.restore(file, problem)
        np.testing.assert_array_equal(again.evaluate(x, [0.2, 1.7]), evolution.evaluate(x, [0.2, 1.7]))
