"""Training a network on a data file: batches, schedule, validation, and all that a checkpoint keeps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sciml.surrogates.operators import MODELS, build, load_state, state_for_file
from sciml.surrogates.operators.normalising import Normaliser
from sciml.surrogates.operators.options import TrainingOptions
from sciml.surrogates.operators.samples import Batch, TrainingData
from sciml.surrogates.operators.surrogate import Surrogate, relative_l2
from sciml.training import Course, Report

__all__ = ["OperatorTraining"]

_WARM_UP, _FIRST, _LAST = 0.3, 1 / 25, 1e-4
_HALVED_EVERY = 100


class OperatorTraining:
    """The parts of a training and how one step uses them; a part of its own checkpoint.

    The loss is the mean over the samples of a batch of ‖predicted − truth‖/‖truth‖, of outputs in physical units. A
    step is one batch. After each epoch the validation samples are looked at, and the weights that do best there are
    kept; they are what the training leaves.

    Parameters
    ----------
    data : TrainingData
    model : str
        One of :data:`~sciml.surrogates.operators.MODELS`.
    model_options : mapping
        Of the model.
    options : TrainingOptions
    seed : int
        Of the first weights and of the order of the samples.
    device : str

    Attributes
    ----------
    surrogate : Surrogate
    course : Course
        Steps so far; the loop that calls :meth:`step` gives it.
    validation : list of [int, float]
        Epochs and the mean relative L2 error on the validation samples.
    """

    def __init__(
        self,
        data: TrainingData,
        model: str,
        model_options: Mapping[str, Any],
        options: TrainingOptions,
        *,
        seed: int,
        device: str,
    ) -> None:
        self.data, self.model, self.options, self.seed, self.device = data, model, options, seed, device
        self.kind = MODELS[model]
        operator = build(model, data.setting, seed, **model_options)
        scaling = data.scaling
        train = data.train
        static, frames = data.static, data.frames
        size = data.setting.out_channels
        inputs = Normaliser.of(train.inputs, scaling, static=static, frame=size if frames > 1 else 0)
        outputs = Normaliser.of(_as_frames(train.outputs, size), scaling)
        self.surrogate = Surrogate(operator, inputs, outputs, frames=frames, static=static).to(device)
        self.course = Course()
        self.validation: list[list] = []
        self.best: dict[str, Tensor] = {}
        if not self.kind.trained:
            operator.fit(inputs.encode(train.inputs), outputs.encode(train.outputs))
        self.weights = [weight for weight in self.surrogate.parameters() if weight.requires_grad]
        self.optimiser = _optimiser(self.weights, options) if self.weights else None

    # -- steps -------------------------------------------------------------------------------------------

    @property
    def steps_of_epoch(self) -> int:
        """Batches in a pass over the training samples."""
        return math.ceil(len(self.data.train) / self.options.batch_size)

    @property
    def steps(self) -> int:
        """Batches in all."""
        return self.options.epochs * self.steps_of_epoch if self.optimiser else 1

    def step(self) -> Report:
        """Lower the loss on one batch; after the last one of an epoch look at the validation samples."""
        if self.optimiser is None:
            error = self.validation_error()
            return Report(error, self.model, f"validation error {error:.3g}", ("converged", "nothing is trained"))
        epoch, place = divmod(self.course.steps, self.steps_of_epoch)
        loss = self._descend(self._batch(epoch, place))
        ended = self._look(epoch + 1) if place == self.steps_of_epoch - 1 and math.isfinite(loss) else None
        said = f", validation {self.validation[-1][1]:.3g}" if self.validation else ""
        return Report(loss, f"epoch {epoch + 1} of {self.options.epochs}", f"loss {loss:.3g}{said}", ended)

    def _descend(self, batch: Batch) -> float:
        assert self.optimiser is not None
        rate = self.learning_rate(self.course.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.surrogate.train()
        self.optimiser.zero_grad(set_to_none=True)
        share = batch.share()
        loss = relative_l2(self.surrogate(share.inputs, share.places), share.outputs).sum() / len(batch)
        loss.backward()
        total = self._agree(loss.detach())
        if self.options.clip is not None:
            nn.utils.clip_grad_norm_(self.weights, self.options.clip)
        self.optimiser.step()
        return float(total)

    def _agree(self, loss: Tensor) -> Tensor:
        """Sum loss and gradients over processes, and take the mean of running statistics."""
        if not dist.is_initialized():
            return loss
        for weight in self.weights:
            if weight.grad is not None:
                dist.all_reduce(torch.view_as_real(weight.grad) if weight.grad.is_complex() else weight.grad)
        for buffer in self.surrogate.operator.buffers():
            if buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer /= dist.get_world_size()
        dist.all_reduce(loss)
        return loss

    def _batch(self, epoch: int, place: int) -> Batch:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.data.train), generator=generator)
        size = self.options.batch_size
        return self.data.train.select(order[place * size : (place + 1) * size]).to(self.device)

    def _look(self, epoch: int) -> tuple[Any, str] | None:
        """Measure the validation error, keep the weights if they are the best, and say whether to end."""
        error = self.validation_error()
        if not self.best or error < min(value for _, value in self.validation):
            self.best = {name: tensor.clone() for name, tensor in state_for_file(self.surrogate).items()}
        self.validation.append([epoch, error])
        best = min(self.validation, key=lambda entry: entry[1])[0]
        patience = self.options.patience
        if patience is not None and epoch - best >= patience:
            return "converged", f"the validation error has not fallen for {patience} epochs"
        return None

    def learning_rate(self, step: int) -> float:
        """That of a step, counted from 0."""
        highest = self.options.learning_rate or self.kind.learning_rate
        return highest * _schedule(self.options.schedule, step, self.steps, self.steps_of_epoch)

    # -- what came of it ---------------------------------------------------------------------------------

    def validation_error(self) -> float:
        """Mean relative L2 error on the validation samples."""
        batch = self.data.validation
        predicted = self.predict(batch)
        return float(relative_l2(predicted, batch.outputs).double().mean())

    def predict(self, batch: Batch) -> Tensor:
        """Outputs of the network as it is, on the CPU, some samples at a time."""
        return predict(self.surrogate, batch, device=self.device, size=self.options.batch_size)

    def take_best(self) -> None:
        """Go back to the weights that did best on the validation samples."""
        if self.best:
            load_state(self.surrogate, self.best)

    # -- the part of a checkpoint ------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Weights, running statistics, moments of the optimiser, and the best weights."""
        found = {f"network/{name}": tensor for name, tensor in state_for_file(self.surrogate).items()}
        found |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        return found | {f"optimiser/{name}": tensor for name, tensor in self._moments()}

    def values(self) -> dict[str, Any]:
        """The course of the validation error."""
        return {"validation": self.validation}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Put back what the other two returned."""
        parts = {name: _below(tensors, name) for name in ("network", "best", "optimiser")}
        load_state(self.surrogate, parts["network"])
        self.best = {name: tensor.to(self.device) for name, tensor in parts["best"].items()}
        self.validation = values["validation"]
        if self.optimiser is not None and parts["optimiser"]:
            self._take_moments(parts["optimiser"])

    def _moments(self) -> Iterator[tuple[str, Tensor]]:
        if self.optimiser is None:
            return
        for index, weight in enumerate(self.weights):
            for name, value in self.optimiser.state.get(weight, {}).items():
                yield f"{index}/{name}", torch.view_as_real(value) if value.is_complex() else value

    def _take_moments(self, tensors: dict[str, Tensor]) -> None:
        assert self.optimiser is not None
        for key, tensor in tensors.items():
            index, name = key.split("/")
            weight = self.weights[int(index)]
            value = torch.view_as_complex(tensor) if weight.is_complex() and name != "step" else tensor
            self.optimiser.state[weight][name] = value if name == "step" else value.to(weight.device)


def predict(surrogate: Surrogate, batch: Batch, *, device: str = "cpu", size: int = 20) -> Tensor:
    """Outputs for a batch of any length, `size` samples at a time, on the CPU."""
    with evaluating(surrogate), torch.no_grad():
        parts = [batch.select(slice(at, at + size)).to(device) for at in range(0, len(batch), size)]
        return torch.cat([surrogate(part.inputs, part.places).cpu() for part in parts])


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Running statistics stand still inside of the block."""
    before = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(before)


def _as_frames(outputs: Tensor, size: int) -> Tensor:
    """Frames one below the other: ``(n, *grid, frames size)`` to ``(n frames, *grid, size)``."""
    frames = outputs.shape[-1] // size
    return outputs.unflatten(-1, (frames, size)).movedim(-2, 1).flatten(0, 1)


def _optimiser(weights: list[nn.Parameter], options: TrainingOptions) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if options.optimizer == "adamw" else torch.optim.Adam
    return kind(weights, lr=1.0, weight_decay=options.weight_decay)


def _schedule(name: str, step: int, steps: int, steps_of_epoch: int) -> float:
    """The learning rate at a step over its highest."""
    share = step / max(1, steps - 1)
    if name == "constant":
        return 1.0
    if name == "step":
        return 0.5 ** (step // (steps_of_epoch * _HALVED_EVERY))
    if name == "cosine":
        return _between(1.0, _LAST, share)
    if share < _WARM_UP:
        return _between(_FIRST, 1.0, share / _WARM_UP)
    return _between(1.0, _FIRST * _LAST, (share - _WARM_UP) / (1 - _WARM_UP))


def _between(first: float, last: float, share: float) -> float:
    """From one value to another along half a cosine."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def _below(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}/"): tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}
