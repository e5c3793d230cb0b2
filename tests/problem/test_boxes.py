"""Boxes in any dimension: corners, quadrature, samples, normals, meeting points."""

from itertools import product
from math import prod

import numpy as np
import pytest

from sciml import Box
from sciml.errors import DomainError

BOXES = {
    1: Box(-1.0, 2.0),
    2: Box((-1.0, 0.5), (2.0, 1.0)),
    3: Box((-1.0, 0.5, 0.0), (2.0, 1.0, 3.0)),
    10: Box((-1.0,) * 10, (1.0,) * 5 + (0.5,) * 5),
}
DIMS = list(BOXES)


def moment(box, powers):
    """∫ Π x_i^p_i over the box."""
    return prod((b ** (p + 1) - a ** (p + 1)) / (p + 1) for a, b, p in zip(box.lower, box.upper, powers, strict=True))


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        ((0, 0), (1, 0), "empty"),
        ((0, 0), (1, -1), "empty"),
        ((0, 0), (1, np.inf), "empty"),
        ((0, np.nan), (1, 1), "empty"),
        ((0, 0), (1, 1, 1), "same number of coordinates"),
        ((), (), "same number of coordinates"),
        ("a", "b", "not numbers"),
        (None, 1, "empty|not numbers"),
    ],
)
def test_corners_that_are_no_box_are_refused(lower, upper, message):
    with pytest.raises(DomainError, match=message):
        Box(lower, upper)


@pytest.mark.parametrize("dim", DIMS)
def test_sizes(dim):
    box = BOXES[dim]
    sides = box.upper - box.lower
    assert (box.dim, box.n_boundary_elements) == (dim, 2 * dim)
    assert box.volume == pytest.approx(sides.prod())
    assert box.size == sides.max()
    np.testing.assert_allclose(box.element_measures(), np.repeat(sides.prod() / sides, 2))


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("n_target", [1, 100, 5000])
def test_quadrature_is_exact_for_degree_seven_per_axis(dim, n_target):
    box = BOXES[dim]
    points, weights = box.quadrature(n_target)
    assert weights.min() > 0
    assert n_target / 3 <= len(points) <= max(4**dim, 3 * n_target)
    for powers in product((0, 1, 4, 7), repeat=dim):
        assert weights @ (points**powers).prod(axis=1) == pytest.approx(moment(box, powers), rel=1e-13, abs=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_divergence_theorem(dim):
    """∮ F·n = ∫ div F for F_i = x_i^3 Π_{j≠i} x_j²."""
    box = BOXES[dim]

    def field(x):
        return np.stack([x[:, i] ** 3 * np.delete(x, i, axis=1).prod(axis=1) ** 2 for i in range(dim)], axis=1)

    points, normals, weights = box.part("boundary").quadrature(2000)
    inside, volumes = box.quadrature(2000)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    outflow = weights @ (field(points) * normals).sum(axis=1)
    assert outflow == pytest.approx(volumes @ (3 * dim * inside.prod(axis=1) ** 2), rel=1e-13)
    np.testing.assert_allclose(weights @ normals, 0, atol=1e-13)
    assert weights.sum() == pytest.approx(box.element_measures().sum())


@pytest.mark.parametrize("dim", [2, 3])
def test_quadrature_on_one_side(dim):
    box = BOXES[dim]
    for axis, end in product(range(dim), (0, 1)):
        points, normals, weights = box.part(f"x{axis}{'-+'[end]}").quadrature(64)
        np.testing.assert_array_equal(points[:, axis], (box.lower, box.upper)[end][axis])
        np.testing.assert_array_equal(normals, np.tile((2 * end - 1.0) * np.eye(dim)[axis], (len(weights), 1)))
        others = [k for k in range(dim) if k != axis]
        flat = Box(box.lower[others], box.upper[others])
        assert weights @ (points[:, others] ** 3).prod(axis=1) == pytest.approx(moment(flat, [3] * (dim - 1)))


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("method", ["sample", "quasi_random"])
def test_points_are_uniform(dim, method):
    """First and second moments within four standard deviations; every point inside; the same for the same seed."""
    box, n = BOXES[dim], 4096
    points = getattr(box, method)(n, np.random.default_rng(1))
    np.testing.assert_array_equal(points, getattr(box, method)(n, np.random.default_rng(1)))
    assert points.shape == (n, dim)
    assert box.contains(points).all()
    unit = (points - box.lower) / (box.upper - box.lower)
    np.testing.assert_allclose(unit.mean(axis=0), 0.5, atol=4 / np.sqrt(12 * n))
    np.testing.assert_allclose((unit**2).mean(axis=0), 1 / 3, atol=4 * 0.3 / np.sqrt(n))


@pytest.mark.parametrize("dim", [1, 2, 10])
@pytest.mark.parametrize("n", [1, 2, 1000, 1024])
def test_quasi_random_points_fill_every_slice(dim, n):
    """The first 2^m points of a Sobol sequence put one into each of 2^m slices along every axis."""
    box = BOXES[dim]
    points = box.quasi_random(n, np.random.default_rng(0))
    assert points.shape == (n, dim)
    full = 2 ** (n.bit_length() - 1)
    slices = np.floor((points[:full] - box.lower) / (box.upper - box.lower) * full).astype(int)
    assert all(sorted(column) == list(range(full)) for column in slices.T)


@pytest.mark.parametrize("dim", DIMS)
def test_samples_of_the_boundary(dim):
    """On the sides with the right normals, and on each in proportion to its measure."""
    box, n = BOXES[dim], 6000
    points, normals = box.part("boundary").sample(n, np.random.default_rng(0))
    axis = np.abs(normals).argmax(axis=1)
    upper = normals[np.arange(n), axis] > 0
    np.testing.assert_array_equal(np.abs(normals).sum(axis=1), 1)
    np.testing.assert_array_equal(points[np.arange(n), axis], np.where(upper, box.upper[axis], box.lower[axis]))
    assert box.contains(points).all()
    shares = box.element_measures() / box.element_measures().sum()
    counts = np.bincount(2 * axis + upper, minlength=2 * dim) / n
    np.testing.assert_allclose(counts, shares, atol=4 * np.sqrt(shares.max() / n))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_contains(dim):
    box = BOXES[dim]
    points = np.stack([box.lower, box.upper, (box.lower + box.upper) / 2, box.upper + 1e-6, box.lower - 1e-6])
    assert box.contains(points).tolist() == [True, True, True, False, False]


def test_sides_meet_in_corners_and_edges():
    square, cube = Box((0, 0), (1, 2)), Box((0, 0, 0), (1, 1, 1))
    assert square.shared_points(square.elements("left"), square.elements("top")).tolist() == [[0, 2]]
    assert square.shared_points(square.elements("left"), square.elements("right")).tolist() == []
    corners = square.shared_points(square.elements(["left", "right"]), square.elements(["bottom", "top"]))
    assert sorted(map(tuple, corners)) == [(0, 0), (0, 2), (1, 0), (1, 2)]
    edge = cube.shared_points(cube.elements("left"), cube.elements("top"))
    np.testing.assert_array_equal(edge[:, :2], [[0, 1]] * 5)
    assert {0, 0.5, 1} <= set(edge[:, 2])
    # Data that vanish in the middle and at the ends are seen too.
    assert np.abs(np.sin(2 * np.pi * edge[:, 2])).max() > 0.5
    assert Box(0, 1).shared_points(np.array([0]), np.array([1])).shape == (0, 1)
    ten = BOXES[10]
    meeting = ten.shared_points(ten.elements("x0-"), ten.elements("x3+"))
    assert meeting.shape == (1, 10)
    assert (meeting[0, 0], meeting[0, 3]) == (-1.0, 1.0)


def test_meshes_end_at_three_dimensions():
    with pytest.raises(DomainError, match="10 dimensions cannot be meshed"):
        BOXES[10].mesh()
    assert Box((0, 0), (1, 1)).mesh((2, 3), "tensor").cells.shape == (6, 4)
    assert Box(0, 1).mesh().cells.shape == (16, 2)
