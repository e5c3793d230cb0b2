"""Shared options: what is refused, before any work, and what the defaults mean."""

from __future__ import annotations

import numpy as np
import pytest

from sciml.errors import OptionError
from sciml.sampling import SAMPLERS, LeverageSampler, R3Sampler, RadSampler, RarSampler, SamplingOptions, UserSampler


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 400, "budget": 300}, "The budget of 300 points is smaller than the 400 points at the start"),
        (
            {"points": 10, "budget": 30, "add": 40},
            "The budget of 30 points is smaller than the 40 points that are added",
        ),
        ({"points": 0}, "points is 0; allowed are whole numbers from 1"),
        ({"points": 10.5}, "points is 10.5"),
        ({"points": True}, "points is True"),
        ({"budget": 0}, "budget is 0"),
        ({"every": -1}, "every is -1; allowed are whole numbers from 0"),
        ({"add": -3}, "add is -3"),
        ({"candidates": 0}, "candidates is 0"),
        ({"uniform_share": 1.1}, "uniform_share is 1.1; allowed are numbers from 0 to 1"),
        ({"uniform_share": float("nan")}, "uniform_share is nan"),
        ({"uniform_share": "half"}, "uniform_share is 'half'"),
        ({"full": "grow"}, "full is 'grow'; allowed are 'stop' and 'replace'"),
    ],
)
def test_options_that_are_not_allowed(options, message):
    with pytest.raises(OptionError, match=message):
        SamplingOptions(**options)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: RarSampler(SamplingOptions(add=0)), "'rar' only adds points"),
        (lambda: RadSampler(SamplingOptions(every=0)), "'rad' never looks at its points"),
        (lambda: R3Sampler(SamplingOptions(every=0)), "'r3' never looks at its points"),
        (
            lambda: RadSampler(SamplingOptions(points=200, candidates=150)),
            "150 candidates are fewer than the 200 points",
        ),
        (lambda: RarSampler(SamplingOptions(add=9, candidates=8)), "8 candidates are fewer than the 9 points"),
        (lambda: LeverageSampler(SamplingOptions(uniform_share=0.0)), "weights of 'leverage' have no bound"),
        (lambda: LeverageSampler(SamplingOptions(points=20, candidates=15)), "15 candidates are fewer than the 20"),
        (lambda: RadSampler(exponent=0.0), "exponent of 'rad' is 0.0"),
        (lambda: RadSampler(offset=-1.0), "offset of 'rad' is -1.0"),
        (lambda: UserSampler(), "'user' has no points"),
    ],
)
def test_samplers_that_make_no_sense(build, message):
    with pytest.raises(OptionError, match=message):
        build()


def test_the_budget_that_is_not_given():
    assert SamplingOptions(points=300).most == 300
    assert SamplingOptions(points=300, add=20).most == 600
    assert SamplingOptions(points=3, add=20).most == 20
    assert SamplingOptions(points=3, add=20, budget=50).most == 50


def test_refreshes_are_due_after_every_so_many_steps():
    assert [step for step in range(25) if SamplingOptions(every=10).is_due(step)] == [10, 20]
    assert not any(SamplingOptions(every=0).is_due(step) for step in range(25))


def test_the_share_of_a_whole_number_is_not_rounded_up():
    assert [SamplingOptions(uniform_share=0.1).n_uniform(n) for n in (10, 30, 31)] == [1, 3, 4]


def test_samplers_are_listed_by_name_with_a_title():
    assert list(SAMPLERS) == ["uniform", "quasi_random", "rar", "rad", "r3", "leverage", "user"]
    assert all(sampler.name == name and sampler.title for name, sampler in SAMPLERS.items())
    assert np.unique([sampler.title for sampler in SAMPLERS.values()]).size == len(SAMPLERS)
