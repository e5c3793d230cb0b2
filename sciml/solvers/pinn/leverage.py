"""How much of the weights a residual at a point would determine."""

from __future__ import annotations

import copy

import numpy as np
import torch

from sciml.training import Collocation

__all__ = ["leverage_scores"]

_AT_ONCE = 2000


def leverage_scores(
    collocation: Collocation, theta: torch.Tensor, points: np.ndarray, *, known: np.ndarray, damping: float
) -> np.ndarray:
    """τ(x) = Σ J(x) (JᵀJ/N + λ D)⁻¹ J(x)ᵀ over the equations at x.

    Parameters
    ----------
    collocation : Collocation
        Gives rows of J; its points stay as they are.
    theta : (P,) tensor
    points : (n, d) array
        Where scores are wanted.
    known : (N, d) array
        Points of the training, whose rows make JᵀJ.
    damping : float
        λ, in multiples of the largest squared column of J (D is diagonal).

    Returns
    -------
    (n,) array

    Notes
    -----
    Costs a Jacobian at `points` and one at `known`, in blocks, and a factorisation of order P.
    """
    like = theta.detach()
    matrix = like.new_zeros(len(theta), len(theta))
    for block in _blocks(known):
        rows = _rows(collocation, theta, block)
        matrix += rows.mT @ rows / len(known)
    diagonal = matrix.diagonal()
    diagonal += max(damping, 1e-12) * diagonal.clamp(min=1e-12 * float(diagonal.max()) or 1.0)
    factor = torch.linalg.cholesky(matrix)
    scores = []
    for block in _blocks(points):
        rows = _rows(collocation, theta, block)
        whitened = torch.linalg.solve_triangular(factor, rows.mT, upper=False).square().sum(dim=0)
        scores.append(whitened.reshape(-1, len(block)).sum(dim=0))
    return torch.cat(scores).cpu().numpy().astype(float)


def _blocks(points: np.ndarray) -> list[np.ndarray]:
    return [points[start : start + _AT_ONCE] for start in range(0, len(points), _AT_ONCE)]


def _rows(collocation: Collocation, theta: torch.Tensor, points: np.ndarray) -> torch.Tensor:
    """Unweighted rows of the equations' Jacobian at points, one equation after the other."""
    some = copy.copy(collocation)
    some.set_points(points, np.full(len(points), float(len(points))))
    ends = [term.rows.stop for term in some.terms if term.kind == "equation"]
    return some.jacobian(theta)[1][: ends[-1]]
