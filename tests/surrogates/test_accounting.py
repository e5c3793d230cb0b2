"""What a network costs is what follows from its layers by hand."""

import itertools

import pytest
import torch
from torch import nn

from sciml.nn.compressed import FORMATS, make_convolution
from sciml.surrogates.accounting import account, checkpoint_bytes, milliseconds

WIDTHS = (3, 16, 16, 16, 16, 1)


def network(format, kernel=5, **options):
    """Five layers with GELU between."""
    layers = []
    for a, b in itertools.pairwise(WIDTHS):
        layer = make_convolution(format, 2, a, b, kernel, generator=torch.Generator().manual_seed(0), **options)
        layers += [layer, nn.GELU()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_dense_network_by_hand(device):
    model = network("dense", device=device)
    found = account(model, torch.zeros(2, 3, 16, 12, device=device), timed=False)
    places, numbers = 16 * 12, sum(a * b * 25 for a, b in itertools.pairwise(WIDTHS))
    assert found.trainable_parameters == numbers + sum(WIDTHS[1:])
    assert found.multiply_adds == 2 * places * numbers
    # Each GELU keeps what came in, each convolution but the first what the GELU made of it.
    hidden = 4 * 2 * places * 16
    assert found.saved_bytes == 8 * hidden
    assert found.peak_bytes > found.saved_bytes + hidden
    assert [layer.name for layer in found.layers] == ["0", "2", "4", "6", "8"]
    assert sum(layer.multiply_adds for layer in found.layers) == found.multiply_adds
    assert sum(layer.parameters for layer in found.layers) == found.trainable_parameters
    assert found.forward_ms is found.training_ms is None


@pytest.mark.parametrize("format", FORMATS)
def test_multiply_adds_are_parameters_times_places_without_stride(format):
    model = network(format)
    found = account(model, torch.zeros(1, 3, 16, 12), timed=False)
    weights = found.trainable_parameters - sum(WIDTHS[1:])
    if format == "separable":  # as many as the dense one
        weights = sum(a * b * 25 for a, b in itertools.pairwise(WIDTHS))
        assert found.multiply_adds == pytest.approx(16 * 12 * weights, rel=0.01)
    else:
        assert found.multiply_adds == 16 * 12 * weights
    assert [layer.kind for layer in found.layers] == [FORMATS[format].__name__] * 5


def test_a_chain_keeps_one_more_map_for_each_layer():
    maps = [account(network(f), torch.zeros(1, 3, 16, 12), timed=False).saved_bytes for f in ("dense", "chain")]
    widths = [layer.ranks[0] for layer in network("chain") if isinstance(layer, FORMATS["chain"])]
    assert maps[1] - maps[0] == 4 * 16 * 12 * sum(widths)


def test_the_peak_of_known_operations():
    class Doubling(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):
            y = (x * self.scale).exp()
            del x
            return y.sum()

    found = account(Doubling(), torch.zeros(1000), timed=False)
    # The product, its exponential, which is kept, and on the way back the gradient and the product's.
    assert found.saved_bytes == 4000
    assert 8000 <= found.peak_bytes <= 13000


def test_a_checkpoint_is_as_large_as_its_file(tmp_path):
    import safetensors.torch

    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    safetensors.torch.save_file(model.state_dict(), tmp_path / "file")
    assert checkpoint_bytes(model) == (tmp_path / "file").stat().st_size


def test_what_is_shared_counts_once():
    layer = nn.Linear(8, 8)
    once, twice = nn.Sequential(layer), nn.Sequential(layer, layer)
    assert checkpoint_bytes(twice) - checkpoint_bytes(once) < 64
    found = account(twice, torch.zeros(1, 8), timed=False)
    assert (found.trainable_parameters, found.multiply_adds) == (72, 128)


def test_nothing_of_the_network_changes():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    found = account(model, torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(weight.grad is None for weight in model.parameters())
    assert found.forward_ms > 0
    assert found.training_ms > 0


def test_complex_numbers_count_twice():
    class Phase(nn.Module):
        def __init__(self):
            super().__init__()
            self.phase = nn.Parameter(torch.ones(5, dtype=torch.complex64))

        def forward(self, x):
            return (x * self.phase).abs()

    assert account(Phase(), torch.zeros(5), timed=False).trainable_parameters == 10


def test_short_work_is_repeated():
    made = []
    assert milliseconds(lambda: made.append(sum(range(1000))), repeats=3, seconds=0.0) >= 0
    assert len(made) == 4
