"""Points that cover the domain, whatever the residual is."""

from __future__ import annotations

from sciml.sampling.points import PointSet
from sciml.sampling.sampler import PointSampler, SamplingContext, covering_points, independent_points

__all__ = ["QuasiRandomSampler", "UniformSampler"]


class UniformSampler(PointSampler):
    """Independent uniform points: fixed (`every` = 0), redrawn (`add` = 0) or grown.

    In time, the points are one in each of n equal spans.

    Notes
    -----
    The mean of r² over n of them estimates the mean over the domain without bias, with the error σ(r²)/√n; a peak that
    fills the part ε of the domain is not seen by fewer than about 1/ε points.
    """

    name, title = "uniform", "independent uniform points"

    def _first(self, n: int, context: SamplingContext) -> PointSet:
        return independent_points(n, context)

    def _batch(self, n: int, kept: PointSet, context: SamplingContext) -> PointSet:
        return independent_points(n, context)


class QuasiRandomSampler(PointSampler):
    """Points of scrambled Sobol sequences: fixed (`every` = 0), redrawn (`add` = 0) or grown.

    Every refresh scrambles anew, so that no point comes twice: each point by itself is uniform, and those that come
    together fill the domain evenly. Good numbers of points are powers of two.

    References
    ----------
    A. B. Owen, Scrambling Sobol' and Niederreiter–Xing points, J. Complexity 14 (1998).
    """

    name, title = "quasi_random", "scrambled Sobol points"

    def _batch(self, n: int, kept: PointSet, context: SamplingContext) -> PointSet:
        return covering_points(n, context)
