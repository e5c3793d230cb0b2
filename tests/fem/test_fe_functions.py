"""Finite element functions evaluated anywhere, on all types of cells."""

import numpy as np
import pytest
from dolfinx import fem

from sciml.fem import FEFunction, FEMesh
from sciml.fem.functions import function_space, squared_norms, transfer
from sciml.problem import MeshDomain, box_mesh

CELLS = [(1, "simplex"), (2, "simplex"), (2, "tensor"), (3, "simplex"), (3, "tensor")]


def build(domain, degree, value, shape=()):
    """The interpolant of a function of points."""
    mesh = FEMesh(domain.mesh())
    function = fem.Function(function_space(mesh, degree, shape))
    function.interpolate(lambda x: value(x[: domain.dim].T).T)
    return FEFunction(mesh, function)


def polynomial(degree):
    """1 + Σ (k + 1) x_k^degree + x_0^(degree − 1) x_last, and its gradient."""

    def value(x):
        k = np.arange(1, x.shape[1] + 1)
        return 1 + (k * x**degree).sum(axis=1) + x[:, 0] ** (degree - 1) * x[:, -1]

    def gradient(x):
        out = np.arange(1, x.shape[1] + 1) * degree * x ** (degree - 1.0)
        out[:, 0] += (degree - 1) * x[:, 0] ** max(degree - 2, 0) * x[:, -1]
        out[:, -1] += x[:, 0] ** (degree - 1)
        return out

    return value, gradient


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize(("dim", "shape"), CELLS)
def test_polynomials_of_the_space_are_exact_everywhere(dim, shape, degree):
    domain = MeshDomain(box_mesh((0,) * dim, (1,) * dim, 2, shape))
    value, gradient = polynomial(degree)
    function = build(domain, degree, value)
    points = np.vstack([domain.sample(100, np.random.default_rng(0)), np.zeros((1, dim)), np.ones((1, dim))])
    np.testing.assert_allclose(function.evaluate(points), value(points), rtol=1e-12)
    np.testing.assert_allclose(function.gradient(points), gradient(points), atol=1e-11)
    assert (function.degree, function.shape) == (degree, ())
    assert function.n_dofs == len(function.function.x.array)


@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize(("dim", "shape"), CELLS)
def test_affine_vectors_on_curved_cells(bent_box, dim, shape, degree):
    domain, matrix = bent_box(dim, shape), np.arange(1.0, 2 * dim + 1).reshape(2, dim)
    function = build(domain, degree, lambda x: 1 + x @ matrix.T, (2,))
    points = domain.sample(100, np.random.default_rng(0))
    np.testing.assert_allclose(function.evaluate(points), 1 + points @ matrix.T, rtol=1e-11)
    np.testing.assert_allclose(function.gradient(points), np.tile(matrix, (100, 1, 1)), rtol=1e-10)


@pytest.mark.parametrize(("dim", "shape"), CELLS)
def test_values_on_curved_cells_against_dolfinx(bent_box, dim, shape):
    """A function that is no polynomial, compared at points whose cells are known."""
    domain = bent_box(dim, shape)
    function = build(domain, 2, lambda x: np.sin(3 * x.sum(axis=1)))
    points = domain.sample(60, np.random.default_rng(1))
    cells = domain.locate(points)
    padded = np.pad(points, ((0, 0), (0, 3 - dim)))
    wanted = function.function.eval(padded, function.mesh.cell_of_input[cells])[:, 0]
    np.testing.assert_allclose(function.evaluate(points), wanted, rtol=1e-10)
    np.testing.assert_array_equal(function.evaluate(points, cells), function.evaluate(points))


def test_gradients_against_differences_on_curved_cells(bent_box):
    domain = bent_box(2, "tensor")
    function = build(domain, 3, lambda x: np.exp(x[:, 0]) * np.cos(2 * x[:, 1]))
    points = domain.sample(60, np.random.default_rng(1))
    cells, step = domain.locate(points), 1e-5
    for axis in (0, 1):
        shift = step * np.eye(2)[axis]
        slope = (function.evaluate(points + shift, cells) - function.evaluate(points - shift, cells)) / (2 * step)
        np.testing.assert_allclose(function.gradient(points, cells)[:, axis], slope, rtol=1e-6, atol=1e-7)


def test_outside_of_the_mesh_there_is_no_value(bent_box):
    function = build(bent_box(2), 2, lambda x: x[:, 0])
    values = function.evaluate(np.array([[5.0, 5.0], [0.5, 0.5]]))
    assert np.isnan(values).tolist() == [True, False]
    assert np.isnan(function.gradient(np.array([[5.0, 5.0]]))).all()
    assert function.evaluate(np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize(("dim", "shape"), CELLS)
def test_transfer_to_a_refined_mesh_is_exact(dim, shape, degree):
    coarse_mesh = box_mesh((0,) * dim, (1,) * dim, 2, shape)
    coarse = build(MeshDomain(coarse_mesh), degree, lambda x: np.sin(4 * x.sum(axis=1)))
    fine = build(MeshDomain(coarse_mesh.refine()), degree, lambda x: 0 * x[:, 0])
    moved = transfer(coarse, fine)
    points = np.random.default_rng(0).random((80, dim))
    np.testing.assert_allclose(moved.evaluate(points), coarse.evaluate(points), atol=1e-12)


def test_transfer_of_vectors_on_curved_cells(bent_box):
    domain = bent_box(2)
    coarse = build(domain, 2, lambda x: np.stack([np.sin(4 * x[:, 0]), x[:, 1] ** 3], axis=1), (2,))
    fine = build(MeshDomain(domain.mesh().refine()), 2, lambda x: 0 * x, (2,))
    points = domain.sample(80, np.random.default_rng(0))
    np.testing.assert_allclose(transfer(coarse, fine).evaluate(points), coarse.evaluate(points), atol=1e-12)


@pytest.mark.parametrize(("dim", "shape"), CELLS)
def test_norms(dim, shape):
    """u = x₀: ∫ u² = 1/3 and ∫ |∇u|² = 1."""
    function = build(MeshDomain(box_mesh((0,) * dim, (1,) * dim, 2, shape)), 1, lambda x: x[:, 0])
    np.testing.assert_allclose(squared_norms(function), [1 / 3, 1], rtol=1e-13)
