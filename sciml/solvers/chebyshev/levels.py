"""Solving on one grid, slab by slab in time, and on finer ones until two of them agree."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sciml.forms import analyse
from sciml.problem import Problem
from sciml.solution import ChebyshevEvolution, ChebyshevField, ErrorEstimate, Errors, measure_errors
from sciml.solvers.chebyshev.collocation import Collocation, Grid, Harmonic, resting_state
from sciml.solvers.chebyshev.newton import NewtonError, Outcome, continued, factorised, newton

__all__ = ["Level", "Refined", "solve_level", "solve_to_accuracy", "unknowns_allowed"]

_DENSE_LIMIT, _FAST_LIMIT = 5000, 300_000
_START = {1: 16, 2: 12, 3: 8}
_FEWEST, _COARSER, _NEARLY = 4, 2 / 3, 0.85
_RESOLVED, _WAITS, _LAST = 0.03, 1e-2, 3
_ROUGH = 1e-2
_STAGNATES = 1e-6

Within = Callable[[], bool]


@dataclass
class Level:
    """What was found on one grid.

    Attributes
    ----------
    shape : tuple of int
        Nodes along each axis, the time last.
    solved : ChebyshevField or ChebyshevEvolution
    grids, values : lists
        Of each slab of time (one, of a stationary problem): the grid, and values ``(k, n_points)``.
    outcomes : list of Outcome
        Of each slab.
    notes : list of str
    unknowns : int
        Of one linear system.
    """

    shape: tuple[int, ...]
    solved: ChebyshevField | ChebyshevEvolution
    grids: list[Grid]
    values: list[np.ndarray]
    outcomes: list[Outcome]
    notes: list[str]
    unknowns: int

    @property
    def iterations(self) -> int:
        """Of Newton's method, in all slabs."""
        return sum(outcome.iterations for outcome in self.outcomes)

    @property
    def tails(self) -> np.ndarray:
        """Along each axis, the largest of the last coefficients relative to the largest of all."""
        found = np.zeros(len(self.shape))
        parts = self.solved.coefficients if isinstance(self.solved, ChebyshevEvolution) else [self.solved.coefficients]
        for axis in range(len(self.shape)):
            for part in parts:
                sizes = np.abs(part).reshape(len(part), -1).max(axis=1)
                last = np.take(np.abs(part), np.arange(-_LAST, 0), axis + 1).reshape(len(part), -1).max(axis=1)
                found[axis] = max(found[axis], (last / np.where(sizes > 0, sizes, 1.0)).max())
        return found


def unknowns_allowed(problem: Problem, options: Any) -> int:
    """The largest number of unknowns of a linear system."""
    if options.max_unknowns is not None:
        return options.max_unknowns
    axes = _bounds(problem, 0, 1)
    return _FAST_LIMIT if Collocation(problem, Grid(axes, (_FEWEST,) * len(axes))).held_all_round else _DENSE_LIMIT


def _bounds(problem: Problem, slab: int, slabs: int) -> list[tuple[float, float]]:
    domain = problem.domain
    bounds = list(zip(domain.lower.tolist(), domain.upper.tolist()))
    if problem.evolves:
        edges = np.linspace(problem.time.start, problem.time.end, slabs + 1)
        bounds.append((float(edges[slab]), float(edges[slab + 1])))
    return bounds


def solve_level(problem: Problem, shape: tuple[int, ...], options: Any, within: Within, before: Level | None) -> Level:
    """Solve on a grid of a shape, from the level before or from scratch, whichever is nearer.

    Raises
    ------
    NewtonError
    """
    slabs = options.slabs if problem.evolves else 1
    grids, values, outcomes, notes, start = [], [], [], [], None
    system = None
    for slab in range(slabs):
        grid = Grid(_bounds(problem, slab, slabs), shape)
        system = Collocation(problem, grid, start)
        coarser = None if before is None else before.grids[slab].interpolated(before.values[slab], grid)
        outcome = _solve(system, coarser, options, within, notes)
        own = system.split(outcome.z)[0]
        grids.append(grid)
        values.append(own)
        outcomes.append(outcome)
        if problem.evolves:
            start = _end(problem, grid, own)
    assert system is not None
    coefficients = [grid.coefficients(own) for grid, own in zip(grids, values)]
    if problem.evolves:
        edges = np.linspace(problem.time.start, problem.time.end, slabs + 1)
        solved: Any = ChebyshevEvolution(problem, edges, coefficients)
    else:
        solved = ChebyshevField(problem, coefficients[0])
    return Level(shape, solved, grids, values, outcomes, notes, system.n_unknowns)


def _end(problem: Problem, grid: Grid, values: np.ndarray) -> np.ndarray:
    """State and rate, u and ∂u/∂t, in the last instant ``(2, k, n₀ …)``."""
    rates = np.stack([grid.derivative(row, (problem.dim,)) for row in values])
    both = np.stack([values, rates]).reshape(2, len(values), *grid.shape)
    return both[..., -1].reshape(2, len(values), -1)


def _solve(system: Collocation, coarser: np.ndarray | None, options: Any, within: Within, notes: list[str]) -> Outcome:
    given: dict[str, Any] = {
        "linear": analyse(system.problem).linear,
        "tolerance": options.tolerance,
        "max_iterations": options.max_iterations,
        "limit": unknowns_allowed(system.problem, options),
        "within": within,
    }
    if given["linear"]:
        return newton(system, np.zeros(system.n_unknowns), **given)
    start = _from_scratch(system, given["limit"])
    if coarser is not None:
        other = np.concatenate([coarser.ravel(), np.zeros(len(system.means))])
        start = min(other, start, key=lambda z: _first_step(system, z, given["limit"]))
    try:
        return newton(system, start, **given)
    except NewtonError as error:
        if not within():
            raise
        outcome, stages = continued(system, start, **given)
        notes.append(f"{stages} stages towards the law, since of the whole of it at once {error}")
        return outcome


def _from_scratch(system: Collocation, limit: int) -> np.ndarray:
    if system.problem.evolves:
        return resting_state(system)
    harmonic = Harmonic(system.problem, system.grid)
    z = newton(harmonic, np.zeros(harmonic.n_unknowns), linear=True, limit=limit).z
    return np.concatenate([z[: system.size], np.zeros(len(system.means))])


def _first_step(system: Collocation, z: np.ndarray, limit: int) -> float:
    """Size of Newton's first step relative to the state: how far off a start is."""
    at = system.linearised(z)
    if not np.isfinite(at.residual).all():
        return math.inf
    try:
        step = factorised(at, limit).solve(at.residual)
    except NewtonError:
        return math.inf
    return float(np.linalg.norm(step[: system.size]) / max(float(np.linalg.norm(z[: system.size])), 1e-300))


@dataclass
class Refined:
    """What was delivered, and how it was found.

    Attributes
    ----------
    level : Level
    estimate : ErrorEstimate or None
    status, reason : str
    tried : list of tuple
        Shapes of all grids.
    notes : list of str
    differences : list of float
        Relative L2 differences between one grid and the next.
    """

    level: Level
    estimate: ErrorEstimate | None
    status: str
    reason: str
    tried: list[tuple[int, ...]]
    notes: list[str] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)


def solve_to_accuracy(problem: Problem, options: Any, within: Within, report: Callable[[str], None]) -> Refined:
    """With the nodes that are given, or with more and more of them until two grids agree.

    Raises
    ------
    NewtonError
        No grid gave a solution.
    """
    axes = problem.dim + problem.evolves
    if options.nodes is not None:
        return _with_nodes(problem, (options.nodes,) * axes, options, within)
    limit, shape = unknowns_allowed(problem, options), (_START[axes],) * axes
    tried, notes, found, failure = [], [], [], None
    while True:
        report(" × ".join(map(str, shape)) + " nodes")
        tried.append(shape)
        try:
            level = solve_level(problem, shape, options, within, found[-1][0] if found else None)
        except NewtonError as error:
            failure = error
            notes.append(f"{' × '.join(map(str, shape))} nodes failed: {error}")
            level = None
        if level is not None:
            found.append((level, measure_errors(found[-1][0].solved, level.solved) if found else None))
        outcome = _decided(found, options)
        larger = _larger(problem, shape, found, level, options, limit)
        if outcome is None and larger is not None and within():
            shape = larger
            continue
        if not found:
            assert failure is not None
            raise failure
        if outcome is None and level is not None and len(found) > 1 and within():
            outcome = _looked_at_again(problem, found, tried, options, within)
        status, reason = outcome or ("budget_reached", "max_unknowns" if within() else "cpu_seconds")
        return _delivered(found, status, reason, tried, notes)


def _looked_at_again(
    problem: Problem, found: Found, tried: list[tuple[int, ...]], options: Any, within: Within
) -> tuple[str, str] | None:
    """Compare the finest grid that is allowed with one that is nearly as fine, in place of one much coarser."""
    before, last = found[-2][0], found[-1][0]
    between = tuple(max(round(_NEARLY * b), a) for a, b in zip(before.shape, last.shape))
    if between in (before.shape, last.shape):
        return None
    try:
        level = solve_level(problem, between, options, within, before)
    except NewtonError:
        return None
    tried.insert(-1, between)
    found[-1:] = [
        (level, measure_errors(before.solved, level.solved)),
        (last, measure_errors(level.solved, last.solved)),
    ]
    return _decided(found, options)


def _with_nodes(problem: Problem, shape: tuple[int, ...], options: Any, within: Within) -> Refined:
    tried, found, notes = [], [], []
    coarse = tuple(max(_FEWEST, round(_COARSER * n)) for n in shape)
    if options.measure_error and coarse != shape:
        tried.append(coarse)
        try:
            found.append((solve_level(problem, coarse, options, within, None), None))
        except NewtonError as error:
            notes.append(f"the coarser grid for the error estimate failed: {error}")
    tried.append(shape)
    level = solve_level(problem, shape, options, within, found[-1][0] if found else None)
    found.append((level, measure_errors(found[-1][0].solved, level.solved) if found else None))
    return _delivered(found[-2:], "converged", "on the nodes given", tried, notes, best=False)


Found = list[tuple[Level, Errors | None]]


def _decided(found: Found, options: Any) -> tuple[str, str] | None:
    """Status and reason, if there is no use in more nodes."""
    differences = [errors.relative_l2 for _, errors in found if errors is not None]
    if not differences:
        return None
    if differences[-1] <= options.accuracy:
        return "converged", "two grids agree"
    if len(differences) > 1 and max(differences[-2:]) < _STAGNATES and differences[-1] > differences[-2] / 2:
        return "stagnated", f"rounding keeps grids {min(differences):.1e} apart"
    return None


def _larger(
    problem: Problem, shape: tuple[int, ...], found: Found, level: Level | None, options: Any, limit: int
) -> tuple[int, ...] | None:
    """More nodes along the axes that need them; None if there would be too many unknowns."""
    grow = np.ones(len(shape), dtype=bool)
    last = found[-1][1] if found else None
    if level is not None:
        tails = level.tails
        grow = tails > max(_RESOLVED * max(options.accuracy, 1e-13), _WAITS * tails.max())
        grow = grow if grow.any() else ~grow
    rough = level is None or last is None or last.relative_l2 > _ROUGH
    factor = 2.0 if rough else 1.5
    while factor >= 1.15:
        wanted = tuple(2 * math.ceil(factor * n / 2) if g else n for n, g in zip(shape, grow))
        if problem.n_components * math.prod(wanted) + len(problem.declaration.means) <= limit:
            return wanted
        factor -= 0.05
    return None


def _delivered(
    found: Found, status: str, reason: str, tried: list[tuple[int, ...]], notes: list[str], best: bool = True
) -> Refined:
    """The level that agrees best with the one before, or the last."""
    measured = [k for k, (_, errors) in enumerate(found) if errors is not None]
    chosen = len(found) - 1
    if best and measured and status != "converged":
        chosen = min(measured, key=lambda k: found[k][1].relative_l2)  # type: ignore[union-attr]
    level, errors = found[chosen]
    earlier = found[chosen - 1][1] if chosen > 0 else None
    estimate = None if errors is None else _estimate(found[chosen - 1][0], level, errors, earlier)
    differences = [errors.relative_l2 for _, errors in found if errors is not None]
    return Refined(level, estimate, status, reason, tried, notes + level.notes, differences)


def _estimate(coarse: Level, level: Level, errors: Errors, earlier: Errors | None) -> ErrorEstimate:
    """The difference to the coarser grid, which is the error of that one but for the much smaller one of this."""
    ratio = math.log(max(level.shape)) - math.log(max(coarse.shape)) or 1.0

    def of(now: Errors, then: Errors | None) -> dict[str, float]:
        pairs = [(now.relative_l2, then and then.relative_l2), (now.relative_h1, then and then.relative_h1)]
        rates = [math.log(b / a) / ratio if a > 0 and b else 1.0 for a, b in pairs]
        return {
            "relative_l2": now.relative_l2,
            "relative_h1": now.relative_h1,
            "rate_l2": rates[0],
            "rate_h1": rates[1],
        }

    fields = {name: of(own, earlier.fields.get(name) if earlier else None) for name, own in errors.fields.items()}
    method = "difference to a coarser grid, an upper bound where the error falls" + (
        "" if earlier else "; the rates are not measured"
    )
    return ErrorEstimate(**of(errors, earlier), method=method, fields=fields)
