"""Symmetric stencils of a grid: how each cell couples with its neighbours, corners included, and their matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import product

import numpy as np
import scipy.sparse

from sciml.errors import ParameterError
from sciml.linear.cells import DIRICHLET, FLUID, Cells

__all__ = ["Grid", "Offset"]

Offset = tuple[int, ...]


class Grid:
    """Labelled cells of a uniform grid with the symmetric matrix of a diffusion on the fluid ones.

    ::

        (A u)_c = Σ_offsets a_offset(c) u_(c + offset)

    The offsets are those of the 3^dim cells around c, or some of them.

    Parameters
    ----------
    labels : (n₀ + 2, …) array of int
        SOLID, FLUID or DIRICHLET as in :class:`~sciml.linear.Cells`, with the layer that lies around the grid.
    stencil : mapping from (dim,) tuple of int to (n₀, …) array
        a of each offset; zero wherever c or c + offset is not fluid.
    spacing : (dim,) sequence of float, optional
        Edges of a cell; 1 by default.
    cells : Cells, optional
        Where the coefficients are constant: what made the stencil.
    faces : (dim,) sequence of arrays, optional
        Where coefficients stand on faces: of each axis (n₀, …, n_axis + 1, …), those of the boundary included.
    tensors : (dim, dim, n₀ + 1, …) array, optional
        Where they stand in elements between the unknowns: symmetric positive definite tensors.

    Attributes
    ----------
    labels, stencil, spacing, cells, faces, tensors
        As given.
    """

    def __init__(
        self,
        labels: np.ndarray,
        stencil: Mapping[Offset, np.ndarray],
        *,
        spacing: Sequence[float] = (),
        cells: Cells | None = None,
        faces: Sequence[np.ndarray] | None = None,
        tensors: np.ndarray | None = None,
    ) -> None:
        # The labels are looked over where cells are made of them.
        self._looked_over = cells if cells is not None else Cells(labels)
        self.labels = self._looked_over.labels
        self.stencil = dict(stencil)
        self.spacing = tuple(map(float, spacing)) or (1.0,) * self.labels.ndim
        self.cells, self.faces, self.tensors = cells, faces, tensors

    @property
    def dim(self) -> int:
        """Number of axes."""
        return self.labels.ndim

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return self._looked_over.shape

    @property
    def fluid(self) -> np.ndarray:
        """Which cells are unknowns ``(n₀, …)``."""
        return self._looked_over.fluid

    @cached_property
    def places(self) -> np.ndarray:
        """Flat numbers of the fluid cells ``(n,)``, in row-major order."""
        return np.flatnonzero(self.fluid)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Values of the unknowns ``(n,)`` on the grid ``(n₀, …)``, zero elsewhere."""
        out = np.zeros(self.shape, dtype=values.dtype)
        out.ravel()[self.places] = values
        return out

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Values on the grid ``(n₀, …)`` of the unknowns ``(n,)``."""
        return values.ravel()[self.places]

    @cached_property
    def matrix(self) -> scipy.sparse.csr_array:
        """A for the fluid cells in row-major order, float64."""
        number = np.full(self.labels.shape, -1, dtype=np.int64)
        number[self.labels == FLUID] = np.arange(len(self.places))
        inner = (slice(1, -1),) * self.dim
        own = number[inner]
        rows, columns, entries = [], [], []
        for offset, values in self.stencil.items():
            seen = number[tuple(slice(1 + o, n + 1 + o) for o, n in zip(offset, self.shape, strict=True))]
            pair = (own >= 0) & (seen >= 0) & (values != 0)
            rows.append(own[pair])
            columns.append(seen[pair])
            entries.append(values[pair])
        size = len(self.places)
        triples = np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))
        return scipy.sparse.csr_array(triples, shape=(size, size))

    # -- making one ----------------------------------------------------------------------------------------

    @classmethod
    def of_cells(cls, cells: Cells, spacing: Sequence[float] = ()) -> Grid:
        """The 5- or 7-point stencil of cells with constant coefficients."""
        stencil = {(0,) * cells.dim: cells.diagonal}
        known = cells.labels == FLUID
        for axis, weight in enumerate(cells.weights):
            for step in (-1, 1):
                offset = tuple(step * (k == axis) for k in range(cells.dim))
                beside = known[tuple(slice(1 + o, n + 1 + o) for o, n in zip(offset, cells.shape, strict=True))]
                stencil[offset] = np.where(cells.fluid & beside, -weight, 0.0)
        return cls(cells.labels, stencil, spacing=spacing, cells=cells)

    @classmethod
    def of_faces(cls, faces: Sequence[np.ndarray], spacing: Sequence[float] = ()) -> Grid:
        """Finite volumes: what flows through a face is its coefficient times the difference of both cells.

        Around the grid all is Dirichlet, with values at the centres of the cells beyond; a coefficient of 0 closes a
        face.

        Parameters
        ----------
        faces : (dim,) sequence of arrays
            k ≥ 0 of each axis (n₀, …, n_axis + 1, …).
        spacing : (dim,) sequence of float, optional
            h; a face of an axis counts k · Π h / h_axis².

        Raises
        ------
        ParameterError
            Shapes that are of no grid, or coefficients that are negative or not finite.
        """
        dim = len(faces)
        shape = tuple(n - (axis == 0) for axis, n in enumerate(faces[0].shape))
        for axis, k in enumerate(faces):
            wanted = tuple(n + (a == axis) for a, n in enumerate(shape))
            if k.shape != wanted or not np.isfinite(k).all() or (k < 0).any():
                raise ParameterError(
                    f"Coefficients on the faces of axis {axis} have shape {k.shape} or are negative or not finite; "
                    f"needed are finite ones ≥ 0 of shape {wanted}."
                )
        h = tuple(map(float, spacing)) or (1.0,) * dim
        diagonal = np.zeros(shape)
        stencil: dict[Offset, np.ndarray] = {(0,) * dim: diagonal}
        for axis, k in enumerate(faces):
            weighted = k * (np.prod(h) / h[axis] ** 2)
            for step, side in ((-1, slice(0, -1)), (1, slice(1, None))):
                here = weighted[(slice(None),) * axis + (side,)]
                diagonal += here
                inner = -here.copy()
                inner[(slice(None),) * axis + (0 if step < 0 else -1,)] = 0.0
                stencil[tuple(step * (a == axis) for a in range(dim))] = inner
        return cls(_open_box(shape), stencil, spacing=h, faces=faces)

    @classmethod
    def of_tensors(cls, tensors: np.ndarray, spacing: Sequence[float] = ()) -> Grid:
        """Multilinear elements: unknowns are the inner nodes, each element has its own constant tensor.

        Around the grid all is Dirichlet. The stencil has 9 or 27 points; the matrix is positive definite for any
        positive definite tensors, and no M-matrix where they are turned against the grid.

        Parameters
        ----------
        tensors : (dim, dim, n₀ + 1, …) array
        spacing : (dim,) sequence of float, optional

        Raises
        ------
        ParameterError
            A shape that is of no grid, or tensors that are not symmetric.
        """
        dim = tensors.shape[0]
        if tensors.ndim != dim + 2 or tensors.shape[1] != dim or not np.array_equal(tensors, tensors.swapaxes(0, 1)):
            raise ParameterError(
                f"Tensors of shape {tensors.shape} are of no grid or not symmetric; needed are symmetric ones "
                f"(dim, dim, n₀ + 1, …)."
            )
        h = tuple(map(float, spacing)) or (1.0,) * dim
        shape = tuple(n - 1 for n in tensors.shape[2:])
        stencil: dict[Offset, np.ndarray] = {o: np.zeros(shape) for o in product((-1, 0, 1), repeat=dim)}
        products = _gradient_products(h)
        corners = list(product((0, 1), repeat=dim))
        # The lower half is copied, so that the matrix is symmetric to the last bit.
        for a, b in product(range(len(corners)), repeat=2):
            offset = tuple(int(q) for q in np.subtract(corners[b], corners[a]))
            if offset < (0,) * dim:
                continue
            entries = np.einsum("ij,ij...->...", products[:, :, a, b], tensors)
            # Node (k) of the unknowns is corner 0 of element (k + 1).
            seen = entries[tuple(slice(1 - c, n + 1 - c) for c, n in zip(corners[a], shape, strict=True))]
            stencil[offset] += seen
        for offset, values in stencil.items():
            for axis, step in enumerate(offset):
                if step:
                    values[(slice(None),) * axis + (0 if step < 0 else -1,)] = 0.0
            if offset > (0,) * dim:
                _reflect(values, stencil[tuple(-o for o in offset)], offset)
        return cls(_open_box(shape), stencil, spacing=h, tensors=tensors)

    @classmethod
    def of_matrix(cls, matrix: scipy.sparse.csr_array, shape: Sequence[int]) -> Grid:
        """The stencil of a matrix whose unknowns are the cells of a grid in row-major order.

        Raises
        ------
        ParameterError
            The matrix has another number of rows, or couples cells that are no neighbours.
        """
        shape = tuple(shape)
        if matrix.shape != (int(np.prod(shape)),) * 2:
            raise ParameterError(
                f"The matrix has {matrix.shape[0]} rows, and a grid of {'x'.join(map(str, shape))} has "
                f"{int(np.prod(shape))} cells; give the grid that its unknowns are on."
            )
        entries = matrix.tocoo()
        rows, columns = (np.stack(np.unravel_index(i, shape)) for i in (entries.row, entries.col))
        steps = columns - rows
        if len(steps.T) and np.abs(steps).max() > 1:
            k = int(np.argmax(np.abs(steps).max(axis=0)))
            raise ParameterError(
                f"The matrix couples the unknowns {entries.row[k]} and {entries.col[k]}, which are no neighbours on a "
                f"grid of {'x'.join(map(str, shape))}; it isn't on this grid."
            )
        stencil: dict[Offset, np.ndarray] = {}
        for offset in product((-1, 0, 1), repeat=len(shape)):
            mask = (steps == np.array(offset)[:, None]).all(axis=0)
            if mask.any():
                values = np.zeros(shape)
                values.ravel()[entries.row[mask]] = entries.data[mask]
                stencil[offset] = values
        return cls(_open_box(shape), stencil)


def _reflect(values: np.ndarray, out: np.ndarray, offset: Offset) -> None:
    """The coefficients of the opposite offset: what c has with c + offset, c + offset has with c."""
    here = tuple(slice(max(0, -o), n - max(0, o)) for o, n in zip(offset, values.shape, strict=True))
    there = tuple(slice(max(0, o), n - max(0, -o)) for o, n in zip(offset, values.shape, strict=True))
    out[there] = values[here]


def _open_box(shape: Sequence[int]) -> np.ndarray:
    """Labels of fluid in a layer of Dirichlet cells."""
    labels = np.full([n + 2 for n in shape], DIRICHLET, dtype=np.int8)
    labels[(slice(1, -1),) * len(shape)] = FLUID
    return labels


def _gradient_products(spacing: Sequence[float]) -> np.ndarray:
    """∫ ∂φ_a/∂x_i ∂φ_b/∂x_j over an element with the corners in row-major order ``(dim, dim, 2^dim, 2^dim)``."""
    dim = len(spacing)
    out = np.empty((dim, dim, 2**dim, 2**dim))
    for i, j in product(range(dim), repeat=2):
        block = np.ones((1, 1))
        for axis, h in enumerate(spacing):
            left, right = i == axis, j == axis
            if left and right:
                one = np.array([[1.0, -1.0], [-1.0, 1.0]]) / h
            elif left:
                one = np.array([[-0.5, -0.5], [0.5, 0.5]])
            elif right:
                one = np.array([[-0.5, 0.5], [-0.5, 0.5]])
            else:
                one = np.array([[2.0, 1.0], [1.0, 2.0]]) * h / 6
            block = np.kron(block, one)
        out[i, j] = block
    return out
