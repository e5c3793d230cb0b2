"""One `deepxde.Model`, trained chunk by chunk, whose whole state can be taken out and put back."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from sciml.optimize import pack_optimizer, unpack_optimizer
from sciml.solvers.deepxde.collocation import collocation_data
from sciml.solvers.deepxde.networks import build_network
from sciml.solvers.deepxde.options import TrainingOptions
from sciml.solvers.deepxde.records import Phase, Training

__all__ = ["NonFiniteLossError", "Optimisation"]

Snapshot = tuple[dict[str, Tensor], dict[str, Any]]


class NonFiniteLossError(ArithmeticError):
    """The loss is NaN or infinite."""


class Optimisation:
    """Network, data and optimiser of one training. Lives inside `isolated`.

    Parameters
    ----------
    deepxde : module
        From `isolated`.
    training, options
        What to train and how.
    heartbeat : callable
        Called at every evaluation of the loss.
    """

    def __init__(
        self, deepxde: ModuleType, training: Training, options: TrainingOptions, heartbeat: Callable[[], None]
    ) -> None:
        self._deepxde, self._options, self._heartbeat = deepxde, options, heartbeat
        self._weights = torch.tensor(training.weights)
        self.net = build_network(deepxde, training, options)
        self.phase: Phase | None = None
        self._start = 0
        self.data = collocation_data(deepxde, training, self._observe)
        self.model = deepxde.Model(self.data, self.net)
        self._one_step = _stop_after_one_step(deepxde)

    def compile(self, phase: Phase) -> None:
        """Start the optimiser of `phase` afresh."""
        options, common = self._options, {"loss_weights": self._weights, "verbose": 0}
        if phase == "adam":
            self.model.compile("adam", lr=options.learning_rate, decay=options.decay, **common)
        else:
            config = self._deepxde.optimizers.config
            config.set_LBFGS_options(
                maxcor=options.history, ftol=options.change_tolerance, gtol=options.gradient_tolerance
            )
            # DeepXDE fixes these two when it is imported, at 1000 iterations a step.
            config.LBFGS_options["iter_per_step"] = options.chunk
            config.LBFGS_options["fun_per_step"] = max_evaluations(options.chunk)
            self.model.compile("L-BFGS", **common)
        self.phase = phase

    def advance(self, length: int) -> tuple[int, bool]:
        """Make at most `length` iterations.

        Returns
        -------
        done : int
            Iterations made; fewer than `length` if L-BFGS stopped by itself.
        exhausted : bool
            Whether it stopped because its evaluations of the loss were used up.

        Raises
        ------
        NonFiniteLossError
            As soon as the loss is NaN (Adam: or infinite; the line search of L-BFGS steps back from an
            infinite one).
        """
        self._start = self._count()
        if self.phase == "adam":
            self.model.train(iterations=length, display_every=sys.maxsize, verbose=0)
            return length, False
        group, evaluated = self.model.opt.param_groups[0], self._lbfgs("func_evals")
        group["max_iter"], group["max_eval"] = length, max_evaluations(length)
        self.model.train(callbacks=[self._one_step], verbose=0)
        return self.done(), self._lbfgs("func_evals") - evaluated >= group["max_eval"]

    def done(self) -> int:
        """Iterations made since the chunk began."""
        return self._count() - self._start if self.phase else 0

    def losses(self) -> list[float]:
        """Weighted terms of the loss at the end of the last chunk.

        Raises
        ------
        NonFiniteLossError
            If one of them is not finite.
        """
        # DeepXDE leaves its L-BFGS loop without an evaluation when one iteration was made in total.
        if self.phase == "lbfgs" and self._count() == 1:
            return self.evaluate()
        return _finite(self.model.train_state.loss_train)

    def evaluate(self) -> list[float]:
        """Weighted terms of the loss at the present weights and points."""
        if self.phase is None:
            self.compile("adam" if self._options.adam else "lbfgs")
            self.phase = None
        _, losses = self.model.outputs_losses_train(*self.data.train_next_batch())
        return _finite(losses.detach())

    def snapshot(self) -> Snapshot:
        """Take out the whole state; later iterations don't change it."""
        tensors = {f"network.{name}": t.detach().clone() for name, t in self.net.state_dict().items()}
        tensors["points"] = torch.from_numpy(self.data.train_x_all)
        tensors["generator"] = torch.get_rng_state()
        device = torch.device(self._options.device)
        if device.type == "cuda":
            tensors["device_generator"] = torch.cuda.get_rng_state(device)
        values: dict[str, Any] = {"phase": self.phase}
        if self.phase is not None:
            packed, values["optimizer"] = pack_optimizer(self.model.opt)
            tensors |= {f"optimizer.{name}": tensor for name, tensor in packed.items()}
            scheduler = self.model.lr_scheduler
            values["scheduler"] = None if scheduler is None else scheduler.state_dict()
            values["rates"] = [group["lr"] for group in self.model.opt.param_groups]
        return tensors, values

    def restore(self, snapshot: Snapshot) -> None:
        """Put a state back into a newly made object of the same training and options."""
        tensors, values = snapshot
        self.restore_network(snapshot)
        self.data.replace_with_anchors(tensors["points"].numpy())
        if values["phase"] is not None:
            self.compile(values["phase"])
            unpack_optimizer(self.model.opt, _below("optimizer.", tensors), values["optimizer"])
            for group, rate in zip(self.model.opt.param_groups, values["rates"], strict=True):
                group["lr"] = rate
            if self.model.lr_scheduler is not None:
                self.model.lr_scheduler.load_state_dict(values["scheduler"])
        torch.set_rng_state(tensors["generator"])
        device = torch.device(self._options.device)
        if device.type == "cuda" and "device_generator" in tensors:
            torch.cuda.set_rng_state(tensors["device_generator"], device)

    def restore_network(self, snapshot: Snapshot) -> None:
        """Put only the weights (and buffers) back."""
        self.net.load_state_dict(_below("network.", snapshot[0]))

    def _observe(self, terms: list[Tensor]) -> None:
        total = float(torch.stack([term.detach() for term in terms]).sum())
        if math.isnan(total) or (math.isinf(total) and self.phase != "lbfgs"):
            raise NonFiniteLossError(f"the loss became {total}")
        self._heartbeat()

    def _count(self) -> int:
        return self._lbfgs("n_iter") if self.phase == "lbfgs" else self.model.train_state.step

    def _lbfgs(self, key: str) -> int:
        optimizer = self.model.opt
        return optimizer.state[optimizer.param_groups[0]["params"][0]].get(key, 0)


def max_evaluations(length: int) -> int:
    """Evaluations of the loss that `length` L-BFGS iterations may take.

    DeepXDE allows 1.25 an iteration. In a short chunk that would cut the last line search off, so there
    is one search (25 evaluations, as PyTorch has it by default) on top.
    """
    return length * 5 // 4 + 25


def _finite(losses: Any) -> list[float]:
    values = [float(value) for value in losses]
    if not all(map(math.isfinite, values)):
        raise NonFiniteLossError(f"the loss became {sum(values)}")
    return values


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _stop_after_one_step(deepxde: ModuleType) -> Any:
    """Make a callback that ends ``Model.train`` after one step of L-BFGS (a chunk of iterations).

    DeepXDE itself goes on for ever where the gradient is below the tolerance when a step begins.
    """

    class StopAfterOneStep(deepxde.callbacks.Callback):
        def on_epoch_end(self) -> None:
            self.model.stop_training = True

    return StopAfterOneStep()
