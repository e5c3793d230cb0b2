"""Periodicity by inputs: values and derivatives agree on both sides whatever the weights; what cannot be built in."""

import re

import numpy as np
import pytest
import torch
from ufl import as_vector, grad, pi, sin

from sciml import Box, Dirichlet, MeshDomain, Periodic, Problem, scalar, vector
from sciml.forms import Derivative, condition_value, reverse_jet
from sciml.nn import MLP, HardConditions, PhysicalNetwork, hard_conditions_obstacle, periodic_inputs_obstacle
from sciml.problem import box_mesh

KEYS = [Derivative(c, axes) for c in (0, 1) for axes in ((), (0,), (1,), (0, 0), (0, 1), (1, 1))]
BOX = Box((10.0, -2.0), (14.0, -1.0))
ALL = [Periodic("boundary")]
ONE = [Periodic("right", "left"), Dirichlet(on=["bottom", "top"])]


def declare(conditions, **changes):
    parts = {
        "domain": BOX,
        "fields": {"d": vector},
        "flux": lambda u: grad(u),
        "exact": lambda x: as_vector([sin(pi * x[0] / 2) * x[1], x[1] ** 2]),
        "conditions": conditions,
    }
    return Problem(**(parts | changes))


def build(problem, hard=False):
    size = problem.dim + problem.evolves + len(problem.periodic)
    network = MLP([size, 10, 10, problem.n_components], generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for layer in network.branches[0]:
            layer.bias.normal_(generator=torch.Generator().manual_seed(4))
    return PhysicalNetwork(network, problem, unknown_scale=2.5, hard=hard, offset=[300.0, -7.0])


@pytest.mark.parametrize(("conditions", "hard"), [(ALL, False), (ONE, False), (ONE, True)])
def test_the_two_sides_agree(conditions, hard):
    problem = declare(conditions)
    network = build(problem, hard)
    for condition in problem.periodic:
        x = torch.tensor(problem.domain.part(condition.minus).sample(20, np.random.default_rng(0))[0])
        here, there = (network.jet(p, KEYS) for p in (x, x + torch.tensor(condition.translation)))
        for key in KEYS:
            size = float(here[key].detach().abs().max())
            assert float((here[key] - there[key]).detach().abs().max()) <= 1e-12 * max(size, 1.0), key


@pytest.mark.parametrize("conditions", [ALL, ONE, ONE[1:]])
def test_jets_against_nested_reverse_mode(conditions):
    problem = declare(conditions)
    network, x = build(problem), torch.tensor(problem.domain.sample(20, np.random.default_rng(0)))
    own, wanted = network.jet(x, KEYS), reverse_jet(network, x, KEYS)
    for key in KEYS:
        a, b = own[key].detach(), wanted[key].detach()
        assert float((a - b).abs().max()) <= 1e-12 * float(b.abs().max()), key


def test_derivatives_against_differences():
    problem = declare(ALL)
    network, x = build(problem), torch.tensor(problem.domain.sample(20, np.random.default_rng(0)))
    step = torch.tensor([1e-5, 0.0])
    with torch.no_grad():
        slope = (network(x + step) - network(x - step))[:, 1] / 2e-5
    torch.testing.assert_close(network.jet(x, [KEYS[7]])[KEYS[7]].detach(), slope, rtol=1e-7, atol=1e-7)


def test_what_the_network_sees():
    x = torch.tensor([[10.0, -2.0], [12.0, -1.5], [14.0, -1.0]], dtype=torch.float64)
    seen = build(declare(ONE)).scaled(x).numpy()
    np.testing.assert_allclose(seen, [[1, 0, -1], [-1, 0, 0], [1, 0, 1]], atol=1e-14)
    timed = declare(ALL, time=2.0, damping=1.0, exact=None, load=(0.0, 0.0), initial=(0.0, 0.0))
    x = torch.tensor([[11.0, -1.75, 2.0]], dtype=torch.float64)
    np.testing.assert_allclose(build(timed).scaled(x).numpy(), [[0, 1, 0, 1, 1]], atol=1e-14)


def test_it_is_built_again():
    problem = declare(ONE)
    network = build(problem, hard=True)
    other = PhysicalNetwork.from_manifest(problem, network.manifest())
    other.load_state_dict(network.state_dict())
    x = torch.tensor(problem.domain.sample(5, np.random.default_rng(0)))
    assert torch.equal(network(x), other(x))


def test_the_meta_device():
    problem = declare(ALL)
    network = PhysicalNetwork(MLP([4, 8, 2], device="meta"), problem, unknown_scale=1.0, hard=False)
    x = torch.empty(7, 2, device="meta", dtype=torch.float64)
    loss = sum(value.square().mean() for value in network.jet(x, KEYS).values())
    loss.backward()
    assert all(p.grad.device.type == "meta" for p in network.parameters())


# -- what cannot be built in ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conditions": ALL}, None),
        ({"conditions": ONE}, None),
        ({"conditions": [Dirichlet(on="boundary")]}, None),
        ({"conditions": [Periodic("left", "right", component=c) for c in (0, 1)]}, None),
        ({"conditions": [Periodic("left", "right", component=0)]}, "holds for some components only"),
        ({"conditions": ALL, "flux": lambda u, x: x[0] * grad(u)}, "flux is not the same on both sides of .* x0- to x0"),
        ({"conditions": ALL, "flux": lambda u, x: (2 + sin(pi * x[0])) * grad(u)}, None),
        ({"conditions": [Periodic("x0-", "x0+")], "domain": MeshDomain(box_mesh((0, 0), (1, 1), 2))}, "on a box only"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_in(changes, message):
    found = periodic_inputs_obstacle(declare(**changes))
    assert found is None if message is None else re.search(message, found)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda x: sin(pi * x[0] / 2), None),
        (1.0, None),
        (lambda x: x[0], "another slope|contradict"),
        (lambda x: (x[0] - 10) * (14 - x[0]), "another slope on either side"),
    ],
)
def test_data_of_a_lift(value, message):
    """Data with one value and two slopes at the seam would bend the lift there."""
    pair = [Periodic("left", "right"), Dirichlet(value, on=["bottom", "top"])]
    problem = declare(pair, fields={"u": scalar}, exact=None, load=0.0)
    found = hard_conditions_obstacle(problem)
    if message is not None:
        assert re.search(message, found)
        return
    assert found is None
    x = torch.tensor(problem.domain.part(["bottom", "top"]).sample(9, np.random.default_rng(0))[0])
    lifted = HardConditions(problem)(x, torch.ones(9, 1, dtype=torch.float64))[:, 0]
    (_, condition) = problem.declaration.conditions
    np.testing.assert_allclose(lifted, condition_value(problem, condition, 0).at(x.numpy()), atol=1e-12)
