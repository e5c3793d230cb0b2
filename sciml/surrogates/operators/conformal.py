"""Bands that cover a share of the truth, calibrated on samples that were not trained on."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["ConformalBand", "coverage"]

# Of the typical error: bands do not vanish where a few samples happen to be met.
_LEAST = 0.1


class ConformalBand(nn.Module):
    """Half-width q s(x) of a band around predictions.

    s(x) is the root mean square error at a node over validation samples, q the quantile of |error|/s over their nodes.
    For each validation sample s is taken from the others, so that q is that of a sample which s has not seen.

    Attributes
    ----------
    width : ``(*grid, c)`` Tensor
        q s.

    Notes
    -----
    On average over samples and nodes a band covers its nominal share, provided that what is asked for is drawn as the
    validation samples were; for one sample or one node it promises nothing. Nodes of one sample depend on each other,
    so with m validation samples the share itself varies as if there were a few times m numbers.

    Source: A. N. Angelopoulos and S. Bates, Conformal Prediction: A Gentle Introduction (2023), split conformal
    prediction with scaled scores.
    """

    width: Tensor

    def __init__(self, width: Tensor, nominal: float) -> None:
        super().__init__()
        self.nominal = nominal
        self.register_buffer("width", width)

    @classmethod
    def of(cls, errors: Tensor, nominal: float) -> ConformalBand:
        """Calibrate on errors ``(m, *grid, c)`` of m ≥ 2 validation samples."""
        squares = errors.square()
        total = squares.sum(0)
        count, dim = len(errors), errors.ndim - 2
        others = _scale((total - squares) / (count - 1), dim)
        scores = (errors.abs() / others).flatten()
        rank = min(scores.numel(), math.ceil(nominal * (scores.numel() + 1)))
        quantile = scores.kthvalue(rank).values
        return cls(quantile * _scale(total / count, dim), nominal)


def _scale(mean_squares: Tensor, dim: int) -> Tensor:
    """Root mean squares ``(…, *grid, c)`` on `dim` axes, kept away from zero by a share of their mean over nodes."""
    typical = mean_squares.mean(tuple(range(-1 - dim, -1)), keepdim=True)
    return (mean_squares + _LEAST**2 * typical).sqrt().clamp(min=torch.finfo(mean_squares.dtype).tiny)


def coverage(predicted: Tensor, truth: Tensor, width: Tensor) -> float:
    """The share of nodes where the truth lies within the band."""
    return float(((predicted - truth).abs() <= width).double().mean())
