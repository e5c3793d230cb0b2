"""Tuning: equal numbers of trials, drawn alike for all, the best by results alone."""

from __future__ import annotations

import math

import pytest

from sciml.benchmark.suite import Tuning
from sciml.benchmark.tuning import best_trial, draw_trials, score_trials

SPACE = {"width": [16, 32, 64], "rate": {"low": 1e-4, "high": 1e-2, "log": True}, "shift": {"low": -1.0, "high": 3.0}}


def result(error, cpu):
    return {"errors": {"relative_l2": error}, "cpu_seconds": cpu}


def test_as_many_trials_as_asked_for_defaults_first():
    trials = draw_trials(SPACE, Tuning(trials=8))
    assert len(trials) == 8
    assert trials[0] == {}
    assert all(t["width"] in SPACE["width"] and 1e-4 <= t["rate"] <= 1e-2 and -1 <= t["shift"] <= 3 for t in trials[1:])
    assert len({tuple(t.items()) for t in trials}) == 8
    assert draw_trials(SPACE, Tuning(trials=8)) == trials
    assert draw_trials(SPACE, Tuning(trials=8, seed=8)) != trials
    assert draw_trials(SPACE, Tuning(trials=4)) == trials[:4]


def test_a_logarithmic_range_is_drawn_over_its_decades():
    rates = [t["rate"] for t in draw_trials({"rate": SPACE["rate"]}, Tuning(trials=400))[1:]]
    assert abs(sum(math.log10(rate) for rate in rates) / len(rates) + 3) < 0.1


def test_a_small_space_is_tried_whole():
    assert draw_trials({"a": [1, 2], "b": ["x"]}, Tuning(trials=3)) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
    assert draw_trials({}, Tuning(trials=3)) == []


def test_time_to_the_error_decides():
    tuning = Tuning(trials=3, objective="time", error=1e-2)
    results = {
        0: {"one": [result(1e-1, 0.1), result(5e-3, 2.0)], "two": [result(9e-3, 1.0)]},
        1: {"one": [result(8e-3, 0.5), result(1e-6, 9.0)], "two": [result(1e-3, 1.5)]},
        2: {"one": [result(1e-9, 0.1)], "two": [result(2e-2, 0.1)]},
    }
    trials = score_trials([{"k": k} for k in range(3)], results, tuning, "relative_l2")
    assert [t.score.missed for t in trials] == [0, 0, 1]
    assert [t.score.seconds for t in trials] == [1.5, 1.0, 0.1]
    assert best_trial(trials) == 1


def test_the_smallest_error_decides_and_failures_count():
    tuning = Tuning(trials=2, objective="error")
    results = {
        0: {"one": [result(1e-1, 1.0), None], "two": [result(1e-3, 1.0)]},
        1: {"one": [result(1e-6, 1.0)], "two": [None]},
    }
    trials = score_trials([{}, {"k": 1}, {"k": 2}], results, tuning, "relative_l2")
    assert trials[0].score.error == pytest.approx(1e-2)
    # The third has no results at all.
    assert [t.score.missed for t in trials] == [0, 1, 2]
    assert best_trial(trials) == 0
    assert best_trial(score_trials([{}, {"k": 1}, {"k": 2}], results, Tuning(trials=2, error=0.2), "relative_l2")) == 0
