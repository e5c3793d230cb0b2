"""From the start to the end on one grid: which steps, and what is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch

from sciml.errors import DivergenceError
from sciml.solvers.spectral.schemes import SCHEMES, Stepper
from sciml.solvers.spectral.semidiscrete import Semidiscrete

__all__ = ["BlowupError", "March", "march"]

_SLACK = 1.5
_ATTEMPTS = 6
_MOST_STEPS = 10_000_000


class BlowupError(DivergenceError):
    """The state ceased to be finite.

    Attributes
    ----------
    last : (float, array)
        An instant before, and the coefficients then.
    """

    def __init__(self, message: str, last: tuple[float, np.ndarray]) -> None:
        super().__init__(message)
        self.last = last


@dataclass
class March:
    """States at some instants.

    Attributes
    ----------
    times : (n,) array
    states : (n, n_members, k, …) array
        Compact coefficients, see :meth:`Grid.compact`.
    steps : (n − 1,) list
        Steps between the instants.
    imbalance : float
        The largest, see :meth:`Semidiscrete.imbalance`.
    """

    times: np.ndarray
    states: np.ndarray
    steps: list[int] = field(default_factory=list)
    imbalance: float = 0.0

    @property
    def total(self) -> int:
        """All steps."""
        return sum(self.steps)

    @property
    def step_range(self) -> tuple[float, float]:
        """The shortest and the longest step."""
        lengths = np.diff(self.times) / np.array(self.steps)
        return float(lengths.min()), float(lengths.max())


def march(
    system: Semidiscrete,
    scheme: str,
    times: np.ndarray,
    steps: Sequence[int] | None,
    *,
    fewest: int = 1,
    refine: float = 1.0,
    report: Callable[[float], None] = lambda t: None,
) -> March:
    """Run through the instants `times`.

    Parameters
    ----------
    system : Semidiscrete
    scheme : str
    times : (n,) array
    steps : sequence of int, optional
        Between the instants; by default as many as the Courant number of the scheme asks for, looked at before and
        after each interval.
    fewest : int
        Between two instants.
    refine : float
        Divides the Courant number.

    Raises
    ------
    BlowupError
        The state is not finite.
    """
    plan = _Plan(system, SCHEMES[scheme], fewest, refine)
    state, taken = system.initial(), []
    imbalance = system.imbalance(state, float(times[0]))
    kept = [_compact(system, state, float(times[0]))]
    for k, (t0, t1) in enumerate(pairwise(times)):
        if steps is None:
            state, n = plan.adapted(state, float(t0), float(t1), kept[-1])
        else:
            n = steps[k]
            state = _finite(plan.run(state, float(t0), float(t1), n), float(t0), float(t1), n, kept[-1])
        imbalance = max(imbalance, system.imbalance(state, float(t1)))
        kept.append(_compact(system, state, float(t1)))
        taken.append(n)
        report(float(t1))
    return March(np.asarray(times), np.stack(kept), taken, imbalance)


def _compact(system: Semidiscrete, state: torch.Tensor, t: float) -> np.ndarray:
    return system.grid.compact(system.whole(state, t))


def _finite(state: torch.Tensor, t0: float, t1: float, n: int, last: np.ndarray) -> torch.Tensor:
    if not bool(torch.isfinite(torch.view_as_real(state)).all()):
        raise BlowupError(
            f"The state ceased to be finite between t = {t0:g} and {t1:g} with steps of {(t1 - t0) / n:.3g}; take "
            f"shorter ones, or check that the solution exists for so long.",
            (t0, last),
        )
    return state


class _Plan:
    """Steppers by their length, and how many steps an interval needs."""

    def __init__(self, system: Semidiscrete, kind: type[Stepper], fewest: int, refine: float) -> None:
        self.system, self.kind = system, kind
        self.fewest, self.courant = fewest, kind.courant / refine
        self._stepper: Stepper | None = None

    def run(self, state: torch.Tensor, t0: float, t1: float, n: int) -> torch.Tensor:
        step = (t1 - t0) / n
        if self._stepper is None or abs(self._stepper.step - step) > 1e-12 * step:
            self._stepper = self.kind(self.system, step)
        for k in range(n):
            state = self._stepper(state, t0 + k * step)
        return state

    def adapted(self, state: torch.Tensor, t0: float, t1: float, last: np.ndarray) -> tuple[torch.Tensor, int]:
        """Run through an interval; again with shorter steps where the rest became faster on the way."""
        n = self._wanted(self.system.speed(state, t0) * (t1 - t0))
        for attempt in range(_ATTEMPTS):
            ahead = self.run(state, t0, t1, n)
            finite = bool(torch.isfinite(torch.view_as_real(ahead)).all())
            after = self.system.speed(ahead, t1) * (t1 - t0) if finite else math.inf
            if finite and (after <= _SLACK * self.courant * n or attempt == _ATTEMPTS - 1):
                return ahead, n
            n = self._wanted(after) if math.isfinite(after) else 4 * n
        return _finite(ahead, t0, t1, n, last), n

    def _wanted(self, speed_times_length: float) -> int:
        if not math.isfinite(speed_times_length):
            return self.fewest
        needed = min(max(self.fewest, math.ceil(speed_times_length / self.courant)), _MOST_STEPS)
        # Few different lengths, so that their factors are seldom computed anew.
        grain = max(1, 2 ** (int(math.log2(needed)) - 2))
        return grain * math.ceil(needed / grain)
