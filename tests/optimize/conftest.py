"""Least-squares systems made of plain functions, differentiated by torch."""

import pytest
import torch

from sciml.optimize import DenseLinearisation


class Differentiated:
    """½ |r(θ)|² of a function θ ↦ r; counts what it is asked."""

    def __init__(self, function, n_residuals):
        self.function, self.n_residuals = function, n_residuals
        self.gradients = 0

    def residual(self, theta):
        with torch.no_grad():
            return self.function(theta)

    def jacobian(self, theta):
        return self.residual(theta), torch.func.jacrev(self.function)(theta).detach()

    def value_and_gradient(self, theta):
        self.gradients += 1
        theta = theta.detach().requires_grad_()
        value = 0.5 * self.function(theta).square().sum()
        return value.detach(), torch.autograd.grad(value, theta)[0]

    def linear_operator(self, theta):
        return DenseLinearisation(*self.jacobian(theta))


@pytest.fixture
def differentiated():
    return Differentiated


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(5)


@pytest.fixture
def linear(generator):
    """r = A θ − b with columns of very different sizes."""

    def make(n_residuals, n_parameters, spread=3.0):
        sizes = torch.logspace(0, -spread, n_parameters, dtype=torch.float64)
        matrix = torch.randn(n_residuals, n_parameters, dtype=torch.float64, generator=generator) * sizes
        right = torch.randn(n_residuals, dtype=torch.float64, generator=generator)
        return Differentiated(lambda theta: matrix @ theta - right, n_residuals), matrix, right

    return make


@pytest.fixture
def rosenbrock():
    """Rosenbrock's function as a sum of squares, in four dimensions, and the usual start."""

    def residual(theta):
        x, y = theta[0::2], theta[1::2]
        return torch.cat([10 * (y - x**2), 1 - x])

    return Differentiated(residual, 4), torch.tensor([-1.2, 1.0, -0.5, 2.0], dtype=torch.float64)


@pytest.fixture
def network(generator):
    """A fit of sin(3x) by a tanh network with 10 hidden units: 31 badly conditioned parameters, 40 points."""
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)
    y = torch.sin(3 * x)

    def residual(theta):
        hidden = torch.tanh(x[:, None] * theta[:10] + theta[10:20])
        return (hidden @ theta[20:30] + theta[30] - y) / 40**0.5

    return Differentiated(residual, 40), torch.randn(31, dtype=torch.float64, generator=generator)
