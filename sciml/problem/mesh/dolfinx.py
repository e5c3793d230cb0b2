"""Taking over a DOLFINx mesh as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sciml.errors import MeshError

from .cells import CELLS
from .checking import check_mesh
from .data import MeshData

__all__ = ["mesh_data_from_dolfinx"]


def mesh_data_from_dolfinx(mesh: Any, *, facets: Mapping[str, np.ndarray], cells: Mapping[str, np.ndarray]) -> MeshData:
    """A DOLFINx mesh as arrays, with named facets and cells.

    Parameters
    ----------
    mesh : dolfinx.mesh.Mesh
        Of one cell type and geometry degree 1 or 2, held by one rank.
    facets, cells : mapping from str to int arrays
        Local entity numbers of each named part.

    Raises
    ------
    MeshError
        It is no DOLFINx mesh, is distributed, or of a kind that is not supported.
    """
    from dolfinx import cpp
    from dolfinx.mesh import Mesh, entities_to_geometry

    if not isinstance(mesh, Mesh):
        raise MeshError(f"DolfinxMesh was given {mesh!r}; it takes a dolfinx.mesh.Mesh.")
    if mesh.comm.size > 1:
        raise MeshError("A DOLFINx mesh that is distributed over ranks cannot be taken over; hand in a mesh file.")
    dim = mesh.topology.dim
    if mesh.geometry.dim != dim:
        raise MeshError(f"The mesh has {dim}-D cells in {mesh.geometry.dim}-D space; only flat meshes are supported.")
    for entity in (dim - 1, dim):
        mesh.topology.create_connectivity(entity, dim)
        mesh.topology.create_connectivity(dim, entity)
    own = mesh.geometry.dofmaps[0]
    nodes = np.empty_like(own)
    nodes[:, cpp.io.perm_vtk(mesh.topology.cell_type, own.shape[1])] = own
    mesh.topology.create_connectivity(dim - 1, 0)
    # Of the nodes of a curved facet its corners come first.
    corners = CELLS[mesh.topology.cell_name()].facets.shape[1]
    data = MeshData(
        np.array(mesh.geometry.x[:, :dim]),
        nodes.astype(np.int64),
        mesh.topology.cell_name(),
        int(mesh.geometry.cmaps[0].degree),
        {
            name: entities_to_geometry(mesh, dim - 1, np.asarray(rows, np.int32))[:, :corners]
            for name, rows in facets.items()
        },
        {name: np.asarray(rows, np.int64) for name, rows in cells.items()},
    )
    check_mesh(data)
    return data
