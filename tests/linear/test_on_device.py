"""Fast diagonalisation in torch is that of NumPy, in batches, on the meta device, and differentiable."""

from itertools import product

import numpy as np
import pytest
import torch

from sciml.linear import (
    DeviceDiagonalisation,
    EvenAxis,
    FastDiagonalisation,
    GeneralAxis,
    PeriodicAxis,
    element_matrices,
)

AXES = {
    **{f"even {held}": EvenAxis(6, 0.7, held, 1 / 12) for held in product((False, True), repeat=2)},
    "periodic, even": PeriodicAxis(6, 1.3),
    "periodic, odd": PeriodicAxis(7, 1.3),
    "general": GeneralAxis(*element_matrices(3, 1.0, np.array([0.0, 0.5, 1.0]))),
}


@pytest.mark.parametrize("name", AXES)
def test_the_same_as_in_numpy(name):
    axes = [AXES[name], EvenAxis(5, 1.0, (True, True)), PeriodicAxis(4, 0.5)]
    solver = FastDiagonalisation(axes, (1.0, 2.0, 0.5), 0.3)
    right = np.random.default_rng(0).standard_normal((3, *solver.shape))
    expected = np.stack([solver.solve(b) for b in right])
    found = DeviceDiagonalisation(solver).solve(torch.tensor(right))
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-13 * np.abs(expected).max())
    single = DeviceDiagonalisation(solver, dtype=torch.float32).solve(torch.tensor(right, dtype=torch.float32))
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", AXES)
def test_everything_is_on_the_device(name):
    solver = FastDiagonalisation([AXES[name], EvenAxis(5, 1.0, (True, False))], (1.0, 2.0), 0.1)
    right = torch.empty((2, *solver.shape), device="meta", dtype=torch.float64, requires_grad=True)
    found = DeviceDiagonalisation(solver, "meta").solve(right)
    assert (found.device.type, found.shape) == ("meta", right.shape)
    (gradient,) = torch.autograd.grad(found.sum(), right)
    assert gradient.shape == right.shape


@pytest.mark.parametrize("name", AXES)
def test_the_gradient_is_the_inverse_again(name):
    """The inverse is symmetric."""
    solver = FastDiagonalisation([AXES[name], EvenAxis(5, 1.0, (False, True))], (1.0, 2.0))
    generator = torch.Generator().manual_seed(0)
    right, weight = (torch.randn(solver.shape, dtype=torch.float64, generator=generator) for _ in range(2))
    right.requires_grad_()
    inverse = DeviceDiagonalisation(solver)
    (gradient,) = torch.autograd.grad((weight * inverse.solve(right)).sum(), right)
    torch.testing.assert_close(gradient, inverse.solve(weight), rtol=0, atol=1e-13)
