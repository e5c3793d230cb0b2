"""Errors in L2, H1 and the maximum norm: by quadrature, and by points that follow the function in many dimensions."""

from math import erf, exp, pi, sqrt

import numpy as np
import pytest
import ufl
from ufl import as_vector, conditional, inner, lt

from sciml import Box, vector
from sciml.errors import UnsupportedError
from sciml.problem.domain import sobol
from sciml.solution import ExactField, measure_errors
from sciml.solution.importance import fit_mixture, importance_rule


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_norms_of_a_known_difference(poisson, formula, dim):
    """u* = x₀ and u = x₀ + ε sin πx₀ on the unit box: ‖e‖² = ε²/2, ‖∇e‖² = ε²π²/2, ‖u*‖² = ⅓, ‖∇u*‖² = 1."""
    problem = poisson(dim, exact=lambda x: x[0])
    e, first = 0.01, np.eye(dim)[0]
    field = formula(
        problem,
        lambda x: x[:, 0] + e * np.sin(pi * x[:, 0]),
        lambda x: (1 + e * pi * np.cos(pi * x[:, :1])) * first,
    )
    errors = measure_errors(field, ExactField(problem))
    assert errors.l2 == pytest.approx(e / sqrt(2), rel=1e-6)
    assert errors.truth_l2 == pytest.approx(1 / sqrt(3), rel=1e-12)
    assert errors.relative_l2 == pytest.approx(e * sqrt(3 / 2), rel=1e-6)
    assert errors.relative_h1 == pytest.approx(e * sqrt((0.5 + pi**2 / 2) / (1 / 3 + 1)), rel=1e-6)
    assert errors.max_error == pytest.approx(e, rel=1e-3)
    assert errors.integration_error == 0
    assert errors.n_points > 1000


def test_vectors_are_measured_by_their_length(poisson, formula):
    """e = (0.3, 0.4) everywhere and u* = (1, 0)."""
    problem = poisson(fields={"d": vector}, load=0.0)
    errors = measure_errors(
        formula(problem, lambda x: np.array([1.3, 0.4])), formula(problem, lambda x: np.array([1.0, 0.0]))
    )
    assert errors.relative_l2 == pytest.approx(0.5)
    assert errors.max_error == pytest.approx(0.5)


def test_a_truth_of_zero_gives_absolute_errors(poisson, formula):
    problem = poisson(domain=Box((0, 0), (2, 1)))
    errors = measure_errors(formula(problem, lambda x: 3.0), formula(problem, lambda x: 0.0))
    assert errors.relative_l2 == pytest.approx(3 * sqrt(2))


def test_an_error_of_zero(poisson):
    problem = poisson(exact=lambda x: x[0] * x[1])
    errors = measure_errors(ExactField(problem), ExactField(problem))
    assert (errors.relative_l2, errors.relative_h1, errors.max_error) == (0, 0, 0)


@pytest.mark.parametrize("exact", [lambda x: 2.0, lambda x: 0 * x[0]], ids=["constant", "zero"])
def test_a_constant_exact_solution(poisson, formula, exact):
    problem = poisson(exact=exact)
    assert measure_errors(formula(problem, lambda x: 3.0), ExactField(problem)).max_error >= 1


def test_an_exact_solution_with_a_constant_component(poisson):
    problem = poisson(fields={"d": vector}, exact=lambda x: as_vector([x[0], 0.0]))
    np.testing.assert_array_equal(ExactField(problem).gradient(np.zeros((1, 2))), [[[1, 0], [0, 0]]])


def test_fields_on_different_domains_are_refused(poisson, formula):
    problem = poisson()
    outside = formula(problem, lambda x: np.where(x[:, 0] > 0.5, np.nan, 0.0))
    with pytest.raises(UnsupportedError, match="not defined at .* points compared; the two fields do not share"):
        measure_errors(outside, formula(problem, lambda x: 1.0))


def test_norms_on_a_mesh(poisson, formula, bent_box):
    """∫ x₀² + x₁² over curved cells against the divergence theorem: ∮ (x₀³ n₀ + x₁³ n₁)/3."""
    domain = bent_box(2, "tensor")
    problem = poisson(domain=domain)
    points, normals, weights = domain.part("boundary").quadrature(2000)
    wanted = weights @ (points**3 * normals).sum(axis=1) / 3
    errors = measure_errors(formula(problem, lambda x: 0.0), formula(problem, lambda x: np.linalg.norm(x, axis=1)))
    assert errors.truth_l2**2 == pytest.approx(wanted, rel=1e-10)


# -- many dimensions -------------------------------------------------------------------------------------


def gaussian_moment(centre, sharpness):
    """∫ exp(−s (x − c)²) over (−1, 1)."""
    root = sqrt(sharpness)
    return sqrt(pi) / (2 * root) * (erf(root * (1 - centre)) + erf(root * (1 + centre)))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_bump_in_ten_dimensions(poisson, formula, seed):
    """‖exp(−10 |x|²)‖ = (√(π/20) erf √20)^5 on (−1, 1)^10, where uniform points see nothing."""
    problem = poisson(10, domain=Box((-1,) * 10, (1,) * 10), exact=lambda x: ufl.exp(-10 * inner(x, x)))
    errors = measure_errors(formula(problem, lambda x: 0.0), ExactField(problem), seed=seed)
    assert errors.truth_l2 == pytest.approx((sqrt(pi / 20) * erf(sqrt(20))) ** 5, rel=0.01)
    assert errors.relative_l2 == pytest.approx(1)


def test_a_relative_error_in_ten_dimensions(poisson, formula):
    """u = u* (1 + 0.1 x₀): ‖e‖/‖u*‖ = 0.1 (∫ x² g / ∫ g)^½ with g = exp(−20 x²), nearly 0.1/√40."""
    problem = poisson(10, domain=Box((-1,) * 10, (1,) * 10), exact=lambda x: ufl.exp(-10 * inner(x, x)))
    field = formula(problem, lambda x: np.exp(-10 * (x**2).sum(axis=1)) * (1 + 0.1 * x[:, 0]))
    errors = measure_errors(field, ExactField(problem))
    wanted = 0.1 * sqrt(1 / 40 - exp(-20) / (20 * gaussian_moment(0, 20)))
    assert errors.relative_l2 == pytest.approx(wanted, rel=0.01)
    assert errors.integration_error < 0.02


@pytest.mark.parametrize(("sharpness", "heights"), [(10, (1.0, 1.0)), (50, (1.0, 1.0)), (20, (1.0, 0.3))])
@pytest.mark.parametrize("seed", [0, 1])
def test_two_separated_peaks_in_six_dimensions(poisson, formula, sharpness, heights, seed):
    """Both are found, whatever their share."""
    centres, dim = (0.5, -0.5), 6

    def exact(x):
        return sum(
            h * ufl.exp(-sharpness * sum((x[k] - c) ** 2 for k in range(dim)))
            for h, c in zip(heights, centres, strict=True)
        )

    problem = poisson(dim, domain=Box((-1,) * dim, (1,) * dim), exact=exact)
    errors = measure_errors(formula(problem, lambda x: 0.0), ExactField(problem), seed=seed)
    s = 2 * sharpness
    squares = sum(h**2 * gaussian_moment(c, s) ** dim for h, c in zip(heights, centres, strict=True))
    cross = 2 * heights[0] * heights[1] * (gaussian_moment(0, s) * exp(-s * 0.25)) ** dim
    assert errors.truth_l2 == pytest.approx(sqrt(squares + cross), rel=0.01)


def test_a_function_that_fills_the_box(poisson, formula):
    """Σ cos x_k in 5-D: nothing to concentrate on."""
    problem = poisson(5, exact=lambda x: sum(ufl.cos(x[k]) for k in range(5)))
    errors = measure_errors(formula(problem, lambda x: 0.0), ExactField(problem))
    mean, square = np.sin(1), 0.5 + np.sin(2) / 4
    assert errors.truth_l2 == pytest.approx(sqrt(5 * square + 20 * mean**2), rel=1e-3)


def test_a_function_that_vanishes_nearly_everywhere(poisson, formula):
    """The indicator of a ball of radius 0.3 in 5-D, which fills 4e-4 of the box: ‖u‖² is its volume."""
    problem = poisson(
        5,
        domain=Box((-1,) * 5, (1,) * 5),
        exact=lambda x: conditional(lt(inner(x, x), 0.09), 1.0, 0.0),
        load=0.0,
    )
    errors = measure_errors(formula(problem, lambda x: 0.0), ExactField(problem))
    assert errors.truth_l2**2 == pytest.approx(8 * pi**2 / 15 * 0.3**5, rel=0.1)


def test_a_truth_of_zero_in_many_dimensions(poisson, formula):
    problem = poisson(4)
    errors = measure_errors(formula(problem, lambda x: 2.0), formula(problem, lambda x: 0.0))
    assert errors.relative_l2 == pytest.approx(2)


def test_importance_weights_integrate():
    """Weights sum to the volume and integrate polynomials, also where the function is elsewhere."""
    box, generator = Box((-1,) * 4, (2,) * 4), np.random.default_rng(0)
    mixture = fit_mixture(lambda x: -30 * ((x - 1) ** 2).sum(axis=1), box, generator)
    points, weights = importance_rule(mixture, 2**15, generator)
    assert box.contains(points).all()
    assert weights.min() > 0
    assert weights.sum() == pytest.approx(box.volume, rel=0.01)
    assert weights @ points[:, 0] == pytest.approx(0.5 * box.volume, rel=0.02)
    assert mixture.weights.sum() == pytest.approx(1)


def test_the_density_of_a_mixture_is_that_of_its_points():
    box, generator = Box((0.0, 0.0), (1.0, 3.0)), np.random.default_rng(0)
    mixture = fit_mixture(lambda x: -40 * ((x - [0.2, 1.0]) ** 2).sum(axis=1), box, generator)
    points = mixture.map(sobol(2**14, 3, generator))
    cells, weights = box.quadrature(40_000)
    density = np.exp(mixture.log_density(cells))
    assert weights @ density == pytest.approx(1, rel=1e-3)
    np.testing.assert_allclose(points.mean(axis=0), (weights * density) @ cells, rtol=5e-3)
