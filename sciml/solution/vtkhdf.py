"""Writing solutions as VTKHDF: one file that ParaView (from 5.12 on), VTK and pyvista open, time series included.

The layout is that of VTK's file formats, "VTKHDF File Format", for an unstructured grid in one part: a group ``VTKHDF``
with points, connectivity, offsets, cell types and data; for a series also ``Steps`` with the instants, and the values
of all instants one after the other. The mesh is stored once.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from sciml.files import hdf5_file
from sciml.problem import MeshData
from sciml.problem.mesh import region_arrays
from sciml.solution.evolution import Evolution
from sciml.solution.export import export_mesh, point_fields

if TYPE_CHECKING:
    from sciml.solution.field import Field

__all__ = ["write_vtkhdf"]

_VERSION = (2, 0)
_TYPES = {
    ("interval", 1): 3,
    ("interval", 2): 21,
    ("triangle", 1): 5,
    ("triangle", 2): 22,
    ("quadrilateral", 1): 9,
    ("quadrilateral", 2): 28,
    ("tetrahedron", 1): 10,
    ("tetrahedron", 2): 24,
    ("hexahedron", 1): 12,
    ("hexahedron", 2): 29,
}


def write_vtkhdf(field: Field | Evolution, path: str | Path) -> Path:
    """Write a field, or an evolution at all instants it keeps, as one VTKHDF file.

    Parameters
    ----------
    field : Field or Evolution
        In up to three dimensions.
    path : path
        Ending in ``.vtkhdf``.

    Returns
    -------
    Path
    """
    is_series = isinstance(field, Evolution)
    states = [field.at(float(instant)) for instant in field.times] if is_series else [field]
    mesh = export_mesh(states[0])
    with hdf5_file(path) as file:
        root = file.create_group("VTKHDF")
        root.attrs["Version"] = np.array(_VERSION, dtype=np.int64)
        # Readers want a string of fixed length, which h5py makes of bytes only.
        root.attrs["Type"] = np.bytes_("UnstructuredGrid")
        _write_mesh(root, mesh)
        data = _write_values(root, (point_fields(state, mesh) for state in states))
        if is_series:
            _write_steps(root, field.times, data, len(mesh.points))
    return Path(path)


def _write_mesh(root: h5py.Group, mesh: MeshData) -> None:
    n_cells, n_nodes = mesh.cells.shape
    root["NumberOfPoints"] = np.array([len(mesh.points)], dtype=np.int64)
    root["NumberOfCells"] = np.array([n_cells], dtype=np.int64)
    root["NumberOfConnectivityIds"] = np.array([mesh.cells.size], dtype=np.int64)
    root["Points"] = np.pad(mesh.points, ((0, 0), (0, 3 - mesh.dim)))
    root["Connectivity"] = mesh.cells.ravel()
    root["Offsets"] = np.arange(n_cells + 1, dtype=np.int64) * n_nodes
    root["Types"] = np.full(n_cells, _TYPES[mesh.cell_type, mesh.degree], dtype=np.uint8)
    regions = root.create_group("CellData")
    for name, flags in region_arrays(mesh).items():
        regions[name] = flags


def _write_values(root: h5py.Group, states: Iterable[dict[str, np.ndarray]]) -> list[str]:
    """All states one after the other, growing as they come; the names of the arrays."""
    group = root.create_group("PointData")
    for arrays in states:
        for name, values in arrays.items():
            if name not in group:
                group.create_dataset(name, data=values, maxshape=(None, *values.shape[1:]), chunks=values.shape)
                continue
            stored = group[name]
            stored.resize(len(stored) + len(values), axis=0)
            stored[-len(values) :] = values
    return list(group)


def _write_steps(root: h5py.Group, times: np.ndarray, data: list[str], n_points: int) -> None:
    """Where the parts of each instant begin: the one mesh at 0, the values at the n-th instant at n · points."""
    n = len(times)
    steps = root.create_group("Steps")
    steps.attrs["NSteps"] = np.int64(n)
    steps["Values"] = np.asarray(times, dtype=float)
    steps["NumberOfParts"] = np.ones(n, dtype=np.int64)
    for name in ("PartOffsets", "PointOffsets"):
        steps[name] = np.zeros(n, dtype=np.int64)
    for name in ("CellOffsets", "ConnectivityIdOffsets"):
        steps[name] = np.zeros((n, 1), dtype=np.int64)
    for name in data:
        steps[f"PointDataOffsets/{name}"] = np.arange(n, dtype=np.int64) * n_points
    for name in root["CellData"]:
        steps[f"CellDataOffsets/{name}"] = np.zeros(n, dtype=np.int64)
