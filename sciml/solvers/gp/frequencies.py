"""Which frequencies a prior needs: those of the load, or of data on the sides.

Signals are looked at along lines of each axis on points much finer than the grid that is solved on, so that what a grid
would mistake for a slower wave is seen. Frequencies are picked one after the other where the spectrum of what the
features so far cannot represent is largest (orthogonal matching pursuit with blocks; Y. C. Pati, R. Rezaiifar, P. S.
Krishnaprasad, Asilomar 1993). Signals without lines in their spectrum, such as chirps, are not represented by a few of
them; these take a whole band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sciml.errors import DomainError
from sciml.forms import PointwiseOperator, strong_residual
from sciml.problem import Problem
from sciml.solvers.gp.features import Mixture
from sciml.solvers.gp.system import Row, bounds_of

__all__ = ["Signals", "picked", "signals_along"]

_FINE, _FINEST = 2048, 65_536
_LINES, _SAMPLES = 6, 512
_KAISER, _ROUNDING = 28.0, 1e-11
_PADDING = 4
_PRESENT = 1e-9
_PLENTY = 14


@dataclass(frozen=True)
class Signals:
    """What is known along one axis before solving.

    Attributes
    ----------
    x : (n,) array
        Equal points.
    values : (n, m) array
        Lines of the load and of data on sides, each of largest modulus 1; m is 0 where all of them are zero.
    source : str
        "load", "boundary" or "nothing".
    """

    x: np.ndarray
    values: np.ndarray
    source: str

    @property
    def length(self) -> float:
        """Of the axis."""
        return float(self.x[-1] - self.x[0])

    def top(self, level: float) -> float:
        """The highest frequency whose amplitude is above a share of the largest, in cycles per length."""
        if not self.values.shape[1]:
            return 0.0
        n = len(self.x)
        frequencies = np.fft.rfftfreq(_PADDING * n, self.x[1] - self.x[0])
        window = np.kaiser(n, _KAISER)[:, None]
        amplitudes = np.abs(np.fft.rfft(self.values * window, _PADDING * n, axis=0)).max(axis=1)
        above = np.flatnonzero(amplitudes > level * amplitudes.max())
        # The window widens a line to both sides.
        widening = _KAISER / np.pi / self.length * np.sqrt(np.log(1 / level) / _KAISER)
        return max(0.0, float(frequencies[above[-1]]) - min(widening, float(frequencies[above[-1]])))


def signals_along(problem: Problem, axis: int, rows: Sequence[Sequence[Row]]) -> Signals:
    """Lines along an axis, on so many points that the highest frequency is resolved.

    Raises
    ------
    DomainError
        The load or data are not finite somewhere.
    """
    n = _FINE
    while True:
        found = _signals(problem, axis, rows, n)
        if n >= _FINEST or found.top(1e-4) < 0.2 * n / found.length:
            return found
        n *= 4


def _signals(problem: Problem, axis: int, rows: Sequence[Sequence[Row]], n: int) -> Signals:
    bounds, generator = bounds_of(problem), np.random.default_rng(0)
    x = np.linspace(*bounds[axis], n)
    operator = strong_residual(problem)
    loads, traces = [], []
    places = _places(operator, generator.uniform(*np.transpose(bounds), size=(_SAMPLES, len(bounds))))
    for place in places[: _LINES if len(bounds) > 1 else 1]:
        points = np.tile(place, (n, 1))
        points[:, axis] = x
        loads.append(_finite(problem, operator.at(points).reshape(n), points, "load"))
        for row in (row for a, own in enumerate(rows) if a != axis for row in own):
            on_side = points.copy()
            on_side[:, row.axis] = row.place
            traces.append(_finite(problem, row.data(on_side), on_side, f"{row.kind} on a side"))
    lines = _scaled(traces)
    # A load that cancels but for rounding is none.
    noise = _ROUNDING * _response(operator, places) * max((float(np.abs(t).max()) for t in traces), default=0.0)
    kept, source = _scaled([load for load in loads if np.abs(load).max() > noise]), "load"
    if not kept:
        source = "boundary" if lines else "nothing"
    return Signals(x, np.array([*kept, *lines]).reshape(-1, n).T, source)


def _places(operator: PointwiseOperator, points: np.ndarray) -> np.ndarray:
    """Points that lines go through: half where the load is largest (a source may be anywhere), half at random."""
    size = np.nan_to_num(np.abs(operator.at(points)), nan=np.inf)
    largest = points[np.argsort(-size, kind="stable")[: _LINES // 2]]
    return np.concatenate([largest, points[: _LINES - len(largest)]])


def _response(operator: PointwiseOperator, points: np.ndarray) -> float:
    """The largest answer of the equation to a jet of ones: the size of its coefficients."""
    x = torch.tensor(points)
    jets = ({key: torch.full((len(x),), value, dtype=torch.float64) for key in operator.keys} for value in (0.0, 1.0))
    with torch.no_grad():
        rest, ones = (operator(x, jet).numpy() for jet in jets)
    return float(np.abs(ones - rest).max())


def _finite(problem: Problem, values: np.ndarray, points: np.ndarray, what: str) -> np.ndarray:
    wrong = ~np.isfinite(values)
    if wrong.any():
        place = ", ".join(f"{c:.6g}" for c in points[int(np.argmax(wrong))])
        raise DomainError(
            f"The {what} of {problem!r} is not finite at ({place}); a Gaussian process needs finite data everywhere."
        )
    return values


def _scaled(lines: list[np.ndarray]) -> list[np.ndarray]:
    largest = max((float(np.abs(line).max()) for line in lines), default=0.0)
    return [line / largest for line in lines if np.abs(line).max() > 1e-12 * largest] if largest > 0 else []


def picked(signals: Signals, terms: int, width: float, most: int = _PLENTY) -> tuple[list[float], float]:
    """Frequencies whose features represent the signals, and the largest relative part of one that is left.

    Parameters
    ----------
    signals : Signals
    terms, width : int, float
        Of the features.
    most : int
        Frequencies to stop at.
    """
    chosen = [0.0]
    if not signals.values.shape[1]:
        return chosen, 0.0
    x = signals.x
    stride = max(1, int(len(x) / (8 * (signals.top(1e-6) * signals.length + 16))))
    x, values = x[::stride], signals.values[::stride]
    ends = float(signals.x[0]), float(signals.x[-1])
    sizes = np.linalg.norm(values, axis=0)
    basis = np.zeros((len(x), 0))
    rest = values
    window = np.hanning(len(x) + 2)[1:-1, None]
    padded = 8 * len(x)
    frequencies = np.fft.rfftfreq(padded, x[1] - x[0])
    while True:
        block = Mixture(*ends, (chosen[-1],), terms, width).at(x, 0)
        basis = np.concatenate([basis, _beside(block, basis)], axis=1)
        rest = values - basis @ (basis.T @ values)
        rest = rest - basis @ (basis.T @ rest)
        left = float((np.linalg.norm(rest, axis=0) / sizes).max())
        if left <= _PRESENT or len(chosen) > most or basis.shape[1] > len(x) // 2:
            return sorted(chosen), left
        power = (np.abs(np.fft.rfft(rest / sizes * window, padded, axis=0)) ** 2).sum(axis=1)
        power[frequencies < 0.5 / signals.length] = 0.0
        near = np.min(np.abs(np.subtract.outer(frequencies, chosen)), axis=1) < 0.25 / signals.length
        power[near] = 0.0
        chosen.append(float(frequencies[int(power.argmax())]))


def _beside(block: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """An orthonormal basis of what a block adds to a basis."""
    sizes = np.linalg.norm(block, axis=0)
    block = block / np.where(sizes > 0, sizes, 1.0)
    for _ in range(2):
        block = block - basis @ (basis.T @ block)
    left, sizes, _ = np.linalg.svd(block, full_matrices=False)
    return left[:, sizes > 1e-12]
