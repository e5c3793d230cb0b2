"""Coefficient fields: values and derivatives against formulas, and what is refused."""

import numpy as np
import pytest
import torch
from ufl import grad

from sciml import Box, Problem, coefficient, parameter
from sciml.errors import DeclarationError, DomainError
from sciml.forms import Derivative, pointwise, strong_residual

UNIT = Box((0.0, 0.0), (1.0, 1.0))


def declare(k, domain=UNIT, parameters=None):
    """−div(k ∇u) = 0."""
    return Problem(
        domain=domain,
        coefficients={"k": k},
        parameters=parameters or {},
        flux=lambda u, p: p.k * grad(u),
        load=0.0,
    )


def values_of(problem, points, *axes):
    """The coefficient, or its derivative, as compiled expressions see it."""
    expression = problem.k
    for axis in axes:
        expression = expression.dx(axis)
    return pointwise(problem, expression).at(points)


def wave(points):
    return 2 + np.sin(2 * points[:, 0]) * np.exp(points[:, 1])


def wave_gradient(points):
    x, y = points.T
    return np.stack([2 * np.cos(2 * x) * np.exp(y), np.sin(2 * x) * np.exp(y)], axis=1)


def wave_grid(n):
    axes = [np.linspace(0, 1, n), np.linspace(0, 1, n + 3)]
    x, y = np.meshgrid(*axes, indexing="ij")
    return 2 + np.sin(2 * x) * np.exp(y), axes


@pytest.fixture
def points():
    return np.random.default_rng(0).random((200, 2))


def test_a_value_for_each_region(two_materials):
    problem = declare(coefficient({"steel": 50.0, "wood": 0.2}), two_materials())
    points = problem.domain.sample(100, np.random.default_rng(0))
    np.testing.assert_array_equal(values_of(problem, points), np.where(points[:, 0] < 1, 50.0, 0.2))


def test_values_of_regions_may_be_parameters(two_materials):
    steel = parameter(50.0, above=0)
    problem = declare(coefficient({"steel": steel}, default=0.2), two_materials(), {"steel_k": steel})
    points = problem.domain.sample(100, np.random.default_rng(0))
    for value in (50.0, 7.0):
        changed = problem.with_parameters(steel_k=value)
        np.testing.assert_array_equal(values_of(changed, points), np.where(points[:, 0] < 1, value, 0.2))


def test_vectors_by_region_and_the_last_of_overlapping_regions(two_materials):
    domain = two_materials()
    everywhere = np.arange(domain.n_cells)
    provider = coefficient({"all": (1.0, 2.0), "wood": (3.0, 4.0)})
    groups = domain.region_groups | {"all": everywhere}
    values = provider.per_cell(domain.n_cells, groups, {})
    assert provider.shape == (2,)
    np.testing.assert_array_equal(values[domain.region_groups["wood"]], [[3, 4]] * (domain.n_cells // 2))
    np.testing.assert_array_equal(values[domain.region_groups["steel"]], [[1, 2]] * (domain.n_cells // 2))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"brass": 1.0}, "names the region 'brass'; the mesh has: steel, wood"),
        ({"steel": 1.0}, r"no value in 8 of 16 cells, .* regions steel; .*`default=`"),
        ({"steel": 1.0, "wood": (1.0, 2.0)}, r"regions need finite values of shape \(\)"),
        ({"steel": 1.0, "wood": float("nan")}, "finite"),
    ],
)
def test_regions_that_do_not_fit_are_refused(two_materials, source, message):
    problem = declare(coefficient(source), two_materials())
    with pytest.raises((DomainError, DeclarationError), match=message):
        values_of(problem, np.array([[0.5, 0.5]]))


def test_a_box_has_no_regions(points):
    with pytest.raises(DomainError, match="box has no regions"):
        values_of(declare(coefficient({"steel": 1.0})), points)


def test_a_function_with_gradient(points):
    problem = declare(coefficient(wave, gradient=wave_gradient))
    np.testing.assert_array_equal(values_of(problem, points), wave(points))
    for axis in (0, 1):
        np.testing.assert_array_equal(values_of(problem, points, axis), wave_gradient(points)[:, axis])


def test_the_residual_takes_the_gradient(points):
    """−div(k ∇u) = −k Δu − ∇k·∇u with u = x² + 3 y."""
    residual = strong_residual(declare(coefficient(wave, gradient=wave_gradient)))
    jet = {(0, (0,)): 2 * points[:, 0], (0, (1,)): 3 + 0 * points[:, 0], (0, (0, 0)): 2 + 0 * points[:, 0]}
    jet = {Derivative(*key): torch.tensor(value) for key, value in jet.items()}
    jet[Derivative(0, (1, 1))] = torch.zeros(len(points), dtype=torch.float64)
    k, slope = wave(points), wave_gradient(points)
    wanted = -2 * k - slope[:, 0] * 2 * points[:, 0] - slope[:, 1] * 3
    np.testing.assert_allclose(residual(torch.tensor(points), jet).numpy(), wanted, rtol=1e-14)


def test_functions_with_vector_values(points):
    problem = Problem(
        domain=UNIT,
        coefficients={"velocity": coefficient(lambda x: x[:, ::-1] * [1, 2], shape=(2,))},
        flux=lambda u: grad(u),
        reaction=lambda u, p: p.velocity[0] * u.dx(0) + p.velocity[1] * u.dx(1),
    )
    np.testing.assert_array_equal(pointwise(problem, problem.velocity).at(points), points[:, ::-1] * [1, 2])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x, r"returned shape \(200, 2\) .* must return \(200,\)"),
        (lambda x: np.where(x[:, 0] > 0.5, np.nan, 1.0), "is not finite at"),
    ],
)
def test_functions_that_return_nonsense_are_refused(points, function, message):
    with pytest.raises(DeclarationError, match=f"Coefficient 'k' {message}"):
        values_of(declare(coefficient(function)), points)


def test_multilinear_interpolation_on_a_grid_is_exact_for_bilinear_functions(points):
    axes = [np.array([0, 0.1, 0.5, 1]), np.array([0, 0.7, 1])]
    x, y = np.meshgrid(*axes, indexing="ij")
    problem = declare(coefficient(1 + 2 * x - y + 3 * x * y, axes=axes))
    wanted = 1 + 2 * points[:, 0] - points[:, 1] + 3 * points.prod(axis=1)
    np.testing.assert_allclose(values_of(problem, points), wanted, rtol=1e-14)


def test_orders_of_interpolation_on_a_grid(points):
    """Errors fall by 4 for order 1, by 16 for order 3 and by 8 for its first derivative, a halving of the spacing."""
    errors = np.array(
        [
            [
                np.abs(values_of(declare(coefficient(values, axes=axes)), points) - wave(points)).max(),
                np.abs(values_of(smooth, points) - wave(points)).max(),
                np.abs(values_of(smooth, points, 0) - wave_gradient(points)[:, 0]).max(),
            ]
            for values, axes in map(wave_grid, (9, 17, 33))
            for smooth in [declare(coefficient(values, axes=axes, order=3))]
        ]
    )
    rates = np.log2(errors[1] / errors[2])
    assert (rates > [1.8, 3.7, 2.7]).all(), rates
    assert (errors[-1] < [2e-3, 2e-6, 2e-4]).all(), errors[-1]


def test_cubic_splines_are_exact_for_cubics(points):
    axes = [np.linspace(0, 1, 5), np.linspace(0, 1, 6)]
    x, y = np.meshgrid(*axes, indexing="ij")
    problem = declare(coefficient(x**3 - 2 * x * y**2, axes=axes, order=3))
    px, py = points.T
    np.testing.assert_allclose(values_of(problem, points), px**3 - 2 * px * py**2, atol=1e-14)
    np.testing.assert_allclose(values_of(problem, points, 0), 3 * px**2 - 2 * py**2, atol=1e-13)
    np.testing.assert_allclose(values_of(problem, points, 0, 1), -4 * py, atol=1e-12)


def test_outside_of_the_grid_the_value_at_its_edge_holds():
    problem = declare(coefficient(np.array([[1.0, 2.0], [3.0, 4.0]]), axes=[np.array([0.4, 0.6])] * 2))
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(values_of(problem, corners), [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": np.ones((3, 3))}, "needs the `axes`"),
        (
            {"source": np.ones((3, 3)), "axes": [np.arange(3), np.arange(4)]},
            r"shape \(3, 4\).*given were \(3, 3\)",
        ),
        ({"source": np.ones((3, 3)), "axes": [np.arange(3)] * 2, "order": 2}, "order 1 or 3"),
        ({"source": np.full((3, 3), np.nan), "axes": [np.arange(3)] * 2}, "not finite"),
        ({"source": {}}, "at least one region"),
    ],
)
def test_wrong_sources_are_refused(arguments, message):
    with pytest.raises(DeclarationError, match=message):
        coefficient(**arguments)


@pytest.mark.parametrize(
    ("axes", "order", "message"),
    [
        ([np.array([1.0, 0.5, 0.0])] * 2, 1, "increas"),
        ([np.array([0.0, 0.5, 0.5])] * 2, 1, "increas"),
        ([np.linspace(0, 1, 3)] * 2, 3, "4"),
    ],
    ids=["falling", "repeated", "too few for a cubic"],
)
def test_axes_that_are_no_grid_are_refused(axes, order, message):
    with pytest.raises(DeclarationError, match=message):
        coefficient(np.ones((3, 3)), axes=axes, order=order)


@pytest.mark.parametrize("order", [1, 3])
def test_a_grid_of_another_dimension_is_refused(points, order):
    with pytest.raises((DeclarationError, DomainError), match="dimension"):
        values_of(declare(coefficient(np.ones(5), axes=[np.linspace(0, 1, 5)], order=order)), points)


@pytest.mark.parametrize(
    ("source", "keywords"),
    [(wave, {}), ({"steel": 1.0, "wood": 2.0}, {}), (wave_grid(5)[0], {"axes": wave_grid(5)[1]})],
    ids=["function", "regions", "grid of order 1"],
)
def test_fields_without_derivative_say_what_to_give(two_materials, source, keywords):
    problem = declare(coefficient(source, **keywords), two_materials())
    with pytest.raises(DeclarationError, match=r"'k' has no derivative.*`gradient=`.*`order=3`"):
        values_of(problem, np.array([[0.25, 0.5]]), 0)


def test_a_second_derivative_of_a_function_is_refused(points):
    with pytest.raises(DeclarationError, match="has no derivative"):
        values_of(declare(coefficient(wave, gradient=wave_gradient)), points, 0, 1)
