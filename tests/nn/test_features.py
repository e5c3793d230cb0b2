"""Random Fourier features, first layers placed by hand, and biases that are not zero."""

import math

import numpy as np
import pytest
import torch

from sciml import load_problem
from sciml.errors import OptionError
from sciml.forms import Derivative, reverse_jet, taylor_jet
from sciml.nn import MLP, PhysicalNetwork, RandomFourierFeatures, placed_first_layer


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def points(n=20, dim=2):
    return torch.rand(n, dim, generator=seeded(4), dtype=torch.float64) * 2 - 1


KEYS = [Derivative(c, axes) for c in (0, 1) for axes in ((), (0,), (1,), (0, 0), (0, 1), (1, 1))]


def with_features(dim=2, outputs=2, sigma=0.7):
    features = RandomFourierFeatures(dim, 6, sigma=sigma, generator=seeded(1))
    return MLP([dim, 8, 8, outputs], features=features, biases=0.5, generator=seeded(2))


def test_features_are_cosines_and_sines_of_random_phases():
    features, x = RandomFourierFeatures(2, 3, sigma=2.0, generator=seeded()), points()
    phase = 2 * np.pi * x.numpy() @ features.frequencies.numpy().T
    np.testing.assert_allclose(features(x).numpy(), np.hstack([np.cos(phase), np.sin(phase)]), atol=1e-13)
    assert not list(features.parameters())


def test_frequencies_have_the_asked_spread_and_come_from_the_generator_alone():
    before = torch.random.get_rng_state()
    features = [RandomFourierFeatures(5, 2000, sigma=3.0, generator=seeded(8)) for _ in range(2)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(features[0].frequencies, features[1].frequencies)
    assert float(features[0].frequencies.std()) == pytest.approx(3.0, rel=0.03)


def test_jets_through_features_against_nested_reverse_mode():
    network, x = with_features(), points()
    own, wanted = taylor_jet(network, x, KEYS), reverse_jet(network, x, KEYS)
    for key in KEYS:
        torch.testing.assert_close(own[key], wanted[key], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["poisson/torus", "poisson/sine"])
def test_a_network_with_features_is_built_again(name):
    """Periodic inputs too: the features see cos and sin."""
    problem = load_problem(name)
    network = with_features(4 if problem.periodic else 2, 1)
    model = PhysicalNetwork(network, problem, unknown_scale=2.0, hard=not problem.periodic)
    again = PhysicalNetwork.from_manifest(problem, model.manifest())
    again.load_state_dict(model.state_dict())
    x = torch.tensor(problem.domain.sample(9, np.random.default_rng(0)))
    assert torch.equal(again(x), model(x))
    if problem.periodic:
        torch.testing.assert_close(model(x + torch.tensor(problem.periodic[0].translation)), model(x))
    own, wanted = (jet(model, x) for jet in (lambda m, x: m.jet(x, KEYS[:6]), lambda m, x: reverse_jet(m, x, KEYS[:6])))
    for key in KEYS[:6]:
        torch.testing.assert_close(own[key], wanted[key], rtol=1e-11, atol=1e-11)


def test_features_follow_type_and_device():
    features = RandomFourierFeatures(2, 3)
    network = MLP([2, 4, 1], features=features, dtype=torch.float32)
    assert network(points().float()).dtype == torch.float32
    network = MLP([2, 4, 1], features=RandomFourierFeatures(2, 3, device="meta"), device="meta")
    x = torch.empty(5, 2, dtype=torch.float64, device="meta")
    assert {value.device.type for value in taylor_jet(network, x, KEYS[:6]).values()} == {"meta"}


def test_biases_are_spread_as_asked():
    spread = MLP([2, 400, 400, 3], biases=1.5, generator=seeded(3))
    plain = MLP([2, 400, 400, 3], generator=seeded(3))
    for layer, same in zip(spread.branches[0], plain.branches[0], strict=True):
        assert torch.equal(layer.weight, same.weight)
    for layer in spread.branches[0][:-1]:
        assert float(layer.bias.detach().abs().max()) == pytest.approx(1.5, rel=0.02)
        assert float(layer.bias.detach().std()) == pytest.approx(1.5 / math.sqrt(3), rel=0.1)
    assert not spread.branches[0][-1].bias.any()
    assert not any(layer.bias.any() for layer in plain.branches[0])


@pytest.mark.parametrize("widths", [[2, 6, 5, 1], [[2, 4, 1], [2, 2, 3, 1]]])
@pytest.mark.parametrize("slopes", [3.0, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
def test_units_bend_at_their_points_with_their_slopes(widths, slopes):
    network, x = MLP(widths, generator=seeded(1)), points(6)
    others = [layer.weight.clone() for branch in network.branches for layer in branch[1:]]
    placed_first_layer(network, x.numpy(), slopes, seeded(2))
    first = [branch[0] for branch in network.branches]
    weight, bias = torch.cat([layer.weight for layer in first]), torch.cat([layer.bias for layer in first])
    torch.testing.assert_close((weight * x).sum(dim=1) + bias, torch.zeros(6, dtype=torch.float64), atol=1e-14, rtol=0)
    torch.testing.assert_close(weight.norm(dim=1), torch.tensor(slopes, dtype=torch.float64).expand(6))
    angles = torch.atan2(weight[:, 1], weight[:, 0])
    assert len(angles.unique()) == 6
    assert all(map(torch.equal, others, [layer.weight for branch in network.branches for layer in branch[1:]]))


def test_what_does_not_fit_is_refused():
    network = MLP([2, 6, 1])
    with pytest.raises(OptionError, match=r"points has the shape \(5, 2\); finite points of the shape \(6, 2\)"):
        placed_first_layer(network, points(5), 1.0, seeded())
    with pytest.raises(OptionError, match="one finite number is allowed, or one for each of 6 units"):
        placed_first_layer(network, points(6), [1.0, 2.0], seeded())
    with pytest.raises(OptionError, match="with Fourier features sees no points"):
        placed_first_layer(with_features(), points(6), 1.0, seeded())
    with pytest.raises(OptionError, match="The network has 3 inputs and its features 2"):
        MLP([3, 4, 1], features=RandomFourierFeatures(2, 4))
    with pytest.raises(OptionError, match="biases=-1.0; allowed are"):
        MLP([2, 4, 1], biases=-1.0)
    with pytest.raises(OptionError, match="sigma=0; allowed are finite numbers above 0"):
        RandomFourierFeatures(2, 4, sigma=0)
    with pytest.raises(OptionError, match="inputs=2 and count=0 were given"):
        RandomFourierFeatures(2, 0)
