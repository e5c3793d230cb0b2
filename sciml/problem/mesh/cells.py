"""Reference cells, their parts, and the Lagrange bases that map them into space.

All numbering is VTK's (which is meshio's): corners first, then the middles of the edges, of the
faces, and of the cell. Simplices are {ξ ≥ 0, Σ ξ ≤ 1}; the others are the unit cube.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

import numpy as np

__all__ = ["CELLS", "MESHIO_NAMES", "Lagrange", "ReferenceCell", "lagrange", "lattice"]


@dataclass(frozen=True, eq=False)
class ReferenceCell:
    """A reference cell of dimension `dim`.

    Attributes
    ----------
    corners : ndarray (n_corners, dim)
    facet_name : str
        The reference cell of the facets.
    facets : ndarray (n_facets, n_facet_vertices)
        Corner numbers of each facet, the facets in VTK's order.
    middles : tuple of tuples
        The corners whose mean is each further node of the quadratic cell.
    children : ndarray (n_children, n_corners, 2)
        Regular refinement: the two corners (equal or not) halfway between which each corner of
        each child lies.
    """

    name: str
    corners: np.ndarray
    facet_name: str
    facets: np.ndarray
    middles: tuple[tuple[int, ...], ...]
    children: np.ndarray

    @property
    def dim(self) -> int:
        """Dimension."""
        return self.corners.shape[1]

    @property
    def is_simplex(self) -> bool:
        """Whether it is a simplex rather than a cube; a point is one."""
        return len(self.corners) == self.dim + 1

    @cached_property
    def facet_functions(self) -> tuple[np.ndarray, np.ndarray]:
        """Gradients (n_facets, dim) and offsets (n_facets,) of the affine functions λ_f ≥ 0.

        λ_f is 0 on facet f and 1 on the corners off it. The cell is {λ ≥ 0}, and −∇λ_f is the
        outward area vector of facet f with respect to the facet's own reference coordinates.
        """
        off = np.ones((len(self.facets), len(self.corners)))
        np.put_along_axis(off, self.facets, 0.0, axis=1)
        affine = np.column_stack([self.corners, np.ones(len(self.corners))])
        solution = np.rint(np.linalg.lstsq(affine, off.T, rcond=None)[0])
        return solution[:-1].T, solution[-1]


def _tensor_children(n_corners: int) -> np.ndarray:
    """Child c keeps the parent's axes and its corner c: its corner k is halfway from c to k."""
    return np.array([[(c, k) for k in range(n_corners)] for c in range(n_corners)])


def _labels(text: str) -> np.ndarray:
    """Turn "00 01,01 11" into the pairs of corners of two children."""
    return np.array([[(int(a), int(b)) for a, b in child.split()] for child in text.split(",")])


_SQUARE = ((0, 0), (1, 0), (1, 1), (0, 1))
_RING = ((0, 1), (1, 2), (2, 3), (3, 0))
_HEX_EDGES = (*_RING, (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
_HEX_FACES = ((0, 4, 7, 3), (1, 2, 6, 5), (0, 1, 5, 4), (3, 7, 6, 2), (0, 3, 2, 1), (4, 5, 6, 7))

# Simplices refine by Bey's rule (J. Bey, "Tetrahedral grid refinement", Computing 55, 1995), which
# keeps the corners in the order that makes repeated refinement produce at most three shapes. A
# child may be a mirror image, so tetrahedra carry no common orientation.
_BEY = "00 01 02 03,01 11 12 13,02 12 22 23,03 13 23 33,01 02 03 13,01 02 12 13,02 03 13 23,02 12 13 23"


def _cell(name, corners, facet_name, facets, middles, children) -> ReferenceCell:
    corners = np.array(corners, dtype=float)
    return ReferenceCell(name, corners, facet_name, np.array(facets, dtype=np.int64), middles, children)


CELLS: dict[str, ReferenceCell] = {
    cell.name: cell
    for cell in (
        _cell("point", ((),), "none", np.zeros((0, 0)), (), np.zeros((1, 1, 2), dtype=np.int64)),
        _cell("interval", ((0,), (1,)), "point", ((0,), (1,)), ((0, 1),), _labels("00 01,01 11")),
        _cell(
            "triangle", ((0, 0), (1, 0), (0, 1)), "interval",
            ((0, 1), (1, 2), (2, 0)), ((0, 1), (1, 2), (2, 0)),
            _labels("00 01 02,01 11 12,02 12 22,01 02 12"),
        ),
        _cell("quadrilateral", _SQUARE, "interval", _RING, (*_RING, (0, 1, 2, 3)), _tensor_children(4)),
        _cell(
            "tetrahedron", ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)), "triangle",
            ((0, 1, 3), (1, 2, 3), (2, 0, 3), (0, 2, 1)),
            ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)),
            _labels(_BEY),
        ),
        _cell(
            "hexahedron", [(*c, z) for z in (0, 1) for c in _SQUARE], "quadrilateral",
            _HEX_FACES, (*_HEX_EDGES, *_HEX_FACES, tuple(range(8))), _tensor_children(8),
        ),
    )
}  # fmt: skip

MESHIO_NAMES: dict[tuple[str, int], str] = {
    ("point", 1): "vertex",
    ("point", 2): "vertex",
    ("interval", 1): "line",
    ("interval", 2): "line3",
    ("triangle", 1): "triangle",
    ("triangle", 2): "triangle6",
    ("quadrilateral", 1): "quad",
    ("quadrilateral", 2): "quad9",
    ("tetrahedron", 1): "tetra",
    ("tetrahedron", 2): "tetra10",
    ("hexahedron", 1): "hexahedron",
    ("hexahedron", 2): "hexahedron27",
}


class Lagrange:
    """The Lagrange basis N_i(ξ) of degree 1 or 2 on a reference cell, and its gradients.

    Attributes
    ----------
    nodes : ndarray (n_nodes, dim)
    """

    def __init__(self, cell: ReferenceCell, degree: int) -> None:
        self.degree = degree
        middles = [cell.corners[list(part)].mean(axis=0) for part in cell.middles]
        self.nodes = np.vstack([cell.corners, *middles]) if degree == 2 else cell.corners
        exponents = np.array(list(product(range(degree + 1), repeat=cell.dim)), dtype=int)
        if cell.is_simplex:
            exponents = exponents[exponents.sum(axis=1) <= degree]
        self._exponents = exponents
        # In monomials these bases have whole coefficients, so rounding the inverse makes it exact.
        self._coefficients = np.rint(np.linalg.inv(self._monomials(self._powers(self.nodes))))

    def _powers(self, xi: np.ndarray) -> np.ndarray:
        return np.stack([np.ones_like(xi), xi, xi * xi][: self.degree + 1], axis=-1)

    def _monomials(self, powers: np.ndarray) -> np.ndarray:
        """Products over the axes of powers (..., dim, degree + 1): (..., n_nodes)."""
        values = np.ones((*powers.shape[:-2], len(self._exponents)))
        for axis in range(powers.shape[-2]):
            values *= powers[..., axis, self._exponents[:, axis]]
        return values

    def values(self, xi: np.ndarray) -> np.ndarray:
        """N_i at points xi (..., dim): (..., n_nodes)."""
        return self._monomials(self._powers(xi)) @ self._coefficients

    def gradients(self, xi: np.ndarray) -> np.ndarray:
        """∂N_i/∂ξ_j at points xi (..., dim): (..., n_nodes, dim)."""
        powers = self._powers(xi)
        slopes = np.stack([np.zeros_like(xi), np.ones_like(xi), 2 * xi][: self.degree + 1], axis=-1)
        columns = []
        for axis in range(xi.shape[-1]):
            mixed = powers.copy()
            mixed[..., axis, :] = slopes[..., axis, :]
            columns.append(self._monomials(mixed) @ self._coefficients)
        return np.stack(columns, axis=-1)


@lru_cache
def lagrange(name: str, degree: int) -> Lagrange:
    """Return the (shared) Lagrange basis of a reference cell."""
    return Lagrange(CELLS[name], degree)


def lattice(cell: ReferenceCell, divisions: int) -> np.ndarray:
    """All points of the reference cell whose coordinates are multiples of 1/divisions."""
    steps = np.array(list(product(range(divisions + 1), repeat=cell.dim)), dtype=float)
    if cell.is_simplex:
        steps = steps[steps.sum(axis=1) <= divisions]
    return steps / divisions
