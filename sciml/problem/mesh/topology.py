"""Which facets belong to which cells, and which nodes neighbouring cells share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sciml.errors import MeshError

from .cells import lagrange

if TYPE_CHECKING:
    from .data import MeshData

__all__ = ["Facets", "find_facets", "match_rows", "number_nodes", "row_keys", "split_facets"]


@dataclass(frozen=True, eq=False)
class Facets:
    """Facets of cells.

    Attributes
    ----------
    vertices : ndarray (k, n_facet_vertices) of int64
        Corner points of each facet.
    cells : ndarray (k,) of int64
        A cell that each belongs to.
    local : ndarray (k,) of int64
        Its number among the facets of that cell (VTK's order).
    """

    vertices: np.ndarray
    cells: np.ndarray
    local: np.ndarray

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, index: slice | np.ndarray) -> Facets:
        return Facets(self.vertices[index], self.cells[index], self.local[index])


def row_keys(rows: np.ndarray) -> np.ndarray:
    """One whole number for each row of non-negative numbers; equal rows, in any order, get equal ones.

    The numbers can be compared within one call only.
    """
    rows = np.sort(rows, axis=1)
    base = int(rows.max(initial=0)) + 1
    keys = rows[:, 0]
    for column in rows.T[1:]:
        if (int(keys.max(initial=0)) + 1) * base >= 2**63:
            keys = np.unique(keys, return_inverse=True)[1]
        keys = keys * base + column
    return keys


def match_rows(rows: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Index in `table` of each row, the order within rows ignored; −1 where there is none: (len(rows),)."""
    if not len(rows) or not len(table):
        return np.full(len(rows), -1)
    keys = row_keys(np.vstack([table, rows]))
    known, wanted = keys[: len(table)], keys[len(table) :]
    order = np.argsort(known, kind="stable")
    place = np.minimum(np.searchsorted(known[order], wanted), len(table) - 1)
    found = order[place]
    return np.where(known[found] == wanted, found, -1)


def _facets_at(mesh: MeshData, index: np.ndarray) -> Facets:
    cells, local = np.divmod(index, len(mesh.cell.facets))
    return Facets(mesh.cells[cells[:, None], mesh.cell.facets[local]], cells, local)


def split_facets(mesh: MeshData) -> tuple[Facets, tuple[Facets, Facets]]:
    """The boundary facets, and the interior facets as seen from their two cells.

    Raises
    ------
    MeshError
        If a facet belongs to three cells or more.
    """
    every = mesh.cells[:, mesh.cell.facets].reshape(-1, mesh.cell.facets.shape[1])
    keys = row_keys(every)
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    counts = np.diff(starts, append=len(keys))
    crowded = starts[counts > 2]
    if len(crowded):
        vertices = ", ".join(map(str, every[order[crowded[0]]]))
        raise MeshError(
            f"The mesh has {len(crowded)} facets that belong to three cells or more (first: vertices "
            f"{vertices}), a facet may belong to at most two: remove duplicated or overlapping cells."
        )
    inside = starts[counts == 2]
    pair = _facets_at(mesh, order[inside]), _facets_at(mesh, order[inside + 1])
    return _facets_at(mesh, np.sort(order[starts[counts == 1]])), pair


def find_facets(mesh: MeshData, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A cell and local number of each facet given by its vertices; −1 where it is none of any cell.

    Parameters
    ----------
    rows : ndarray (k, n_facet_vertices)

    Returns
    -------
    cells, local : ndarray (k,)
    """
    valid = ((rows >= 0) & (rows < len(mesh.points))).all(axis=1)
    marked = np.zeros(len(mesh.points), dtype=bool)
    marked[rows[valid]] = True
    # Only facets all of whose vertices occur in the rows are sorted: groups are small, meshes are not.
    candidates = np.flatnonzero(marked[mesh.corners][:, mesh.cell.facets].all(axis=-1))
    index = np.full(len(rows), -1)
    match = match_rows(rows[valid], _facets_at(mesh, candidates).vertices)
    index[valid] = np.where(match >= 0, candidates[match] if len(candidates) else -1, -1)
    cells, local = np.divmod(index, len(mesh.cell.facets))
    return cells, np.where(index >= 0, local, -1)


def number_nodes(mesh: MeshData, xi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the reference points xi of all cells so that points on shared edges and faces are one.

    A point on an edge or face is known by the corners it hangs on and its (multi)linear weights
    for them, which both neighbours agree on, whatever their orientation; coordinates are never
    compared. Nodes of the mesh keep their numbers, new ones follow.

    Parameters
    ----------
    xi : ndarray (q, dim)
        Points whose coordinates are multiples of 1/4.

    Returns
    -------
    numbers : ndarray (n_cells, q) of int64
    points : ndarray (n_points + n_new, dim)
    """
    numbers = np.full((len(mesh.cells), len(xi)), -1)
    same = (np.abs(xi[:, None] - mesh.basis.nodes) < 0.01).all(axis=-1)
    old, node = np.nonzero(same)
    numbers[:, old] = mesh.cells[:, node]
    weights = np.rint(4**mesh.dim * lagrange(mesh.cell_type, 1).values(xi)).astype(np.int64)
    n_hung_on = np.where(same.any(axis=1), 0, (weights > 0).sum(axis=1))
    points = [mesh.points]
    count = len(mesh.points)
    for size in np.unique(n_hung_on[n_hung_on > 0]):
        columns = np.flatnonzero(n_hung_on == size)
        first, inverse = _merge(mesh, weights[columns], size)
        numbers[:, columns] = count + inverse.reshape(len(mesh.cells), len(columns))
        cells, column = np.divmod(first, len(columns))
        values = mesh.basis.values(xi[columns])[column]
        points.append(np.einsum("nk,nki->ni", values, mesh.points[mesh.cells[cells]]))
        count += len(first)
    return numbers, np.vstack(points)


def _merge(mesh: MeshData, weights: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """First occurrence of each distinct point, and the distinct point of each (cell, point)."""
    if size == weights.shape[1]:
        everything = np.arange(len(mesh.cells) * len(weights))
        return everything, everything
    corners = np.nonzero(weights)[1].reshape(-1, size)
    scale = int(weights.max()) + 1
    labels = mesh.cells[:, corners] * scale + np.take_along_axis(weights, corners, axis=1)
    _, first, inverse = np.unique(row_keys(labels.reshape(-1, size)), return_index=True, return_inverse=True)
    return first, inverse
