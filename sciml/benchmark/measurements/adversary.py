"""The flow on a box and the adversary: exactness, strength against the best density on a grid, finds, and cost."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from sciml.benchmark.measurements._obstacle import best_density
from sciml.forms import strong_residual, taylor_jet
from sciml.nn import MLP, BoxFlow
from sciml.problem import Problem
from sciml.registry import load_problem
from sciml.solvers.pinn.adversary import Adversary, AdversaryOptions

_PEAK = np.array([0.5, 0.5])
_RADIUS = 0.1
_UNIFORM = np.pi * _RADIUS**2 / 4


def box_flow(seed: int = 0) -> dict[str, float]:
    """A flow on (−1, 1)^d: uniform at the start, then with weights moved by normal numbers of size 0.3.

    Parameters
    ----------
    seed : int
        Of weights and points.

    Returns
    -------
    dict
        ``start``: largest |log| of the first density over the uniform one, for d = 1, 2, 3, 10. ``round_trip``: largest
        distance between points and the inverse of their images; ``determinants``: largest sum of the logarithms of both
        determinants; for the same d. ``integral``: |∫p − 1| on 400² cells, after training on two peaks.
    """
    figures = {"start": 0.0, "round_trip": 0.0, "determinants": 0.0}
    generator = torch.Generator().manual_seed(seed)
    for dim in (1, 2, 3, 10):
        flow = BoxFlow((-1.0,) * dim, (1.0,) * dim, generator=generator).requires_grad_(False)
        x = 2 * torch.rand(10_000, dim, generator=generator, dtype=torch.float64) - 1
        gaps = {"start": flow.log_relative_density(x)}
        for weight in flow.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
        unit, forward = flow(x)
        back, inverse = flow.inverse(unit)
        gaps |= {"round_trip": back - x, "determinants": forward + inverse}
        figures = {name: max(old, float(gaps[name].abs().max())) for name, old in figures.items()}
    adversary = _trained(load_problem("poisson/two_peaks"), 100, seed)
    return figures | {"integral": abs(float(adversary.relative_density(_cells(400)).mean()) - 1)}


def adversary_objective(seed: int = 0, steps: int = 400, batch: int = 600) -> dict[str, float]:
    """J of the adversary for r² of `poisson/peak` at u = 0, beside the best density on 256² cells.

    Parameters
    ----------
    seed : int
        Of all that is drawn.
    steps, batch : int
        Of the flow; a pool of residuals for each 25 steps.

    Returns
    -------
    dict
        ``share``: J of the flow over that of the best density; ``best``: that J, in multiples of the mean of r²;
        ``mass``, ``best_mass``: within 0.1 of the peak, over that of the uniform density.
    """
    problem = load_problem("poisson/peak")
    adversary = _trained(problem, steps, seed, AdversaryOptions(batch=batch, learning_rate=0.02))
    n = 256
    points = _cells(n)
    rho = _squared_load(problem)(points)
    rho = rho / rho.mean()
    best, objective = best_density(rho.reshape(n, n), (adversary.options.beta,) * 2)
    near = ((points - _PEAK) ** 2).sum(axis=1) < _RADIUS**2
    density = adversary.relative_density(points)
    return {
        "share": _objective(adversary, points, rho) / objective,
        "best": objective,
        "mass": float(density[near].mean()),
        "best_mass": float(best.ravel()[near].mean()),
    }


def adversary_finds(seed: int = 0, steps: int = 100) -> dict[str, float]:
    """Where the mass goes from a cold start, without any knowledge of where the residual is.

    Parameters
    ----------
    seed : int
        Of all that is drawn.
    steps : int
        Of the flow, from the uniform density.

    Returns
    -------
    dict
        ``peak``: mass within 0.1 of the peak of `poisson/peak` over that of the uniform density. ``balance``: the
        larger mass within 0.1 of a peak of `poisson/two_peaks` over the smaller one, after half as many steps again;
        ``smaller``: that one over the uniform.
        ``ten_dimensional``: E|x|² under the density for `nonlinear/ten_dimensional` at u = 0, ``ten_uniform``: under
        the uniform one; ``ten_gain``: mean of r² π over the mean of r², from points near the origin.
    """
    generator = np.random.default_rng(seed + 1)
    one = _trained(load_problem("poisson/peak"), steps, seed).sample(50_000, generator)
    two = _trained(load_problem("poisson/two_peaks"), 3 * steps // 2, seed).sample(50_000, generator)
    masses = [_near(two, _PEAK), _near(two, -_PEAK)]
    problem = load_problem("nonlinear/ten_dimensional")
    ten = _trained(problem, steps, seed)
    points = ten.sample(20_000, generator)
    # Around the origin like exp(−20 |x|²), which is nearly how r² falls.
    nearby = generator.normal(0, np.sqrt(1 / 40), (20_000, problem.dim))
    weights = _squared_load(problem)(nearby) * np.exp(20 * (nearby**2).sum(axis=1))
    return {
        "peak": _near(one, _PEAK) / _UNIFORM,
        "balance": max(masses) / min(masses),
        "smaller": min(masses) / _UNIFORM,
        "ten_dimensional": float((points**2).sum(axis=1).mean()),
        "ten_uniform": problem.dim / 3,
        "ten_gain": float(np.average(ten.relative_density(nearby), weights=weights)),
    }


def adversary_cost(seed: int = 0, iterations: int = 8, steps: int = 2, points: int = 1000) -> dict[str, float]:
    """CPU time of one refresh of `poisson/peak` beside training of the network between two refreshes.

    Adam in float64 on a 3 × 48 tanh network with batches of 250, by Taylor jets; on one thread. The adversary is light:
    4 couplings, and residuals at 1000 points a refresh.

    Parameters
    ----------
    seed : int
        Of weights and points.
    iterations : int
        Of Adam for each refresh.
    steps : int
        Of the flow for each refresh.
    points : int
        Drawn by each refresh.

    Returns
    -------
    dict
        ``flow``: steps of the flow and drawing points, over training; ``refresh``: the same with the pool of residuals;
        ``iteration``, ``step``: milliseconds of one of Adam for the network and of one of the flow.
    """
    problem = load_problem("poisson/peak")
    generator = np.random.default_rng(seed)
    train, squared = _network_training(problem, seed)
    light = AdversaryOptions(couplings=4, learning_rate=0.02, pool=1000)
    adversary = Adversary.of_problem(problem, light, generator=generator)
    adversary.improve(squared, 2 * steps, generator)

    def refresh() -> None:
        adversary.improve(squared, steps, generator)
        adversary.sample(points, generator)

    runs: dict[str, Callable[[], object]] = {
        "train": lambda: [train(generator) for _ in range(iterations)],
        "pool": lambda: adversary.improve(squared, 0, generator),
        "refresh": refresh,
    }
    best = dict.fromkeys(runs, np.inf)
    for _ in range(8):
        for name, run in runs.items():
            start = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - start)
    flow = best["refresh"] - best["pool"]
    return {
        "flow": flow / best["train"],
        "refresh": best["refresh"] / best["train"],
        "iteration": 1e3 * best["train"] / iterations,
        "step": 1e3 * flow / steps,
    }


def _trained(problem: Problem, steps: int, seed: int, options: AdversaryOptions | None = None) -> Adversary:
    """An adversary after some steps from the cold start, in portions of 25, for the residual of u = 0."""
    generator = np.random.default_rng(seed)
    adversary = Adversary.of_problem(problem, options, generator=generator)
    for _ in range(steps // 25):
        adversary.improve(_squared_load(problem), 25, generator)
    return adversary


def _squared_load(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """r² of u = 0."""
    operator = strong_residual(problem)
    return lambda points: (operator.at(points).reshape(len(points), -1) ** 2).sum(axis=1)


def _cells(n: int) -> np.ndarray:
    """Centres of n² cells of (−1, 1)²."""
    places = (2 * np.arange(n) + 1) / n - 1
    return np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1).reshape(-1, 2)


def _near(points: np.ndarray, centre: np.ndarray) -> float:
    return float((((points - centre) ** 2).sum(axis=1) < _RADIUS**2).mean())


def _objective(adversary: Adversary, points: np.ndarray, rho: np.ndarray) -> float:
    """The objective mean(ρ π) − β mean|∇_ξ π|² in the plane, with exact derivatives of the flow."""
    x = torch.tensor(points, requires_grad=True)
    log_density = adversary.flow.log_relative_density(x)
    (slope,) = torch.autograd.grad(log_density.sum(), x)
    density = log_density.detach().exp()
    steepness = ((slope * adversary.flow.extent) ** 2).sum(dim=1)
    return float((torch.tensor(rho) * density - adversary.options.beta * density**2 * steepness).mean())


def _network_training(problem: Problem, seed: int) -> tuple[Callable, Callable]:
    """One step of Adam for u on 250 points, and r² at points."""
    operator = strong_residual(problem)
    net = MLP([2, 48, 48, 48, 1], generator=torch.Generator().manual_seed(seed))
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)

    def residual(points: np.ndarray) -> torch.Tensor:
        x = torch.tensor(points)
        return operator(x, taylor_jet(net, x, operator.keys))

    def train(generator: np.random.Generator) -> None:
        adam.zero_grad(set_to_none=True)
        (residual(problem.domain.sample(250, generator)) ** 2).mean().backward()
        adam.step()

    def squared(points: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return (residual(points) ** 2).numpy()

    return train, squared
