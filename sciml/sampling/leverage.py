"""Points drawn where they determine most of the parameters, with the weights that keep the mean what it is."""

from __future__ import annotations

import numpy as np

from sciml.errors import OptionError
from sciml.sampling.draws import chosen_by_score, inclusion_factor
from sciml.sampling.points import PointSet, uniform_points
from sciml.sampling.sampler import (
    PointSampler,
    SamplingContext,
    SamplingOptions,
    check_candidates,
    check_refreshed,
    covering_points,
)

__all__ = ["LeverageSampler"]


class LeverageSampler(PointSampler):
    """Points with the density α + (1 − α) τ(x) / mean(τ), weighted by its inverse.

    τ are the leverage scores of the linearised residual at x (the inverse Christoffel function of the space that it
    spans) and α is `uniform_share`, here of every batch. By the weights, the weighted mean of any function over the set
    is an unbiased estimate of its uniform mean, so that the loss stays the same integral. For a linear least squares
    problem with N parameters, about N log N of these points are as good as any number, where uniform points may need
    many more.

    Parameters
    ----------
    options : SamplingOptions
        With `uniform_share` > 0: weights are at most its inverse. With `add` = 0 all points are drawn anew at each
        refresh; else batches are added, each with the weights of its own scores, and the oldest go where `full` is
        "replace".

    Raises
    ------
    OptionError
        If `uniform_share` or `every` is 0, there are fewer candidates than points to be drawn, or, at the start, no
        scores.

    Notes
    -----
    The points of the start are quasi-random with weights of one, since scores of untrained parameters say little. A
    score that is not finite counts as zero.

    References
    ----------
    A. Cohen, G. Migliorati, Optimal weighted least-squares methods, SMAI J. Comput. Math. 3 (2017), arXiv:1608.00512;
    for the dictionary of a network, B. Adcock, J. M. Cardenas, N. Dexter, CAS4DL: Christoffel adaptive sampling for
    function approximation via deep learning, arXiv:2208.12190. The weights of the mixture are the balance heuristic of
    E. Veach, L. J. Guibas, SIGGRAPH 1995.
    """

    name, title = "leverage", "points drawn by leverage scores, weighted by the inverse of their density"

    def __init__(self, options: SamplingOptions | None = None) -> None:
        super().__init__(options)
        check_refreshed(self.name, self.options)
        check_candidates(self.options)
        if not self.options.uniform_share:
            raise OptionError("uniform_share is 0, so the weights of 'leverage' have no bound; give a positive number.")

    def _first(self, n: int, context: SamplingContext) -> PointSet:
        context.check_leverage()
        return covering_points(n, context)

    def _batch(self, n: int, kept: PointSet, context: SamplingContext) -> PointSet:
        n_uniform = self.options.n_uniform(n)
        cover = covering_points(n_uniform, context)
        n_drawn = n - n_uniform
        if not n_drawn:
            return cover
        candidates = uniform_points(context.problem, max(self.options.candidates, n_drawn), context.generator)
        scores = _positive(context.leverages(np.concatenate([candidates, cover.points])))
        own, others = scores[: len(candidates)], scores[len(candidates) :]
        chosen = chosen_by_score(own, n_drawn, context.generator)
        probabilities = np.minimum(1.0, inclusion_factor(own, n_drawn) * np.concatenate([others, own[chosen]]))
        batch = cover.joined(PointSet.of(candidates[chosen], "adaptive", born=context.round))
        return batch.weighted(n / (n_uniform + len(candidates) * probabilities))


def _positive(scores: np.ndarray) -> np.ndarray:
    """Scores that are all positive: those that are zero or not finite are far below the mean of the others."""
    scores = np.where(np.isfinite(scores), scores, 0.0)
    return scores + (1e-12 * scores.max() or 1.0)
