"""Training a simulator on windows of trajectories: schedule, noise, and all that a checkpoint keeps."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from sciml.surrogates.wave_cnn.corrected import CorrectedStencil
from sciml.surrogates.wave_cnn.options import WaveOptions
from sciml.surrogates.wave_cnn.propagator import Propagator
from sciml.surrogates.wave_cnn.space_time import SpaceTime
from sciml.surrogates.wave_cnn.waves import Waves
from sciml.training import Course, Report

__all__ = ["SIMULATORS", "WaveTraining", "build"]

SIMULATORS: dict[str, type[Propagator] | type[SpaceTime]] = {
    "autoregressive": Propagator,
    "corrected": CorrectedStencil,
    "space_time": SpaceTime,
}

_WARM_UP = 0.05
_LAST = 1e-2
_UNROLL = (0.4, 0.75)
_FLOOR = 0.1


def build(
    options: WaveOptions, waves: Waves | None = None, *, seed: int = 0, setting: dict[str, Any] | None = None
) -> Propagator | SpaceTime:
    """An untrained simulator for some waves, or for what :func:`setting_of` has said of them."""
    given = setting_of(waves) if setting is None and waves is not None else setting
    assert given is not None
    generator = torch.Generator().manual_seed(seed)
    kind = SIMULATORS[options.simulator]
    return kind(options, given["sides"], given["step"], given["spacing"], given["speed"], generator)


def setting_of(waves: Waves) -> dict[str, Any]:
    """What a simulator is built for."""
    speed = waves.medium.speed
    deviation = max(float(speed.std()), 0.05 * float(speed.mean()))
    return {
        "sides": waves.sides,
        "step": waves.step,
        "spacing": waves.spacing,
        "speed": (float(speed.mean()), deviation),
    }


class WaveTraining:
    """The parts of a training and how one step uses them; a part of its own checkpoint.

    A step draws windows of trajectories, adds noise to the two frames that each starts from, makes the next ones, and
    lowers the mean square of their errors over that of the second difference of the true frames. At first one frame is
    made, then two, in the last quarter `unroll`: what is wrong in a long roll-out is seen while the rate is low.

    Parameters
    ----------
    waves : Waves
        To train on.
    options : WaveOptions
    seed : int
        Of the first weights, the windows and the noise.
    device : str

    Attributes
    ----------
    simulator : Propagator or SpaceTime
    course : Course
        Steps so far; the loop that calls :meth:`step` gives it.
    """

    def __init__(self, waves: Waves, options: WaveOptions, *, seed: int, device: str) -> None:
        self.waves, self.options, self.seed, self.device = waves, options, seed, device
        self.simulator = build(options, waves, seed=seed).to(device)
        self.weights = list(self.simulator.parameters())
        self.optimiser = torch.optim.Adam(self.weights, lr=options.learning_rate)
        self.course = Course()
        frames = waves.frames
        change = frames[:, 2:] - 2 * frames[:, 1:-1] + frames[:, :-2]
        self._floor = _FLOOR * float(change.square().mean())
        if isinstance(self.simulator, SpaceTime):
            self.simulator.scale(waves)

    @property
    def steps(self) -> int:
        """Batches in all."""
        return self.options.steps

    def unroll(self, number: int) -> int:
        """Frames made in a step, each from the one before."""
        share = number / self.steps
        wanted = 1 if share < _UNROLL[0] else 2 if share < _UNROLL[1] else self.options.unroll
        return max(1, min(wanted, self.options.unroll, self.waves.frames.shape[1] - 2))

    def learning_rate(self, number: int) -> float:
        """That of a step, counted from 0."""
        share = number / max(1, self.steps - 1)
        fall = _LAST + (1 - _LAST) * 0.5 * (1 + math.cos(math.pi * share))
        return self.options.learning_rate * min(1.0, (share + 1 / self.steps) / _WARM_UP) * fall

    def step(self) -> Report:
        """Lower the loss on one batch."""
        number = self.course.steps
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate(number)
        self.optimiser.zero_grad(set_to_none=True)
        unroll = self.unroll(number)
        whole = isinstance(self.simulator, SpaceTime)
        loss = self.loss_of_all(number) if whole else self.loss(number, unroll)
        loss.backward()
        nn.utils.clip_grad_norm_(self.weights, self.options.clip)
        self.optimiser.step()
        return Report(
            float(loss.detach()),
            "all frames at once" if whole else f"{unroll} frames at a time",
            f"loss {float(loss.detach()):.3g}",
        )

    def loss(self, number: int, unroll: int) -> Tensor:
        """Mean over windows and frames of the square error over the square of the second difference."""
        assert isinstance(self.simulator, Propagator)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        frames, n = self.waves.frames, self.options.batch_size
        rows = torch.randint(len(frames), (n,), generator=generator)
        at = torch.randint(1, frames.shape[1] - unroll, (n,), generator=generator)
        windows = torch.stack([frames[rows, at + k] for k in range(-1, unroll + 1)], dim=1)
        noise = torch.randn(windows[:, :2].shape, generator=generator)
        size = windows[:, :2].flatten(1).std(1).reshape(-1, *(1,) * (windows.ndim - 1))
        windows, noise = windows.to(self.device), (self.options.noise * size * noise).to(self.device)
        medium = self.waves.medium.select(rows).to(self.device)
        told = self.simulator.tell(medium)
        before, now = ((windows[:, k] + noise[:, k])[:, None] * self.simulator.free for k in range(2))
        change = windows[:, 2] - 2 * windows[:, 1] + windows[:, 0]
        scale = change.flatten(1).square().mean(1) + self._floor
        total = torch.zeros((), device=self.device)
        for k in range(unroll):
            source = medium.source(at.to(self.device) + k)
            before, now = now, self.simulator.next(before, now, source, told)
            error = (now[:, 0] - windows[:, k + 2]).flatten(1).square().mean(1)
            total = total + (error / scale).mean()
        return total / unroll

    def loss_of_all(self, number: int) -> Tensor:
        """Mean over members of the square error of all frames over the square of these."""
        assert isinstance(self.simulator, SpaceTime)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        rows = torch.randint(len(self.waves), (self.options.batch_size,), generator=generator)
        truth = self.waves.frames[rows, 1:].to(self.device)
        error = self.simulator(self.waves.medium.select(rows).to(self.device)) - truth
        size = truth.flatten(1).square().sum(1).clamp(min=torch.finfo(truth.dtype).tiny)
        return (error.flatten(1).square().sum(1) / size).mean()

    # -- the part of a checkpoint ------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Weights and moments of the optimiser."""
        found = {f"network/{name}": tensor for name, tensor in self.simulator.state_dict().items()}
        for index, weight in enumerate(self.weights):
            for name, value in self.optimiser.state.get(weight, {}).items():
                found[f"optimiser/{index}/{name}"] = value
        return found

    def values(self) -> dict[str, Any]:
        """Nothing else changes."""
        return {}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Put back what the other two returned."""
        own = {k.removeprefix("network/"): v for k, v in tensors.items() if k.startswith("network/")}
        self.simulator.load_state_dict(own)
        for key, tensor in tensors.items():
            if key.startswith("optimiser/"):
                _, index, name = key.split("/")
                weight = self.weights[int(index)]
                self.optimiser.state[weight][name] = tensor if name == "step" else tensor.to(weight.device)
