"""Uniform sampling of volumes and boundaries, independent and by low-discrepancy sequences."""

import numpy as np
import pytest
from scipy.stats import chisquare, kstest, qmc

from sciml.errors import MeshError
from sciml.problem.mesh import MeshData, box_mesh, curve_mesh

KINDS = [(dim, shape, degree) for dim in (1, 2, 3) for shape in ("simplex", "tensor") for degree in (1, 2)]


def bend(x):
    return x + 0.15 * np.sin(2 * x[:, ::-1] + 0.3)


def polar(x):
    return x[:, :1] * np.stack([np.cos(x[:, 1]), np.sin(x[:, 1])], axis=1)


def annulus(shape, degree=2, cells=8):
    """A quarter of the annulus with radii 1 and 2."""
    return curve_mesh(box_mesh((1, 0), (2, np.pi / 2), cells, shape), polar, degree)


@pytest.mark.parametrize(("dim", "shape", "degree"), KINDS)
def test_moments(dim, shape, degree):
    """Means of polynomials over few, strongly bent cells agree with quadrature within their scatter."""
    mesh = curve_mesh(box_mesh((0,) * dim, (1,) * dim, 1, shape), bend, degree)
    rng = np.random.default_rng(10)
    n = 20_000
    samples, (nodes, weights, _) = mesh.sample(n, rng), mesh.quadrature(8)
    for power in (1, 2, 3):
        error = (samples**power).mean(axis=0) - weights @ nodes**power / mesh.volume
        assert (np.abs(error) < 4 * (samples**power).std(axis=0) / np.sqrt(n)).all()


@pytest.mark.parametrize("shape", ["simplex", "tensor"])
def test_uniform_on_annulus(shape):
    """r² and the angle of uniform points are uniform and independent."""
    points = annulus(shape).sample(40_000, np.random.default_rng(3))
    square = ((points**2).sum(axis=1) - 1) / 3
    angle = np.arctan2(points[:, 1], points[:, 0]) / (np.pi / 2)
    counts, _, _ = np.histogram2d(square, angle, bins=10, range=((0, 1), (0, 1)))
    assert chisquare(counts.ravel()).pvalue > 0.01
    assert kstest(square, "uniform").pvalue > 0.01


def test_uniform_within_one_trapezium():
    """A bilinear cell: the density in reference coordinates is far from constant, in space it is."""
    mesh = MeshData([(0, 0), (4, 0), (1, 1), (0, 1)], [(0, 1, 2, 3)], "quadrilateral")
    points = mesh.sample(20_000, np.random.default_rng(4))
    y = points[:, 1]
    assert kstest(y, lambda y: (4 * y - 1.5 * y**2) / 2.5).pvalue > 0.01
    assert kstest(points[:, 0] / (4 - 3 * y), "uniform").pvalue > 0.01


@pytest.mark.parametrize(("dim", "shape", "degree"), KINDS)
def test_sobol_points_integrate_better(dim, shape, degree):
    mesh = curve_mesh(box_mesh((0,) * dim, (1,) * dim, 2, shape), bend, degree)
    unit = qmc.Sobol(dim + 1, seed=2).random(2**12)
    points = mesh.sample(unit=unit)
    nodes, weights, _ = mesh.quadrature(8)
    error = np.cos(2 * points).mean(axis=0) - weights @ np.cos(2 * nodes) / mesh.volume
    # Independent points would be wrong by about 0.5 / √4096 = 8e-3.
    assert np.abs(error).max() < 8e-4
    sides, _ = mesh.sample_facets(None, unit=unit[:, :dim])
    nodes, _, weights = mesh.facet_quadrature(None, 8)
    error = np.cos(2 * sides).mean(axis=0) - weights @ np.cos(2 * nodes) / weights.sum()
    assert np.abs(error).max() < 2e-3


@pytest.mark.parametrize("shape", ["simplex", "tensor"])
def test_facets_of_annulus(shape):
    mesh = annulus(shape)
    outer = mesh.boundary_facets_of("x0+")
    points, normals = mesh.sample_facets(outer, 10_000, np.random.default_rng(5))
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 2, atol=1e-4)
    np.testing.assert_allclose(normals, points / 2, atol=5e-3)
    assert kstest(np.arctan2(points[:, 1], points[:, 0]) / (np.pi / 2), "uniform").pvalue > 0.01


def test_one_bent_facet():
    """A strongly uneven parabola: samples follow the arc length."""
    points = [(0, 0), (1, 0), (0, 1), (0.35, -0.3), (0.5, 0.5), (0, 0.5)]
    mesh = MeshData(points, [(0, 1, 2, 3, 4, 5)], "triangle", 2, {"arc": [(0, 1)]})
    s = np.linspace(0, 1, 20_001)
    line = np.stack([4 * s * (1 - s) * 0.35 + s * (2 * s - 1), -1.2 * s * (1 - s)], axis=1)
    length = np.append(0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1)))
    arc = mesh.boundary_facets_of("arc")
    assert mesh.facet_measures[arc[0]] == pytest.approx(length[-1], rel=1e-5)
    samples, _ = mesh.sample_facets(arc, 20_000, np.random.default_rng(6))
    assert kstest(np.interp(samples[:, 0], line[:, 0], length) / length[-1], "uniform").pvalue > 0.01


def test_facets_in_one_dimension():
    mesh = box_mesh((2,), (3,), 4)
    points, normals = mesh.sample_facets(None, 1000, np.random.default_rng(7))
    assert set(zip(points[:, 0], normals[:, 0], strict=True)) == {(2.0, -1.0), (3.0, 1.0)}
    assert 400 < (points[:, 0] == 2).sum() < 600


def test_same_seed_same_points():
    mesh = annulus("simplex")
    one, other = (mesh.sample(100, np.random.default_rng(8)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_arguments_are_checked():
    mesh = box_mesh((0, 0), (1, 1), 2)
    rng = np.random.default_rng(0)
    for wrong in ({}, {"n": 3}, {"n": 3, "rng": rng, "unit": np.zeros((1, 3))}):
        with pytest.raises(MeshError, match="either a number of points and a generator, or unit"):
            mesh.sample(**wrong)
    with pytest.raises(MeshError, match=r"shape \(5, 2\); give \(n, 3\)"):
        mesh.sample(unit=np.zeros((5, 2)))
    with pytest.raises(MeshError, match=r"outside \[0, 1\)"):
        mesh.sample(unit=np.ones((5, 3)))
    with pytest.raises(MeshError, match="No boundary facets were chosen"):
        mesh.sample_facets([], 5, rng)
