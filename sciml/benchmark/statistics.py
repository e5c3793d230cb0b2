"""Error–cost curves and what may be read off them.

Numbers only: what a point or a sample is, is known to :mod:`sciml.benchmark.curves`. A failed sample has infinite cost
and infinite error, so that it can make nothing look better: medians rise with it, and nothing is interpolated across a
point that failed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import binomtest

__all__ = [
    "Coverage",
    "Curve",
    "CurvePoint",
    "Reached",
    "Spread",
    "Wins",
    "break_even",
    "coverage",
    "error_within",
    "median",
    "overlap",
    "rank_distribution",
    "ratio",
    "spread",
    "time_to_error",
    "win_probabilities",
]

_TINY = 1e-300


@dataclass(frozen=True)
class Spread:
    """Median, quartiles and extremes of some values; infinities are failures and take part."""

    median: float
    lower: float
    upper: float
    least: float
    greatest: float
    count: int


@dataclass(frozen=True)
class CurvePoint:
    """One point of a sweep.

    Attributes
    ----------
    label : str
        The point's options, for people.
    samples : dict of int to (cost, error)
        By seed, or by repeat where nothing is random; (inf, inf) for a failure.
    """

    label: str
    samples: Mapping[int, tuple[float, float]]

    @cached_property
    def cost(self) -> float:
        """Median over the samples."""
        return median([cost for cost, _ in self.samples.values()])

    @cached_property
    def error(self) -> float:
        """Median over the samples."""
        return median([error for _, error in self.samples.values()])

    @property
    def works(self) -> bool:
        """Whether there is a median, so that fewer than half of the samples failed."""
        return math.isfinite(self.cost) and math.isfinite(self.error)


@dataclass(frozen=True)
class Curve:
    """Error against cost over a sweep.

    Attributes
    ----------
    points : tuple of CurvePoint
    segments : tuple of (int, int)
        Neighbours in the sweep, between which may be interpolated.
    """

    points: tuple[CurvePoint, ...]
    segments: tuple[tuple[int, int], ...]

    @cached_property
    def samples(self) -> tuple[int, ...]:
        """Seeds or repeats, of any point."""
        return tuple(sorted({sample for point in self.points for sample in point.samples}))

    def sample(self, sample: int) -> Curve:
        """The curve of one seed or repeat; a point that lacks it is taken for a failure."""
        failed = (math.inf, math.inf)
        return Curve(
            tuple(CurvePoint(point.label, {sample: point.samples.get(sample, failed)}) for point in self.points),
            self.segments,
        )

    @property
    def errors(self) -> tuple[float, float] | None:
        """Smallest and largest median error that was measured."""
        errors = [point.error for point in self.points if point.works]
        return (min(errors), max(errors)) if errors else None

    @property
    def best(self) -> CurvePoint | None:
        """The most accurate point."""
        return min((p for p in self.points if p.works), key=lambda p: (p.error, p.cost), default=None)

    @property
    def coarsest(self) -> CurvePoint | None:
        """The least accurate point."""
        return max((p for p in self.points if p.works), key=lambda p: (p.error, -p.cost), default=None)


@dataclass(frozen=True)
class Reached:
    """When an error is reached.

    Attributes
    ----------
    cost : float
        Infinity where it is not reached inside of what was measured.
    at_most : bool
        Whether the cost is only known from above: the error lies outside of the measured range, or a neighbour failed.
    point : int or None
        The measured point that reaches it: the accurate end of the segment.
    """

    cost: float
    at_most: bool
    point: int | None

    @property
    def is_reached(self) -> bool:
        """Whether the cost is finite."""
        return math.isfinite(self.cost)


@dataclass(frozen=True)
class Wins:
    """How often each candidate is the best in resampled runs, and how often nobody gets there; the sum is 1."""

    shares: Mapping[str, float]
    nobody: float


@dataclass(frozen=True)
class Coverage:
    """How many error bars hold the true error, with the Clopper–Pearson interval of that share at 95 %."""

    covered: int
    count: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Covered / count."""
        return self.covered / self.count


def median(values: Sequence[float]) -> float:
    """The median; infinity where there are no values, or half of them are infinite."""
    return float(np.median(values)) if len(values) else math.inf


def spread(values: Sequence[float]) -> Spread:
    """Median, quartiles and extremes.

    Quartiles are values that occur (the lower one rounded down, the upper one up), so that an infinity makes no NaN.
    """
    if not len(values):
        raise ValueError("the spread of no values is not defined")
    lower = float(np.quantile(values, 0.25, method="lower"))
    upper = float(np.quantile(values, 0.75, method="higher"))
    return Spread(median(values), lower, upper, float(min(values)), float(max(values)), len(values))


def time_to_error(curve: Curve, error: float) -> Reached:
    """The least cost at which a curve is at or below an error.

    Between neighbours of the sweep, log cost is linear in log error; nothing is extrapolated, and nothing interpolated
    across a point that failed. Being the smallest cost among all points and segments, it never falls when a point gets
    costlier, less accurate, or fails.

    Parameters
    ----------
    curve : Curve
    error : float
        ε > 0.
    """
    found = Reached(math.inf, False, None)
    for i, point in enumerate(curve.points):
        if point.works and point.error <= error:
            found = _cheaper(found, Reached(point.cost, point.error < error, i))
    for i, j in curve.segments:
        good, bad = sorted((i, j), key=lambda k: curve.points[k].error)
        a, b = curve.points[good], curve.points[bad]
        if a.works and b.works and a.error <= error < b.error:
            cost = _log_linear(error, (a.error, a.cost), (b.error, b.cost))
            found = _cheaper(found, Reached(cost, False, good))
    return found


def _cheaper(one: Reached, other: Reached) -> Reached:
    return min(one, other, key=lambda reached: (reached.cost, reached.at_most))


def _log_linear(x: float, first: tuple[float, float], second: tuple[float, float]) -> float:
    """The value at x between two points, linear in logarithms."""
    (x0, y0), (x1, y1) = ((math.log(max(u, _TINY)), math.log(max(v, _TINY))) for u, v in (first, second))
    share = 0.0 if x0 == x1 else (math.log(max(x, _TINY)) - x0) / (x1 - x0)
    inside = math.exp(y0 + share * (y1 - y0))
    return min(max(inside, min(first[1], second[1])), max(first[1], second[1]))


def error_within(curve: Curve, cost: float) -> float:
    """The smallest error that a curve reaches at a cost or below; infinity where it has nothing so cheap."""
    best = math.inf
    for point in curve.points:
        if point.works and point.cost <= cost:
            best = min(best, point.error)
    for i, j in curve.segments:
        a, b = sorted((curve.points[i], curve.points[j]), key=lambda point: point.cost)
        if a.works and b.works and a.cost <= cost < b.cost:
            best = min(best, _log_linear(cost, (a.cost, a.error), (b.cost, b.error)))
    return best


def overlap(curve: Curve, other: Curve) -> tuple[float, float] | None:
    """The errors (smallest, largest) that both curves were measured at."""
    if curve.errors is None or other.errors is None:
        return None
    low, high = max(curve.errors[0], other.errors[0]), min(curve.errors[1], other.errors[1])
    return (low, high) if low <= high else None


def ratio(curve: Curve, other: Curve, error: float) -> float | None:
    """Cost of a curve by the cost of another at one error, where both were measured around it; else None."""
    one, two = time_to_error(curve, error), time_to_error(other, error)
    if not (one.is_reached and two.is_reached) or one.at_most or two.at_most or two.cost <= 0:
        return None
    return one.cost / two.cost


def _resampled(scores: Mapping[str, Sequence[float]], resamples: int, seed: int) -> np.ndarray:
    """Medians of resampled scores, (candidate, resample)."""
    generator = np.random.default_rng(seed)
    medians = []
    for values in scores.values():
        array = np.asarray(values, dtype=float) if len(values) else np.array([math.inf])
        drawn = generator.integers(len(array), size=(resamples, len(array)))
        medians.append(np.median(array[drawn], axis=1))
    return np.array(medians).reshape(len(scores), resamples)


def win_probabilities(scores: Mapping[str, Sequence[float]], *, resamples: int = 2000, seed: int = 0) -> Wins:
    """How often each candidate has the smallest median where its seeds are drawn again.

    Parameters
    ----------
    scores : dict of candidate to sequence of float
        A time or an error per seed; infinity for a failure.
    resamples, seed : int
        Of the bootstrap, which draws the seeds of each candidate with replacement.

    Notes
    -----
    Candidates that are equal share a win. A failed median never wins: where all fail, nobody does.
    """
    if not scores:
        return Wins({}, 1.0)
    medians = _resampled(scores, resamples, seed)
    least = medians.min(axis=0)
    won = (medians == least) & np.isfinite(least)
    shares = np.where(won, 1.0 / np.maximum(won.sum(axis=0), 1), 0.0).mean(axis=1)
    return Wins(dict(zip(scores, map(float, shares))), float(np.mean(~np.isfinite(least))))


def rank_distribution(
    scores: Mapping[str, Sequence[float]], *, resamples: int = 2000, seed: int = 0
) -> dict[str, np.ndarray]:
    """Shares (n_candidates,) of the ranks 1, 2, … that each candidate takes where its seeds are drawn again.

    The rank is one more than the number of better candidates; a failed median has the last one.
    """
    if not scores:
        return {}
    medians = _resampled(scores, resamples, seed)
    count = len(medians)
    ranks = 1 + (medians[None, :, :] < medians[:, None, :]).sum(axis=1)
    ranks = np.where(np.isfinite(medians), ranks, count)
    return {name: np.bincount(ranks[k], minlength=count + 1)[1:] / resamples for k, name in enumerate(scores)}


def break_even(one_off: float, per_query: float, other_one_off: float, other_per_query: float) -> float:
    """Number of queries from which on a method with one-off costs is the cheaper one.

    The smallest whole n ≥ 1 with one_off + n per_query ≤ other_one_off + n other_per_query, and so for all larger n;
    infinity where there is none.
    """
    extra, saved = one_off - other_one_off, other_per_query - per_query
    if extra <= saved:
        return 1.0 if saved >= 0 else math.inf
    return float(math.ceil(extra / saved)) if saved > 0 else math.inf


def coverage(covered: Sequence[bool]) -> Coverage | None:
    """How many error bars held; None where there were none."""
    if not len(covered):
        return None
    held = sum(map(bool, covered))
    interval = binomtest(held, len(covered)).proportion_ci(0.95, method="exact")
    return Coverage(held, len(covered), float(interval.low), float(interval.high))
