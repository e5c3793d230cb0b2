"""The mesh itself: plain arrays with named boundary parts and regions, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sciml.errors import MeshError

from .arrays import as_array, named
from .cells import CELLS, Lagrange, ReferenceCell, lagrange
from .locating import CellFinder
from .quadrature import cell_quadrature, cell_volumes, facet_measures, facet_normals, facet_quadrature
from .refining import refine
from .sampling import sample_cells, sample_facets, unit_points
from .topology import Facets, match_rows, split_facets

__all__ = ["MeshData"]


@dataclass(frozen=True, eq=False, repr=False)
class MeshData:
    """An unstructured mesh of one cell type with named boundary parts and regions, as plain arrays.

    The arrays are read-only, and shared with the given ones where these have the right type, so do
    not change those afterwards. Construction checks shapes only; :func:`check_mesh` the geometry.

    Parameters
    ----------
    points : array (n_points, dim)
        Coordinates; dim is the dimension of the cells.
    cells : array (n_cells, n_nodes)
        Point numbers in VTK's (meshio's) order.
    cell_type : {"interval", "triangle", "quadrilateral", "tetrahedron", "hexahedron"}
    degree : {1, 2}
        Degree of the cells' geometry: 2 means 3, 6, 9, 10 and 27 nodes.
    facet_groups : mapping of str to array (k, n_facet_vertices)
        Corner points of the facets (boundary or interior) of each named part.
    region_groups : mapping of str to array (k,)
        Cell numbers of each named region.

    Raises
    ------
    MeshError
        If the type or degree is not one of these, or an array has another shape.
    """

    points: np.ndarray
    cells: np.ndarray
    cell_type: str
    degree: int = 1
    facet_groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    region_groups: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.cell_type not in CELLS or self.cell_type == "point" or self.degree not in (1, 2):
            known = ", ".join(name for name in CELLS if name != "point")
            raise MeshError(
                f"Cells of type {self.cell_type!r} and degree {self.degree} are not supported; "
                f"types are {known}, degrees 1 and 2."
            )
        n_nodes, n_vertices = len(self.basis.nodes), self.cell.facets.shape[1]
        self._set("points", as_array(self.points, float, "points", (None, self.cell.dim)))
        self._set("cells", as_array(self.cells, np.int64, "cells", (None, n_nodes)))
        facets = {
            name: as_array(rows, np.int64, f"facet group {name!r}", (None, n_vertices))
            for name, rows in self.facet_groups.items()
        }
        regions = {
            name: as_array(index, np.int64, f"region {name!r}", (None,)) for name, index in self.region_groups.items()
        }
        self._set("facet_groups", facets)
        self._set("region_groups", regions)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        facets, regions = ", ".join(self.facet_groups), ", ".join(self.region_groups)
        return (
            f"MeshData({len(self.cells)} {self.cell_type} cells of degree {self.degree}, {len(self.points)} "
            f"points, facet groups: {facets or 'none'}, regions: {regions or 'none'})"
        )

    @property
    def dim(self) -> int:
        """Dimension of space and of the cells."""
        return self.cell.dim

    @property
    def cell(self) -> ReferenceCell:
        """The reference cell."""
        return CELLS[self.cell_type]

    @property
    def facet_cell(self) -> ReferenceCell:
        """The reference cell of the facets."""
        return CELLS[self.cell.facet_name]

    @property
    def basis(self) -> Lagrange:
        """The Lagrange basis of the geometry."""
        return lagrange(self.cell_type, self.degree)

    @property
    def corners(self) -> np.ndarray:
        """Corner points of the cells: (n_cells, n_corners)."""
        return self.cells[:, : len(self.cell.corners)]

    @property
    def is_straight(self) -> bool:
        """Whether the cells are simplices with an affine map."""
        return self.degree == 1 and self.cell.is_simplex

    @cached_property
    def cell_volumes(self) -> np.ndarray:
        """Volume of each cell, exact for curved ones too: (n_cells,)."""
        return cell_volumes(self)

    @property
    def volume(self) -> float:
        """Volume of the mesh."""
        return float(self.cell_volumes.sum())

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest coordinates of the nodes: two arrays (dim,)."""
        return self.points.min(axis=0), self.points.max(axis=0)

    @property
    def diameter(self) -> float:
        """Diagonal of the bounding box: at least the true diameter, at most √dim times it."""
        return float(np.linalg.norm(self.bounds[1] - self.bounds[0]))

    def region_volume(self, name: str) -> float:
        """Volume of a named region; MeshError if there is none of that name."""
        return float(self.cell_volumes[named(self.region_groups, "region", name)].sum())

    @cached_property
    def _facets(self) -> tuple[Facets, tuple[Facets, Facets]]:
        return split_facets(self)

    @property
    def boundary_facets(self) -> Facets:
        """The facets that belong to exactly one cell; MeshError if one belongs to three or more."""
        return self._facets[0]

    @property
    def interior_facets(self) -> tuple[Facets, Facets]:
        """The facets that belong to two cells, as seen from the one and from the other."""
        return self._facets[1]

    def boundary_facets_of(self, name: str) -> np.ndarray:
        """Which of the boundary facets belong to a facet group: (k,) increasing numbers.

        Facets of the group inside the mesh are left out; MeshError if there is no such group.
        """
        rows = named(self.facet_groups, "facet group", name)
        match = match_rows(rows, self.boundary_facets.vertices)
        return np.unique(match[match >= 0])

    @cached_property
    def facet_measures(self) -> np.ndarray:
        """Length or area (1 for points) of each boundary facet: (k,).

        On curved facets the square root in the surface element is integrated by a rule of high degree.
        """
        return facet_measures(self, self.boundary_facets)

    @cached_property
    def facet_normals(self) -> np.ndarray:
        """Outward unit normal of each boundary facet at its centre: (k, dim)."""
        return facet_normals(self, self.boundary_facets)

    def quadrature(self, degree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Quadrature points on the whole mesh.

        Exact for polynomials of the degree on cells with an affine map; on others the degree counts
        in reference coordinates, and volumes are exact. Cell by cell, equally many points each.

        Parameters
        ----------
        degree : int
            At least 0.

        Returns
        -------
        points : ndarray (n, dim)
        weights : ndarray (n,)
            Positive, |det J| included; they sum to the volume.
        cell_index : ndarray (n,)
        """
        return cell_quadrature(self, degree)

    def facet_quadrature(
        self, facet_indices: np.ndarray | None, degree: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Quadrature points on boundary facets (all for None), with the same exactness.

        Returns
        -------
        points, normals : ndarray (n, dim)
            Facet by facet, equally many points each; outward unit normals.
        weights : ndarray (n,)
        """
        facets = self.boundary_facets[self._chosen(facet_indices)]
        points, normals, weights = facet_quadrature(self, facets, degree)
        return points.reshape(-1, self.dim), normals.reshape(-1, self.dim), weights.ravel()

    def _chosen(self, facet_indices: np.ndarray | None) -> np.ndarray:
        if facet_indices is None:
            return np.arange(len(self.boundary_facets))
        return as_array(facet_indices, np.int64, "facet indices", (None,))

    def sample(
        self,
        n: int | None = None,
        rng: np.random.Generator | None = None,
        *,
        unit: np.ndarray | None = None,
    ) -> np.ndarray:
        """Points distributed uniformly over the volume: (n, dim).

        Parameters
        ----------
        n, rng : int and Generator
            Draw so many independent points, or else
        unit : array (n, dim + 1)
            drive the sampling by these points of [0, 1), such as a Sobol sequence: the first column
            picks the cell by cumulative volume, the others the place in it.

        Raises
        ------
        MeshError
            If both or neither are given, or `unit` has another shape or leaves [0, 1).
        """
        return sample_cells(self, unit_points(self.dim + 1, n, rng, unit))

    def sample_facets(
        self,
        facet_indices: np.ndarray | None,
        n: int | None = None,
        rng: np.random.Generator | None = None,
        *,
        unit: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points distributed uniformly over boundary facets (all for None), and outward unit normals.

        As :meth:`sample`, with `unit` of shape (n, dim). Returns two arrays (n, dim).
        """
        chosen = self._chosen(facet_indices)
        unit = unit_points(self.dim, n, rng, unit)
        return sample_facets(self, self.boundary_facets[chosen], self.facet_measures[chosen], unit)

    @cached_property
    def _finder(self) -> CellFinder:
        return CellFinder(self)

    def locate(self, points: np.ndarray, tolerance: float | None = None) -> np.ndarray:
        """The cell that each point lies in, −1 where there is none: (n,).

        Parameters
        ----------
        points : array (n, dim)
        tolerance : float, optional
            Points at most this far outside count as inside; 1e-8 times the diameter by default.
        """
        tolerance = 1e-8 * self.diameter if tolerance is None else tolerance
        return self._finder.find(as_array(points, float, "points", (None, self.dim)), tolerance)

    def contains(self, points: np.ndarray, tolerance: float | None = None) -> np.ndarray:
        """Whether each point (n, dim) lies in the mesh, as for :meth:`locate`: (n,) of bool."""
        return self.locate(points, tolerance) >= 0

    def refine(self) -> MeshData:
        """Divide every cell regularly into 2^dim.

        Child c of cell p is number p · 2^dim + c, so a cell's parent is its number // 2^dim; points
        keep their numbers; groups are inherited. Tetrahedra are divided by Bey's rule, which produces at
        most three shapes from each however often it is repeated; some children are mirror images.
        New nodes of quadratic meshes lie on the curved parent, not on the geometry it approximates.
        """
        return refine(self)
