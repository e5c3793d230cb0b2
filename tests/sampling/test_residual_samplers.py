"""RAR, RAD and R3 do what their papers say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sciml.sampling import PointSet, R3Sampler, RadSampler, RarSampler, SamplingOptions, rad_density


class Recorded:
    """A residual that remembers where it was asked for."""

    def __init__(self, function):
        self.function, self.points = function, []

    def __call__(self, points):
        self.points.append(points.copy())
        return self.function(points)


def rows(points):
    return set(map(tuple, points))


def test_rar_takes_the_candidates_with_the_largest_residual(square, context, bump):
    told = context(square, residuals=Recorded(bump))
    sampler = RarSampler(SamplingOptions(points=50, add=8, candidates=1000, uniform_share=0.0))
    start = sampler.start(50, told)
    points = sampler.refresh(start, replace(told, round=1))
    (candidates,) = told.residuals.points
    assert len(candidates) == 1000
    worst = candidates[np.argsort(bump(candidates))[-8:]]
    assert rows(points.take(points.born == 1).points) == rows(worst)
    assert rows(points.take(points.born == 0).points) == rows(start.points)
    assert points.counts() == {"uniform": 50, "adaptive": 8, "user": 0}


def test_rar_never_takes_a_point_without_a_residual(square, context, bump):
    def undefined_on_the_right(x):
        return np.where(x[:, 0] > 0.01, np.where(x[:, 1] > 0.5, np.nan, np.inf), bump(x))

    sampler = RarSampler(SamplingOptions(points=50, budget=400, add=200, candidates=1000, uniform_share=0.0))
    told = context(square, residuals=undefined_on_the_right)
    points = sampler.refresh(sampler.start(50, told), told)
    adaptive = points.take(points.has("adaptive"))
    assert 0 < len(adaptive) < 30
    assert (adaptive.points[:, 0] <= 0.01).all()
    assert len(points) == 250


def test_a_full_set_lets_the_surplus_and_then_the_smallest_residuals_go(square, context, bump):
    options = SamplingOptions(points=40, budget=60, add=20, candidates=500, uniform_share=0.5, full="replace")
    sampler, told = RarSampler(options), context(square, residuals=bump)
    full = sampler.refresh(sampler.start(40, told), replace(told, round=1))
    assert full.counts() == {"uniform": 40, "adaptive": 20, "user": 0}
    # Ten uniform points are too many; the other ten that go are the adaptive ones with the smallest residual.
    after = sampler.refresh(full, replace(told, round=2))
    assert after.counts() == {"uniform": 30, "adaptive": 30, "user": 0}
    old = full.take(full.has("adaptive")).points
    best = old[np.argsort(bump(old))[10:]]
    assert rows(after.take(after.has("adaptive") & (after.born == 1)).points) == rows(best)
    assert rows(after.take(after.has("uniform")).points) < rows(full.take(full.has("uniform")).points)


@pytest.mark.parametrize(("exponent", "offset"), [(1.0, 1.0), (2.0, 0.0), (0.5, 0.2)])
@pytest.mark.parametrize("add", [0, 1000])
def test_rad_draws_with_its_density(square, context, bump, chi_square, exponent, offset, add):
    options = SamplingOptions(points=1000, budget=22_000, add=add, candidates=20_000, uniform_share=0.0)
    sampler, told = RadSampler(options, exponent=exponent, offset=offset), context(square, residuals=bump)
    points, batches = sampler.start(1000, told), []
    for k in range(1, 21):
        points = sampler.refresh(points, replace(told, round=k))
        batches.append(points.take(points.born == k).points)
    grid = (np.arange(512) + 0.5) / 512
    mean = (bump(np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)) ** (exponent / 2)).mean()

    def density(power, shift):
        return lambda x: bump(x) ** (power / 2) / mean + shift

    drawn = np.concatenate(batches)
    assert drawn.shape == (20_000, 2)
    assert 0.6 < chi_square(drawn, density(exponent, offset)) < 1.5
    assert chi_square(drawn, density(1.5 * exponent, offset)) > 2
    assert chi_square(drawn, density(exponent, offset + 1.0)) > 2


def test_a_share_of_rad_is_uniform(square, context, bump, chi_square):
    options = SamplingOptions(points=20_000, candidates=400_000, uniform_share=0.4)
    sampler, told = RadSampler(options, exponent=2.0, offset=0.0), context(square, residuals=bump)
    points = sampler.refresh(sampler.start(20_000, told), told)
    assert points.counts() == {"uniform": 8000, "adaptive": 12_000, "user": 0}
    assert chi_square(points.take(points.has("uniform")).points, lambda x: np.ones(len(x))) < 0.5
    assert 0.6 < chi_square(points.take(points.has("adaptive")).points, bump) < 1.5


def test_the_density_of_rad_is_that_of_the_paper():
    squared = np.array([0.0, 1.0, 4.0, 9.0, np.nan, np.inf])
    density = rad_density(squared, exponent=1.0, offset=0.5)
    assert density[:4] == pytest.approx(np.array([0, 1, 2, 3]) / 1.5 + 0.5)
    assert np.isnan(density[4:]).all()
    assert rad_density(squared[:4], 2.0, 0.0) == pytest.approx(np.array([0, 1, 4, 9]) / 3.5)
    assert rad_density(np.array([1e300, 4e300]), 4.0, 0.0) == pytest.approx([2 / 17, 32 / 17])
    assert rad_density(np.zeros(3), 1.0, 1.0).tolist() == [2, 2, 2]
    assert np.isnan(rad_density(np.full(3, np.nan), 1.0, 1.0)).all()


def test_r3_retains_exactly_the_points_above_the_mean(square, context, bump, chi_square):
    sampler = R3Sampler(SamplingOptions(points=500, uniform_share=0.0))
    told = context(square, residuals=Recorded(bump))
    start = sampler.start(500, told)
    points = sampler.refresh(start, replace(told, round=1))
    size = np.sqrt(bump(start.points))
    retained, fresh = points.take(points.born == 0), points.take(points.born == 1)
    assert np.array_equal(retained.points, start.points[size > size.mean()])
    assert retained.counts()["adaptive"] == len(retained)
    assert fresh.counts()["uniform"] == len(fresh) == 500 - len(retained)
    assert len(told.residuals.points) == 1


def test_r3_gathers_where_the_residual_is_large(square, context, bump):
    sampler, told = R3Sampler(SamplingOptions(points=500)), context(square, residuals=bump)
    points = sampler.start(500, told)
    near = [np.linalg.norm(points.points - 0.7, axis=1) < 0.1]
    for k in range(1, 30):
        points = sampler.refresh(points, replace(told, round=k))
        near.append(np.linalg.norm(points.points - 0.7, axis=1) < 0.1)
    assert near[0].mean() < 0.05
    assert near[-1].mean() > 0.2
    assert points.has("uniform").mean() >= 0.3


def test_r3_keeps_the_worst_where_too_many_are_above_the_mean(square, context):
    def mostly_one(x):
        return np.where(x[:, 0] < 0.05, 0.0, 1.0 + x[:, 1])

    sampler, told = R3Sampler(SamplingOptions(points=200, uniform_share=0.8)), context(square, residuals=mostly_one)
    start = sampler.start(200, told)
    retained = sampler.refresh(start, replace(told, round=1)).take(slice(0, 40))
    assert rows(retained.points) == rows(start.points[np.argsort(mostly_one(start.points))[-40:]])


@pytest.mark.parametrize("value", [0.0, 2.0, np.nan])
def test_r3_releases_all_where_nothing_stands_out(square, context, value):
    sampler = R3Sampler(SamplingOptions(points=50))
    told = context(square, residuals=lambda x: np.full(len(x), value))
    start = sampler.start(50, told)
    assert not rows(start.points) & rows(sampler.refresh(start, told).points)


def test_r3_releases_points_without_a_residual(square, context, bump):
    sampler = R3Sampler(SamplingOptions(points=200, uniform_share=0.0))
    told = context(square, residuals=lambda x: np.where(x[:, 0] > 0.7, np.inf, bump(x)))
    start = PointSet.of(np.random.default_rng(0).random((200, 2)), "uniform")
    sampler.start(200, told)
    retained = sampler.refresh(start, replace(told, round=1)).take(slice(0, 5))
    assert rows(retained.points) <= rows(start.points[start.points[:, 0] <= 0.7])


def test_residuals_are_not_looked_at_where_all_points_cover(square, context, bump):
    told = context(square, residuals=Recorded(bump))
    sampler = RadSampler(SamplingOptions(points=30, uniform_share=1.0))
    points = sampler.refresh(sampler.start(30, told), told)
    assert points.counts()["uniform"] == 30
    assert not told.residuals.points
