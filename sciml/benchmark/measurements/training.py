"""What the derivatives of a training cost."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch.func import functional_call, jacrev, vmap
from ufl import grad, sin

from sciml import Box, Dirichlet, Problem
from sciml.forms import strong_residual
from sciml.nn import MLP, PhysicalNetwork, problem_scales
from sciml.training import Collocation

_ROWS = 50
"""Rows of a block of torch.func.jacrev: its work grows with the square, below that its overhead dominates."""


def per_sample_jacobian(seed: int = 0, points: int = 6000, repetitions: int = 5) -> dict[str, float]:
    """The Jacobian of the residual rows of −div((1 + u²) ∇u) = s by the weights of a 2-24-24-1 network, on one thread.

    From one reverse pass, against ``torch.func``: ``vmap`` of the gradient of single rows, and ``jacrev`` of blocks of
    rows. All from the same compiled residual and stacked Taylor series.

    Parameters
    ----------
    seed : int
        Of weights and points.
    points, repetitions : int
        Rows; runs of each, of which the best counts.

    Returns
    -------
    dict
        ``gap_vmap``, ``gap_jacrev``: largest difference from those matrices, relative to the largest entry.
        ``cpu_seconds``: of residual and matrix. ``residual_cpu_seconds``, ``gradient_cpu_seconds``: of the residual
        alone, and of the gradient of the loss. ``over_vmap``, ``over_jacrev``: CPU time of those over that of the
        matrix.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _figures(seed, points, repetitions)
    finally:
        torch.set_num_threads(threads)


def _figures(seed: int, points: int, repetitions: int) -> dict[str, float]:
    system, x = _system(seed, points)
    theta = system.theta()
    scale = float(system.terms[0].size) * np.sqrt(points)
    row = _rows(system)

    def by_vmap() -> torch.Tensor:
        per_row = vmap(jacrev(lambda z, point: row(z, point[None])[0]), (None, 0), chunk_size=1000)
        return per_row(theta, x) / scale

    def by_jacrev() -> torch.Tensor:
        blocks = [jacrev(lambda z, some=some: row(z, some))(theta) for some in x.split(_ROWS)]
        return torch.cat(blocks) / scale  # type: ignore[arg-type]

    own, own_seconds = _best(lambda: system.jacobian(theta)[1][:points], repetitions)
    vmapped, vmap_seconds = _best(by_vmap, 2)
    blocked, jacrev_seconds = _best(by_jacrev, 2)
    return {
        "gap_vmap": float((own - vmapped).abs().max() / own.abs().max()),
        "gap_jacrev": float((own - blocked).abs().max() / own.abs().max()),
        "cpu_seconds": own_seconds,
        "residual_cpu_seconds": _best(lambda: system.residual(theta), repetitions)[1],
        "gradient_cpu_seconds": _best(lambda: system.value_and_gradient(theta)[1], repetitions)[1],
        "over_vmap": vmap_seconds / own_seconds,
        "over_jacrev": jacrev_seconds / own_seconds,
    }


def _system(seed: int, points: int) -> tuple[Collocation, torch.Tensor]:
    """With soft conditions on a few points only, so that torch.func can follow all that the network is made of."""
    problem = Problem(
        domain=Box((0, 0), (1, 1)),
        flux=lambda u: (1 + u**2) * grad(u),
        load=lambda x: sin(x[0]),
        conditions=[Dirichlet(0, on="boundary")],
    )
    network = MLP([2, 24, 24, 1], biases=1.0, generator=torch.Generator().manual_seed(seed))
    scales = problem_scales(problem)
    model = PhysicalNetwork(network, problem, unknown_scale=scales.unknowns, hard=False, offset=scales.offset)
    generator = np.random.default_rng(seed)
    system = Collocation(
        problem,
        model,
        scales,
        boundary_points=1,
        boundary_weight=1.0,
        flux_weight=1.0,
        generator=generator,
    )
    system.set_points(problem.domain.quasi_random(points, generator))
    return system, torch.tensor(system.points)


class _Unscaled(torch.nn.Module):
    """The residual at points, as a module."""

    def __init__(self, model: PhysicalNetwork) -> None:
        super().__init__()
        self.model = model

    def forward(self, residual: Callable, x: torch.Tensor, keys: tuple) -> torch.Tensor:
        return residual(x, self.model.jet(x, keys))


def _rows(system: Collocation) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """θ and points to residuals, as a function that torch.func can transform."""
    operator, module = strong_residual(system.problem), _Unscaled(system.model)
    shapes = {name: p.shape for name, p in module.named_parameters()}

    def rows(theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        parts = theta.split([shape.numel() for shape in shapes.values()])
        weights = {name: part.view(shapes[name]) for name, part in zip(shapes, parts, strict=True)}
        return functional_call(module, weights, (operator, x, operator.keys))

    return rows


def _best(run: Callable[[], torch.Tensor], repetitions: int) -> tuple[torch.Tensor, float]:
    """Its result and its best CPU seconds."""
    best = np.inf
    for _ in range(repetitions):
        start = time.process_time()
        out = run()
        best = min(best, time.process_time() - start)
    return out, best
