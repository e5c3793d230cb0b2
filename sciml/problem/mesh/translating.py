"""Whether one part of a mesh's boundary is another one, moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from sciml.errors import DomainError

from .cells import lagrange
from .geometry import facet_map
from .topology import match_rows

if TYPE_CHECKING:
    from .data import MeshData

__all__ = ["MATCH", "find_translation", "matches"]

MATCH = 1e-4
"""How far from its partner a node may be, relative to the shortest facet's extent."""


def matches(points: np.ndarray, others: np.ndarray, tolerance: float) -> np.ndarray:
    """Index in `others` of the point within the tolerance of each point, −1 where there is none."""
    if not len(points) or not len(others):
        return np.full(len(points), -1)
    distance, nearest = cKDTree(others).query(points)
    return np.where(distance <= tolerance, nearest, -1)


def find_translation(mesh: MeshData, minus: np.ndarray, plus: np.ndarray) -> np.ndarray:
    """The vector that moves some boundary facets onto others, node by node and facet by facet: (dim,).

    Parameters
    ----------
    mesh : MeshData
    minus, plus : arrays of int
        Numbers of boundary facets.

    Raises
    ------
    DomainError
        The parts have different extents, or nodes or facets without a partner; the message names the first of them.
    """
    first, second = (_nodes(mesh, facets) for facets in (minus, plus))
    bounds = [np.stack([nodes.min(axis=(0, 1)), nodes.max(axis=(0, 1))]) for nodes in (first, second)]
    step = (bounds[1] - bounds[0]).mean(axis=0)
    tolerance = MATCH * min(_shortest(mesh, first), _shortest(mesh, second))
    gap = np.abs(bounds[1] - bounds[0] - step).max()
    if gap > tolerance or np.abs(step).max() <= tolerance:
        a, b = (_shown(bound[1] - bound[0]) for bound in bounds)
        raise DomainError(f"the parts are no translates of each other; they extend over {a} and {b}.")
    _check_nodes(first.reshape(-1, mesh.dim) + step, second.reshape(-1, mesh.dim), step, tolerance)
    _check_facets(mesh, minus, plus, step, tolerance)
    return step


def _nodes(mesh: MeshData, facets: np.ndarray) -> np.ndarray:
    """Nodes of the geometry on boundary facets, those between corners included: (k, m, dim)."""
    chosen = mesh.boundary_facets[facets]
    places = lagrange(mesh.facet_cell.name, mesh.degree).nodes if mesh.dim > 1 else mesh.facet_cell.corners
    return facet_map(mesh, chosen.cells, chosen.local, places)[0]


def _shortest(mesh: MeshData, nodes: np.ndarray) -> float:
    """The smallest extent of any facet; that of the mesh where facets are points."""
    return mesh.diameter if mesh.dim == 1 else float(np.ptp(nodes, axis=1).max(axis=1).min())


def _check_nodes(moved: np.ndarray, plus: np.ndarray, step: np.ndarray, tolerance: float) -> None:
    lonely = np.concatenate(
        [plus[matches(plus, moved, tolerance) < 0], moved[matches(moved, plus, tolerance) < 0] - step]
    )
    if len(lonely):
        # Facets share their nodes.
        _, first = np.unique(np.round(lonely / tolerance), axis=0, return_index=True)
        shown = ", ".join(_shown(lonely[k]) for k in first[:3])
        raise DomainError(
            f"{len(first)} nodes have no partner on the other part under the translation by {_shown(step)}, the first "
            f"at {shown}; mesh both parts alike."
        )


def _shown(vector: np.ndarray) -> str:
    return f"({', '.join(f'{value:.6g}' for value in vector)})"


def _check_facets(mesh: MeshData, minus: np.ndarray, plus: np.ndarray, step: np.ndarray, tolerance: float) -> None:
    """Faces of tetrahedra with the same nodes may still be divided along the other diagonal."""
    vertices = mesh.boundary_facets.vertices
    known = np.unique(vertices[minus])
    partner = matches(mesh.points[vertices[plus].ravel()] - step, mesh.points[known], tolerance)
    found = match_rows(known[partner].reshape(vertices[plus].shape), vertices[minus])
    if (found < 0).any():
        centre = mesh.points[vertices[plus][int(np.argmax(found < 0))]].mean(axis=0)
        raise DomainError(
            f"{int((found < 0).sum())} facets have no partner on the other part although their corners have, the first "
            f"around {_shown(centre)}; mesh both parts alike."
        )
