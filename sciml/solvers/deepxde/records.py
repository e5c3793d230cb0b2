"""What the engine is given and what it gives back, as plain records of tensors and arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sciml.errors import DeclarationError

__all__ = ["BoundaryTerm", "Progress", "Training", "TrainingResult"]

Phase = Literal["adam", "lbfgs"]
Status = Literal["converged", "budget_reached", "stagnated", "diverged"]


@dataclass(frozen=True)
class BoundaryTerm:
    """One condition that enters the loss as ``weight · mean(residual²)`` over its own points.

    Parameters
    ----------
    name : str
        For losses and messages, for example ``"dirichlet left[0]"``.
    points : np.ndarray
        Shape ``(n, dim)``, n ≥ 1.
    residual : callable
        ``residual(x, y, rows) -> (n,)``. x ``(N, dim)`` and y ``(N, outputs)`` hold all points of the
        training; ``rows`` is the slice with this condition's, in the order of `points`. Zero where the
        condition holds. It may differentiate y with respect to x.
    weight : float
        Not negative.
    """

    name: str
    points: np.ndarray
    residual: Callable[[Tensor, Tensor, slice], Tensor]
    weight: float = 1.0


@dataclass(frozen=True)
class Training:
    """A training problem: find y(x) with small residuals.

    The loss is Σₖ wₖ mean(rₖ²) over the collocation points plus the sum over the boundary terms.

    Parameters
    ----------
    dim, outputs : int
        Of x and of y.
    residual : callable
        ``residual(x, y) -> [r₀, r₁, …]``, each of shape ``(N,)``, for x ``(N, dim)`` and y
        ``(N, outputs)``; it differentiates y with respect to x by ``torch.autograd.grad(...,
        create_graph=True)``. DeepXDE evaluates it on the points of the boundary terms too and drops
        those rows, so it must be finite there.
    residual_weights : sequence of float
        One for every residual, not negative.
    interior : np.ndarray
        Initial collocation points, shape ``(n, dim)``, n ≥ 1.
    candidates : callable
        ``candidates(m, generator) -> (m, dim)``: fresh points, drawn from the NumPy generator only.
    boundary : tuple of BoundaryTerm
        Empty for hard conditions.
    feature_transform : callable, optional
        ``x (N, dim) -> (N, features)``, in front of the network; for example scaling to [−1, 1]ᵈ.
    output_transform : callable, optional
        ``x (N, dim), y (N, outputs) -> (N, outputs)``, behind the network; for example hard conditions.

    Raises
    ------
    DeclarationError
        If shapes or weights don't fit together.
    """

    dim: int
    outputs: int
    residual: Callable[[Tensor, Tensor], Sequence[Tensor]]
    residual_weights: Sequence[float]
    interior: np.ndarray
    candidates: Callable[[int, np.random.Generator], np.ndarray]
    boundary: tuple[BoundaryTerm, ...] = ()
    feature_transform: Callable[[Tensor], Tensor] | None = None
    output_transform: Callable[[Tensor, Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        check_points("interior", self.interior, self.dim)
        for term in self.boundary:
            check_points(f"points of {term.name!r}", term.points, self.dim)
        if len(self.residual_weights) == 0:
            raise DeclarationError("residual_weights is empty; give one weight for every residual.")
        for weight in self.weights:
            if not (math.isfinite(weight) and weight >= 0):
                raise DeclarationError(f"A weight of {weight!r} is not possible; use finite weights of at least 0.")

    @property
    def weights(self) -> list[float]:
        """Weights of all terms of the loss, residuals first."""
        return [float(w) for w in self.residual_weights] + [float(term.weight) for term in self.boundary]

    @property
    def term_names(self) -> list[str]:
        """Names of all terms of the loss, in the order of `weights`."""
        residuals = [f"residual[{k}]" for k in range(len(self.residual_weights))]
        return residuals + [term.name for term in self.boundary]


def check_points(name: str, points: np.ndarray, dim: int, count: int | None = None) -> None:
    """Refuse what is not a finite ``(count, dim)`` array with at least one row."""
    shape = np.shape(points)
    if len(shape) != 2 or shape[1] != dim or shape[0] < 1 or (count is not None and shape[0] != count):
        wanted = f"({'n' if count is None else count}, {dim})"
        raise DeclarationError(f"The shape of {name} is {shape}; it must be {wanted} with at least one point.")
    if not np.all(np.isfinite(points)):
        raise DeclarationError(f"There are coordinates in {name} that are not finite; all points must be.")


@dataclass(frozen=True)
class Progress:
    """A sign of life: `iteration` of `total` over both phases, the last known loss, CPU seconds so far."""

    phase: Phase
    iteration: int
    total: int
    loss: float
    cpu_seconds: float


@dataclass(frozen=True)
class TrainingResult:
    """What came out of a training.

    Attributes
    ----------
    status : {"converged", "budget_reached", "stagnated", "diverged"}
        ``converged``: a tolerance of L-BFGS is reached. ``budget_reached``: iterations or CPU time are
        used up, or the caller asked to stop. ``stagnated``: L-BFGS finds no step that lowers the loss
        any further in this number format. ``diverged``: the loss became NaN or infinite; `network` has
        the last weights with a finite loss at the end of a chunk.
    reason : str
        One line on why the training ended.
    network : torch.nn.Module
        Trained map x ``(n, dim)`` to y ``(n, outputs)``, transforms included. A user's module is its
        submodule ``module``; the layers of the others are read by `plain_network`.
    iterations : dict
        Of each phase.
    term_names : list of str
        Names of the terms of the loss.
    history : list of (int, tuple of float)
        Iteration over both phases and the weighted terms, whose sum is the loss; thinned.
    losses : dict
        Final value of every weighted term by name; NaN where the first loss was not finite.
    points : np.ndarray
        Collocation points at the end, shape ``(n, dim)``; added ones come first.
    parameters : int
        Trainable parameters.
    rounds : int
        Rounds of residual-based refinement.
    cpu_seconds, wall_seconds : float
        Of all parts of a resumed training, without the import of DeepXDE.
    """

    status: Status
    reason: str
    network: torch.nn.Module
    iterations: dict[str, int]
    term_names: list[str]
    history: list[tuple[int, tuple[float, ...]]]
    losses: dict[str, float]
    points: np.ndarray
    parameters: int
    rounds: int
    cpu_seconds: float
    wall_seconds: float

    @property
    def loss(self) -> float:
        """Final loss: the sum of the weighted terms."""
        return math.fsum(self.losses.values())

    @property
    def n_points(self) -> int:
        """Number of collocation points at the end, those of the boundary terms not counted."""
        return len(self.points)
