"""Variable projection: values of largest density, the gradient by Taylor's remainder, what it finds, refusals."""

import numpy as np
import pytest
import torch
from ufl import cos, grad, sin

from sciml import Box, Dirichlet, Neumann, Problem, load_problem, solve
from sciml.errors import UnsupportedError
from sciml.registry import load_solver
from sciml.solvers.gp import GpOptions
from sciml.solvers.gp.projected import ProjectedDensity
from sciml.solvers.gp.published import PublishedEstimator


def declared(dim):
    """−div((1 + x₀) grad u) + 2u = f, with a flux on one side."""
    return Problem(
        domain=Box((0.0, -0.5)[:dim], (1.0, 0.5)[:dim]),
        flux=lambda u, x: (1 + x[0]) * grad(u),
        reaction=lambda u: 2 * u,
        exact=(lambda x: sin(9 * x[0])) if dim == 1 else (lambda x: sin(9 * x[0]) * cos(4 * x[1])),
        conditions=[Neumann(on="right"), Dirichlet(on=["left", "bottom", "top"][: 2 * dim - 1])],
    )


def made(dim, **options):
    size = {1: 30, 2: 8}[dim]
    given = GpOptions(estimator="variable_projection", points_per_axis=size, components=3, **options)
    density = ProjectedDensity(PublishedEstimator(declared(dim), given))
    generator = np.random.default_rng(3)
    return density, density.start + 0.3 * generator.standard_normal(len(density.start)), generator


@pytest.mark.parametrize("envelope", ["student_t", "gaussian"])
@pytest.mark.parametrize("dim", [1, 2])
def test_values_are_those_of_largest_density(dim, envelope):
    """The gradient of J by the values vanishes, beside what it is without the solve."""
    density, hyper, _ = made(dim, envelope=envelope)

    def gradient(values):
        values = values.clone().requires_grad_()
        found = density.estimator.log_density(torch.cat([values, torch.from_numpy(hyper)]))[0]
        return torch.autograd.grad(found, values)[0].norm()

    values = density.values(hyper)
    assert gradient(values) < 1e-6 * gradient(values * 1.01)


@pytest.mark.parametrize("envelope", ["student_t", "gaussian"])
@pytest.mark.parametrize("dim", [1, 2])
def test_gradient_by_the_remainder_of_taylor(dim, envelope):
    """|J(θ + hδ) − J(θ) − h ∇J·δ| falls with h²."""
    density, hyper, generator = made(dim, envelope=envelope)
    direction = generator.standard_normal(len(hyper))
    value, gradient = density(hyper)
    rest = [abs(density(hyper + h * direction)[0] - value - h * gradient @ direction) for h in (4e-3, 2e-3, 1e-3)]
    assert np.log2(rest[0] / rest[1]) == pytest.approx(2, abs=0.15)
    assert np.log2(rest[1] / rest[2]) == pytest.approx(2, abs=0.15)


def test_a_frequency_is_found():
    """From a grid whose frequencies are 0.9 apart, and nearly all other weights are gone."""
    problem = Problem(
        domain=Box(0, 1),
        flux=lambda u: grad(u),
        exact=lambda x: sin(40 * x[0]),
        conditions=[Dirichlet(on="boundary")],
    )
    solution = solve(
        problem, "gp", estimator="variable_projection", envelope="gaussian", points_per_axis=80, components=12,
        top_frequency=10.0, max_iterations=100, throw=False,
    )  # fmt: skip
    (spectrum,) = solution.details["spectrum"]
    weights, frequencies = np.array(spectrum["weights"]), np.abs(spectrum["frequencies"])
    assert abs(frequencies[0] - 40 / (2 * np.pi)) < 0.1
    assert (weights < 1e-3 * weights[0]).sum() >= 8
    assert solution.error().relative_l2 < 1e-4
    assert solution.details["evaluations"] <= 400


def test_what_it_cannot_do_is_refused():
    solver = load_solver("gp")
    options = solver.Options(estimator="variable_projection")
    with pytest.raises(UnsupportedError, match="is nonlinear, and variable projection"):
        solver.check(load_problem("allen_cahn/sine"), options, "cpu")
    with pytest.raises(UnsupportedError, match="give points_per_axis=44 or fewer"):
        solver.check(declared(2), solver.Options(estimator="variable_projection", points_per_axis=60), "cpu")
