"""Spectral convolutions on grids of any size."""

import itertools

import pytest
import torch

from sciml.nn.spectral_convolution import SpectralConvolution


def layer(modes, channels=3, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return SpectralConvolution(channels, channels, modes)


def waves(grid, channels=3):
    """A real field of few waves, sampled on a periodic grid."""
    axes = torch.meshgrid(*(2 * torch.pi * torch.arange(n) / n for n in grid), indexing="ij")
    phase = sum((k + 1) * axis for k, axis in enumerate(axes))
    other = sum((2 - k) * axis for k, axis in enumerate(axes))
    return torch.stack([torch.cos(phase + c) + (c + 1) * torch.sin(other) for c in range(channels)])[None]


def test_on_even_grids_it_is_the_parent():
    for modes, grid in (((6,), (16,)), ((6, 8), (16, 12)), ((4, 4, 4), (8, 6, 10))):
        own = layer(modes)
        x = torch.randn(2, 3, *grid, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            torch.testing.assert_close(own(x), super(SpectralConvolution, own).forward(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("grids", [((15,), (8,)), ((15, 11), (24, 18)), ((9, 7, 11), (18, 14, 22))])
def test_it_does_the_same_on_grids_of_odd_and_even_size(grids):
    """The values on one grid are those of the trigonometric interpolant on the other."""
    own = layer((6,) * len(grids[0]))
    with torch.no_grad():
        small, large = (own(waves(grid)) for grid in grids)
        axes = tuple(range(2, small.ndim))
        kept = torch.fft.rfftn(large, dim=axes, norm="forward"), torch.fft.rfftn(small, dim=axes, norm="forward")
    for index in itertools.product(*[range(-2, 3)] * (small.ndim - 3), range(3)):
        key = (0, slice(None), *index)
        torch.testing.assert_close(kept[0][key], kept[1][key], rtol=1e-4, atol=1e-5)


def test_constants_of_the_identity_come_back():
    own = layer((6, 6), channels=1)
    with torch.no_grad():
        own.bias.zero_()
        own.weight.tensor.copy_(torch.ones_like(own.weight.tensor))
        for grid in ((16, 16), (15, 13), (5, 4)):
            x = waves(grid, 1) if min(grid) > 5 else torch.full((1, 1, *grid), 2.5)
            torch.testing.assert_close(own(x), x, rtol=1e-5, atol=1e-5)
