"""Training the branches of a cell: on its snapshots, then on the physics alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from sciml.datasets import CellData
from sciml.datasets.cells import draw_strains
from sciml.laws import CellModel
from sciml.optimize import LBFGS, Adam, LeastSquares, Optimizer
from sciml.surrogates.equino.bases import Bases
from sciml.surrogates.equino.mismatch import Mismatch
from sciml.surrogates.equino.network import Branches, Scaling
from sciml.surrogates.equino.options import EquinoOptions
from sciml.training import Report

__all__ = ["EquinoTraining"]

_HISTORY = 50
_BATCH = 10
_FLOOR = 0.02
"""Share of the mean energy that is added to a strain's own, so that small strains do not count without bound."""


class _Flat:
    """A loss of the branches as a function of all their weights in one vector."""

    def __init__(self, branches: Branches) -> None:
        self.branches = branches
        self.parameters = list(branches.network.parameters())

    def take(self, theta: Tensor) -> None:
        torch.nn.utils.vector_to_parameters(theta.clone(), self.parameters)

    def backward(self, loss: Tensor, through: Tensor | None = None) -> Tensor:
        """The gradient of a scalar, or of a tensor times what it is handed on with."""
        parts = torch.autograd.grad(loss, self.parameters, through)
        return torch.cat([part.reshape(-1) for part in parts])


class _Snapshots(_Flat):
    """Squares of the deviation from the snapshots' coefficients, each mode by its own scale, and of the weights."""

    def __init__(self, branches: Branches, strain: Tensor, coefficients: Tensor, decay: float) -> None:
        super().__init__(branches)
        self.strain, self.coefficients, self.decay = strain, coefficients, decay

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        self.take(theta)
        with torch.enable_grad():
            rest = (self.branches(self.strain) - self.coefficients) / self.branches.scale
            loss = 2 * (rest**2).mean()
            gradient = self.backward(loss)
        return loss.detach() + self.decay * theta @ theta, gradient + 2 * self.decay * theta


class _Physics(_Flat):
    """The mean of the constitutive mismatch over strains, each by its own weight."""

    def __init__(self, branches: Branches, mismatch: Mismatch, strain: Tensor, weights: Tensor) -> None:
        super().__init__(branches)
        self.mismatch, self.strain, self.weights = mismatch, strain, weights

    def some(self, rows: Tensor) -> _Physics:
        """The same for some of the strains."""
        scale = len(self.strain) / len(rows)
        return _Physics(self.branches, self.mismatch, self.strain[rows], self.weights[rows] * scale)

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        self.take(theta)
        with torch.enable_grad():
            coefficients = self.branches(self.strain)
            value, by = self.mismatch.value_and_gradient(self.strain, coefficients, self.weights)
            return value, self.backward(coefficients, by)


@dataclass
class _Phase:
    name: str
    steps: int
    optimizer: Optimizer
    system: _Flat
    batch: int | None = None


class EquinoTraining:
    """The parts of a training and how one step uses them; a part of its own checkpoint.

    Parameters
    ----------
    cell : CellModel
    data : CellData
    options : EquinoOptions
    seed : int
        Of the first weights, the strains at which the physics is asked for, and batches.
    device : str

    Attributes
    ----------
    bases : Bases
    branches : Branches
    mismatch : Mismatch
    steps : int
        Of all phases.
    """

    def __init__(self, cell: CellModel, data: CellData, options: EquinoOptions, *, seed: int, device: str) -> None:
        self.options, self.seed = options, seed
        self.bases = Bases.of(cell, data.fluctuation, data.local_stress, options.modes, weighted=options.weighted)
        if options.weighted:
            scaling = Scaling.with_linear_part(data.strain, self.bases)
        else:
            scaling = Scaling.as_published(self.bases)
        generator = torch.Generator(device).manual_seed(seed)
        sizes = options.modes, options.width, options.depth
        self.branches = Branches(*sizes, data.box, scaling, generator=generator, device=device)
        self.mismatch = Mismatch(cell, self.bases, weighted=options.weighted, device=device)
        self.device, self._phase, self._count = device, 0, 0
        self._phases = self._plan(data)
        first = torch.nn.utils.parameters_to_vector(self.branches.network.parameters()).detach().clone()
        self._theta = torch.zeros_like(first) if options.recipe == "linear" else first

    @property
    def steps(self) -> int:
        """Steps of all phases; one where nothing is trained."""
        return max(1, sum(phase.steps for phase in self._phases))

    def step(self) -> Report:
        """One step of the phase that is on; a phase without progress ends early."""
        if self._phase == len(self._phases):
            return Report(0.0, "linear", ended=("converged", "nothing is trained"))
        phase = self._phases[self._phase]
        done = phase.optimizer.step(cast(LeastSquares, self._system(phase)), self._theta)
        self._theta = done.theta
        self._count += 1
        if self._count == phase.steps or not done.accepted:
            self._phase, self._count = self._phase + 1, 0
            self._phases_left()
        ended = None
        if self._phase == len(self._phases):
            ended = ("budget_reached", "all steps made") if done.accepted else ("stagnated", "no step lowers the loss")
        return Report(done.loss, phase.name, f"loss {done.loss:.3g}", ended)

    def finish(self) -> None:
        """Put the weights of the last step into the branches."""
        torch.nn.utils.vector_to_parameters(self._theta.clone(), self.branches.network.parameters())

    def _plan(self, data: CellData) -> list[_Phase]:
        options, recipe = self.options, self.options.recipe
        if recipe == "linear":
            return []
        physics = self._physics(data)
        descent = _Phase("physics", options.descent, LBFGS(history=_HISTORY), physics)
        if recipe == "as_published":
            first = _Phase("Adam", options.adam_steps, Adam(learning_rate=1e-3), physics, _BATCH)
            return self._nonempty(first, descent)
        coefficients = np.concatenate([self.bases.fluctuation_coefficients, self.bases.stress_coefficients], axis=1)
        known = _Snapshots(self.branches, self._tensor(data.strain), self._tensor(coefficients), options.decay)
        steps = options.warm_steps + (options.descent if recipe == "supervised" else 0)
        warm = _Phase("snapshots", steps, LBFGS(history=_HISTORY), known)
        return self._nonempty(warm) if recipe == "supervised" else self._nonempty(warm, descent)

    @staticmethod
    def _nonempty(*phases: _Phase) -> list[_Phase]:
        return [phase for phase in phases if phase.steps]

    def _physics(self, data: CellData) -> _Physics:
        strain = draw_strains(data.box, self.options.collocation, (self.seed, 2))
        weights = np.full(len(strain), 1 / len(strain))
        if self.options.weighted:
            stiffness = data.tangent.mean(axis=0)
            energy = np.einsum("ni,ij,nj->n", strain, (stiffness + stiffness.T) / 2, strain)
            weights /= energy + _FLOOR * energy.mean()
        else:
            weights /= (data.local_stress**2).mean()
        return _Physics(self.branches, self.mismatch, self._tensor(strain), self._tensor(weights))

    def _system(self, phase: _Phase) -> _Flat:
        if phase.batch is None or not isinstance(phase.system, _Physics):
            return phase.system
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self._count)
        rows = torch.randperm(len(phase.system.strain), generator=generator)[: phase.batch]
        return phase.system.some(rows.to(self.device))

    def _phases_left(self) -> None:
        """Drop the curvature of the phase that is over; the next one begins with its own."""
        if self._phase < len(self._phases):
            self._phases[self._phase].optimizer.restart()

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.tensor(values, dtype=self.branches.linear.dtype, device=self.device)

    # -- the part of a checkpoint ------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Weights, and the state of the optimiser that is at work."""
        return {"theta": self._theta} | {f"optimizer/{key}": tensor for key, tensor in self._now("tensors").items()}

    def values(self) -> dict[str, Any]:
        """Where the plan is."""
        return {"phase": self._phase, "count": self._count, "optimizer": self._now("values")}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Put back what the other two returned."""
        self._theta = tensors["theta"].to(self.device)
        self._phase, self._count = values["phase"], values["count"]
        if self._phase < len(self._phases):
            own = {
                k.removeprefix("optimizer/"): t.to(self.device)
                for k, t in tensors.items()
                if k.startswith("optimizer/")
            }
            self._phases[self._phase].optimizer.restore(own, values["optimizer"])

    def _now(self, what: str) -> dict[str, Any]:
        return getattr(self._phases[self._phase].optimizer, what)() if self._phase < len(self._phases) else {}
