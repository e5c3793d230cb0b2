"""Structured meshes of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Literal

import numpy as np

from sciml.errors import MeshError

from .cells import CELLS
from .data import MeshData

__all__ = ["box_mesh"]

_SIMPLICES = ("point", "interval", "triangle", "tetrahedron")
_CUBES = ("point", "interval", "quadrilateral", "hexahedron")


def box_mesh(
    lower: Sequence[float],
    upper: Sequence[float],
    cells: int | Sequence[int],
    cell_type: Literal["simplex", "tensor"] = "simplex",
) -> MeshData:
    """A structured mesh of the box with opposite corners `lower` and `upper`, in 1-D, 2-D or 3-D.

    Simplices are Kuhn's: each brick is divided into the dim! paths along its edges from the lowest
    to the highest corner (H. W. Kuhn, IBM J. Res. Dev. 4, 1960). Meshes are nested: twice as
    many cells along every axis make the cells of :meth:`MeshData.refine`, in another order.

    Parameters
    ----------
    lower, upper : sequence of dim floats
    cells : int or sequence of dim ints
        Bricks along each axis.
    cell_type : {"simplex", "tensor"}
        Intervals, triangles, tetrahedra; or intervals, quadrilaterals, hexahedra.

    Returns
    -------
    MeshData
        With the facet groups "x0-", "x0+", "x1-", … for the sides.

    Raises
    ------
    MeshError
        If the corners are not ordered or the numbers of cells not positive.
    """
    low, high = (np.atleast_1d(np.asarray(corner, dtype=float)) for corner in (lower, upper))
    dim = len(low)
    if low.shape != high.shape or low.ndim != 1 or dim not in (1, 2, 3) or not (low < high).all():
        raise MeshError(f"A box from {lower} to {upper} was asked for; give 1 to 3 increasing coordinates each.")
    counts = np.broadcast_to(cells, dim) if np.size(cells) in (1, dim) else np.zeros(1)
    if counts.dtype.kind not in "iu" or (counts < 1).any():
        raise MeshError(f"cells={cells} was given; give one whole number above 0, or {dim} of them.")
    if cell_type not in ("simplex", "tensor"):
        raise MeshError(f"cell_type={cell_type!r} was given; give 'simplex' or 'tensor'.")
    names = _SIMPLICES if cell_type == "simplex" else _CUBES
    strides = np.append(1, np.cumprod(counts[:-1] + 1))
    facets = {}
    for axis in range(dim):
        side = _grid_cells(np.delete(counts, axis), np.delete(strides, axis), names[dim - 1])
        facets[f"x{axis}-"] = side
        facets[f"x{axis}+"] = side + counts[axis] * strides[axis]
    return MeshData(
        points=_grid_points(low, high, counts),
        cells=_grid_cells(counts, strides, names[dim]),
        cell_type=names[dim],
        facet_groups=facets,
    )


def _grid_points(low: np.ndarray, high: np.ndarray, counts: np.ndarray) -> np.ndarray:
    # This form gives both ends exactly, and every other point of a twice finer grid to the last bit.
    lines = []
    for a, b, n in zip(low, high, counts, strict=True):
        t = np.arange(n + 1) / n
        lines.append(a * (1 - t) + b * t)
    grids = np.meshgrid(*lines[::-1], indexing="ij")
    return np.stack(grids[::-1], axis=-1).reshape(-1, len(low))


def _grid_cells(counts: np.ndarray, strides: np.ndarray, cell_type: str) -> np.ndarray:
    """Point numbers of the cells of a grid whose neighbours along each axis differ by its stride."""
    first = np.zeros(1, dtype=np.int64)
    for n, stride in zip(counts, strides, strict=True):
        first = (np.arange(n)[:, None] * stride + first).ravel()
    if cell_type in _SIMPLICES:
        paths = [np.cumsum([0, *path]) for path in permutations(strides)]
    else:
        paths = [CELLS[cell_type].corners.astype(np.int64) @ strides]
    offsets = np.array(paths, dtype=np.int64)
    return (first[:, None, None] + offsets).reshape(-1, offsets.shape[1])
