"""Training the network of learned multigrid by conjugate gradients themselves, without solutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.linear import LinearSystem, diffusion, poisson, solve
from sciml.linear.learned import CycleNetwork, Hierarchy, Layout, LearnedMultigrid, NetworkShape, stencil_of
from sciml.surrogates.linear_solvers.adam import AdamTraining
from sciml.surrogates.linear_solvers.cycle_options import CycleOptions

__all__ = ["CycleTraining", "draw_system", "iteration_loss", "rough_solutions"]

TRAINING_SEEDS = 1_000_000
"""Systems to train on have seeds from here; those below are for tests."""
VALIDATION_SEED = 900_000
_LEAST = 1e-3
"""Of the mean reduction of the logarithm of the error in one iteration, below which there is no more to tell apart."""


def draw_system(options: CycleOptions, generator: np.random.Generator) -> LinearSystem:
    """Poisson with obstacles, or diffusion with contrast and anisotropy of any angle, on a grid of random size."""
    seed = TRAINING_SEEDS + int(generator.integers(2**31))
    shape = [int(generator.integers(max(4, n // 2), n + 1)) for n in options.cells]
    if generator.random() < options.poisson:
        return poisson(shape, obstacles=int(generator.integers(0, options.obstacles + 1)), seed=seed)
    anisotropy = options.anisotropy ** generator.random() if generator.random() < 0.8 else 1.0
    angle = float(generator.uniform(0, 180)) if generator.random() < 0.7 else 0.0
    contrast = options.contrast ** generator.random() if generator.random() < 0.6 else 1.0
    return diffusion(shape, contrast=contrast, anisotropy=anisotropy, angle=angle, seed=seed)


def rough_solutions(layout: Layout, batch: int, generator: np.random.Generator) -> Tensor:
    """Random fields with the same energy at all scales, as lines ``(batch, length)``."""
    total = torch.zeros(batch, *layout.shape, dtype=torch.float64)
    mode = "bilinear" if layout.dim == 2 else "trilinear"
    scale = 1
    while scale < 2 * max(layout.shape):
        coarse = [max(1, -(-n // scale)) for n in layout.shape]
        noise = torch.as_tensor(generator.normal(size=(batch, 1, *coarse)))
        total += scale * torch.nn.functional.interpolate(noise, size=layout.shape, mode=mode)[:, 0]
        scale *= 2
    return layout.pack(total)


def iteration_loss(hierarchy: Hierarchy, stencil: Tensor, layout: Layout, x: Tensor, iterations: int) -> Tensor:
    """The logarithm of the iterations that conjugate gradients take for each factor e of the error.

    −log(−log(‖e_m‖/‖e_0‖)/m) with energy norms of the errors before and after m iterations for b = A x, mean over the
    batch. Nothing in it changes when the cycle or the system is scaled, and a system that takes twice as many
    iterations counts as much as any other.

    Parameters
    ----------
    hierarchy : Hierarchy
    stencil, layout
        Of A.
    x : (batch, length) tensor
        Solutions, drawn at random; nothing is solved to have them.
    iterations : int
    """

    def multiply(u: Tensor) -> Tensor:
        wide = layout.widen(u)
        total = torch.zeros_like(u)
        for a, offset in zip(stencil, layout.offsets, strict=True):
            if a.any():
                total = total + a * layout.shifted(wide, offset)
        return total

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(-1, keepdim=True)

    r = multiply(x)
    start = dot(x, r)
    error, p, previous = x, torch.zeros_like(x), torch.ones_like(start)
    for k in range(iterations):
        z = hierarchy.apply(r)
        rz = dot(r, z)
        p = z + (rz / previous) * p if k else z
        Ap = multiply(p)
        step = rz / dot(p, Ap)
        error, r, previous = error - step * p, r - step * Ap, rz
    reduction = -0.5 * torch.log(dot(error, r).clamp_min(1e-30 * start) / start) / iterations
    return -torch.log(reduction.clamp_min(_LEAST)).mean()


class CycleTraining(AdamTraining[CycleOptions, CycleNetwork]):
    """One random system in each step."""

    Options = CycleOptions
    sources = (
        "linear/learned/hierarchy.py",
        "linear/learned/layout.py",
        "linear/learned/networks.py",
        "linear/learned/transfers.py",
        "linear/systems.py",
        "surrogates/linear_solvers/adam.py",
        "surrogates/linear_solvers/cycles.py",
    )

    def __init__(self, options: CycleOptions, *, seed: int, device: str = "cpu") -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = CycleNetwork(NetworkShape(len(options.cells), options.width)).to(device)
        super().__init__(options, network)
        self.seed, self.device, self.largest_gradient = seed, device, options.largest_gradient

    def loss(self) -> Tensor:
        generator = np.random.default_rng([self.seed, self.done])
        while True:
            grid = draw_system(self.options, generator).grid
            assert grid is not None
            layout = Layout(grid.shape)
            stencil = stencil_of(grid, layout, torch.float64, self.device)
            hierarchy = Hierarchy(stencil, layout, self.network)
            # What is solved directly teaches nothing.
            if hierarchy.levels:
                break
        unknowns = layout.pack(torch.as_tensor(grid.fluid).to(self.device, torch.float64))
        x = rough_solutions(layout, self.options.batch, generator).to(self.device) * unknowns
        return iteration_loss(hierarchy, stencil, layout, x, self.options.iterations)

    def about(self) -> dict[str, Any]:
        """What makes the network again, besides its weights."""
        shape = self.network.shape
        return {"dim": shape.dim, "width": shape.width, "cells": list(self.options.cells)}

    def findings(self) -> dict[str, Any]:
        """Iterations to 1e-8 with and without the network, on systems that no test has."""
        cells = self.options.cells
        systems = {
            "obstacles": poisson(cells, obstacles=7, seed=VALIDATION_SEED),
            "contrast": diffusion(cells, contrast=1e4, seed=VALIDATION_SEED),
            "anisotropy": diffusion(cells, anisotropy=100, angle=10, seed=VALIDATION_SEED),
        }
        out = {}
        for name, system in systems.items():
            solvers = {"untrained": "untrained", "learned_mg": self.network}
            counts = {
                key: solve(system, LearnedMultigrid(network=network, device=self.device), tolerance=1e-8).iterations
                for key, network in solvers.items()
            }
            out[name] = counts
        return out
