"""Steps of quasi-Newton methods: a direction from the curvature seen so far, and a line search along it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sciml.optimize.evaluation import LastEvaluation
from sciml.optimize.least_squares import LeastSquares, Step, finite_loss
from sciml.optimize.line_search import Point, strong_wolfe
from sciml.optimize.options import check_number

__all__ = ["Change", "QuasiNewton"]


@dataclass(frozen=True)
class Change:
    """What one accepted step taught.

    Attributes
    ----------
    step : Tensor
        s, the change of the parameters, shape ``(P,)``.
    gradient : Tensor
        y, the change of the gradient, shape ``(P,)``.
    product : float
        yᵀs, positive.
    model : float
        sᵀBs, the curvature that was expected along s, B = H⁻¹.
    """

    step: Tensor
    gradient: Tensor
    product: float
    model: float


class QuasiNewton(ABC):
    """θ ← θ − t H ∇E, with t from a strong Wolfe search and H learned from the changes of the gradient.

    Where the search finds nothing lower, H is forgotten and steepest descent is tried before the step is given up.

    Parameters
    ----------
    curvature : float
        c₂ of the search: |slope| at its end over that at its start. Good value: 0.9; small values make it exact.
    """

    name: str

    def __init__(self, *, curvature: float = 0.9) -> None:
        self._curvature = check_number(self.name, "curvature", curvature, "between 1e-8 and 0.99", 1e-8, 0.99)
        self._last = LastEvaluation()

    @abstractmethod
    def _direction(self, gradient: Tensor) -> Tensor | None:
        """−H ∇E; None if nothing was learned yet."""

    @abstractmethod
    def _learn(self, change: Change) -> None:
        """Improve H."""

    @abstractmethod
    def _forget(self) -> None:
        """Drop H."""

    def step(self, system: LeastSquares, theta: Tensor) -> Step:
        """Make one step; `details`: its ``length`` and the ``evaluations`` of E and ∇E."""
        before = self._last.evaluations
        value, gradient = self._last.at(system, theta)
        previous = finite_loss(value, self.name)
        direction = self._direction(gradient)
        found = None
        if direction is not None:
            found = self._search(system, theta, direction, previous, float(gradient @ direction), 1.0)
        if found is None:
            self._forget()
            direction = -gradient
            size = float(torch.linalg.norm(gradient))
            first = min(1.0, 1.0 / size) if size > 0 else 1.0
            found = self._search(system, theta, direction, previous, -(size**2), first)
        if found is None or direction is None:
            details = {"evaluations": float(self._last.evaluations - before)}
            return Step(theta, previous, previous, False, details)
        moved = theta + found.length * direction
        self._compare(gradient, self._last.at(system, moved)[1], moved - theta, found.length)
        details = {"length": found.length, "evaluations": float(self._last.evaluations - before)}
        return Step(moved, found.value, previous, True, details)

    def _search(
        self, system: LeastSquares, theta: Tensor, direction: Tensor, value: float, slope: float, first: float
    ) -> Point | None:
        """Search along a direction; None if it does not go down."""

        def along(length: float) -> tuple[float, float]:
            reached, gradient = self._last.at(system, theta + length * direction)
            return float(reached), float(gradient @ direction)

        if not slope < 0:
            return None
        return strong_wolfe(along, Point(0.0, value, slope), first, curvature=self._curvature)

    def _compare(self, old: Tensor, new: Tensor, step: Tensor, length: float) -> None:
        """Learn from a step if the gradient grew along it; a search that was cut short does not promise it."""
        change = new - old
        product = float(change @ step)
        eps = torch.finfo(step.dtype).eps
        if product > eps * float(torch.linalg.norm(change) * torch.linalg.norm(step)):
            # B s = −t ∇E, since s = −t H ∇E.
            self._learn(Change(step, change, product, -length * float(old @ step)))

    def restart(self) -> None:
        """Forget the curvature: that of other residuals is not that of these."""
        self._forget()
        self._last.forget()

    def values(self) -> dict[str, Any]:
        return {}
