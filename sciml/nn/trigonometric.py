"""Trigonometric series with a coefficient for each channel, by recurrences."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.autograd.function import once_differentiable

__all__ = ["direct_series", "trigonometric_series"]


def trigonometric_series(z: torch.Tensor, sines: torch.Tensor, cosines: torch.Tensor) -> torch.Tensor:
    """Σ_k [ a_k sin(π k z / N) + b_k cos(π k z / N) ] for k = 0 … N − 1, with first derivatives.

    Parameters
    ----------
    z : Tensor (…)
    sines, cosines : Tensor (N, …)
        a and b; their shape behind N broadcasts with `z`.

    Returns
    -------
    Tensor (…)
        In the shape of `z`.

    Notes
    -----
    One sine and one cosine whatever N is. The value is summed by Clenshaw's recurrence
    q_k = c_k + 2 cos(θ) q_{k+1} − q_{k+2} for the coefficients c of either, with Σ b_k cos kθ = b_0 + cos(θ) q_1 − q_2
    and Σ a_k sin kθ = sin(θ) q_1; its gradient by the recurrence of cos kθ and sin kθ themselves. Rounding errors grow
    as N² near multiples of π, which for N = 12 costs two digits at most.

    Source: C. W. Clenshaw, Mathematical Tables and other Aids to Computation 9 (1955) 118.
    """
    return _Series.apply(z, sines, cosines)  # type: ignore[no-any-return]


def direct_series(z: torch.Tensor, sines: torch.Tensor, cosines: torch.Tensor) -> torch.Tensor:
    """The same by 2 N trigonometric functions."""
    order = len(sines)
    terms = (
        sines[k] * torch.sin(math.pi * k / order * z) + cosines[k] * torch.cos(math.pi * k / order * z)
        for k in range(order)
    )
    return sum(terms, torch.zeros_like(z))


class _Series(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: torch.Tensor, sines: torch.Tensor, cosines: torch.Tensor) -> torch.Tensor:
        angle = (math.pi / len(sines)) * z
        cosine, sine = torch.cos(angle), torch.sin(angle)
        ctx.save_for_backward(cosine, sine, sines, cosines)
        padded = (len(sines), *(1,) * (z.ndim + 1 - sines.ndim), *sines.shape[1:])
        coefficients = torch.stack([sines.reshape(padded), cosines.reshape(padded)], dim=1)
        double = 2 * cosine
        later, last = torch.zeros(2, 2, *z.shape, dtype=z.dtype, device=z.device)
        for k in range(len(sines) - 1, 0, -1):
            # In place on what is dropped: last ← c_k + 2 cos(θ) later − last.
            last.neg_().addcmul_(double, later).add_(coefficients[k])
            later, last = last, later
        return torch.addcmul(coefficients[0, 1] - last[1], cosine, later[1]).addcmul_(sine, later[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        cosine, sine, sines, cosines = ctx.saved_tensors
        order, shape = len(sines), sines.shape[1:]
        double = 2 * cosine
        # Pairs (sin kθ, cos kθ) times the gradient; both obey the same recurrence.
        before = torch.stack([-sine, cosine]).mul_(gradient)
        now = torch.stack([torch.zeros_like(gradient), gradient])
        slope = torch.zeros_like(gradient)
        sums = []
        for k in range(order):
            sums.append(torch.stack([_sum_to(part, shape) for part in now]))
            if k:
                slope.addcmul_(now[1], sines[k], value=k).addcmul_(now[0], cosines[k], value=-k)
            before.neg_().addcmul_(double, now)
            before, now = now, before
        by_sines, by_cosines = torch.stack(sums, dim=1)
        return slope.mul_(math.pi / order), by_sines, by_cosines


def _sum_to(values: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    return values.sum_to_size(shape) if values.shape != shape else values.clone()
