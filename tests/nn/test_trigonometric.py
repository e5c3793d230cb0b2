"""Trigonometric series by recurrences against the sum of their terms."""

import pytest
import torch

from sciml.nn.trigonometric import direct_series, trigonometric_series


def arguments(basis, dtype):
    generator = torch.Generator().manual_seed(basis)
    z = 8 * torch.randn(5, 7, 3, generator=generator, dtype=torch.float64)
    z[0, 0] = torch.tensor([0.0, basis, -2.0 * basis])  # where the recurrence is worst: multiples of π
    weights = torch.randn(2, basis, 7, 1, generator=generator, dtype=torch.float64)
    return [t.to(dtype).requires_grad_() for t in (z, *weights)]


@pytest.mark.parametrize("basis", [1, 2, 12, 31])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_recurrence_is_the_direct_sum_with_its_gradients(basis, dtype, tolerance):
    given = arguments(basis, dtype)
    twins = [t.detach().double().requires_grad_() for t in given]
    value, expected = trigonometric_series(*given), direct_series(*twins)
    assert value.dtype == dtype
    scale = expected.abs().max()
    assert (value - expected).abs().max() <= tolerance * scale
    cotangent = torch.sin(torch.arange(value.numel(), dtype=torch.float64)).view(value.shape)
    found = torch.autograd.grad((value * cotangent.to(dtype)).sum(), given)
    wanted = torch.autograd.grad((expected * cotangent).sum(), twins)
    for one, other in zip(found, wanted):
        assert one.shape == other.shape
        assert (one - other).abs().max() <= tolerance * (other.abs().max() + 1)


def test_it_runs_without_numbers():
    z, sines, cosines = (t.detach().to("meta").requires_grad_() for t in arguments(4, torch.float32))
    trigonometric_series(z, sines, cosines).sum().backward()
    assert z.grad.shape == z.shape
    assert sines.grad.shape == sines.shape
