"""Kronecker covariances against dense ones, with derivatives."""

from functools import reduce

import numpy as np
import pytest
import torch

from sciml.errors import DivergenceError
from sciml.linear.kronecker import KroneckerCovariance, along

SHAPES = [(5,), (4, 3), (3, 2, 4)]


def factors(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    roots = [torch.rand(n, n, generator=generator, dtype=torch.float64) for n in shape]
    return [root @ root.T + torch.eye(len(root), dtype=torch.float64) for root in roots]


def density(covariance, values):
    return -0.5 * covariance.log_determinant() - 0.5 * (values * covariance.solve(values)).sum()


def dense_density(own, values):
    whole = reduce(torch.kron, own)
    flat = values.reshape(-1)
    return -0.5 * torch.logdet(whole) - 0.5 * flat @ torch.linalg.solve(whole, flat)


@pytest.mark.parametrize("shape", SHAPES)
def test_densities_and_gradients_are_the_dense_ones(shape):
    found, wanted = [], []
    for results, function in ((found, lambda own, v: density(KroneckerCovariance(own), v)), (wanted, dense_density)):
        own = [f.requires_grad_() for f in factors(shape)]
        values = torch.linspace(-1, 2, int(np.prod(shape)), dtype=torch.float64).reshape(shape).requires_grad_()
        value = function(own, values)
        gradients = torch.autograd.grad(value, [values, *own])
        # A symmetric matrix can only be changed symmetrically.
        results += [value.detach(), gradients[0], *((g + g.T) / 2 for g in gradients[1:])]
    for a, b in zip(found, wanted):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_along_an_axis(axis):
    values = torch.rand(3, 2, 4, dtype=torch.float64)
    matrix = torch.rand(5, values.shape[axis], dtype=torch.float64)
    equation = ["mi,ijk->mjk", "mj,ijk->imk", "mk,ijk->ijm"][axis]
    np.testing.assert_allclose(along(matrix, values, axis), torch.einsum(equation, matrix, values), rtol=1e-14)


@pytest.mark.parametrize("wrong", [-1.0, np.nan])
def test_indefinite_matrices_raise(wrong):
    good = torch.eye(3, dtype=torch.float64)
    with pytest.raises(DivergenceError, match="along axis 1"):
        KroneckerCovariance([good, wrong * good])
