"""Samplers that follow the residual: RAR, RAD with RAR-D, and R3."""

from __future__ import annotations

import math

import numpy as np

from sciml.errors import OptionError
from sciml.sampling.draws import draw_by_score
from sciml.sampling.points import PointSet
from sciml.sampling.sampler import (
    AdaptiveSampler,
    PointSampler,
    SamplingContext,
    SamplingOptions,
    check_refreshed,
    independent_points,
)

__all__ = ["R3Sampler", "RadSampler", "RarSampler", "rad_density"]


class RarSampler(AdaptiveSampler):
    """Residual-based adaptive refinement: the candidates with the largest residual are added.

    Parameters
    ----------
    options : SamplingOptions
        With `add` > 0: this method only adds.

    Raises
    ------
    OptionError
        If `add` is 0.

    Notes
    -----
    The worst candidates lie next to each other where the residual has one peak. Good values: 10 000 candidates,
    `add` 1 % to 5 % of the initial points.

    References
    ----------
    L. Lu, X. Meng, Z. Mao, G. E. Karniadakis, DeepXDE: A deep learning library for solving differential equations,
    SIAM Review 63 (2021), section 2.8, arXiv:1907.04502.
    """

    name, title = "rar", "the candidates with the largest residual are added (RAR)"

    def __init__(self, options: SamplingOptions | None = None) -> None:
        super().__init__(options or SamplingOptions(add=100))
        if not self.options.add:
            raise OptionError(
                "add is 0, but 'rar' only adds points; give at least 1, or use 'rad', which replaces them."
            )

    def _adaptive(self, n: int, context: SamplingContext) -> np.ndarray:
        candidates = self._candidates(context)
        squared = context.squared(candidates)
        order = np.argsort(-np.where(np.isfinite(squared), squared, -1.0), kind="stable")[:n]
        return candidates[order[np.isfinite(squared[order])]]


class RadSampler(AdaptiveSampler):
    """Residual-based adaptive distribution: points are drawn with the density |r|ᵏ / mean(|r|ᵏ) + c.

    With `add` = 0 the set is drawn anew at each refresh (RAD); with `add` > 0 drawn points are added (RAR-D).

    Parameters
    ----------
    options : SamplingOptions
    exponent : float
        k; larger follows the peaks more closely. Good values: 1 for RAD, 2 for RAR-D.
    offset : float
        c; larger is closer to uniform. Good values: 1 for RAD, 0 for RAR-D.

    Raises
    ------
    OptionError
        An exponent that is not positive, or a negative offset.

    References
    ----------
    C. Wu, M. Zhu, Q. Tan, Y. Kartha, L. Lu, A comprehensive study of non-adaptive and residual-based adaptive sampling
    for physics-informed neural networks, Comput. Methods Appl. Mech. Engrg. 403 (2023), eq. (2), arXiv:2207.10289.
    """

    name, title = "rad", "points drawn with a density that follows the residual (RAD, RAR-D)"

    def __init__(self, options: SamplingOptions | None = None, *, exponent: float = 1.0, offset: float = 1.0) -> None:
        super().__init__(options)
        if not (math.isfinite(exponent) and exponent > 0):
            raise OptionError(f"The exponent of 'rad' is {exponent!r}; allowed are positive numbers.")
        if not (math.isfinite(offset) and offset >= 0):
            raise OptionError(f"The offset of 'rad' is {offset!r}; allowed are numbers from 0.")
        self.exponent, self.offset = exponent, offset

    def _adaptive(self, n: int, context: SamplingContext) -> np.ndarray:
        candidates = self._candidates(context)
        density = rad_density(context.squared(candidates), self.exponent, self.offset)
        return draw_by_score(candidates, density, n, context.generator)


def rad_density(squared: np.ndarray, exponent: float, offset: float) -> np.ndarray:
    """|r|ᵏ / mean(|r|ᵏ) + c of squared residuals (n,) on uniform points; NaN where a residual is not finite.

    Where all residuals are zero, the density is 1 + c.
    """
    finite = np.isfinite(squared)
    density = np.full(len(squared), np.nan)
    if not finite.any():
        return density
    # In multiples of the largest, so that powers of large residuals don't overflow.
    power = (squared[finite] / (squared[finite].max() or 1.0)) ** (exponent / 2)
    mean = power.mean()
    density[finite] = (power / mean if mean > 0 else 1.0) + offset
    return density


class R3Sampler(PointSampler):
    """Retain, resample, release: points whose |r| exceeds the mean over the set stay, uniform ones come for the others.

    The set keeps its size, or with `add` > 0 grows by that until the budget is reached; points are exchanged either
    way. A retained point is adaptive from then on, and keeps the round in which it came.

    Parameters
    ----------
    options : SamplingOptions
        `candidates` and `full` have no meaning here.

    Notes
    -----
    No candidates are needed: one evaluation of the residual on the present points is all that it costs. Points whose
    residual is not finite are released. If more than 1 − `uniform_share` of the points exceed the mean, the worst of
    them stay.

    References
    ----------
    A. Daw, J. Bu, S. Wang, P. Perdikaris, A. Karpatne, Mitigating propagation failures in physics-informed neural
    networks using retain–resample–release (R3) sampling, ICML 2023, algorithm 1, arXiv:2207.02338.
    """

    name, title = "r3", "points above the mean residual stay, uniform ones replace the others (R3)"

    def __init__(self, options: SamplingOptions | None = None) -> None:
        super().__init__(options)
        check_refreshed(self.name, self.options)

    def _refreshed(self, points: PointSet, context: SamplingContext) -> PointSet:
        n = max(len(points), min(len(points) + self.options.add, self.options.most))
        retained = points.take(_above_mean(context.squared(points.points), n - self.options.n_uniform(n)))
        return retained.labelled("adaptive").joined(self._batch(n - len(retained), retained, context))

    def _batch(self, n: int, kept: PointSet, context: SamplingContext) -> PointSet:
        return independent_points(n, context)


def _above_mean(squared: np.ndarray, most: int) -> np.ndarray:
    """Numbers of the points with |r| above its mean, in their order; the worst `most` of them if there are more."""
    size = np.sqrt(squared)
    finite = np.isfinite(size)
    size = np.where(finite, size, -1.0)
    above = np.flatnonzero(size > size[finite].mean()) if finite.any() else np.empty(0, dtype=np.int64)
    return np.sort(above[np.argsort(-size[above], kind="stable")[:most]])
