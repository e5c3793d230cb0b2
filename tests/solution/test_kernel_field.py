"""Fields of kernels at the nodes of a grid: sums, gradients, files."""

import h5py
import numpy as np
import pytest
import torch
from ufl import grad

from sciml import Box, Dirichlet, Problem
from sciml.errors import OutputError
from sciml.forms import Derivative
from sciml.linear.kernels import Gaussian, Matern, ProductKernel, SpectralMixture
from sciml.solution import KernelField, Rule

NODES = (6, 4, 5)


def made(dim, envelope, shape=NODES):
    box = Box((-0.5, 1.0, 0.0)[:dim], (1.5, 2.0, 0.7)[:dim])
    problem = Problem(domain=box, flux=grad, load=1.0, conditions=[Dirichlet(0.0, on="boundary")])
    generator = np.random.default_rng(dim)
    kernels = [
        SpectralMixture(envelope, *(torch.tensor(v) for v in generator.uniform(0.2, 2, (3, 3)))) for _ in range(dim)
    ]
    lines = [np.linspace(a, b, n) for a, b, n in zip(box.lower, box.upper, shape)]
    return KernelField(problem, kernels, lines, generator.standard_normal(shape[:dim]))


@pytest.mark.parametrize("envelope", [Gaussian(), Matern(2.5)], ids=str)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_sums_of_kernels_scattered_and_on_grids(dim, envelope):
    field = made(dim, envelope)
    domain = field.problem.domain
    scattered = domain.sample(40, np.random.default_rng(0))
    grid = np.stack(np.meshgrid(*[line[::2] for line in field.lines], indexing="ij"), axis=-1).reshape(-1, dim)
    nodes = torch.cartesian_prod(*map(torch.tensor, field.lines)).reshape(-1, dim)
    kernel, c = ProductKernel(field.kernels), torch.tensor(field.coefficients).reshape(-1)
    for points in (scattered, grid):
        x = torch.tensor(points)
        np.testing.assert_allclose(field.evaluate(points), kernel.between(x, nodes) @ c, rtol=0, atol=1e-12)
        gradients = field.gradient(points)
        for axis in range(dim):
            orders = [int(axis == other) for other in range(dim)]
            np.testing.assert_allclose(gradients[:, axis], kernel.between(x, nodes, orders) @ c, rtol=0, atol=1e-11)


@pytest.mark.parametrize("envelope", [Gaussian(), Matern(2.5), Matern(3.3)], ids=str)
def test_many_points_between_the_nodes_are_interpolated_to_rounding(envelope):
    field = made(1, envelope, (16,))
    fine = np.linspace(-0.5, 1.5, 1001)[:, None]
    scale = np.abs(field.evaluate(fine)).max()
    few = np.concatenate([field.evaluate(some) for some in np.array_split(fine, 20)])
    slopes = np.concatenate([field.gradient(some) for some in np.array_split(fine, 20)])
    assert not np.array_equal(field.evaluate(fine), few)
    np.testing.assert_allclose(field.evaluate(fine), few, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(field.gradient(fine), slopes, rtol=0, atol=1e-10 * np.abs(slopes).max())


def test_second_derivatives_in_a_jet():
    field = made(2, Matern(2.5))
    points = field.problem.domain.sample(7, np.random.default_rng(1))
    keys = [Derivative(0), Derivative(0, (0, 0)), Derivative(0, (0, 1))]
    jet = field.jet(Rule(points, np.ones(7)), keys)
    h = np.array([1e-5, 0.0])
    difference = (field.gradient(points + h) - field.gradient(points - h)) / 2e-5
    np.testing.assert_allclose(jet[keys[1]], difference[:, 0], rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(jet[keys[2]], difference[:, 1], rtol=1e-6, atol=1e-5)


def test_nowhere_outside():
    field = made(2, Gaussian())
    assert np.isnan(field.evaluate(np.array([[9.0, 9.0]]))).all()
    assert np.isfinite(field.evaluate(np.array([[1.5, 2.0]]))).all()
    assert field.evaluate(np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize("envelope", [Gaussian(), Matern(3.3)], ids=str)
def test_files(tmp_path, envelope):
    field = made(2, envelope)
    points = field.problem.domain.sample(9, np.random.default_rng(0))
    with h5py.File(tmp_path / "field.h5", "w") as file:
        field.store(file.create_group("field"))
    with h5py.File(tmp_path / "field.h5") as file:
        again = KernelField.restore(file["field"], field.problem)
        with pytest.raises(OutputError, match="2 axes and the problem 1"):
            KernelField.restore(file["field"], made(1, envelope).problem)
    assert np.array_equal(again.evaluate(points), field.evaluate(points))
