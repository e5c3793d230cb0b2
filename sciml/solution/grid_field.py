"""Values on the nodes of a regular grid of a box as a field."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from sciml.errors import OutputError
from sciml.problem import Box, Points, Problem
from sciml.problem.evolution import interpolation_weights
from sciml.solution.evolution import Evolution
from sciml.solution.field import Field

if TYPE_CHECKING:
    import h5py

__all__ = ["GridEvolution", "GridField"]

_NEAR = 4


class GridField(Field):
    """Piecewise polynomials through values on a grid: products of Lagrange polynomials along each axis.

    In each cell through the two (degree 1) or four (degree 3) nearest nodes along each axis, of the error h² and h⁴.
    Gradients are those of the interpolant, of the error h and h³; they may jump from cell to cell.

    Parameters
    ----------
    problem : Problem
        On a box of any dimension.
    values : (n₀, n₁, …, *shape) array
        At even nodes from one side of the box to the other; of a periodic axis without the upper side, whose values are
        those of the lower one.
    degree : {1, 3}
    periodic : (dim,) sequence of bool, optional
        Which axes are periodic; none by default.

    Raises
    ------
    ValueError
        The problem has no box, values that do not fit it, fewer nodes than the degree needs, or another degree.

    Examples
    --------
    >>> field = GridField(problem, np.zeros((65, 33)))
    """

    kind = "grid"

    def __init__(
        self, problem: Problem, values: np.ndarray, *, degree: int = 3, periodic: Sequence[bool] | None = None
    ) -> None:
        self.problem, self.shape, self.degree = problem, problem.shape, degree
        self.values = np.ascontiguousarray(values, dtype=float)
        self.periodic = tuple(map(bool, periodic or (False,) * problem.dim))
        if degree not in (1, 3):
            raise ValueError(f"degree={degree}; a grid field has degree 1 or 3.")
        if not isinstance(problem.domain, Box) or len(self.periodic) != problem.dim:
            raise ValueError(f"A grid field needs a box and one `periodic` for each axis, not {problem.domain!r}.")
        if self.values.shape[problem.dim :] != self.shape or self.values.ndim != problem.dim + len(self.shape):
            raise ValueError(
                f"The values have shape {self.values.shape}; needed are {problem.dim} axes of nodes, then {self.shape}."
            )
        if min(self.grid) <= degree:
            raise ValueError(f"A grid of {self.grid} nodes is too small for degree {degree}.")

    @property
    def grid(self) -> tuple[int, ...]:
        """Nodes along each axis."""
        return self.values.shape[: self.problem.dim]

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return tuple(n - (not periodic) for n, periodic in zip(self.grid, self.periodic))

    @property
    def lines(self) -> list[np.ndarray]:
        """Coordinates of the nodes along each axis."""
        domain = self.problem.domain
        return [a + (b - a) * np.arange(m) / n for a, b, m, n in zip(domain.lower, domain.upper, self.grid, self.cells)]

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        return self._interpolated(points, [None])[:, 0].reshape(len(points), *self.shape)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        dim = self.problem.dim
        slopes = self._interpolated(points, list(range(dim)))
        return np.moveaxis(slopes, 1, -1).reshape(len(points), *self.shape, dim)

    def _interpolated(self, points: np.ndarray, derivatives: list[int | None]) -> np.ndarray:
        """Values (None) or derivatives along axes ``(n, len(derivatives), k)``; NaN outside of the box."""
        points = np.asarray(points, dtype=float).reshape(-1, self.problem.dim)
        values = self.values.reshape(*self.grid, -1)
        out = np.full((len(points), len(derivatives), values.shape[-1]), np.nan)
        inside = np.flatnonzero(self.problem.domain.contains(points))
        places = Points(self.problem.domain.snapped(points[inside]))
        lattice = places.lattice
        if lattice is None:
            stencils = [self._stencil(axis, x) for axis, x in enumerate(places.array.T)]
            out[inside] = np.stack([self._scattered(values, stencils, d) for d in derivatives], axis=1)
            return out
        stencils = [self._stencil(axis, x) for axis, x in enumerate(lattice.lines)]
        for column, derivative in enumerate(derivatives):
            out[inside, column] = self._on_lines(values, stencils, derivative)[lattice.index]
        return out

    def _stencil(self, axis: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Nodes ``(n, degree + 1)`` along an axis, and their weights in the value and in the derivative."""
        domain, n, m = self.problem.domain, self.cells[axis], self.grid[axis]
        h = (domain.upper[axis] - domain.lower[axis]) / n
        place = (x - domain.lower[axis]) / h
        first = np.clip(np.floor(place).astype(int), 0, n - 1) - (self.degree - 1) // 2
        if not self.periodic[axis]:
            first = np.clip(first, 0, m - self.degree - 1)
        powers = np.arange(self.degree + 1)
        # Coefficients of the Lagrange polynomials of the nodes 0 … degree, a column each.
        basis = np.linalg.inv(np.vander(powers.astype(float), increasing=True))
        local = np.power.outer(place - first, powers)
        weights = local @ basis
        slopes = (local[:, :-1] * powers[1:]) @ basis[1:] / h
        return (first[:, None] + powers) % m, weights, slopes

    def _scattered(self, values: np.ndarray, stencils: list, derivative: int | None) -> np.ndarray:
        """At points that lie anywhere ``(n, k)``."""
        flat = values.reshape(-1, values.shape[-1])
        strides = np.cumprod([1, *self.grid[:0:-1]])[::-1]
        out = np.zeros((len(stencils[0][0]), flat.shape[1]))
        for corner in product(range(self.degree + 1), repeat=self.problem.dim):
            number, weight = 0, 1.0
            for axis, (node, (nodes, weights, slopes)) in enumerate(zip(corner, stencils)):
                number = number + nodes[:, node] * strides[axis]
                weight = weight * (slopes if axis == derivative else weights)[:, node]
            out += np.asarray(weight)[:, None] * flat[number]
        return out

    def _on_lines(self, values: np.ndarray, stencils: list, derivative: int | None) -> np.ndarray:
        """At all points of a grid of lines ``(m₀, m₁, …, k)``, one axis after the other."""
        for axis, (nodes, weights, slopes) in enumerate(stencils):
            own = slopes if axis == derivative else weights
            rows = np.arange(0, nodes.size + 1, nodes.shape[1])
            matrix = sparse.csr_array((own.ravel(), nodes.ravel(), rows), shape=(len(nodes), self.grid[axis]))
            lines = np.moveaxis(values, axis, 0)
            mixed = matrix @ lines.reshape(len(lines), -1)
            values = np.moveaxis(mixed.reshape(-1, *lines.shape[1:]), 0, axis)
        return values

    def store(self, group: h5py.Group) -> None:
        group.create_dataset("values", data=self.values)
        group.attrs["degree"] = self.degree
        group.attrs["periodic"] = self.periodic

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> GridField:
        periodic = [bool(flag) for flag in group.attrs["periodic"]]
        try:
            return cls(problem, group["values"][()], degree=int(group.attrs["degree"]), periodic=periodic)
        except ValueError as error:
            raise OutputError(f"The stored grid does not fit the problem: {error}") from error


class GridEvolution(Evolution):
    """Values on the nodes of a regular grid at some instants; between them by polynomials through the four nearest.

    Parameters
    ----------
    problem : Problem
    times : (m,) array
    values : (m, n₀, n₁, …, *shape) array
        As of :class:`GridField`, at each instant.
    periodic : bool
        Whether all axes are.

    Raises
    ------
    ValueError
        As :class:`GridField`.
    """

    kind = "grid in time"

    def __init__(self, problem: Problem, times: np.ndarray, values: np.ndarray, *, periodic: bool = False) -> None:
        self.problem, self.times = problem, np.asarray(times, dtype=float)
        self.values, self.periodic = np.asarray(values, dtype=float), bool(periodic)
        if len(self.values) != len(self.times):
            raise ValueError(f"{len(self.values)} states were given for {len(self.times)} instants.")
        self.field_at(float(self.times[0]))

    def field_at(self, instant: float) -> GridField:
        first = int(np.clip(np.searchsorted(self.times, instant) - _NEAR // 2, 0, max(0, len(self.times) - _NEAR)))
        nodes = slice(first, first + _NEAR)
        weights = interpolation_weights(self.times[nodes], instant)
        state = np.tensordot(weights, self.values[nodes], (0, 0))
        return GridField(self.problem.at_time(instant), state, periodic=[self.periodic] * self.problem.dim)

    def store(self, group: h5py.Group) -> None:
        group.create_dataset("times", data=self.times)
        group.create_dataset("values", data=self.values)
        group.attrs["periodic"] = self.periodic

    @classmethod
    def restore(cls, group: h5py.Group, problem: Problem) -> GridEvolution:
        try:
            return cls(problem, group["times"][()], group["values"][()], periodic=bool(group.attrs["periodic"]))
        except ValueError as error:
            raise OutputError(f"The stored frames do not fit the problem: {error}") from error
