"""Finding the cells of points."""

import numpy as np
import pytest

from sciml.errors import MeshError
from sciml.problem.mesh import MeshData, box_mesh, curve_mesh

KINDS = [(dim, shape, degree) for dim in (1, 2, 3) for shape in ("simplex", "tensor") for degree in (1, 2)]


def bend(x):
    return x + 0.1 * np.sin(2 * x[:, ::-1] + 0.3)


def polar(x):
    return x[:, :1] * np.stack([np.cos(x[:, 1]), np.sin(x[:, 1])], axis=1)


@pytest.mark.parametrize(("dim", "shape", "degree"), KINDS)
def test_points_are_found_in_their_cell(dim, shape, degree):
    mesh = curve_mesh(box_mesh((0,) * dim, (1,) * dim, 5 if dim < 3 else 3, shape), bend, degree)
    points, _, cells = mesh.quadrature(3)
    np.testing.assert_array_equal(mesh.locate(points), cells)
    assert mesh.contains(mesh.points).all()
    outside = mesh.bounds[1] + np.abs(points - mesh.bounds[0]) + 1e-3
    assert (mesh.locate(outside) == -1).all()


@pytest.mark.parametrize("shape", ["simplex", "tensor"])
def test_annulus(shape):
    """A domain that is not convex, against its formula."""
    mesh = curve_mesh(box_mesh((1, 0), (2, 1.8 * np.pi), (4, 40), shape), polar, 2)
    points = np.random.default_rng(0).uniform(-2.2, 2.2, (20_000, 2))
    radius, angle = np.linalg.norm(points, axis=1), np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi)
    inside = (radius > 1) & (radius < 2) & (angle < 1.8 * np.pi)
    clear = np.minimum(np.abs(radius - 1), np.abs(radius - 2)) > 1e-4
    np.testing.assert_array_equal(mesh.contains(points)[clear], inside[clear])


def test_graded_and_thin_cells():
    """Cell sizes over twelve orders of magnitude, aspect ratios up to 1e4."""
    mesh = curve_mesh(box_mesh((0, 0), (1, 1), 40), lambda x: np.stack([x[:, 0] ** 8, x[:, 1]], axis=1))
    assert mesh.cell_volumes.max() / mesh.cell_volumes.min() > 1e12
    points, _, cells = mesh.quadrature(2)
    np.testing.assert_array_equal(mesh.locate(points, tolerance=0), cells)


@pytest.mark.parametrize(("shape", "degree"), [("simplex", 1), ("tensor", 1), ("simplex", 2), ("tensor", 2)])
def test_points_just_outside_count_as_inside(shape, degree):
    mesh = curve_mesh(box_mesh((0, 0, 0), (1, 1, 1), 3, shape), bend, degree)
    points, normals = mesh.sample_facets(None, 500, np.random.default_rng(1))
    assert mesh.contains(points + 0.5e-8 * mesh.diameter * normals).all()
    off = points + 1e-5 * normals
    assert not mesh.contains(off).any()
    assert mesh.contains(off, tolerance=1.1e-5).all()


def test_every_point_has_one_cell_on_shared_facets():
    mesh = box_mesh((0, 0), (1, 1), 4)
    found = mesh.locate(mesh.points)
    assert all(point in mesh.cells[cell] for point, cell in enumerate(found))


def test_not_a_number_is_nowhere():
    mesh = box_mesh((0, 0), (1, 1), 4)
    np.testing.assert_array_equal(mesh.locate([(np.nan, 0.5), (np.inf, 0.5), (0.5, 0.3)]) >= 0, [False, False, True])
    assert mesh.locate(np.zeros((0, 2))).shape == (0,)
    with pytest.raises(MeshError, match=r"shape \(2,\)"):
        mesh.locate([0.5, 0.5])


def test_single_cell():
    mesh = MeshData([(0, 0), (1, 0), (0, 1)], [(0, 1, 2)], "triangle")
    np.testing.assert_array_equal(mesh.locate([(0.2, 0.2), (0.8, 0.8)]), [0, -1])
