"""Neural spectral blocks: fields are read into a few latent tokens, mapped there by series, and written back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from sciml.nn.trigonometric import trigonometric_series

__all__ = ["NeuralSpectralBlock"]


class NeuralSpectralBlock(nn.Module):
    """y = x + softmax(q(x) zᵀ) z with z a few tokens that were read from x and mapped by trigonometric series.

    The grid is cut into patches, each of which is on its own. With heads of C / `heads` channels:
    tokens z = t + softmax(t k(x)ᵀ) v(x) with learned queries t; z ← z + Σ_k [ a_k sin(π k z / N) + b_k cos(π k z / N) ]
    with coefficients for each channel; and back by the queries q of each place. k, v, q are linear maps at each place;
    there is no scale in front of a softmax, no normalisation and no other projection.

    Parameters
    ----------
    channels : int
        C, a multiple of `heads`.
    patch : sequence of int
        Places along each axis; the grid must be divisible by them.
    tokens, basis, heads : int
        Tokens of a head, N, heads.

    Notes
    -----
    Maps ``(n, C, *grid)`` to the same shape. With a = b = 0 it is the identity plus the decoding of z = t + ….
    The bias of k, which no softmax over places can see, is kept as the source has it.

    Good values: 4 tokens, N = 12, 8 heads.

    Source: H. Wu, T. Hu, H. Luo, J. Wang, M. Long, arXiv 2301.12664, section 3.2. The frequencies are k / N and the
    coefficients start uniform in [0, 1 / C], as in the authors' program.
    """

    def __init__(
        self, channels: int, patch: Sequence[int], *, tokens: int = 4, basis: int = 12, heads: int = 8
    ) -> None:
        super().__init__()
        self.patch, self.heads = tuple(patch), heads
        size = channels // heads
        self.queries = nn.Parameter(torch.rand(heads, tokens, size) / channels)
        self.sines = nn.Parameter(torch.rand(basis, channels) / channels)
        self.cosines = nn.Parameter(torch.rand(basis, channels) / channels)
        self.keys = nn.Linear(channels, channels)
        self.values = nn.Linear(channels, channels)
        self.places = nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.movedim(1, -1)
        cut, order = self._cut(rows.shape)
        patches = rows.reshape(cut).permute(order)
        flat = patches.reshape(-1, _product(self.patch), rows.shape[-1])
        out = flat + self.read_back(flat, self.solve(self.tokens(flat)))
        back = out.reshape(patches.shape).permute(_inverse(order))
        return back.reshape(rows.shape).movedim(-1, 1)

    def tokens(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens ``(m, heads, tokens, C / heads)`` of patches ``(m, places, C)``."""
        heads, count, size = self.queries.shape
        # t k(x)ᵀ is one linear map of x, so that no keys need to be formed.
        weight = self.queries @ self.keys.weight.view(heads, size, -1)
        bias = self.queries @ self.keys.bias.view(heads, size, 1)
        scores = nn.functional.linear(x, weight.flatten(0, 1), bias.flatten())
        attention = scores.softmax(dim=1).unflatten(-1, (heads, count)).permute(0, 2, 3, 1)
        return self.queries + attention @ self._heads(self.values(x))

    def solve(self, z: torch.Tensor) -> torch.Tensor:
        """Tokens after the series."""
        # One row for each channel: coefficients that vary along the fastest axis would be slow.
        rows = z.permute(1, 3, 0, 2).flatten(0, 1).flatten(1)
        series = trigonometric_series(rows, self.sines[..., None], self.cosines[..., None])
        heads, tokens, size = z.shape[1:]
        return z + series.view(heads, size, -1, tokens).permute(2, 0, 3, 1)

    def read_back(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """What the places of patches ``(m, places, C)`` take from tokens."""
        # Tokens in front of places: a softmax along few contiguous numbers is slow.
        attention = (z @ self._heads(self.places(x)).mT).softmax(dim=-2)
        return (attention.mT @ z).transpose(1, 2).flatten(2)

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _cut(self, shape: torch.Size) -> tuple[list[int], list[int]]:
        """The shape with each axis as (patches, places), and the order with the patches in front."""
        cut = [shape[0]]
        for size, patch in zip(shape[1:-1], self.patch):
            cut += [size // patch, patch]
        dim = len(self.patch)
        return [*cut, shape[-1]], [0, *range(1, 2 * dim, 2), *range(2, 2 * dim + 1, 2), 2 * dim + 1]


def _product(sizes: Sequence[int]) -> int:
    out = 1
    for size in sizes:
        out *= size
    return out


def _inverse(order: Sequence[int]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)
