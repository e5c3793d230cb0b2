"""Learned weights of a grid of frequencies: the density never falls, most weights vanish, the true frequencies stay."""

import numpy as np
import pytest
from ufl import cos, grad, sin

from sciml import Box, Dirichlet, Problem, load_problem, solve
from sciml.errors import OptionError
from sciml.registry import load_solver
from sciml.solvers.gp import weights
from sciml.solvers.gp.features import Mixture


def test_every_step_raises_the_density():
    """In the plane, from equal weights, without any being set to zero."""
    generator = np.random.default_rng(0)
    x, y = np.linspace(0, 1, 24), np.linspace(0, 2, 20)
    values = np.outer(np.sin(20 * x + 1), np.cos(9 * y)) + 0.1 * generator.standard_normal((24, 20))
    families = [Mixture(0.0, 1.0, (0.0, 2.0, 4.0), 8, 4.0), Mixture(0.0, 2.0, (0.0, 1.5, 3.0), 8, 4.0)]
    noise, own = 0.1, [np.full(3, 1 / 3), np.full(3, 1 / 3)]
    lags = [weights._lags(family, n) for family, n in zip(families, values.shape)]
    reached = [weights.density(values, families, own, noise)]
    for _ in range(8):
        for axis in (0, 1):
            white = weights._whitened(values, own, lags, axis, noise**2)
            own[axis] = weights._moved(own[axis], lags[axis], white, noise**2)
            reached.append(weights.density(values, families, own, noise))
    assert (np.diff(reached) > -1e-8 * np.abs(reached[1:])).all()
    assert reached[-1] > reached[0] + 1


def test_a_step_is_that_of_dense_matrices():
    """w (tr GK⁻¹vvᵀK⁻¹ / tr GK⁻¹)^½, with sums over lags in place of traces."""
    family, n = Mixture(0.0, 1.0, (0.0, 2.0, 4.0), 8, 4.0), 30
    x, own = np.linspace(0, 1, n), np.array([0.5, 0.2, 0.3])
    values, lags = np.sin(20 * x)[:, None], weights._lags(family, n)
    d = np.subtract.outer(x, x)
    parts = [np.exp(-((4 * d) ** 2) / 2) * np.cos(2 * np.pi * f * d) for f in family.frequencies]
    inverse = np.linalg.inv(sum(w * part for w, part in zip(own, parts)) + 0.01 * np.eye(n))
    turned = inverse @ values
    wanted = [
        w * np.sqrt((turned.T @ g @ turned).item() / np.trace(g @ inverse)) for w, g in zip(own, parts, strict=True)
    ]
    np.testing.assert_allclose(weights._moved(own, lags, values, 0.01), wanted, rtol=1e-9)


def test_most_weights_vanish_and_the_true_frequencies_stay():
    """sin 6x cos 100x is made of 94 and 106 radians; of thirty frequencies up to 20 those next to them stay."""
    problem = load_problem("multiscale/product")
    solution = solve(problem, "gp", prior="grid_mixture", points_per_axis=400, top_frequency=20.0)
    grid, (kept,) = np.linspace(0, 20, 30), solution.details["frequencies"]
    assert len(kept) <= 4
    for radians in (94.0, 106.0):
        assert np.abs(np.array(kept) - radians / (2 * np.pi)).min() <= grid[1] - grid[0]
    assert np.sum(solution.details["weights"][0]) == pytest.approx(1)
    assert solution.status == "converged"
    assert solution.error().relative_l2 < 1e-6


def test_nonlinear_in_the_plane():
    problem = Problem(
        domain=Box((0, 0), (1, 1)),
        flux=lambda u: grad(u),
        reaction=lambda u: u**3,
        exact=lambda x: sin(30 * x[0]) * cos(20 * x[1]),
        conditions=[Dirichlet(on="boundary")],
    )
    solution = solve(problem, "gp", prior="grid_mixture", points_per_axis=64)
    assert all(len(own) <= 10 for own in solution.details["frequencies"])
    assert solution.error().relative_l2 < 1e-5


def test_a_band_has_no_weights():
    solver, problem = load_solver("gp"), load_problem("multiscale/sine")
    with pytest.raises(OptionError, match="prior=grid_mixture was given frequencies=band; take auto or grid"):
        solver.check(problem, solver.Options(prior="grid_mixture", frequencies="band"), "cpu")
