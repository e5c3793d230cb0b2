"""The time that a problem runs for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sciml.errors import DeclarationError

__all__ = ["Interval", "as_interval", "interpolation_weights"]


@dataclass(frozen=True)
class Interval:
    """The time from `start` to `end`.

    Examples
    --------
    >>> Interval(0.0, 2.0)
    """

    start: float
    end: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.start, self.end]).all() and self.end > self.start):
            raise DeclarationError(
                f"`time` runs from {self.start!r} to {self.end!r}; it needs a later end, both finite."
            )

    @property
    def duration(self) -> float:
        """Its length."""
        return self.end - self.start

    def contains(self, times: np.ndarray) -> np.ndarray:
        """Whether times lie in it, up to rounding."""
        slack = 1e-9 * self.duration
        return (times >= self.start - slack) & (times <= self.end + slack)


def as_interval(value: Any) -> Interval:
    """An interval from itself, its end (it then starts at 0), or (start, end)."""
    if isinstance(value, Interval):
        return value
    try:
        bounds = np.atleast_1d(np.asarray(value, dtype=float))
    except (TypeError, ValueError):
        bounds = np.empty(0)
    if bounds.shape == (1,):
        return Interval(0.0, float(bounds[0]))
    if bounds.shape == (2,):
        return Interval(float(bounds[0]), float(bounds[1]))
    raise DeclarationError(f"`time` was given {value!r}; it takes the end, or (start, end), or an Interval.")


def interpolation_weights(nodes: np.ndarray, x: float) -> np.ndarray:
    """Weights of values at some instants for the value at another: Lagrange's polynomials."""
    gaps = nodes[:, None] - nodes[None, :]
    np.fill_diagonal(gaps, 1.0)
    shifted = np.tile(x - nodes, (len(nodes), 1))
    np.fill_diagonal(shifted, 1.0)
    return np.prod(shifted / gaps, axis=1)
