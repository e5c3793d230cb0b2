"""Neural spectral blocks, the U-Net around them, and what is padded and cut off again."""

import math

import pytest
import torch

from sciml.nn.latent_spectral import NeuralSpectralBlock
from sciml.nn.unet import PaddedUNet, UNet


def block(channels=16, patch=(2, 3), heads=4, seed=0, **sizes):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return NeuralSpectralBlock(channels, patch, heads=heads, **sizes).double()


def field(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def literally(block, x):
    """The block on the patches of a 2-D field one after the other, term by term as its docstring has it."""
    out = x.clone()
    heads, _, size = block.queries.shape
    basis, (high, wide) = len(block.sines), block.patch
    for n in range(x.shape[0]):
        for i in range(0, x.shape[2], high):
            for j in range(0, x.shape[3], wide):
                places = x[n, :, i : i + high, j : j + wide].flatten(1).T
                k, v, q = (layer(places) for layer in (block.keys, block.values, block.places))
                for h in range(heads):
                    own = slice(h * size, (h + 1) * size)
                    t = block.queries[h]
                    z = t + torch.softmax(t @ k[:, own].T, dim=1) @ v[:, own]
                    series = torch.zeros_like(z)
                    for order in range(basis):
                        angle = math.pi * order * z / basis
                        series += block.sines[order, own] * angle.sin() + block.cosines[order, own] * angle.cos()
                    z = z + series
                    read = torch.softmax(q[:, own] @ z.T, dim=1) @ z
                    out[n, own, i : i + high, j : j + wide] += read.T.reshape(size, high, wide)
    return out


def test_the_block_is_its_formula():
    layer, x = block(tokens=3, basis=5), field(2, 16, 4, 6)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), literally(layer, x), rtol=0, atol=1e-12)


def test_without_coefficients_it_is_the_identity_and_the_decoding():
    layer, x = block(), field(2, 16, 4, 6)
    with torch.no_grad():
        layer.sines.zero_(), layer.cosines.zero_()
        patch = x[0, :, :2, :3].flatten(1).T[None]
        decoded = patch + layer.read_back(patch, layer.tokens(patch))
        torch.testing.assert_close(layer(x)[0, :, :2, :3].flatten(1).T[None], decoded, rtol=0, atol=1e-12)
        layer.queries.zero_(), layer.values.weight.zero_(), layer.values.bias.zero_()
        torch.testing.assert_close(layer(x), x, rtol=0, atol=0)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_patches_do_not_see_each_other(dim):
    patch = (2, 3, 2)[:dim]
    layer, x = block(patch=patch), field(2, 16, *(2 * p for p in patch))
    changed = x.clone()
    changed[(0, slice(None), *(slice(0, p) for p in patch))] += 1
    with torch.no_grad():
        difference = (layer(changed) - layer(x)).abs().amax(dim=1)
    touched = torch.zeros_like(difference, dtype=torch.bool)
    touched[(0, *(slice(0, p) for p in patch))] = True
    assert (difference[touched] > 1e-3).all()
    assert (difference[~touched] == 0).all()


@pytest.mark.parametrize(
    ("dim", "grid", "padding"), [(1, (13,), (3,)), (2, (13, 6), (3, 2)), (3, (5, 6, 7), (3, 2, 1))]
)
def test_zeros_behind_the_upper_ends_are_cut_off_again(dim, grid, padding):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        unet = UNet(dim, 4, 3 if dim < 3 else 2)
        network = PaddedUNet(unet, 2, 3, 4, padding).double().eval()
    x = field(2, *grid, 2)
    seen = []
    unet.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    with torch.no_grad():
        y = network(x)
        assert y.shape == (2, *grid, 3)
        assert seen[0].shape[2:] == tuple(n + p for n, p in zip(grid, padding))
        inner = (slice(None), slice(None), *(slice(0, n) for n in grid))
        torch.testing.assert_close(seen[0][inner].movedim(1, -1), network.lift(x))
        assert seen[0].abs().sum() == pytest.approx(float(network.lift(x).abs().sum()))
        full = network.project(network.mix(unet(seen[0]).movedim(1, -1)))
        cut = (slice(None), *(slice(0, n) for n in grid))
        torch.testing.assert_close(y, full[cut], rtol=0, atol=1e-12)


def test_channels_of_a_u_net_double_but_on_the_coarsest_level():
    seen = []

    def skip(channels):
        seen.append(channels)
        return torch.nn.Identity()

    unet = UNet(2, 8, 5, skips=skip)
    assert seen == [8, 16, 32, 64, 64]
    assert [pair[3].out_channels for pair in unet.up] == [32, 16, 8, 8]
    assert [pair[0].in_channels for pair in unet.up] == [128, 64, 32, 16]
    assert [pair[0].out_channels for pair in unet.up] == [64, 32, 16, 8]
