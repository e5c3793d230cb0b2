"""Gaussian densities whose covariance is a Kronecker product of small matrices, differentiable by all of them.

Values on a grid are an array ``(n₀, …)``; a matrix of axis i acts along that axis, and nothing larger than the matrices
of the axes is ever formed. One Cholesky factor of each serves the solves, the determinant and all derivatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sciml.errors import DivergenceError

__all__ = ["KroneckerCovariance", "along"]


def along(matrix: Tensor, values: Tensor, axis: int) -> Tensor:
    """A matrix ``(m, n)`` times an array along one of its axes."""
    first = torch.movedim(values, axis, 0)
    product = matrix @ first.reshape(len(first), -1)
    return torch.movedim(product.reshape(len(matrix), *first.shape[1:]), 0, axis)


class KroneckerCovariance:
    """K = K_0 ⊗ K_1 ⊗ …, symmetric and positive definite.

    Parameters
    ----------
    factors : sequence of Tensor
        ``(n_i, n_i)``; may require grad.

    Raises
    ------
    DivergenceError
        A factor that is not positive definite, or not finite.
    """

    def __init__(self, factors: Sequence[Tensor]) -> None:
        self.factors = tuple(factors)
        self._roots = [_root(factor.detach(), axis) for axis, factor in enumerate(self.factors)]
        self.shape = tuple(len(factor) for factor in self.factors)

    def solve_along(self, values: Tensor, axis: int) -> Tensor:
        """K_i⁻¹ along one axis of values ``(n₀, …)``."""
        flat = torch.movedim(values, axis, 0)
        solved = _Solve.apply(self.factors[axis], self._roots[axis], flat.reshape(len(flat), -1))
        return torch.movedim(solved.reshape(flat.shape), 0, axis)  # type: ignore[union-attr]

    def solve(self, values: Tensor) -> Tensor:
        """K⁻¹ of values ``(n₀, …)``."""
        for axis in range(len(self.shape)):
            values = self.solve_along(values, axis)
        return values

    def log_determinant(self) -> Tensor:
        """The logarithm of |K| = Σ_i (N/n_i) log |K_i|."""
        total = 1
        for n in self.shape:
            total *= n
        parts = [total // n * _LogDeterminant.apply(k, r) for n, k, r in zip(self.shape, self.factors, self._roots)]
        return torch.stack(parts).sum()


def _root(matrix: Tensor, axis: int) -> Tensor:
    root, wrong = torch.linalg.cholesky_ex(matrix)
    if int(wrong) or not bool(torch.isfinite(torch.diagonal(root)).all()):
        raise DivergenceError(
            f"The covariance along axis {axis} is not positive definite; take a larger jitter, or other scales."
        )
    return root


class _Solve(torch.autograd.Function):
    """K⁻¹ B; backwards Ḃ = K⁻¹ Ẋ and K̇ = −Ḃ Xᵀ."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, root: Tensor, values: Tensor) -> Tensor:
        solved = torch.cholesky_solve(values, root)
        ctx.save_for_backward(root, solved)
        return solved

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, Tensor]:
        root, solved = ctx.saved_tensors
        adjoint = torch.cholesky_solve(grads[0], root)
        return (-adjoint @ solved.mT if ctx.needs_input_grad[0] else None), None, adjoint


class _LogDeterminant(torch.autograd.Function):
    """2 Σ log of the diagonal of the factor; backwards K⁻¹."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, root: Tensor) -> Tensor:
        ctx.save_for_backward(root)
        return 2 * torch.log(torch.diagonal(root)).sum()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * torch.cholesky_inverse(ctx.saved_tensors[0]), None
