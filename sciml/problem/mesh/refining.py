"""Uniform refinement and curving of meshes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from sciml.errors import MeshError

from .cells import CELLS, lagrange
from .topology import find_facets, number_nodes

if TYPE_CHECKING:
    from .data import MeshData

__all__ = ["curve_mesh", "refine"]


@dataclass(frozen=True, eq=False)
class _Pattern:
    """How one cell is refined: the lattice of all children's nodes, and who uses which.

    Attributes
    ----------
    xi : ndarray (n_lattice, dim)
    children : ndarray (n_children, n_nodes)
        Lattice point of each node of each child.
    facet_children, facet_corners : ndarray (n_facets, n_parts) and (n_facets, n_parts, n_facet_vertices)
        For each facet of the parent the children that have a facet on it, and the corners of
        those facets in them.
    """

    xi: np.ndarray
    children: np.ndarray
    facet_children: np.ndarray
    facet_corners: np.ndarray


@lru_cache
def _pattern(cell_type: str, degree: int) -> _Pattern:
    cell = CELLS[cell_type]
    corners = cell.corners[cell.children].mean(axis=2)
    linear = lagrange(cell_type, 1)
    nodes = linear.values(lagrange(cell_type, degree).nodes) @ corners
    # Coordinates are multiples of 1/4, so equal points are equal to the last bit.
    xi, number = np.unique(nodes.reshape(-1, cell.dim), axis=0, return_inverse=True)
    gradients, offsets = cell.facet_functions
    on_facet = corners @ gradients.T + offsets == 0
    parts = [np.argwhere(on_facet[:, cell.facets, facet].all(axis=-1)) for facet in range(len(cell.facets))]
    child, local = np.moveaxis(np.array(parts), -1, 0)
    return _Pattern(xi, number.reshape(nodes.shape[:2]), child, cell.facets[local])


def refine(mesh: MeshData) -> MeshData:
    """Divide every cell into 2^dim; see :meth:`MeshData.refine`."""
    pattern = _pattern(mesh.cell_type, mesh.degree)
    numbers, points = number_nodes(mesh, pattern.xi)
    n_children, n_nodes = pattern.children.shape
    cells = numbers[:, pattern.children].reshape(-1, n_nodes)

    def facets(rows: np.ndarray) -> np.ndarray:
        parent, local = find_facets(mesh, rows)
        if (parent < 0).any():
            raise MeshError("A facet group has facets that belong to no cell; check_mesh says which.")
        child = parent[:, None] * n_children + pattern.facet_children[local]
        return cells[child[..., None], pattern.facet_corners[local]].reshape(-1, rows.shape[1])

    def regions(index: np.ndarray) -> np.ndarray:
        return (index[:, None] * n_children + np.arange(n_children)).ravel()

    return replace(
        mesh,
        points=points,
        cells=cells,
        facet_groups={name: facets(rows) for name, rows in mesh.facet_groups.items()},
        region_groups={name: regions(index) for name, index in mesh.region_groups.items()},
    )


def curve_mesh(mesh: MeshData, mapping: Callable[[np.ndarray], np.ndarray], degree: int | None = None) -> MeshData:
    """The image of a mesh under a map: its nodes are moved, its cells and groups stay.

    With ``degree=2`` a mesh of straight cells first gets nodes on the middles of its edges, faces
    and cells, so that the cells of the result are curved and approximate the image to third order.

    Parameters
    ----------
    mesh : MeshData
    mapping : callable
        Takes points (n, dim) to points (n, dim); must not fold.
    degree : {1, 2}, optional
        Geometry degree of the result; the mesh's own by default.

    Raises
    ------
    MeshError
        If the degree is lower than the mesh's, or the map returns another shape.
    """
    degree = mesh.degree if degree is None else degree
    if degree not in (mesh.degree, 2):
        raise MeshError(f"degree={degree} was asked of a mesh of degree {mesh.degree}; give that or 2.")
    cells, points = number_nodes(mesh, lagrange(mesh.cell_type, degree).nodes)
    moved = np.asarray(mapping(points), dtype=float)
    if moved.shape != points.shape:
        raise MeshError(f"The map turned points {points.shape} into {moved.shape}; keep the shape.")
    return replace(mesh, points=moved, cells=cells, degree=degree)
