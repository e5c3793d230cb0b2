"""Meshes as arrays: shapes, boundary, measures, quadrature."""

from itertools import product
from math import prod

import numpy as np
import pytest

from sciml.errors import MeshError
from sciml.problem.mesh import MeshData, box_mesh, curve_mesh

KINDS = [(dim, shape, degree) for dim in (1, 2, 3) for shape in ("simplex", "tensor") for degree in (1, 2)]


def bend(x):
    return x + 0.1 * np.sin(2 * x[:, ::-1] + 0.3)


def bent_box(dim, shape, degree, cells=3):
    return curve_mesh(box_mesh((0,) * dim, (1,) * dim, cells, shape), bend, degree)


def polar(x):
    """From [1, 2] × [0, π/2]^(dim − 1) to a part of an annulus or a spherical shell."""
    r, angles = x[:, 0], x[:, 1:]
    if x.shape[1] == 2:
        return np.stack([r * np.cos(angles[:, 0]), r * np.sin(angles[:, 0])], axis=1)
    across, up = np.cos(angles[:, 1]), np.sin(angles[:, 1])
    return np.stack([r * np.cos(angles[:, 0]) * across, r * np.sin(angles[:, 0]) * across, r * up], axis=1)


@pytest.mark.parametrize(("dim", "shape", "degree"), KINDS)
def test_divergence_theorem(dim, shape, degree):
    mesh = bent_box(dim, shape, degree)
    points, normals, weights = mesh.facet_quadrature(None, dim)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, rtol=1e-14)
    flux = (weights * np.einsum("ni,ni->n", normals, points)).sum()
    assert flux == pytest.approx(dim * mesh.volume, rel=1e-13)
    np.testing.assert_allclose(weights @ normals, 0, atol=1e-14 * weights.sum() * 10)
    _, weights, _ = mesh.quadrature(0)
    assert weights.min() > 0
    assert weights.sum() == pytest.approx(mesh.volume, rel=1e-13)


@pytest.mark.parametrize(("dim", "shape", "degree"), KINDS)
def test_volume_of_box(dim, shape, degree):
    mesh = curve_mesh(box_mesh((-1, 0, 2)[:dim], (1, 3, 2.5)[:dim], (3, 2, 4)[:dim], shape), lambda x: x, degree)
    sides = np.array([2, 3, 0.5][:dim])
    assert mesh.volume == pytest.approx(sides.prod(), rel=1e-14)
    assert mesh.facet_measures.sum() == pytest.approx(2 * sides.prod() * (1 / sides).sum(), rel=1e-14)
    assert mesh.diameter == pytest.approx(np.linalg.norm(sides), rel=1e-15)
    np.testing.assert_array_equal(mesh.bounds[0], (-1, 0, 2)[:dim])
    for axis in range(dim):
        for side, sign in (("-", -1), ("+", 1)):
            chosen = mesh.boundary_facets_of(f"x{axis}{side}")
            assert mesh.facet_measures[chosen].sum() == pytest.approx(sides.prod() / sides[axis], rel=1e-14)
            np.testing.assert_allclose(
                mesh.facet_normals[chosen], np.tile(sign * np.eye(dim)[axis], (len(chosen), 1)), atol=1e-14
            )


@pytest.mark.parametrize("degree", range(7))
@pytest.mark.parametrize(("dim", "shape"), [(d, s) for d in (1, 2, 3) for s in ("simplex", "tensor")])
def test_quadrature_is_exact_on_affine_cells(dim, shape, degree):
    """∫ x^a y^b z^c over a box for all exponents up to the degree, and over one of its sides."""
    mesh = box_mesh((0.5,) * dim, (1.5, 2, 1)[:dim], 2, shape)
    points, weights, cells = mesh.quadrature(degree)
    sides, _, side_weights = mesh.facet_quadrature(mesh.boundary_facets_of("x0+"), degree)
    assert len(points) == len(cells)
    assert (np.diff(cells) >= 0).all()
    for powers in product(range(degree + 1), repeat=dim):
        if sum(powers) <= degree:
            parts = [(b ** (p + 1) - 0.5 ** (p + 1)) / (p + 1) for b, p in zip((1.5, 2, 1), powers, strict=False)]
            assert weights @ (points**powers).prod(axis=1) == pytest.approx(prod(parts), rel=1e-13)
            on_side = 1.5 ** powers[0] * prod(parts[1:])
            assert side_weights @ (sides**powers).prod(axis=1) == pytest.approx(on_side, rel=1e-13)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("shape", ["simplex", "tensor"])
@pytest.mark.parametrize(("degree", "order"), [(1, 2), (2, 4)])
def test_curved_geometry_converges(dim, shape, degree, order):
    """Part of an annulus or shell: order 2 by straight cells, order 4 by quadratic ones."""
    if dim == 2:
        exact = 0.75 * np.pi, 1.5 * np.pi + 2
    else:
        quarter, root = np.pi / 2, np.sqrt(0.5)
        exact = 7 / 3 * quarter * root, 5 * quarter * root + 1.5 * (quarter + quarter + quarter * root)
    errors = []
    for cells in (4, 8):
        flat = box_mesh((1, 0, 0)[:dim], (2, np.pi / 2, np.pi / 4)[:dim], cells, shape)
        mesh = curve_mesh(flat, polar, degree)
        errors.append([mesh.volume - exact[0], mesh.facet_measures.sum() - exact[1]])
    coarse, fine = np.abs(errors)
    np.testing.assert_allclose(np.log2(coarse / fine), order, atol=0.15)
    assert fine.max() < (0.05 if degree == 1 else 3e-5)


def test_boundary_of_two_triangles():
    mesh = MeshData([(0, 0), (1, 0), (1, 1), (0, 1)], [(0, 1, 2), (2, 3, 0)], "triangle")
    boundary = mesh.boundary_facets
    assert {frozenset(row) for row in boundary.vertices.tolist()} == {
        frozenset(pair) for pair in ((0, 1), (1, 2), (2, 3), (3, 0))
    }
    for row, cell, local in zip(boundary.vertices, boundary.cells, boundary.local, strict=True):
        np.testing.assert_array_equal(row, mesh.cells[cell][mesh.cell.facets[local]])
    one, other = mesh.interior_facets
    assert sorted(one.vertices[0]) == sorted(other.vertices[0]) == [0, 2]
    assert (one.cells[0], other.cells[0]) == (0, 1)


def test_orientation_of_simplices_is_free():
    """Mirrored cells have positive volumes and outward normals."""
    mesh = bent_box(3, "simplex", 1)
    rng = np.random.default_rng(1)
    shuffled = MeshData(mesh.points, rng.permuted(mesh.cells, axis=1), "tetrahedron")
    assert shuffled.volume == pytest.approx(mesh.volume, rel=1e-14)
    points, normals, weights = shuffled.facet_quadrature(None, 1)
    assert (weights * (points * normals).sum(axis=1)).sum() == pytest.approx(3 * mesh.volume, rel=1e-13)


def test_groups():
    """Facets inside the mesh may be in a group, only those on the boundary are boundary facets."""
    mesh = MeshData(
        [(0, 0), (1, 0), (1, 1), (0, 1)],
        [(0, 1, 2), (2, 3, 0)],
        "triangle",
        facet_groups={"cut": [(2, 0)], "low": [(1, 0)], "mixed": [(0, 2), (3, 2), (1, 0)], "none": []},
        region_groups={"right": [0], "all": [0, 1]},
    )
    vertices = mesh.boundary_facets.vertices
    assert [len(mesh.boundary_facets_of(name)) for name in mesh.facet_groups] == [0, 1, 2, 0]
    assert set(vertices[mesh.boundary_facets_of("low")[0]]) == {0, 1}
    assert (mesh.region_volume("right"), mesh.region_volume("all")) == (0.5, 1.0)
    with pytest.raises(MeshError, match=r"no facet group named 'lov'; did you mean 'low'"):
        mesh.boundary_facets_of("lov")
    with pytest.raises(MeshError, match="no region named 'left'"):
        mesh.region_volume("left")


def test_arrays_are_read_only():
    mesh = box_mesh((0,), (1,), 2)
    with pytest.raises(ValueError, match="read-only"):
        mesh.points[0] = 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell_type": "wedge"}, "'wedge' and degree 1 are not supported"),
        ({"degree": 3}, "degree 3 are not supported"),
        ({"points": [(0, 0, 0)]}, r"points have shape \(1, 3\) .* give numbers of shape \(n, 2\)"),
        ({"cells": [(0, 1, 2, 3)]}, r"cells have shape \(1, 4\)"),
        ({"cells": [(0.0, 1.0, 2.0)]}, "type float64; give whole numbers"),
        ({"facet_groups": {"wall": [(0, 1, 2)]}}, "facet group 'wall' have shape"),
        ({"region_groups": {"iron": [(0, 1)]}}, "region 'iron' have shape"),
    ],
)
def test_wrong_arrays_are_refused(arguments, message):
    good = {"points": [(0, 0), (1, 0), (0, 1)], "cells": [(0, 1, 2)], "cell_type": "triangle"}
    with pytest.raises(MeshError, match=message):
        MeshData(**good | arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0, 0), (1, 0), 2), "increasing coordinates"),
        (((0,) * 4, (1,) * 4, 2), "1 to 3"),
        (((0, 0), (1, 1), 0), "whole number above 0"),
        (((0, 0), (1, 1), 2.5), "whole number above 0"),
        (((0, 0), (1, 1), (2, 2, 2)), "or 2 of them"),
        (((0, 0), (1, 1), 2, "quads"), "'simplex' or 'tensor'"),
    ],
)
def test_wrong_boxes_are_refused(arguments, message):
    with pytest.raises(MeshError, match=message):
        box_mesh(*arguments)


def test_negative_degree_is_refused():
    mesh = box_mesh((0,), (1,), 2)
    with pytest.raises(MeshError, match="degree -1"):
        mesh.quadrature(-1)
    with pytest.raises(MeshError, match="degree -1"):
        mesh.facet_quadrature(None, -1)
