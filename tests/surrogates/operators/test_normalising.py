"""Affine maps of fields, there and back."""

import pytest
import torch

from sciml.surrogates.operators.normalising import Normaliser, on_grid

VALUES = torch.randn(7, 6, 5, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 1e-3, 40.0]) + 2


@pytest.mark.parametrize("scaling", ["pixel", "channel", "none"])
def test_decoding_undoes_encoding(scaling):
    normaliser = Normaliser.of(VALUES, scaling)
    torch.testing.assert_close(normaliser.decode(normaliser.encode(VALUES)), VALUES, rtol=1e-5, atol=1e-5)


def test_each_node_gets_mean_zero_and_deviation_one():
    encoded = Normaliser.of(VALUES, "pixel").encode(VALUES)
    torch.testing.assert_close(encoded.mean(0), torch.zeros(6, 5, 3), rtol=0, atol=1e-3)
    torch.testing.assert_close(encoded.std(0, correction=0), torch.ones(6, 5, 3), rtol=1e-3, atol=1e-3)


def test_what_never_varies_is_met_whatever_a_network_says():
    held = VALUES.clone()
    held[:, 0] = 7.0
    normaliser = Normaliser.of(held, "pixel")
    said = normaliser.decode(torch.ones(2, 6, 5, 3))
    torch.testing.assert_close(said[:, 0], torch.full((2, 5, 3), 7.0), rtol=1e-3, atol=0)


def test_frames_share_their_statistics():
    frames = torch.cat([VALUES[..., :1] + shift for shift in (0.0, 5.0, 10.0)], dim=-1)
    normaliser = Normaliser.of(torch.cat([VALUES[..., 2:], frames], dim=-1), "channel", static=1, frame=1)
    mean = normaliser.mean.flatten()
    assert mean[1] == mean[2] == mean[3] != mean[0]
    assert float(mean[1]) == pytest.approx(float(frames.mean()), rel=1e-5)


def test_statistics_on_a_finer_grid_are_interpolated_between_the_same_ends():
    line = torch.linspace(0, 1, 5)[:, None]
    torch.testing.assert_close(on_grid(line, (9,)), torch.linspace(0, 1, 9)[:, None])
