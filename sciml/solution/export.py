"""Writing solutions for ParaView: VTU through meshio, XDMF with its arrays in HDF5."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

import numpy as np

from sciml.errors import UnsupportedError
from sciml.files import atomic_path, hdf5_file
from sciml.problem import Box, MeshData
from sciml.problem.mesh import region_arrays, to_meshio
from sciml.problem.mesh.topology import number_nodes
from sciml.solution.fe_field import FEField
from sciml.solution.field import Field
from sciml.solution.grid_field import GridField

if TYPE_CHECKING:
    from sciml.solution.evolution import Evolution

__all__ = ["export_mesh", "point_fields", "write_pvd", "write_vtu", "write_xdmf"]

_XDMF_TOPOLOGY = {
    ("interval", 1): "Polyline",
    ("interval", 2): "Edge_3",
    ("triangle", 1): "Triangle",
    ("triangle", 2): "Tri_6",
    ("quadrilateral", 1): "Quadrilateral",
    ("quadrilateral", 2): "Quad_9",
    ("tetrahedron", 1): "Tetrahedron",
    ("tetrahedron", 2): "Tet_10",
    ("hexahedron", 1): "Hexahedron",
    ("hexahedron", 2): "Hexahedron_27",
}
_CELLS_PER_AXIS = {1: 256, 2: 96, 3: 24}


def export_mesh(field: Field) -> MeshData:
    """The mesh that a field is written on.

    A finite element field keeps its own, with quadratic cells where its degree is 2 or more (ParaView probes no
    higher degree; degrees 3 and 4 are sampled), a grid field its grid. Other fields use the domain's mesh, or a regular
    one on a box.
    """
    return _oriented(_export_mesh(field))


_MIRRORED = {1: [1, 0, 2, 3], 2: [1, 0, 2, 3, 4, 6, 5, 8, 7, 9]}


def _oriented(mesh: MeshData) -> MeshData:
    """The same mesh without mirror images of tetrahedra, whose volume VTK counts as negative."""
    if mesh.cell_type != "tetrahedron":
        return mesh
    corners = mesh.points[mesh.corners]
    mirrored = np.linalg.det(corners[:, 1:] - corners[:, :1]) < 0
    cells = mesh.cells.copy()
    cells[mirrored] = cells[mirrored][:, _MIRRORED[mesh.degree]]
    return MeshData(mesh.points, cells, mesh.cell_type, mesh.degree, mesh.facet_groups, mesh.region_groups)


def _export_mesh(field: Field) -> MeshData:
    domain = field.problem.domain
    if domain.dim > 3:
        raise UnsupportedError(f"A field in {domain.dim} dimensions cannot be written for ParaView; it takes up to 3.")
    if isinstance(field, FEField):
        return quadratic(field.mesh) if field.degree > 1 else field.mesh
    if isinstance(field, GridField):
        return field.problem.domain.mesh(field.cells, "tensor")
    return domain.mesh(_CELLS_PER_AXIS[domain.dim]) if isinstance(domain, Box) else domain.mesh()


def quadratic(mesh: MeshData) -> MeshData:
    """The same mesh with quadratic cells (new nodes on the cells' own geometry)."""
    if mesh.degree == 2:
        return mesh
    from sciml.problem.mesh.cells import lagrange

    numbers, points = number_nodes(mesh, lagrange(mesh.cell_type, 2).nodes)
    return MeshData(points, numbers, mesh.cell_type, 2, mesh.facet_groups, mesh.region_groups)


def point_fields(field: Field, mesh: MeshData) -> dict[str, np.ndarray]:
    """Nodal values of each field and, where the exact solution is known, of it and the error.

    Vectors are padded to three components.
    """
    from sciml.solution.field import ExactField

    values, out = field.evaluate(mesh.points), {}
    exact = None if field.problem.declaration.exact is None else ExactField(field.problem).evaluate(mesh.points)
    for slot in field.problem.layout:
        own = ... if len(field.problem.layout) == 1 else np.s_[:, list(slot.components) if slot.shape else slot.offset]
        out[slot.name] = _padded(values[own])
        if exact is not None:
            out[f"{slot.name}_exact"] = _padded(exact[own])
            out[f"{slot.name}_error"] = _padded(values[own] - exact[own])
    return out


def _padded(values: np.ndarray) -> np.ndarray:
    if values.ndim == 1:
        return values
    return np.pad(values, ((0, 0), (0, max(0, 3 - values.shape[1]))))


def write_vtu(field: Field, path: str | Path) -> Path:
    """Write a field as VTU.

    Parameters
    ----------
    field : Field
        In up to three dimensions.
    path : path
        Ending in ``.vtu``.

    Returns
    -------
    Path
    """
    mesh = export_mesh(field)
    content = to_meshio(mesh, point_fields(field, mesh), region_arrays(mesh))
    with atomic_path(path) as temporary:
        content.write(temporary, file_format="vtu")
    return Path(path)


def write_pvd(evolution: Evolution, path: str | Path) -> Path:
    """Write an evolution as ``NAME.pvd`` with ``NAME_0000.vtu`` … beside it, one for each instant it keeps."""
    path = Path(path)
    entries = []
    for number, instant in enumerate(evolution.times):
        piece = path.with_name(f"{path.stem}_{number:04d}.vtu")
        write_vtu(evolution.at(float(instant)), piece)
        entries.append(f'    <DataSet timestep="{float(instant)!r}" group="" part="0" file={quoteattr(piece.name)}/>\n')
    text = (
        '<?xml version="1.0"?>\n<VTKFile type="Collection" version="0.1" byte_order="LittleEndian">\n  <Collection>\n'
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text + "".join(entries) + "  </Collection>\n</VTKFile>\n", encoding="utf-8")
    return path


def write_xdmf(field: Field, path: str | Path) -> Path:
    """Write a field as XDMF, with the arrays in ``<name>_arrays.h5`` beside it.

    The grid is a series of one step at time 0, which ParaView, pyvista and ``meshio.xdmf.TimeSeriesReader`` open;
    pyvista fails on a grid without a time. Plain ``meshio.read`` knows no series and ends the interpreter on one: give
    it the VTU file.
    """
    path = Path(path)
    mesh = export_mesh(field)
    arrays = point_fields(field, mesh)
    points = np.pad(mesh.points, ((0, 0), (0, 3 - mesh.dim)))
    data_path = path.with_name(f"{path.stem}_arrays.h5")
    with hdf5_file(data_path) as file:
        file["points"], file["cells"] = points, mesh.cells
        for name, values in arrays.items():
            file[name] = values
    text = _xdmf_text(mesh, arrays, data_path.name)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _xdmf_text(mesh: MeshData, arrays: dict[str, np.ndarray], data_name: str) -> str:
    kind = _XDMF_TOPOLOGY[mesh.cell_type, mesh.degree]
    nodes = ' NodesPerElement="2"' if kind == "Polyline" else ""
    attributes = "".join(
        f"      <Attribute Name={quoteattr(name)} AttributeType={quoteattr('Scalar' if v.ndim == 1 else 'Vector')} "
        f'Center="Node">{_data_item(v, data_name, name)}</Attribute>\n'
        for name, v in arrays.items()
    )
    return (
        '<?xml version="1.0"?>\n<Xdmf Version="3.0">\n  <Domain>\n'
        '    <Grid Name="series" GridType="Collection" CollectionType="Temporal">\n'
        '    <Grid Name="mesh" GridType="Uniform">\n'
        '      <Time Value="0"/>\n'
        f'      <Topology TopologyType="{kind}" NumberOfElements="{len(mesh.cells)}"{nodes}>'
        f"{_data_item(mesh.cells, data_name, 'cells')}</Topology>\n"
        f'      <Geometry GeometryType="XYZ">'
        f"{_data_item(np.zeros((len(mesh.points), 3)), data_name, 'points')}</Geometry>\n"
        f"{attributes}    </Grid>\n    </Grid>\n  </Domain>\n</Xdmf>\n"
    )


def _data_item(values: np.ndarray, data_name: str, key: str) -> str:
    number = 'NumberType="Int" Precision="8"' if values.dtype.kind == "i" else 'NumberType="Float" Precision="8"'
    shape = " ".join(map(str, values.shape))
    return f'<DataItem Dimensions="{shape}" {number} Format="HDF">{data_name}:/{key}</DataItem>'
