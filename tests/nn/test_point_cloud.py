"""Fourier series between points and grids."""

import pytest
import torch

from sciml.nn.point_cloud import DeformationNet, ModeWeights, PointCloudNetwork, grid_from_modes, modes_of_grid

GRID, MODES = (12, 10), (6, 6)


def network(body=None, **sizes):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        body = torch.nn.Identity() if body is None else body
        net = PointCloudNetwork(body, inputs=2, outputs=1, width=4, grid=GRID, modes=MODES, **sizes)
    return net._apply(lambda t: t.to(torch.complex128 if t.is_complex() else torch.float64))


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_parameters_of_the_deformation():
    """With a code of 42 numbers as in the published setting, and without one."""
    assert sum(p.numel() for p in DeformationNet(code=42).parameters()) == 63_746
    assert sum(p.numel() for p in DeformationNet().parameters()) == 62_370


def test_the_deformation_is_relative_to_the_place():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        net = DeformationNet(code=5).double()
    x = random(2, 9, 2)
    x[:, 0] = 0
    for code in (None, random(2, 5, seed=1)):
        moved = net(x, code)
        assert (moved[:, 0] == 0).all()
        assert (moved[:, 1:] != x[:, 1:]).all()
    torch.nn.init.zeros_(net.last.weight), torch.nn.init.zeros_(net.last.bias)
    torch.testing.assert_close(net(x), x)


def test_modes_and_grid_are_inverse_for_what_is_kept():
    modes = torch.complex(*random(2, 1, 3, 6, 3).sub(0.5))
    modes[..., 0, 0] = 0  # its partner, k1 = 3, is not kept
    values = grid_from_modes(modes, GRID)
    again = modes_of_grid(values, MODES)
    torch.testing.assert_close(again[..., 1:], modes[..., 1:])  # k2 = 0 keeps its real part alone
    torch.testing.assert_close(grid_from_modes(again, GRID), values)


def test_points_on_the_grid_are_the_grid():
    """Means over points that fill the grid, and the series read there, are the transforms of the grid."""
    net = network()
    places = torch.cartesian_prod(*(torch.arange(n, dtype=torch.float64) / n for n in GRID))[None]
    waves = net._waves(places)
    values = random(1, len(places[0]), 3)
    modes = net._at_modes(values, waves)
    on_grid = values.mT.reshape(1, 3, *GRID)
    torch.testing.assert_close(modes, modes_of_grid(on_grid, MODES))
    torch.testing.assert_close(net._at_points(modes, waves).mT.reshape(1, 3, *GRID), grid_from_modes(modes, GRID))


def test_the_number_of_points_does_not_change_sizes():
    """Twice the same points give the same values."""
    net, inputs, places = network(), random(2, 30, 2), random(2, 30, 2, seed=1)
    once, twice = net(inputs, places), net(inputs.repeat(1, 2, 1), places.repeat(1, 2, 1))
    torch.testing.assert_close(twice, once.repeat(1, 2, 1))


def test_the_order_of_points_does_not_matter():
    net, inputs, places = network(), random(2, 30, 2), random(2, 30, 2, seed=1)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(net(inputs[:, order], places[:, order]), net(inputs, places)[:, order])


def test_places_shared_by_all_samples():
    net, inputs, places = network(), random(3, 30, 2), random(30, 2, seed=1)
    torch.testing.assert_close(net(inputs, places), net(inputs, places.expand(3, 30, 2)))


@pytest.mark.parametrize("modes", [(4, 6), (6, 4)])
def test_weights_of_modes(modes):
    weights = ModeWeights(2, 3, modes)
    given = torch.ones(1, 2, modes[0], modes[1] // 2, dtype=torch.complex64)
    torch.testing.assert_close(weights(given)[0], weights.weight.sum(0))
