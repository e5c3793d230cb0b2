"""What a wave simulator is told about a member: speed, source and sides, read off the declaration at the nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import ufl
from torch import Tensor

from sciml.datasets.grids import periodic_axes
from sciml.errors import OptionError, UnsupportedError
from sciml.forms import analyse, initial_value, pointwise
from sciml.forms.in_time import separated_terms
from sciml.forms.linearised import jacobian_entries
from sciml.problem import Absorbing, Box, Dirichlet, Points, Problem, grid_points

__all__ = ["Medium", "Sides", "conditioned", "refuse_other_laws", "sides_of", "together"]

_FINER = 3
_INSTANTS = 12
_REACH = 2.0


@dataclass(frozen=True, eq=False)
class Sides:
    """The boundary of a box on a grid, which all members share.

    Attributes
    ----------
    free : ``(*grid)`` tensor
        0 at nodes that are held at zero, 1 elsewhere.
    weight : ``(*grid)`` tensor
        Share of a node's cell that lies inside as far as sides are open: ½ on them, ¼ in their corners, else 1.
    absorbing : ``(*grid)`` tensor
        exp(−d/2) at d nodes from the nearest absorbing side; 0 without one.
    periodic : bool
        All round; else on no axis.
    """

    free: Tensor
    weight: Tensor
    absorbing: Tensor
    periodic: bool

    @property
    def absorb(self) -> bool:
        """Whether any side does."""
        return bool((self.absorbing > 0).any())

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Sides:
        """On a device."""
        moved = {name: getattr(self, name).to(device, dtype) for name in ("free", "weight", "absorbing")}
        return replace(self, **moved)


@dataclass(frozen=True, eq=False)
class Medium:
    """Speed and source of some members, all on one grid and at the same instants.

    Attributes
    ----------
    speed : ``(n, *grid)`` tensor
        Root mean square round each node, weighted like a linear element.
    places : ``(n, k, *grid)`` tensor
        Densities of the source, averaged in the same way.
    pulses : ``(n, T + 1, k)`` tensor
        Their amplitudes at all frames, averaged over a step to both sides with falling weights; the source is
        Σ_k pulses · places.
    start, velocity : ``(n, *grid)`` tensor
        u and ∂u/∂t at the start.
    """

    speed: Tensor
    places: Tensor
    pulses: Tensor
    start: Tensor
    velocity: Tensor

    def __len__(self) -> int:
        return len(self.speed)

    def select(self, rows: Any) -> Medium:
        """Some of the members."""
        return Medium(*(getattr(self, name)[rows] for name in _PARTS))

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Medium:
        """On a device."""
        return Medium(*(getattr(self, name).to(device, dtype) for name in _PARTS))

    def source(self, frame: int | Tensor) -> Tensor:
        """Σ_k pulses · places at a frame, or at one for each member: ``(n, 1, *grid)``."""
        rows = torch.arange(len(self), device=self.pulses.device)
        pulses = self.pulses[:, frame] if isinstance(frame, int) else self.pulses[rows, frame]
        return torch.einsum("nk,nk...->n...", pulses, self.places)[:, None]


_PARTS = ("speed", "places", "pulses", "start", "velocity")


def together(media: Sequence[Medium]) -> Medium:
    """Members one after the other."""
    return Medium(*(torch.cat([getattr(medium, name) for medium in media]) for name in _PARTS))


def refuse_other_laws(problem: Problem) -> None:
    """Refuse what is no wave mass ∂²u/∂t² − div(a ∇u) = load on a box with sides held at zero, open or absorbing.

    Raises
    ------
    UnsupportedError
    """
    declared = problem.declaration
    reason = None
    if declared.mass is None or declared.damping is not None or problem.shape != ():
        reason = "a law mass ∂²u/∂t² − div(a ∇u) = load of one scalar is wanted"
    elif not isinstance(problem.domain, Box):
        reason = "it needs a grid, and so a box"
    elif not analyse(problem).linear or any(not _zero(e) for e in _off_diagonal(problem)):
        reason = "the flux has to be a(x) ∇u, without any reaction"
    elif len(set(periodic_axes(problem))) > 1:
        reason = "it takes boxes that are periodic along all axes or along none"
    elif any(not isinstance(c, (Dirichlet, Absorbing)) for c in _conditions(problem)):
        reason = "sides may be held at zero, absorbing or open"
    if reason is not None:
        raise UnsupportedError(f"A wave simulator cannot do {problem!r}: {reason}.")


def _conditions(problem: Problem) -> list[Any]:
    return [c for piece in problem.boundary_pieces for c in piece.conditions if c is not None] * (
        not all(periodic_axes(problem))
    )


def _off_diagonal(problem: Problem) -> list[Any]:
    entries, m = jacobian_entries(problem), problem.dim + 1
    return [e for k, e in enumerate(entries) if divmod(k, m)[0] != divmod(k, m)[1] or k == m * m - 1]


def _zero(entry: Any) -> bool:
    return isinstance(entry, ufl.classes.Zero)


def sides_of(problem: Problem, grid: Sequence[int]) -> Sides:
    """Held, open and absorbing sides of a box on a grid.

    Raises
    ------
    UnsupportedError
        A side that is held at something else than zero.
    """
    refuse_other_laws(problem)
    free, weight, absorbing = (np.ones(tuple(grid)), np.ones(tuple(grid)), np.zeros(tuple(grid)))
    if all(periodic_axes(problem)):
        return Sides(torch.tensor(free), torch.tensor(weight), torch.tensor(absorbing), True)
    held = np.zeros(tuple(grid), dtype=bool)
    for piece in problem.boundary_pieces:
        condition = piece.conditions[0]
        for element in piece.part.elements:
            axis, upper = divmod(int(element), 2)
            side: list[Any] = [slice(None)] * len(grid)
            side[axis] = -1 if upper else 0
            if isinstance(condition, Dirichlet):
                _refuse_data(problem, condition, piece)
                held[tuple(side)] = True
            else:
                weight[tuple(side)] *= 0.5
            if isinstance(condition, Absorbing):
                nodes = np.arange(grid[axis])
                away = (grid[axis] - 1 - nodes) if upper else nodes
                shape = [-1 if k == axis else 1 for k in range(len(grid))]
                absorbing = np.maximum(absorbing, np.exp(-away / _REACH).reshape(shape))
    free[held] = 0.0
    return Sides(torch.tensor(free), torch.tensor(weight), torch.tensor(absorbing), False)


def _refuse_data(problem: Problem, condition: Any, piece: Any) -> None:
    points, _ = piece.part.sample(16, np.random.default_rng(0))
    instants = np.linspace(problem.time.start, problem.time.end, 4)
    value = ufl.as_ufl(condition.value)
    if any(np.abs(pointwise(problem.at_time(t), value).at(points)).max() > 0 for t in instants):
        raise UnsupportedError(f"{condition}: a wave simulator takes sides that are held at zero.")


def conditioned(problem: Problem, grid: Sequence[int], times: np.ndarray) -> Medium:
    """One member at the nodes of a grid and at even frames.

    Parameters
    ----------
    problem : Problem
    grid : sequence of int
        Nodes along each axis; of periodic axes without the upper end.
    times : (T,) array
        Of the frames after the start, evenly spaced.

    Returns
    -------
    Medium
        In double precision.
    """
    averages = _Averages(problem, grid)
    mass = averages.fine(problem.declaration.mass, "wave mass")
    entries = jacobian_entries(problem)[:: problem.dim + 2][: problem.dim]
    squared = [averages.fine(entry, f"wave stiffness {axis}") / mass for axis, entry in enumerate(entries)]
    if any(np.abs(s - squared[0]).max() > 1e-9 * np.abs(squared[0]).max() for s in squared[1:]):
        raise UnsupportedError(f"A wave simulator cannot do {problem!r}: the speed depends on the direction.")
    if squared[0].min() <= 0:
        raise UnsupportedError(f"A wave simulator cannot do {problem!r}: the square of its speed is not positive.")
    places, pulses = _source(problem, averages, mass, times)
    start = np.stack([_at_nodes(problem, averages.nodes, velocity) for velocity in (False, True)])
    return Medium(
        torch.tensor(np.sqrt(averages.mean(squared[0])))[None],
        torch.tensor(places)[None],
        torch.tensor(pulses)[None],
        *torch.tensor(start.reshape(2, 1, *grid)),
    )


def _at_nodes(problem: Problem, nodes: np.ndarray, velocity: bool) -> np.ndarray:
    return initial_value(problem, 0, velocity=velocity).at(nodes)


class _Averages:
    """Means round the nodes of a grid, weighted by the hat function of each, from values on three times as many."""

    def __init__(self, problem: Problem, grid: Sequence[int]) -> None:
        self.problem, self.grid = problem, tuple(grid)
        self.periodic = periodic_axes(problem)
        lower, upper = problem.domain.lower, problem.domain.upper
        cells = [n - (not p) for n, p in zip(grid, self.periodic)]
        fine = [_FINER * c + 1 for c in cells]
        self.nodes = grid_points([a + (b - a) * np.arange(n) / c for a, b, n, c in zip(lower, upper, grid, cells)])
        self._points = Points(grid_points([np.linspace(a, b, n) for a, b, n in zip(lower, upper, fine)]))
        self._shape = tuple(fine)

    def fine(self, expression: Any, key: str) -> np.ndarray:
        """Values on the finer grid."""
        operator = pointwise(self.problem, ufl.as_ufl(expression), key=key)
        x = torch.tensor(self._points.array)
        names = {symbol: name for name, (symbol, _) in self.problem.coefficient_fields.items()}
        data = []
        for symbol, derivative in operator.program.data_keys:
            if derivative.axes:
                raise UnsupportedError(f"A wave simulator cannot do {self.problem!r}: its law has slopes of a field.")
            provider = self.problem.coefficient_fields[names[symbol]][1]
            # Points that fill a grid are summed along one axis after the other.
            values = provider.on_points(self._points, self.problem.domain, self.problem.parameters.plain())
            data.append(torch.tensor(values.reshape(len(x), -1)[:, derivative.component]))
        with torch.no_grad():
            found = operator.program(x, {}, operator.constants(x), data, None, None)
        return np.broadcast_to(found.numpy(), len(x)).reshape(self._shape)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Weighted means at the nodes."""
        for axis, periodic in enumerate(self.periodic):
            values = _hats(np.moveaxis(values, axis, -1), periodic)
            values = np.moveaxis(values, -1, axis)
        return values


def _hats(values: np.ndarray, periodic: bool) -> np.ndarray:
    """Means along the last axis, over those of the weights 1, 2, 3, 2, 1 that lie inside."""
    pad = _FINER - 1
    # In a periodic direction the last value is the first one again.
    padded = (
        np.concatenate([values[..., -pad - 1 : -1], values, values[..., 1 : pad + 1]], axis=-1)
        if periodic
        else np.pad(values, [(0, 0)] * (values.ndim - 1) + [(pad, pad)])
    )
    inside = np.ones(values.shape[-1])
    inside = np.pad(inside, pad, constant_values=1.0 if periodic else 0.0)
    weights = np.concatenate([np.arange(1, _FINER), np.arange(_FINER, 0, -1)]).astype(float)
    n = (values.shape[-1] - 1) // _FINER + (not periodic)
    at = _FINER * np.arange(n)[:, None] + np.arange(len(weights))
    return (padded[..., at] * weights).sum(-1) / (inside[at] * weights).sum(-1)


def _source(
    problem: Problem, averages: _Averages, mass: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Densities ``(k, *grid)`` and their amplitudes ``(T + 1, k)``."""
    load, start = problem.declaration.load, problem.time.start
    step = float(times[0] - start)
    frames = np.concatenate([[start], times])
    if load is None or _zero(ufl.as_ufl(load)):
        return np.zeros((1, *averages.grid)), np.zeros((len(frames), 1))
    terms = problem.derived("wave source", lambda: separated_terms(load, problem.t))
    if terms is None:
        return _moving_source(problem, averages, mass, load, frames, step)
    places = [averages.mean(averages.fine(rest, f"wave source {k}") / mass) for k, (_, rest) in enumerate(terms)]
    offsets = np.arange(-_INSTANTS, _INSTANTS + 1) / _INSTANTS
    weights = (1 - np.abs(offsets)) / (1 - np.abs(offsets)).sum()
    # A start is symmetric in time: what came before is what comes after.
    instants = start + np.abs(frames[:, None] + step * offsets - start)
    points = np.column_stack([np.broadcast_to(problem.domain.lower, (instants.size, problem.dim)), instants.ravel()])
    factors = problem.derived("wave pulses", lambda: ufl.as_vector([factor for factor, _ in terms]))
    pulses = pointwise(problem, factors, key="wave pulses").at(points).reshape(*instants.shape, len(terms))
    return np.stack(places), np.einsum("q,tqk->tk", weights, pulses)


def _moving_source(
    problem: Problem, averages: _Averages, mass: np.ndarray, load: Any, frames: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """A density for each frame, by a rule of three instants that is exact for cubic polynomials."""
    start, places = problem.time.start, []
    operator = pointwise(problem, load, key="wave load")
    weight = averages.mean(mass).ravel()
    for frame in frames:
        instants = start + np.abs(frame + step * np.array([-0.5, 0.0, 0.5]) - start)
        values = [operator.at(np.column_stack([averages.nodes, np.full(len(averages.nodes), t)])) for t in instants]
        places.append((np.mean(values, axis=0) / weight).reshape(averages.grid))
    return np.stack(places), np.eye(len(frames))


def check_times(times: np.ndarray | None, start: float) -> tuple[float, int]:
    """The step between frames, and how many there are.

    Raises
    ------
    OptionError
        There are no frames, or uneven ones.
    """
    if times is None or len(times) < 3:
        raise OptionError("A wave simulator is trained on three or more frames of what runs in time.")
    steps = np.diff(np.concatenate([[start], times]))
    if np.abs(steps - steps[0]).max() > 1e-3 * steps[0]:
        raise OptionError("The frames of the data are not evenly spaced; generate them anew.")
    # Files keep instants in single precision.
    return float(f"{steps.mean():.6g}"), len(times)
