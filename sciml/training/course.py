"""How far a training is: steps, time, losses, and how it ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from torch import Tensor

__all__ = ["Course", "Verdict"]

Verdict = Literal["converged", "budget_reached", "stagnated", "diverged"]

_HISTORY = 1000


@dataclass
class Course:
    """Counters, times and losses of a training; a part of its state.

    Attributes
    ----------
    steps : int
        Finished ones.
    cpu_seconds, wall_seconds : float
        Used so far, over all processes that went on with the training one after the other.
    loss : float or None
        After the last step.
    history : list of [int, float]
        Step and loss, at most 1000 of them, evenly over the steps.
    verdict : [status, reason] or None
        Where a step has said that there is nothing more to do.
    """

    steps: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    loss: float | None = None
    history: list[list] = field(default_factory=list)
    stride: int = 1
    verdict: list[str] | None = None

    def __str__(self) -> str:
        return f"{self.steps} step{'' if self.steps == 1 else 's'}"

    def record(self, loss: float) -> None:
        """Book a step; when the history is full, every second entry is dropped and half as many follow."""
        self.steps += 1
        self.loss = loss
        if self.steps % self.stride == 0:
            self.history.append([self.steps, loss])
        if len(self.history) > _HISTORY:
            self.stride *= 2
            self.history = [entry for entry in self.history if entry[0] % self.stride == 0]

    def tensors(self) -> dict[str, Tensor]:
        """None: all of it is JSON."""
        return {}

    def values(self) -> dict[str, Any]:
        """Return a copy of all fields."""
        return asdict(self)

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Take the fields of a checkpoint."""
        for item in fields(self):
            setattr(self, item.name, values[item.name])
