"""Every torch part on the meta device: a tensor that was forgotten on the CPU would raise."""

import pytest
import torch
from ufl import Identity, as_vector, conditional, det, exp, grad, inner, ln, lt, sin, sym, tr

from sciml import Dirichlet, Neumann, Robin, coefficient, vector
from sciml.forms import Derivative, boundary_residual, energy, reverse_jet, strong_residual, taylor_jet
from sciml.nn import MLP, HardConditions, PhysicalNetwork, activation_names


def hooke(u):
    return 2 * sym(grad(u)) + tr(grad(u)) * Identity(2)


def neo_hooke(u):
    f = Identity(2) + grad(u)
    return inner(f, f) - 2 * ln(det(f)) + ln(det(f)) ** 2


PROBLEMS = {
    "Poisson": {"exact": lambda x: sin(x[0]) * exp(x[1])},
    "branches": {"load": lambda x: conditional(lt(x[0], 0.5), 1.0, 2.0), "reaction": lambda u: u**3},
    "parameters": {"parameters": {"k": 2.0, "c": (1.0, 2.0)}, "flux": lambda u, p: (p.k + p.c[1] * u**2) * grad(u)},
    "elasticity": {"fields": {"d": vector}, "flux": hooke, "exact": lambda x: as_vector([x[0] * x[1], sin(x[0])])},
    "neo-Hooke": {"fields": {"d": vector}, "energy": neo_hooke, "load": (0.0, 1.0)},
}


def meta_points(n=7, dim=2):
    return torch.empty(n, dim, device="meta", dtype=torch.float64)


def meta_network(problem, activation="tanh"):
    return MLP([problem.dim, 8, 8, problem.n_components], activation, device="meta")


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("hard", [False, True])
def test_loss_and_its_gradient(poisson, name, hard):
    problem = poisson(**PROBLEMS[name])
    network = PhysicalNetwork(meta_network(problem), problem, unknown_scale=2.0, hard=hard)
    residual, x = strong_residual(problem), meta_points()
    loss = residual(x, network.jet(x, list(residual.keys))).square().mean()
    if problem.declaration.energy is not None:
        density = energy(problem)
        loss = loss + density(x, network.jet(x, list(density.keys))).mean()
    for piece in problem.boundary_pieces:
        for component, condition in enumerate(piece.conditions):
            operator = boundary_residual(problem, condition, component)
            loss = loss + operator(x, network.jet(x, list(operator.keys)), normal=meta_points()).square().mean()
    loss.backward()
    assert loss.device.type == "meta"
    for weights in network.parameters():
        assert weights.grad.device.type == "meta"
        assert weights.grad.shape == weights.shape


@pytest.mark.parametrize("provider", [taylor_jet, reverse_jet])
@pytest.mark.parametrize("activation", activation_names())
def test_jets(provider, activation):
    network = MLP([3, 8, 8, 2], activation, device="meta")
    keys = [Derivative(c, axes) for c in (0, 1) for axes in ((), (0,), (1, 1), (0, 2))]
    jet = provider(network, meta_points(dim=3), keys)
    assert {(value.device.type, value.shape) for value in jet.values()} == {("meta", (7,))}


def test_conditions_of_every_kind(poisson):
    problem = poisson(
        exact=lambda x: sin(x[0]) * x[1],
        conditions=lambda x: [Dirichlet(on="left"), Neumann(x[0], on="right"), Robin(alpha=2.0, on=["top", "bottom"])],
    )
    network = PhysicalNetwork(meta_network(problem), problem, unknown_scale=1.0, hard=True)
    assert network(meta_points()).device.type == "meta"
    for condition in problem.declaration.conditions:
        operator = boundary_residual(problem, condition, 0)
        value = operator(meta_points(), network.jet(meta_points(), list(operator.keys)), normal=meta_points())
        assert (value.device.type, value.shape) == ("meta", (7,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_hard_conditions_keep_device_and_type(poisson, dtype):
    conditions = HardConditions(poisson(3, exact=lambda x: sin(x[0]) + x[1] * x[2]))
    x, y = (torch.empty(5, k, device="meta", dtype=dtype) for k in (3, 1))
    out = conditions(x, y)
    assert (out.device.type, out.dtype, out.shape) == ("meta", dtype, (5, 1))


def test_ten_dimensions(poisson):
    problem = poisson(10, exact=lambda x: exp(-inner(x, x)))
    network, residual = meta_network(problem), strong_residual(problem)
    x = meta_points(dim=10)
    assert len(residual.keys) == 10
    residual(x, taylor_jet(network, x, residual.keys)).sum().backward()
    assert network.branches[0][0].weight.grad.device.type == "meta"


def test_coefficient_fields(poisson):
    k = coefficient(lambda x: 1 + x[:, 0], gradient=lambda x: 0 * x + [1, 0])
    problem = poisson(coefficients={"k": k}, flux=lambda u, p: p.k * grad(u))
    residual, x = strong_residual(problem), meta_points()
    assert residual(x, reverse_jet(meta_network(problem), x, residual.keys)).device.type == "meta"
