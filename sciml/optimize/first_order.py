"""Adam of PyTorch on one flat vector, as an optimiser of a sum of squares."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from sciml.optimize.evaluation import LastEvaluation
from sciml.optimize.least_squares import LeastSquares, Step, finite_loss
from sciml.optimize.options import check_choice, check_number, check_whole
from sciml.optimize.torch_state import pack_optimizer, unpack_optimizer

__all__ = ["Adam", "Schedule"]

Schedule = Literal["constant", "cosine", "step"]


class Adam:
    """Adam with a learning rate that is constant or decays over a stated number of steps.

    Every step is made, whether it lowers the loss or not; where the loss is not finite, the next one raises.

    Parameters
    ----------
    learning_rate : float
        At the start. Good values: 1e-3 to 1e-2 for small networks.
    schedule : str
        ``"constant"``; ``"cosine"``: half a cosine down to zero at `steps`; ``"step"``: times `factor` after each
        `steps`.
    steps : int
        Length of the schedule; ``"constant"`` has none.
    factor : float
        Of ``"step"``.

    Raises
    ------
    OptionError
        If an option is out of its range.

    References
    ----------
    Kingma & Ba, ICLR 2015.
    """

    name = "adam"

    def __init__(
        self,
        *,
        learning_rate: float = 1e-3,
        schedule: Schedule = "constant",
        steps: int = 10_000,
        factor: float = 0.5,
    ) -> None:
        self._rate = check_number(self.name, "learning_rate", learning_rate, "positive", 1e-300)
        self._schedule = check_choice(self.name, "schedule", schedule, get_args(Schedule))
        self._steps = check_whole(self.name, "steps", steps, 1)
        self._factor = check_number(self.name, "factor", factor, "positive and at most 1", 1e-300, 1.0)
        self._count = 0
        self._last = LastEvaluation()
        # Made at the first step, when the device of the parameters is known.
        self._optimizer: torch.optim.Adam | None = None
        self._restored: tuple[dict[str, Tensor], dict[str, Any]] = {}, {"lists": {}}

    def learning_rate(self) -> float:
        """Return the learning rate of the next step."""
        if self._schedule == "cosine":
            return self._rate * 0.5 * (1 + math.cos(math.pi * min(1.0, self._count / self._steps)))
        if self._schedule == "step":
            return self._rate * self._factor ** (self._count // self._steps)
        return self._rate

    def step(self, system: LeastSquares, theta: Tensor) -> Step:
        """Make one step; `details`: the ``learning_rate``.

        `loss` is that at the start of the step, as `previous`: nothing is evaluated for it alone, since the next step
        may be on another batch of points.
        """
        value, gradient = self._last.at(system, theta)
        loss, rate = finite_loss(value, self.name), self.learning_rate()
        moved = self._move(theta, gradient, rate)
        self._count += 1
        return Step(moved, loss, loss, True, {"learning_rate": rate})

    def _move(self, theta: Tensor, gradient: Tensor, rate: float) -> Tensor:
        if self._optimizer is None:
            self._optimizer = torch.optim.Adam([theta.detach().clone().requires_grad_()])
            unpack_optimizer(self._optimizer, *self._restored)
        group = self._optimizer.param_groups[0]
        parameter, group["lr"] = group["params"][0], rate
        with torch.no_grad():
            parameter.copy_(theta)
        parameter.grad = gradient.clone()
        self._optimizer.step()
        return parameter.detach().clone()

    def restart(self) -> None:
        """Forget the loss at the old points; averages of the gradient fit new ones as well and stay."""
        self._last.forget()

    def tensors(self) -> dict[str, Tensor]:
        return self._packed()[0]

    def values(self) -> dict[str, Any]:
        return {"count": self._count, "optimizer": self._packed()[1]}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        self._optimizer, self._restored = None, (dict(tensors), values["optimizer"])
        self._count = values["count"]
        self._last.forget()

    def _packed(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return self._restored if self._optimizer is None else pack_optimizer(self._optimizer)
