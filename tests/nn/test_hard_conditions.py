"""Dirichlet conditions built into a network: exact on the boundary, and independent of data inside."""

import itertools

import numpy as np
import pytest
import torch
from ufl import as_vector, conditional, cos, exp, inner, max_value, pi, sin

from sciml import Box, Dirichlet, Neumann, Robin, coefficient, vector
from sciml.forms import Derivative, condition_value, reverse_jet
from sciml.nn import HardConditions, hard_conditions_obstacle


def sampled(problem, on, n=50):
    return problem.domain.part(on).sample(n, np.random.default_rng(0))[0]


def applied(problem, points, seed=0):
    """The conditions applied to random outputs of a network."""
    y = torch.randn(
        len(points), problem.n_components, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return HardConditions(problem)(torch.tensor(points), y).numpy()


def wave(x):
    """A smooth function of any number of coordinates."""
    return sin(2 * x[0] + 0.3) + sum(((k + 1) * cos(x[k]) * x[k - 1] for k in range(1, len(x))), start=0.0 * x[0])


def wave_values(points):
    out = np.sin(2 * points[:, 0] + 0.3)
    for k in range(1, points.shape[1]):
        out = out + (k + 1) * np.cos(points[:, k]) * points[:, k - 1]
    return out


def side_choices(dim):
    """Sets of sides: all, one, two opposite ones, two that meet, all but one."""
    names = [f"x{axis}{sign}" for axis in range(dim) for sign in "-+"]
    chosen = [names, names[:1], names[1:2], names[:2], names[1:]]
    return chosen + ([[names[0], names[3]], [names[0], names[2], names[3]]] if dim > 1 else [])


CASES = [(dim, sides) for dim in (1, 2, 3) for sides in side_choices(dim)]


@pytest.mark.parametrize(("dim", "sides"), CASES, ids=[f"{d}-D {','.join(s)}" for d, s in CASES])
def test_prescribed_values_are_met(poisson, dim, sides):
    domain = Box(np.full(dim, -1.0), np.arange(1.0, dim + 1))
    problem = poisson(dim, domain=domain, exact=wave, conditions=[Dirichlet(on=sides)])
    for side in sides:
        points = sampled(problem, side)
        np.testing.assert_allclose(applied(problem, points)[:, 0], wave_values(points), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_edges_and_corners_are_met(poisson, dim):
    problem = poisson(dim, exact=wave)
    corners = np.array(list(itertools.product([0.0, 0.5, 1.0], repeat=dim)))
    corners = corners[np.isin(corners, [0, 1]).any(axis=1)]
    np.testing.assert_allclose(applied(problem, corners)[:, 0], wave_values(corners), rtol=0, atol=1e-12)


def test_data_of_several_conditions(poisson):
    problem = poisson(
        conditions=lambda x: [Dirichlet(x[1], on="left"), Dirichlet(1 + sin(x[0]), on="top"), Neumann(1.0, on="right")]
    )
    left, top = sampled(problem, "left"), sampled(problem, "top")
    np.testing.assert_allclose(applied(problem, left)[:, 0], left[:, 1], atol=1e-12)
    np.testing.assert_allclose(applied(problem, top)[:, 0], 1 + np.sin(top[:, 0]), atol=1e-12)


def test_components_have_their_own_conditions(poisson):
    problem = poisson(
        fields={"d": vector},
        load=0.0,
        conditions=lambda x: [
            Dirichlet(x[1] ** 2, on="left", component=0),
            Dirichlet(as_vector([x[1], 3.0]), on="right"),
            Robin(1.0, alpha=1.0, on="top", component=1),
        ],
    )
    left, right = sampled(problem, "left"), sampled(problem, "right")
    np.testing.assert_allclose(applied(problem, left)[:, 0], left[:, 1] ** 2, atol=1e-12)
    np.testing.assert_allclose(
        applied(problem, right), np.stack([right[:, 1], 3 + 0 * right[:, 1]], axis=1), atol=1e-12
    )
    # The second component is free on the left: other outputs of the network give other values.
    assert np.abs(applied(problem, left, 0)[:, 1] - applied(problem, left, 1)[:, 1]).min() > 1e-6
    top = sampled(problem, "top")
    assert np.abs(applied(problem, top, 0) - applied(problem, top, 1)).min() > 1e-9


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_only_boundary_values_of_the_data_are_read(poisson, dim):
    """Two expressions that agree on the boundary, one of them wild inside, give the same lift."""

    def bump(x):
        out = 1.0
        for k in range(dim):
            out = out * x[k] * (1 - x[k])
        return out

    tame = poisson(dim, conditions=lambda x: [Dirichlet(wave(x), on="boundary")])
    wild = poisson(dim, conditions=lambda x: [Dirichlet(wave(x) + 1e6 * bump(x) * exp(bump(x)), on="boundary")])
    points = tame.domain.sample(100, np.random.default_rng(0))
    np.testing.assert_allclose(applied(tame, points), applied(wild, points), rtol=0, atol=1e-9)


def test_data_may_be_infinite_inside(poisson):
    """1/q with q = 0 in the middle only."""
    problem = poisson(
        conditions=lambda x: [Dirichlet(1 / inner(x - as_vector([0.5] * 2), x - as_vector([0.5] * 2)), on="boundary")]
    )
    out = applied(problem, np.array([[0.5, 0.5], [0.5, 0.0]]))
    assert np.isfinite(out).all()
    assert out[1, 0] == pytest.approx(4.0)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_lift_reproduces_blended_polynomials(poisson, dim):
    """Gordon's interpolation is exact for u that is linear along one axis; data on all sides."""
    problem = poisson(dim, conditions=lambda x: [Dirichlet((1 + 2 * x[0]) * (1 + x[dim - 1]), on="boundary")])
    points = problem.domain.sample(50, np.random.default_rng(0))
    lift = HardConditions(problem)(torch.tensor(points), torch.zeros(50, 1, dtype=torch.float64)).numpy()
    if dim > 1:
        np.testing.assert_allclose(lift[:, 0], (1 + 2 * points[:, 0]) * (1 + points[:, -1]), rtol=1e-13)
    else:
        np.testing.assert_allclose(lift[:, 0], 1 + 5 * points[:, 0], rtol=1e-13)


def test_the_distance_is_positive_inside_and_at_most_one(poisson):
    problem = poisson(3, conditions=[Dirichlet(0.0, on=["left", "right", "top"])])
    points = problem.domain.sample(500, np.random.default_rng(0))
    distance = HardConditions(problem)(torch.tensor(points), torch.ones(500, 1, dtype=torch.float64)).numpy()
    assert distance.min() > 0
    assert distance.max() <= 1


def test_ten_dimensions_with_one_constant(poisson):
    problem = poisson(10, parameters={"c": 3.0}, conditions=lambda p: [Dirichlet(p.c, on="boundary")])
    points = sampled(problem, "boundary")
    np.testing.assert_allclose(applied(problem, points), 3.0, rtol=1e-14)


def test_values_follow_the_parameters(poisson):
    problem = poisson(parameters={"c": 3.0}, conditions=lambda p: [Dirichlet(p.c, on="left")])
    points = sampled(problem, "left")
    np.testing.assert_allclose(applied(problem.with_parameters(c=5.0), points), 5.0)


def test_derivatives_of_the_lift(poisson):
    """u = x² y on the left and right sides alone: the lift is x y, its mixed derivative 1."""
    problem = poisson(exact=lambda x: x[0] ** 2 * x[1], conditions=[Dirichlet(on=["left", "right"])])
    lift = HardConditions(problem)
    x = torch.tensor(problem.domain.sample(20, np.random.default_rng(0)))
    keys = [Derivative(0, (0,)), Derivative(0, (0, 1)), Derivative(0, (1, 1))]
    jet = reverse_jet(lambda z: lift(z, torch.zeros_like(z[:, :1])), x, keys)
    np.testing.assert_allclose(jet[keys[0]].detach().numpy(), x[:, 1].numpy(), rtol=1e-14)
    np.testing.assert_allclose(jet[keys[1]].detach().numpy(), 1.0, rtol=1e-14)
    np.testing.assert_allclose(jet[keys[2]].detach().numpy(), 0.0, atol=1e-14)


def test_data_without_derivative_are_an_obstacle(poisson):
    """A lift of a coefficient field must be differentiable, or be refused."""
    values = coefficient(
        lambda x: np.sin(3 * x[:, 0]), gradient=lambda x: np.stack([3 * np.cos(3 * x[:, 0]), 0 * x[:, 0]], 1)
    )
    problem = poisson(coefficients={"g": values}, conditions=lambda p: [Dirichlet(p.g, on="boundary")])
    if hard_conditions_obstacle(problem) is None:
        lift, x = HardConditions(problem), torch.tensor([[0.2, 0.4], [0.7, 0.1]], dtype=torch.float64)
        key = Derivative(0, (0,))
        jet = reverse_jet(lambda z: lift(z, torch.zeros_like(z[:, :1])), x, [key])
        np.testing.assert_allclose(jet[key].detach().numpy(), 3 * np.cos(3 * x[:, 0].numpy()), rtol=1e-10)


def test_obstacles(poisson, bent_box):
    assert hard_conditions_obstacle(poisson(3, exact=wave)) is None
    assert hard_conditions_obstacle(poisson(10)) is None
    assert "not a box" in hard_conditions_obstacle(poisson(domain=bent_box(2)))
    varying = poisson(4, exact=lambda x: x[0])
    assert "have no cheap lift" in hard_conditions_obstacle(varying)
    with pytest.raises(ValueError, match="cannot be built into the network: boundary values that vary"):
        HardConditions(varying)


def test_different_constants_in_many_dimensions_are_an_obstacle(poisson):
    problem = poisson(4, conditions=[Dirichlet(0.0, on="x0-"), Dirichlet(1.0, on="x0+")])
    assert hard_conditions_obstacle(problem) is not None


LID = [Dirichlet((0.0, 0.0), on=["left", "right", "bottom"]), Dirichlet((1.0, 0.0), on="top")]
CONTRADICTIONS = {
    "2-D": (2, {"conditions": [Dirichlet(0.0, on=["left", "right", "bottom"]), Dirichlet(1.0, on="top")]}),
    "cavity": (2, {"fields": {"velocity": vector}, "load": (0.0, 0.0), "conditions": LID}),
    "3-D": (3, {"conditions": [Dirichlet(0.0, on=["left", "right"]), Dirichlet(1.0, on="top")]}),
    "edge": (3, {"conditions": lambda x: [Dirichlet(sin(2 * pi * x[2]), on="left"), Dirichlet(0.0, on="top")]}),
}


@pytest.mark.parametrize(("dim", "changes"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_data_that_contradict_each_other_are_an_obstacle(poisson, dim, changes):
    """No lift is continuous and takes both values; the transfinite one would violate whole sides."""
    problem = poisson(dim, **changes)
    first, second = problem.dirichlet
    assert f"{first} and {second} contradict each other at [" in hard_conditions_obstacle(problem)
    with pytest.raises(ValueError, match="cannot be built into the network: Dirichlet on .* contradict each other"):
        HardConditions(problem)


def test_data_that_meet_up_to_rounding_are_no_obstacle(poisson):
    conditions = lambda x: [  # noqa: E731
        Dirichlet(sin(pi * x[0]), on="bottom"),
        Dirichlet(0.0, on=["left", "right", "top"]),
    ]
    assert hard_conditions_obstacle(poisson(conditions=conditions)) is None


def test_components_may_differ_in_a_corner(poisson):
    conditions = [Dirichlet(0.0, on="left", component=0), Dirichlet(1.0, on="top", component=1)]
    assert hard_conditions_obstacle(poisson(fields={"d": vector}, load=0.0, conditions=conditions)) is None


KINKS = {
    "kink": lambda x: conditional(x[0] < 0.5, x[0], 1 - x[0]),
    "absolute value": lambda x: abs(x[0] - 0.5),
    "maximum": lambda x: max_value(x[0], 0.5),
    "jump": lambda x: conditional(x[0] < 0.5, 0.0, 1.0),
}


@pytest.mark.parametrize("value", KINKS.values(), ids=KINKS)
def test_data_with_a_kink_are_an_obstacle(poisson, value):
    """The lift would carry it into the domain, where no collocation point sees what it does to the flux."""
    problem = poisson(conditions=lambda x: [Dirichlet(value(x), on="bottom"), Dirichlet(0.0, on="top")])
    assert "jump or a kink" in hard_conditions_obstacle(problem)


@pytest.mark.parametrize(
    "value",
    [
        lambda x: conditional(x[0] < 0.5, x[0], 1.0 * x[0]),
        lambda x: conditional(x[0] < 0.5, x[0] ** 2, x[0] ** 2 + (x[0] - 0.5) ** 2),
        lambda x: abs(x[0] + 0.5),
        lambda x: max_value(x[0], -1.0),
    ],
)
def test_smooth_data_with_a_branch_are_built_in(poisson, value):
    problem = poisson(conditions=lambda x: [Dirichlet(value(x), on="bottom")])
    points = sampled(problem, "bottom")
    (condition,) = problem.dirichlet
    wanted = condition_value(problem, condition, 0).at(points)
    np.testing.assert_allclose(applied(problem, points)[:, 0], wanted, atol=1e-14)
