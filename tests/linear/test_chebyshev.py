"""Polynomials on Chebyshev's points against NumPy's polynomials, exact integrals and derivatives."""

import numpy as np
import pytest
from numpy.polynomial import chebyshev as reference

from sciml.linear import (
    chebyshev_basis,
    chebyshev_coefficients,
    chebyshev_nodes,
    clenshaw_curtis_weights,
    coefficients_of_derivative,
    differentiation_matrix,
    interpolation_matrix,
)


@pytest.mark.parametrize("n", [2, 3, 8, 33])
def test_nodes_are_symmetric_extreme_points(n):
    x = chebyshev_nodes(n)
    np.testing.assert_array_equal(x, -x[::-1])
    np.testing.assert_allclose(x, -np.cos(np.pi * np.arange(n) / (n - 1)), atol=1e-15)
    assert (x[0], x[-1]) == (-1.0, 1.0)


def test_one_node_is_refused():
    with pytest.raises(ValueError, match="at least its two ends"):
        chebyshev_nodes(1)


@pytest.mark.parametrize("n", [3, 8, 21])
def test_interpolation_is_exact_for_polynomials_and_on_nodes(n):
    generator = np.random.default_rng(n)
    c = generator.standard_normal(n)
    points = np.concatenate([generator.uniform(-1, 1, 50), chebyshev_nodes(n)])
    values = interpolation_matrix(n, points) @ reference.chebval(chebyshev_nodes(n), c)
    np.testing.assert_allclose(values, reference.chebval(points, c), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(interpolation_matrix(n, chebyshev_nodes(n)), np.eye(n))


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("n", [4, 9, 16])
def test_derivatives_of_polynomials_are_exact(n, order):
    c = np.random.default_rng(n).standard_normal(n) / (1 + np.arange(n)) ** 2
    x = chebyshev_nodes(n)
    exact = reference.chebval(x, reference.chebder(c, order))
    found = differentiation_matrix(n, order) @ reference.chebval(x, c)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-12 * n ** (2 * order) / 10)


@pytest.mark.parametrize("n", [16, 65, 256])
def test_rounding_in_derivatives_is_that_of_the_data(n):
    x = chebyshev_nodes(n)
    assert np.abs(differentiation_matrix(n, 1) @ np.ones(n)).max() <= 1e-12 * n
    slope = differentiation_matrix(n, 1) @ np.exp(x)
    # A matrix with naive diagonals loses n² digits more.
    assert np.abs(slope - np.exp(x)).max() <= 5e-16 * n**2 + 1e-13


@pytest.mark.parametrize("n", [2, 3, 8, 9, 40])
def test_quadrature_is_exact_below_degree_n(n):
    weights, x = clenshaw_curtis_weights(n), chebyshev_nodes(n)
    for k in range(n):
        assert weights @ x**k == pytest.approx((1 - (-1) ** (k + 1)) / (k + 1), abs=1e-13)
    assert (weights > 0).all()


@pytest.mark.parametrize("n", [2, 3, 8, 9])
def test_coefficients_and_their_derivatives(n):
    c = np.random.default_rng(n).standard_normal((4, n, 3))
    x = chebyshev_nodes(n)
    values = np.einsum("pk,akb->apb", chebyshev_basis(n, x), c)
    np.testing.assert_allclose(chebyshev_coefficients(values, 1), c, rtol=0, atol=1e-13)
    derivative = np.zeros_like(c)
    derivative[:, : n - 1] = reference.chebder(c, axis=1)
    np.testing.assert_allclose(coefficients_of_derivative(c, 1), derivative, rtol=0, atol=1e-12)
