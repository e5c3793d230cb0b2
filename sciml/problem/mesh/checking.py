"""What a mesh must fulfil before anything is computed on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sciml.errors import MeshError

from .cells import lattice
from .geometry import chunks, determinants, jacobians
from .quadrature import facet_normals
from .topology import find_facets

if TYPE_CHECKING:
    from .data import MeshData

__all__ = ["check_mesh", "check_points"]

# A Jacobian may touch zero at a corner (a collapsed edge), not change sign.
_SIGN_TOLERANCE = 1e-10


def check_mesh(mesh: MeshData, dim: int | None = None) -> None:
    """Refuse meshes on which integrals, normals or refinement would be wrong.

    Straight simplices may have either orientation, as files and refinement produce both; all
    measures use |det J|. Whether a curved cell folds is decided on a lattice of points inside it.

    Parameters
    ----------
    mesh : MeshData
    dim : int, optional
        The dimension that is needed.

    Raises
    ------
    MeshError
        If the dimension is another; there are no cells; coordinates are not finite; cells refer to
        points that do not exist, have zero volume, or fold; a facet belongs to three cells or its two
        cells lie on the same side of it; a group names facets or cells that do not exist.
    """
    if dim is not None and mesh.dim != dim:
        raise MeshError(f"The mesh has dimension {mesh.dim}, the problem {dim}; give a mesh of dimension {dim}.")
    if not len(mesh.cells):
        raise MeshError("The mesh has no cells; at least one is needed: mesh the geometry before saving it.")
    check_points(mesh.points, mesh.cells)
    if not mesh.is_straight:
        _check_signs(mesh)
    _check_volumes(mesh)
    _check_sides(mesh)
    _check_groups(mesh)


def _refuse(bad: np.ndarray, what: str, advice: str) -> None:
    """Raise if any of the numbered things is bad; `what` is a format with {n} and {first}."""
    index = np.flatnonzero(bad)
    if len(index):
        raise MeshError(f"The mesh has {what.format(n=len(index), first=index[0])}; {advice}")


def check_points(points: np.ndarray, cells: np.ndarray) -> None:
    """Refuse coordinates that are not finite and cells that refer to points that do not exist."""
    n = len(points)
    _refuse(
        ~np.isfinite(points).all(axis=1),
        "{n} points with coordinates that are not finite (first: point {first})",
        "all must be finite: correct them.",
    )
    _refuse(
        ((cells < 0) | (cells >= n)).any(axis=1),
        "{n} cells that refer to points that do not exist (first: cell {first})",
        f"there are {n} points: save the points that the cells use.",
    )


def _check_volumes(mesh: MeshData) -> None:
    nodes = mesh.points[mesh.corners]
    size = np.linalg.norm(np.ptp(nodes, axis=1), axis=1)
    # What rounding of the coordinates alone can make of a flat cell.
    noise = 1e-14 * size + 8 * np.finfo(float).eps * np.abs(nodes).max(axis=(1, 2))
    _refuse(
        mesh.cell_volumes <= noise * size ** (mesh.dim - 1),
        "{n} cells of zero volume (first: cell {first})",
        "every cell needs a positive one: remove or remesh them.",
    )


def _check_signs(mesh: MeshData) -> None:
    xi = lattice(mesh.cell, 4)
    folded = np.empty(len(mesh.cells), dtype=bool)
    for part in chunks(len(mesh.cells), 400_000 // len(xi) + 1):
        volumes = determinants(jacobians(mesh, xi, part))
        low, high = volumes.min(axis=1), volumes.max(axis=1)
        folded[part] = np.minimum(-low, high) > _SIGN_TOLERANCE * np.maximum(-low, high)
    _refuse(
        folded,
        "{n} cells whose Jacobian changes sign (first: cell {first})",
        "a cell must not fold: order its corners around it, or refine where the boundary is strongly curved.",
    )


def _check_sides(mesh: MeshData) -> None:
    one, other = mesh.interior_facets
    folded = np.empty(len(one), dtype=bool)
    for part in chunks(len(one), 100_000):
        # Seen from its two cells, the outward normal of a facet is opposite.
        normals = facet_normals(mesh, one[part]), facet_normals(mesh, other[part])
        folded[part] = np.einsum("ni,ni->n", *normals) > 0
    index = np.flatnonzero(folded)
    if len(index):
        raise MeshError(
            f"The mesh has {len(index)} facets whose two cells lie on the same side (first: "
            f"{_vertices(one.vertices[index[0]])}); cells must not overlap: some are inverted."
        )


def _vertices(row: np.ndarray) -> str:
    return "vertices " + ", ".join(map(str, row))


def _check_groups(mesh: MeshData) -> None:
    for name, rows in mesh.facet_groups.items():
        missing = np.flatnonzero(find_facets(mesh, rows)[0] < 0)
        if len(missing):
            raise MeshError(
                f"The facet group {name!r} has {len(missing)} facets that are not a facet of any cell "
                f"(first: {_vertices(rows[missing[0]])}); mesh boundary and interior together and save both."
            )
    for name, index in mesh.region_groups.items():
        bad = index[(index < 0) | (index >= len(mesh.cells))]
        if len(bad):
            raise MeshError(
                f"The region {name!r} has {len(bad)} cells that do not exist (first: {bad[0]}); "
                f"cells are numbered from 0 to {len(mesh.cells) - 1}."
            )
