"""The stencil of linear elements with a learned correction."""

from __future__ import annotations

import torch
from torch import Tensor

from sciml.surrogates.wave_cnn.conditioning import Medium
from sciml.surrogates.wave_cnn.propagator import Propagator, Told

__all__ = ["CorrectedStencil", "stencil"]


class CorrectedStencil(Propagator):
    """The semi-discrete wave equation as a skeleton that learns.

    M = (Δ/m)² s⁻² K + s⁻¹ S Bᵀ diag(±1) B S s, with the stiffness K of linear elements on the grid. Both parts are
    symmetric, so that the energy of the corrected scheme is conserved too; the correction may add and take away. What
    it has to learn is small: the error of a grid and a step that are too coarse.
    """

    quiet = True

    def tell(self, medium: Medium) -> Told:
        told = super().tell(medium)
        told.edges = edge_stiffness(told.courant, self.weight, self.periodic)
        return told

    def _signed(self, out: Tensor) -> Tensor:
        half = (out.shape[1] + 1) // 2
        return torch.cat([out[:, :half], -out[:, half:]], dim=1)

    def operator(self, u: Tensor, told: Told) -> Tensor:
        plain = stencil(self.free * u, told.edges, self.periodic) / self.weight
        return self.free * plain + self._square(self.stiffness, u, told.gates, smoothed=True)


def edge_stiffness(courant: Tensor, weight: Tensor, periodic: bool) -> list[Tensor]:
    """Of the edges along each axis: the mean square of the Courant number, by the share that lies inside."""
    square, edges = courant**2, []
    for axis in range(2, courant.ndim):
        here, there = _pairs(square, axis, periodic)
        own, other = _pairs(weight, axis, periodic)
        edges.append(0.5 * (here + there) * torch.maximum(own, other))
    return edges


def stencil(u: Tensor, edges: list[Tensor], periodic: bool) -> Tensor:
    """K u: the sum over a node's edges of stiffness times difference."""
    out = torch.zeros_like(u)
    for axis, stiffness in zip(range(2, u.ndim), edges, strict=True):
        here, there = _pairs(u, axis, periodic)
        flux = stiffness * (there - here)
        if periodic:
            out = out - flux + torch.roll(flux, 1, axis)
            continue
        edge = torch.zeros_like(u.narrow(axis, 0, 1))
        out = out - torch.cat([flux, edge], axis) + torch.cat([edge, flux], axis)
    return out


def _pairs(values: Tensor, axis: int, periodic: bool) -> tuple[Tensor, Tensor]:
    """What stands at both ends of the edges along an axis."""
    if periodic:
        return values, torch.roll(values, -1, axis)
    n = values.shape[axis]
    return values.narrow(axis, 0, n - 1), values.narrow(axis, 1, n - 1)
