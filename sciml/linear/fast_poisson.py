"""Poisson's equation on the grid of a box by differences, solved directly by sine, cosine and Fourier transforms.

Of the second order by central differences (R. W. Hockney, J. ACM 12 (1965) 95). Of the fourth by the compact formulas
that join neighbours only: with δ² the central difference, δ²u = (1 + h²δ²/12) u″ + O(h⁴), so that along each axis the
stiffness −δ² and the mass 1 + h²δ²/12 stand where finite elements have theirs, and products of them make the nine-point
formula of the plane (L. Collatz, The Numerical Treatment of Differential Equations, 1960, chapter V).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal

import numpy as np
from scipy import sparse

from sciml.linear.axes import Axis, EvenAxis, PeriodicAxis
from sciml.linear.fast_diagonalisation import FastDiagonalisation

__all__ = ["FEWEST_CELLS", "FastPoisson", "Side"]

Side = Literal["dirichlet", "neumann", "periodic"]
FEWEST_CELLS = 4
_SHARES = {2: 0.0, 4: 1 / 12}
_GREGORY = np.array([-1 / 8, 1 / 6, -1 / 24])
"""What makes the trapezoidal rule exact for cubic polynomials, at the first three nodes."""
_SLOPE = np.array([25 / 12, -4.0, 3.0, -4 / 3, 1 / 4])
_BEND = np.array([35 / 12, -26 / 3, 19 / 2, -14 / 3, 11 / 12])
"""−h times the first, and h² times the second derivative at an end, from the first five nodes.

The second order would do; with more the leading term of the error shows earlier.
"""


class FastPoisson:
    """−Σ aᵢ ∂²u/∂xᵢ² + c u = f at the nodes of an even grid of a box, u or aᵢ ∂u/∂n given on each side.

    At Neumann sides the value beyond the boundary is eliminated by the flux. To the fourth order it also takes
    ∂³u/∂n³, which the equation gives by the normal derivative of f and the tangential ones of the flux; both are
    differences, so that values at the nodes are all that is needed.

    Parameters
    ----------
    cells : (dim,) sequence of int
        At least 4 along each axis.
    lengths : (dim,) sequence of float
        Edges of the box.
    sides : (dim,) sequence of (lower, upper)
        Of each axis "dirichlet" or "neumann", or both "periodic".
    stiffness : (dim,) sequence of float
        aᵢ > 0.
    mass : float
        c ≥ 0.
    order : {2, 4}
        Of the error in the mesh size, for solutions with four or six bounded derivatives.

    Attributes
    ----------
    shape : (dim,) tuple of int
        Nodes along each axis, ends included; of a periodic one its cells.
    singular : bool
        Whether the equation leaves a constant free: no Dirichlet side and c = 0.

    Raises
    ------
    ValueError
        Sides, cells or coefficients that are not allowed.

    Examples
    --------
    >>> poisson = FastPoisson((64, 64), (1.0, 1.0), [("dirichlet", "dirichlet")] * 2, (1.0, 1.0))
    >>> u = poisson.solve(np.ones(poisson.shape))
    """

    def __init__(
        self,
        cells: Sequence[int],
        lengths: Sequence[float],
        sides: Sequence[tuple[Side, Side]],
        stiffness: Sequence[float],
        mass: float = 0.0,
        order: Literal[2, 4] = 4,
    ) -> None:
        _check(cells, lengths, sides, stiffness, mass, order)
        self.cells, self.sides, self.order = tuple(cells), tuple(sides), order
        self.stiffness, self.mass = tuple(map(float, stiffness)), float(mass)
        self.widths = tuple(length / n for length, n in zip(lengths, cells))
        self.periodic = tuple(pair[0] == "periodic" for pair in sides)
        self.held = tuple((lower == "dirichlet", upper == "dirichlet") for lower, upper in sides)
        self.shape = tuple(n + 1 - periodic for n, periodic in zip(cells, self.periodic))
        self.singular = mass == 0 and not any(map(any, self.held))
        share = _SHARES[order]
        axes: list[Axis] = [
            PeriodicAxis(n, length, share) if periodic else EvenAxis(n, length, held, share)
            for n, length, periodic, held in zip(cells, lengths, self.periodic, self.held)
        ]
        self.inverse = FastDiagonalisation(axes, self.stiffness, self.mass, singular=self.singular)

    @property
    def free(self) -> tuple[slice, ...]:
        """The nodes whose values are unknown."""
        return tuple(slice(int(lower), -1 if upper else None) for lower, upper in self.held)

    def solve(
        self,
        load: np.ndarray,
        *,
        values: np.ndarray | None = None,
        fluxes: Mapping[tuple[int, int], np.ndarray] | None = None,
        mean: float = 0.0,
    ) -> np.ndarray:
        """Values at the nodes.

        Parameters
        ----------
        load : (*shape) array
            f. To the second order it is not read on Dirichlet sides.
        values : (*shape) array, optional
            u on Dirichlet sides; not read elsewhere. Zero by default.
        fluxes : mapping from (axis, 0 or 1) to arrays, optional
            aᵢ ∂u/∂n at the nodes of the lower or upper side of an axis. Zero where none is given.
        mean : float
            The mean value of u, where a constant is free. A load that the fluxes do not balance is balanced by a
            constant.

        Returns
        -------
        (*shape) array
        """
        right = self._along(load, self._masses)
        for side, flux in (fluxes or {}).items():
            self._add_flux(right, side, flux, load)
        out = np.zeros(self.shape)
        if values is not None:
            out[:] = values
            out[self.free] = 0.0
            if out.any():
                right -= self._multiply(out)
        out[self.free] = self.inverse.solve(right)
        return out + (mean - self.mean(out)) if self.singular else out

    def mean(self, values: np.ndarray) -> float:
        """The mean over the box of values at the nodes, to the fourth order."""
        for n, periodic in zip(self.cells, self.periodic):
            weights = np.ones(len(values))
            if not periodic:
                weights[[0, -1]] = 0.5
                weights[:3] += _GREGORY
                weights[-3:] += _GREGORY[::-1]
            values = np.tensordot(weights / n, values, 1)
        return float(values)

    @cached_property
    def _masses(self) -> list[sparse.csr_array]:
        """M of each axis, a row for each unknown and a column for each node."""
        share = _SHARES[self.order]
        return [self._matrix(axis, h * (1 - 2 * share), h * share) for axis, h in enumerate(self.widths)]

    @cached_property
    def _stiffnesses(self) -> list[sparse.csr_array]:
        """K of each axis."""
        return [self._matrix(axis, 2 / h, -1 / h) for axis, h in enumerate(self.widths)]

    def _matrix(self, axis: int, middle: float, beside: float) -> sparse.csr_array:
        n = self.shape[axis]
        main = np.full(n, middle)
        if not self.periodic[axis]:
            main[[0, -1]] /= 2
        matrix = sparse.diags_array([np.full(n - 1, beside), main, np.full(n - 1, beside)], offsets=[-1, 0, 1]).tolil()
        if self.periodic[axis]:
            matrix[0, n - 1] = matrix[n - 1, 0] = beside
        return matrix.tocsr()[self.free[axis]]

    def _along(self, x: np.ndarray, matrices: Sequence[sparse.csr_array | None]) -> np.ndarray:
        """Matrices times an array, each along its axis."""
        for axis, matrix in enumerate(matrices):
            if matrix is not None:
                lines = np.moveaxis(x, axis, 0)
                product = matrix @ lines.reshape(len(lines), -1)
                x = np.moveaxis(product.reshape(-1, *lines.shape[1:]), 0, axis)
        return np.ascontiguousarray(x)

    def _multiply(self, x: np.ndarray) -> np.ndarray:
        """The rows of all unknowns times values at all nodes."""
        out = self.mass * self._along(x, self._masses) if self.mass else 0.0
        for axis, a in enumerate(self.stiffness):
            out = out + a * self._along(x, [*self._masses[:axis], self._stiffnesses[axis], *self._masses[axis + 1 :]])
        return np.asarray(out)

    def _add_flux(self, right: np.ndarray, side: tuple[int, int], flux: np.ndarray, load: np.ndarray) -> None:
        axis, end = side
        if self.sides[axis][end] != "neumann":
            raise ValueError(f"Side {end} of axis {axis} is {self.sides[axis][end]}; only Neumann sides take a flux.")
        data = np.array(flux, dtype=float)
        if self.order == 4:
            data += self.widths[axis] ** 2 / 12 * self._third_derivative(axis, end, data, load)
        others = [None if k == axis else mass for k, mass in enumerate(self._masses)]
        place = -1 if end else 0
        weighted = self._along(np.expand_dims(data, axis), others)
        np.moveaxis(right, axis, 0)[place] += np.moveaxis(weighted, axis, 0)[0]

    def _third_derivative(self, axis: int, end: int, flux: np.ndarray, load: np.ndarray) -> np.ndarray:
        """aᵢ ∂³u/∂n³ on a side, from the normal derivative of the equation."""
        inwards = np.moveaxis(load, axis, 0)[::-1] if end else np.moveaxis(load, axis, 0)
        slope = np.tensordot(_SLOPE, inwards[: len(_SLOPE)], 1) / self.widths[axis]
        normal = flux / self.stiffness[axis]
        out = self.mass * normal - slope
        others = [k for k in range(len(self.shape)) if k != axis]
        for place, k in enumerate(others):
            out -= self.stiffness[k] * _second_difference(normal, place, self.periodic[k]) / self.widths[k] ** 2
        return out


def _second_difference(x: np.ndarray, axis: int, periodic: bool) -> np.ndarray:
    """h² ∂²x along an axis to the second order at least, at all nodes."""
    x = np.moveaxis(x, axis, 0)
    out = np.roll(x, 1, 0) - 2 * x + np.roll(x, -1, 0)
    if not periodic:
        out[0] = np.tensordot(_BEND, x[: len(_BEND)], 1)
        out[-1] = np.tensordot(_BEND, x[: -len(_BEND) - 1 : -1], 1)
    return np.moveaxis(out, 0, axis)


def _check(
    cells: Sequence[int],
    lengths: Sequence[float],
    sides: Sequence[tuple[Side, Side]],
    stiffness: Sequence[float],
    mass: float,
    order: int,
) -> None:
    if len({len(cells), len(lengths), len(sides), len(stiffness)}) != 1:
        raise ValueError("cells, lengths, sides and stiffness need one entry for each axis.")
    if min(cells) < FEWEST_CELLS:
        raise ValueError(f"cells={tuple(cells)}; at least {FEWEST_CELLS} are needed along each axis.")
    if not min(lengths) > 0 or not min(stiffness) > 0 or not mass >= 0:
        raise ValueError(
            f"lengths={tuple(lengths)} and stiffness={tuple(stiffness)} must be positive, mass={mass} not negative."
        )
    for pair in sides:
        if not set(pair) <= {"dirichlet", "neumann", "periodic"} or (pair.count("periodic") == 1):
            raise ValueError(f"sides {pair}; each is dirichlet or neumann, or both of an axis are periodic.")
    if order not in _SHARES:
        raise ValueError(f"order={order}; allowed are 2 and 4.")
