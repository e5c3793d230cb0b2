"""Draws from scored candidates: exact probabilities, no repetition, the density that was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciml.errors import OptionError
from sciml.sampling import chosen_by_score, draw_by_score, inclusion_factor


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=60), st.data())
def test_the_factor_makes_the_probabilities_sum_to_the_draws(scores, data):
    n = data.draw(st.integers(0, len(scores) - 1))
    probabilities = np.minimum(1.0, inclusion_factor(np.array(scores), n) * np.array(scores))
    assert probabilities.sum() == pytest.approx(n, rel=1e-9, abs=1e-9)


def test_the_factor_is_infinite_where_all_are_taken():
    assert inclusion_factor(np.array([1.0, 0.0, 2.0, np.nan]), 2) == np.inf


def test_candidates_are_taken_with_exactly_the_probabilities_asked_for():
    scores = np.array([40.0, 12.0, 5.0, 5.0, 3.0, 2.0, 1.0, 1.0, 0.5, 0.1, 0.0, np.inf])
    probabilities = np.minimum(1.0, inclusion_factor(scores, 4) * np.where(np.isfinite(scores), scores, 0))
    assert probabilities[:2].tolist() == [1.0, 1.0]
    generator, taken, draws = np.random.default_rng(5), np.zeros(len(scores)), 10_000
    for _ in range(draws):
        chosen = chosen_by_score(scores, 4, generator)
        assert len(np.unique(chosen)) == 4
        taken[chosen] += 1
    deviation = np.sqrt(probabilities * (1 - probabilities) / draws)
    assert (np.abs(taken / draws - probabilities) <= 4 * deviation).all()


def test_every_candidate_is_drawn_once_at_most_from_many():
    scores = np.random.default_rng(0).pareto(1.0, 50_000)
    chosen = chosen_by_score(scores, 20_000, np.random.default_rng(1))
    assert len(np.unique(chosen)) == len(chosen) == 20_000
    assert (np.diff(chosen) > 0).all()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 9])
def test_zero_scores_are_taken_last_and_undefined_ones_never(n):
    scores = np.array([np.nan, 3.0, 0.0, np.inf, 0.0, 1.0])
    chosen = chosen_by_score(scores, n, np.random.default_rng(n)).tolist()
    assert len(chosen) == min(n, 4)
    assert set(chosen) <= {1, 2, 4, 5}
    assert len({1, 5} & set(chosen)) == min(n, 2)


def test_units_of_the_scores_do_not_matter():
    scores = np.random.default_rng(0).random(300)
    first, second = (chosen_by_score(scores * unit, 40, np.random.default_rng(3)) for unit in (1.0, 2.0**-900))
    assert np.array_equal(first, second)


def test_drawn_points_have_the_density_of_the_scores(bump, chi_square):
    generator = np.random.default_rng(11)
    batches = [draw_by_score(x, bump(x), 1000, generator) for x in generator.random((20, 20_000, 2))]
    points = np.concatenate(batches)
    assert 0.6 < chi_square(points, bump) < 1.5
    assert chi_square(points, lambda x: bump(x) ** 1.1) > 2
    assert chi_square(points, lambda x: bump(x) + 0.01) > 2


@pytest.mark.parametrize(
    ("scores", "message"),
    [(np.array([1.0, -2.0]), "smallest score of a candidate is -2"), (np.ones((3, 1)), r"shape \(3, 1\)")],
)
def test_scores_that_are_none_are_refused(scores, message):
    with pytest.raises(OptionError, match=message):
        chosen_by_score(scores, 1, np.random.default_rng(0))
