"""The first layer bends where the load is; leverage scores are those of the dense formula."""

from __future__ import annotations

import numpy as np
import pytest
import small
import torch
from ufl import grad

from sciml import Box, Dirichlet, Problem, load_problem
from sciml.solvers.pinn.leverage import leverage_scores

CENTRE = (0.5, 0.5)


def distances(training, place):
    """From the planes on which units of the first layer bend to a place, in multiples of half the box."""
    layer = training.model.network.branches[0][0]
    with torch.no_grad():
        x = training.model.scaled(torch.tensor([place], dtype=torch.float64))
        return (layer(x)[0].abs() / layer.weight.norm(dim=1)).numpy()


def steepness(training):
    return training.model.network.branches[0][0].weight.norm(dim=1).detach().numpy()


@pytest.mark.parametrize("sharpness", [30, 1000])
def test_bends_are_at_a_peak_and_as_sharp(sharpness):
    """Half of the planes pass the peak within its width; where weights are random, a fifth of the box away."""
    peak = load_problem("poisson/peak", sharpness=sharpness, centre=CENTRE)
    placed, plain = (
        small.training(peak, features=features, width=200, sampler="quasi_random", look_first=False)
        for features in ("placed", "plain")
    )
    width = sharpness**-0.5
    assert np.median(distances(placed, CENTRE)) < width
    assert np.median(distances(plain, CENTRE)) > 0.2
    # A unit goes from one end to the other over 2/slope.
    assert 0.25 / width < np.median(steepness(placed)) < 2 / width
    assert set(placed.slopes) == {"slope_lower", "slope_median", "slope_upper"}
    assert plain.slopes == {}


def test_bends_are_even_where_there_is_no_load():
    """Laplace's equation holds for u = 0 everywhere: nothing says where to look."""
    laplace = Problem(
        domain=Box((-1, -1), (1, 1)),
        flux=lambda u: grad(u),
        load=0.0,
        conditions=[Dirichlet(lambda x: x[0], on="boundary")],
    )
    training = small.training(laplace, width=400, conditions="soft", sampler="quasi_random")
    drawn = np.random.default_rng(0)
    turn = drawn.uniform(0, 2 * np.pi, 100_000)
    normals, places = np.column_stack([np.cos(turn), np.sin(turn)]), drawn.uniform(-1, 1, (100_000, 2))
    for place in ((0.0, 0.0), (0.9, -0.9)):
        expected = np.quantile(np.abs(((places - place) * normals).sum(axis=1)), [0.25, 0.5, 0.75])
        assert np.quantile(distances(training, place), [0.25, 0.5, 0.75]) == pytest.approx(expected, rel=0.25)
    assert steepness(training).min() >= 0.25
    assert steepness(training).max() <= 1.75


def test_placing_changes_the_first_layer_only():
    placed, plain = (
        small.training(features=features, sampler="quasi_random", look_first=False) for features in ("placed", "plain")
    )
    first = placed.model.network.branches[0][0]
    n = first.weight.numel() + first.bias.numel()
    assert not torch.equal(placed.theta[:n], plain.theta[:n])
    assert torch.equal(placed.theta[n:], plain.theta[n:])


@pytest.mark.parametrize("name", ["poisson/peak", "stokes/vortex", "heat/sine"])
def test_leverage_is_the_dense_formula(name):
    """τ(x) = Σ J(x) (JᵀJ/N + λ D)⁻¹ J(x)ᵀ, with an inverse in place of blocks and factors."""
    training = small.training(load_problem(name), sampler="quasi_random")
    collocation, known = training.collocation, training.points.points
    fresh = known[:60] * 0.9 + 0.1 * known[60:120]
    damping = 1e-3

    def rows(points):
        collocation.set_points(points)
        matrix = collocation.jacobian(training.theta)[1].numpy()
        equations = [term.rows for term in collocation.terms if term.kind == "equation"]
        return np.stack([matrix[part] for part in equations]) * np.sqrt(len(points))

    own = np.concatenate(rows(known))
    normal = own.T @ own / len(known)
    # Weights that no equation sees, such as the last bias of a pressure, keep the matrix regular by the least of D.
    scale = np.maximum(np.diag(normal), 1e-12 * np.diag(normal).max())
    inverse = np.linalg.inv(normal + damping * np.diag(scale))
    expected = np.einsum("kip,pq,kiq->i", rows(fresh), inverse, rows(fresh))
    collocation.set_points(known)
    before = collocation.points.copy()
    found = leverage_scores(collocation, training.theta, fresh, known=known, damping=damping)
    assert found == pytest.approx(expected, rel=1e-8)
    assert np.array_equal(collocation.points, before)
    # Their mean over the points themselves is the number of weights that the points determine.
    mean = leverage_scores(collocation, training.theta, known, known=known, damping=damping).mean()
    assert mean == pytest.approx(np.trace(inverse @ normal), rel=1e-8)
    assert 1 < mean < collocation.n_parameters
