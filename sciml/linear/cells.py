"""Labelled cells: a uniform grid of fluid, solid and held cells, the matrix on it, and its coarser likenesses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse
from scipy.ndimage import label

from sciml.errors import ParameterError

__all__ = ["DIRICHLET", "FLUID", "SOLID", "Cells"]

SOLID, FLUID, DIRICHLET = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Cells:
    """The symmetric matrix A of a diffusion on the fluid cells of a uniform grid, by finite volumes.

    ::

        (A u)_c = Σ_axes w_axis Σ_neighbours (u_c − u_neighbour) + (held_c + reaction_c) u_c

    A neighbour that is solid is left out (no flux), one that is Dirichlet counts as zero. With weights of 1 this is
    the unscaled 5- or 7-point stencil; with w = k/h², cells of different sides.

    Parameters
    ----------
    labels : (n₀ + 2, …) array of int
        SOLID (0), FLUID (1) or DIRICHLET (2), in one to three dimensions; the outermost layer says what lies beyond
        the grid and has no fluid.
    weights : (dim,) sequence of float, optional
        w > 0 of each axis; 1 by default.
    reaction : (n₀, …) array, optional
        c ≥ 0 per cell, as a reaction or a step in time adds.
    held : (dim, n₀, …) array, optional
        What boundaries across each axis add to the diagonal beyond a Dirichlet neighbour's w: for a value held at the
        distance θ h from the centre, w (1/θ − 1). It may be as low as −w for each Dirichlet neighbour.

    Raises
    ------
    ParameterError
        Shapes that do not fit, other labels, fluid in the outermost layer or nowhere, weights or coefficients that
        are not positive.

    Notes
    -----
    The value at the distance θ h: F. Gibou, R. Fedkiw, L.-T. Cheng, M. Kang, J. Comput. Phys. 176 (2002) 205.
    """

    labels: np.ndarray
    weights: Sequence[float] = ()
    reaction: np.ndarray | None = None
    held: np.ndarray | None = None

    def __post_init__(self) -> None:
        given = np.asarray(self.labels)
        if given.ndim not in (1, 2, 3) or min(given.shape) < 3:
            raise ParameterError(
                f"Labels of shape {given.shape} are no grid; needed are 1 to 3 axes with one layer around the cells."
            )
        if not np.isin(np.unique(given), (SOLID, FLUID, DIRICHLET)).all():
            raise ParameterError(
                f"Labels are {np.unique(given).tolist()[:6]}; allowed are 0 solid, 1 fluid, 2 Dirichlet."
            )
        object.__setattr__(self, "labels", given.astype(np.int8))
        object.__setattr__(self, "weights", tuple(map(float, self.weights)) or (1.0,) * given.ndim)
        fluid = int((given == FLUID).sum())
        if not fluid or int(self.fluid.sum()) < fluid:
            where = "no cell" if not fluid else "the outermost layer, which only says what lies beyond"
            raise ParameterError(f"The label 1 (fluid) stands in {where}; some inner cell needs it, and no other.")
        if len(self.weights) != self.dim or not all(np.isfinite(w) and w > 0 for w in self.weights):
            raise ParameterError(f"weights = {self.weights} are not {self.dim} positive numbers, one for each axis.")
        self._check("reaction", self.reaction, self.shape)
        self._check("held", self.held, (self.dim, *self.shape))
        if self.reaction is not None and (self.reaction < 0).any():
            raise ParameterError(f"reaction has the value {self.reaction.min():g}; it must not be negative.")
        if self.held is not None and (self.margin < -1e-12 * max(self.weights)).any():
            raise ParameterError("held is below −w for each Dirichlet neighbour somewhere; the matrix were indefinite.")

    def _check(self, name: str, values: np.ndarray | None, shape: tuple[int, ...]) -> None:
        if values is not None and (values.shape != shape or not np.isfinite(values).all()):
            raise ParameterError(f"{name} has shape {values.shape} or is not finite; needed are finite values {shape}.")

    @property
    def dim(self) -> int:
        """Number of axes."""
        return self.labels.ndim

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return tuple(n - 2 for n in self.labels.shape)

    @cached_property
    def fluid(self) -> np.ndarray:
        """Which cells are fluid ``(n₀, …)``."""
        return self.labels[(slice(1, -1),) * self.dim] == FLUID

    def _sides(self, mask: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """An array with the outermost layer as seen from both sides of each cell along an axis."""
        inner = [slice(1, -1)] * self.dim
        below, above = list(inner), list(inner)
        below[axis], above[axis] = slice(0, -2), slice(2, None)
        return mask[tuple(below)], mask[tuple(above)]

    def _neighbours(self, mask: np.ndarray) -> np.ndarray:
        """Σ w over the neighbours in a mask."""
        total = np.zeros(self.shape)
        for axis, weight in enumerate(self.weights):
            below, above = self._sides(mask, axis)
            total += weight * (below.astype(np.int8) + above)
        return total

    @cached_property
    def diagonal(self) -> np.ndarray:
        """The diagonal of A, zero outside of the fluid ``(n₀, …)``."""
        total = self._neighbours(self.labels != SOLID)
        if self.held is not None:
            total += self.held.sum(axis=0)
        if self.reaction is not None:
            total += self.reaction
        return np.where(self.fluid, total, 0.0)

    @cached_property
    def margin(self) -> np.ndarray:
        """Sums of the rows of A, zero outside of the fluid ``(n₀, …)``: what holds a cell besides its neighbours."""
        return np.where(self.fluid, self.diagonal - self._neighbours(self.labels == FLUID), 0.0)

    @cached_property
    def loose(self) -> tuple[np.ndarray, np.ndarray]:
        """The cells of connected components that nothing holds, and their components.

        On each of them A is singular: constants are free, and a right side must have the sum 0.

        Returns
        -------
        (m,), (m,) arrays of int
            Flat numbers of the cells, and numbers from 0 of the components they are in.
        """
        components, count = label(self.fluid)
        held = np.zeros(count + 1, dtype=bool)
        held[components[self.margin > 1e-12 * max(self.weights)]] = held[0] = True
        if held.all():
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        cells = np.flatnonzero(~held[components])
        return cells, np.unique(components.flat[cells], return_inverse=True)[1]

    @property
    def matrix(self) -> scipy.sparse.csr_array:
        """A for the fluid cells in row-major order."""
        number = np.full(self.labels.shape, -1, dtype=np.int64)
        number[self.labels == FLUID] = np.arange(self.fluid.sum())
        own = number[(slice(1, -1),) * self.dim]
        rows, columns, values = [own[self.fluid]], [own[self.fluid]], [self.diagonal[self.fluid]]
        for axis, weight in enumerate(self.weights):
            for side in self._sides(number, axis):
                pair = self.fluid & (side >= 0)
                rows.append(own[pair])
                columns.append(side[pair])
                values.append(np.full(len(rows[-1]), -weight))
        size = len(rows[0])
        entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
        return scipy.sparse.csr_array(entries, shape=(size, size))

    # -- coarser cells -----------------------------------------------------------------------------------

    @cached_property
    def halved(self) -> tuple[bool, ...]:
        """The axes along which coarser cells are twice as long: those with the strongest coupling."""
        free = [weight for weight, n in zip(self.weights, self.shape, strict=True) if n > 1]
        strongest = max(free, default=0.0)
        return tuple(n > 1 and 4 * w > strongest for w, n in zip(self.weights, self.shape, strict=True))

    def padded(self) -> Cells:
        """The same with an even number of cells along the axes that are halved, by copies of the layer at the end."""
        extra = [int(half and n % 2) for half, n in zip(self.halved, self.shape, strict=True)]
        if not any(extra):
            return self
        wide = [(0, e) for e in extra]
        return Cells(
            np.pad(self.labels, wide, mode="edge"),
            self.weights,
            None if self.reaction is None else np.pad(self.reaction, wide),
            None if self.held is None else np.pad(self.held, [(0, 0), *wide]),
        )

    def coarser(self) -> Cells | None:
        """Cells of twice the size along the axes that are halved, of an even grid; None where none would be fluid.

        Dirichlet where a child is, else fluid where a child is, else solid.
        """
        fluid, held = (self._any_child(self.labels == what) for what in (FLUID, DIRICHLET))
        labels = np.where(held, DIRICHLET, np.where(fluid, FLUID, SOLID)).astype(np.int8)
        inner = labels[(slice(1, -1),) * self.dim] == FLUID
        if not inner.any() or not any(self.halved):
            return None
        weights = [w / 4 if half else w for w, half in zip(self.weights, self.halved, strict=True)]
        reaction = None if self.reaction is None else np.where(inner, self._mean(self.reaction), 0.0)
        walls = None
        if self.held is not None:
            # A wall covers half of the cells across, and half as much area for their volume.
            parts = [self._mean(part) * (0.5 if half else 1.0) for part, half in zip(self.held, self.halved)]
            walls = np.where(inner, np.maximum(np.stack(parts), 0.0), 0.0)
        return Cells(labels, weights, reaction, walls)

    def _any_child(self, mask: np.ndarray) -> np.ndarray:
        """Pairs along the halved axes joined by "or"; the outermost layers stay."""
        for axis in (axis for axis, half in enumerate(self.halved) if half):
            lines = np.moveaxis(mask, axis, 0)
            joined = np.concatenate([lines[:1], lines[1:-1:2] | lines[2:-1:2], lines[-1:]])
            mask = np.moveaxis(joined, 0, axis)
        return mask

    def _mean(self, values: np.ndarray) -> np.ndarray:
        """Means of pairs along the halved axes."""
        for axis in (axis for axis, half in enumerate(self.halved) if half):
            lines = np.moveaxis(values, axis, 0)
            values = np.moveaxis((lines[::2] + lines[1::2]) / 2, 0, axis)
        return values
