"""What a training has done so far, and what follows from it: the next chunk, or the end.

All of it is JSON, and everything that decides the course of a training is in it or in the options, so
that a resumed training takes the same decisions.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from sciml.solvers.deepxde.options import TrainingOptions
from sciml.solvers.deepxde.records import Phase, Status

__all__ = ["Ledger"]

_HISTORY = 1000


@dataclass
class Ledger:
    """Counters, losses and times of a training; the fields are stored with a checkpoint."""

    adam: int = 0
    lbfgs: int = 0
    rounds: int = 0
    since_round: int = 0
    losses: list[float] = field(default_factory=list)
    verdict: tuple[Status, str] | None = None
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    history: list[list] = field(default_factory=list)
    stride: int = 1
    recorded: int = 0

    def __str__(self) -> str:
        return f"{self.adam} Adam and {self.lbfgs} L-BFGS iterations"

    @property
    def iterations(self) -> int:
        """Iterations of both phases."""
        return self.adam + self.lbfgs

    @property
    def loss(self) -> float:
        """Sum of the last known terms; NaN before the first are known."""
        return math.fsum(self.losses) if self.losses else math.nan

    def values(self) -> dict[str, Any]:
        """Return a copy of all fields for a checkpoint."""
        return asdict(self)

    def record(self, losses: list[float]) -> None:
        """Book the weighted terms; of a long history every second entry is dropped, again and again."""
        self.losses = losses
        if self.recorded % self.stride == 0:
            self.history.append([self.iterations, losses])
        self.recorded += 1
        if len(self.history) > _HISTORY:
            self.history = self.history[::2]
            self.stride *= 2

    def full_history(self) -> list[tuple[int, tuple[float, ...]]]:
        """Return the history, with the last losses at its end."""
        entries = [(iteration, tuple(losses)) for iteration, losses in self.history]
        if self.losses and (not entries or entries[-1][0] != self.iterations):
            entries.append((self.iterations, tuple(self.losses)))
        return entries

    def next_chunk(self, options: TrainingOptions, room: int) -> tuple[Phase, int]:
        """Phase and length of the next chunk, where `room` points may still be added."""
        phase: Phase = "adam" if self.adam < options.adam else "lbfgs"
        length = min(options.chunk, self.remaining(options, phase))
        return phase, min(length, options.rar_every - self.since_round) if room else length

    def remaining(self, options: TrainingOptions, phase: Phase) -> int:
        """Iterations that a phase still has."""
        return getattr(options, phase) - getattr(self, phase)

    def count(self, phase: Phase, done: int) -> None:
        """Book the iterations of a chunk."""
        setattr(self, phase, getattr(self, phase) + done)
        self.since_round += done

    def judge(self, options: TrainingOptions, before: float, done: int, early: bool, room: int) -> None:
        """Decide after a chunk of L-BFGS whether it has come to its end.

        Parameters
        ----------
        options : TrainingOptions
            Tolerances.
        before : float
            Loss before the chunk, at the same points; infinite if it is not known.
        done : int
            Iterations of the chunk.
        early : bool
            Whether L-BFGS ended it by itself.
        room : int
            Points that may still be added; with any, the end only means that the next round is due.
        """
        status: Status
        if done == 0:
            status, reason = "converged", f"no entry of the gradient is above {options.gradient_tolerance:g}"
        elif early and options.change_tolerance > 0:
            status, reason = (
                "converged",
                "the gradient or the changes in an iteration are below the tolerances",
            )
        elif not self.loss < before:
            status, reason = "stagnated", "no step along the search direction lowers the loss any further"
        else:
            return
        if room:
            self.since_round = options.rar_every
        else:
            self.verdict = (status, f"{reason} after {self}")

    def ending(self, options: TrainingOptions, stopped: bool) -> tuple[Status, str] | None:
        """Status and reason, once there is one."""
        if self.verdict is not None:
            return self.verdict[0], self.verdict[1]
        if self.remaining(options, "adam") <= 0 and self.remaining(options, "lbfgs") <= 0:
            return "budget_reached", f"all iterations used: {self}"
        limit, used = options.cpu_seconds, self.cpu_seconds
        if limit is not None and used >= limit:
            return "budget_reached", f"{used:.3g} of {limit:g} CPU seconds used after {self}"
        return ("budget_reached", f"stopped on request after {self}") if stopped else None
