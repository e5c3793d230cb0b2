"""Samplers of collocation points: what a refresh costs, and what leverage scores are worth."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from sciml import Problem, load_problem
from sciml.sampling import SAMPLERS, PointSet, SamplingContext, SamplingOptions

__all__ = ["leverage_points", "sampling_costs"]

_PROBLEMS = ("poisson/sine", "poisson/l_shape", "poisson/ten_dimensional", "heat/sine")
_REFRESHES = 20
_DEGREES = 40
_POINTS = 320


def sampling_costs(seed: int = 0) -> dict[str, float]:
    """CPU time of one refresh of 2000 points from 10 000 candidates, with a residual that costs next to nothing.

    Parameters
    ----------
    seed : int
        Of the points.

    Returns
    -------
    dict
        ``"SAMPLER: milliseconds"``, the largest over a square, an L-shaped mesh, ten dimensions, and a square in time.
    """
    found = {}
    for name in SAMPLERS:
        if name != "user":
            seconds = [_cost(load_problem(problem), name, seed) for problem in _PROBLEMS]
            found[f"{name}: milliseconds"] = 1000 * max(seconds)
    return found


def _cost(problem: Problem, name: str, seed: int) -> float:
    options = SamplingOptions(points=2000, budget=4000, add=200 if name == "rar" else 0, full="replace")
    sampler, context = SAMPLERS[name](options), SamplingContext(problem, _peak, np.random.default_rng(seed), 0, _peak)
    points = sampler.start(options.points, context)
    start = time.process_time()
    for round_ in range(1, _REFRESHES + 1):
        points = sampler.refresh(points, replace(context, round=round_))
    return (time.process_time() - start) / _REFRESHES


def _peak(points: np.ndarray) -> np.ndarray:
    return np.exp(-60 * np.square(points[:, 0] - 0.7)) + 0.01


def leverage_points(seed: int = 0) -> dict[str, float]:
    """How well 320 points determine polynomials of degree < 40 on an interval, drawn by their leverage or not.

    The condition number of the weighted collocation matrix of Legendre's polynomials, which is 1 for infinitely many
    points of any of the samplers.

    Parameters
    ----------
    seed : int
        Of the points.

    Returns
    -------
    dict
        ``"SAMPLER: median condition"`` and ``"SAMPLER: worst condition"`` of 20 sets each.
    """
    problem = load_problem("poisson/sine", dim=1)
    found = {}
    for name in ("leverage", "quasi_random", "uniform"):
        context = SamplingContext(
            problem, _peak, np.random.default_rng(seed), 0, lambda x: np.square(_legendre(x)).sum(axis=1)
        )
        sampler = SAMPLERS[name](SamplingOptions(points=_POINTS))
        points, conditions = sampler.start(_POINTS, context), []
        for round_ in range(1, _REFRESHES + 1):
            points = sampler.refresh(points, replace(context, round=round_))
            conditions.append(_condition(points))
        found[f"{name}: median condition"] = float(np.median(conditions))
        found[f"{name}: worst condition"] = float(max(conditions))
    return found


def _legendre(points: np.ndarray) -> np.ndarray:
    """Orthonormal polynomials on (0, 1): (points, degrees)."""
    values = np.polynomial.legendre.legvander(2 * points[:, 0] - 1, _DEGREES - 1)
    return values * np.sqrt(2 * np.arange(_DEGREES) + 1)


def _condition(points: PointSet) -> float:
    return float(np.linalg.cond(np.sqrt(points.weights)[:, None] * _legendre(points.points)))
