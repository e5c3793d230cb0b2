"""Finding the cells that points lie in: a tree of bounding boxes and the inverse map of the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .cells import lagrange
from .geometry import chunks, cofactors, determinants, jacobians, positions

if TYPE_CHECKING:
    from .data import MeshData

__all__ = ["BoxTree", "CellFinder"]

_LEAF = 4
_NEWTON_STEPS = 30


class BoxTree:
    """A complete binary tree of boxes around boxes, split at medians, walked for many points at once.

    Parameters
    ----------
    lower, upper : ndarray (n, dim)
        Opposite corners of the boxes.
    """

    def __init__(self, lower: np.ndarray, upper: np.ndarray) -> None:
        depth = max(0, int(np.ceil(np.log2(len(lower) / _LEAF))))
        width = -(-len(lower) >> depth)
        # Padding with copies of the last box makes all nodes of a level equally large.
        order = np.minimum(np.arange(width << depth), len(lower) - 1)
        middles = (lower + upper) / 2
        for level in range(depth):
            order = _split(order.reshape(1 << level, -1), middles)
        self._members = order.reshape(1 << depth, width)
        self._levels = [(lower[self._members].min(axis=1), upper[self._members].max(axis=1))]
        for _ in range(depth):
            low, high = self._levels[0]
            parents = np.minimum(low[::2], low[1::2]), np.maximum(high[::2], high[1::2])
            self._levels.insert(0, parents)
        self._lower, self._upper = lower, upper

    def candidates(self, points: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
        """All pairs (point, box) with the point at most `tolerance` outside the box, in each axis."""
        point = np.arange(len(points))
        node = np.zeros(len(points), dtype=np.int64)
        for depth, (low, high) in enumerate(self._levels):
            if depth:
                point, node = np.repeat(point, 2), (2 * node[:, None] + (0, 1)).ravel()
            keep = _inside(points[point], low[node], high[node], tolerance)
            point, node = point[keep], node[keep]
        box = self._members[node]
        point = np.repeat(point, box.shape[1])
        box = box.ravel()
        keep = _inside(points[point], self._lower[box], self._upper[box], tolerance)
        return point[keep], box[keep]


def _split(groups: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """Halve every group (rows of indices) at the median of its longest axis."""
    coordinates = middles[groups]
    axis = np.ptp(coordinates, axis=1).argmax(axis=1)
    along = np.take_along_axis(coordinates, axis[:, None, None], axis=2)[..., 0]
    return np.take_along_axis(groups, np.argpartition(along, groups.shape[1] // 2, axis=1), axis=1)


def _inside(points: np.ndarray, low: np.ndarray, high: np.ndarray, tolerance: float) -> np.ndarray:
    return ((points >= low - tolerance) & (points <= high + tolerance)).all(axis=1)


class CellFinder:
    """Finds the cells of points; what does not depend on the points is computed once."""

    def __init__(self, mesh: MeshData) -> None:
        self._mesh = mesh
        corners = mesh.points[mesh.corners]
        bulges = _bulges(mesh, corners)
        self._tree = BoxTree(corners.min(axis=1) - bulges, corners.max(axis=1) + bulges)
        self._bulge = np.linalg.norm(bulges, axis=1)
        self._planes = _facet_planes(mesh, corners) if mesh.cell.is_simplex else None

    def find(self, points: np.ndarray, tolerance: float) -> np.ndarray:
        """The cell of each point (n, dim), −1 where there is none within the tolerance: (n,)."""
        found = np.full(len(points), -1)
        for part in chunks(len(points), 50_000):
            point, cell = self._tree.candidates(points[part], tolerance)
            depth = self._depths(points[part][point], cell, tolerance)
            near = depth >= -tolerance
            point, cell, depth = point[near], cell[near], depth[near]
            # Of several assignments to one point the last counts: the cell it lies deepest in.
            order = np.argsort(depth, kind="stable")
            found[part.start + point[order]] = cell[order]
        return found

    def _depths(self, points: np.ndarray, cells: np.ndarray, tolerance: float) -> np.ndarray:
        """How far each point lies inside its cell, by the nearest facet; negative outside: (n,)."""
        promising = np.arange(len(points))
        depths = np.full(len(points), -np.inf)
        if self._planes is not None:
            inward, offsets = self._planes
            from_first = points - self._mesh.points[self._mesh.cells[cells, 0]]
            straight = (np.einsum("nfi,ni->nf", inward[cells], from_first) + offsets[cells]).min(axis=1)
            if self._mesh.is_straight:
                return straight
            promising = np.flatnonzero(straight >= -tolerance - self._bulge[cells])
        for block in chunks(len(promising), 20_000):
            part = promising[block]
            depths[part] = _curved_depths(self._mesh, points[part], cells[part])
        return depths


def _bulges(mesh: MeshData, corners: np.ndarray) -> np.ndarray:
    """How far curved cells may leave the straight ones with the same corners, in each axis: (n_cells, dim).

    That is the distance of the nodes from where they would be in the straight cell, times the
    largest sum of |N_i| over the nodes that are no corners, which is below 2.
    """
    if mesh.degree == 1:
        return np.zeros((len(mesh.cells), mesh.dim))
    weights = lagrange(mesh.cell_type, 1).values(mesh.basis.nodes)
    straight = np.einsum("qk,nki->nqi", weights, corners, optimize=True)
    return 2 * np.abs(mesh.points[mesh.cells] - straight).max(axis=1)


def _facet_planes(mesh: MeshData, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inward unit normals of the facets of the simplices, and the distance of corner 0 from each."""
    gradients, offsets = mesh.cell.facet_functions
    edges = np.swapaxes(corners[:, 1:] - corners[:, :1], 1, 2)
    inward = gradients @ _inverses(edges)
    slopes = np.linalg.norm(inward, axis=-1)
    return inward / slopes[..., None], offsets / slopes


def _curved_depths(mesh: MeshData, points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    xi, converged = _inverse_map(mesh, points, cells)
    gradients, offsets = mesh.cell.facet_functions
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.linalg.norm(gradients @ _inverses(jacobians(mesh, xi[:, None], cells)[:, 0]), axis=-1)
        depths = ((xi @ gradients.T + offsets) / slopes).min(axis=1)
    return np.where(converged, depths, -np.inf)


def _inverses(jacobian: np.ndarray) -> np.ndarray:
    return np.swapaxes(cofactors(jacobian), -1, -2) / determinants(jacobian)[..., None, None]


def _inverse_map(mesh: MeshData, points: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reference coordinates with x(ξ) = point, by Newton's method from the centre, and where it converged."""
    xi = np.tile(mesh.cell.corners.mean(axis=0), (len(points), 1))
    converged = np.zeros(len(points), dtype=bool)
    active = np.arange(len(points))
    for _ in range(_NEWTON_STEPS):
        residual = positions(mesh, xi[active, None], cells[active])[:, 0] - points[active]
        jacobian = jacobians(mesh, xi[active, None], cells[active])[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.einsum("nij,nj->ni", _inverses(jacobian), residual)
        length = np.abs(step).max(axis=1)
        # Long steps come from the neighbourhood of a fold far outside; half a cell at a time is enough.
        xi[active] -= step / np.maximum(2 * length, 1.0)[:, None]
        done = length < 1e-12
        converged[active[done]] = True
        # Whatever strays this far, or to NaN, belongs to another cell.
        active = active[~done & (np.abs(xi[active] - 0.5).max(axis=1) < 2.5)]
        if not len(active):
            break
    return xi, converged
