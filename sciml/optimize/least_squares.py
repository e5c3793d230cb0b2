"""What an optimiser is handed (a sum of squares over a flat vector), what it hands back, and what it can do."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from sciml.errors import DivergenceError

__all__ = [
    "DenseLinearisation",
    "LeastSquares",
    "LinearisedResidual",
    "Optimizer",
    "Step",
    "finite_loss",
    "half_square",
]


class LinearisedResidual(Protocol):
    """The residual about one θ, r(θ + d) ≈ r + J d, by products alone: J itself is never stored.

    Attributes
    ----------
    residual : Tensor
        r(θ), shape ``(N,)``, without a graph.
    """

    residual: Tensor

    def product(self, directions: Tensor) -> Tensor:
        """J d: ``(P,)`` to ``(N,)``, or ``(P, m)`` to ``(N, m)``, without a graph."""
        ...

    def transposed(self, rows: Tensor) -> Tensor:
        """Jᵀ v: ``(N,)`` to ``(P,)``, or ``(N, m)`` to ``(P, m)``, without a graph."""
        ...


class LeastSquares(Protocol):
    """E(θ) = ½ |r(θ)|² over one flat vector θ of parameters, shape ``(P,)``.

    Weights of terms and points are inside r. What is handed out carries no graph, and the same θ gives the
    same bits until the system itself changes (other points or weights), which is told to an optimiser by
    `Optimizer.restart`.

    Attributes
    ----------
    n_residuals : int
        N.
    """

    @property
    def n_residuals(self) -> int: ...

    def residual(self, theta: Tensor) -> Tensor:
        """r(θ), shape ``(N,)``."""
        ...

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """r(θ), shape ``(N,)``, and J = ∂r/∂θ, shape ``(N, P)``."""
        ...

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """E(θ), a scalar, and ∇E = Jᵀ r, shape ``(P,)``."""
        ...

    def linear_operator(self, theta: Tensor) -> LinearisedResidual:
        """Products with J at θ."""
        ...


@dataclass(frozen=True)
class DenseLinearisation:
    """A stored J as a `LinearisedResidual`.

    Attributes
    ----------
    residual : Tensor
        r, shape ``(N,)``.
    jacobian : Tensor
        J, shape ``(N, P)``.
    """

    residual: Tensor
    jacobian: Tensor

    def product(self, directions: Tensor) -> Tensor:
        return self.jacobian @ directions

    def transposed(self, rows: Tensor) -> Tensor:
        return self.jacobian.mT @ rows


@dataclass(frozen=True)
class Step:
    """One step of an optimiser.

    Attributes
    ----------
    theta : Tensor
        Parameters after the step, shape ``(P,)``; those before it where it was not accepted.
    loss, previous : float
        E after and before the step; of Adam both are that before, as nothing is evaluated after it.
    accepted : bool
        Whether the step was made. False where the optimiser found nothing better: it stagnates.
    details : dict
        Figures of the optimiser's own (damping, candidates, evaluations, ...).
    """

    theta: Tensor
    loss: float
    previous: float
    accepted: bool
    details: dict[str, float] = field(default_factory=dict)


@runtime_checkable
class Optimizer(Protocol):
    """Minimises a `LeastSquares` step by step; its state can be taken out and put back exactly.

    Attributes
    ----------
    name : str
        As the user writes it.
    """

    name: str

    def step(self, system: LeastSquares, theta: Tensor) -> Step:
        """Make one step from `theta`, which is not written to.

        Raises
        ------
        DivergenceError
            If E is not finite at `theta`.
        """
        ...

    def restart(self) -> None:
        """Forget what belongs to the residuals as they were: points or weights have changed."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """State, first part. Later steps do not write to what was handed out."""
        ...

    def values(self) -> dict[str, Any]:
        """State, second part: what JSON holds exactly."""
        ...

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Put a state back into an optimiser made with the same options; going on is bitwise the same."""
        ...


def half_square(residual: Tensor) -> float:
    """E = ½ |r|² as a number."""
    return 0.5 * float(residual @ residual)


def finite_loss(loss: Tensor | float, name: str) -> float:
    """Return the loss at the start of a step as a number.

    Raises
    ------
    DivergenceError
        If it is NaN or infinite.
    """
    value = float(loss)
    if not math.isfinite(value):
        raise DivergenceError(
            f"The loss is {value} where a step of {name!r} begins, and must be finite; "
            "start from other weights, or look for where the residual is undefined."
        )
    return value
