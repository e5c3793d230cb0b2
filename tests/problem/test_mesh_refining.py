"""Uniform refinement: conformity, conservation, nestedness, shapes."""

import numpy as np
import pytest

from sciml.errors import MeshError
from sciml.problem.mesh import MeshData, box_mesh, check_mesh, curve_mesh

KINDS = [(dim, shape, degree) for dim in (1, 2, 3) for shape in ("simplex", "tensor") for degree in (1, 2)]


def bend(x):
    return x + 0.1 * np.sin(2 * x[:, ::-1] + 0.3)


def rotated(mesh, seed):
    """The same mesh with the corners of every cell in another order that the cell allows."""
    rng = np.random.default_rng(seed)
    if mesh.cell.is_simplex:
        cells = rng.permuted(mesh.cells, axis=1)
    else:
        ring = (np.arange(4) + rng.integers(4, size=(len(mesh.cells), 1))) % 4
        order = ring if mesh.dim == 2 else np.hstack([ring, ring + 4])
        cells = np.take_along_axis(mesh.cells, order, axis=1)
    return MeshData(mesh.points, cells, mesh.cell_type, 1, mesh.facet_groups, mesh.region_groups)


def with_regions(mesh):
    """Two regions that share a cell, and a group of facets between them."""
    one, _ = mesh.interior_facets
    return MeshData(
        mesh.points,
        mesh.cells,
        mesh.cell_type,
        mesh.degree,
        {**mesh.facet_groups, "inside": one.vertices[:3]},
        {"first": [0, 1], "second": [1]},
    )


@pytest.mark.parametrize(("dim", "shape", "degree"), KINDS)
def test_refinement_conserves(dim, shape, degree):
    box = box_mesh((0,) * dim, (1,) * dim, 3, shape)
    if shape == "simplex" or dim == 2:
        box = rotated(box, seed=5)
    mesh = with_regions(curve_mesh(box, bend, degree))
    fine = mesh.refine()
    check_mesh(fine)
    children = 2**dim
    assert len(fine.cells) == children * len(mesh.cells)
    np.testing.assert_array_equal(fine.points[: len(mesh.points)], mesh.points)
    assert fine.volume == pytest.approx(mesh.volume, rel=1e-13)
    # The parts of a curved cell have its volume together.
    np.testing.assert_allclose(fine.cell_volumes.reshape(-1, children).sum(axis=1), mesh.cell_volumes, rtol=1e-11)
    for name in ("first", "second"):
        assert fine.region_volume(name) == pytest.approx(mesh.region_volume(name), rel=1e-12)
        np.testing.assert_array_equal(np.unique(fine.region_groups[name] // children), mesh.region_groups[name])
    assert fine.facet_measures.sum() == pytest.approx(mesh.facet_measures.sum(), rel=1e-8)
    for name in box.facet_groups:
        measures = [m.facet_measures[m.boundary_facets_of(name)].sum() for m in (mesh, fine)]
        assert measures[1] == pytest.approx(measures[0], rel=1e-8)
        assert len(fine.boundary_facets_of(name)) == len(fine.facet_groups[name])
    assert len(fine.facet_groups["inside"]) == len(mesh.facet_groups["inside"]) * 2 ** (dim - 1)


@pytest.mark.parametrize(("dim", "shape", "degree"), KINDS)
def test_refinement_is_conforming(dim, shape, degree):
    """Neighbours share all their nodes, whatever the order of their corners: as many as the grid has."""
    mesh = curve_mesh(rotated(box_mesh((0,) * dim, (1,) * dim, 3, shape), seed=7), bend, degree)
    fine = mesh.refine()
    assert len(fine.points) == (3 * 2 * degree + 1) ** dim
    assert len(np.unique(fine.cells)) == len(fine.points)
    assert len(fine.boundary_facets) == 2 ** (dim - 1) * len(mesh.boundary_facets)


@pytest.mark.parametrize(("dim", "shape"), [(d, s) for d in (1, 2, 3) for s in ("simplex", "tensor")])
def test_boxes_are_nested(dim, shape):
    """Refining a box mesh gives the cells of the box mesh with twice as many."""
    lower, upper, counts = (0, -1, 2)[:dim], (1, 1, 2.3)[:dim], np.array((2, 3, 1)[:dim])

    def cell_set(mesh):
        # Differences of rounding aside, the coordinates are equal.
        corners = np.round((mesh.points[mesh.cells] - lower) * 2**20).astype(int)
        return {tuple(sorted(map(tuple, cell))) for cell in corners.tolist()}

    coarse, fine = box_mesh(lower, upper, counts, shape), box_mesh(lower, upper, 2 * counts, shape)
    assert cell_set(coarse.refine()) == cell_set(fine)
    assert cell_set(coarse.refine().refine()) == cell_set(box_mesh(lower, upper, 4 * counts, shape))
    # And by the cells themselves: around each of its corners, a fine cell lies in one coarse cell.
    corners = fine.points[fine.cells]
    middles = corners.mean(axis=1, keepdims=True)
    parents = coarse.locate(middles[:, 0], tolerance=0)
    near_corners = (corners + 1e-6 * (middles - corners)).reshape(-1, dim)
    np.testing.assert_array_equal(coarse.locate(near_corners, tolerance=0), np.repeat(parents, corners.shape[1]))


def test_tetrahedra_keep_their_shape():
    """Bey's refinement makes at most three shapes of each tetrahedron, however often it is repeated."""
    points = np.array([(0, 0, 0), (1.0, 0.1, 0), (0.3, 1.2, -0.1), (0.2, 0.4, 0.9)])
    mesh = MeshData(points, [(0, 1, 2, 3)], "tetrahedron")
    for level in range(1, 5):
        mesh = mesh.refine()
        np.testing.assert_allclose(mesh.cell_volumes * 8**level, mesh.volume, rtol=1e-11)
        corners = mesh.points[mesh.cells]
        edges = np.linalg.norm(corners[:, [0, 0, 0, 1, 1, 2]] - corners[:, [1, 2, 3, 2, 3, 3]], axis=-1)
        shapes = np.unique(np.round(np.sort(edges, axis=1) * 2**level, 9), axis=0)
        assert len(shapes) <= 3


def test_children_of_curved_cells_lie_on_them():
    """New nodes come from the parent's map: one quadratic edge stays the same parabola."""
    points = [(0, 0), (1, 0), (0, 1), (0.5, -0.2), (0.5, 0.5), (0, 0.5)]
    mesh = MeshData(points, [(0, 1, 2, 3, 4, 5)], "triangle", 2, {"arc": [(0, 1)]})
    fine = mesh.refine().refine()
    nodes = fine.points[np.unique(fine.facet_groups["arc"])]
    np.testing.assert_allclose(nodes[:, 1], -0.8 * nodes[:, 0] * (1 - nodes[:, 0]), atol=1e-15)


def test_curving_checks_its_arguments():
    mesh = curve_mesh(box_mesh((0, 0), (1, 1), 2), bend, 2)
    with pytest.raises(MeshError, match="degree=1 was asked of a mesh of degree 2"):
        curve_mesh(mesh, bend, 1)
    with pytest.raises(MeshError, match="keep the shape"):
        curve_mesh(mesh, lambda x: x[:, 0])


def test_refining_refuses_foreign_facets():
    mesh = MeshData([(0, 0), (1, 0), (0, 1)], [(0, 1, 2)], "triangle", 1, {"wall": [(0, 7)]})
    with pytest.raises(MeshError, match="belong to no cell"):
        mesh.refine()
