"""Draws without replacement from scored candidates, with inclusion probabilities proportional to the scores."""

from __future__ import annotations

import numpy as np

from sciml.errors import OptionError

__all__ = ["chosen_by_score", "draw_by_score", "inclusion_factor"]

# What is drawn with a probability this near to 1 is always taken, so that rounding cannot take it twice.
_CERTAIN = 1 - 1e-9


def draw_by_score(candidates: np.ndarray, scores: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """Draw up to `n` different candidates with probabilities proportional to their scores.

    Parameters
    ----------
    candidates : array (m, dim)
        Points that are spread uniformly; then the drawn ones have the density ∝ score, as m grows.
    scores : array (m,)
        Not negative, in any unit. See `chosen_by_score`.
    n : int
        Points to draw; 0 is allowed.
    generator : numpy Generator

    Returns
    -------
    array (k, dim)
        In the order of the candidates; k < n only where fewer than `n` scores are finite.
    """
    return candidates[chosen_by_score(scores, n, generator)]


def chosen_by_score(scores: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """Numbers of up to `n` different candidates, drawn with probabilities proportional to their scores.

    Candidate i is taken with the probability πᵢ = min(1, c sᵢ), c such that Σ πᵢ = n, exactly: the πᵢ are laid
    end to end in random order, and a comb with teeth at distance 1 falls on them (systematic sampling).

    Parameters
    ----------
    scores : array (m,)
        Not negative. A candidate whose score is not finite is never taken; of those with the score zero some are
        taken, each equally likely, only when there are fewer than `n` others.
    n : int
    generator : numpy Generator

    Returns
    -------
    array (k,) of int
        Sorted.

    Raises
    ------
    OptionError
        Negative scores, or not one a candidate.

    References
    ----------
    W. G. Madow, On the theory of systematic sampling II, Ann. Math. Statist. 20 (1949).
    """
    allowed, scores = _cleaned(scores)
    positive = np.flatnonzero(scores > 0)
    if len(positive) <= n:
        others = np.flatnonzero(allowed & (scores == 0))
        extra = generator.permutation(others)[: n - len(positive)]
        return np.sort(np.concatenate([positive, extra]))
    probabilities = np.minimum(1.0, inclusion_factor(scores, n) * scores)
    certain = np.flatnonzero(probabilities > _CERTAIN)
    open_ = generator.permutation(np.flatnonzero((probabilities <= _CERTAIN) & (scores > 0)))
    comb = _comb(probabilities[open_], n - len(certain), generator.random())
    return np.sort(np.concatenate([certain, open_[comb]]))


def inclusion_factor(scores: np.ndarray, n: int) -> float:
    """The factor c with Σ min(1, c sᵢ) = n; infinite where at most `n` scores are positive.

    Parameters
    ----------
    scores : array (m,)
        Not negative; those that are not finite count as zero.
    n : int
        Draws.
    """
    scores = _cleaned(scores)[1]
    ordered = np.sort(scores[scores > 0])[::-1]
    if len(ordered) <= n:
        return np.inf
    if n == 0:
        return 0.0
    # With the k largest taken for certain, the others share n − k draws; the first k that fits is the answer.
    rest = np.cumsum(ordered[::-1])[::-1][:n]
    factors = (n - np.arange(n)) / rest
    return float(factors[np.argmax(factors * ordered[:n] <= 1.0 + 1e-12)])


def _cleaned(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which candidates are allowed, and their scores, zero for the others."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1:
        raise OptionError(f"Scores of candidates have the shape {scores.shape}; give one number each.")
    allowed = np.isfinite(scores)
    if np.any(scores[allowed] < 0):
        raise OptionError(f"The smallest score of a candidate is {scores[allowed].min():.3g}; scores are not negative.")
    return allowed, np.where(allowed, scores, 0.0)


def _comb(probabilities: np.ndarray, n: int, offset: float) -> np.ndarray:
    """Where the teeth offset, offset + 1, … of a comb fall among lengths that sum to `n`."""
    if n == 0:
        return np.empty(0, dtype=np.int64)
    ends = np.cumsum(probabilities)
    return np.searchsorted(ends * (n / ends[-1]), offset + np.arange(n), side="right").clip(max=len(ends) - 1)
