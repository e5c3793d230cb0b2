"""The equations of a declared problem for a function of the tensor product of one basis for each axis.

The unknown is u(x) = Σ B_jk… q_j(x₀) q_k(x₁) …, the time, if there is one, being the last axis. What holds on a side
is a row for the functions of its axis, e.g. q(end) for a prescribed value or α q + q′ for a Robin condition, and data
along the other axes. The prior's mean given such data is a lift that has them; what remains has homogeneous
conditions, is written in the null space of the rows of each axis, and is found from the equation on the grid, tested
with the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
import torch

from sciml.errors import UnsupportedError
from sciml.forms import (
    Derivative,
    PointwiseOperator,
    analyse,
    boundary_residual,
    initial_value,
    leaving_with_data,
    number,
    pointwise,
    rated_components,
    rows_with_flux,
    strong_residual,
)
from sciml.forms.advection import transport
from sciml.problem import Condition, Dirichlet, Periodic, Problem, grid_points
from sciml.solvers.gp.features import Axis

__all__ = ["Row", "System", "along", "bounds_of", "rows_along"]

_SAME, _SAMPLES = 1e-9, 64


def along(matrices: Sequence[np.ndarray | None], values: np.ndarray) -> np.ndarray:
    """Apply a matrix along each axis of an array; None leaves an axis as it is."""
    for axis, matrix in enumerate(matrices):
        if matrix is not None:
            values = np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)
    return values


def bounds_of(problem: Problem) -> list[tuple[float, float]]:
    """Ends of each axis, the time last."""
    bounds = list(zip(problem.domain.lower.tolist(), problem.domain.upper.tolist(), strict=True))
    if problem.evolves:
        bounds.append((float(problem.time.start), float(problem.time.end)))
    return bounds


@dataclass(frozen=True)
class Row:
    """A condition at the ends of one axis: Σ weights · (derivative of an order at a place) = data.

    Attributes
    ----------
    axis : int
    terms : tuple of (place, order, weight)
    data : callable
        Points ``(n, axes)`` on the side → ``(n,)``.
    kind : str
        In words.
    operator : PointwiseOperator, optional
        What holds, over `size`, where that is not the same sum of derivatives all along the side; then weights are
        averages and the data are those at rest.
    normal : (dim,) array, optional
        Of the side.
    size : float
    """

    axis: int
    terms: tuple[tuple[float, int, float], ...]
    data: Callable[[np.ndarray], np.ndarray]
    kind: str
    operator: PointwiseOperator | None = None
    normal: np.ndarray | None = None
    size: float = 1.0

    @property
    def exact(self) -> bool:
        """Whether the weights say all."""
        return self.operator is None

    def of(self, axis: Axis) -> np.ndarray:
        """The row for the functions of an axis ``(r,)``."""
        return sum(weight * axis.at(np.array([place]), order)[0] for place, order, weight in self.terms)  # type: ignore[return-value]

    @property
    def place(self) -> float:
        """Where its data are looked at."""
        return self.terms[0][0]


def rows_along(problem: Problem) -> list[list[Row]]:
    """The conditions of each axis; data that a wind carries out of a law without diffusion are left out.

    Raises
    ------
    UnsupportedError
        A wind that enters and leaves through one side with data, or a condition that says nothing.
    """
    rows: list[list[Row]] = [[] for _ in bounds_of(problem)]
    kinds = {int(side): piece.conditions[0] for piece in problem.boundary_pieces for side in piece.part.elements}
    leaving = _leaving_sides(problem)
    for side, condition in sorted(kinds.items()):
        axis = side // 2
        if isinstance(condition, Periodic):
            rows[axis] += _periodic_rows(problem, axis) if side % 2 == 0 else []
        elif side not in leaving and (condition is not None or rows_with_flux(problem)[0]):
            rows[axis].append(_side_row(problem, condition, side))
    if problem.evolves:
        rows[-1] += _start_rows(problem)
    return rows


def _leaving_sides(problem: Problem) -> set[int]:
    """Sides where a law without diffusion carries everything out: their data follow from those on the other sides."""
    if not leaving_with_data(problem):
        return set()
    found, (carried,) = set(), transport(problem)
    velocity = pointwise(problem, carried.velocity)
    generator = np.random.default_rng(0)
    for side in range(2 * problem.dim):
        axis, upper = divmod(side, 2)
        points = np.stack([generator.uniform(a, b, _SAMPLES) for a, b in bounds_of(problem)[: problem.dim]], axis=1)
        points[:, axis] = bounds_of(problem)[axis][upper]
        outward = (2 * upper - 1) * velocity.at(points)[:, axis]
        if outward.min() >= 0 and outward.max() > 0:
            found.add(side)
        elif outward.max() > 0:
            raise UnsupportedError(
                f"a law without diffusion enters and leaves through side {problem.domain.boundary_names[side]!r}, "
                f"which has data all along"
            )
    return found


def _periodic_rows(problem: Problem, axis: int) -> list[Row]:
    lower, upper = bounds_of(problem)[axis]
    orders = (0, 1) if rows_with_flux(problem)[0] else (0,)
    return [
        Row(axis, ((lower, order, 1.0), (upper, order, -1.0)), lambda points: np.zeros(len(points)), "periodic")
        for order in orders
    ]


def _start_rows(problem: Problem) -> list[Row]:
    start = float(problem.time.start)
    orders = (0, 1) if 0 in rated_components(problem, problem.declaration.mass) else (0,)
    return [
        Row(
            problem.dim,
            ((start, order, 1.0),),
            lambda points, order=order: initial_value(problem, 0, velocity=bool(order)).at(points[:, : problem.dim]),
            "start",
        )
        for order in orders
    ]


def _side_row(problem: Problem, condition: Condition | None, side: int) -> Row:
    """What holds on a side, from the slopes of its compiled residual by value and slope of the unknown.

    Raises
    ------
    UnsupportedError
        The residual contains neither.
    """
    axis, upper = divmod(side, 2)
    place = bounds_of(problem)[axis][upper]
    operator = boundary_residual(problem, condition, 0)
    normal = np.zeros(problem.dim)
    normal[axis] = 2.0 * upper - 1.0
    value, slope, same = _weights(problem, operator, axis, place, normal)
    if not np.hypot(value, slope) > 0:
        raise UnsupportedError(
            f"{'a side without condition' if condition is None else condition} says nothing of value or slope there"
        )
    size = abs(slope) or abs(value)
    key = Derivative(0, (axis,)) if slope else Derivative(0)
    weights = (value / size, slope / size)
    terms = tuple((place, order, weight) for order, weight in enumerate(weights) if weight)
    kind = "value" if isinstance(condition, Dirichlet) else "flux"

    def data(points: np.ndarray) -> np.ndarray:
        values, slopes = _evaluated(operator, points, normal, 0.0)
        own = np.abs(slopes[key]) if same else size
        return -values / own

    if same:
        return Row(axis, terms, data, kind)
    return Row(axis, terms, data, kind, operator, normal, size)


def _weights(
    problem: Problem, operator: PointwiseOperator, axis: int, place: float, normal: np.ndarray
) -> tuple[float, float, bool]:
    """Mean weights of value and normal slope; whether they are in one proportion along the side, and all there is."""
    generator = np.random.default_rng(0)
    points = np.stack([generator.uniform(a, b, _SAMPLES) for a, b in bounds_of(problem)], axis=1)
    points[:, axis] = place
    found, same = [], True
    for state in (0.0, 1.0):
        _, slopes = _evaluated(operator, points, normal, state)
        value = slopes.pop(Derivative(0), np.zeros(_SAMPLES))
        slope = slopes.pop(Derivative(0, (axis,)), np.zeros(_SAMPLES))
        found.append((float(value.mean()), float(slope.mean())))
        v, s = found[0]
        size = np.hypot(value, slope)
        same &= not any(np.abs(other).max() > _SAME * size.max() for other in slopes.values())
        same &= bool(size.min() > 0 and np.abs(value * s - slope * v).max() <= _SAME * size.max() * np.hypot(v, s))
    return (*found[0], same)


def _evaluated(
    operator: PointwiseOperator, points: np.ndarray, normal: np.ndarray, state: float
) -> tuple[np.ndarray, dict[Derivative, np.ndarray]]:
    """Values at a state whose derivatives are all one number, and their derivatives by each of these."""
    jet = {key: torch.full((len(points),), state, dtype=torch.float64, requires_grad=True) for key in operator.keys}
    values = operator(torch.tensor(points), jet, normal=torch.tensor(np.tile(normal, (len(points), 1))))
    values = values.reshape(len(points))
    if not values.requires_grad:
        return values.numpy(), {}
    found = torch.autograd.grad(values.sum(), list(jet.values()), allow_unused=True)
    slopes = {key: g.numpy() for key, g in zip(jet, found, strict=True) if g is not None}
    return values.detach().numpy(), slopes


class System:
    """The equation on a grid for coefficients B, with conditions built in.

    Parameters
    ----------
    problem : Problem
        With one scalar unknown, on a box.
    axes : sequence of Axis
    rows : sequence of list of Row
        Of each axis.
    """

    def __init__(self, problem: Problem, axes: Sequence[Axis], rows: Sequence[Sequence[Row]]) -> None:
        self.problem, self.axes, self.rows = problem, list(axes), [list(own) for own in rows]
        self.shape = tuple(len(axis.grid) for axis in axes)
        self.operator = strong_residual(problem)
        self._matrices: dict[tuple[int, int], np.ndarray] = {}
        held = [np.array([row.of(axis) for row in own]).reshape(-1, axis.rank) for axis, own in zip(axes, rows)]
        self.lifts = [_lift(axis, matrix) for axis, matrix in zip(axes, held)]
        self.held = held
        self.free = [scipy.linalg.null_space(m) if len(m) else np.eye(m.shape[1]) for m in held]
        self.tests = [(self.matrix(a, 0) @ free).T for a, free in enumerate(self.free)]
        self.fits = [scipy.linalg.pinv(self.matrix(a, 0)) for a in range(len(axes))]
        self._static: tuple[torch.Tensor, ...] | None = None

    def matrix(self, axis: int, order: int) -> np.ndarray:
        """Derivatives of the functions of an axis at its grid ``(n, r)``."""
        if (axis, order) not in self._matrices:
            own = self.axes[axis]
            self._matrices[axis, order] = own.at(own.grid, order)
        return self._matrices[axis, order]

    @cached_property
    def points(self) -> torch.Tensor:
        """The grid ``(n_points, axes)``."""
        return torch.tensor(grid_points([axis.grid for axis in self.axes]))

    @cached_property
    def constant_slopes(self) -> bool:
        """Whether one point tells the derivatives of the equation at all."""
        return bool(analyse(self.problem).constant_coefficients) and not self.problem.evolves

    # -- conditions --------------------------------------------------------------------------------------

    @cached_property
    def exact_conditions(self) -> bool:
        """Whether all conditions are built in, so that they hold whatever the free part is."""
        return all(row.exact for own in self.rows for row in own)

    def lifted(self) -> np.ndarray:
        """Coefficients of a function that has all data (at rest)."""
        return self.spread([[self._data(row) for row in own] for own in self.rows])

    def spread(self, targets: list[list[np.ndarray]]) -> np.ndarray:
        """A function whose rows are given coefficients along the other axes: one axis after the other, what is left.

        Parameters
        ----------
        targets : list of list of arrays
            As :attr:`rows`.
        """
        total = np.zeros(tuple(axis.rank for axis in self.axes))
        for a, held in enumerate(self.held):
            for row, lift, target in zip(held, self.lifts[a].T, targets[a], strict=True):
                left = target - np.tensordot(row, total, (0, a))
                total = total + np.moveaxis(np.multiply.outer(lift, left), 0, a)
        return total

    def mismatch(self, coefficients: np.ndarray) -> list[list[np.ndarray]]:
        """What is left of each condition, as coefficients along the other axes."""
        return [
            [
                np.tensordot(held, coefficients, (0, a)) - self._data(row)
                if row.exact
                else self._fitted(row, self._on_side(row, coefficients, slopes=False)[0])
                for row, held in zip(own, self.held[a], strict=True)
            ]
            for a, own in enumerate(self.rows)
        ]

    def side_slopes(self, coefficients: np.ndarray) -> list[list[dict[Derivative, np.ndarray]]]:
        """Derivatives of each condition that is not exact by the entries of the jet, on the grid of its side."""
        return [
            [{} if row.exact else self._on_side(row, coefficients, slopes=True)[1] for row in own] for own in self.rows
        ]

    def applied_on_sides(
        self, slopes: list[list[dict[Derivative, np.ndarray]]], direction: np.ndarray
    ) -> list[list[np.ndarray]]:
        """The linearised conditions of a direction, as coefficients along the other axes."""
        return [
            [
                np.tensordot(held, direction, (0, a)) if row.exact else self._linearised_on_side(row, slope, direction)
                for row, held, slope in zip(own, self.held[a], slopes[a], strict=True)
            ]
            for a, own in enumerate(self.rows)
        ]

    def _linearised_on_side(self, row: Row, slopes: dict[Derivative, np.ndarray], direction: np.ndarray) -> np.ndarray:
        terms = [slope * self._trace(row, direction, key.axes) for key, slope in slopes.items()]
        return self._fitted(row, np.sum(terms, axis=0))

    def _trace(self, row: Row, coefficients: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """The function, or a derivative, on the grid of a side."""
        place = np.array([row.place])
        matrices = [
            own.at(place, axes.count(a)) if a == row.axis else self.matrix(a, axes.count(a))
            for a, own in enumerate(self.axes)
        ]
        return along(matrices, coefficients)

    def _on_side(
        self, row: Row, coefficients: np.ndarray, slopes: bool
    ) -> tuple[np.ndarray, dict[Derivative, np.ndarray]]:
        assert row.operator is not None and row.normal is not None
        lines = [np.array([row.place]) if a == row.axis else own.grid for a, own in enumerate(self.axes)]
        shape = tuple(len(line) for line in lines)
        points = torch.tensor(grid_points(lines))
        normal = torch.tensor(np.tile(row.normal, (len(points), 1)))
        jet = {
            key: torch.tensor(self._trace(row, coefficients, key.axes).ravel(), requires_grad=slopes)
            for key in row.operator.keys
        }
        with torch.set_grad_enabled(slopes):
            values = row.operator(points, jet, normal=normal).reshape(-1) / row.size
        if not slopes:
            return values.numpy().reshape(shape), {}
        given = torch.autograd.grad(values.sum(), list(jet.values()), allow_unused=True)
        found = {key: g.numpy().reshape(shape) for key, g in zip(jet, given, strict=True) if g is not None}
        return values.detach().numpy().reshape(shape), found

    def _fitted(self, row: Row, values: np.ndarray) -> np.ndarray:
        """Coefficients along the other axes of values on a side."""
        fits = [None if a == row.axis else fit for a, fit in enumerate(self.fits)]
        return np.squeeze(along(fits, values), axis=row.axis)

    def _data(self, row: Row) -> np.ndarray:
        """Coefficients, along the other axes, of what a row prescribes."""
        others = [a for a in range(len(self.axes)) if a != row.axis]
        lines = [self.axes[a].grid if a in others else np.array([row.place]) for a in range(len(self.axes))]
        values = row.data(grid_points(lines)).reshape([len(self.axes[a].grid) for a in others])
        return along([self.fits[a] for a in others], values)

    # -- the equation ------------------------------------------------------------------------------------

    def values(self, coefficients: np.ndarray, axes: tuple[int, ...] = ()) -> np.ndarray:
        """The function, or a derivative, on the grid."""
        return along([self.matrix(a, axes.count(a)) for a in range(len(self.axes))], coefficients)

    def residual(self, coefficients: np.ndarray) -> np.ndarray:
        """The equation on the grid."""
        return self._evaluate(coefficients, slopes=False)[0]

    def linearised(self, coefficients: np.ndarray) -> tuple[np.ndarray, dict[Derivative, np.ndarray]]:
        """The equation on the grid, and its derivatives by the entries of the jet, as arrays or single numbers."""
        return self._evaluate(coefficients, slopes=True)

    def _evaluate(self, coefficients: np.ndarray, slopes: bool) -> tuple[np.ndarray, dict[Derivative, np.ndarray]]:
        if self._static is None:
            with torch.no_grad():
                self._static = self.operator.static(self.points)
        jet = {key: torch.from_numpy(self.values(coefficients, key.axes).ravel()) for key in self.operator.keys}
        track = slopes and not self.constant_slopes
        for values in jet.values():
            values.requires_grad_(track)
        with torch.set_grad_enabled(track):
            found = self.operator(self.points, jet, static=self._static).reshape(-1)
        if not slopes:
            return found.numpy().reshape(self.shape), {}
        if self.constant_slopes:
            return found.numpy().reshape(self.shape), self._slopes_of_one_point
        if not found.requires_grad:
            return found.numpy().reshape(self.shape), {}
        given = torch.autograd.grad(found.sum(), list(jet.values()), allow_unused=True)
        shaped = {k: g.numpy().reshape(self.shape) for k, g in zip(jet, given, strict=True) if g is not None}
        return found.detach().numpy().reshape(self.shape), shaped

    @cached_property
    def _slopes_of_one_point(self) -> dict[Derivative, np.ndarray]:
        jet = {key: torch.zeros(1, dtype=torch.float64, requires_grad=True) for key in self.operator.keys}
        value = self.operator(self.points[:1], jet).reshape(-1)
        given = torch.autograd.grad(value.sum(), list(jet.values()), allow_unused=True)
        return {
            key: g.numpy().reshape((1,) * len(self.axes)) for key, g in zip(jet, given, strict=True) if g is not None
        }

    # -- the free part -----------------------------------------------------------------------------------

    @property
    def free_shape(self) -> tuple[int, ...]:
        """Unknowns along each axis once conditions are built in."""
        return tuple(free.shape[1] for free in self.free)

    def expanded(self, free: np.ndarray) -> np.ndarray:
        """Coefficients of what has homogeneous conditions."""
        return along(self.free, free.reshape(self.free_shape))

    def tested(self, values: np.ndarray) -> np.ndarray:
        """Sums over the grid against all test functions."""
        return along(self.tests, values)

    def applied(self, slopes: dict[Derivative, np.ndarray], coefficients: np.ndarray) -> np.ndarray:
        """The linearised equation of a direction, tested."""
        return self.tested(sum(slope * self.values(coefficients, key.axes) for key, slope in slopes.items()))  # type: ignore[arg-type]

    def with_mean(self, coefficients: np.ndarray) -> np.ndarray:
        """The function plus the constant that gives it the mean that is declared, if one is."""
        for mean in self.problem.declaration.means:
            averages = [_averages(axis)[None, :] for axis in self.axes]
            ones = along([fit.sum(axis=1)[:, None] for fit in self.fits], np.ones((1,) * len(self.axes)))
            wanted = float(number(self.problem, mean.entry(0)))
            coefficients = coefficients + (wanted - along(averages, coefficients).item()) * ones
        return coefficients


def _averages(axis: Axis) -> np.ndarray:
    """Mean values of the functions of an axis, by Gauss's rule."""
    nodes, weights = np.polynomial.legendre.leggauss(max(64, 2 * len(axis.grid)))
    places = (axis.lower + axis.upper) / 2 + (axis.upper - axis.lower) / 2 * nodes
    return weights @ axis.at(places, 0) / 2


def _lift(axis: Axis, rows: np.ndarray) -> np.ndarray:
    """The prior's mean for each row given as one and the others as zero: ``(r, n_rows)``."""
    if not len(rows):
        return np.zeros((axis.rank, 0))
    weighted = axis.covariance @ rows.T
    return scipy.linalg.solve(rows @ weighted, weighted.T, assume_a="sym").T
