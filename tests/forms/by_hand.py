"""What the tests of hand-written formulas share: a random smooth function, its derivatives, a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sciml import Problem
from sciml.forms import PointwiseOperator, exact_jet

torch.set_num_threads(1)

BOUND = 1e-12
"""Of the largest term that is added up."""

N_POINTS = 400
Tensor = torch.Tensor


def network(inputs: int, outputs: int = 1, seed: int = 0, size: float = 1.0) -> torch.nn.Sequential:
    """A random smooth function: two layers of tanh, in float64."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[torch.nn.Module] = []
    for n, m in [(inputs, 16), (16, 16), (16, outputs)]:
        layer = torch.nn.Linear(n, m, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(size * torch.randn(m, n, generator=generator, dtype=torch.float64) / np.sqrt(n))
            layer.bias.copy_(size * torch.randn(m, generator=generator, dtype=torch.float64))
        layers += [layer, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


def points_of(problem: Problem, n: int = N_POINTS) -> Tensor:
    """Random points of the domain that require grad: (n, dim)."""
    points = problem.domain.sample(n, np.random.default_rng(1))
    return torch.tensor(points, requires_grad=True)


def gradient(values: Tensor, x: Tensor) -> Tensor:
    """Row i: ∂values_i/∂x_i."""
    return torch.autograd.grad(values.sum(), x, create_graph=True)[0]


def derivatives(values: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient (n, d) and Hessian (n, d, d)."""
    first = gradient(values, x)
    return first, torch.stack([gradient(first[:, i], x) for i in range(x.shape[1])], dim=1)


def trace(matrix: Tensor) -> Tensor:
    """Row by row."""
    return torch.einsum("nii->n", matrix)


def agree(compiled: Tensor, terms: Sequence[Tensor]) -> None:
    """The compiled value is the sum of the terms, within the bound."""
    scale = max(float(term.detach().abs().max()) for term in terms)
    difference = (compiled.detach().reshape(-1) - sum(terms).detach().reshape(-1)).abs().max()
    assert scale > 0
    assert float(difference) <= BOUND * scale, f"{float(difference):.1e} of {scale:.1e}"


def exact_values(problem: Problem, operator: PointwiseOperator, points: np.ndarray) -> dict:
    """The jet of the exact solution."""
    return {key: torch.tensor(op.at(points)) for key, op in exact_jet(problem, operator.keys).items()}
