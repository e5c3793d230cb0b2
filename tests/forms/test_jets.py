"""Jets: reverse mode and Taylor series against each other and against closed forms."""

import numpy as np
import pytest
import torch

from sciml.errors import UnsupportedError
from sciml.forms import Derivative, reverse_jet, taylor_jet
from sciml.nn import MLP, activation_names

ACTIVATIONS = {"tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid, "silu": torch.nn.SiLU}


def keys_of(dim, outputs, order=2):
    """All values, slopes and second derivatives; in many dimensions those of a Laplacian and two mixed ones."""
    axes = [(), *((a,) for a in range(dim))]
    if order == 2:
        axes += [(a, a) for a in range(dim)]
        axes += [(a, b) for a in range(dim) for b in range(a + 1, dim)] if dim < 4 else [(0, 1), (2, dim - 1)]
    return [Derivative(c, a) for c in range(outputs) for a in axes]


def points_of(dim, n=30):
    return torch.tensor(np.random.default_rng(0).uniform(-1, 1, (n, dim)))


def seeded(module):
    """The module with random weights and biases of order one."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64) / np.sqrt(p.shape[-1]))
    return module.double()


def sequential(activation, dim, outputs):
    layers = [
        torch.nn.Linear(dim, 12),
        activation(),
        torch.nn.Linear(12, 12),
        activation(),
        torch.nn.Linear(12, outputs),
    ]
    return seeded(torch.nn.Sequential(*layers))


def agree(first, second, tolerance=1e-13):
    assert first.keys() == second.keys()
    for key in first:
        a, b = first[key].detach(), second[key].detach()
        assert a.shape == b.shape
        assert float((a - b).abs().max()) <= tolerance * max(1.0, float(b.abs().max())), key


@pytest.mark.parametrize("dim", [1, 2, 10])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("activation", activation_names())
def test_reverse_mode_and_taylor_series_agree_on_mlp(dim, outputs, activation):
    network = seeded(MLP([dim, 12, 12, outputs], activation))
    x, keys = points_of(dim), keys_of(dim, outputs)
    agree(taylor_jet(network, x, keys), reverse_jet(network, x, keys))


@pytest.mark.parametrize("dim", [1, 2, 10])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_reverse_mode_and_taylor_series_agree_on_sequential(dim, outputs, activation):
    network = sequential(ACTIVATIONS[activation], dim, outputs)
    x, keys = points_of(dim), keys_of(dim, outputs)
    agree(taylor_jet(network, x, keys), reverse_jet(network, x, keys))


@pytest.mark.parametrize("order", [0, 1])
def test_keys_of_lower_order_alone(order):
    network = seeded(MLP([2, 8, 8, 1]))
    keys = [key for key in keys_of(2, 1) if len(key.axes) == order]
    agree(taylor_jet(network, points_of(2), keys), reverse_jet(network, points_of(2), keys))


@pytest.mark.parametrize("make", [lambda: MLP([[2, 8, 8, 1], [2, 5, 2]]), lambda: MLP([[2, 4, 1], [2, 4, 1]], "sin")])
def test_parallel_networks(make):
    network = seeded(make())
    keys = keys_of(2, network(points_of(2)).shape[1])
    agree(taylor_jet(network, points_of(2), keys), reverse_jet(network, points_of(2), keys))


def test_parallel_networks_of_which_one_is_linear():
    network = seeded(MLP([[2, 8, 1], [2, 1]]))
    agree(taylor_jet(network, points_of(2), keys_of(2, 2)), reverse_jet(network, points_of(2), keys_of(2, 2)))


@pytest.mark.parametrize("n", [0, 1, 3000])
def test_any_number_of_points(n):
    """Large batches go through in blocks: rows are the same as by themselves."""
    network, keys = seeded(MLP([10, 8, 8, 1])), keys_of(10, 1)
    x = points_of(10, n)
    jet = taylor_jet(network, x, keys)
    assert {value.shape for value in jet.values()} == {(n,)}
    if n:
        agree({key: value[-1:] for key, value in jet.items()}, taylor_jet(network, x[-1:], keys))


def test_gradients_with_respect_to_weights_agree():
    network, x, keys = seeded(MLP([2, 8, 8, 1])), points_of(2), keys_of(2, 1)
    gradients = []
    for provider in (taylor_jet, reverse_jet):
        network.zero_grad()
        sum((value**2).sum() for value in provider(network, x, keys).values()).backward()
        gradients.append([p.grad.clone() for p in network.parameters()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


def wave(x):
    """(sin(2 x₀ + x₁), x₀³ x₁²)"""
    return torch.stack([torch.sin(2 * x[:, 0] + x[:, 1]), x[:, 0] ** 3 * x[:, 1] ** 2], dim=1)


def test_reverse_mode_to_order_four_against_closed_forms():
    x = points_of(2)
    a, b = x.numpy().T
    wanted = {
        Derivative(0, (0, 0, 1)): -4 * np.cos(2 * a + b),
        Derivative(0, (0, 0, 1, 1)): 4 * np.sin(2 * a + b),
        Derivative(1, (0, 0, 0, 1)): 12 * b,
        Derivative(1, (0, 0, 0, 0)): 0 * a,
        Derivative(1, (1, 1)): 2 * a**3,
        Derivative(1): a**3 * b**2,
    }
    agree(reverse_jet(wave, x, wanted), {key: torch.tensor(value) for key, value in wanted.items()})


@pytest.mark.parametrize("function", [lambda x: 3 * x[:, :1] - x[:, 1:], lambda x: x[:, 0] - 2 * x[:, 1], lambda x: x])
def test_derivatives_of_linear_functions_are_zero(function):
    x = points_of(2)
    keys = [Derivative(0, axes) for axes in ((0,), (0, 0), (0, 1), (0, 0, 1))]
    jet = reverse_jet(function, x, keys)
    assert jet[keys[0]].unique().numel() == 1
    for key in keys[1:]:
        assert jet[key].shape == (len(x),)
        assert not jet[key].any()


def test_a_constant_has_no_derivatives():
    jet = reverse_jet(lambda x: torch.ones(len(x), 1, dtype=x.dtype), points_of(2), keys_of(2, 1))
    assert all(not value.any() for key, value in jet.items() if key.axes)


def test_a_network_without_hidden_layers():
    network = seeded(MLP([2, 1]))
    agree(taylor_jet(network, points_of(2), keys_of(2, 1)), reverse_jet(network, points_of(2), keys_of(2, 1)))


def test_points_keep_whether_they_require_gradients():
    x = points_of(2)
    reverse_jet(wave, x, [Derivative(0, (0,))])
    assert not x.requires_grad


def test_taylor_series_refuse_what_they_cannot_do():
    x = points_of(2)
    with pytest.raises(UnsupportedError, match=r"second order; use reverse-mode"):
        taylor_jet(MLP([2, 4, 1]), x, [Derivative(0, (0, 0, 1))])
    with pytest.raises(UnsupportedError, match="layer ReLU has no Taylor rule; use reverse-mode"):
        taylor_jet(torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.ReLU()).double(), x, [Derivative(0, (0,))])
