"""The equations at Chebyshev's nodes: one row for each node and component, and their Jacobian.

A row says, in this order: the state at the start of the time; a Dirichlet value; that a value repeats on the other
side of a periodic box; what the fluxes through the sides at this node sum to; that a periodic flux goes on; else the
strong residual. Its derivative by the values at the nodes is Σ_k diag(∂row/∂jet_k) D_k with the differentiation
matrices D_k of the derivatives that the compiled law asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any

import numpy as np
import torch

from sciml.forms import (
    Derivative,
    PointwiseOperator,
    boundary_residual,
    constrained_fields,
    initial_value,
    number,
    rated_components,
    rows_with_flux,
    strong_residual,
)
from sciml.linear import (
    chebyshev_coefficients,
    chebyshev_nodes,
    clenshaw_curtis_weights,
    differentiation_matrix,
    interpolation_matrix,
)
from sciml.problem import Condition, Dirichlet, Periodic, Problem, grid_points

__all__ = ["Collocation", "Grid", "Harmonic", "Linearised", "resting_state"]


class Grid:
    """Chebyshev's nodes along each axis of a box; the time, if there is one, is the last axis.

    Values are arrays ``(n₀, …)`` in the order of the axes, flattened row-major to ``(n_points,)``.

    Parameters
    ----------
    bounds : sequence of (float, float)
        Ends of each axis.
    shape : sequence of int
        Nodes along each.
    """

    def __init__(self, bounds: Sequence[tuple[float, float]], shape: Sequence[int]) -> None:
        self.bounds, self.shape = tuple(bounds), tuple(shape)
        self.size = int(np.prod(self.shape))
        self._matrices: dict[tuple[int, int], np.ndarray] = {}

    @cached_property
    def points(self) -> np.ndarray:
        """``(n_points, axes)``."""
        lines = [_between(a, b, chebyshev_nodes(n)) for (a, b), n in zip(self.bounds, self.shape)]
        return grid_points(lines)

    @cached_property
    def places(self) -> np.ndarray:
        """Numbers of the nodes along each axis ``(n_points, axes)``."""
        return np.stack(np.unravel_index(np.arange(self.size), self.shape), axis=1)

    def on_side(self, side: int) -> np.ndarray:
        """Which nodes lie on side 2i (lower end of axis i) or 2i + 1 (upper end): ``(n_points,)``."""
        axis, upper = divmod(side, 2)
        return self.places[:, axis] == (self.shape[axis] - 1 if upper else 0)

    def opposite(self, nodes: np.ndarray, axis: int) -> np.ndarray:
        """The nodes at the other end of an axis."""
        places = self.places[nodes].copy()
        places[:, axis] = self.shape[axis] - 1 - places[:, axis]
        return np.asarray(np.ravel_multi_index(tuple(places.T), self.shape))

    def matrix(self, axis: int, order: int) -> np.ndarray:
        """∂ᵏ along one axis, ``(n, n)``."""
        if (axis, order) not in self._matrices:
            a, b = self.bounds[axis]
            self._matrices[axis, order] = differentiation_matrix(self.shape[axis], order) * (2 / (b - a)) ** order
        return self._matrices[axis, order]

    def derivative(self, values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """A derivative of values ``(n_points,)``."""
        out = values.reshape(self.shape)
        for axis in sorted(set(axes)):
            out = np.moveaxis(np.tensordot(self.matrix(axis, axes.count(axis)), out, (1, axis)), 0, axis)
        return out.reshape(-1)

    def rows(self, nodes: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """Some rows of the matrix of a derivative: ``(len(nodes), n_points)``."""
        factors = []
        for axis, n in enumerate(self.shape):
            matrix = self.matrix(axis, axes.count(axis)) if axis in axes else np.eye(n)
            factors.append(matrix[self.places[nodes, axis]])
        return reduce(lambda a, b: (a[:, :, None] * b[:, None, :]).reshape(len(nodes), -1), factors)

    def coefficients(self, values: np.ndarray) -> np.ndarray:
        """Chebyshev coefficients ``(k, n₀, …)`` of values ``(k, n_points)``."""
        out = values.reshape(-1, *self.shape)
        for axis in range(len(self.shape)):
            out = chebyshev_coefficients(out, axis + 1)
        return out

    def interpolated(self, values: np.ndarray, finer: Grid) -> np.ndarray:
        """Values ``(k, n_points)`` at the nodes of another grid on the same box."""
        out = values.reshape(-1, *self.shape)
        for axis, (n, wanted) in enumerate(zip(self.shape, finer.shape)):
            matrix = interpolation_matrix(n, chebyshev_nodes(wanted))
            out = np.moveaxis(np.tensordot(matrix, out, (1, axis + 1)), 0, axis + 1)
        return out.reshape(len(values), -1)

    def mean_weights(self, axes: int) -> np.ndarray:
        """Weights of the mean over the first so many axes ``(n₀ …,)``."""
        return reduce(np.multiply.outer, [clenshaw_curtis_weights(n) / 2 for n in self.shape[:axes]]).ravel()


def _between(a: float, b: float, places: np.ndarray) -> np.ndarray:
    """From [−1, 1] to [a, b], ends to the last bit."""
    line = (a + b) / 2 + (b - a) / 2 * places
    line[[0, -1]] = a, b
    return line


class _Entry:
    """One derivative of the unknown less given values, with the face of a compiled operator."""

    keys: tuple[Derivative, ...]

    def __init__(self, key: Derivative, target: np.ndarray | None = None) -> None:
        self.keys = (key,)
        self._target = None if target is None else torch.as_tensor(target, dtype=torch.float64)

    def static(self, x: torch.Tensor, *, normal: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        return ()

    def __call__(self, x: torch.Tensor, jet: dict[Derivative, torch.Tensor], **_: Any) -> torch.Tensor:
        value = jet[self.keys[0]]
        return value if self._target is None else value - self._target


class _Laplacian(_Entry):
    """−Δ of one component."""

    def __init__(self, component: int, dim: int) -> None:
        self.keys = tuple(Derivative(component, (axis, axis)) for axis in range(dim))

    def __call__(self, x: torch.Tensor, jet: dict[Derivative, torch.Tensor], **_: Any) -> torch.Tensor:
        return -sum(jet[key] for key in self.keys)  # type: ignore[return-value]


@dataclass
class _Term:
    """Adds sign · operator at some nodes to some rows, each once; of the operator's components, one."""

    operator: PointwiseOperator | _Entry
    column: int
    rows: np.ndarray
    nodes: np.ndarray
    normal: np.ndarray | None = None
    sign: float = 1.0
    points: torch.Tensor = field(init=False)
    _normals: torch.Tensor | None = field(init=False, default=None)

    def bind(self, grid: Grid) -> None:
        """Evaluate what does not depend on the unknown."""
        self.points = torch.tensor(grid.points[self.nodes])
        if self.normal is not None:
            self._normals = torch.tensor(np.tile(self.normal, (len(self.nodes), 1)))
        with torch.no_grad():
            self._static = self.operator.static(self.points, normal=self._normals)

    def evaluate(self, jet: dict[Derivative, np.ndarray], slopes: bool) -> tuple[np.ndarray, dict]:
        """Values, and their derivatives by the entries of the jet if asked for."""
        own = {key: torch.tensor(jet[key][self.nodes], requires_grad=slopes) for key in self.operator.keys}
        with torch.set_grad_enabled(slopes):
            values = self.operator(self.points, own, normal=self._normals, static=self._static)
            values = self.sign * values.reshape(len(self.nodes), -1)[:, self.column]
        if not slopes or not values.requires_grad:
            return values.detach().numpy(), {}
        found = torch.autograd.grad(values.sum(), list(own.values()), allow_unused=True)
        return values.detach().numpy(), {k: g.numpy() for k, g in zip(own, found) if g is not None}


@dataclass
class Linearised:
    """Residual and Jacobian at a state.

    Attributes
    ----------
    system : Collocation
    residual : (n_unknowns,) array
    slopes : list of dict
        Of each term, ∂row/∂jet at its nodes.
    """

    system: Collocation
    residual: np.ndarray
    slopes: list[dict[Derivative, np.ndarray]]

    def times(self, direction: np.ndarray) -> np.ndarray:
        """The Jacobian times a vector."""
        system = self.system
        u, multipliers = system.split(direction)
        keys = {key for slopes in self.slopes for key in slopes}
        jet = {key: system.grid.derivative(u[key.component], key.axes) for key in keys}
        out = np.zeros_like(direction)
        for term, slopes in zip(system.terms, self.slopes):
            for key, slope in slopes.items():
                out[term.rows] += slope * jet[key][term.nodes]
        if len(multipliers):
            out += system.border @ multipliers
            out[system.size :] = system.mean_rows @ direction[: system.size]
        return out

    def dense(self) -> np.ndarray:
        """The Jacobian as a matrix."""
        system, grid = self.system, self.system.grid
        matrix = np.zeros((system.n_unknowns,) * 2)
        for term, slopes in zip(system.terms, self.slopes):
            for key, slope in slopes.items():
                columns = slice(key.component * grid.size, (key.component + 1) * grid.size)
                matrix[term.rows, columns] += slope[:, None] * grid.rows(term.nodes, key.axes)
        if len(system.means):
            matrix[:, system.size :] += system.border
            matrix[system.size :, : system.size] = system.mean_rows
        return matrix


class Collocation:
    """All rows of a problem on a grid, as a function of the values at the nodes.

    The unknowns are the values of each component at all nodes, one component after the other, and a multiplier for each
    component whose mean is prescribed: a constant that is added to its equation, zero where the data balance.

    Parameters
    ----------
    problem : Problem
    grid : Grid
    start : (2, k, n₀ …) array, optional
        u and ∂u/∂t at the first instant of the grid; from the declaration by default.
    """

    def __init__(self, problem: Problem, grid: Grid, start: np.ndarray | None = None) -> None:
        self.problem, self.grid, self.k = problem, grid, problem.n_components
        self.size = self.k * grid.size
        self.terms: list[_Term] = []
        self._given_start = start
        self._equation = np.zeros((self.k, grid.size), dtype=bool)
        self._with_flux = rows_with_flux(problem)
        self._conditions = {
            int(side): piece.conditions for piece in problem.boundary_pieces for side in piece.part.elements
        }
        for component in range(self.k):
            self._add_component(component)
        self.means = [(c, m) for m in problem.declaration.means for c in m.components(self.k)]
        for term in self.terms:
            term.bind(grid)

    @property
    def constrained(self) -> set[int]:
        """The components that no time derivative acts on."""
        return {c for slot in constrained_fields(self.problem) for c in slot.components}

    @property
    def n_unknowns(self) -> int:
        """Values and multipliers."""
        return self.size + len(self.means)

    # -- rows --------------------------------------------------------------------------------------------

    def _add_component(self, component: int) -> None:
        """One row for each node, by the order of the module."""
        free = np.ones(self.grid.size, dtype=bool)
        if self.problem.evolves:
            self._add_start(component, free)
        kinds = {side: conditions[component] for side, conditions in self._conditions.items()}
        for side, condition in kinds.items():
            if isinstance(condition, Dirichlet):
                nodes = np.flatnonzero(self.grid.on_side(side) & free)
                self._add(component, nodes, boundary_residual(self.problem, condition, component), 0, nodes, side)
                free[nodes] = False
        self._add_repeated_values(component, kinds, free)
        if self._with_flux[component]:
            self._add_fluxes(component, kinds, free)
            self._add_repeated_fluxes(component, kinds, free)
        nodes = np.flatnonzero(free)
        self._equation[component, nodes] = True
        operator, column = self._equation_of(component)
        self._add(component, nodes, operator, column, nodes)

    def _equation_of(self, component: int) -> tuple[PointwiseOperator | _Entry, int]:
        """The law of a component: an operator, and which of its values."""
        return strong_residual(self.problem), component

    def _flux_of(self, condition: Condition | None, component: int, side: int) -> PointwiseOperator | _Entry:
        """What a side says of the flux of a component."""
        return boundary_residual(self.problem, condition, component)

    def _add(
        self,
        component: int,
        rows: np.ndarray,
        operator: PointwiseOperator | _Entry,
        column: int,
        nodes: np.ndarray,
        side: int | None = None,
        sign: float = 1.0,
    ) -> None:
        """A term in the rows of a component at some nodes, evaluated at these or other nodes."""
        normal = None
        if side is not None:
            normal = np.zeros(self.problem.dim)
            normal[side // 2] = 2.0 * (side % 2) - 1.0
        if len(rows):
            self.terms.append(_Term(operator, column, component * self.grid.size + rows, nodes, normal, sign))

    def _add_start(self, component: int, free: np.ndarray) -> None:
        """The state in the first instant, and its rate in the rows of the second one, which lies nearest."""
        problem, grid = self.problem, self.grid
        if component in self.constrained:
            return
        first = np.flatnonzero(grid.places[:, -1] == 0)
        state = self.start(component, False)
        self._add(component, first, _Entry(Derivative(component), state), 0, first)
        free[first] = False
        if component in rated_components(problem, problem.declaration.mass):
            held = [s for s, conditions in self._conditions.items() if self._settles(conditions[component], component)]
            inner = ~np.any([grid.on_side(s)[first] for s in held], axis=0) if held else np.ones(len(first), dtype=bool)
            rate = _Entry(Derivative(component, (problem.dim,)), self.start(component, True)[inner])
            self._add(component, first[inner] + 1, rate, 0, first[inner])
            free[first[inner] + 1] = False

    def _settles(self, condition: Condition | None, component: int) -> bool:
        """Whether a condition on a side takes the place of the equation, and of the rate at the start with it."""
        return condition is not None or self._with_flux[component]

    def start(self, component: int, velocity: bool) -> np.ndarray:
        """The state or its rate, u or ∂u/∂t, of a component in the first instant of the grid."""
        if self._given_start is not None:
            return self._given_start[int(velocity), component].ravel()
        space = self.grid.points[self.grid.places[:, -1] == 0][:, :-1]
        return initial_value(self.problem, component, velocity=velocity).at(space)

    def _add_repeated_values(self, component: int, kinds: dict, free: np.ndarray) -> None:
        for axis in self._periodic_axes(kinds):
            nodes = np.flatnonzero(self.grid.on_side(2 * axis) & free)
            value = _Entry(Derivative(component))
            self._add(component, nodes, value, 0, nodes)
            self._add(component, nodes, value, 0, self.grid.opposite(nodes, axis), sign=-1.0)
            free[nodes] = False

    def _add_fluxes(self, component: int, kinds: dict, free: np.ndarray) -> None:
        settled = np.zeros_like(free)
        for side, condition in kinds.items():
            if not isinstance(condition, (Dirichlet, Periodic)):
                nodes = np.flatnonzero(self.grid.on_side(side) & free)
                self._add(component, nodes, self._flux_of(condition, component, side), 0, nodes, side)
                settled[nodes] = True
        free &= ~settled

    def _add_repeated_fluxes(self, component: int, kinds: dict, free: np.ndarray) -> None:
        settled = np.zeros_like(free)
        for axis in self._periodic_axes(kinds):
            nodes = np.flatnonzero(self.grid.on_side(2 * axis + 1) & free)
            for side, places in ((2 * axis + 1, nodes), (2 * axis, self.grid.opposite(nodes, axis))):
                self._add(component, nodes, self._flux_of(None, component, side), 0, places, side)
            settled[nodes] = True
        free &= ~settled

    @staticmethod
    def _periodic_axes(kinds: dict) -> Iterator[int]:
        for side, condition in kinds.items():
            if side % 2 == 0 and isinstance(condition, Periodic):
                yield side // 2

    # -- means -------------------------------------------------------------------------------------------

    @cached_property
    def border(self) -> np.ndarray:
        """Where each multiplier is added: ``(n_unknowns, n_means)``."""
        out = np.zeros((self.n_unknowns, len(self.means)))
        for j, (component, _) in enumerate(self.means):
            out[component * self.grid.size : (component + 1) * self.grid.size, j] = self._equation[component]
        return out

    @cached_property
    def mean_rows(self) -> np.ndarray:
        """Means of the values: ``(n_means, size)``."""
        out = np.zeros((len(self.means), self.k, self.grid.size))
        for j, (component, _) in enumerate(self.means):
            out[j, component] = self.grid.mean_weights(len(self.grid.shape))
        return out.reshape(len(self.means), -1)

    @cached_property
    def _mean_values(self) -> np.ndarray:
        return np.array([float(number(self.problem, mean.entry(c))) for c, mean in self.means])

    # -- evaluation --------------------------------------------------------------------------------------

    def split(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values ``(k, n_points)`` and multipliers."""
        return z[: self.size].reshape(self.k, -1), z[self.size :]

    def residual(self, z: np.ndarray) -> np.ndarray:
        """All rows at a state ``(n_unknowns,)``."""
        return self._evaluate(z, slopes=False).residual

    def linearised(self, z: np.ndarray) -> Linearised:
        """All rows at a state, with their Jacobian."""
        return self._evaluate(z, slopes=True)

    def _evaluate(self, z: np.ndarray, slopes: bool) -> Linearised:
        u, multipliers = self.split(z)
        keys = {key for term in self.terms for key in term.operator.keys}
        jet = {key: self.grid.derivative(u[key.component], key.axes) for key in keys}
        residual, found = np.zeros(self.n_unknowns), []
        for term in self.terms:
            values, own = term.evaluate(jet, slopes)
            residual[term.rows] += values
            found.append(own)
        if len(multipliers):
            residual += self.border @ multipliers
            residual[self.size :] = self.mean_rows @ z[: self.size] - self._mean_values
        return Linearised(self, residual, found)

    # -- structure ---------------------------------------------------------------------------------------

    @property
    def law(self) -> int:
        """The number of the term that is the law, where there is one component."""
        return len(self.terms) - 1

    @property
    def interior(self) -> np.ndarray:
        """Which nodes lie on no side ``(n_points,)``."""
        return ~np.any([self.grid.on_side(side) for side in range(2 * len(self.grid.shape))], axis=0)

    @property
    def held_all_round(self) -> bool:
        """Whether there is one component, in the plane, whose values are prescribed on all sides."""
        return (
            self.k == 1
            and len(self.grid.shape) == 2
            and not self.problem.evolves
            and not self.means
            and all(isinstance(c[0], Dirichlet) for c in self._conditions.values())
        )


class Harmonic(Collocation):
    """−Δu = 0 for each component with its Dirichlet values; u = 0 for one that has none.

    Elsewhere on the boundary slopes along the normal are zero. Newton's method starts from its solution.
    """

    def _add_component(self, component: int) -> None:
        held = any(isinstance(conditions[component], Dirichlet) for conditions in self._conditions.values())
        self._with_flux[component] = held
        self._law = _Laplacian(component, self.problem.dim) if held else _Entry(Derivative(component))
        super()._add_component(component)

    def _equation_of(self, component: int) -> tuple[PointwiseOperator | _Entry, int]:
        return self._law, 0

    def _flux_of(self, condition: Condition | None, component: int, side: int) -> PointwiseOperator | _Entry:
        return _Entry(Derivative(component, (side // 2,)))


def resting_state(system: Collocation) -> np.ndarray:
    """The state at the start, at all times: where Newton's method starts for what runs in time."""
    z = np.zeros((system.k, system.grid.size))
    for component in set(range(system.k)) - system.constrained:
        z[component] = np.repeat(system.start(component, False), system.grid.shape[-1])
    return np.concatenate([z.ravel(), np.zeros(len(system.means))])
