"""Quadratic elements in the plane: strains at quadrature points from nodal displacements, and their transposes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.linalg as splinalg

from sciml.errors import DivergenceError, MeshError
from sciml.problem import MeshData
from sciml.problem.mesh import curve_mesh
from sciml.problem.mesh.geometry import jacobians, positions
from sciml.problem.mesh.quadrature import reference_rule

__all__ = ["Factor", "Numbered", "StrainElements"]

_TRIANGLE = (np.array([[1, 1], [4, 1], [1, 4]]) / 6, np.full(3, 1 / 6))
"""The symmetric rule of degree 2 with the fewest points."""


class StrainElements:
    """Elements of degree 2 (6 nodes on triangles, 9 on quadrilaterals) on a mesh of the plane.

    Cells keep the shape that the mesh gives them: straight sides stay straight.

    Parameters
    ----------
    mesh : MeshData
        Triangles or quadrilaterals of degree 1 or 2.
    degree : int
        Of the quadrature: 2 has three points in a triangle and nine in a quadrilateral.

    Raises
    ------
    MeshError
        The mesh does not lie in the plane.

    Attributes
    ----------
    nodes : (n_nodes, 2) array
    cells : (n_cells, k) array
        Nodes of each cell.
    weights : (n_points,) array
        Quadrature weights, |det J| included; points of a cell follow each other.
    points : (n_points, 2) array
    strain : (n_cells, q, 3, 2k) array
        (E_xx, E_yy, γ_xy) of each displacement component of each node of the cell, node by node.
    """

    def __init__(self, mesh: MeshData, degree: int = 2) -> None:
        if mesh.dim != 2:
            raise MeshError(
                f"A mesh of dimension {mesh.dim} was given; plane strain takes triangles or quadrilaterals."
            )
        fine = curve_mesh(mesh, lambda points: points, degree=2)
        used, cells = np.unique(fine.cells, return_inverse=True)
        self.mesh, self.degree = mesh, degree
        self.nodes: np.ndarray = fine.points[used]
        self.cells: np.ndarray = cells.reshape(len(fine.cells), -1)
        simple = mesh.cell_type == "triangle" and degree <= 2
        xi, weights = _TRIANGLE if simple else reference_rule(mesh.cell_type, max(degree, 4))
        jacobian = jacobians(mesh, xi)
        gradients = np.einsum("qkj,nqji->nqki", fine.basis.gradients(xi), np.linalg.inv(jacobian))
        self.strain = np.zeros((len(self.cells), len(xi), 3, 2 * self.cells.shape[1]))
        self.strain[:, :, 0, 0::2] = self.strain[:, :, 2, 1::2] = gradients[..., 0]
        self.strain[:, :, 1, 1::2] = self.strain[:, :, 2, 0::2] = gradients[..., 1]
        self.weights = (weights * np.abs(np.linalg.det(jacobian))).ravel()
        self.points = positions(mesh, xi).reshape(-1, 2)

    @property
    def n_points(self) -> int:
        """Number of quadrature points."""
        return len(self.weights)

    @property
    def points_per_cell(self) -> int:
        """Number of quadrature points of a cell."""
        return self.strain.shape[1]

    @cached_property
    def dofs(self) -> np.ndarray:
        """Components 2 · node + axis of each cell, in the order of `strain`: (n_cells, 2k)."""
        return (2 * self.cells[:, :, None] + np.arange(2)).reshape(len(self.cells), -1)

    def numbered(self, numbers: np.ndarray) -> Numbered:
        """The same elements with unknowns of another numbering.

        Parameters
        ----------
        numbers : (2 · n_nodes,) array of int
            The unknown that each component of each node is, −1 for one that is zero.
        """
        return Numbered(self, numbers)


class Numbered:
    """Elements whose nodal components are tied to independent unknowns: vectors and matrices of these.

    Attributes
    ----------
    size : int
        Number of unknowns.
    """

    def __init__(self, elements: StrainElements, numbers: np.ndarray) -> None:
        self.elements, self.size = elements, int(numbers.max()) + 1
        of_cells = numbers[elements.dofs]
        self._slots = np.where(of_cells >= 0, of_cells, self.size)
        n, k = self._slots.shape
        self._flat = np.ascontiguousarray(elements.strain.reshape(n, -1, k))
        rows, columns = np.repeat(self._slots, k, axis=1).ravel(), np.tile(self._slots, (1, k)).ravel()
        code, place = np.unique(columns * (self.size + 1) + rows, return_inverse=True)
        columns, rows = np.divmod(code, self.size + 1)
        self._kept = (rows < self.size) & (columns < self.size)
        self._place, self._n_places = place.ravel(), len(code)
        self._rows = rows[self._kept].astype(np.int32)
        self._starts = np.searchsorted(columns[self._kept], np.arange(self.size + 1)).astype(np.int32)

    def strains(self, unknowns: np.ndarray) -> np.ndarray:
        """Strains (n_points, 3) of unknowns (size,)."""
        local = np.append(unknowns, 0.0)[self._slots]
        return np.matmul(self._flat, local[:, :, None]).reshape(-1, 3)

    def forces(self, stress: np.ndarray) -> np.ndarray:
        """∫ stress · strain of each unknown: (size,), of stresses (n_points, 3)."""
        return self._gather(self._of_cells(stress))

    def force_scale(self, stress: np.ndarray) -> float:
        """The largest force of one cell on one unknown: what forces in balance are small beside."""
        return float(np.abs(self._of_cells(stress)).max())

    def force_sums(self, stress: np.ndarray) -> np.ndarray:
        """As :meth:`forces`, with the absolute values of the forces of the cells."""
        return self._gather(np.abs(self._of_cells(stress)))

    def many_forces(self, stresses: np.ndarray) -> np.ndarray:
        """:meth:`forces` of the columns of stresses (n_points, 3, m): (size, m)."""
        return np.stack([self.forces(stresses[:, :, column]) for column in range(stresses.shape[2])], axis=1)

    def stiffness(self, tangent: np.ndarray) -> sparse.csc_array:
        """∫ strain · tangent · strain, of tangents (n_points, 3, 3): (size, size)."""
        n, points, k = self._flat.shape
        weighted = (tangent * self.elements.weights[:, None, None]).reshape(n, points // 3, 3, 3)
        right = np.matmul(weighted, self.elements.strain).reshape(n, points, k)
        local = np.matmul(self._flat.transpose(0, 2, 1), right)
        # The places are those of columns first.
        values = np.bincount(self._place, local.ravel(), self._n_places)[self._kept]
        return sparse.csc_array((values, self._rows, self._starts), shape=(self.size, self.size))

    @cached_property
    def strain_matrix(self) -> sparse.csr_array:
        """The sparse matrix (3 · n_points, size) that :meth:`strains` multiplies with."""
        n, points, k = self._flat.shape
        rows = np.repeat(np.arange(n * points), k)
        columns = np.repeat(self._slots, points, axis=0).ravel()
        kept = columns < self.size
        entries = self._flat.reshape(-1)[kept], (rows[kept], columns[kept])
        return sparse.csr_array(entries, shape=(n * points, self.size))

    def _of_cells(self, stress: np.ndarray) -> np.ndarray:
        n, points, _ = self._flat.shape
        weighted = (stress * self.elements.weights[:, None]).reshape(n, 1, points)
        return np.matmul(weighted, self._flat)[:, 0]

    def _gather(self, local: np.ndarray) -> np.ndarray:
        return np.bincount(self._slots.ravel(), local.ravel(), self.size + 1)[:-1]


@dataclass
class Factor:
    """A sparse LU factorisation without pivoting, whose pivots tell whether a symmetric matrix is definite.

    Raises
    ------
    DivergenceError
        The matrix is singular, or its symmetric part is not positive definite.
    """

    lu: Any

    @staticmethod
    def of(matrix: sparse.csc_array, what: str) -> Factor:
        """Factorise; `what` names the matrix in the error."""
        try:
            lu = splinalg.splu(
                matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}, diag_pivot_thresh=0.0
            )
        except RuntimeError:
            raise DivergenceError(f"{what} is singular; the material has no stiffness left there.") from None
        if not (lu.U.diagonal() > 0).all():
            raise DivergenceError(f"{what} is indefinite: the material softens, so that no state is stable.")
        return Factor(lu)

    def solve(self, right: np.ndarray) -> np.ndarray:
        """The solution for one or several right sides (size,) or (size, m)."""
        return self.lu.solve(right)
