"""Quadratic cells without nodes inside faces and cells, as many programs write them."""

from __future__ import annotations

import numpy as np

from .cells import CELLS, lagrange
from .data import MeshData
from .topology import number_nodes

__all__ = ["SERENDIPITY", "complete"]

# meshio's names of quadrilaterals of 8 nodes and hexahedra of 20, and the cells they belong to.
SERENDIPITY = {"quad8": "quadrilateral", "hexahedron20": "hexahedron"}


def complete(points: np.ndarray, cells: np.ndarray, cell_type: str) -> tuple[np.ndarray, np.ndarray]:
    """Give serendipity cells the nodes that complete quadratic cells have in addition.

    The serendipity map is a quadratic one, and the new nodes are its values, so the geometry stays the same
    to rounding. Points keep their numbers, new ones follow.

    Parameters
    ----------
    points : ndarray (n_points, dim)
    cells : ndarray (n_cells, 8 or 20)

    Returns
    -------
    points, cells : ndarray (n_points + n_new, dim) and (n_cells, 9 or 27)
    """
    cell = CELLS[cell_type]
    n_given = cells.shape[1]
    linear = MeshData(points, cells[:, : len(cell.corners)], cell_type)
    numbers, points = number_nodes(linear, lagrange(cell_type, 2).nodes)
    # Nodes on edges exist already: the file's take the place of the middles.
    points[numbers[:, :n_given]] = points[cells]
    weights = _serendipity_weights(cell_type, n_given)
    points[numbers[:, n_given:]] = np.einsum("qk,nki->nqi", weights, points[cells])
    return points, numbers


def _serendipity_weights(cell_type: str, n_given: int) -> np.ndarray:
    """Serendipity functions at the centres of faces and of the cell: (n_centres, n_given)."""
    cell = CELLS[cell_type]
    n_corners = len(cell.corners)
    edges = cell.middles[: n_given - n_corners]
    rows = []
    for corners in cell.middles[n_given - n_corners :]:
        around = np.array([set(edge) <= set(corners) for edge in edges])
        # A corner counts −1/4 in the centre of a square and of a cube; the edges share the rest equally.
        corner_part = np.where(np.isin(np.arange(n_corners), corners), -0.25, 0.0)
        rows.append(np.append(corner_part, around * (1 + 0.25 * len(corners)) / around.sum()))
    return np.array(rows)
