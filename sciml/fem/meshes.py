"""From a mesh as arrays to a DOLFINx mesh whose parts are found by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import basix.ufl
import numpy as np
import ufl
from dolfinx import cpp, fem, mesh
from mpi4py import MPI

from sciml.problem import Domain, MeshData, MeshDomain
from sciml.problem.mesh.topology import match_rows

__all__ = ["FEMesh"]


class FEMesh:
    """A DOLFINx mesh of a :class:`~sciml.problem.MeshData`, with maps between their numberings.

    Parameters
    ----------
    data : MeshData
        The mesh; on every rank.
    domain : Domain, optional
        The domain that it discretises, which knows aliases of boundary names.
    comm : MPI communicator
        Defaults to the world.

    Attributes
    ----------
    mesh : dolfinx.mesh.Mesh
    input_cell : (n_cells,) int array
        Number in `data` of each local cell.
    """

    def __init__(self, data: MeshData, domain: Domain | None = None, comm: MPI.Intracomm = MPI.COMM_WORLD) -> None:
        self.data = data
        self.domain = MeshDomain.of_checked(data)
        self._aliases = domain
        self.element = coordinate_element(data)
        self.mesh = _create(data, self.element, comm)
        self.input_cell = np.asarray(self.mesh.topology.original_cell_index)
        self._located: tuple[np.ndarray, np.ndarray] | None = None
        self._tables: dict[Any, tuple[np.ndarray, np.ndarray, Any]] = {}

    @property
    def comm(self) -> MPI.Intracomm:
        """The mesh's communicator."""
        return self.mesh.comm

    def alone(self) -> FEMesh:
        """The whole mesh on this process."""
        return FEMesh(self.data, self._aliases, MPI.COMM_SELF)

    def locate(self, points: np.ndarray) -> np.ndarray:
        """As :meth:`MeshData.locate`; the same points again, as for the members of a family, cost nothing."""
        known = self._located
        if known is None or not np.array_equal(known[0], points):
            known = self._located = points.copy(), self.data.locate(points)
        return known[1]

    def remembered(
        self,
        key: Any,
        points: np.ndarray,
        cells: np.ndarray,
        make: Callable[[np.ndarray, np.ndarray], Any],
    ) -> Any:
        """What `make` returns for points in cells; the same again, as for the frames of a trajectory, costs nothing."""
        known = self._tables.get(key)
        if known is None or not (np.array_equal(known[0], points) and np.array_equal(known[1], cells)):
            known = self._tables[key] = points.copy(), cells.copy(), make(points, cells)
        return known[2]

    @cached_property
    def cell_of_input(self) -> np.ndarray:
        """Local number of each cell of the input mesh; −1 where another rank has it."""
        local = np.full(len(self.data.cells), -1, dtype=np.int32)
        local[self.input_cell] = np.arange(len(self.input_cell), dtype=np.int32)
        return local

    @cached_property
    def _facet_of_boundary(self) -> np.ndarray:
        """DOLFINx facet of each boundary facet of the input mesh; −1 where another rank has it."""
        msh, fdim = self.mesh, self.mesh.topology.dim - 1
        msh.topology.create_connectivity(fdim, fdim + 1)
        facets = mesh.exterior_facet_indices(msh.topology)
        msh.topology.create_connectivity(fdim, 0)
        # Of the nodes of a curved facet its corners come first.
        corners = self.data.boundary_facets.vertices.shape[1]
        nodes = mesh.entities_to_geometry(msh, fdim, facets)[:, :corners]
        vertices = np.asarray(msh.geometry.input_global_indices)[nodes]
        found = match_rows(self.data.boundary_facets.vertices, vertices)
        return np.where(found >= 0, facets[found] if len(facets) else -1, -1)

    def boundary_elements(self, on: str | tuple[str, ...]) -> np.ndarray:
        """Boundary facets (numbers in `data`) of the part(s) named, aliases included."""
        names = (on,) if isinstance(on, str) else on
        if self._aliases is not None:
            names = tuple(self._aliases.canonical(name) for name in names)
        return self.domain.elements(names)

    def facets(self, on: str | tuple[str, ...]) -> np.ndarray:
        """Local DOLFINx facets of the part(s) named."""
        facets = self._facet_of_boundary[self.boundary_elements(on)]
        return np.sort(facets[facets >= 0]).astype(np.int32)

    def boundary_entities(self, on: str | tuple[str, ...]) -> np.ndarray:
        """Integration entities (cell, local facet), flattened, of the part(s) named; owned ones only."""
        self.mesh.topology.create_connectivity(self.mesh.topology.dim, self.mesh.topology.dim - 1)
        return cpp.fem.compute_integration_domains(
            fem.IntegralType.exterior_facet, self.mesh.topology._cpp_object, self.facets(on)
        )

    def cells(self, region: str) -> np.ndarray:
        """Local owned cells of a named region."""
        local = self.cell_of_input[self.domain.region_groups[region]]
        owned = self.mesh.topology.index_map(self.mesh.topology.dim).size_local
        return np.sort(local[(local >= 0) & (local < owned)])


def coordinate_element(data: MeshData) -> Any:
    """The vector element of the mesh's geometry."""
    return basix.ufl.element("Lagrange", data.cell_type, data.degree, shape=(data.dim,))


def _create(data: MeshData, element: Any, comm: MPI.Intracomm) -> mesh.Mesh:
    cell = mesh.to_type(data.cell_type)
    permutation = cpp.io.perm_vtk(cell, data.cells.shape[1])
    # Each rank hands in a contiguous share, so that global input numbers are those of `data`.
    cells = np.array_split(data.cells, comm.size)[comm.rank][:, permutation]
    points = np.array_split(data.points, comm.size)[comm.rank]
    return mesh.create_mesh(comm, np.ascontiguousarray(cells), ufl.Mesh(element), points)
