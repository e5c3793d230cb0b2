"""Choosing a prior and a grid by the residual between the points of the grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sciml.errors import DivergenceError, OptionError
from sciml.forms import analyse
from sciml.linear import chebyshev_coefficients, chebyshev_nodes
from sciml.problem import Problem, grid_points
from sciml.solution import ErrorEstimate, GaussianProcessEvolution, GaussianProcessField
from sciml.solvers.gp.features import Axis, Band, Family, Mixture
from sciml.solvers.gp.frequencies import Signals, picked, signals_along
from sciml.solvers.gp.newton import NewtonError, Outcome, newton
from sciml.solvers.gp.student import StudentMixture
from sciml.solvers.gp.system import Row, System, along, bounds_of, rows_along
from sciml.solvers.gp.uncertainty import difference, posterior
from sciml.solvers.gp.weights import learned_weights

__all__ = ["Found", "Level", "Prior", "as_field", "estimated", "first_grid", "off_grid", "search", "solve_level"]

_PEAK_TERMS, _PEAK_WIDTH = 14, 1.5
_GRID_TERMS, _GRID_WIDTH = 8, 6.0
# Neighbours that are gone cannot help to represent an envelope.
_SPARSE_TERMS, _SPARSE = 24, 1 / 3
_STUDENT_WIDTH, _STUDENT_GRID_WIDTH = 0.5, 3.0
_FULLEST = 0.7
_GOOD = {1: 1e-9, 2: 1e-8, 3: 1e-8}
_MARGIN, _GROWTH, _PATIENCE = 28, 1.5, 2
_FEWEST = 40
_MOST = {1: 2400, 2: 400, 3: 120}
_OFF_POINTS = {1: 4000, 2: 300, 3: 48}
_RESOLVED, _REFUSED, _LINES_MISS = 1e-7, 1e-2, 1e-6
_TAIL, _SHARE, _ROUGH = 1e-14, 1e-4, 1e-11
_FINEST_VARIANCE = {1: 4000, 2: 400, 3: 65}

_MORE = {1: 1.3, 2: 1.2, 3: 1.08}

_FALLING = 0.5

_HALF, _ROUGH_RESIDUAL = "half of the functions of a band", 1e-3

Report = Callable[[str], None]
Within = Callable[[], bool]


@dataclass(frozen=True)
class Prior:
    """A family of functions for each axis.

    Attributes
    ----------
    families : list of Family
    origin : str
        Where its frequencies come from, in words.
    """

    families: list[Family]
    origin: str

    @property
    def frequencies(self) -> list[list[float]]:
        """Of each axis; of a band, its ends."""
        return [[0.0, f.top] if isinstance(f, Band) else list(f.frequencies) for f in self.families]  # type: ignore[attr-defined]

    @property
    def weights(self) -> list[list[float]]:
        """Of the frequencies of each axis, where they have been learned; else none."""
        return [list(f.weights) for f in self.families if isinstance(f, Mixture) and f.weights is not None]


@dataclass
class Level:
    """What was found with one prior on one grid.

    Attributes
    ----------
    prior : Prior
    system : System
    outcome : Outcome
    residual : float
        Root mean square of the equation between the points of the grid, relative to its largest term.
    boundary : float
        Root mean square of what is left of the conditions between the points of the sides, relative to the solution.
    noise : float
        Root mean square of the equation between the points, in its own units.
    """

    prior: Prior
    system: System
    outcome: Outcome
    residual: float
    boundary: float
    noise: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis."""
        return self.system.shape

    @property
    def indicator(self) -> float:
        """The larger of both residuals."""
        return max(self.residual, self.boundary)


@dataclass
class Found:
    """What the search came to.

    Attributes
    ----------
    level : Level
    finer : Level or None
        With more functions and points, for the error estimate.
    tried : list of str
    status, reason : str
    """

    level: Level
    finer: Level | None
    tried: list[str]
    status: str
    reason: str


def off_grid(system: System, outcome: Outcome) -> tuple[float, float, float]:
    """Equation and conditions where the solver did not look, see :class:`Level`."""
    lines = [_between(axis.grid, _OFF_POINTS[len(system.axes)]) for axis in system.axes]
    points = torch.tensor(grid_points(lines))
    operator, coefficients = system.operator, outcome.coefficients

    def at(axes: tuple[int, ...]) -> np.ndarray:
        return along([own.at(x, axes.count(a)) for a, (own, x) in enumerate(zip(system.axes, lines))], coefficients)

    jet = {key: torch.from_numpy(at(key.axes).ravel()) for key in operator.keys}
    with torch.no_grad():
        static = operator.static(points)
        values = operator(points, jet, static=static).numpy().reshape(-1)
        load = operator(points, {key: torch.zeros(len(points), dtype=torch.float64) for key in jet}, static=static)
    terms = [_rms(np.abs(s).mean() * jet[key].numpy()) for key, s in outcome.slopes.items()]
    scale = max([_rms(load.numpy()), *terms])
    u = at(())
    size = _rms(u) or 1.0
    mismatch = [0.0]
    for row in (row for own in system.rows for row in own if row.exact):
        others = [line if a != row.axis else np.array([row.place]) for a, line in enumerate(lines)]
        matrices = [
            row.of(own)[None, :] if a == row.axis else own.at(x, 0)
            for a, (own, x) in enumerate(zip(system.axes, others))
        ]
        gap = along(matrices, coefficients).ravel() - row.data(grid_points(others))
        length = 1.0 if row.terms[0][1] == 0 else system.axes[row.axis].family.length
        mismatch.append(_rms(gap) * length / size)
    noise = _rms(values)
    return noise / (scale or 1.0), max(mismatch), noise


def _between(grid: np.ndarray, most: int) -> np.ndarray:
    middles = (grid[1:] + grid[:-1]) / 2
    if len(middles) <= most:
        return middles
    return middles[np.unique(np.linspace(0, len(middles) - 1, most).round().astype(int))]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def solve_level(
    problem: Problem,
    rows: Sequence[Sequence[Row]],
    prior: Prior,
    shape: Sequence[int],
    options: Any,
    within: Within,
    before: Level | None = None,
) -> Level:
    """Solve with one prior on one grid.

    Raises
    ------
    NewtonError
    """
    axes = [Axis.of(family, n) for family, n in zip(prior.families, shape, strict=True)]
    system = System(problem, axes, rows)
    linear = analyse(problem).linear
    start = None
    if before is not None and not linear:
        values = along(
            [own.at(axis.grid, 0) for own, axis in zip(before.system.axes, axes)], before.outcome.coefficients
        )
        start = along([system.fits[a] for a in range(len(axes))], values)
    outcome = newton(
        system,
        linear=linear,
        start=start,
        tolerance=options.tolerance,
        max_iterations=options.max_iterations,
        within=within,
    )
    outcome.coefficients = system.with_mean(outcome.coefficients)
    return Level(prior, system, outcome, *off_grid(system, outcome))


def search(problem: Problem, options: Any, within: Within, report: Report) -> Found:
    """Try priors, and finer grids where they are not given, until the residual between the points is small.

    Raises
    ------
    DomainError, OptionError
        The load is not finite, or the grid that is given cannot carry its frequencies.
    DivergenceError
        No prior gave a solution.
    """
    rows = rows_along(problem)
    signals, shape = first_grid(problem, rows, options)
    tried, failure, failures, good = [], None, 0, _goal(options, len(shape))
    best: Level | None = None
    while True:
        before = math.inf if best is None else best.indicator
        for prior in _priors(problem, signals, shape, options):
            if prior.origin == _HALF and (best is None or best.indicator < _ROUGH_RESIDUAL):
                continue
            label = f"{' × '.join(map(str, shape))} points, {prior.origin}"
            report(label)
            try:
                level = solve_level(problem, rows, prior, shape, options, within, best)
                if options.prior == "grid_mixture":
                    level = _thinned(level, problem, rows, options, within)
                    label = f"{' × '.join(map(str, shape))} points, {level.prior.origin}"
            except (NewtonError, np.linalg.LinAlgError) as error:
                failure = error
                tried.append(f"{label}: {error}")
                continue
            tried.append(f"{label}: residual {level.residual:.1e}")
            if best is None or level.indicator < best.indicator:
                best = level
            if best.indicator <= good or not within():
                break
        if (best is not None and best.indicator <= good) or not within() or options.points_per_axis is not None:
            break
        most = _MOST[len(shape)]
        larger = tuple(min(most, round(_GROWTH * n)) for n in shape)
        failures += best is None
        if larger == shape or failures == _PATIENCE:
            break
        if best is not None and options.prior != "gaussian" and best.indicator > _FALLING * before:
            break
        shape = larger
    if best is None:
        advice = "more `points_per_axis`, or an easier load to start with" if within() else "more `cpu_seconds`"
        raise DivergenceError(f"gp on {problem!r}: {failure}; give {advice}.")
    status, reason = _judged(best, options, within)
    finer = _finer(problem, rows, best, options, within, report) if options.measure_error and within() else None
    return Found(best, finer, tried, status, reason)


def _thinned(level: Level, problem: Problem, rows: Sequence[Sequence[Row]], options: Any, within: Within) -> Level:
    """With the frequencies of a grid whose weights, learned from the solution, are not zero."""
    families = [family for family in level.prior.families if isinstance(family, Mixture)]
    learned = learned_weights(level.system.values(level.outcome.coefficients), families, level.indicator)
    thinned: list[Family] = []
    for family, weights in zip(families, learned, strict=True):
        kept = np.flatnonzero(weights)
        frequencies = tuple(family.frequencies[i] for i in kept)
        terms = _SPARSE_TERMS if options.terms is None and len(kept) <= _SPARSE * len(weights) else family.terms
        thinned.append(replace(family, frequencies=frequencies, weights=tuple(weights[kept].tolist()), terms=terms))
    counts = " × ".join(f"{len(new.frequencies)} of {len(old.frequencies)}" for new, old in zip(thinned, families))  # type: ignore[attr-defined]
    return solve_level(
        problem, rows, Prior(thinned, f"{counts} frequencies of a grid"), level.shape, options, within, level
    )


def _goal(options: Any, dim: int) -> float:
    """The residual to stop at: where functions converge algebraically, or are few, what is asked for and no more."""
    return _GOOD[dim] if options.prior == "gaussian" else options.accuracy


def _finer(
    problem: Problem, rows: Sequence[Sequence[Row]], best: Level, options: Any, within: Within, report: Report
) -> Level | None:
    """With more functions and points than the best, or None where that fails."""
    shape = tuple(math.ceil(_MORE[len(best.shape)] * n) + 1 for n in best.shape)
    most = [int(_FULLEST * n) for n in shape]
    priors = [Prior([f.richer(m) for f, m in zip(best.prior.families, most)], best.prior.origin)]
    if best.indicator > _LINES_MISS and not any(isinstance(f, Band) for f in best.prior.families):
        tops = [Band.top_of(m, upper - lower) / 1.1 for (lower, upper), m in zip(bounds_of(problem), most)]
        flat = [Band.of(*ends, top, m) for ends, top, m in zip(bounds_of(problem), tops, most)]
        priors.append(Prior(list(flat), "all frequencies of a band"))
    found = []
    for prior in priors:
        report(f"{' × '.join(map(str, shape))} points, for the error")
        try:
            found.append(solve_level(problem, rows, prior, shape, options, within, best))
        except (NewtonError, np.linalg.LinAlgError):
            continue
    return min(found, key=lambda level: level.indicator, default=None)


def estimated(found: Found) -> ErrorEstimate | None:
    """The difference to the finer solution, whose equation is the first one's residual between its points.

    Where the law is linear, that is what the residual there amounts to in the solution.
    """
    level, finer = found.level, found.finer
    if finer is None:
        return None
    lines = [_between(axis.grid, _OFF_POINTS[len(level.shape)]) for axis in finer.system.axes]
    l2, h1 = difference(level.system, level.outcome.coefficients, finer.system, finer.outcome.coefficients, lines)
    return ErrorEstimate(
        relative_l2=l2,
        relative_h1=h1,
        rate_l2=1.0,
        rate_h1=1.0,
        method="difference to a solution with more functions and points; the rates are not measured",
    )


def _judged(level: Level, options: Any, within: Within) -> tuple[str, str]:
    if level.indicator <= options.accuracy:
        return "converged", f"the residual between the points is {level.indicator:.1e} of the largest term"
    what = "points" if within() else "time"
    return "budget_reached", f"{what} ran out with a residual of {level.indicator:.1e} between the points of the grid"


def _priors(problem: Problem, signals: Sequence[Signals], shape: Sequence[int], options: Any) -> list[Prior]:
    """What to try, in this order."""
    bounds = bounds_of(problem)
    if options.prior == "student_t":
        return _student_priors(bounds, signals, shape, options)
    if options.frequencies == "grid" or options.prior == "grid_mixture":
        terms, width = options.terms or _GRID_TERMS, options.width or _GRID_WIDTH
        grids = [_grid(own, n, options) for own, n in zip(signals, shape, strict=True)]
        return [Prior([Mixture(*ends, tuple(own), terms, width) for ends, own in zip(bounds, grids)], "given grid")]
    terms, width = options.terms or _PEAK_TERMS, options.width or _PEAK_WIDTH
    chosen = [picked(own, terms, width)[0] for own in signals]
    source = next((own.source for own in signals if own.source != "nothing"), "nothing")
    peaks = Prior([Mixture(*e, tuple(own), terms, width) for e, own in zip(bounds, chosen)], f"lines of the {source}")
    tops = [_top(own, n, options) for own, n in zip(signals, shape, strict=True)]
    bands = [Band.of(*ends, top, int(_FULLEST * n)) for ends, top, n in zip(bounds, tops, shape, strict=True)]
    flat = Prior(list(bands), "all frequencies of a band")
    # Where data are rough, half as many functions as points are fitted more stably.
    half = [Band.of(*ends, top, int(0.45 * n)) for ends, top, n in zip(bounds, tops, shape, strict=True)]
    halved = Prior(list(half), _HALF)
    return {"spectrum": [peaks], "band": [flat, halved], "auto": [peaks, flat, halved]}[options.frequencies]


def _student_priors(
    bounds: Sequence[tuple[float, float]], signals: Sequence[Signals], shape: Sequence[int], options: Any
) -> list[Prior]:
    """Student's t around the lines of the load, and on a grid of frequencies."""
    nodes = [int(_FULLEST * n) for n in shape]

    def prior(frequencies: Sequence[Sequence[float]], width: float, origin: str) -> Prior:
        families = [
            StudentMixture(*ends, tuple(own), m, options.width or width, options.smoothness)
            for ends, own, m in zip(bounds, frequencies, nodes, strict=True)
        ]
        return Prior(list(families), f"Student's t, {origin}")

    peaks = prior([picked(own, _PEAK_TERMS, _PEAK_WIDTH)[0] for own in signals], _STUDENT_WIDTH, "lines of the load")
    grids = [_grid(own, n, options) for own, n in zip(signals, shape, strict=True)]
    grid = prior(grids, _STUDENT_GRID_WIDTH, "given grid")
    return {"spectrum": [peaks], "grid": [grid], "auto": [peaks, grid]}[options.frequencies]


def _top(signals: Signals, n: int, options: Any) -> float:
    """As far up as the signals go, or the points allow."""
    if options.top_frequency is not None:
        return options.top_frequency
    allowed = Band.top_of(_FULLEST * n, signals.length)
    top = signals.top(_RESOLVED) or allowed
    return min(1.05 * top + 1 / signals.length, allowed)


def _grid(signals: Signals, n: int, options: Any) -> list[float]:
    """The fixed grid of frequencies."""
    return np.linspace(0.0, _top(signals, n, options), options.components).tolist()


def first_grid(problem: Problem, rows: Sequence[Sequence[Row]], options: Any) -> tuple[list[Signals], tuple[int, ...]]:
    """What is known along each axis, and the points to start with.

    Raises
    ------
    DomainError
        Load or data are not finite.
    OptionError
        Points that are given cannot carry them, or more are needed than are taken by default.
    """
    signals = [signals_along(problem, axis, rows) for axis in range(len(bounds_of(problem)))]
    return signals, _first_shape(problem, signals, options)


def _first_shape(problem: Problem, signals: Sequence[Signals], options: Any) -> tuple[int, ...]:
    if options.points_per_axis is not None:
        for axis, own in enumerate(signals):
            _refuse_aliases(problem, axis, own, options.points_per_axis)
        return (options.points_per_axis,) * len(signals)
    shape = []
    for axis, own in enumerate(signals):
        waves = own.top(_RESOLVED) * own.length
        needed = _fewest(own)
        n = math.ceil(1.35 * (2 * waves + _MARGIN))
        most = _MOST[len(signals)]
        if needed > most:
            raise OptionError(
                f"The load of {problem!r} has {needed // 2} waves along axis {axis}, which take {needed} points; "
                f"give `points_per_axis` if there is memory and time for so many (by default at most {most})."
            )
        shape.append(int(np.clip(n, _FEWEST, most)))
    return tuple(shape)


def _fewest(signals: Signals) -> int:
    """Points on which no wave of the signals looks like a slower one."""
    return math.ceil(2 * signals.top(_REFUSED) * signals.length) + 2


def _refuse_aliases(problem: Problem, axis: int, signals: Signals, n: int) -> None:
    """Refuse a grid on which the load looks like a slower one."""
    needed = _fewest(signals)
    if n < needed:
        waves = signals.top(_REFUSED) * signals.length
        raise OptionError(
            f"points_per_axis={n} cannot carry the load of {problem!r}: it has up to {waves:.4g} waves "
            f"along axis {axis}, and with fewer than two points each they look slower; give at least {needed}."
        )


def as_field(level: Level) -> GaussianProcessField | GaussianProcessEvolution:
    """The posterior as polynomials in each coordinate: its mean to rounding, and its variance.

    The noise of the equation is what it misses between the points.
    """
    system, outcome = level.system, level.outcome
    values = outcome.coefficients
    for a, axis in enumerate(system.axes):
        # Polynomials of a kernel of finite smoothness fall slowly; what is far below the residual says nothing.
        tail = max(_TAIL, _SHARE * level.indicator) if isinstance(axis.family, StudentMixture) else _TAIL
        values = np.moveaxis(_polynomial(np.moveaxis(values, a, 0), axis, tail), 0, a)
    around = posterior(system, outcome.slopes, outcome.coefficients, level.noise)
    lines = []
    for axis, n in zip(system.axes, values.shape, strict=True):
        nodes = chebyshev_nodes(min(2 * n, _FINEST_VARIANCE[len(system.axes)]))
        lines.append((axis.lower + axis.upper) / 2 + (axis.upper - axis.lower) / 2 * nodes)
    variance = around.variance(lines)
    for a in range(len(lines)):
        variance = chebyshev_coefficients(variance, a)
    if system.problem.evolves:
        return GaussianProcessEvolution(system.problem, values[None], variance[None])
    return GaussianProcessField(system.problem, values[None], variance[None])


def _polynomial(coefficients: np.ndarray, axis: Axis, tail: float) -> np.ndarray:
    """Chebyshev coefficients along the first axis, as many as are above rounding."""
    n = 64
    while True:
        nodes = (axis.lower + axis.upper) / 2 + (axis.upper - axis.lower) / 2 * chebyshev_nodes(n)
        values = np.tensordot(axis.at(nodes, 0), coefficients, (1, 0))
        found = chebyshev_coefficients(values, 0)
        sizes = np.abs(found).reshape(n, -1).max(axis=1)
        # Where coefficients do not fall any more they are rounding.
        floor = max(tail * sizes.max(), 4 * float(np.median(sizes[-max(4, n // 10) :])))
        above = np.flatnonzero(sizes > floor)
        last = int(above[-1]) + 1 if len(above) else 1
        if (last < 0.85 * n and floor < max(_ROUGH, 2 * tail) * sizes.max()) or n > 8 * len(axis.grid):
            return found[: max(last, 2)]
        n = int(1.5 * n)
