"""Domains given by a mesh: a mesh file with named groups, arrays, or a DOLFINx mesh with tags."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sciml.errors import ConditionError, DomainError, MeshError
from sciml.problem.domain import BOUNDARY, Domain, sobol
from sciml.problem.mesh import MeshData, check_mesh, find_translation, read_mesh, write_mesh

__all__ = ["DolfinxMesh", "MeshDomain", "MeshFile"]


class MeshDomain(Domain):
    """The domain that a mesh covers, with the mesh's facet groups as boundary names.

    Parameters
    ----------
    mesh : MeshData
        Points, cells and named groups.

    Raises
    ------
    MeshError
        The mesh has no cells, or cells, coordinates or groups that cannot be used; raised when it is first needed.
    """

    def __init__(self, mesh: MeshData) -> None:
        self._given_mesh: MeshData | None = mesh

    @staticmethod
    def of_checked(mesh: MeshData) -> MeshDomain:
        """The domain of a mesh that needs no check any more, such as a refined one."""
        domain = MeshDomain(mesh)
        domain.data = mesh
        return domain

    @cached_property
    def data(self) -> MeshData:
        """The mesh as arrays."""
        return self._load()

    def _load(self) -> MeshData:
        assert self._given_mesh is not None
        check_mesh(self._given_mesh)
        return self._given_mesh

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.data.cells.shape[0]} × {self.data.cell_type})"

    @property
    def dim(self) -> int:  # type: ignore[override]
        return self.data.points.shape[1]

    @property
    def lower(self) -> np.ndarray:  # type: ignore[override]
        return self.data.bounds[0]

    @property
    def upper(self) -> np.ndarray:  # type: ignore[override]
        return self.data.bounds[1]

    @property
    def n_cells(self) -> int:  # type: ignore[override]
        return len(self.data.cells)

    @property
    def n_boundary_elements(self) -> int:  # type: ignore[override]
        return len(self.data.boundary_facets)

    @cached_property
    def boundary_names(self) -> tuple[str, ...]:  # type: ignore[override]
        names = set(self.data.facet_groups) - {BOUNDARY}
        return tuple(sorted(name for name in names if len(self.data.boundary_facets_of(name))))

    @property
    def region_groups(self) -> dict[str, np.ndarray]:
        return dict(self.data.region_groups)

    @property
    def volume(self) -> float:
        return self.data.volume

    def _elements_named(self, name: str) -> np.ndarray | None:
        if name not in self.data.facet_groups:
            return None
        elements = self.data.boundary_facets_of(name)
        if not len(elements):
            inside = len(self.data.facet_groups[name])
            what = "facets inside the mesh only" if inside else "single nodes, no facet of the boundary"
            known = ", ".join([BOUNDARY, *self.boundary_names])
            raise ConditionError(
                f"{name!r} names {what}; a condition needs facets of the boundary with all their corners: {known}."
            )
        return elements

    def _all_elements(self) -> np.ndarray:
        every = super()._all_elements()
        if BOUNDARY in self.data.facet_groups:
            own = len(self.data.boundary_facets_of(BOUNDARY))
            if own < len(every):
                raise ConditionError(
                    f"The mesh has a group named {BOUNDARY!r} with {own} of the {len(every)} boundary facets, but "
                    f"{BOUNDARY!r} stands for all of them; give the group another name."
                )
        return every

    def sample(self, n: int, generator: np.random.Generator) -> np.ndarray:
        return self.data.sample(n, generator)

    def quasi_random(self, n: int, generator: np.random.Generator) -> np.ndarray:
        return self.data.sample(unit=sobol(n, self.dim + 1, generator))

    def contains(self, points: np.ndarray) -> np.ndarray:
        return self.data.contains(points)

    def locate(self, points: np.ndarray) -> np.ndarray:
        cells = self.data.locate(points)
        if np.any(cells < 0):
            bad = points[int(np.argmax(cells < 0))]
            raise DomainError(f"{int((cells < 0).sum())} points lie outside of the mesh, the first at {bad.tolist()}.")
        return cells

    def quadrature(self, n_target: int) -> tuple[np.ndarray, np.ndarray]:
        per_cell = max(1.0, n_target / self.n_cells)
        degree = int(np.clip(2 * np.ceil(per_cell ** (1 / self.dim)) - 1, 3, 9))
        points, weights, _ = self.data.quadrature(degree)
        return points, weights

    def element_measures(self) -> np.ndarray:
        return self.data.facet_measures

    def sample_elements(
        self, elements: np.ndarray, n: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        return self.data.sample_facets(elements, n, generator)

    def element_quadrature(self, elements: np.ndarray, n_target: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        per_facet = max(1.0, n_target / max(len(elements), 1))
        degree = int(np.clip(2 * np.ceil(per_facet ** (1 / max(self.dim - 1, 1))) - 1, 3, 9))
        return self.data.facet_quadrature(elements, degree)

    def shared_points(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        vertices = self.data.boundary_facets.vertices
        shared = np.intersect1d(vertices[first], vertices[second])
        return self.data.points[shared]

    def translation(self, minus: np.ndarray, plus: np.ndarray) -> np.ndarray:
        return find_translation(self.data, minus, plus)

    def mesh(self, cells: int | Sequence[int] | None = None, cell_type: str = "simplex") -> MeshData:
        if cells is not None:
            raise DomainError(
                "`cells` is for boxes; a mesh file has its own cells, which `refine` divides (refine=1 halves them)."
            )
        return self.data

    def write(self, path: str | Path) -> Path:
        """Write the mesh with its groups as VTU, which :class:`MeshFile` reads back; see :func:`write_mesh`."""
        return write_mesh(self.data, path)


@lru_cache(maxsize=8)
def _read_once(path: Path, modified: int, dim: int | None) -> MeshData:
    """The mesh of a file; `modified` makes a changed file be read again."""
    return read_mesh(path, dim=dim)


class MeshFile(MeshDomain):
    """A mesh file with named groups: Gmsh ``.msh``, Abaqus ``.inp``, ``.vtu``, ``.xdmf`` and what else meshio reads.

    Parameters
    ----------
    path : path
        The file; a relative path is looked for beside the Python file that this is written in first, then in
        the current folder.
    dim : int, optional
        The dimension the mesh must have.

    Notes
    -----
    The file is read when it is first needed. Its names become names of boundary parts and regions:

    ===============  ===================================================  ==============================================
    file             boundary parts                                       regions
    ===============  ===================================================  ==============================================
    ``.msh``         physical groups of codimension one                   physical groups of codimension zero
    ``.inp``         surfaces; node sets; element sets of facets          element sets
    ``.vtu``,        arrays of whole numbers on cells of codimension      arrays of whole numbers on cells: ``NAME``
    ``.xdmf``, …     one or on points: ``NAME`` with the value 3 is       with the value 3 is "NAME_3"; ``region NAME``
                     "NAME_3"; ``boundary NAME`` is "NAME" where not 0;   is "NAME" where not 0; named sets of cells
                     named sets of cells and points
    ===============  ===================================================  ==============================================

    A set of points (a node set, a value on points) stands for the facets of the boundary all of whose corners are in
    it. Boundary parts that the file gives as facets take precedence over a set of points of the same name.
    Arrays with more than 256 values are taken for numberings and give no groups. What is read of Abaqus files
    is listed in :mod:`sciml.problem.mesh.abaqus`.

    Raises
    ------
    MeshError
        The file is missing, cannot be read, has no cells, degenerate cells or the wrong dimension.
    """

    def __init__(self, path: str | Path, *, dim: int | None = None) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.path = Path(path)
        self._dim = dim
        # The file that makes this object; a session or notebook has none.
        caller = sys._getframe(1).f_globals.get("__file__")
        self._folder = None if caller is None else Path(caller).resolve().parent

    def __repr__(self) -> str:
        return f"MeshFile({str(self.path)!r})"

    def fresh(self) -> MeshFile:
        other = copy.copy(self)
        for read in ("data", "boundary_names"):
            other.__dict__.pop(read, None)
        return other

    def _load(self) -> MeshData:
        folders = [folder for folder in (self._folder, Path.cwd()) if folder is not None]
        for folder in folders:
            file = folder / self.path
            if file.is_file():
                return _read_once(file.resolve(), file.stat().st_mtime_ns, self._dim)
        places = " and ".join(str(folder) for folder in dict.fromkeys(folders))
        raise MeshError(f"There is no mesh file {str(self.path)!r}; looked in {places}.")


class DolfinxMesh(MeshDomain):
    """A DOLFINx mesh with mesh tags, as a domain.

    Parameters
    ----------
    mesh : dolfinx.mesh.Mesh
        The mesh.
    facet_tags, cell_tags : dolfinx.mesh.MeshTags, optional
        Tags of facets and cells.
    facet_names, cell_names : mapping from str to int, optional
        Names of tag values; a value without a name is called by its number.

    Notes
    -----
    The mesh is taken over as arrays; under MPI each rank must hold all of it.
    """

    def __init__(
        self,
        mesh: Any,
        *,
        facet_tags: Any = None,
        cell_tags: Any = None,
        facet_names: Mapping[str, int] | None = None,
        cell_names: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.original = mesh
        self._facet_tags, self._cell_tags = facet_tags, cell_tags
        self._facet_names, self._cell_names = dict(facet_names or {}), dict(cell_names or {})

    def _load(self) -> MeshData:
        from sciml.problem.mesh.dolfinx import mesh_data_from_dolfinx

        return mesh_data_from_dolfinx(
            self.original,
            facets=_by_name(self._facet_tags, self._facet_names, "facet"),
            cells=_by_name(self._cell_tags, self._cell_names, "cell"),
        )


def _by_name(tags: Any, names: Mapping[str, int], kind: str) -> dict[str, np.ndarray]:
    """Entities of each tag value under its name."""
    if tags is None:
        if names:
            raise DomainError(f"{kind}_names was given without {kind}_tags; give both.")
        return {}
    present = set(np.unique(tags.values).tolist())
    missing = sorted(set(names.values()) - present)
    if missing:
        raise DomainError(f"{kind}_names asks for the tag {missing[0]}; the tags are {sorted(present)}.")
    labels = {value: str(value) for value in present} | {value: name for name, value in names.items()}
    return {label: tags.find(value) for value, label in labels.items()}
