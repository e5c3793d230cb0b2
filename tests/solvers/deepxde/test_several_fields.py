"""The plain PINN on several fields: what stands in its loss, and flows held to an error bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ufl import Identity, as_vector, cos, div, dot, exp, grad, pi, sin

from sciml import Box, Dirichlet, Mean, Neumann, Problem, load_solution, scalar, solve, vector
from sciml.errors import OptionError, UnknownNameError
from sciml.nn import PhysicalNetwork, problem_scales
from sciml.solvers.deepxde.training import build_training

SMALL = {"width": 16, "depth": 2, "points": 128, "boundary_points": 64, "adam": 100}


def flow(**changes):
    """A whirl that decays: Taylor and Green's solution of the Navier–Stokes equations."""

    def exact(x, t):
        decay = exp(-0.4 * pi**2 * t)
        return {
            "velocity": decay * as_vector([sin(pi * x[0]) * cos(pi * x[1]), -cos(pi * x[0]) * sin(pi * x[1])]),
            "pressure": decay**2 * (cos(2 * pi * x[0]) + cos(2 * pi * x[1])) / 4,
        }

    parts = {
        "domain": Box((0, 0), (1, 1)),
        "time": 0.5,
        "fields": {"velocity": vector, "pressure": scalar.element(lower=1)},
        "damping": {"velocity": 1.0},
        "flux": lambda velocity, pressure: {"velocity": 0.2 * grad(velocity) - pressure * Identity(2)},
        "reaction": lambda velocity: {"velocity": dot(grad(velocity), velocity), "pressure": div(velocity)},
        "exact": exact,
        "conditions": [Dirichlet(on="boundary", field="velocity"), Mean(0.0, field="pressure")],
    }
    return Problem(**(parts | changes))


def stream(x):
    stream = sin(2 * x[0]) * exp(x[1])
    return as_vector([stream.dx(1), -stream.dx(0)])


def enclosed(**changes):
    """A Stokes flow whose pressure is determined by its mean value alone."""
    parts = {
        "time": None,
        "damping": None,
        "reaction": lambda velocity: {"pressure": div(velocity)},
        "exact": lambda x: {"velocity": stream(x), "pressure": cos(pi * x[0]) * x[1]},
    }
    return flow(**(parts | changes))


def terms_of(problem, hard):
    scales = problem_scales(problem)
    shell = PhysicalNetwork(
        torch.nn.Identity(), problem, unknown_scale=scales.unknowns, hard=hard, offset=scales.offset
    )
    training = build_training(
        problem, shell, scales, hard=hard, points=50, boundary_points=64, boundary_weight=100.0, flux_weight=10.0,
        generator=np.random.default_rng(0),
    )  # fmt: skip
    return training.term_names


ROWS = ["residual[0]", "residual[1]", "residual[2]"]
WALL = [f"Dirichlet of 'velocity' on boundary, component {c}" for c in (0, 1)]
OPEN = {"exact": None, "load": {}, "conditions": [Dirichlet((1.0, 0.0), on=["left", "top"], field="velocity")]}


@pytest.mark.parametrize(
    ("problem", "hard", "terms"),
    [
        (enclosed(), True, ["mean value, component 2"]),
        (enclosed(), False, [*WALL, "mean value, component 2"]),
        # A part without a condition is natural for the velocity; the pressure has no flux that could be zero there.
        (enclosed(**OPEN), True, [f"natural, component {c}" for c in (0, 1)]),
        (flow(), False, [*WALL, "mean value, component 2", *(f"state at the start, component {c}" for c in (0, 1))]),
    ],
    ids=["built in", "as terms", "open", "in time"],
)
def test_what_stands_in_the_loss(problem, hard, terms):
    assert terms_of(problem, hard) == [*ROWS, *terms]


def test_the_mean_of_an_enclosed_flow():
    """The mean of the pressure is the one prescribed, though it is large beside the variation."""
    level = 50.0
    problem = enclosed(
        exact=lambda x: {"velocity": stream(x), "pressure": level + cos(pi * x[0]) * x[1]},
        conditions=[Dirichlet(on="boundary", field="velocity"), Mean(level, field="pressure")],
    )
    solution = solve(problem, "deepxde", lbfgs=100, **SMALL)
    assert solution.error().fields["velocity"].relative_l2 < 2e-2
    points, weights = problem.domain.quadrature(400)
    pressure = solution.field.part("pressure").evaluate(points)
    assert weights @ pressure == pytest.approx(level, abs=0.02)
    true = level + np.cos(np.pi * points[:, 0]) * points[:, 1]
    assert np.sqrt(weights @ (pressure - true) ** 2) < 0.2


def test_a_flow_in_time_in_files(tmp_path):
    """Parts at an instant, saved and loaded, and the pressure's mean at several instants."""
    solution = solve(flow(), "deepxde", lbfgs=100, **SMALL)
    assert solution.error().fields["velocity"].relative_l2 < 0.2
    points, weights = solution.problem.domain.quadrature(400)
    for t in (0.0, 0.2, 0.5):
        assert weights @ solution.at(t).part("pressure").evaluate(points) == pytest.approx(0, abs=0.05)
    loaded = load_solution(solution.save(tmp_path / "s.h5"), solution.problem)
    for name in ("velocity", "pressure"):
        one, other = (s.at(0.3).part(name).evaluate(points) for s in (solution, loaded))
        np.testing.assert_array_equal(one, other)


def test_one_network_for_each_component():
    solution = solve(enclosed(), "deepxde", network="pfnn", **SMALL | {"adam": 2, "lbfgs": 2})
    assert solution.trainable_parameters == 3 * (2 * 16 + 16 + 16 * 16 + 16 + 16 + 1)


def test_sizes_that_are_given():
    solution = solve(enclosed(), "deepxde", unknown_scale={"pressure": 7.0}, **SMALL | {"adam": 1, "lbfgs": 0})
    scale = solution.field.module.unknown_scale
    assert scale[2] == 7.0
    assert scale[0] == scale[1] == pytest.approx(solution.details["scales"]["unknowns"][0])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (2.0, OptionError, "one size for several fields, .* give a dictionary for some of velocity, pressure"),
        ({"presure": 2.0}, UnknownNameError, "no field named 'presure'; did you mean 'pressure'"),
        ({"pressure": -1.0}, OptionError, "a size is above 0"),
    ],
)
def test_sizes_that_are_refused(given, error, message):
    with pytest.raises(error, match=message):
        solve(enclosed(), "deepxde", unknown_scale=given)


@pytest.mark.slow
def test_kovasznay():
    """L. Kovasznay, Proc. Camb. Phil. Soc. 44 (1948) 58: Navier–Stokes at Re = 40."""
    rate = 20 - np.sqrt(400 + 4 * np.pi**2)
    problem = Problem(
        domain=Box((-0.5, -0.5), (1.0, 1.5)),
        fields={"velocity": vector, "pressure": scalar.element(lower=1)},
        flux=lambda velocity, pressure: {"velocity": grad(velocity) / 40 - pressure * Identity(2)},
        reaction=lambda velocity: {"velocity": dot(grad(velocity), velocity), "pressure": div(velocity)},
        exact=lambda x: {
            "velocity": as_vector(
                [1 - exp(rate * x[0]) * cos(2 * pi * x[1]), rate / (2 * pi) * exp(rate * x[0]) * sin(2 * pi * x[1])]
            ),
            "pressure": (1 - exp(2 * rate * x[0])) / 2,
        },
        conditions=[
            Dirichlet(on=["left", "bottom", "top"], field="velocity"),
            Neumann(on="right", field="velocity"),
        ],
    )
    errors = solve(problem, "deepxde", lbfgs=800, **SMALL | {"width": 24, "points": 400}).error()
    assert errors.fields["velocity"].relative_l2 < 1e-2
    assert errors.fields["pressure"].relative_l2 < 3e-2
