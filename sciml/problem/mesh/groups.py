"""The named groups of files that meshio reads: named sets, and arrays of whole numbers.

========================================  =========================================================
array                                     groups
========================================  =========================================================
``region NAME`` (on cells)                region NAME: the cells where it is not 0
``boundary NAME`` (on facets or points)   boundary NAME: the facets where it is not 0
booleans, named NAME                      NAME, where it is true
whole numbers, named NAME                 NAME_3, NAME_7, … one for each value that occurs
========================================  =========================================================

An array on the cells of the highest dimension names regions, one on the cells of one dimension less
(in the same file) boundary parts, and one on the points those facets of the boundary all of whose
corners have the value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import meshio

__all__ = ["BOUNDARY_PREFIX", "REGION_PREFIX", "array_members", "node_sets", "set_members"]

REGION_PREFIX, BOUNDARY_PREFIX = "region ", "boundary "

# An array with more values than this numbers its cells or points rather than grouping them.
_MOST_VALUES = 256


def set_members(raw: meshio.Mesh) -> Iterator[tuple[str, int, np.ndarray]]:
    """All (group name, block number, members in the block) of the named cell sets."""
    for name, members in raw.cell_sets.items():
        if not name.startswith("gmsh:"):
            for number, index in enumerate(members):
                if index is not None and np.size(index):
                    yield name, number, np.asarray(index, dtype=np.int64)


def array_members(raw: meshio.Mesh, dim: int) -> Iterator[tuple[str, int, np.ndarray]]:
    """The same of the arrays on cells of dimension `dim` (regions) and dim − 1 (boundary parts)."""
    for cell_dim, prefix in ((dim, REGION_PREFIX), (dim - 1, BOUNDARY_PREFIX)):
        blocks = [number for number, block in enumerate(raw.cells) if block.dim == cell_dim and len(block)]
        starts = np.cumsum([0, *(len(raw.cells[number]) for number in blocks)])
        for name, arrays in raw.cell_data.items() if blocks else ():
            values = np.concatenate([arrays[number] for number in blocks])
            for group, members in _groups(name, values, prefix):
                for number, start, end in zip(blocks, starts, starts[1:]):
                    yield group, number, members[(start <= members) & (members < end)] - start


def node_sets(raw: meshio.Mesh) -> dict[str, np.ndarray]:
    """Points of each named point set, and of each group of the arrays on points."""
    sets = {name: np.asarray(index, dtype=np.int64) for name, index in raw.point_sets.items()}
    for name, values in raw.point_data.items():
        for group, members in _groups(name, values, BOUNDARY_PREFIX):
            sets.setdefault(group, members)
    return sets


def _groups(name: str, values: np.ndarray, prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    """Names and members of the groups of one array on things whose names may have the prefix."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or values.dtype.kind not in "biu":
        return
    if name.startswith((REGION_PREFIX, BOUNDARY_PREFIX)):
        if name.startswith(prefix):
            yield name.removeprefix(prefix), np.flatnonzero(values)
    elif values.dtype.kind == "b":
        yield name, np.flatnonzero(values)
    else:
        different = np.unique(values)
        for value in different if len(different) <= _MOST_VALUES else ():
            yield f"{name}_{value}", np.flatnonzero(values == value)
