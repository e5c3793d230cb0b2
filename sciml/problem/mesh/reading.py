"""Reading mesh files through meshio."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from sciml.errors import MeshError

from .cells import CELLS, MESHIO_NAMES
from .checking import check_mesh, check_points
from .data import MeshData
from .gmsh_tags import GmshTags, read_gmsh_tags
from .topology import row_keys

if TYPE_CHECKING:
    import meshio

__all__ = ["read_mesh", "to_meshio"]

_LACKING = {
    1: ("lines", "coordinate", "surface", ""),
    2: ("surfaces", "2 coordinates", "volume", "put the mesh flat, or "),
}
_CELL_TYPES = {meshio_name: key for key, meshio_name in MESHIO_NAMES.items()}


def read_mesh(path: str | Path, dim: int | None = None) -> MeshData:
    """Read a mesh file, and check the mesh.

    Gmsh's formats 2.2 and 4.1, text and binary, are read with all their physical groups: those of
    the cells' dimension become regions, those of one less facet groups, lower ones are ignored.
    A group without a name is named by its number. Groups may overlap. Other formats are read as far
    as meshio does, with its named cell sets. Points that no cell uses are dropped.

    Parameters
    ----------
    path : path of a file
    dim : int, optional
        The dimension that is needed.

    Raises
    ------
    MeshError
        If the file cannot be read, its cells are of several or unsupported types, or
        :func:`check_mesh` refuses the mesh. The message names the file.

    Notes
    -----
    Cells of dimension 1 must lie along the first axis, those of dimension 2 in the plane of the
    first two. In format 4.1 all saved cells must be in groups, or none: meshio fails on mixtures.
    """
    path = Path(path)
    raw = _read_with_meshio(path)
    try:
        mesh = _from_meshio(raw, read_gmsh_tags(path) if path.suffix == ".msh" else GmshTags())
        check_points(mesh)
        mesh = _compact(mesh)
        check_mesh(mesh, dim)
    except MeshError as error:
        raise MeshError(f"{path}: {error}") from error
    return mesh


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

    # Formats for viewing want three coordinates.
    points = np.pad(mesh.points, ((0, 0), (0, 3 - mesh.dim)))
    blocks: dict[str, list[ArrayLike]] = {name: [values] for name, values in (cell_data or {}).items()}
    cells: dict[str, ArrayLike] = {MESHIO_NAMES[mesh.cell_type, mesh.degree]: mesh.cells}
    return meshio.Mesh(points, cells, point_data=dict(point_data or {}), cell_data=blocks)


def _read_with_meshio(path: Path) -> meshio.Mesh:
    if not path.is_file():
        raise MeshError(f"{path}: there is no such file; give the path of a mesh file.")
    import meshio

    # meshio prints, and ends the process, where one would expect an exception.
    output = io.StringIO()
    try:
        with redirect_stdout(output), redirect_stderr(output):
            return meshio.read(path, "gmsh" if path.suffix == ".msh" else None)
    except (Exception, SystemExit) as error:
        said = " ".join(output.getvalue().split())
        raise MeshError(
            f"{path}: meshio cannot read this file ({said or f'{type(error).__name__}: {error}'}); save it "
            "again, for instance as Gmsh 4.1 without elements outside physical groups."
        ) from error


def _from_meshio(raw: meshio.Mesh, tags: GmshTags) -> MeshData:
    """The mesh with the file's numbering, unused points and repeated cells included."""
    cell_type, degree = _type_of(raw)
    cell = CELLS[cell_type]
    sizes = [len(block) if block.dim == cell.dim else 0 for block in raw.cells]
    starts = np.cumsum([0, *sizes])
    facets, regions = defaultdict(list), defaultdict(list)
    for name, number, index in _memberships(raw, tags):
        block = raw.cells[number]
        if block.dim == cell.dim:
            regions[name].append(index + starts[number])
        elif block.dim == cell.dim - 1:
            if block.type != MESHIO_NAMES[cell.facet_name, degree]:
                raise MeshError(
                    f"The facet group {name!r} has cells of type {block.type}, which are not facets of "
                    f"{cell_type} cells of degree {degree}; mesh boundary and interior together."
                )
            facets[name].append(block.data[index, : cell.facets.shape[1]])
    return MeshData(
        points=_flat_points(raw.points, cell.dim),
        cells=np.vstack([block.data for block, size in zip(raw.cells, sizes, strict=True) if size]),
        cell_type=cell_type,
        degree=degree,
        facet_groups={name: np.vstack(parts) for name, parts in facets.items()},
        region_groups={name: np.concatenate(parts) for name, parts in regions.items()},
    )


def _type_of(raw: meshio.Mesh) -> tuple[str, int]:
    """Cell type and degree of the cells of the highest dimension."""
    dim = max((block.dim for block in raw.cells if len(block)), default=0)
    if dim == 0:
        raise MeshError("The file has no cells; mesh the geometry before saving it.")
    counts: dict[str, int] = defaultdict(int)
    for block in raw.cells:
        if block.dim == dim and len(block):
            counts[block.type] += len(block)
    if len(counts) > 1:
        listed = " and ".join(f"{n} {name}" for name, n in counts.items())
        raise MeshError(f"The file mixes cell types ({listed}), a mesh has one; recombine all cells or none.")
    (name,) = counts
    if name not in _CELL_TYPES:
        known = ", ".join(known for known in _CELL_TYPES if known != "vertex")
        raise MeshError(
            f"The file has cells of meshio's type {name}, supported are {known}; "
            "save complete cells of order 1 or 2 of these shapes."
        )
    return _CELL_TYPES[name]


def _flat_points(points: np.ndarray, dim: int) -> np.ndarray:
    extents = np.ptp(points, axis=0) if len(points) else np.zeros(points.shape[1])
    thickness = extents[dim:].max(initial=0.0)
    if thickness > 1e-10 * extents.max(initial=0.0):
        cells, beyond, covered, advice = _LACKING[dim]
        raise MeshError(
            f"The file holds no cells of dimension {dim + 1}, only {cells}, whose points extend by {thickness:.3g} "
            f"beyond the first {beyond}; {advice}give the {covered} a physical group too, or save all elements."
        )
    return points[:, :dim]


def _memberships(raw: meshio.Mesh, tags: GmshTags) -> Iterator[tuple[str, int, np.ndarray]]:
    """All (group name, block number, members in the block) that the file states."""
    for name, members in raw.cell_sets.items():
        if not name.startswith("gmsh:"):
            for number, index in enumerate(members):
                if index is not None and np.size(index):
                    yield name, number, np.asarray(index, dtype=np.int64)
    kind = "gmsh:geometrical" if tags.entities else "gmsh:physical"
    for number, values in enumerate(raw.cell_data.get(kind, ())):
        dim = raw.cells[number].dim
        for value in np.unique(values):
            physical = tags.entities.get((dim, int(value)), []) if tags.entities else [abs(int(value))]
            for tag in physical:
                if tag:
                    yield tags.names.get((dim, tag), str(tag)), number, np.flatnonzero(values == value)


def _compact(mesh: MeshData) -> MeshData:
    """Drop points that no cell uses, and the repetitions of a cell or facet that is in several groups."""
    _, first, same = np.unique(row_keys(mesh.cells), return_index=True, return_inverse=True)
    order = np.argsort(first)
    new_cell = np.argsort(order)[same]
    used, cells = np.unique(mesh.cells[first[order]], return_inverse=True)
    new_point = np.full(len(mesh.points), -1)
    new_point[used] = np.arange(len(used))

    def facets(rows: np.ndarray) -> np.ndarray:
        return new_point[rows[np.unique(row_keys(rows), return_index=True)[1]]]

    return replace(
        mesh,
        points=mesh.points[used],
        cells=cells,
        facet_groups={name: facets(rows) for name, rows in mesh.facet_groups.items()},
        region_groups={name: np.unique(new_cell[index]) for name, index in mesh.region_groups.items()},
    )
