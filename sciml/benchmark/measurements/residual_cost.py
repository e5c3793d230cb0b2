"""What the compiled residual of a declaration costs, beside the same residual written by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from ufl import Identity, exp, grad, inner, sin, sym, tr

from sciml import Box, Dirichlet, Problem, vector
from sciml.forms import reverse_jet, strong_residual, taylor_jet


def residual_cost(seed: int = 0, points: int = 10_000, repetitions: int = 6) -> dict[str, float]:
    """Loss and gradient of the mean squared residual of a 4 × 64 tanh network in float64, on one thread.

    −div((1 + u²) ∇u) = s (scalar), plane elasticity (vector) and −Δu + u − u³ = s in ten dimensions; each by reverse
    and by Taylor jets of the compiled residual, and by nested torch.autograd.grad written out by hand.

    Parameters
    ----------
    seed : int
        Of weights and points.
    points, repetitions : int
        Collocation points; runs of each, taken in turns so that all meet the same machine.

    Returns
    -------
    dict
        ``gap_CASE``: largest difference of compiled and hand-written residuals, relative to the largest value.
        ``reverse_CASE``, ``taylor_CASE``: best CPU time over the best of the hand-written one.
    """
    figures: dict[str, float] = {}
    for case, (problem, by_hand) in _cases().items():
        net = _network(problem.dim, problem.n_components, seed)
        x = torch.tensor(problem.domain.sample(points, np.random.default_rng(seed)))
        runs = _runs(problem, by_hand, net, x)
        values = {key: run().detach() for key, run in runs.items()}
        truth = values["hand"]
        figures[f"gap_{case}"] = max(
            float((value - truth).abs().max() / truth.abs().max()) for value in values.values()
        )
        best = _best_in_turns(runs, net, repetitions)
        for key in ("reverse", "taylor"):
            figures[f"{key}_{case}"] = best[key] / best["hand"]
    return figures


def _runs(problem: Problem, by_hand: Callable, net: torch.nn.Module, x: torch.Tensor) -> dict[str, Callable]:
    """The residual by hand, and compiled with either kind of jets."""
    operator = strong_residual(problem)
    static = operator.static(x)

    def compiled(jet: Callable) -> Callable[[], torch.Tensor]:
        return lambda: operator(x, jet(net, x, operator.keys), static=static)

    return {"hand": lambda: by_hand(net, x), "reverse": compiled(reverse_jet), "taylor": compiled(taylor_jet)}


def _best_in_turns(runs: dict[str, Callable], net: torch.nn.Module, repetitions: int) -> dict[str, float]:
    """Best CPU seconds of loss and gradient for each."""
    best = dict.fromkeys(runs, np.inf)
    for _ in range(repetitions):
        for key, run in runs.items():
            net.zero_grad(set_to_none=True)
            start = time.process_time()
            (run() ** 2).mean().backward()
            best[key] = min(best[key], time.process_time() - start)
    return best


def _network(dim: int, outputs: int, seed: int) -> torch.nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers: list[torch.nn.Module] = []
        for a, b in pairwise([dim, 64, 64, 64, 64]):
            layers += [torch.nn.Linear(a, b, dtype=torch.float64), torch.nn.Tanh()]
        return torch.nn.Sequential(*layers, torch.nn.Linear(64, outputs, dtype=torch.float64))


def _cases() -> dict[str, tuple[Problem, Callable]]:
    unit, fixed = Box((0, 0), (1, 1)), [Dirichlet(0, on="boundary")]
    scalar = Problem(domain=unit, flux=lambda u: (1 + u**2) * grad(u), load=lambda x: sin(x[0]), conditions=fixed)
    elastic = Problem(
        domain=unit,
        fields={"displacement": vector},
        flux=lambda u: 2 * sym(grad(u)) + tr(sym(grad(u))) * Identity(2),
        load=(1.0, 0.0),
        conditions=fixed,
    )
    ten = Problem(
        domain=Box((-1,) * 10, (1,) * 10),
        flux=lambda u: grad(u),
        reaction=lambda u: u - u**3,
        exact=lambda x: exp(-10 * inner(x, x)),
        conditions=[Dirichlet(on="boundary")],
    )
    return {
        "scalar": (scalar, _scalar_by_hand),
        "vector": (elastic, _vector_by_hand),
        "ten_dimensional": (ten, _ten_by_hand),
    }


def _derivative(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


def _scalar_by_hand(net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """−div((1 + u²) ∇u) = −(1 + u²) Δu − 2 u |∇u|², minus a load."""
    x = x.detach().requires_grad_(True)
    u = net(x)[:, 0]
    g = _derivative(u, x)
    laplacian = _derivative(g[:, 0], x)[:, 0] + _derivative(g[:, 1], x)[:, 1]
    return -(1 + u * u) * laplacian - 2 * u * (g * g).sum(dim=1) - torch.sin(x[:, 0])


def _vector_by_hand(net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """−div σ = −μ Δu − (λ + μ) ∇ div u with μ = λ = 1, minus a load."""
    x = x.detach().requires_grad_(True)
    y = net(x)
    g0, g1 = _derivative(y[:, 0], x), _derivative(y[:, 1], x)
    h00, h01 = _derivative(g0[:, 0], x), _derivative(g0[:, 1], x)
    h10, h11 = _derivative(g1[:, 0], x), _derivative(g1[:, 1], x)
    r0 = -(h00[:, 0] + h01[:, 1]) - 2 * (h00[:, 0] + h10[:, 1]) - 1
    r1 = -(h10[:, 0] + h11[:, 1]) - 2 * (h01[:, 0] + h11[:, 1])
    return torch.stack([r0, r1], dim=1)


def _ten_by_hand(net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """−Δu + u − u³ = s in ten dimensions."""
    x = x.detach().requires_grad_(True)
    u = net(x)[:, 0]
    g = _derivative(u, x)
    laplacian = torch.stack([_derivative(g[:, i], x)[:, i] for i in range(10)]).sum(dim=0)
    q = (x * x).sum(dim=1)
    e = torch.exp(-10 * q)
    return -laplacian + u - u**3 - ((200 - 400 * q) * e + e - e**3)
