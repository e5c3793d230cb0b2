"""The two branches: from a macroscopic strain to coefficients of the modes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sciml.nn import MLP
from sciml.surrogates.equino.bases import Bases

__all__ = ["Branches", "Scaling"]


@dataclass(frozen=True, eq=False)
class Scaling:
    """What stands around the network: b(E) = E A + c + s (N(x) − N₀).

    Attributes
    ----------
    linear : (3, 2r) array
        A.
    shift, scale : (2r,) arrays
        c and s.
    through_zero : bool
        Whether N₀ is the network's value in the unstrained state, so that b(0) = c; or else zero.
    """

    linear: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    through_zero: bool

    @classmethod
    def with_linear_part(cls, strain: np.ndarray, bases: Bases) -> Scaling:
        """A by least squares on the snapshots, s the deviation of the rest of each mode, and b(0) = 0."""
        coefficients = np.concatenate([bases.fluctuation_coefficients, bases.stress_coefficients], axis=1)
        linear = np.linalg.lstsq(strain, coefficients, rcond=None)[0]
        rest = (coefficients - strain @ linear).std(axis=0)
        return cls(linear, np.zeros(len(rest)), np.maximum(rest, 1e-9 * coefficients.std(axis=0)), True)

    @classmethod
    def as_published(cls, bases: Bases) -> Scaling:
        """No linear part; one mean and one deviation for all coefficients of a branch."""
        parts = (bases.fluctuation_coefficients, bases.stress_coefficients)
        shift = np.concatenate([np.full(part.shape[1], part.mean()) for part in parts])
        scale = np.concatenate([np.full(part.shape[1], part.std()) for part in parts])
        return cls(np.zeros((3, len(shift))), shift, scale, False)


class Branches(torch.nn.Module):
    """Two perceptrons side by side, one for the fluctuation's modes and one for the stress's.

    Parameters
    ----------
    modes : int
        r, of each.
    width, depth : int
        Of the hidden layers.
    box : (2, 3) array
        Strains that are mapped to [−1, 1]³.
    scaling : Scaling
    generator : torch.Generator, optional
        For the first weights.
    dtype, device
        Of weights and buffers.

    Notes
    -----
    Maps strains ``(n, 3)`` to coefficients ``(n, 2r)``, those of the fluctuation first.
    """

    linear: Tensor
    shift: Tensor
    scale: Tensor
    middle: Tensor
    half_width: Tensor

    def __init__(
        self,
        modes: int,
        width: int,
        depth: int,
        box: np.ndarray,
        scaling: Scaling,
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.modes, self.through_zero = modes, scaling.through_zero
        layers = [3, *[width] * depth, modes]
        self.network = MLP([layers, layers], "silu", biases=0.5, generator=generator, dtype=dtype, device=device)
        lower, upper = box
        kept = {"linear": scaling.linear, "shift": scaling.shift, "scale": scaling.scale}
        for name, values in (kept | {"middle": (lower + upper) / 2, "half_width": (upper - lower) / 2}).items():
            self.register_buffer(name, torch.tensor(values, dtype=dtype, device=device))

    @property
    def trainable_parameters(self) -> int:
        """Number of weights."""
        return sum(weight.numel() for weight in self.network.parameters())

    def forward(self, strain: Tensor) -> Tensor:
        inner = self.network((strain - self.middle) / self.half_width)
        if self.through_zero:
            inner = inner - self.network((-self.middle / self.half_width)[None])
        return strain @ self.linear + self.shift + self.scale * inner

    def stress_with_slope(self, strain: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients of the stress (n, r) and their derivatives by the strain (3, n, r), in one forward pass."""
        r = self.modes
        # The unstrained state goes along as one more row.
        rows = torch.cat([strain, strain.new_zeros(1, 3)]) if self.through_zero else strain
        value, slope = self._second_branch((rows - self.middle) / self.half_width, len(strain))
        if self.through_zero:
            value = value[:-1] - value[-1]
        linear, shift, scale = self.linear[:, r:], self.shift[r:], self.scale[r:]
        return strain @ linear + shift + scale * value, linear[:, None] + scale * slope

    def _second_branch(self, x: Tensor, sloped: int) -> tuple[Tensor, Tensor]:
        layers = list(self.network.branches[1])  # type: ignore[arg-type]
        slope = torch.diag(1 / self.half_width)[:, None].expand(3, sloped, 3)
        for number, layer in enumerate(layers):
            x, slope = layer(x), slope @ layer.weight.mT
            if number < len(layers) - 1:
                gate = torch.sigmoid(x)
                slope = slope * (gate * (1 + x * (1 - gate)))[:sloped]
                x = x * gate
        return x, slope
