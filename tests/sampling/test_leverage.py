"""Leverage scores: the density asked for, an unbiased mean, and well-conditioned least squares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sciml import load_problem
from sciml.errors import OptionError
from sciml.sampling import LeverageSampler, PointSet, SamplingOptions, UniformSampler


def sets(sampler, told, n):
    points = sampler.start(sampler.options.points, told)
    for k in range(1, n + 1):
        points = sampler.refresh(points, replace(told, round=k))
        yield points


def test_points_have_the_mixed_density(square, context, bump, chi_square):
    sampler = LeverageSampler(SamplingOptions(points=1000, candidates=20_000, uniform_share=0.25))
    told = context(square, leverage=lambda x: 1e5 * bump(x))
    points = np.concatenate([p.points for p in sets(sampler, told, 20)])
    grid = (np.arange(512) + 0.5) / 512
    mean = bump(np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)).mean()
    assert chi_square(points, lambda x: 0.25 + 0.75 * bump(x) / mean) < 1.3
    assert chi_square(points, lambda x: 0.35 + 0.65 * bump(x) / mean) > 2


@pytest.mark.parametrize("add", [0, 60])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_weighted_means_are_unbiased(square, context, bump, add, scale):
    """With the steeper scores some candidates are taken for certain; the weights know of that."""
    options = SamplingOptions(points=60, budget=1000, add=add, candidates=300, uniform_share=0.3)
    told = context(square, leverage=lambda x: bump(x) ** scale)

    def function(x):
        return np.cos(3 * x[:, 0]) + 5 * bump(x) + x[:, 1] ** 2

    grid = (np.arange(800) + 0.5) / 800
    exact = function(np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)).mean()
    means, plain = [], []
    for points in sets(LeverageSampler(options), told, 400 if not add else 15):
        new = points.take(points.born == points.born.max())
        means.append((new.weights * function(new.points)).mean())
        plain.append(function(new.points).mean())
    error = np.std(means) / np.sqrt(len(means))
    assert abs(np.mean(means) - exact) < 3.5 * error
    assert abs(np.mean(plain) - exact) > 10 * error


def test_weights_are_bounded_by_the_share_and_one_at_the_start(square, context, bump):
    sampler = LeverageSampler(SamplingOptions(points=300, uniform_share=0.2))
    told = context(square, leverage=lambda x: bump(x) ** 4)
    assert (sampler.start(300, told).weights == 1).all()
    weights = next(sets(sampler, told, 1)).weights
    assert weights.max() <= 1 / 0.2
    assert weights.max() > 4.5
    assert weights.min() < 0.1


def legendre(x, n=40):
    """The orthonormal Legendre polynomials of degree < n on (0, 1): (points, n)."""
    return np.polynomial.legendre.legvander(2 * x[:, 0] - 1, n - 1) * np.sqrt(2 * np.arange(n) + 1)


def test_least_squares_is_well_conditioned_where_uniform_points_fail(context):
    """Polynomials of degree < 40: their leverage is peaked at the ends, which uniform points miss."""
    problem = load_problem("poisson/sine", dim=1)

    def conditions(points):
        rows = np.sqrt(points.weights / len(points))[:, None] * legendre(points.points)
        return np.linalg.cond(rows)

    told = context(problem, leverage=lambda x: np.square(legendre(x)).sum(axis=1))
    n = 320
    options = SamplingOptions(points=n, uniform_share=0.3)
    good = [conditions(p) for p in sets(LeverageSampler(options), told, 10)]
    bad = [conditions(p) for p in sets(UniformSampler(options), told, 10)]
    assert max(good) < 4
    assert np.median(bad) > 3 * np.median(good)


def test_scores_that_vanish_or_are_undefined_still_give_all_points(square, context):
    def scores(x):
        return np.where(x[:, 0] < 0.01, 1.0, np.where(x[:, 1] < 0.5, 0.0, np.nan))

    for leverage in (scores, lambda x: np.zeros(len(x))):
        sampler = LeverageSampler(SamplingOptions(points=200, candidates=1000))
        (points,) = sets(sampler, context(square, leverage=leverage), 1)
        assert len(points) == len(np.unique(points.points, axis=0)) == 200
        assert np.isfinite(points.weights).all()
    assert points.weights == pytest.approx(np.ones(200))


def test_without_scores_it_is_refused_before_any_work(square, context):
    told = context(square, leverage=None)
    with pytest.raises(OptionError, match="choose Gauss–Newton or another sampler"):
        LeverageSampler().start(100, told)
    sampler = LeverageSampler()
    sampler.start(100, context(square))
    with pytest.raises(OptionError, match="choose Gauss–Newton or another sampler"):
        sampler.refresh(PointSet.of(np.full((9, 2), 0.5), "uniform"), told)
