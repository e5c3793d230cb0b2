"""A search along a line for a length that fulfils the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Point", "strong_wolfe"]


class Point(NamedTuple):
    """A function on a line: its value and slope at a length."""

    length: float
    value: float
    slope: float


def strong_wolfe(
    function: Callable[[float], tuple[float, float]],
    start: Point,
    first: float,
    *,
    decrease: float = 1e-4,
    curvature: float = 0.9,
    most: int = 25,
) -> Point | None:
    """Find a length t > 0 with φ(t) ≤ φ(0) + c₁ t φ'(0) and |φ'(t)| ≤ c₂ |φ'(0)|.

    Parameters
    ----------
    function : callable
        t ↦ (φ(t), φ'(t)). Values that are not finite are taken as "too far".
    start : Point
        At length 0, with a negative slope.
    first : float
        Length that is tried first.
    decrease, curvature : float
        c₁ and c₂, 0 < c₁ < c₂ < 1.
    most : int
        Evaluations that may be spent.

    Returns
    -------
    Point or None
        Where both conditions hold; if that was not found in time, the best point where the first one does; None if
        there was none.

    References
    ----------
    Nocedal & Wright, Numerical Optimization, Algorithms 3.5 and 3.6.
    """
    low, high, length = start, None, first
    for _ in range(most):
        trial = Point(length, *function(length))
        if not _lower(trial, start, low, decrease):
            high = trial
        elif abs(trial.slope) <= -curvature * start.slope:
            return trial
        else:
            # The minimum lies behind the trial, between it and the low point, where the slope has changed its sign.
            outwards = 1.0 if high is None or high.length > low.length else -1.0
            before, low = low, trial
            if trial.slope * outwards >= 0:
                high = before
            elif high is None:
                length = _further(before, trial)
                continue
        if abs(high.length - low.length) <= 1e-15 * max(high.length, low.length):
            break
        length = _between(low, high)
    return low if low.length > 0 else None


def _lower(trial: Point, start: Point, low: Point, decrease: float) -> bool:
    """Whether the trial is finite, lower than the lowest point and low enough for its length."""
    finite = math.isfinite(trial.value) and math.isfinite(trial.slope)
    return finite and trial.value <= start.value + decrease * trial.length * start.slope and trial.value < low.value


def _further(before: Point, last: Point) -> float:
    """Where to look beyond the last point, which still goes down."""
    guess = _cubic_minimum(before, last)
    return min(max(guess, 2 * last.length), 10 * last.length) if math.isfinite(guess) else 10 * last.length


def _between(low: Point, high: Point) -> float:
    """Where to look inside of an interval: the minimum of the cubic, not too near to an end."""
    width = high.length - low.length
    if not (math.isfinite(high.value) and math.isfinite(high.slope)):
        return low.length + 0.1 * width
    share = (_cubic_minimum(low, high) - low.length) / width
    # Near an end, a guess is moved by little: what is exact for a parabola stays nearly so.
    return low.length + (min(max(share, 0.01), 0.99) if 0 < share < 1 else 0.5) * width


def _cubic_minimum(a: Point, b: Point) -> float:
    """Where the cubic through both values and slopes has its minimum; NaN where it has none."""
    width = b.length - a.length
    mean = a.slope + b.slope - 3 * (b.value - a.value) / width
    root = mean**2 - a.slope * b.slope
    if root < 0:
        return math.nan
    root = math.copysign(math.sqrt(root), width)
    bottom = b.slope - a.slope + 2 * root
    return b.length - width * (b.slope + root - mean) / bottom if bottom else math.nan
