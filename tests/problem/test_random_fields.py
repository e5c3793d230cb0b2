"""Random fields: their covariance, that grids and points see one function, gradients, transforms, refusals."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import gamma, kv
from ufl import grad

import sciml
from sciml import Box, Dirichlet, Matern, Problem, Spectral, SquaredExponential, random_field, threshold
from sciml.errors import DeclarationError, UnknownNameError, UnsupportedError
from sciml.forms import Derivative, analyse, strong_residual
from sciml.problem.series import EIGENFUNCTIONS, GaussianSeries

SMOOTH = Matern(nu=2.5, length=0.3, variance=2.0)
CORNERS = ((0.0, -1.0, 2.0), (1.0, 0.5, 2.8))
EVERYWHERE = list(itertools.product(EIGENFUNCTIONS, (1, 2, 3)))


def box(dim):
    return Box(*(corner[:dim] for corner in CORNERS))


def problem_with(covariance=SMOOTH, dim=2, domain=None, **law):
    """−div(k ∇u) = 1 with the field k."""
    return Problem(
        domain=domain or box(dim),
        coefficients={"k": random_field(covariance, **{"modes": 7} | law)},
        flux=lambda u, p: p.k * grad(u),
        load=1.0,
        conditions=[Dirichlet(0.0, on="boundary")],
    )


def field(covariance=SMOOTH, dim=2, member=0, **law):
    return problem_with(covariance, dim, **law).draw(member).realisation("k")


def points_in(dim, n=50, seed=0):
    return box(dim).sample(n, np.random.default_rng(seed))


def grid_points(axes):
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


# -- one function, however it is evaluated -------------------------------------------------------------------


@pytest.mark.parametrize(("conditions", "dim"), EVERYWHERE)
@pytest.mark.parametrize("cells", [(24, 17, 20), (5, 3, 1)], ids=["fine", "coarser than the waves"])
def test_the_fast_transform_is_the_direct_sum(conditions, dim, cells):
    realised = field(dim=dim, eigenfunctions=conditions)
    axes, values = realised.on_grid(cells[:dim])
    assert values.shape == tuple(n + 1 for n in cells[:dim])
    np.testing.assert_allclose(values.ravel(), realised(grid_points(axes)), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("conditions", "dim"), EVERYWHERE)
def test_two_grids_see_one_function(conditions, dim):
    """A third and a half of 12 intervals share their nodes with it."""
    realised = field(dim=dim, eigenfunctions=conditions)
    fine = realised.on_grid(12)[1]
    for stride in (2, 3):
        coarse = realised.on_grid(12 // stride)[1]
        np.testing.assert_allclose(coarse, fine[(slice(None, None, stride),) * dim], rtol=0, atol=1e-12)


def test_a_grid_of_a_domain_within_a_larger_box():
    realised = field(eigenfunctions="periodic", box=Box((-1.0, -2.0), (2.0, 2.0)))
    axes, values = realised.on_grid((6, 9))
    assert [(x[0], x[-1]) for x in axes] == [(0.0, 1.0), (-1.0, 0.5)]
    np.testing.assert_allclose(values.ravel(), realised(grid_points(axes)), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("conditions", "dim"), EVERYWHERE)
def test_more_modes_refine_the_same_function(conditions, dim):
    """The coefficients of the waves that both have are the same."""
    few, more = (field(dim=dim, eigenfunctions=conditions, modes=m).coefficients for m in (4, 6))
    np.testing.assert_array_equal(more[tuple(map(slice, few.shape))], few)


@pytest.mark.parametrize(("conditions", "dim"), EVERYWHERE)
def test_eigenfunctions_are_orthonormal_and_fulfil_their_conditions(conditions, dim):
    axis = GaussianSeries(SMOOTH, *(c[:dim] for c in CORNERS), conditions, 5).axes[-1]
    nodes, weights = np.polynomial.legendre.leggauss(40)
    values = axis.at(axis.lower + axis.length * (nodes + 1) / 2)
    np.testing.assert_allclose((values.T * weights * axis.length / 2) @ values, np.eye(values.shape[1]), atol=1e-12)
    ends = np.array([axis.lower, axis.lower + axis.length])
    value, slope = axis.at(ends), axis.at(ends, 1)
    zero = {
        "dirichlet": value,
        "neumann": slope,
        "periodic": np.stack([np.diff(value, axis=0), np.diff(slope, axis=0)]),
    }
    np.testing.assert_allclose(zero[conditions], 0, atol=1e-10)


# -- covariance ----------------------------------------------------------------------------------------------


def matern(nu, distance):
    z = np.sqrt(2 * nu) * distance
    return 2 ** (1 - nu) / gamma(nu) * z**nu * kv(nu, z)


CLOSED = [
    (Matern(nu=1.5, length=0.2, variance=2.0), lambda r: 2 * matern(1.5, r / 0.2), 1e-2),
    (Matern(nu=2.5, length=0.2), lambda r: matern(2.5, r / 0.2), 5e-4),
    (Matern(nu=3.7, length=0.15), lambda r: matern(3.7, r / 0.15), 5e-4),
    (Matern(nu=1000.0, length=0.15), lambda r: np.exp(-((r / 0.15) ** 2) / 2), 1e-3),
    (SquaredExponential(length=0.15, variance=3.0), lambda r: 3 * np.exp(-((r / 0.15) ** 2) / 2), 1e-12),
]


@pytest.mark.parametrize(("law", "closed", "tolerance"), CLOSED, ids=[str(law) for law, *_ in CLOSED])
@pytest.mark.parametrize(("conditions", "dim"), EVERYWHERE)
def test_far_from_the_sides_the_covariance_is_the_closed_form(law, closed, tolerance, conditions, dim):
    """Up to the waves that are cut off, most of them for a rough law in three dimensions."""
    generator = np.random.default_rng(0)
    x, y = 0.85 + 0.3 * generator.random((2, 50, dim))
    series = GaussianSeries(law, (0.0,) * dim, (2.0,) * dim, conditions, 48)
    distance = np.linalg.norm(x - y, axis=1)
    np.testing.assert_allclose(series.covariance(x, y), closed(distance), rtol=0, atol=tolerance)


def test_a_power_of_the_laplacian_is_a_matern_law():
    squared = np.linspace(0, 1e4, 50)
    for dim in (1, 2, 3):
        spectral = Spectral(sigma=3.0, tau=np.sqrt(3.0) / 0.2, alpha=1.5 + dim / 2).density(squared, dim)
        ratio = spectral / Matern(nu=1.5, length=0.2).density(squared, dim)
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)


def test_spectral_eigenvalues():
    """N(0, 7^(3/2) (−Δ + 49)^(−5/2)) on the unit torus, by hand."""
    series = GaussianSeries(Spectral(sigma=7**0.75, tau=7.0, alpha=2.5), (0.0, 0.0), (1.0, 1.0), "periodic", 2)
    # Waves 0, 1 (cosine and sine), 2 (cosine and sine).
    squared = np.add.outer(*[(2 * np.pi * np.array([0, 1, 1, 2, 2])) ** 2] * 2)
    np.testing.assert_allclose(series.eigenvalues, 7**1.5 * (squared + 49) ** -2.5, rtol=1e-12)


@pytest.mark.parametrize(
    ("law", "conditions", "dim"),
    [
        (Matern(nu=1.5, length=0.3), "periodic", 2),
        (SquaredExponential(length=0.4), "dirichlet", 1),
        (Spectral(sigma=7**0.75, tau=7.0, alpha=2.5), "periodic", 2),
        (Spectral(tau=3.0, alpha=2.0), "neumann", 3),
    ],
    ids=str,
)
def test_covariance_of_many_members(law, conditions, dim):
    """Ten thousand members: every entry within three standard deviations of its estimator."""
    n = 10_000
    problem = problem_with(law, dim, eigenfunctions=conditions, modes=4)
    provider = problem.coefficient_fields["k"][1]
    points = points_in(dim, 4)
    values = np.array([provider.of_member((0, k)).realisation(problem.domain)(points) for k in range(n)])
    pairs = grid_points([np.arange(4)] * 2)
    wanted = problem.realisation("k").series.covariance(points[pairs[:, 0]], points[pairs[:, 1]]).reshape(4, 4)
    variance = np.diag(wanted)
    deviation = np.sqrt((np.outer(variance, variance) + wanted**2) / n)
    assert np.all(np.abs(values.T @ values / n - wanted) < 3 * deviation)
    assert np.all(np.abs(values.mean(axis=0)) < 3 * np.sqrt(variance / n))


@pytest.mark.parametrize(("law", "closed"), [CLOSED[1][:2], CLOSED[4][:2]], ids=["Matern", "SquaredExponential"])
def test_covariance_of_many_members_is_the_closed_form(law, closed):
    n, rod = 10_000, Box(0.0, 4.0)
    points = np.array([[1.8], [1.9], [2.0], [2.3]])
    provider = problem_with(law, domain=rod, modes=60).coefficient_fields["k"][1]
    values = np.array([provider.of_member((0, k)).realisation(rod)(points) for k in range(n)])
    wanted = closed(np.abs(points - points.T) + 1e-12)
    deviation = np.sqrt((wanted[0, 0] ** 2 + wanted**2) / n)
    assert np.all(np.abs(values.T @ values / n - wanted) < 3 * deviation)


def test_a_fixed_mean_holds_in_every_member():
    for conditions in ("neumann", "periodic"):
        realised = field(eigenfunctions=conditions, mean=5.0, fixed_mean=True)
        points, weights = realised.domain.quadrature(40_000)
        assert weights @ realised(points) / weights.sum() == pytest.approx(5.0, abs=1e-8)
    free = field(mean=5.0)
    points, weights = free.domain.quadrature(40_000)
    assert abs(weights @ free(points) / weights.sum() - 5) > 0.1


# -- gradients and transforms --------------------------------------------------------------------------------


def logistic(g):
    return 1 / (1 + np.exp(-g))


TRANSFORMS = {
    "none": {},
    "exp": {"transform": np.exp},
    "own": {"transform": logistic, "slope": lambda g: logistic(g) * (1 - logistic(g))},
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize(("conditions", "dim"), EVERYWHERE)
def test_gradients_by_taylor(conditions, dim, transform):
    """f(x + h v) − f(x) − h ∇f·v falls like h²."""
    realised = field(dim=dim, eigenfunctions=conditions, mean=0.3, **transform)
    points = points_in(dim)
    direction = np.random.default_rng(1).standard_normal(points.shape)
    first = (realised.gradient(points) * direction).sum(axis=1)
    remainders = [
        np.abs(realised(points + h * direction) - realised(points) - h * first).max() for h in (1e-3, 5e-4, 2.5e-4)
    ]
    rates = np.log2(np.array(remainders[:-1]) / remainders[1:])
    np.testing.assert_allclose(rates, 2, atol=0.15)


def test_second_derivatives_of_the_plain_field():
    realised, points, h = field(), points_in(2), 1e-5
    above, below = (realised(points + [0.0, s * h], (0,)) for s in (1, -1))
    np.testing.assert_allclose(realised(points, (0, 1)), (above - below) / (2 * h), atol=1e-5)
    with pytest.raises(DeclarationError, match=r"'k' has no derivative by the axes \(0, 1\): .* first derivative only"):
        field(transform=np.exp)(points, (0, 1))


def test_transforms_act_on_the_gaussian_field():
    points = points_in(2)
    gaussian = field(mean=0.3)(points)
    np.testing.assert_allclose(field(mean=0.3, transform=np.exp)(points), np.exp(gaussian), rtol=1e-14)
    phases = field(mean=0.3, transform=threshold(3.0, 12.0, at=0.5))
    np.testing.assert_array_equal(phases(points), np.where(gaussian >= 0.5, 12.0, 3.0))
    assert set(np.unique(phases.on_grid(20)[1])) == {3.0, 12.0}


def test_a_smooth_field_has_a_strong_form():
    """−div(k ∇u) − 1 = −k Δu − ∇k·∇u − 1 with u = x² + 3 y."""
    problem = problem_with(transform=np.exp).draw(3)
    points = points_in(2)
    jet = {(0, (0,)): 2 * points[:, 0], (0, (1,)): np.full(50, 3.0), (0, (0, 0)): np.full(50, 2.0)}
    jet = {Derivative(*key): torch.tensor(value) for key, value in jet.items()}
    jet[Derivative(0, (1, 1))] = torch.zeros(50, dtype=torch.float64)
    realised = problem.realisation("k")
    slope = realised.gradient(points)
    wanted = -2 * realised(points) - 2 * points[:, 0] * slope[:, 0] - 3 * slope[:, 1] - 1
    found = strong_residual(problem)(torch.tensor(points), jet).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("transform", [threshold(1.0, 2.0), np.abs], ids=["threshold", "abs"])
def test_a_field_without_slope_has_none(transform):
    problem = problem_with(transform=transform)
    assert not analyse(problem).as_dict()["has_strong_form"]
    with pytest.raises(UnsupportedError, match="coefficient 'k'"):
        sciml.solve(problem, "deepxde", adam=1, lbfgs=1)
    with pytest.raises(DeclarationError, match="'k' has no derivative"):
        problem.realisation("k").gradient(points_in(2))


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Matern(nu=0.0, length=1.0), "nu, length and variance are positive"),
        (lambda: SquaredExponential(length=-1.0), "length and variance are positive"),
        (lambda: Spectral(tau=-1.0, alpha=2.0), "tau is at least 0"),
        (lambda: random_field("matern"), "takes Matern"),
        (lambda: random_field(SMOOTH, eigenfunctions="robin"), "takes dirichlet, neumann, periodic"),
        (lambda: random_field(SMOOTH, eigenfunctions="dirichlet", fixed_mean=True), "no constant part"),
        (lambda: random_field(SMOOTH, modes=0), "modes ≥ 1"),
        (lambda: random_field(SMOOTH, modes=2.5), "modes ≥ 1"),
        (lambda: random_field(SMOOTH, slope=np.cos), "without the `transform`"),
        (lambda: random_field(SMOOTH, mean=np.nan), "finite mean"),
        (lambda: random_field(SMOOTH, box=((0, 0), (1, 1))), "takes a Box"),
    ],
)
def test_wrong_laws_are_refused(build, message):
    with pytest.raises(DeclarationError, match=message):
        build()


@pytest.mark.parametrize(
    ("law", "keywords", "message"),
    [
        (Spectral(tau=1.0, alpha=1.0), {}, "alpha must exceed 1 in 2 dimensions"),
        (Spectral(tau=0.0, alpha=2.0), {}, "leaves the constant part free"),
        (SMOOTH, {"box": Box(0.0, 1.0)}, "box of dimension 1, the problem has dimension 2"),
        (SMOOTH, {"domain": Box((0.0,) * 4, (1.0,) * 4)}, "at most 3"),
        (SMOOTH, {"transform": np.sum}, r"'k' made shape \(\) of \(50,\)"),
        (SMOOTH, {"transform": lambda g: np.where(g > 0, np.nan, g)}, r"Coefficient 'k' is not finite at \[\S+, \S+\]"),
    ],
)
def test_laws_that_do_not_fit_the_problem_are_refused(law, keywords, message):
    problem = problem_with(law, **keywords)
    with pytest.raises(DeclarationError, match=message):
        problem.realisation("k")(points_in(2))


def test_a_grid_names_the_place_of_a_value_that_is_not_finite():
    realised = field(transform=lambda g: np.where(np.arange(g.size).reshape(g.shape) == 4, np.inf, g))
    with pytest.raises(DeclarationError, match=r"Coefficient 'k' is not finite at \[0.5, -0.25\]"):
        realised.on_grid(2)


def test_without_a_constant_tau_may_be_zero():
    law = Spectral(tau=0.0, alpha=2.0)
    for keywords in ({"fixed_mean": True}, {"eigenfunctions": "dirichlet"}):
        assert np.isfinite(field(law, **keywords)(points_in(2))).all()


def test_an_unknown_field():
    with pytest.raises(UnknownNameError, match="random field named 'kk'"):
        problem_with().realisation("kk")
