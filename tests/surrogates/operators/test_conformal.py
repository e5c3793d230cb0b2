"""Bands cover what they say."""

import torch

from sciml.surrogates.operators.conformal import ConformalBand, coverage


def _errors(count, seed):
    """Of a size that varies over the grid, heavy in the tails."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.linspace(0.1, 3.0, 16)[:, None] * torch.tensor([1.0, 100.0])
    return torch.randn(count, 16, 2, generator=generator) ** 3 * size


def test_a_band_covers_its_share_of_new_samples():
    for nominal in (0.5, 0.9):
        width = ConformalBand.of(_errors(200, 1), nominal).width
        found = coverage(_errors(2000, 2), torch.zeros(2000, 16, 2), width)
        assert abs(found - nominal) < 0.03


def test_a_band_is_wide_where_errors_are_large():
    width = ConformalBand.of(_errors(200, 1), 0.9).width
    assert torch.all(width[:, 1] > 20 * width[:, 0])
    assert width[-1, 0] > 5 * width[0, 0]
