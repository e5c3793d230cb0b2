"""A finite element function as a field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sciml.errors import OutputError
from sciml.problem import MeshData, Problem
from sciml.solution.field import Field, Rule

if TYPE_CHECKING:
    import h5py

    from sciml.fem import FEFunction, FEFunctions, FEMesh
    from sciml.problem import Slot

__all__ = ["FEField"]


class FEField(Field):
    """A finite element function of degree 1 to 4, or several of them: one for each field.

    Parameters
    ----------
    problem : Problem
    function : FEFunction or FEFunctions

    Notes
    -----
    Points up to 1e-8 of the diameter outside of the mesh count as inside; others give NaN.
    """

    kind = "finite element"

    def __init__(self, problem: Problem, function: FEFunction | FEFunctions) -> None:
        self.problem = problem
        self.function = function
        self.shape = function.shape

    @property
    def mesh(self) -> MeshData:
        return self.function.mesh.data

    @property
    def degree(self) -> int:
        """Polynomial degree."""
        return self.function.degree

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        return self.function.evaluate(np.asarray(points, dtype=float))

    def gradient(self, points: np.ndarray) -> np.ndarray:
        return self.function.gradient(np.asarray(points, dtype=float))

    def rule(self, n_target: int = 65_536) -> Rule:
        """Quadrature on every cell: of degree 2 p + 3, 2 p + 2 where there are many cells, more where few."""
        per_axis = (n_target / len(self.mesh.cells)) ** (1 / self.mesh.dim)
        degree = 2 * self.degree + (3 if per_axis > 1 else 2)
        degree = int(min(max(degree, 2 * per_axis - 1), 20))
        return Rule(*self.mesh.quadrature(degree))

    def at(self, rule: Rule) -> np.ndarray:
        return self.function.evaluate(rule.points, rule.cells)

    def gradient_at(self, rule: Rule) -> np.ndarray:
        return self.function.gradient(rule.points, rule.cells)

    def store(self, group: h5py.Group) -> None:
        mesh = self.mesh
        group.attrs.update({"cell_type": mesh.cell_type, "geometry_degree": mesh.degree})
        group.create_dataset("mesh/points", data=mesh.points)
        group.create_dataset("mesh/cells", data=mesh.cells)
        for name, rows in mesh.facet_groups.items():
            group.create_dataset(f"mesh/facets/{name.replace('/', '|')}", data=rows).attrs["name"] = name
        for name, rows in mesh.region_groups.items():
            group.create_dataset(f"mesh/regions/{name.replace('/', '|')}", data=rows).attrs["name"] = name
        for k, (slot, part) in enumerate(zip(self.problem.layout, self.function.parts, strict=True)):
            space, own = part.function.function_space, group.create_group(f"fields/{k}")
            own.attrs.update({"name": slot.name, "degree": part.degree, "continuous": part.continuous})
            own.create_dataset("dof_points", data=space.tabulate_dof_coordinates()[:, : mesh.dim])
            own.create_dataset("cell_dofs", data=space.dofmap.list[part.mesh.cell_of_input])
            own.create_dataset("dof_values", data=part.function.x.array.reshape(-1, slot.size))

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> FEField:
        return cls.restored(group, problem)[0]

    @classmethod
    def restored(cls, group: h5py.Group, problem: Problem) -> tuple[FEField, list[np.ndarray]]:
        """The field, and for each node of its spaces the stored one, by which further states can be read."""
        from mpi4py import MPI

        from sciml.fem import FEMesh
        from sciml.fem.functions import together

        data = MeshData(
            group["mesh/points"][()],
            group["mesh/cells"][()],
            str(group.attrs["cell_type"]),
            int(group.attrs["geometry_degree"]),
            {item.attrs["name"]: item[()] for item in group.get("mesh/facets", {}).values()},
            {item.attrs["name"]: item[()] for item in group.get("mesh/regions", {}).values()},
        )
        # As a finished state: whole, on whichever process asks for it.
        mesh = FEMesh(data, problem.domain, MPI.COMM_SELF)
        found = [cls._restored_part(group[f"fields/{k}"], mesh, slot) for k, slot in enumerate(problem.layout)]
        parts, orders = zip(*found, strict=True)
        return cls(problem, together(parts)), list(orders)

    @staticmethod
    def _restored_part(group: h5py.Group, mesh: FEMesh, slot: Slot) -> tuple[FEFunction, np.ndarray]:
        from dolfinx import fem

        from sciml.fem import FEFunction
        from sciml.fem.functions import function_space

        data = mesh.data
        degree, continuous = int(group.attrs["degree"]), bool(group.attrs["continuous"])
        space = function_space(mesh, degree, slot.shape, discontinuous=not continuous)
        function: Any = fem.Function(space, name=slot.name)
        # DOLFINx numbers unknowns as it likes, so they are found again by their place, cell by cell: both sides of a
        # slit have unknowns in the same place.
        own = space.dofmap.list[mesh.cell_of_input]
        stored = group["cell_dofs"][()]
        points, there = space.tabulate_dof_coordinates()[:, : data.dim], group["dof_points"][()]
        order = np.zeros(len(points), dtype=np.int64)
        for cells in np.array_split(np.arange(len(own)), 1 + own.size * own.shape[1] // 2_000_000):
            gap = np.linalg.norm(points[own[cells]][:, :, None] - there[stored[cells]][:, None], axis=3)
            if gap.min(axis=2).max(initial=0.0) > 1e-8 * data.diameter:
                raise OutputError("The stored field does not fit its mesh; the file is damaged.")
            order[own[cells]] = np.take_along_axis(stored[cells], gap.argmin(axis=2), axis=1)
        function.x.array[:] = group["dof_values"][()][order].ravel()
        return FEFunction(mesh, function), order
