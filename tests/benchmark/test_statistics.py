"""What may be read off error–cost curves: values by hand, and that failures never help."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciml.benchmark.statistics import (
    Curve,
    CurvePoint,
    break_even,
    coverage,
    error_within,
    median,
    overlap,
    rank_distribution,
    ratio,
    spread,
    time_to_error,
    win_probabilities,
)

INF = math.inf


def curve(*points, segments=None):
    """A curve of one sample each, along a line unless segments are given."""
    made = tuple(CurvePoint(str(k), {0: point}) for k, point in enumerate(points))
    return Curve(made, tuple((k, k + 1) for k in range(len(made) - 1)) if segments is None else segments)


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_interpolation_is_linear_in_logarithms():
    """From (1 s, 10⁻¹) to (100 s, 10⁻³): each factor of ten in error costs a factor of ten in time."""
    line = curve((1.0, 1e-1), (100.0, 1e-3))
    reached = time_to_error(line, 1e-2)
    assert reached.cost == pytest.approx(10.0)
    assert (reached.at_most, reached.point) == (False, 1)
    assert error_within(line, 10.0) == pytest.approx(1e-2)
    assert time_to_error(line, 1e-1).cost == 1.0
    assert not time_to_error(line, 1e-1).at_most


def test_nothing_is_extrapolated():
    line = curve((1.0, 1e-1), (100.0, 1e-3))
    cheap = time_to_error(line, 0.5)
    assert (cheap.cost, cheap.at_most) == (1.0, True)
    assert not time_to_error(line, 1e-4).is_reached
    assert error_within(line, 0.5) == INF
    assert error_within(line, 1e6) == 1e-3


def test_nothing_is_interpolated_across_a_failed_point():
    broken = curve((1.0, 1e-1), (INF, INF), (100.0, 1e-3))
    assert time_to_error(broken, 1e-2) == time_to_error(curve((100.0, 1e-3)), 1e-2).__class__(100.0, True, 2)
    assert error_within(broken, 10.0) == 1e-1


def test_a_point_that_got_worse_is_passed_on_the_way():
    """The way from a coarse to a fine point leads over the one between, however bad."""
    line = curve((1.0, 1e-1), (10.0, 1.0), (100.0, 1e-2))
    assert time_to_error(line, 0.1).cost == 1.0
    assert time_to_error(line, 0.09).cost == pytest.approx(10 * 10 ** (math.log10(1 / 0.09) / 2))


def test_seeds_make_a_median_and_failures_count_in_it():
    point = CurvePoint("a", {1: (1.0, 0.1), 2: (2.0, 0.3), 3: (INF, INF), 4: (4.0, 0.2), 5: (3.0, 0.5)})
    assert (point.cost, point.error) == (3.0, 0.3)
    half = CurvePoint("b", {1: (1.0, 0.1), 2: (INF, INF)})
    assert not half.works
    one_seed = Curve((point, half), ((0, 1),)).sample(3)
    assert not any(each.works for each in one_seed.points)


def test_ratios_need_overlapping_curves():
    fast, slow = curve((1.0, 1e-1), (10.0, 1e-3)), curve((5.0, 1.0), (500.0, 1e-2))
    assert overlap(fast, slow) == (1e-2, 1e-1)
    # 10⁻¹·⁵: the fast one is a quarter of the way in log cost (10^¼), the slow one three quarters (5 · 100^¾).
    assert ratio(slow, fast, 10**-1.5) == pytest.approx(5 * 100**0.75 / 10**0.25)
    assert ratio(slow, fast, 0.5) is None
    assert ratio(slow, fast, 5e-3) is None
    assert overlap(curve((1.0, 1e-5)), slow) is None


def test_spread_and_median():
    found = spread([4.0, 1.0, 2.0, 3.0, INF])
    assert (found.median, found.least, found.greatest, found.count) == (3.0, 1.0, INF, 5)
    assert (found.lower, found.upper) == (2.0, 4.0)
    assert median([]) == INF
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_break_even_by_hand():
    assert break_even(100.0, 1.0, 0.0, 3.0) == 50
    assert break_even(101.0, 1.0, 0.0, 3.0) == 51
    assert break_even(100.0, 3.0, 0.0, 3.0) == INF
    assert break_even(0.0, 4.0, 0.0, 3.0) == INF
    assert break_even(0.0, 1.0, 10.0, 3.0) == 1
    assert break_even(0.0, 5.0, 100.0, 3.0) == INF  # cheaper at first, dearer for good


def test_coverage_by_hand():
    """All of n: the lower end of the exact interval is (0.025)^(1/n)."""
    found = coverage([True] * 10)
    assert (found.covered, found.count, found.share, found.high) == (10, 10, 1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 10))
    assert coverage([]) is None
    assert coverage([True, False]).share == 0.5


def test_wins_by_hand():
    """Two seeds each: medians of (1, 3) redrawn are 1, 2, 2, 3; the other always has 2.5, and wins in a quarter."""
    won = win_probabilities({"a": [1.0, 3.0], "b": [2.5]}, resamples=40_000)
    assert won.shares["b"] == pytest.approx(0.25, abs=0.01)
    assert won.nobody == 0
    nobody = win_probabilities({"a": [INF, INF], "b": [INF]})
    assert (nobody.shares, nobody.nobody) == ({"a": 0.0, "b": 0.0}, 1.0)
    assert win_probabilities({"a": [1.0], "b": [1.0]}).shares == {"a": 0.5, "b": 0.5}
    ranks = rank_distribution({"a": [1.0], "b": [2.0], "c": [INF], "d": [INF]})
    assert [list(ranks[name]).index(1.0) + 1 for name in "abcd"] == [1, 2, 4, 4]


# -- properties --------------------------------------------------------------------------------------------------------

numbers = st.floats(1e-6, 1e6)
samples = st.one_of(st.tuples(numbers, numbers), st.just((INF, INF)))
curves = st.lists(samples, min_size=1, max_size=6).map(lambda points: curve(*points))
goals = st.floats(1e-7, 1e7)
slack = 1 + 1e-9


@given(curves, goals, goals)
def test_smaller_errors_and_times_are_harder(line, one, two):
    small, large = sorted((one, two))
    assert time_to_error(line, large).cost <= time_to_error(line, small).cost * slack
    assert error_within(line, large) <= error_within(line, small) * slack


@given(curves, curves, goals)
def test_ratios_are_reciprocal(one, two, goal):
    there, back = ratio(one, two, goal), ratio(two, one, goal)
    assert (there is None) == (back is None)
    if there is not None:
        assert there * back == pytest.approx(1.0)
        low, high = overlap(one, two)
        assert low <= goal * slack
        assert goal <= high * slack


@given(st.lists(samples, min_size=1, max_size=6), st.integers(0, 5), goals)
def test_a_failed_point_never_helps(points, which, goal):
    failed = [(INF, INF) if k == which else point for k, point in enumerate(points)]
    assert time_to_error(curve(*points), goal).cost <= time_to_error(curve(*failed), goal).cost
    assert error_within(curve(*points), goal) <= error_within(curve(*failed), goal)


@given(st.lists(samples, min_size=1, max_size=6), st.integers(0, 5), st.floats(1, 1e3), st.floats(1, 1e3), goals)
def test_a_worse_point_never_helps(points, which, dearer, less_accurate, goal):
    worse = [(c * dearer, e * less_accurate) if k == which else (c, e) for k, (c, e) in enumerate(points)]
    assert time_to_error(curve(*points), goal).cost <= time_to_error(curve(*worse), goal).cost * slack
    assert error_within(curve(*points), goal) <= error_within(curve(*worse), goal) * slack


@given(curves, goals)
def test_costs_stay_inside_of_what_was_measured(line, goal):
    reached = time_to_error(line, goal)
    costs = [point.cost for point in line.points if point.works]
    if reached.is_reached:
        assert min(costs) <= reached.cost <= max(costs)
        assert line.points[reached.point].error <= goal


scores = st.lists(st.one_of(numbers, st.just(INF)), min_size=1, max_size=5)


@given(st.dictionaries(st.sampled_from("abcd"), scores, min_size=1))
def test_wins_sum_to_one(table):
    won = win_probabilities(table, resamples=200)
    assert sum(won.shares.values()) + won.nobody == pytest.approx(1.0)
    for shares in rank_distribution(table, resamples=200).values():
        assert shares.sum() == pytest.approx(1.0)


@given(st.dictionaries(st.sampled_from("abc"), scores, min_size=1), st.integers(0, 4))
def test_a_failed_seed_never_wins_more(table, which):
    """With the same draws, a median only rises when one of its seeds fails."""
    name = min(table)
    failed = table | {name: [INF if k == which else value for k, value in enumerate(table[name])]}
    before, after = win_probabilities(table, resamples=300), win_probabilities(failed, resamples=300)
    assert after.shares[name] <= before.shares[name] + 1e-12
    ranks = np.arange(1, len(table) + 1)
    mean = [float(rank_distribution(each, resamples=300)[name] @ ranks) for each in (table, failed)]
    assert mean[0] <= mean[1] + 1e-12
