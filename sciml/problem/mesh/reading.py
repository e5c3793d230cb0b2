"""Reading mesh files: Gmsh, Abaqus, and what meshio reads."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sciml.errors import MeshError

from .abaqus import read_abaqus
from .cells import CELLS, MESHIO_NAMES, ReferenceCell, lagrange
from .checking import check_mesh, check_points
from .data import MeshData
from .gmsh_tags import GmshTags, read_gmsh_tags
from .groups import array_members, node_sets, set_members
from .serendipity import SERENDIPITY, complete
from .topology import row_keys

if TYPE_CHECKING:
    import meshio

__all__ = ["read_mesh"]

_LACKING = {
    1: ("lines", "coordinate", "surface", ""),
    2: ("surfaces", "2 coordinates", "volume", "put the mesh flat, or "),
}
_CELL_TYPES = {meshio_name: key for key, meshio_name in MESHIO_NAMES.items()} | {
    name: (cell_type, 2) for name, cell_type in SERENDIPITY.items()
}


def read_mesh(path: str | Path, dim: int | None = None) -> MeshData:
    """Read a mesh file, and check the mesh.

    The suffix tells the format:

    - ``.msh``: Gmsh 2.2 and 4.1, text and binary, with all physical groups: those of the cells' dimension
      become regions, those of one less facet groups, lower ones are ignored. A group without a name is
      named by its number.
    - ``.inp``: Abaqus, see :mod:`sciml.problem.mesh.abaqus`.
    - ``.vtu``, ``.xdmf`` and whatever else meshio reads: named cell and point sets, and arrays of
      whole numbers, see :mod:`sciml.problem.mesh.groups`.

    A set of points stands for the facets of the boundary all of whose corners are in it, and is empty if there
    is none; facets that the file names themselves take precedence over a set of points of the same name. Groups
    may overlap. Points that no cell uses are dropped. Quadrilaterals of 8 nodes and hexahedra of
    20 get their missing nodes, without a change of their geometry.

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
    first two. In Gmsh's format 4.1 all saved cells must be in groups, or none: meshio fails on mixtures.
    """
    path = Path(path)
    try:
        mesh, sets = _from_meshio(*_read(path))
        mesh, sets = _compact(mesh, sets)
        mesh = _with_node_sets(mesh, sets)
        check_mesh(mesh, dim)
    except MeshError as error:
        raise MeshError(f"{path}: {error}") from error
    return mesh


def _read(path: Path) -> tuple[meshio.Mesh, GmshTags | None]:
    """What the file states, and the tags of a Gmsh file."""
    if not path.is_file():
        raise MeshError("there is no such file; give the path of a mesh file.")
    suffix = path.suffix.lower()
    if suffix == ".inp":
        return read_abaqus(path), None
    if suffix == ".msh":
        raw = _read_with_meshio(path, "gmsh", "for instance as Gmsh 4.1 without elements outside physical groups")
        return raw, read_gmsh_tags(path)
    return _read_with_meshio(path, None, "as one mesh without time steps, or in Gmsh's format 4.1"), None


def _read_with_meshio(path: Path, file_format: str | None, how: str) -> meshio.Mesh:
    import meshio

    # meshio prints, and ends the process, where one would expect an exception.
    output = io.StringIO()
    try:
        with redirect_stdout(output), redirect_stderr(output):
            return meshio.read(path, file_format)
    except (Exception, SystemExit) as error:
        said = " ".join(output.getvalue().split())
        reason = said or " ".join(f"{type(error).__name__}: {error}".split())
        raise MeshError(f"meshio cannot read this file ({reason}); save it again, {how}.") from error


def _from_meshio(raw: meshio.Mesh, tags: GmshTags | None) -> tuple[MeshData, dict[str, np.ndarray]]:
    """The mesh and its sets of points with the file's numbering, unused points and repeated cells included."""
    cell_type, degree = _type_of(raw)
    cell = CELLS[cell_type]
    sizes = [len(block) if block.dim == cell.dim else 0 for block in raw.cells]
    starts = np.cumsum([0, *sizes])
    facets, regions = defaultdict(list), defaultdict(list)
    for name, number, index in _memberships(raw, tags, cell.dim):
        block = raw.cells[number]
        if block.dim == cell.dim:
            regions[name].append(index + starts[number])
        elif block.dim == cell.dim - 1:
            _check_facet_type(name, block.type, cell, degree)
            facets[name].append(block.data[index, : cell.facets.shape[1]])
    cells = np.vstack([block.data for block, size in zip(raw.cells, sizes, strict=True) if size])
    check_points(raw.points, cells)
    points = _flat_points(raw.points, cells, cell.dim)
    if cells.shape[1] < len(lagrange(cell_type, degree).nodes):
        points, cells = complete(points, cells, cell_type)
    mesh = MeshData(
        points=points,
        cells=cells,
        cell_type=cell_type,
        degree=degree,
        facet_groups={name: np.vstack(parts) for name, parts in facets.items()},
        region_groups={name: np.concatenate(parts) for name, parts in regions.items()},
    )
    # Gmsh files have no sets of points, but arrays with numbers of its own.
    return mesh, node_sets(raw) if tags is None else {}


def _check_facet_type(group: str, block_type: str, cell: ReferenceCell, degree: int) -> None:
    """Refuse facets of another shape, or of a higher degree than the cells; only their corners are used."""
    facet_type, facet_degree = _CELL_TYPES.get(block_type, ("", 0))
    if facet_type != cell.facet_name or (facet_type != "point" and facet_degree > degree):
        raise MeshError(
            f"The facet group {group!r} has cells of type {block_type}, which are not facets of "
            f"{cell.name} cells of degree {degree}; mesh boundary and interior together."
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


def _flat_points(points: np.ndarray, cells: np.ndarray, dim: int) -> np.ndarray:
    """The first coordinates; those that the cells use must not differ in the others."""
    extents = np.ptp(points[np.unique(cells)], axis=0)
    thickness = extents[dim:].max(initial=0.0)
    if thickness > 1e-10 * extents.max(initial=0.0):
        kind, beyond, covered, advice = _LACKING[dim]
        raise MeshError(
            f"The file holds no cells of dimension {dim + 1}, only {kind}, whose points extend by {thickness:.3g} "
            f"beyond the first {beyond}; {advice}give the {covered} a physical group too, or save all elements."
        )
    return points[:, :dim]


def _memberships(raw: meshio.Mesh, tags: GmshTags | None, dim: int) -> Iterator[tuple[str, int, np.ndarray]]:
    """All (group name, block number, members in the block) that the file states."""
    yield from set_members(raw)
    yield from array_members(raw, dim) if tags is None else _gmsh_members(raw, tags)


def _gmsh_members(raw: meshio.Mesh, tags: GmshTags) -> Iterator[tuple[str, int, np.ndarray]]:
    kind = "gmsh:geometrical" if tags.entities else "gmsh:physical"
    for number, values in enumerate(raw.cell_data.get(kind, ())):
        dim = raw.cells[number].dim
        for value in np.unique(values):
            physical = tags.entities.get((dim, int(value)), []) if tags.entities else [abs(int(value))]
            for tag in physical:
                if tag:
                    yield tags.names.get((dim, tag), str(tag)), number, np.flatnonzero(values == value)


def _compact(mesh: MeshData, sets: dict[str, np.ndarray]) -> tuple[MeshData, dict[str, np.ndarray]]:
    """Drop points that no cell uses, and the repetitions of a cell or facet that is in several groups."""
    _, first, same = np.unique(row_keys(mesh.cells), return_index=True, return_inverse=True)
    order = np.argsort(first)
    new_cell = np.argsort(order)[same]
    used, cells = np.unique(mesh.cells[first[order]], return_inverse=True)
    new_point = np.full(len(mesh.points), -1)
    new_point[used] = np.arange(len(used))

    def facets(rows: np.ndarray) -> np.ndarray:
        return new_point[rows[np.unique(row_keys(rows), return_index=True)[1]]]

    compact = replace(
        mesh,
        points=mesh.points[used],
        cells=cells,
        facet_groups={name: facets(rows) for name, rows in mesh.facet_groups.items()},
        region_groups={name: np.unique(new_cell[index]) for name, index in mesh.region_groups.items()},
    )
    numbers = {name: new_point[index] for name, index in sets.items()}
    return compact, {name: index[index >= 0] for name, index in numbers.items()}


def _with_node_sets(mesh: MeshData, sets: dict[str, np.ndarray]) -> MeshData:
    """Add the boundary facets all of whose corners are in a set, under its name."""
    groups = dict(mesh.facet_groups)
    for name, index in sets.items():
        if name not in groups:
            inside = np.zeros(len(mesh.points), dtype=bool)
            inside[index] = True
            vertices = mesh.boundary_facets.vertices
            groups[name] = vertices[inside[vertices].all(axis=1)]
    return replace(mesh, facet_groups=groups)
