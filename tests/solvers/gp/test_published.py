"""The estimator of the paper: its density against a dense one, its accuracy after 100 steps, resuming, bad input."""

import math
import signal
from functools import reduce

import numpy as np
import pytest
import torch
from ufl import grad

from sciml import Box, Dirichlet, Neumann, Periodic, Problem, Robin, load_problem, load_solution
from sciml.errors import Interrupted, OptionError, UnsupportedError
from sciml.problem import grid_points
from sciml.solvers.base import Context
from sciml.solvers.gp.published import JITTER, PublishedEstimator, PublishedOptions, check_published, solve_published


def declared(dim=1, **changes):
    """−div((1 + x₀) grad u) + u³ = 1 with u = x₀ on all sides, or what `changes` makes of it."""
    parts = {
        "domain": Box((0.0, -0.5, 0.3)[:dim], (1.0, 0.5, 1.5)[:dim]),
        "flux": lambda u, x: (1 + x[0]) * grad(u),
        "reaction": lambda u: u**3,
        "load": 1.0,
        "conditions": [Dirichlet(lambda x: x[0], on="boundary")],
    }
    return Problem(**(parts | changes))


def moved(estimator, seed=0):
    """Unknowns at random near the start."""
    generator = torch.Generator().manual_seed(seed)
    return estimator.theta + 0.3 * torch.randn(len(estimator.theta), generator=generator, dtype=torch.float64)


SHAPES = {1: 12, 2: 6, 3: 4}


@pytest.mark.parametrize("envelope", ["student_t", "gaussian"])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_density_is_the_dense_one(dim, envelope):
    """Covariances of all nodes, derivatives by ∂²K K⁻¹ of all nodes, the law written out."""
    options = PublishedOptions(points_per_axis=SHAPES[dim], components=3, envelope=envelope, likelihood_weight=7.0)
    estimator = PublishedEstimator(declared(dim), options)
    theta = moved(estimator)
    found, residual = estimator.log_density(theta)

    values, log_tau, log_v, kernel = estimator.unpacked(theta)
    lines = [torch.tensor(line) for line in estimator.lines]
    x, u = torch.tensor(grid_points(estimator.lines)), values.reshape(-1)
    own = [k.between(line, line, 2) for k, line in zip(kernel.factors, lines)]
    inverse = torch.linalg.inv(reduce(torch.kron, [k[0] + JITTER * torch.eye(len(k[0])).double() for k in own]))

    def derivative(orders):
        # In an axis without a derivative the covariance and its inverse cancel, with the jitter in both.
        parts = [k[n] + (JITTER * torch.eye(len(k[0])).double() if n == 0 else 0) for k, n in zip(own, orders)]
        return reduce(torch.kron, parts) @ inverse @ u

    units = np.eye(dim, dtype=int)
    laplacian = sum(derivative(2 * unit) for unit in units)
    law = -(1 + x[:, 0]) * laplacian - derivative(units[0]) + u**3 - 1
    misfit = []
    for axis in range(dim):
        for end in (estimator.lines[axis][0], estimator.lines[axis][-1]):
            on = x[:, axis] == end
            misfit.append((u - x[:, 0])[on])
    misfit = torch.cat(misfit)
    n = len(u)
    wanted = (
        0.5 * torch.logdet(inverse)
        - 0.5 * u @ inverse @ u
        + 7.0 * (0.5 * len(misfit) * log_tau - 0.5 * log_tau.exp() * misfit @ misfit)
        + 0.5 * n * log_v
        - 0.5 * log_v.exp() * law @ law
    )
    np.testing.assert_allclose(residual, law, rtol=1e-6, atol=1e-6 * float(law.abs().max()))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_gradients_fall_off_as_taylor_says():
    options = PublishedOptions(points_per_axis=8, components=3)
    estimator = PublishedEstimator(declared(2), options)
    theta = moved(estimator).requires_grad_()
    value, _ = estimator.log_density(theta)
    (gradient,) = torch.autograd.grad(value, theta)
    direction = torch.randn(len(theta), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rests = []
    for h in (1e-3, 5e-4, 2.5e-4):
        shifted, _ = estimator.log_density(theta.detach() + h * direction)
        rests.append(abs(float(shifted - value.detach() - h * gradient @ direction)))
    slopes = np.diff(np.log(rests)) / np.log(0.5)
    assert np.all(np.abs(slopes - 2) < 0.15)


@pytest.mark.parametrize(("envelope", "low", "high"), [("student_t", 0.25, 0.29), ("gaussian", 0.2, 0.35)])
def test_a_hundred_steps_on_a_hundred_waves(envelope, low, high):
    """The authors' log of Student's t has 0.276 at step 95."""
    problem = load_problem("multiscale/sine")
    options = PublishedOptions(points_per_axis=400, top_frequency=20, steps=100, envelope=envelope)
    solution = solve_published(problem, options, Context())
    x = np.linspace(0, 2 * np.pi, 300)
    exact = np.sin(100 * x)
    error = np.linalg.norm(solution.evaluate(x[:, None]) - exact) / np.linalg.norm(exact)
    assert low < error < high
    assert solution.status == "budget_reached"
    assert solution.iterations == 100


def test_twenty_waves_are_found():
    problem = load_problem("multiscale/sine", frequency=20.0)
    options = PublishedOptions(points_per_axis=100, top_frequency=5, components=10, steps=300)
    solution = solve_published(problem, options, Context())
    assert solution.error().relative_l2 < 0.16
    assert solution.residual < 10  # of a load of size 400
    spectrum = solution.details["spectrum"][0]
    assert spectrum["weights"] == sorted(spectrum["weights"], reverse=True)


def test_fluxes_on_sides():
    """Neumann and Robin data enter as residuals of derivatives, with the normal of their side."""
    problem = declared(
        2,
        conditions=[
            Dirichlet(1.0, on="left"),
            Neumann(2.0, on="right"),
            Robin(alpha=3.0, value=0.5, on="top"),
        ],
    )
    options = PublishedOptions(points_per_axis=5, components=2, likelihood_weight=1.0)
    estimator = PublishedEstimator(problem, options)
    theta = moved(estimator)
    field_values, *_ = estimator.unpacked(theta)
    estimator.theta = theta
    field = estimator.field()
    x = grid_points(estimator.lines)
    slopes = field.gradient(x)
    u, k = field_values.reshape(-1).numpy(), 1 + x[:, 0]
    sides = {
        "left": (x[:, 0] == 0, u - 1),
        "right": (x[:, 0] == 1, k * slopes[:, 0] - 2),
        "top": (x[:, 1] == 0.5, k * slopes[:, 1] - 3 * (0.5 - u)),
        "bottom": (x[:, 1] == -0.5, -k * slopes[:, 1]),
    }
    wanted = sum(float((value[on] ** 2).sum()) for on, value in sides.values())

    def misfit(log_tau):
        changed = theta.clone()
        changed[25] = log_tau
        return float(estimator.log_density(changed)[0])

    # λ (N_b/2 log τ − τ/2 |b|²) at τ = 1 and τ = e, all else alike.
    found = (misfit(0.0) - misfit(1.0) + 0.5 * 20) / (0.5 * (math.e - 1))
    assert found == pytest.approx(wanted, rel=1e-4)


def small(folder=None, steps=20, resume=False, report=lambda progress: None, **changes):
    options = PublishedOptions(points_per_axis=20, components=4, steps=steps, checkpoint_every=0, **changes)
    return solve_published(declared(), options, Context(folder=folder, resume=resume, report=report))


def test_parts_are_the_whole(tmp_path):
    whole = small()
    small(tmp_path, steps=7)
    resumed = small(tmp_path, steps=20, resume=True)
    assert resumed.iterations == 20
    assert np.array_equal(resumed.field.coefficients, whole.field.coefficients)
    assert np.array_equal(resumed.history["loss"], whole.history["loss"])


def test_sigterm_saves_and_resuming_goes_on_to_the_same_bits(tmp_path):
    def stop(progress):
        if progress.done == 1:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match="after 1 step"):
        small(tmp_path, report=stop)
    assert np.array_equal(small(tmp_path, resume=True).field.coefficients, small().field.coefficients)


def test_what_was_there_before_it_diverged():
    solution = small(learning_rate=30.0)
    assert solution.status == "diverged"
    assert solution.residual is None
    assert np.isfinite(solution.evaluate(np.linspace(0, 1, 5)[:, None])).all()


def test_another_training_is_refused(tmp_path):
    small(tmp_path, steps=3)
    with pytest.raises(OptionError, match="learning_rate"):
        small(tmp_path, resume=True, learning_rate=0.1)


def test_solutions_are_read_back(tmp_path):
    problem = load_problem("multiscale/sine", frequency=3.0)
    solution = solve_published(problem, PublishedOptions(points_per_axis=20, components=4, steps=5), Context())
    solution.save(tmp_path / "solution.h5")
    x = np.linspace(0, 6, 9)[:, None]
    assert np.array_equal(load_solution(tmp_path / "solution.h5").evaluate(x), solution.evaluate(x))


def refused(problem, **options):
    check_published(problem, PublishedOptions(points_per_axis=10, **options))


def test_what_it_cannot_do():
    with pytest.raises(UnsupportedError, match="order 2; take a larger ν"):
        refused(declared(), smoothness=1.5)
    refused(declared(flux=None, reaction=lambda u: grad(u)[0], conditions=[Dirichlet(0.0, on="left")]), smoothness=1.5)
    with pytest.raises(UnsupportedError, match="stationary problem"):
        refused(declared(4, domain=Box((0,) * 4, (1,) * 4)))
    with pytest.raises(UnsupportedError, match="stationary problem"):
        refused(load_problem("poisson/l_shape"))
    with pytest.raises(UnsupportedError, match="periodic sides"):
        refused(declared(conditions=[Periodic("left", "right")]))
    with pytest.raises(UnsupportedError, match="not finite at 1 of 10 points"):
        refused(declared(load=lambda x: 1 / x[0]))
    with pytest.raises(OptionError, match=r"4\.5 cycles per length .* points_per_axis=41"):
        refused(declared(), top_frequency=20.0)
