"""Solving on grids of several sizes, and measuring the error from their differences.

A level with half the waves takes steps of twice the length. With the differences d₁ between the levels a quarter and a
half as fine as the one delivered and d₂ between the latter two, and the observed rate r = log₂(d₁/d₂), the error is at
most about d₂/(2^min(r, p) − 1), p being the order of the steps: that of space falls faster than any power where the
solution is smooth, and d₂ holds 2^p − 1 times the error of the steps. So the estimate is one from above.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from sciml.errors import ConditionError
from sciml.problem import Problem
from sciml.solution import ErrorEstimate
from sciml.solvers.spectral.grid import Grid
from sciml.solvers.spectral.marching import BlowupError, March, march
from sciml.solvers.spectral.schemes import SCHEMES
from sciml.solvers.spectral.semidiscrete import Semidiscrete, components_of

__all__ = ["Level", "Outcome", "estimate_error", "solve_level", "solve_levels"]

_START = {1: 64, 2: 32, 3: 16}
_LEAST_MODES = 4
_GROUPS = 8
_FALLS = 0.25
_UNBALANCED = 1e-5
Report = Callable[[str], None]


@dataclass
class Level:
    """States of all members on one grid."""

    grid: Grid
    march: March
    setup_seconds: float
    solve_seconds: float

    def check_balance(self, problem: Problem) -> None:
        """Refuse equations of constrained fields that have no periodic solution.

        On a grid that is too coarse for the data their mean is not known, so this is for a level that is delivered.

        Raises
        ------
        ConditionError
        """
        if self.march.imbalance > _UNBALANCED:
            _, bound = components_of(problem)
            names = " and ".join(repr(slot.name) for slot in problem.layout if slot.offset in bound)
            raise ConditionError(
                f"The equation of {names} has a mean of {self.march.imbalance:.2g} of its largest wave in place of 0, "
                f"so it has no periodic solution; take the mean off its data, or give more `modes` if they are rough."
            )

    @property
    def unknowns(self) -> int:
        """Real numbers that a state consists of."""
        return int(self.march.states[0, 0].size * 2)


@dataclass
class Outcome:
    """What was solved for one problem."""

    delivered: Level
    estimate: ErrorEstimate | None = None
    levels: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def solve_level(
    problems: list[Problem],
    options: Any,
    device: str,
    modes: int,
    *,
    fewest: int = 1,
    plan: tuple[np.ndarray, list[int]] | None = None,
    report: Report = lambda text: None,
) -> Level:
    """All members on one grid.

    Parameters
    ----------
    problems : list of Problem
    options : SpectralOptions
    device : str
    modes : int
    fewest : int
        Steps between two instants, where their number is found.
    plan : (times, steps), optional
        Instants and the steps between them; from the options by default.
    """
    start, first = time.perf_counter(), problems[0]
    dtype = torch.float64 if options.dtype == "float64" else torch.float32
    with torch.no_grad():
        system = Semidiscrete(problems, Grid(first.domain, modes, _dealiased(first, options)), device, dtype)
        ready = time.perf_counter()
        if not first.evolves:
            state = system.initial()
            states = system.grid.compact(system.whole(state, 0.0))
            result = March(np.zeros(1), states[None], imbalance=system.imbalance(state, 0.0))
        else:
            times, steps = plan or _instants(first, options)
            result = march(
                system,
                options.scheme,
                times,
                steps,
                fewest=fewest,
                report=lambda t: report(f"{modes} modes, t = {t:.4g}"),
            )
    return Level(system.grid, result, ready - start, time.perf_counter() - ready)


def _dealiased(problem: Problem, options: Any) -> bool:
    """Waves of linear laws with constant coefficients do not interact."""
    from sciml.forms.splitting import linear_split

    return options.dealias and bool(linear_split(problem).varying)


def _instants(problem: Problem, options: Any) -> tuple[np.ndarray, list[int] | None]:
    interval, total = problem.time, options.steps
    if options.step is not None:
        total = round(interval.duration / options.step)
    if total is None:
        return np.linspace(interval.start, interval.end, options.snapshots), None
    at = np.unique(np.rint(np.linspace(0, total, min(options.snapshots, total + 1))).astype(int))
    return interval.start + interval.duration * at / total, np.diff(at).tolist()


def solve_levels(problem: Problem, options: Any, device: str, within: Callable[[], bool], report: Report) -> Outcome:
    """As the options say; without `modes` doubling them until the error is small enough or a limit is reached."""
    outcome = _settled(problem, options, device, within, report)
    outcome.delivered.check_balance(problem)
    return outcome


def _settled(problem: Problem, options: Any, device: str, within: Callable[[], bool], report: Report) -> Outcome:
    modes, fewest = options.modes or _START[problem.dim], 1
    while True:
        level = solve_level([problem], options, device, modes, fewest=fewest, report=report)
        outcome = Outcome(level)
        if options.measure_error:
            _measure(problem, options, device, outcome, report)
        if options.modes is not None:
            return outcome
        estimate = outcome.estimate
        if estimate is not None and estimate.relative_l2 <= options.accuracy:
            outcome.notes.append(f"{modes} modes, found by doubling")
            return outcome
        steps = max(1, level.march.total)
        work = 2**problem.dim * level.unknowns * (2 * steps if problem.evolves else 1)
        limit = f"max_work={options.max_work:g}" if work > options.max_work else "" if within() else "cpu_seconds"
        if limit:
            reached = "" if estimate is None else f" at an error of {estimate.relative_l2:.1e}"
            outcome.notes.append(f"{modes} modes, found by doubling, which stopped{reached} because of {limit}")
            return outcome
        modes, fewest = 2 * modes, 2 * fewest


def _measure(problem: Problem, options: Any, device: str, outcome: Outcome, report: Report) -> None:
    delivered = outcome.delivered
    levels, plan = [delivered], delivered.march
    times, totals = _grouped(plan) if problem.evolves else (plan.times, [])
    for coarser in (1, 2):
        modes = delivered.grid.modes // 2**coarser
        if modes < _LEAST_MODES:
            break
        steps = [-(-n // 2**coarser) for n in totals]
        own = (times, steps) if problem.evolves else None
        try:
            levels.insert(0, solve_level([problem], options, device, modes, plan=own, report=report))
        except BlowupError as error:
            outcome.notes.append(f"a coarser level for the error estimate failed: {error}")
            break
    outcome.levels = [level.grid.modes for level in levels]
    if len(levels) > 1:
        outcome.estimate = estimate_error(problem, levels, SCHEMES[options.scheme].order)
    if problem.evolves and plan.total < 4:
        outcome.notes.append("with fewer than four steps the error of the steps is not measured")


def _grouped(plan: March) -> tuple[np.ndarray, list[int]]:
    """About eight intervals of at least four steps each, made of those of the plan."""
    least = max(4, plan.total / _GROUPS)
    edges, totals, count = [0], [], 0
    for k, n in enumerate(plan.steps, start=1):
        count += n
        if count >= least or k == len(plan.steps):
            edges.append(k)
            totals.append(count)
            count = 0
    if len(totals) > 1 and totals[-1] < least:
        totals[-2:] = [totals[-2] + totals[-1]]
        edges.pop(-2)
    return plan.times[edges], totals


def estimate_error(problem: Problem, levels: list[Level], order: int) -> ErrorEstimate:
    """The error of the last of two or three levels, each twice as fine as the one before; see the module."""
    pairs = [_differences(problem, a, b) for a, b in pairwise(levels)]
    fields, method = {}, ""
    for name, (last, size) in pairs[-1].items():
        if len(pairs) == 2:
            with np.errstate(divide="ignore", invalid="ignore"):
                observed = np.log2(pairs[0][name][0] / last)
            falls = np.isfinite(observed) & (observed > _FALLS)
            rates = np.where(falls, np.minimum(observed, order), 1.0)
            shown = np.where(np.isfinite(observed), observed, rates)
            method = f"three levels, observed rate up to {order}"
        else:
            rates = shown = np.ones(2)
            method = "two levels, their difference"
        error = last / (2**rates - 1) / np.where(size > 0, size, 1.0)
        fields[name] = {
            "relative_l2": float(error[0]),
            "relative_h1": float(error[1]),
            "rate_l2": float(shown[0]),
            "rate_h1": float(shown[1]),
        }
    worst = max(fields.values(), key=lambda own: own["relative_l2"])
    worst = worst | {"relative_h1": max(own["relative_h1"] for own in fields.values())}
    return ErrorEstimate(**worst, method=method, fields=fields if len(fields) > 1 else {})


def _differences(problem: Problem, coarse: Level, fine: Level) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each field ‖u_f − u_c‖ and ‖u_f‖ in L2 and H1, root mean squares over the instants of the coarse level."""
    at = np.searchsorted(fine.march.times, coarse.march.times - 1e-9 * np.ptp(fine.march.times))
    states = fine.march.states[at][:, 0]
    padding = fine.grid.highest - coarse.grid.highest
    sides = [(padding, padding)] * (problem.dim - 1) + [(0, padding)]
    difference = states - np.pad(coarse.march.states[:, 0], [(0, 0), (0, 0), *sides])
    weights = _norm_weights(problem, fine.grid.highest)
    found = {}
    for slot in problem.layout:
        own = list(slot.components)
        both = [
            np.sqrt(np.array([(np.abs(u[:, own]) ** 2 * w).sum() for w in weights]) / len(at))
            for u in (difference, states)
        ]
        found[slot.name] = (both[0], both[1])
    return found


def _norm_weights(problem: Problem, highest: int) -> list[np.ndarray]:
    """Weights of |c|² in the squares of the L2 and H1 norms (Parseval), slopes in multiples of 1/size."""
    domain = problem.domain
    both = np.arange(-highest, highest + 1)
    lines = [both] * (problem.dim - 1) + [np.arange(highest + 1)]
    lengths = domain.upper - domain.lower
    waves = np.meshgrid(*(2 * np.pi * n / length for n, length in zip(lines, lengths)), indexing="ij")
    squares = sum(k**2 for k in waves)
    twice = np.where(waves[-1] > 0, 2.0, 1.0) * float(np.prod(lengths))
    return [twice, twice * (1 + domain.size**2 * squares)]
