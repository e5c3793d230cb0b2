"""Finite element functions evaluated in NumPy: anywhere, with gradients, without further compilation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import basix.ufl
import numpy as np
import ufl
from dolfinx import fem
from mpi4py import MPI
from scipy.sparse import csr_array

from sciml.errors import DivergenceError
from sciml.fem.compiling import compile_form
from sciml.fem.meshes import FEMesh

__all__ = [
    "FEFunction",
    "FEFunctions",
    "Gathering",
    "element_of",
    "function_space",
    "nodal_function",
    "squared_norms",
    "together",
    "transfer",
]

_CHUNK = 20_000


def element_of(cell_type: str, degree: int, shape: tuple[int, ...] = (), *, discontinuous: bool = False) -> Any:
    """The Lagrange element of a degree and value shape, continuous or not."""
    return basix.ufl.element("DG" if discontinuous else "Lagrange", cell_type, degree, shape=shape)


def function_space(
    mesh: FEMesh, degree: int, shape: tuple[int, ...] = (), *, discontinuous: bool = False
) -> fem.FunctionSpace:
    """Lagrange functions of a degree and value shape, continuous or not."""
    element = element_of(mesh.data.cell_type, degree, shape, discontinuous=discontinuous)
    return fem.functionspace(mesh.mesh, element)


class FEFunction:
    """A finite element function with its mesh; it has values at nodes, and may jump between cells.

    Attributes
    ----------
    mesh : FEMesh
    function : dolfinx.fem.Function
    shape : tuple of int
        Value shape.
    degree : int
        Polynomial degree.
    continuous : bool
    """

    def __init__(self, mesh: FEMesh, function: fem.Function) -> None:
        self.mesh = mesh
        self.function = function
        self.shape = tuple(function.function_space.value_shape)
        element = function.function_space.element.basix_element
        self.degree = int(element.degree)
        self.continuous = not element.discontinuous
        self._element = element
        self._map = mesh.element.basix_element
        self._dofs = function.function_space.dofmap.list

    @property
    def parts(self) -> tuple[FEFunction, ...]:
        """The fields it consists of: itself."""
        return (self,)

    @property
    def n_dofs(self) -> int:
        """Number of unknowns of the space."""
        space = self.function.function_space
        return int(space.dofmap.index_map.size_global * space.dofmap.index_map_bs)

    def evaluate(self, points: np.ndarray, cells: np.ndarray | None = None) -> np.ndarray:
        """Values at points ``(n, dim)`` → ``(n, *shape)``; NaN outside of the mesh.

        `cells` are the cells (numbers of the input mesh) that contain the points, if they are known.
        """
        return self._jet(points, cells, 0)

    def gradient(self, points: np.ndarray, cells: np.ndarray | None = None) -> np.ndarray:
        """Gradients at points ``(n, dim)`` → ``(n, *shape, dim)``; on a facet, that of one of its cells."""
        return self._jet(points, cells, 1)

    def _jet(self, points: np.ndarray, cells: np.ndarray | None, order: int) -> np.ndarray:
        points = np.ascontiguousarray(points, dtype=float)
        if cells is None:
            cells = self.mesh.locate(points)
        local = np.where(cells >= 0, self.mesh.cell_of_input[cells], -1)
        dim = points.shape[1]
        if order == 0 and len(points) <= _CHUNK and (local >= 0).all():
            key = self._element.hash(), self._dofs.shape, points.shape
            values = self.function.x.array.reshape(-1, int(np.prod(self.shape, dtype=int)))
            return (self.mesh.remembered(key, points, local, self._sampling) @ values).reshape(len(points), *self.shape)
        out = np.full((len(points), *self.shape, *([dim] * order)), np.nan)
        found = np.flatnonzero(local >= 0)
        for chunk in _chunks(found):
            out[chunk] = self._on_cells(points[chunk], local[chunk], order)
        return out

    def _sampling(self, points: np.ndarray, cells: np.ndarray) -> csr_array:
        """The matrix from degrees of freedom of one component to values at points in cells."""
        table = self._element.tabulate(0, self._pull_back(points, cells)[0])[0, ..., 0]
        first = np.arange(0, table.size + 1, table.shape[1])
        n = self.function.x.array.size // int(np.prod(self.shape, dtype=int))
        return csr_array((table.ravel(), self._dofs[cells].ravel(), first), shape=(len(points), n))

    def _on_cells(self, points: np.ndarray, cells: np.ndarray, order: int) -> np.ndarray:
        reference, inverse_jacobian = self._pull_back(points, cells)
        table = self._element.tabulate(order, reference)[..., 0]
        values = self.function.x.array.reshape(-1, int(np.prod(self.shape, dtype=int)))[self._dofs[cells]]
        if order == 0:
            out = np.einsum("na,nac->nc", table[0], values)
        else:
            out = np.einsum("jna,nac,nji->nci", table[1:], values, inverse_jacobian, optimize=True)
        return out.reshape(len(points), *self.shape, *([points.shape[1]] * order))

    def _pull_back(self, points: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Reference coordinates X of points in cells, and ∂X/∂x, by Newton's method (one step if affine)."""
        geometry = self.mesh.mesh.geometry
        dim = points.shape[1]
        nodes = geometry.x[geometry.dofmaps[0][cells]][:, :, :dim]
        affine = self.mesh.data.is_straight
        reference = np.full((len(points), dim), 1.0 / (dim + 1))
        for _ in range(1 if affine else 25):
            table = self._map.tabulate(1, reference)[..., 0]
            position = np.einsum("na,nai->ni", table[0], nodes)
            inverse = np.linalg.inv(np.einsum("jna,nai->nij", table[1:], nodes))
            step = np.einsum("nji,ni->nj", inverse, points - position)
            reference = reference + step
            if np.abs(step).max(initial=0.0) < 1e-13:
                break
        else:
            if not affine and np.abs(step).max(initial=0.0) > 1e-8:
                raise DivergenceError("Points could not be mapped back to a curved cell; the mesh is too distorted.")
        return reference, inverse


def nodal_function(mesh: FEMesh, nodes: np.ndarray, cells: np.ndarray, values: np.ndarray, degree: int) -> FEFunction:
    """The continuous function with given values (n, k) at nodes (n, dim), on a mesh that this process has as a whole.

    `cells` are the nodes of each cell of the input mesh, in any order.
    """
    space = function_space(mesh, degree, (values.shape[1],))
    function = fem.Function(space)
    own = space.dofmap.list[mesh.cell_of_input]
    places = space.tabulate_dof_coordinates()[:, : mesh.data.dim]
    gap = np.linalg.norm(places[own][:, :, None] - nodes[cells][:, None], axis=3)
    out = function.x.array.reshape(-1, values.shape[1])
    out[own] = values[np.take_along_axis(cells, gap.argmin(axis=2), axis=1)]
    return FEFunction(mesh, function)


class FEFunctions:
    """The fields of one problem as one function with all their components.

    Attributes
    ----------
    mesh : FEMesh
    parts : tuple of FEFunction
    shape : (int,)
        Number of components.
    degree : int
        The highest polynomial degree.
    """

    def __init__(self, mesh: FEMesh, parts: tuple[FEFunction, ...]) -> None:
        self.mesh, self.parts = mesh, parts
        self.shape = (sum(int(np.prod(part.shape, dtype=int)) for part in parts),)
        self.degree = max(part.degree for part in parts)

    @property
    def n_dofs(self) -> int:
        """Number of unknowns of all spaces."""
        return sum(part.n_dofs for part in self.parts)

    def evaluate(self, points: np.ndarray, cells: np.ndarray | None = None) -> np.ndarray:
        """Values at points ``(n, dim)`` → ``(n, k)``; NaN outside of the mesh."""
        points, cells = self._located(points, cells)
        return np.concatenate([p.evaluate(points, cells).reshape(len(points), -1) for p in self.parts], axis=1)

    def gradient(self, points: np.ndarray, cells: np.ndarray | None = None) -> np.ndarray:
        """Gradients at points ``(n, dim)`` → ``(n, k, dim)``."""
        points, cells = self._located(points, cells)
        shape = (len(points), -1, points.shape[1])
        return np.concatenate([p.gradient(points, cells).reshape(shape) for p in self.parts], axis=1)

    def _located(self, points: np.ndarray, cells: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        points = np.ascontiguousarray(points, dtype=float)
        return points, self.mesh.data.locate(points) if cells is None else cells


def together(parts: Sequence[FEFunction]) -> FEFunction | FEFunctions:
    """One function, or several as one."""
    return parts[0] if len(parts) == 1 else FEFunctions(parts[0].mesh, tuple(parts))


class Gathering:
    """Copies of distributed functions that every process holds as a whole, so that what follows needs no MPI.

    Parameters
    ----------
    mesh : FEMesh
        Distributed.
    space : dolfinx.fem.FunctionSpace
        On it.
    """

    def __init__(self, mesh: FEMesh, space: fem.FunctionSpace) -> None:
        self._mesh, self._space = mesh, space
        self.mesh = mesh.alone()
        self.space = fem.functionspace(self.mesh.mesh, space.ufl_element())
        points = self.space.tabulate_dof_coordinates()[:, : mesh.data.dim]
        of_node = np.zeros(len(points), dtype=np.int64)
        of_node[self.space.dofmap.list] = self.mesh.input_cell[:, None]
        local = mesh.cell_of_input[of_node]
        # A cell that two processes know belongs to one of them.
        self._mine = (local >= 0) & (local < mesh.mesh.topology.index_map(mesh.mesh.topology.dim).size_local)
        self._points, self._cells = points[self._mine], local[self._mine]

    def __call__(self, function: fem.Function) -> FEFunction:
        """The function as a whole; all processes must call it."""
        own = FEFunction(self._mesh, function)
        values = np.zeros((len(self._mine), *own.shape))
        values[self._mine] = own._on_cells(self._points, self._cells, 0)
        out = fem.Function(self.space, name=function.name)
        out.x.array[:] = self._mesh.comm.allreduce(values, op=MPI.SUM).ravel()
        return FEFunction(self.mesh, out)


def transfer(coarse: FEFunction, fine: FEFunction) -> FEFunction:
    """The function `coarse` in the space of `fine`, whose mesh is the refinement of its mesh; exact."""
    space = fine.function.function_space
    children = 2**fine.mesh.data.dim
    a_cell = np.zeros(len(space.tabulate_dof_coordinates()), dtype=np.int64)
    a_cell[space.dofmap.list] = fine.mesh.input_cell[:, None]
    points = space.tabulate_dof_coordinates()[:, : fine.mesh.data.dim]
    out = fem.Function(space)
    out.x.array[:] = coarse.evaluate(points, a_cell // children).ravel()
    return FEFunction(fine.mesh, out)


def squared_norms(function: FEFunction) -> tuple[float, float]:
    """∫ |u|² and ∫ |∇u|²."""
    mesh, u = function.mesh, function.function
    domain = ufl.Mesh(mesh.element)
    symbol = ufl.Coefficient(ufl.FunctionSpace(domain, u.function_space.ufl_element()))
    sums = []
    for density in (ufl.inner(symbol, symbol), ufl.inner(ufl.grad(symbol), ufl.grad(symbol))):
        form = density * ufl.dx(domain=domain)
        bound = fem.forms.create_form(compile_form(form, mesh.comm), [], mesh.mesh, {}, {symbol: u}, {})
        sums.append(float(mesh.comm.allreduce(fem.assemble_scalar(bound), op=MPI.SUM)))
    return sums[0], sums[1]


def _chunks(indices: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(indices), _CHUNK):
        yield indices[start : start + _CHUNK]
