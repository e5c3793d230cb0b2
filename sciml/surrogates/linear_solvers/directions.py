"""Training the network of deep conjugate directions on mixtures of Ritz vectors, without solutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.linear import LinearSystem, poisson, solve
from sciml.linear.dcdm import DeepConjugateDirections, DirectionNetwork
from sciml.linear.dcdm.network import glorot, small
from sciml.linear.lanczos import ritz_vectors
from sciml.linear.stencil_operator import StencilOperator
from sciml.surrogates.linear_solvers.adam import AdamTraining
from sciml.surrogates.linear_solvers.options import DirectionOptions

__all__ = ["DirectionTraining", "RitzMixtures", "scale_free_loss", "training_systems"]

TRAINING_SEEDS = 1_000_000
"""Geometries to train on have seeds from here; those below are for tests."""
VALIDATION_SEED = 900_000


def training_systems(options: DirectionOptions, seed: int) -> list[LinearSystem]:
    """A box with closed walls and an open end, and such boxes with obstacles, of seeds that no test has."""
    systems = [poisson(options.cells, walls="closed", seed=TRAINING_SEEDS)]
    for k in range(1, options.geometries):
        most = max(1, options.obstacles)
        systems.append(poisson(options.cells, obstacles=1 + (k - 1) % most, seed=TRAINING_SEEDS + 1000 * seed + k))
    return systems


def scale_free_loss(q: Tensor, b: Tensor, Aq: Tensor) -> Tensor:
    """Mean ‖b − α A q‖² over a batch, with the best α = (q·b)/(q·A q) of each; b of norm 1.

    The line search of the solver finds α as well, so that the network need not know how long a direction is.
    """
    flat = tuple(range(1, q.ndim))
    curvature = (q * Aq).sum(flat).clamp_min(torch.finfo(q.dtype).tiny)
    alpha = (q * b).sum(flat) / curvature
    return ((b - alpha.view(-1, *(1,) * (q.ndim - 1)) * Aq) ** 2).sum(flat).mean()


class RitzMixtures:
    """Right sides that are random mixtures of Ritz vectors, low ones with nine times the weight.

    Parameters
    ----------
    systems : sequence of LinearSystem
        On grids of one shape.
    vectors : int
        Lanczos steps of each.
    first : float, optional
        Share of the right sides that are of the first system; as many as of any other by default.
    low : float
        Share of the vectors, by ascending value, that are weighted.
    weight : float
        Of the low ones.
    seed : int
    device : str

    Attributes
    ----------
    bytes : int
        What is kept.

    Notes
    -----
    Mixtures are made anew in each step, which costs a product of the batch with the vectors of its geometries; the
    authors draw 20,000 once.
    """

    def __init__(
        self,
        systems: Sequence[LinearSystem],
        vectors: int,
        *,
        first: float | None = None,
        low: float = 0.55,
        weight: float = 9.0,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        grids = [system.grid for system in systems if system.grid is not None]
        self.operator = StencilOperator(grids, torch.float32, device)
        self._vectors: list[Tensor] = []
        self._weights: list[Tensor] = []
        for k, (system, grid) in enumerate(zip(systems, grids, strict=True)):
            _, found = ritz_vectors(system, vectors, np.random.default_rng([seed, k]))
            spread = np.stack([grid.spread(vector.astype(np.float32)) for vector in found])
            self._vectors.append(torch.as_tensor(spread).to(device))
            scale = np.where(np.arange(len(found)) < low * len(found), weight, 1.0)
            self._weights.append(torch.as_tensor(scale, dtype=torch.float32).to(device))
        shares = torch.ones(len(systems))
        if first is not None and len(systems) > 1:
            shares[0] = first * (len(systems) - 1) / max(1 - first, 1e-9)
        self._shares = shares.to(device)
        self.bytes = sum(v.numel() * v.element_size() for v in self._vectors)

    def draw(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Right sides of norm 1 ``(batch, n₀, …)``, and their geometries ``(batch,)``."""
        device = self._vectors[0].device
        which = torch.multinomial(self._shares, batch, replacement=True, generator=generator)
        out = []
        for k in which.tolist():
            own = self._vectors[k]
            c = torch.randn(len(own), generator=generator, device=device) * self._weights[k]
            b = torch.tensordot(c, own, 1)
            out.append(b / b.norm())
        return torch.stack(out), which


class DirectionTraining(AdamTraining[DirectionOptions, DirectionNetwork]):
    """Mixtures of Ritz vectors in each step."""

    Options = DirectionOptions
    sources = (
        "linear/dcdm/network.py",
        "linear/lanczos.py",
        "linear/systems.py",
        "surrogates/linear_solvers/adam.py",
        "surrogates/linear_solvers/directions.py",
    )

    def __init__(self, options: DirectionOptions, *, seed: int, device: str = "cpu") -> None:
        network = DirectionNetwork(len(options.cells), options.structure, device=device)
        begin = glorot if options.first_weights == "glorot" else small
        begin(network, torch.Generator(device).manual_seed(seed))
        kind = torch.channels_last if network.dim == 2 else torch.channels_last_3d
        network.to(memory_format=kind)
        super().__init__(options, network)
        self.seed, self.device = seed, device
        self.mixtures = RitzMixtures(
            training_systems(options, seed),
            options.vectors,
            first=options.box_share,
            low=options.low,
            weight=options.low_weight,
            seed=seed,
            device=device,
        )

    def loss(self) -> Tensor:
        generator = torch.Generator(self.device).manual_seed(self.seed * 1_000_003 + self.done)
        b, which = self.mixtures.draw(self.options.batch, generator)
        q = self.network(b) * self.mixtures.operator.fluid[which]
        return scale_free_loss(q, b, self.mixtures.operator(q, which))

    def about(self) -> dict[str, Any]:
        """What makes the network again, besides its weights."""
        return {"dim": self.network.dim, "structure": self.network.structure, "cells": list(self.options.cells)}

    def findings(self) -> dict[str, Any]:
        """Iterations to 1e-6 beside those of conjugate gradients, on a box and on obstacles that no test has."""
        out = {}
        for name, obstacles in (("box", 0), ("obstacles", 7)):
            system = poisson(self.options.cells, obstacles=obstacles, walls="closed", seed=VALIDATION_SEED)
            ours = DeepConjugateDirections(network=self.network, device=self.device)
            out[name] = {"dcdm": solve(system, ours).iterations, "cg": solve(system, "cg").iterations}
        return out
