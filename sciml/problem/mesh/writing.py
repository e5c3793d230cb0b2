"""Meshes for meshio, with data and groups, and as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from sciml.errors import MeshError
from sciml.files import atomic_path

from .cells import MESHIO_NAMES, lagrange
from .data import MeshData
from .groups import BOUNDARY_PREFIX, REGION_PREFIX
from .topology import find_facets, row_keys

if TYPE_CHECKING:
    import meshio

__all__ = ["region_arrays", "to_meshio", "write_mesh"]


def to_meshio(
    mesh: MeshData,
    point_data: Mapping[str, np.ndarray] | None = None,
    cell_data: Mapping[str, np.ndarray] | None = None,
) -> meshio.Mesh:
    """The cells (without the groups) as a meshio mesh with data on its points and cells.

    Parameters
    ----------
    mesh : MeshData
    point_data, cell_data : dict of str to ndarray, optional
        Arrays whose first axis is the points' or the cells'.
    """
    import meshio  # takes 0.2 s, which only those who use files should pay

    blocks: dict[str, list[ArrayLike]] = {name: [values] for name, values in (cell_data or {}).items()}
    cells: dict[str, ArrayLike] = {MESHIO_NAMES[mesh.cell_type, mesh.degree]: mesh.cells}
    return meshio.Mesh(_in_space(mesh), cells, point_data=dict(point_data or {}), cell_data=blocks)


def _in_space(mesh: MeshData) -> np.ndarray:
    """The points with the three coordinates that formats for viewing want."""
    return np.pad(mesh.points, ((0, 0), (0, 3 - mesh.dim)))


def region_arrays(mesh: MeshData) -> dict[str, np.ndarray]:
    """Membership of the cells in each named region as 0 and 1, as :func:`read_mesh` understands it."""
    return {
        REGION_PREFIX + name: _flags(np.isin(np.arange(len(mesh.cells)), cells))
        for name, cells in mesh.region_groups.items()
    }


def _flags(members: np.ndarray) -> np.ndarray:
    return members.astype(np.int32)  # VTU has no booleans


def write_mesh(mesh: MeshData, path: str | Path) -> Path:
    """Write a mesh with its groups as VTU; :func:`read_mesh` gives the same mesh back.

    The facets of the groups are written as cells beside the others, and one array of 0 and 1 for each
    group: ``region NAME`` and ``boundary NAME``.

    Parameters
    ----------
    mesh : MeshData
    path : path
        Ending in ``.vtu``.

    Raises
    ------
    MeshError
        If the path ends in something else, or a group has facets of no cell.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".vtu":
        raise MeshError(f"A mesh was to be written to {str(path)!r}; give a path that ends in .vtu.")
    content = _with_groups(mesh)
    with atomic_path(path) as temporary:
        content.write(temporary, file_format="vtu")
    return path


def _with_groups(mesh: MeshData) -> meshio.Mesh:
    """Cells and the facets of groups as two blocks, groups as arrays."""
    import meshio

    rows = np.vstack([np.zeros((0, mesh.cell.facets.shape[1]), dtype=np.int64), *mesh.facet_groups.values()])
    _, first, same = np.unique(row_keys(rows), return_index=True, return_inverse=True)
    facets = _facet_nodes(mesh, rows[first])
    on_cells, on_facets = np.zeros(len(mesh.cells), bool), np.zeros(len(facets), bool)
    data = {name: [flags, _flags(on_facets)] for name, flags in region_arrays(mesh).items()}
    parts = np.split(same, np.cumsum([len(group) for group in mesh.facet_groups.values()]))
    for name, part in zip(mesh.facet_groups, parts):
        data[BOUNDARY_PREFIX + name] = [_flags(on_cells), _flags(np.isin(np.arange(len(facets)), part))]
    cells = [
        (MESHIO_NAMES[mesh.cell_type, mesh.degree], mesh.cells),
        (MESHIO_NAMES[mesh.cell.facet_name, mesh.degree], facets),
    ]
    # meshio's writer cannot do with an empty block.
    kept = slice(None if len(facets) else 1)
    return meshio.Mesh(_in_space(mesh), cells[kept], cell_data={name: arrays[kept] for name, arrays in data.items()})


def _facet_nodes(mesh: MeshData, rows: np.ndarray) -> np.ndarray:
    """All nodes of facets that are given by their corners."""
    cells, local = find_facets(mesh, rows)
    if (cells < 0).any():
        raise MeshError("A facet group has facets that belong to no cell; check_mesh says which.")
    name = mesh.cell.facet_name
    places = lagrange(name, 1).values(lagrange(name, mesh.degree).nodes) @ mesh.cell.corners[mesh.cell.facets]
    node = np.abs(places[:, :, None] - mesh.basis.nodes).sum(axis=-1).argmin(axis=-1)
    return mesh.cells[cells[:, None], node[local]]
