"""Features of the first layer where the law has something to say before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sciml.nn import MLP, PhysicalNetwork, placed_first_layer
from sciml.problem import Problem
from sciml.sampling import uniform_points

__all__ = ["last_layers", "place_features"]

_CANDIDATES = 20_000
_PICKS = 2_000
_DIFFERENCE = 1e-4
_STEEPEST = 1e3
# A unit of slope s goes from one end to the other over 2/s, and a bump rises and falls over two lengths |r|/|∇r|.
_SHARE_OF_GRADIENT = 0.5
_SPREAD = (0.25, 1.75)


def last_layers(network: MLP) -> list[torch.nn.Parameter]:
    """Weights of the last layer, of all branches; where they are zero, u is the lift, or the offset."""
    branches: Any = network.branches
    return [parameter for branch in branches for parameter in branch[-1].parameters()]


def place_features(
    model: PhysicalNetwork,
    problem: Problem,
    squared: Callable[[np.ndarray], np.ndarray],
    known: np.ndarray,
    generator: np.random.Generator,
) -> dict[str, float]:
    """Let the first layer bend where the residual of an untrained network is large, as sharply as it varies there.

    Places are drawn with a density proportional to |r| from uniform candidates and the points of the sampler; the slope
    at a place is ½ |∇|r|| / rms(r), in the network's inputs and between 1 and 1000, times a random number from ¼ to
    1¾. Directions are random. Only the declaration is looked at: r is that of u = lift or offset.

    Parameters
    ----------
    model : PhysicalNetwork
        Around an MLP without Fourier features; changed in place.
    problem : Problem
    squared : callable
        r² at points (n, dim[+1]) of the network whose last layer is zero: (n,).
    known : array (n, dim[+1])
        Points that a sampler has chosen.
    generator : numpy Generator

    Returns
    -------
    dict
        Quartiles of the slopes that were given.

    Notes
    -----
    Where r is zero everywhere, places are uniform and slopes near 1. A load that is felt on a share of the volume that
    no candidate hits is not found; in many dimensions only points that the sampler has chosen by the residual can
    find it.
    """
    network = model.network
    assert isinstance(network, MLP)
    units = sum(len(branch[0].weight) for branch in network.branches)  # type: ignore[index, arg-type]
    pool = np.concatenate([uniform_points(problem, _CANDIDATES, generator), known])
    size = _finite(np.sqrt(squared(pool)))
    chances = size / size.sum() if size.sum() > 0 else np.full(len(pool), 1 / len(pool))
    picks = pool[generator.choice(len(pool), size=_PICKS, p=chances)]
    slopes = _steepness(model, problem, squared, picks)
    chosen = generator.permutation(_PICKS)[:units] if units <= _PICKS else generator.integers(_PICKS, size=units)
    given = slopes[chosen] * generator.uniform(*_SPREAD, size=units)
    seed = int(generator.integers(2**63))
    with torch.no_grad():
        x = torch.as_tensor(picks[chosen], dtype=next(network.parameters()).dtype)
        device = next(network.parameters()).device
        # Directions come from a generator on the CPU, so that they are the same on every device.
        placed_first_layer(network, model.scaled(x.to(device)), given, torch.Generator(device).manual_seed(seed))
    quartiles = np.quantile(given, [0.25, 0.5, 0.75])
    return dict(zip(("slope_lower", "slope_median", "slope_upper"), map(float, quartiles), strict=True))


def _steepness(
    model: PhysicalNetwork, problem: Problem, squared: Callable[[np.ndarray], np.ndarray], picks: np.ndarray
) -> np.ndarray:
    """½ |∇|r|| / rms(r) at points, per unit of the network's inputs."""
    half = (model.upper - model.lower) / 2
    typical = float(np.sqrt(_finite(squared(picks)).mean()))
    if typical == 0:
        return np.ones(len(picks))
    slope = np.zeros(len(picks))
    for axis in range(picks.shape[1]):
        step = np.zeros(picks.shape[1])
        step[axis] = _DIFFERENCE * half[axis]
        ends = [np.clip(picks + sign * step, model.lower, model.upper) for sign in (1, -1)]
        values = [_finite(np.sqrt(squared(end))) for end in ends]
        apart = (ends[0] - ends[1])[:, axis] / half[axis]
        slope += ((values[0] - values[1]) / apart) ** 2
    return np.clip(_SHARE_OF_GRADIENT * np.sqrt(slope) / typical, 1.0, _STEEPEST)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, 0.0)
