"""The facets of a mesh's boundary that points lie on."""

from __future__ import annotations

import numpy as np

from sciml.problem import MeshData
from sciml.problem.mesh.locating import BoxTree

__all__ = ["nearest_facets"]


def nearest_facets(mesh: MeshData, points: np.ndarray, reach: float) -> np.ndarray:
    """Numbers of the boundary facets nearest to points that lie on the boundary, or not farther than `reach` from it.

    Parameters
    ----------
    mesh : MeshData
    points : (n, dim) array
    reach : float
        Doubled until every point has found a facet.

    Returns
    -------
    (n,) array of int
    """
    corners = mesh.points[mesh.boundary_facets.vertices]
    tree = BoxTree(corners.min(axis=1), corners.max(axis=1))
    found = np.full(len(points), -1)
    tolerance = reach / 64
    while (missing := np.flatnonzero(found < 0)).size:
        point, facet = tree.candidates(points[missing], tolerance)
        distance = _distances(points[missing][point], corners[facet])
        # Of several assignments to one point the last counts: the nearest facet.
        order = np.argsort(-distance, kind="stable")
        found[missing[point[order]]] = facet[order]
        tolerance *= 2
    return found


def _distances(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Of each point from its own segment, triangle or quadrilateral ``(n, k, dim)``: ``(n,)``."""
    k = corners.shape[1]
    if k == 2:
        return _from_segments(points, corners)
    if k == 3:
        return _from_triangles(points, corners)
    halves = corners[:, [0, 1, 2]], corners[:, [3, 1, 2]]
    return np.minimum(*(_from_triangles(points, half) for half in halves))


def _from_segments(points: np.ndarray, ends: np.ndarray) -> np.ndarray:
    along = ends[:, 1] - ends[:, 0]
    place = ((points - ends[:, 0]) * along).sum(axis=1) / (along**2).sum(axis=1)
    return np.linalg.norm(points - ends[:, 0] - np.clip(place, 0, 1)[:, None] * along, axis=1)


def _from_triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    edges = np.swapaxes(corners[:, 1:] - corners[:, :1], 1, 2)
    places = np.einsum("nij,nj->ni", np.linalg.pinv(edges), points - corners[:, 0])
    flat = np.linalg.norm(points - corners[:, 0] - np.einsum("nij,nj->ni", edges, places), axis=1)
    over = (places >= 0).all(axis=1) & (places.sum(axis=1) <= 1)
    sides = [_from_segments(points, corners[:, pair]) for pair in ([0, 1], [1, 2], [2, 0])]
    return np.where(over, flat, np.minimum.reduce(sides))
