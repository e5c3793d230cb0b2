"""The law in space and time: residuals, loads, conditions and initial data against independent formulas."""

import numpy as np
import pytest
import torch
from ufl import as_vector, cos, exp, grad, sin

from sciml import Absorbing, Box, Dirichlet, Neumann, Problem, coefficient, vector
from sciml.forms import (
    Derivative,
    analyse,
    balance,
    boundary_residual,
    condition_value,
    initial_residual,
    initial_value,
    pointwise,
    reverse_jet,
    strong_residual,
)

POINTS = np.random.default_rng(0).random((50, 2))
TIMES = np.linspace(0.1, 1.9, 50)


def network(outputs=1):
    torch.manual_seed(0)
    layers = [
        torch.nn.Linear(3, 16),
        torch.nn.Tanh(),
        torch.nn.Linear(16, 16),
        torch.nn.Tanh(),
        torch.nn.Linear(16, outputs),
    ]
    return torch.nn.Sequential(*layers).double()


def space_time():
    return torch.tensor(np.column_stack([POINTS, TIMES]), requires_grad=True)


def slope(y, x):
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


def evolving(**changes):
    parts = {
        "domain": Box((0.0, 0.0), (1.0, 1.0)),
        "time": 2.0,
        "parameters": {"k": 1.7},
        "mass": lambda x: 2 - x[1],
        "damping": lambda x: 1 + x[0],
        "flux": lambda u, x, t, p: p.k * (1 + t * x[0]) * (1 + u**2) * grad(u),
        "reaction": lambda u, t: t * u**3,
        "load": lambda x, t: exp(-t) * sin(x[0] + x[1]),
        "initial": lambda x: x[0],
        "initial_velocity": lambda x: cos(x[1]),
        "conditions": [Absorbing(impedance=3.0, on="left"), Neumann(lambda x, t: t * x[0], on="top")],
    }
    return Problem(**(parts | changes))


def test_the_residual_against_autograd():
    """Every term by hand, at points that carry their time."""
    problem, net, x = evolving(), network(), space_time()
    operator = strong_residual(problem)
    got = operator(x, reverse_jet(net, x, operator.keys))
    u = net(x)[:, 0]
    g = slope(u, x)
    k = 1.7 * (1 + x[:, 2] * x[:, 0]) * (1 + u**2)
    divergence = slope(k * g[:, 0], x)[:, 0] + slope(k * g[:, 1], x)[:, 1]
    inertia = (2 - x[:, 1]) * slope(g[:, 2], x)[:, 2] + (1 + x[:, 0]) * g[:, 2]
    expected = inertia - divergence + x[:, 2] * u**3 - torch.exp(-x[:, 2]) * torch.sin(x[:, 0] + x[:, 1])
    assert (got - expected).abs().max() <= 1e-12 * divergence.abs().max()


def test_the_residual_says_which_derivatives_it_needs():
    heat = evolving(mass=None, initial_velocity=None, conditions=[], flux=lambda u: grad(u), reaction=None)
    assert set(strong_residual(heat).keys) == {Derivative(0, axes) for axes in ((0, 0), (1, 1), (2,))}
    wave = evolving(damping=None, conditions=[], flux=lambda u: grad(u), reaction=None)
    assert set(strong_residual(wave).keys) == {Derivative(0, axes) for axes in ((0, 0), (1, 1), (2, 2))}


def test_an_instant_of_the_problem_and_the_points_own_times_agree():
    problem, net = evolving(), network()
    operator = strong_residual(problem)
    x = torch.tensor(np.column_stack([POINTS, np.full(50, 0.7)]))
    jet = reverse_jet(net, x, operator.keys)
    at = strong_residual(problem.at_time(0.7))
    assert torch.equal(operator(x, jet), at(x[:, :2], jet))
    assert torch.equal(operator(x, jet, static=operator.static(x)), operator(x, jet))


def test_the_load_is_manufactured_with_the_terms_in_time():
    """mass u_tt + damping u_t − k Δu for u = sin(2 t) x₀² + t² x₁."""
    problem = evolving(load=None, exact=lambda x, t: sin(2 * t) * x[0] ** 2 + t**2 * x[1], reaction=None,
                       flux=lambda u, p: p.k * grad(u), initial=None, initial_velocity=None, conditions=[])  # fmt: skip
    x, y = POINTS.T
    for t in (0.0, 0.3, 2.0):
        load = pointwise(problem.at_time(t), balance(problem).load).at(POINTS)
        second, first = -4 * np.sin(2 * t) * x**2 + 2 * y, 2 * np.cos(2 * t) * x**2 + 2 * t * y
        expected = (2 - y) * second + (1 + x) * first - 1.7 * 2 * np.sin(2 * t)
        assert np.abs(load - expected).max() <= 1e-12 * np.abs(expected).max()
    assert np.allclose(initial_value(problem, 0).at(POINTS), 0, atol=1e-15)
    assert np.allclose(initial_value(problem, 0, velocity=True).at(POINTS), 2 * x**2, atol=1e-14)


def test_the_start_need_not_be_zero():
    problem = evolving(time=(1.0, 2.0), exact=lambda x, t: t**3 * x[0], load=None, initial=None, initial_velocity=None)
    assert np.allclose(initial_value(problem, 0).at(POINTS), POINTS[:, 0])
    assert np.allclose(initial_value(problem, 0, velocity=True).at(POINTS), 3 * POINTS[:, 0])
    assert problem.instant == 1.0


def test_conditions_at_points_with_their_times():
    problem, net, x = evolving(), network(), space_time()
    normal = torch.tensor([[-1.0, 0.0]], dtype=torch.float64).expand(50, 2)
    u = net(x)[:, 0]
    g = slope(u, x)
    flux = 1.7 * (1 + x[:, 2] * x[:, 0]) * (1 + u**2) * g[:, 0]
    absorbing, neumann = problem.declaration.conditions
    operator = boundary_residual(problem, absorbing, 0)
    got = operator(x, reverse_jet(net, x, operator.keys), normal=normal)
    assert (got - (-flux + 3 * g[:, 2])).abs().max() <= 1e-12 * flux.abs().max()
    operator = boundary_residual(problem, neumann, 0)
    got = operator(x, reverse_jet(net, x, operator.keys), normal=normal)
    assert (got - (-flux - x[:, 2] * x[:, 0])).abs().max() <= 1e-12 * flux.abs().max()
    assert condition_value(problem.at_time(0.5), neumann, 0).at(POINTS) == pytest.approx(0.5 * POINTS[:, 0])


def test_initial_residuals():
    problem, net = evolving(), network()
    x = torch.tensor(np.column_stack([POINTS, np.zeros(50)]), requires_grad=True)
    u = net(x)[:, 0]
    for velocity, expected in ((False, u - x[:, 0]), (True, slope(u, x)[:, 2] - torch.cos(x[:, 1]))):
        operator = initial_residual(problem, 0, velocity=velocity)
        assert (operator(x, reverse_jet(net, x, operator.keys)) - expected).abs().max() < 1e-14


def test_vectors_and_coefficient_fields():
    """−div(a(x) ∇u) + ∂²u/∂t² by components, with a coefficient given by a function of points."""
    problem = evolving(
        fields={"w": vector}, mass=1.0, damping=None, reaction=None, load=lambda t: as_vector([t, 0.0]),
        coefficients={"a": coefficient(lambda p: 1 + p[:, 0], gradient=lambda p: np.tile([1.0, 0.0], (len(p), 1)))},
        flux=lambda u, p: p.a * grad(u), conditions=[Dirichlet((0.0, 0.0), on="boundary")],
        initial=(0.0, 0.0), initial_velocity=(0.0, 0.0),
    )  # fmt: skip
    net, x = network(2), space_time()
    operator = strong_residual(problem)
    got = operator(x, reverse_jet(net, x, operator.keys))
    for c in range(2):
        u = net(x)[:, c]
        g = slope(u, x)
        a = 1 + x[:, 0]
        expected = slope(g[:, 2], x)[:, 2] - slope(a * g[:, 0], x)[:, 0] - slope(a * g[:, 1], x)[:, 1]
        expected = expected - (x[:, 2] if c == 0 else 0)
        assert (got[:, c] - expected).abs().max() <= 1e-12 * expected.abs().max()


def test_on_the_meta_device():
    problem = evolving()
    operator = strong_residual(problem)
    net = network().to("meta")
    x = torch.empty((7, 3), dtype=torch.float64, device="meta")
    residual = operator(x, reverse_jet(net, x, operator.keys))
    residual.square().mean().backward()
    assert residual.is_meta
    assert all(p.grad is not None for p in list(net.parameters())[:-1])


def test_the_analysis_reads_the_law_in_space():
    assert analyse(evolving()).linear is False
    heat = evolving(flux=lambda u: grad(u), reaction=None)
    assert analyse(heat).linear
    assert analyse(heat).symmetric
    assert not analyse(heat).pure_neumann, "what runs in time is determined by its start"
