"""The layers of DeepXDE's networks as plain tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sciml.errors import OptionError
from sciml.solvers.deepxde.isolation import isolated
from sciml.solvers.deepxde.networks import PlainNetwork, UserNetwork, plain_network
from sciml.solvers.deepxde.options import ACTIVATIONS, INITIALIZERS

FUNCTIONS = {name: getattr(torch.nn.functional, name) for name in ("elu", "gelu", "relu", "selu", "silu")}
FUNCTIONS |= {name: getattr(torch, name) for name in ("sigmoid", "sin", "tanh")}


def evaluate(network: PlainNetwork, x: torch.Tensor) -> torch.Tensor:
    outputs = []
    for layers in network.subnetworks:
        z = x
        for weight, bias in layers[:-1]:
            z = FUNCTIONS[network.activation](z @ weight.T + bias)
        weight, bias = layers[-1]
        outputs.append(z @ weight.T + bias)
    return torch.cat(outputs, dim=1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("kind", "sizes", "count"),
    [("FNN", [2, 7, 5, 3], 1), ("PFNN", [2, [4, 6, 5], [3, 3, 3], 3], 3), ("PFNN", [2, [4, 4], [3, 1]], 2)],
    ids=["one", "three", "wide outputs"],
)
def test_layers_give_the_same_values(activation: str, kind: str, sizes: list, count: int) -> None:
    with isolated(dtype=torch.float64, seed=3) as deepxde:
        net = getattr(deepxde.nn, kind)(sizes, activation, "Glorot normal")
    for parameter in net.parameters():
        torch.nn.init.uniform_(parameter, -1, 1, generator=torch.Generator().manual_seed(1))
    plain = plain_network(net)
    assert len(plain.subnetworks) == count
    x = torch.as_tensor(np.random.default_rng(2).uniform(-1, 1, (20, 2)))
    torch.testing.assert_close(evaluate(plain, x), net(x).detach(), rtol=1e-15, atol=1e-15)


def test_layers_are_copies_without_transforms() -> None:
    with isolated(dtype=torch.float64, seed=3) as deepxde:
        net = deepxde.nn.FNN([1, 2, 1], "tanh", "Glorot normal")
    net.apply_output_transform(lambda x, y: 0 * y)
    plain = plain_network(net)
    x = torch.ones(1, 1, dtype=torch.float64)
    before = evaluate(plain, x)
    assert before.item() != 0
    torch.nn.init.zeros_(net.linears[0].weight)
    assert torch.equal(before, evaluate(plain, x))
    assert not plain.subnetworks[0][0][0].requires_grad


def test_networks_without_plain_layers_are_refused() -> None:
    with isolated(dtype=torch.float64, seed=3) as deepxde:
        shared = deepxde.nn.PFNN([2, 4, [3, 3], 2], "tanh", "Glorot normal")
        several = deepxde.nn.FNN([2, 4, 1], ["tanh", "sin"], "Glorot normal")
    with pytest.raises(OptionError, match="share"):
        plain_network(shared)
    for net in (several, UserNetwork(torch.nn.Linear(2, 1)), torch.nn.Linear(2, 1)):
        with pytest.raises(OptionError, match="no DeepXDE network"):
            plain_network(net)


def test_all_initializers_exist() -> None:
    with isolated(dtype=torch.float64, seed=3) as deepxde:
        for initializer in INITIALIZERS:
            net = deepxde.nn.FNN([2, 4, 1], "tanh", initializer)
            assert not net.linears[0].bias.any()
