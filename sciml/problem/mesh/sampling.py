"""Points distributed uniformly over the volume or the boundary of a mesh.

One coordinate of the unit cube picks the cell by cumulative volume, the others the place in it by
Rosenblatt's transformation (Ann. Math. Statist. 23, 1952): the conditional distribution functions
of the density |det J| are inverted one axis after the other. So a low-discrepancy sequence in the
cube stays one in the mesh, and curved cells need no rejection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial.legendre import legint, legvander
from scipy.special import roots_jacobi

from sciml.errors import MeshError

from .geometry import chunks, facet_map, positions
from .quadrature import collapse, unit_vectors, volume_elements

if TYPE_CHECKING:
    from .cells import ReferenceCell
    from .data import MeshData
    from .topology import Facets

__all__ = ["sample_cells", "sample_facets", "unit_points"]

# |cof(J) n| on a curved facet is the root of a polynomial; this many points per axis resolve it.
_FACET_NODES = 8

_Density = Callable[[np.ndarray, np.ndarray], np.ndarray]


def unit_points(dim: int, n: int | None, rng: np.random.Generator | None, unit: np.ndarray | None) -> np.ndarray:
    """The points of the unit cube that drive the sampling, given or drawn: (n, dim).

    Raises
    ------
    MeshError
        If neither or both ways are used, or points lie outside [0, 1).
    """
    if unit is None and n is not None and rng is not None:
        return rng.random((n, dim))
    if unit is None or n is not None or rng is not None:
        raise MeshError("Sampling needs either a number of points and a generator, or unit= points.")
    unit = np.asarray(unit, dtype=float)
    if unit.ndim != 2 or unit.shape[1] != dim:
        raise MeshError(f"The unit points have shape {unit.shape}; give (n, {dim}), a column to pick the part.")
    if not ((unit >= 0) & (unit < 1)).all():
        raise MeshError("Some unit points lie outside [0, 1); scale the sequence to the unit cube.")
    return unit


def sample_cells(mesh: MeshData, unit: np.ndarray) -> np.ndarray:
    """Points (n, dim) in the mesh, from points (n, dim + 1) of the unit cube."""
    picked = _pick(mesh.cell_volumes, unit[:, 0])
    if mesh.is_straight:
        xi = _uniform(mesh.cell, unit[:, 1:])
    else:

        def density(cells: np.ndarray, nodes: np.ndarray) -> np.ndarray:
            return volume_elements(mesh, nodes, cells)

        # With the factor from collapsing, its degree in each coordinate is one less than this.
        xi = _distribute(mesh.cell, picked, density, mesh.dim * mesh.degree, unit[:, 1:])
    return positions(mesh, xi[:, None], picked)[:, 0]


def sample_facets(
    mesh: MeshData, facets: Facets, measures: np.ndarray, unit: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points and unit normals (n, dim) on facets, from points (n, dim) of the unit cube."""
    picked = _pick(measures, unit[:, 0])
    if mesh.is_straight or mesh.dim == 1:
        s = _uniform(mesh.facet_cell, unit[:, 1:])
    else:

        def density(index: np.ndarray, nodes: np.ndarray) -> np.ndarray:
            chosen = facets[index]
            return np.linalg.norm(facet_map(mesh, chosen.cells, chosen.local, nodes)[1], axis=-1)

        s = _distribute(mesh.facet_cell, picked, density, _FACET_NODES, unit[:, 1:])
    chosen = facets[picked]
    points, vectors = facet_map(mesh, chosen.cells, chosen.local, s[:, None])
    return points[:, 0], unit_vectors(vectors[:, 0])


def _pick(measures: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Cells or facets with probability proportional to their measure, from uniform numbers."""
    if not len(measures):
        raise MeshError("No boundary facets were chosen to sample; give at least one.")
    total = np.cumsum(measures)
    return np.minimum(np.searchsorted(total, first * total[-1], side="right"), len(measures) - 1)


def _uniform(cell: ReferenceCell, unit: np.ndarray) -> np.ndarray:
    """Uniform points of a reference simplex, the distribution functions inverted in closed form."""
    if cell.dim == 0:
        return unit
    return collapse(1.0 - (1.0 - unit) ** (1.0 / np.arange(cell.dim, 0, -1)))


def _distribute(cell: ReferenceCell, parts: np.ndarray, density: _Density, m: int, unit: np.ndarray) -> np.ndarray:
    """Reference points (n, dim) in the given cells or facets, distributed with their densities."""
    nodes, to_legendre = _nodes(m)
    cube = np.stack(np.meshgrid(*[nodes] * cell.dim, indexing="ij"), axis=-1).reshape(-1, cell.dim)
    result = np.empty_like(unit)
    # Points of the same cell come one after the other, to share its density.
    order = np.argsort(parts, kind="stable")
    for block in chunks(len(unit), 1_000_000 // len(cube) + 1):
        chosen = order[block]
        distinct, which = np.unique(parts[chosen], return_inverse=True)
        values = density(distinct, _to_cell(cell, cube)) * _collapse_factor(cell, cube)
        result[chosen] = _to_cell(cell, _rosenblatt(values[which], to_legendre, unit[chosen]))
    return result


def _to_cell(cell: ReferenceCell, u: np.ndarray) -> np.ndarray:
    return collapse(u) if cell.is_simplex and cell.dim else u


def _collapse_factor(cell: ReferenceCell, u: np.ndarray) -> np.ndarray:
    """Determinant of :func:`collapse` at u (..., dim): (...)."""
    powers = np.arange(cell.dim - 1, -1, -1) if cell.is_simplex else 0
    return ((1.0 - u) ** powers).prod(axis=-1)


def _nodes(m: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss nodes on (0, 1), and the matrix from nodal values to shifted Legendre coefficients."""
    nodes, weights = roots_jacobi(m, 0, 0)
    to_legendre = (legvander(nodes, m - 1) * weights[:, None]).T * (np.arange(m)[:, None] + 0.5)
    return (nodes + 1) / 2, to_legendre


def _rosenblatt(density: np.ndarray, to_legendre: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Points u (n, dim) of the cube with the given densities, from uniform ones.

    Parameters
    ----------
    density : ndarray (n, m**dim)
        Values of each point's density at the tensor Gauss nodes, not normalised.
    to_legendre : ndarray (m, m)
    unit : ndarray (n, dim)
    """
    m = len(to_legendre)
    u = np.empty_like(unit)
    for axis in range(unit.shape[1]):
        slabs = density.reshape(len(unit), m, -1)
        # The mean over an axis is its first Legendre coefficient.
        mean = np.ones(1)
        for _ in range(axis + 1, unit.shape[1]):
            mean = np.outer(mean, to_legendre[0]).ravel()
        u[:, axis] = _invert(slabs @ mean @ to_legendre.T, unit[:, axis])
        values = legvander(2 * u[:, axis] - 1, m - 1) @ to_legendre
        density = np.einsum("nm,nmr->nr", values, slabs)
    return u


def _invert(coefficients: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Solve ∫_0^u p = share · ∫_0^1 p for u, p ≥ 0 given by Legendre coefficients (n, m): (n,).

    Newton's method, which falls back to halving a bracket where it would leave it.
    """
    m = coefficients.shape[1]
    integrals = coefficients @ (legint(np.eye(m), lbnd=-1, axis=1) / 2)
    total = integrals.sum(axis=1)
    low, high = np.zeros_like(share), np.ones_like(share)
    u = share.copy()
    for _ in range(60):
        powers = legvander(2 * u - 1, m)
        excess = np.einsum("nm,nm->n", powers, integrals) - share * total
        slope = np.einsum("nm,nm->n", powers[:, :m], coefficients)
        low, high = np.where(excess <= 0, u, low), np.where(excess >= 0, u, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = u - excess / slope
        done = np.abs(excess) <= 1e-14 * total
        if done.all():
            break
        u = np.where(done, u, np.where((newton > low) & (newton < high), newton, (low + high) / 2))
    return u
