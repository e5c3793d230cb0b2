"""Physics attention against its formula, place by place."""

import pytest
import torch

from sciml.nn.attention import PhysicsAttention, TransolverNetwork


def attention(dim, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return PhysicsAttention(8, 2, 5, dim).double()


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def literally(layer, x):
    """For points: slices, attention between them and back, one head after the other."""
    chosen, read, parts = layer.choose(x), layer.read(x), []
    for head, temperature in enumerate(layer.temperature.flatten()):
        own = slice(4 * head, 4 * head + 4)
        w = torch.softmax(layer.slices(chosen[:, own]) / temperature, dim=-1)
        tokens = w.T @ read[:, own] / (w.sum(dim=0)[:, None] + 1e-5)
        q, k, v = layer.queries(tokens), layer.keys(tokens), layer.values(tokens)
        parts.append(w @ (torch.softmax(q @ k.T / 2, dim=-1) @ v))
    return layer.out(torch.cat(parts, dim=-1))


def test_it_is_its_formula():
    layer, x = attention(None), random(2, 11, 8)
    with torch.no_grad():
        layer.temperature.copy_(torch.tensor([0.3, 2.0]).view(2, 1, 1))
        torch.testing.assert_close(layer(x), torch.stack([literally(layer, one) for one in x]), rtol=0, atol=1e-12)


def test_temperatures_are_held():
    layer, x = attention(None), random(2, 11, 8)
    with torch.no_grad():
        layer.temperature.fill_(-3.0)
        cold = layer(x)
        layer.temperature.fill_(0.1)
        torch.testing.assert_close(cold, layer(x))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_on_a_grid_only_the_maps_into_it_know_of_neighbours(dim):
    """With convolutions that see their own place alone, it is the one for points."""
    grid, points, x = (5, 4, 3)[:dim], attention(None), random(2, *(5, 4, 3)[:dim], 8)
    layer = attention(dim)
    with torch.no_grad():
        for own, other in ((layer.choose, points.choose), (layer.read, points.read)):
            own.weight.zero_()
            own.weight[(slice(None), slice(None), *(1,) * dim)] = other.weight
            own.bias.copy_(other.bias)
        rest = {k: v for k, v in points.state_dict().items() if not k.startswith(("choose", "read"))}
        layer.load_state_dict(rest, strict=False)
        torch.testing.assert_close(layer(x), points(x.flatten(1, -2)).view(2, *grid, 8), rtol=0, atol=1e-12)


def test_how_the_weights_start():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network = TransolverNetwork(3, 1, width=32, layers=2, heads=4, slices=6)
    for block in network.blocks:
        slices = block.attention.slices.weight
        torch.testing.assert_close(slices @ slices.T, torch.eye(6), rtol=0, atol=1e-5)
        assert (block.attention.temperature == 0.5).all()
        assert block.attention.slices.bias.abs().max() == 0
        assert float(block.perceptron[0].weight.detach().std()) == pytest.approx(0.02, rel=0.1)
