"""Meshes that must be refused, and some that must not."""

import numpy as np
import pytest

from sciml import MeshDomain
from sciml.errors import DomainError, MeshError
from sciml.problem.mesh import MeshData, box_mesh, check_mesh, curve_mesh

SQUARE = [(0, 0), (1, 0), (1, 1), (0, 1)]


def triangles(points, cells, **groups):
    return MeshData(points, cells, "triangle", **groups)


@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        (triangles(SQUARE, []), "no cells; at least one is needed"),
        (
            triangles([*SQUARE, (np.nan, 0)], [(0, 1, 2)]),
            r"1 points with coordinates that are not finite \(first: point 4\)",
        ),
        (
            triangles(SQUARE, [(0, 1, 2), (0, 2, 4), (0, 2, 5)]),
            r"2 cells that refer to points that do not exist \(first: cell 1\); there are 4 points",
        ),
        (
            triangles([*SQUARE, (0.5, 0.5)], [(0, 1, 2), (0, 2, 4)]),
            r"1 cells of zero volume \(first: cell 1\)",
        ),
        (triangles(SQUARE, [(0, 1, 1)]), "1 cells of zero volume"),
        (
            MeshData(SQUARE, [(0, 1, 3, 2)], "quadrilateral"),
            r"cells whose Jacobian changes sign \(first: cell 0\); a cell must not fold",
        ),
        (
            MeshData([*SQUARE[:2], (0, 1), (0.5, 0.6), (0.5, 0.5), (0, 0.5)], [range(6)], "triangle", 2),
            "1 cells whose Jacobian changes sign",
        ),
        (
            triangles([*SQUARE, (2, 2)], [(0, 1, 2), (0, 2, 3), (0, 2, 1)]),
            r"1 facets that belong to three cells or more \(first: vertices 2, 0\)",
        ),
        (
            triangles([(0, 0), (1, 0), (0, 1), (0.2, 0.2)], [(0, 1, 2), (0, 1, 3)]),
            r"1 facets whose two cells lie on the same side \(first: vertices 0, 1\)",
        ),
        (
            triangles(SQUARE, [(0, 1, 2), (0, 2, 3)], facet_groups={"wall": [(0, 1), (1, 3), (1, 9)]}),
            r"facet group 'wall' has 2 facets that are not a facet of any cell \(first: vertices 1, 3\)",
        ),
        (
            triangles(SQUARE, [(0, 1, 2), (0, 2, 3)], region_groups={"iron": [0, 2]}),
            r"region 'iron' has 1 cells that do not exist \(first: 2\); cells are numbered from 0 to 1",
        ),
    ],
)
def test_bad_meshes_are_refused(mesh, message):
    with pytest.raises(MeshError, match=message):
        check_mesh(mesh)


@pytest.mark.parametrize(
    ("points", "cells", "message"),
    [
        (SQUARE, [], "no cells"),
        (np.zeros((4, 2)), [(0, 1, 2)], "zero volume"),
        (SQUARE, [(0, 1, 9)], "points that do not exist"),
        (np.full((4, 2), np.nan), [(0, 1, 2)], "not finite"),
    ],
)
def test_a_domain_of_arrays_is_checked(points, cells, message):
    with pytest.raises(MeshError, match=message):
        MeshDomain(MeshData(points, cells, "triangle")).dim  # noqa: B018


def test_dimension():
    mesh = box_mesh((0, 0), (1, 1), 2)
    check_mesh(mesh, dim=2)
    with pytest.raises(DomainError, match="mesh has dimension 2, the problem 3"):
        check_mesh(mesh, dim=3)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_flat_tetrahedra_are_found_far_from_the_origin(shift):
    """Rounded coordinates give a flat cell a tiny volume, which must not pass for a real one."""
    rng = np.random.default_rng(0)
    flat = rng.random((50, 4, 2)) @ rng.random((50, 2, 3))
    points = (flat + shift).reshape(-1, 3)
    mesh = MeshData(points, np.arange(200).reshape(50, 4), "tetrahedron")
    with pytest.raises(MeshError, match="50 cells of zero volume"):
        check_mesh(mesh)


def test_thin_cells_and_mirrored_simplices_are_accepted():
    thin = curve_mesh(box_mesh((0, 0, 0), (1, 1, 1), 2), lambda x: x * (1, 1, 1e-7))
    check_mesh(thin)
    check_mesh(MeshData(thin.points, thin.cells[:, [1, 0, 2, 3]], "tetrahedron"))
    check_mesh(triangles(SQUARE, [(0, 1, 2), (0, 3, 2)]))


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("shape", ["simplex", "tensor"])
@pytest.mark.parametrize("dim", [2, 3])
def test_a_map_that_folds_is_noticed(dim, shape, degree):
    """A fold along x₀ = 0.45 lies within cells of some types and between cells of others."""
    mesh = box_mesh((0,) * dim, (1,) * dim, 4, shape)

    def fold(x):
        return np.column_stack([(x[:, :1] - 0.45) ** 2, x[:, 1:]])

    with pytest.raises(MeshError, match=r"changes sign|same side"):
        check_mesh(curve_mesh(mesh, fold, degree))
    check_mesh(curve_mesh(mesh, lambda x: np.column_stack([(x[:, :1] + 0.45) ** 2, x[:, 1:]]), degree))
