"""L-BFGS: the inverse Hessian as a few pairs of steps and changes of the gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sciml.optimize.options import check_whole
from sciml.optimize.quasi_newton import Change, QuasiNewton

__all__ = ["LBFGS"]


class LBFGS(QuasiNewton):
    """L-BFGS with a strong Wolfe search.

    H is that of BFGS from (yᵀs / yᵀy) · 1 with the last `history` changes, never stored. The thresholds of
    `torch.optim.LBFGS` are absolute and stop it from learning once yᵀs < 1e-10, far above what float64 allows a sum of
    squares; here they are relative.

    Parameters
    ----------
    history : int
        Pairs that are kept. Good values: 20 to 100.
    curvature : float
        See `QuasiNewton`.

    Raises
    ------
    OptionError
        If an option is out of its range.

    References
    ----------
    Liu & Nocedal, Math. Program. 45 (1989).
    """

    name = "lbfgs"

    def __init__(self, *, history: int = 100, curvature: float = 0.9) -> None:
        super().__init__(curvature=curvature)
        self._history = check_whole(self.name, "history", history, 1)
        self._steps: list[Tensor] = []
        self._changes: list[Tensor] = []

    def _direction(self, gradient: Tensor) -> Tensor | None:
        if not self._steps:
            return None
        rest, shares = -gradient, []
        inverses = [1.0 / float(y @ s) for s, y in zip(self._steps, self._changes)]
        for s, y, inverse in zip(reversed(self._steps), reversed(self._changes), reversed(inverses)):
            shares.append(inverse * float(s @ rest))
            rest = rest - shares[-1] * y
        last = self._changes[-1]
        rest = rest / (inverses[-1] * float(last @ last))
        for s, y, inverse, share in zip(self._steps, self._changes, inverses, reversed(shares)):
            rest = rest + (share - inverse * float(y @ rest)) * s
        return rest

    def _learn(self, change: Change) -> None:
        # Sliced, not appended to: lists and tensors that were handed out stay as they are.
        self._steps = [*self._steps, change.step][-self._history :]
        self._changes = [*self._changes, change.gradient][-self._history :]

    def _forget(self) -> None:
        self._steps, self._changes = [], []

    def tensors(self) -> dict[str, Tensor]:
        if not self._steps:
            return {}
        return {"steps": torch.stack(self._steps), "changes": torch.stack(self._changes)}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        # Rows of a matrix are not aligned as tensors of their own are, and then a product may round otherwise.
        self._steps, self._changes = (
            [row.clone() for row in tensors[name]] if name in tensors else [] for name in ("steps", "changes")
        )
        self._last.forget()
