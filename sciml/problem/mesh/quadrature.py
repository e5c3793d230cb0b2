"""Quadrature on cells and facets: conical products of Gauss–Jacobi rules.

A point u of the unit cube is collapsed onto the simplex by ξ_k = u_k (1 − u_1) ⋯ (1 − u_{k−1}), whose
determinant is the product of the (1 − u_k)^(dim − k). Gauss–Jacobi rules with these weights make
the product rule exact (Stroud, "Approximate calculation of multiple integrals", 1971, section 2.2).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import roots_jacobi

from sciml.errors import MeshError

from .cells import CELLS
from .geometry import chunks, determinants, facet_map, jacobians, positions

if TYPE_CHECKING:
    from .cells import ReferenceCell
    from .data import MeshData
    from .topology import Facets

__all__ = [
    "cell_quadrature",
    "cell_volumes",
    "collapse",
    "facet_measures",
    "facet_normals",
    "facet_quadrature",
    "reference_rule",
    "unit_vectors",
    "volume_elements",
]

# The surface element of a curved facet is the root of a polynomial, which no rule integrates exactly.
_SURFACE_DEGREE = 12
_CHUNK = 200_000


def collapse(u: np.ndarray) -> np.ndarray:
    """Map the unit cube onto the reference simplex: (..., dim) to (..., dim)."""
    rest = np.cumprod(1.0 - u, axis=-1)
    return u * np.concatenate([np.ones_like(u[..., :1]), rest[..., :-1]], axis=-1)


@lru_cache
def reference_rule(cell_type: str, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (q, dim) and weights (q,) on a reference cell.

    Exact for polynomials of the total degree on simplices, and of the degree in each coordinate
    on the cube.
    """
    cell = CELLS[cell_type]
    n = degree // 2 + 1
    lines = []
    for axis in range(cell.dim):
        power = cell.dim - 1 - axis if cell.is_simplex else 0
        nodes, weights = roots_jacobi(n, power, 0)
        lines.append(((nodes + 1) / 2, weights / 2 ** (power + 1)))
    points = np.array(list(product(*(line[0] for line in lines))))
    weights = np.array(list(product(*(line[1] for line in lines))))
    return collapse(points) if cell.is_simplex and cell.dim else points, weights.prod(axis=1)


def _jacobian_degree(cell: ReferenceCell, degree: int) -> int:
    """Degree of the largest minors of the Jacobian of a cell (on cubes: in each coordinate)."""
    return cell.dim * (degree - 1) if cell.is_simplex else cell.dim * degree - 1


def volume_elements(mesh: MeshData, xi: np.ndarray, cells: slice | np.ndarray = slice(None)) -> np.ndarray:
    """|det J| at the reference points xi (q, dim) of the given cells: (n, q)."""
    if mesh.is_straight:
        centre = np.abs(determinants(jacobians(mesh, xi[:1], cells)))
        return np.repeat(centre, len(xi), axis=1)
    return np.abs(determinants(jacobians(mesh, xi, cells)))


def _cell_rule(mesh: MeshData, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """A reference rule that is exact for the degree times det J."""
    if degree < 0:
        raise MeshError(f"A quadrature rule of degree {degree} was asked for; give 0 or more.")
    return reference_rule(mesh.cell_type, degree + _jacobian_degree(mesh.cell, mesh.degree))


def cell_volumes(mesh: MeshData) -> np.ndarray:
    """∫ |det J| dξ of every cell: (n_cells,)."""
    xi, weights = _cell_rule(mesh, 0)
    volumes = np.empty(len(mesh.cells))
    for part in chunks(len(mesh.cells), _CHUNK // len(weights) + 1):
        volumes[part] = volume_elements(mesh, xi, part) @ weights
    return volumes


def cell_quadrature(mesh: MeshData, degree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (n, dim), weights (n,) and cells (n,) of a rule on the mesh."""
    xi, weights = _cell_rule(mesh, degree)
    n_cells, q = len(mesh.cells), len(weights)
    points = np.empty((n_cells, q, mesh.dim))
    factors = np.empty((n_cells, q))
    for part in chunks(n_cells, _CHUNK // q + 1):
        points[part] = positions(mesh, xi, part)
        factors[part] = weights * volume_elements(mesh, xi, part)
    return points.reshape(-1, mesh.dim), factors.ravel(), np.repeat(np.arange(n_cells), q)


def facet_quadrature(mesh: MeshData, facets: Facets, degree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (k, q, dim), outward unit normals (k, q, dim) and weights (k, q) of a rule on k facets."""
    if degree < 0:
        raise MeshError(f"A quadrature rule of degree {degree} was asked for; give 0 or more.")
    s, weights = reference_rule(mesh.facet_cell.name, degree + _jacobian_degree(mesh.facet_cell, mesh.degree))
    points, vectors = facet_map(mesh, facets.cells, facets.local, s)
    areas = np.linalg.norm(vectors, axis=-1)
    return points, unit_vectors(vectors), weights * areas


def facet_measures(mesh: MeshData, facets: Facets) -> np.ndarray:
    """Area of every facet: (k,)."""
    return facet_quadrature(mesh, facets, 0 if mesh.is_straight else _SURFACE_DEGREE)[2].sum(axis=1)


def facet_normals(mesh: MeshData, facets: Facets) -> np.ndarray:
    """Outward unit normals at the centres of facets: (k, dim)."""
    centre = mesh.facet_cell.corners.mean(axis=0)[None]
    return unit_vectors(facet_map(mesh, facets.cells, facets.local, centre)[1][:, 0])


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., dim) divided by their lengths, the zero vector left as it is."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
