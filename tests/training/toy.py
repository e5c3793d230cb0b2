"""A small training that knows nothing of the solvers: stochastic gradient descent on a nonlinear least squares fit."""

from __future__ import annotations

import math
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch

from sciml.errors import Interrupted
from sciml.training import Attributes, Identity, Interrupts, Report, TrainingState, train

IDENTITY = Identity(problem="fit", declaration="0123456789abcdef", solver="toy", options={"rate": 0.05, "seed": 3})


class Fit:
    """r_i = (a · sin(b x_i) − y_i)/√n, two numbers each of a vector θ of 8, with exact derivatives."""

    def __init__(self, points: np.ndarray, weights: np.ndarray | None = None, ends: bool = False) -> None:
        self.ends = ends
        self.set_points(points, weights)

    def set_points(self, points: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take other points; with `ends` one more row asks for θ_0 = 1, wherever the points are."""
        self.x = torch.tensor(points[:, 0])
        self.y = torch.cos(3 * self.x)
        self.w = torch.ones(len(points), dtype=torch.float64) if weights is None else torch.tensor(weights)
        self.n_residuals = len(points) + self.ends

    def residual(self, theta: torch.Tensor) -> torch.Tensor:
        a, b = theta.reshape(2, -1)
        fit = (a * torch.sin(torch.outer(self.x, b))).sum(1)
        rows = (fit - self.y) * torch.sqrt(self.w / len(self.x))
        return torch.cat([rows, 3 * (theta[:1] - 1)]) if self.ends else rows

    def jacobian(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        a, b = theta.reshape(2, -1)
        phase = torch.outer(self.x, b)
        rows = torch.cat([torch.sin(phase), a * self.x[:, None] * torch.cos(phase)], dim=1)
        rows = rows * torch.sqrt(self.w / len(self.x))[:, None]
        end = 3 * torch.eye(1, theta.numel(), dtype=theta.dtype)
        return self.residual(theta), torch.cat([rows, end]) if self.ends else rows

    def value_and_gradient(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        r, jacobian = self.jacobian(theta)
        return 0.5 * r @ r, jacobian.T @ r

    def linear_operator(self, theta: torch.Tensor) -> Linearised:
        return Linearised(*self.jacobian(theta))


class Linearised:
    def __init__(self, residual: torch.Tensor, jacobian: torch.Tensor) -> None:
        self.residual, self._jacobian = residual, jacobian

    def product(self, direction: torch.Tensor) -> torch.Tensor:
        return self._jacobian @ direction

    def transposed(self, rows: torch.Tensor) -> torch.Tensor:
        return self._jacobian.T @ rows


class Momentum:
    """θ ← θ − rate · v, v ← 0.9 v + g, with a rate that decays with the steps."""

    def __init__(self, rate: float) -> None:
        self.rate, self.steps, self.velocity = rate, 0, torch.zeros(8, dtype=torch.float64)

    def step(self, theta: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        self.velocity = 0.9 * self.velocity + gradient
        self.steps += 1
        return theta - self.rate / math.sqrt(self.steps) * self.velocity

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"velocity": self.velocity}

    def values(self) -> dict[str, object]:
        return {"steps": self.steps}

    def restore(self, tensors: dict[str, torch.Tensor], values: dict[str, object]) -> None:
        self.velocity, self.steps = tensors["velocity"], values["steps"]


class Run:
    """Minibatches from a torch generator, points that a NumPy generator exchanges every 20 steps."""

    def __init__(self, identity: Identity = IDENTITY, said: object = None) -> None:
        self.draws = np.random.default_rng(3)
        self.batches = torch.Generator().manual_seed(5)
        self.theta = torch.randn(8, generator=self.batches, dtype=torch.float64)
        self.points = self.draws.random((64, 1))
        self.origin = np.array(["uniform"] * 64)
        self.optimiser = Momentum(0.05)
        self.said = said
        self.state = TrainingState(
            identity,
            network=Attributes(self, "theta"),
            points=Attributes(self, "points", "origin"),
            optimiser=self.optimiser,
            draws=self.draws,
            batches=self.batches,
        )

    def step(self) -> Report:
        if self.state.course.steps % 20 == 19:
            self.points[:32] = self.draws.random((32, 1))
            self.origin[:32] = "redrawn"
        chosen = torch.randint(64, (16,), generator=self.batches).numpy()
        value, gradient = Fit(self.points[chosen]).value_and_gradient(self.theta)
        self.theta = self.optimiser.step(self.theta, gradient)
        if self.said is not None:
            self.said(self.state.course.steps)
        return Report(float(value))

    def bits(self) -> tuple:
        """All that decides how it goes on."""
        return (
            self.theta.numpy().tobytes(),
            self.points.tobytes(),
            self.origin.tolist(),
            self.optimiser.velocity.numpy().tobytes(),
            str(self.draws.bit_generator.state),
            self.batches.get_state().numpy().tobytes(),
            self.state.course.history,
        )


def main(folder: Path, steps: int, told: Connection, slow: float = 0.0) -> None:
    """Train in this process from the last checkpoint on, if there is one, telling every step and how it was interrupted."""
    torch.set_num_threads(1)

    def said(step: int) -> None:
        told.send(step)
        time.sleep(slow)

    run = Run(said=said)
    if any(folder.glob("*.json")):
        run.state.load(folder)
    try:
        with Interrupts() as interrupts:
            train(run.step, run.state, steps=steps, checkpoint_every=0.002, folder=folder, interrupts=interrupts)
    except Interrupted as interrupted:
        told.send(str(interrupted))
        sys.exit(interrupted.exit_code)
