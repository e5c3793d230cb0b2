"""Physics attention: places are weighted into slices, which attend to each other."""

from __future__ import annotations

import torch
from torch import nn

from sciml.nn.unet import convolution

__all__ = ["PhysicsAttention", "TransolverBlock", "TransolverNetwork"]

_TEMPERATURES = (0.1, 5.0)


class PhysicsAttention(nn.Module):
    """Attention between slices of the places, in each head.

    With w = softmax(S x / τ) over G slices, tokens z_g = Σ_j w_jg f(x)_j / Σ_j w_jg attend to each other as in any
    transformer, and place j gets Σ_g w_jg z_g. On grids x and f(x) come from convolutions of size 3, at points from
    linear maps.

    Parameters
    ----------
    width, heads, slices : int
        Channels, a multiple of the heads; slices of a head.
    dim : int or None
        Of the grid; None for unstructured points.

    Notes
    -----
    Maps ``(n, *grid, width)`` to the same shape. τ starts at 0.5 and is held in [0.1, 5]; S starts orthogonal.

    Source: H. Wu, H. Luo, H. Wang, J. Wang, M. Long, arXiv 2402.02366, section 3.2.
    """

    def __init__(self, width: int, heads: int, slices: int, dim: int | None) -> None:
        super().__init__()
        size = width // heads
        self.heads, self.dim = heads, dim
        self.temperature = nn.Parameter(torch.full((heads, 1, 1), 0.5))
        self.choose, self.read = (
            nn.Linear(width, width) if dim is None else convolution(dim, width, width, 3) for _ in range(2)
        )
        self.slices = nn.Linear(size, slices)
        nn.init.orthogonal_(self.slices.weight)
        self.queries, self.keys, self.values = (nn.Linear(size, size, bias=False) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self._weights(self._project(self.choose, x))
        tokens = (weights.mT @ self._project(self.read, x)) / (weights.sum(dim=2)[..., None] + 1e-5)
        tokens = nn.functional.scaled_dot_product_attention(
            self.queries(tokens), self.keys(tokens), self.values(tokens)
        )
        return self.out((weights @ tokens).transpose(1, 2).reshape(x.shape))

    def _weights(self, x: torch.Tensor) -> torch.Tensor:
        """softmax(S x / τ), ``(n, heads, places, slices)``; the small matrix is divided and not the large product."""
        temperature = self.temperature.clamp(*_TEMPERATURES)
        bias = self.slices.bias / temperature
        return (x @ (self.slices.weight.mT / temperature) + bias).softmax(dim=-1)

    def _project(self, layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """``(n, heads, places, width / heads)``."""
        y = layer(x) if self.dim is None else layer(x.movedim(-1, 1)).movedim(1, -1)
        return y.flatten(1, -2).unflatten(-1, (self.heads, -1)).transpose(1, 2)


class TransolverBlock(nn.Module):
    """x + attention(LN x), then x + MLP(LN x); ``(n, *grid, width)`` to the same shape."""

    def __init__(self, width: int, heads: int, slices: int, ratio: int, dim: int | None) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = PhysicsAttention(width, heads, slices, dim)
        self.perceptron = nn.Sequential(nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.first(x))
        return x + self.perceptron(self.second(x))


class TransolverNetwork(nn.Module):
    """A perceptron at each place, blocks of physics attention, a linear map.

    Maps ``(n, *grid, inputs)`` to ``(n, *grid, outputs)``; without `dim` ``(n, points, …)``. Weights of linear maps
    start normal with deviation 0.02, cut off at 2, and their biases at 0.

    Source: H. Wu, H. Luo, H. Wang, J. Wang, M. Long, arXiv 2402.02366.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        width: int,
        layers: int,
        heads: int,
        slices: int,
        ratio: int = 1,
        dim: int | None = None,
    ) -> None:
        super().__init__()
        self.lift = nn.Sequential(nn.Linear(inputs, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.offset = nn.Parameter(torch.rand(width) / width)
        self.blocks = nn.Sequential(*(TransolverBlock(width, heads, slices, ratio, dim) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, outputs)
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Linear):
                if not name.endswith(".slices"):
                    nn.init.trunc_normal_(layer.weight, std=0.02, a=-2, b=2)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(self.norm(self.blocks(self.lift(x) + self.offset)))
