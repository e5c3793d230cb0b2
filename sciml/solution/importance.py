"""Quasi-Monte-Carlo points that follow a function, for norms in many dimensions.

A function concentrated in a corner of a high-dimensional box is never seen by uniform points: for
exp(−10 |x|²) on (−1, 1)¹⁰ the norm over 10⁵ of them has a relative spread of more than 1. The points here come from
q = ½ uniform + ½ mixture of Gaussians truncated to the box, the mixture being fitted to the square of the function by
tempering: the exponent is raised from 0 to 1 as fast as the effective number of points allows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, ndtr, ndtri

from sciml.problem import Box
from sciml.problem.domain import sobol

__all__ = ["Mixture", "fit_mixture", "importance_rule"]


@dataclass(frozen=True)
class Mixture:
    """Product Gaussians truncated to a box, with weights.

    Attributes
    ----------
    weights : (m,) array
    means, widths : (m, dim) arrays
    box : Box
    """

    weights: np.ndarray
    means: np.ndarray
    widths: np.ndarray
    box: Box

    def _limits(self) -> tuple[np.ndarray, np.ndarray]:
        return ndtr((self.box.lower - self.means) / self.widths), ndtr((self.box.upper - self.means) / self.widths)

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Log q at points ``(n, dim)``."""
        low, high = self._limits()
        z = (points[:, None, :] - self.means) / self.widths
        log_normal = -0.5 * z**2 - np.log(self.widths) - 0.5 * np.log(2 * np.pi) - np.log(high - low)
        return logsumexp(log_normal.sum(axis=2) + np.log(self.weights), axis=1)

    def map(self, unit: np.ndarray) -> np.ndarray:
        """Points from ``(n, dim + 1)`` numbers in [0, 1): the first picks the component."""
        pick = np.searchsorted(np.cumsum(self.weights)[:-1], unit[:, 0], side="right")
        low, high = self._limits()
        u = low[pick] + unit[:, 1:] * (high - low)[pick]
        points = self.means[pick] + self.widths[pick] * ndtri(np.clip(u, 1e-300, 1 - 1e-16))
        return np.clip(points, self.box.lower, self.box.upper)


def fit_mixture(
    log_density: Callable[[np.ndarray], np.ndarray],
    box: Box,
    generator: np.random.Generator,
    *,
    components: int = 4,
    n: int = 8192,
) -> Mixture:
    """Fit a mixture to exp(log_density) by tempered importance sampling and EM steps.

    Parameters
    ----------
    log_density : callable
        Maps points ``(n, dim)`` to the logarithm of an unnormalised density, −∞ allowed.
    box : Box
    generator : numpy Generator
    components : int
    n : int
        Points per round.
    """
    points = box.lower + sobol(n, box.dim, generator) * box.extent
    log_q = np.full(n, -np.log(box.volume))
    centres = points[generator.choice(n, components, replace=False)]
    mixture = Mixture(np.full(components, 1 / components), centres, np.tile(box.extent / 2, (components, 1)), box)
    for _ in range(40):
        log_p = log_density(points)
        if not np.isfinite(log_p).any():
            break
        exponent = _temper(log_p, log_q)
        weights = _normalised(_tempered(exponent, log_p) - log_q)
        mixture = _expectation_maximisation(mixture, points, weights)
        if exponent == 1.0:
            break
        unit = sobol(n, box.dim + 1, generator)
        half = n // 2
        points = np.concatenate([mixture.map(unit[:half]), box.lower + unit[half:, 1:] * box.extent])
        log_q = _defensive(mixture, points)
    return mixture


def _temper(log_p: np.ndarray, log_q: np.ndarray) -> float:
    """Largest exponent (at most 1) that leaves at least a twentieth of the points effective."""

    def effective(exponent: float) -> float:
        return 1 / np.sum(_normalised(_tempered(exponent, log_p) - log_q) ** 2)

    if effective(1.0) >= len(log_p) / 20:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if effective(middle) >= len(log_p) / 20 else (low, middle)
    return low


def _normalised(log_weights: np.ndarray) -> np.ndarray:
    return np.exp(log_weights - logsumexp(log_weights))


def _expectation_maximisation(mixture: Mixture, points: np.ndarray, weights: np.ndarray, steps: int = 10) -> Mixture:
    floor = 1e-4 * mixture.box.extent
    for _ in range(steps):
        z = (points[:, None, :] - mixture.means) / mixture.widths
        log_share = np.log(mixture.weights) - 0.5 * (z**2).sum(axis=2) - np.log(mixture.widths).sum(axis=1)
        share = np.exp(log_share - logsumexp(log_share, axis=1, keepdims=True)) * weights[:, None]
        total = share.sum(axis=0) + 1e-12
        means = (share.T @ points) / total[:, None]
        spread = (share.T @ points**2) / total[:, None] - means**2
        # A little wider than the fit, so that the tails are covered.
        widths = 1.1 * np.sqrt(np.maximum(spread, floor**2))
        mixture = Mixture(total / total.sum(), means, widths, mixture.box)
    return mixture


def _defensive(mixture: Mixture, points: np.ndarray) -> np.ndarray:
    """Log of ½ uniform + ½ mixture."""
    uniform = np.full(len(points), -np.log(mixture.box.volume))
    return np.logaddexp(uniform, mixture.log_density(points)) - np.log(2.0)


def importance_rule(mixture: Mixture, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`n` quasi-random points from ½ uniform + ½ mixture, and weights that sum to about the volume."""
    unit = sobol(n, mixture.box.dim + 1, generator)
    half = n // 2
    points = np.concatenate([mixture.map(unit[:half]), mixture.box.lower + unit[half:, 1:] * mixture.box.extent])
    return points, np.exp(-_defensive(mixture, points)) / n


def _tempered(exponent: float, log_p: np.ndarray) -> np.ndarray:
    """Log p^exponent, −∞ where p vanishes, for an exponent of zero too."""
    return np.where(np.isneginf(log_p), -np.inf, exponent * np.where(np.isneginf(log_p), 0.0, log_p))
