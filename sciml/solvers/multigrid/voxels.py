"""Finite volumes on the cells of a bounding box whose centres lie in the domain of a mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from sciml.errors import OptionError
from sciml.linear import DIRICHLET, FLUID, SOLID, Cells
from sciml.problem import Dirichlet, Problem
from sciml.problem.meshdomain import MeshDomain
from sciml.solution import CellField
from sciml.solvers.multigrid.boundary import nearest_facets
from sciml.solvers.multigrid.boxes import divided
from sciml.solvers.multigrid.law import fluxes, held_values, law_of, right_side

__all__ = ["VoxelSystem"]

_BISECTIONS = 18
_NEAREST = 1e-6
_POINTS_PER_CELL = 2
_LAYERS = 2


@dataclass(frozen=True)
class _Cuts:
    """Where lines from centres of cells along an axis leave the domain before the next centre.

    Attributes
    ----------
    axis, side : int
        Of the line; the side is −1 or 1.
    cells : (n, dim) array
        Indices of the cells inside.
    share : (n,) array
        Distance of the boundary in widths of a cell, in (0, 1].
    values : (n,) array
        What is held there; NaN where a flux is given.
    """

    axis: int
    side: int
    cells: np.ndarray
    share: np.ndarray
    values: np.ndarray

    @property
    def beyond(self) -> np.ndarray:
        """Indices of the cells outside, counted with one layer around the grid."""
        index = self.cells + 1
        index[:, self.axis] += self.side
        return index


class VoxelSystem:
    """Cells and right side for a domain given by a mesh.

    Values held on the boundary count at their true distance along each axis (second order). A flux through the boundary
    goes into the nearest cell, so that the total is right; the steps of the cells have another area than the boundary
    (first order).

    Attributes
    ----------
    cells : Cells
    right : (n₀, …) array
    notes : list of str
    """

    def __init__(self, problem: Problem, cells: int) -> None:
        domain = problem.domain
        assert isinstance(domain, MeshDomain)
        self.problem, self._domain, self._law = problem, domain, law_of(problem)
        extent = domain.upper - domain.lower
        self.shape = divided(extent, cells)
        self.widths = extent / self.shape
        # One layer of centres around the grid is there for values beyond the boundary.
        self._lines = [
            low + h * (np.arange(-1, n + 1) + 0.5)
            for low, h, n in zip(domain.lower, self.widths, self.shape, strict=True)
        ]
        self._inside = self._voxels()
        if not self._inside.any():
            raise OptionError(f"None of {self.shape} cells has its centre in {domain!r}; raise `cells`.")
        self._pieces = problem.boundary_pieces
        self._piece_of = np.zeros(domain.n_boundary_elements, dtype=np.int64)
        for number, piece in enumerate(self._pieces):
            self._piece_of[piece.part.elements] = number
        self._cuts = [self._cut(axis, side) for axis in range(problem.dim) for side in (-1, 1)]
        self._assemble()
        share = self._inside.sum() * np.prod(self.widths) / domain.volume
        self.notes = (
            f"cells cover {share:.4f} of the domain's volume; fluxes through its boundary enter the nearest cells",
        )

    def _voxels(self) -> np.ndarray:
        """Which cells have their centre in the domain, with one layer around."""
        inside = np.zeros([n + 2 for n in self.shape], dtype=bool)
        centres = np.stack(np.meshgrid(*(line[1:-1] for line in self._lines), indexing="ij"), axis=-1)
        found = self._domain.contains(centres.reshape(-1, self.problem.dim))
        inside[(slice(1, -1),) * self.problem.dim] = found.reshape(self.shape)
        return inside

    def _centres(self, cells: np.ndarray) -> np.ndarray:
        return np.stack([line[1 + k] for line, k in zip(self._lines, cells.T, strict=True)], axis=1)

    def _cut(self, axis: int, side: int) -> _Cuts:
        beyond = np.roll(self._inside, -side, axis)
        cells = np.argwhere(self._inside & ~beyond) - 1
        starts = self._centres(cells)
        step = np.zeros(self.problem.dim)
        step[axis] = side * self.widths[axis]
        low, high = np.zeros(len(cells)), np.ones(len(cells))
        for _ in range(_BISECTIONS if len(cells) else 0):
            middle = (low + high) / 2
            within = self._domain.contains(starts + middle[:, None] * step)
            low, high = np.where(within, middle, low), np.where(within, high, middle)
        share = np.maximum((low + high) / 2, _NEAREST)
        points = starts + share[:, None] * step
        return _Cuts(axis, side, cells, share, self._held(points))

    def _held(self, points: np.ndarray) -> np.ndarray:
        """Values that the boundary holds at points of it, NaN where it holds none."""
        values = np.full(len(points), np.nan)
        if not len(points):
            return values
        number = self._piece_of[nearest_facets(self._domain.data, points, float(self.widths.max()) / 2)]
        for k, piece in enumerate(self._pieces):
            own, condition = number == k, piece.conditions[0]
            if isinstance(condition, Dirichlet) and own.any():
                values[own] = held_values(self.problem, condition, points[own])
        return values

    def _assemble(self) -> None:
        problem, d = self.problem, self.problem.dim
        weights = self._law.diffusion / self.widths**2
        labels = np.where(self._inside, FLUID, SOLID).astype(np.int8)
        for cut in self._cuts:
            labels[tuple(cut.beyond[~np.isnan(cut.values)].T)] = DIRICHLET
        held = np.zeros((d, *self.shape))
        own = np.argwhere(self._inside) - 1
        self.right = np.zeros(self.shape)
        self.right[tuple(own.T)] = right_side(problem, self._centres(own))
        for cut in self._cuts:
            known = ~np.isnan(cut.values)
            place, weight = tuple(cut.cells.T), weights[cut.axis]
            through = np.where(known, weight / cut.share, 0.0)
            counted = np.where(labels[tuple(cut.beyond.T)] == DIRICHLET, weight, 0.0)
            np.add.at(held[cut.axis], place, through - counted)
            np.add.at(self.right, place, through * np.where(known, cut.values, 0.0))
        self._add_fluxes()
        reaction = None if self._law.reaction == 0 else np.full(self.shape, self._law.reaction)
        self.cells = Cells(labels, weights.tolist(), reaction, held)

    def _add_fluxes(self) -> None:
        """∫ g over each part of the boundary, shared among the cells nearest to its points."""
        rim = np.unique(np.concatenate([cut.cells for cut in self._cuts]), axis=0)
        tree = cKDTree(self._centres(rim))
        for piece in self._pieces:
            if isinstance(piece.conditions[0], Dirichlet):
                continue
            per_cell = _POINTS_PER_CELL ** (self.problem.dim - 1) / self.widths.min() ** (self.problem.dim - 1)
            points, normals, measures = piece.part.quadrature(piece.part.measure * per_cell)
            g, _ = fluxes(self.problem, piece.conditions[0], points, normals)
            if g.any():
                nearest = rim[tree.query(points)[1]]
                np.add.at(self.right, tuple(nearest.T), g * measures / np.prod(self.widths))

    def field(self, values: np.ndarray) -> CellField:
        """The interpolant of values in the centres ``(n₀, …)``, continued beyond the boundary."""
        wide = np.full(self._inside.shape, np.nan)
        inner = (slice(1, -1),) * self.problem.dim
        wide[inner] = np.where(self._inside[inner], values, np.nan)
        sums, counts = np.zeros(wide.shape), np.zeros(wide.shape)
        for cut in self._cuts:
            known = ~np.isnan(cut.values)
            beyond = tuple(cut.beyond[known].T)
            np.add.at(sums, beyond, _through_boundary(wide, cut)[known])
            np.add.at(counts, beyond, 1.0)
        wide = np.where(counts > 0, sums / np.maximum(counts, 1.0), wide)
        for _ in range(_LAYERS):
            wide = _continued(wide)
        nearest = distance_transform_edt(np.isnan(wide), return_distances=False, return_indices=True)
        return CellField(self.problem, self._lines, wide[tuple(nearest)])


def _through_boundary(wide: np.ndarray, cut: _Cuts) -> np.ndarray:
    """Values of the cells beyond cuts, linear through the value held and that of a cell inside.

    That is the next cell where it is at least half a width away, else the one behind it.
    """
    own = cut.cells + 1
    behind = own.copy()
    behind[:, cut.axis] -= cut.side
    near, far = wide[tuple(own.T)], wide[tuple(behind.T)]
    by_near = near + (cut.values - near) / np.maximum(cut.share, 0.5)
    by_far = far + 2 * (cut.values - far) / (1 + cut.share)
    return np.where((cut.share < 0.5) & ~np.isnan(far), by_far, by_near)


def _continued(wide: np.ndarray) -> np.ndarray:
    """Cells without a value that have neighbours with one: linear along each axis, or constant; the mean over all."""
    linear, constant = (np.zeros((2, *wide.shape)) for _ in range(2))
    padded = np.pad(wide, 2, constant_values=np.nan)
    inner = tuple(slice(2, 2 + n) for n in wide.shape)
    for axis in range(wide.ndim):
        for side in (-1, 1):
            first, second = (np.roll(padded, -side * k, axis)[inner] for k in (1, 2))
            for sums, seen in ((linear, 2 * first - second), (constant, first)):
                known = ~np.isnan(seen)
                sums[0] += np.where(known, seen, 0.0)
                sums[1] += known
    best = np.where(linear[1] > 0, linear, constant)
    filled = np.where(best[1] > 0, best[0] / np.maximum(best[1], 1.0), np.nan)
    return np.where(np.isnan(wide), filled, wide)
