"""What a finite volume scheme on cells asks of a declaration: coefficients, loads, and data of the boundary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sciml.errors import DeclarationError
from sciml.forms import (
    PointwiseOperator,
    analyse,
    boundary_residual,
    condition_value,
    number,
    strong_residual,
)
from sciml.forms.splitting import linear_split
from sciml.linear import MultigridResult
from sciml.problem import Condition, Dirichlet, Problem

__all__ = ["Law", "finite", "fluxes", "held_values", "law_of", "obstacle", "right_side", "with_mean"]


@dataclass(frozen=True)
class Law:
    """−Σ kᵢ ∂²u/∂xᵢ² + c u = f.

    Attributes
    ----------
    diffusion : (dim,) array
        kᵢ > 0.
    reaction : float
        c ≥ 0.
    """

    diffusion: np.ndarray
    reaction: float


def obstacle(problem: Problem) -> str | None:
    """Why the law is not −Σ kᵢ ∂²u/∂xᵢ² + c u = f, or None."""
    if problem.shape != ():
        return "it knows one scalar unknown only"
    if problem.evolves:
        return "it solves stationary problems only"
    findings = analyse(problem)
    if findings.strong_form_obstacle:
        return findings.strong_form_obstacle
    if not (findings.linear and findings.symmetric and findings.monotone):
        return "it needs a linear symmetric law whose reaction and boundary terms are not negative"
    split, d = linear_split(problem), problem.dim
    matrix = split.coefficients(problem)
    if not split.constant.all():
        return "it needs constant coefficients"
    diffusion = np.diag(matrix)[:d]
    if np.abs(matrix - np.diag(np.diag(matrix))).max() > 1e-12 * np.abs(matrix).max() or not diffusion.min() > 0:
        return "it needs a positive diffusion along each axis and nothing else but a reaction"
    return None


def law_of(problem: Problem) -> Law:
    """The coefficients of a law that :func:`obstacle` accepts."""
    entries = np.diag(linear_split(problem).coefficients(problem))
    return Law(entries[:-1], max(float(entries[-1]), 0.0))


def right_side(problem: Problem, points: np.ndarray) -> np.ndarray:
    """Values of f at points ``(n, dim)`` → ``(n,)``, with what a flux that does not vanish for u = 0 adds."""
    return finite(problem, "load", points, -strong_residual(problem).at(points))


def held_values(problem: Problem, condition: Dirichlet, points: np.ndarray) -> np.ndarray:
    """The data of a Dirichlet condition at points of the boundary ``(n, dim)`` → ``(n,)``."""
    return finite(problem, str(condition), points, condition_value(problem, condition, 0).at(points))


def fluxes(
    problem: Problem, condition: Condition | None, points: np.ndarray, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values of g and alpha ≥ 0, each ``(n,)``, of Σ kᵢ nᵢ ∂u/∂xᵢ = g − alpha u at points of the boundary."""
    residual = boundary_residual(problem, condition, 0)
    at_zero = residual.at(points, normals)
    alpha = _at_one(residual, points, normals) - at_zero
    finite(problem, str(condition), points, at_zero + alpha)
    return -at_zero, np.maximum(alpha, 0.0)


def _at_one(residual: PointwiseOperator, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """For the unknown 1."""
    x = torch.tensor(points, dtype=torch.float64)
    jet = {key: torch.full_like(x[:, 0], 0.0 if key.axes else 1.0) for key in residual.keys}
    with torch.no_grad():
        return residual(x, jet, normal=torch.tensor(normals, dtype=torch.float64)).numpy()


def finite(problem: Problem, what: str, points: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values, none of which may be NaN or infinite.

    Raises
    ------
    DeclarationError
    """
    values = np.broadcast_to(values, (len(points),))
    bad = ~np.isfinite(values)
    if bad.any():
        place = points[int(np.argmax(bad))].tolist()
        raise DeclarationError(f"{what} of {problem!r} is not finite at {place}; give it a value there.")
    return values


def with_mean(problem: Problem, result: MultigridResult, fluid: np.ndarray) -> np.ndarray:
    """The values found ``(n₀, …)``, with the mean that the problem prescribes where its constant is free."""
    values = result.values.cpu().numpy()
    if not analyse(problem).pure_neumann or not problem.declaration.means:
        return values
    mean = float(number(problem, problem.declaration.means[0].entry(0)))
    return np.where(fluid, values - values[fluid].mean() + mean, 0.0)
