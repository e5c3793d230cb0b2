"""What trainings of linear solvers have in common: a network, Adam, and their part of a checkpoint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sciml.optimize.torch_state import pack_optimizer, unpack_optimizer
from sciml.training import Report

__all__ = ["AdamOptions", "AdamTraining"]

_RECENT = 50
"""Losses of which the mean is stated."""


class AdamOptions(Protocol):
    """Options that every such training has."""

    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def warm_up(self) -> int: ...
    @property
    def cool_down(self) -> int: ...


class AdamTraining[O: AdamOptions, N: nn.Module](ABC):
    """A network and Adam; a part of its own checkpoint.

    The learning rate rises linearly over the first `warm_up` steps and falls linearly to zero over the last
    `cool_down`. What a step draws follows from its number.

    Attributes
    ----------
    network : torch.nn.Module
    done : int
        Steps that were made.
    losses : list of float
        The last of them.
    """

    largest_gradient: float | None = None
    """Norm to which longer gradients are shortened."""

    def __init__(self, options: O, network: N) -> None:
        self.options, self.network = options, network
        self.optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
        self.done, self.losses = 0, list[float]()

    @abstractmethod
    def loss(self) -> Tensor:
        """That of the next step."""

    @property
    def steps(self) -> int:
        """In all."""
        return self.options.steps

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        options = self.options
        rising = (self.done + 1) / max(1, options.warm_up)
        falling = (options.steps - self.done) / max(1, options.cool_down)
        return options.learning_rate * min(1.0, rising, falling)

    def step(self) -> Report:
        """One step of Adam."""
        loss = self.loss()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.largest_gradient is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.largest_gradient)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        self.optimizer.step()
        self.done += 1
        value = float(loss.detach())
        self.losses = [*self.losses, value][-_RECENT:]
        return Report(value, "Adam", f"loss {value:.3g}")

    # -- the part of a checkpoint ------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Weights and moments."""
        weights = {f"weight.{key}": value.detach().clone() for key, value in self.network.state_dict().items()}
        return weights | {f"adam.{key}": value for key, value in pack_optimizer(self.optimizer)[0].items()}

    def values(self) -> dict[str, Any]:
        """Steps, losses and settings."""
        return {"done": self.done, "losses": self.losses, "adam": pack_optimizer(self.optimizer)[1]}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        own = {key.partition(".")[2]: tensor for key, tensor in tensors.items() if key.startswith("weight.")}
        self.network.load_state_dict(own)
        adam = {key.partition(".")[2]: tensor for key, tensor in tensors.items() if key.startswith("adam.")}
        unpack_optimizer(self.optimizer, adam, values["adam"])
        self.done, self.losses = values["done"], values["losses"]
