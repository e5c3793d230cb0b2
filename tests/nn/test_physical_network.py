"""A network with scaling and conditions around it: values, derivatives, and being built again."""

import numpy as np
import pytest
import torch
from ufl import as_vector, sin

from sciml import Box, Dirichlet, Robin, vector
from sciml.errors import OptionError
from sciml.forms import Derivative, reverse_jet
from sciml.nn import MLP, PhysicalNetwork


def generator():
    return torch.Generator().manual_seed(3)


def build(problem, *, hard, unknown_scale=2.5, offset=(300.0, -7.0)):
    network = MLP([problem.dim, 10, 10, problem.n_components], generator=generator())
    with torch.no_grad():
        for layer in network.branches[0]:
            layer.bias.normal_(generator=generator())
    return PhysicalNetwork(network, problem, unknown_scale=unknown_scale, hard=hard, offset=offset)


KEYS = [Derivative(c, axes) for c in (0, 1) for axes in ((), (0,), (1,), (0, 0), (0, 1), (1, 1))]


@pytest.fixture
def problem(poisson):
    return poisson(
        domain=Box((10.0, -2.0), (14.0, -1.0)),
        fields={"d": vector},
        exact=lambda x: as_vector([sin(x[0]), x[0] * x[1]]),
    )


@pytest.mark.parametrize("hard", [False, True])
def test_jets_against_nested_reverse_mode(problem, hard):
    network, x = build(problem, hard=hard), torch.tensor(problem.domain.sample(20, np.random.default_rng(0)))
    own, wanted = network.jet(x, KEYS), reverse_jet(network, x, KEYS)
    for key in KEYS:
        a, b = own[key].detach(), wanted[key].detach()
        assert float((a - b).abs().max()) <= 1e-12 * float(b.abs().max()), key


def test_derivatives_against_differences(problem):
    network, x = build(problem, hard=True), torch.tensor(problem.domain.sample(20, np.random.default_rng(0)))
    step = torch.tensor([1e-5, 0.0])
    with torch.no_grad():
        slope = (network(x + step) - network(x - step))[:, 1] / 2e-5
    torch.testing.assert_close(network.jet(x, [KEYS[7]])[KEYS[7]].detach(), slope, rtol=1e-7, atol=1e-7)


def test_the_network_sees_the_unit_box_and_numbers_of_order_one(problem):
    network = build(problem, hard=False, offset=None)
    corners = torch.tensor([[10.0, -2.0], [14.0, -1.0], [12.0, -1.5]], dtype=torch.float64)
    assert network.scaled(corners).tolist() == [[-1, -1], [1, 1], [0, 0]]
    torch.testing.assert_close(network(corners), 2.5 * network.network(network.scaled(corners)))


def test_a_network_is_built_again_from_its_manifest(problem):
    network = build(problem, hard=True)
    other = PhysicalNetwork.from_manifest(problem, network.manifest())
    other.load_state_dict(network.state_dict())
    x = torch.tensor(problem.domain.sample(20, np.random.default_rng(0)))
    assert torch.equal(network(x), other(x))
    assert other.manifest() == network.manifest()
    own = PhysicalNetwork(torch.nn.Linear(2, 2).double(), problem, unknown_scale=1.0, hard=False)
    assert own.manifest()["network"] is None


def test_the_offset_is_added(problem):
    x = torch.tensor(problem.domain.sample(20, np.random.default_rng(0)))
    near, plain = build(problem, hard=False), build(problem, hard=False, offset=None)
    torch.testing.assert_close(near(x), plain(x) + torch.tensor([300.0, -7.0]))
    again = PhysicalNetwork.from_manifest(problem, near.manifest())
    again.load_state_dict(near.state_dict())
    assert torch.equal(near(x), again(x))


def test_built_in_conditions_take_the_place_of_the_offset(poisson):
    """The lift of the first component is near to it; the second has a Robin condition, and no lift."""
    conditions = [Dirichlet(300.0, on="left", component=0), Robin(7.0, alpha=1.0, on="left", component=1)]
    problem = poisson(fields={"d": vector}, load=0.0, conditions=conditions)
    network = build(problem, hard=True, offset=(300.0, 7.0))
    x = torch.tensor(problem.domain.sample(20, np.random.default_rng(0)))
    y = 2.5 * network.network(network.scaled(x))
    torch.testing.assert_close(network(x), torch.stack([300 + x[:, 0] * y[:, 0], 7 + y[:, 1]], dim=1))


def test_a_manifest_of_an_older_file_has_no_offset(problem):
    network = build(problem, hard=False, offset=None)
    older = {key: value for key, value in network.manifest().items() if key != "offset"}
    again = PhysicalNetwork.from_manifest(problem, older)
    again.load_state_dict(network.state_dict())
    x = torch.tensor(problem.domain.sample(20, np.random.default_rng(0)))
    assert torch.equal(network(x), again(x))


def test_initial_weights_come_from_the_generator_alone():
    """Glorot: variance 2/(a + b)."""
    networks = [MLP([2, 200, 200, 1], generator=generator()) for _ in range(2)]
    for a, b in zip(*(n.parameters() for n in networks), strict=True):
        assert torch.equal(a, b)
    weight = networks[0].branches[0][1].weight
    assert float(weight.detach().var()) == pytest.approx(2 / 400, rel=0.05)
    assert not networks[0].branches[0][0].bias.any()


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    MLP([2, 8, 1], generator=generator())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_unknown_activations_are_refused():
    with pytest.raises(OptionError, match="activation='relu'; allowed are tanh, sin, sigmoid, silu"):
        MLP([2, 8, 1], "relu")
