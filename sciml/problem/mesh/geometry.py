"""The isoparametric map x(ξ) = Σ_i N_i(ξ) x_i of the cells of a mesh: positions, Jacobians, areas.

Reference points come in two shapes: (q, dim), the same points in every cell, or (n, q, dim), points
of each cell's own. Both give arrays that start with (n, q).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .cells import lagrange

if TYPE_CHECKING:
    from .data import MeshData

__all__ = ["chunks", "cofactors", "determinants", "facet_map", "jacobians", "positions"]


def chunks(n: int, size: int) -> Iterator[slice]:
    """Cut range(n) into slices, so that temporary arrays stay small."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def positions(mesh: MeshData, xi: np.ndarray, cells: slice | np.ndarray = slice(None)) -> np.ndarray:
    """x(ξ) at reference points of the given cells: (n, q, dim)."""
    rule = "qk,nki->nqi" if xi.ndim == 2 else "nqk,nki->nqi"
    return np.einsum(rule, mesh.basis.values(xi), mesh.points[mesh.cells[cells]], optimize=True)


def jacobians(mesh: MeshData, xi: np.ndarray, cells: slice | np.ndarray = slice(None)) -> np.ndarray:
    """J_ij = ∂x_i/∂ξ_j at reference points of the given cells: (n, q, dim, dim)."""
    rule = "qkj,nki->nqij" if xi.ndim == 2 else "nqkj,nki->nqij"
    nodes = mesh.points[mesh.cells[cells]]
    # Gradients of a constant vanish up to rounding only, which counts far from the origin.
    return np.einsum(rule, mesh.basis.gradients(xi), nodes - nodes[:, :1], optimize=True)


def cofactors(jacobian: np.ndarray) -> np.ndarray:
    """det(J) J⁻ᵀ of matrices (..., dim, dim), without dividing, so that singular ones are fine too."""
    dim = jacobian.shape[-1]
    if dim == 1:
        return np.ones_like(jacobian)
    if dim == 2:
        return jacobian[..., ::-1, ::-1] * np.array([[1.0, -1.0], [-1.0, 1.0]])
    a, b, c = (jacobian[..., i] for i in range(3))
    return np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=-1)


def determinants(jacobian: np.ndarray) -> np.ndarray:
    """det(J) of matrices (..., dim, dim) with dim ≤ 3: (...)."""
    return np.einsum("...i,...i->...", jacobian[..., 0], cofactors(jacobian)[..., 0])


def facet_map(mesh: MeshData, cells: np.ndarray, local: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions and outward area vectors at reference points of facets.

    An area vector is the outward unit normal times the area per reference area; by Nanson's
    formula it is cof(J) times the one of the reference cell.

    Parameters
    ----------
    cells, local : ndarray (n,)
        For each facet a cell and the number of the facet in it.
    s : ndarray (q, dim − 1) or (n, q, dim − 1)

    Returns
    -------
    points, area_vectors : ndarray (n, q, dim)
    """
    outward = -mesh.cell.facet_functions[0]
    weights = lagrange(mesh.cell.facet_name, 1).values(s)
    points = np.empty((len(cells), s.shape[-2], mesh.dim))
    vectors = np.empty_like(points)
    for facet, corners in enumerate(mesh.cell.facets):
        chosen = np.flatnonzero(local == facet)
        xi = (weights if s.ndim == 2 else weights[chosen]) @ mesh.cell.corners[corners]
        jacobian = jacobians(mesh, xi, cells[chosen])
        # A map that mirrors the cell turns cof(J) inwards.
        sign = np.where(determinants(jacobian) < 0, -1.0, 1.0)
        points[chosen] = positions(mesh, xi, cells[chosen])
        vectors[chosen] = sign[..., None] * (cofactors(jacobian) @ outward[facet])
    return points, vectors
