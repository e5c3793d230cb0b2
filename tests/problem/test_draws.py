"""Laws of parameters: what is drawn follows them, and what cannot be drawn is refused when it is declared."""

import numpy as np
import pytest
from scipy.stats import kstest, truncnorm

from sciml import Choice, LogUniform, TruncatedNormal, Uniform, parameter
from sciml.errors import ParameterError


def draws(declared, n=2000):
    generator = np.random.default_rng(0)
    return [declared.draw(generator) for _ in range(n)]


def test_a_range_is_short_for_a_law():
    for short, law in (({}, Uniform(1.0, 9.0)), ({"log": True}, LogUniform(1.0, 9.0))):
        assert parameter(2.0, above=0, draw=(1.0, 9.0), **short).law == law
        assert parameter(2.0, between=(1.0, 9.0), **short).law == law
    assert parameter(2.0, above=0).law is None


@pytest.mark.parametrize(
    ("law", "distribution"),
    [
        (Uniform(1.0, 9.0), lambda x: (x - 1) / 8),
        (LogUniform(1.0, 9.0), lambda x: np.log(x) / np.log(9)),
        (TruncatedNormal(2.0, 3.0), truncnorm(-2 / 3, 8 / 3, loc=2, scale=3).cdf),
        (TruncatedNormal(-5.0, 2.0), truncnorm(2.5, 7.5, loc=-5, scale=2).cdf),
    ],
    ids=["uniform", "log-uniform", "normal", "tail of a normal"],
)
def test_values_follow_the_law(law, distribution):
    values = np.array(draws(parameter(2.0, between=(0.0, 10.0), draw=law)))
    assert kstest(values, distribution).pvalue > 0.01


def test_a_normal_law_without_ends():
    values = np.array(draws(parameter(0.0, draw=TruncatedNormal(1.0, 2.0))))
    assert kstest((values - 1) / 2, "norm").pvalue > 0.01


def test_entries_of_a_tuple_are_independent():
    values = np.array(draws(parameter((0.0, 0.0), draw=TruncatedNormal(0.0, 1.0))))
    assert values.shape == (2000, 2)
    assert abs(np.corrcoef(values.T)[0, 1]) < 3 / np.sqrt(2000)


def test_choices():
    state = parameter("stress", choices=("stress", "strain"), draw=Choice(("stress", "strain"), weights=(1, 3)))
    assert np.mean([value == "strain" for value in draws(state)]) == pytest.approx(0.75, abs=0.03)
    centre = parameter((0.0, 1.0), draw=Choice([(0.0, 1.0), (2.0, 3.0)]))
    assert set(draws(centre, 50)) == {(0.0, 1.0), (2.0, 3.0)}
    assert set(draws(parameter(1, integer=True, draw=Choice((1, 4, 9))), 50)) == {1, 4, 9}


@pytest.mark.parametrize(
    ("law", "declared", "message"),
    [
        (Uniform(0.0, 2.0), {"between": (0.5, 1.0)}, "does not contain the draws"),
        (Uniform(0.0, float("inf")), {}, "does not contain the draws"),
        (Uniform(1.2, 1.8), {"integer": True}, "is empty"),
        (Uniform(1.0, 2.0), {"choices": (1.0, 2.0)}, "one of 1.0, 2.0 is drawn with Choice"),
        (LogUniform(0.0, 1.0), {}, "not positive"),
        (LogUniform(1.0, 9.0), {"integer": True}, "no logarithmic law"),
        (TruncatedNormal(0.0, 1.0), {"integer": True}, "no normal law"),
        (TruncatedNormal(0.0, 0.0), {}, "positive deviation"),
        (TruncatedNormal(-50.0, 1.0), {"at_least": 0.0}, "hardly any value that is a number ≥ 0"),
        (Choice(()), {}, "one value or more"),
        (Choice((1.0, 2.0), weights=(1.0,)), {}, "a weight ≥ 0 for each"),
        (Choice((1.0, 2.0), weights=(0.0, 0.0)), {}, "a weight ≥ 0 for each"),
        (Choice((1.0, 3.0)), {"at_most": 2.0}, "was given 3.0"),
    ],
    ids=str,
)
def test_laws_that_do_not_fit_are_refused(law, declared, message):
    with pytest.raises(ParameterError, match=message):
        parameter(1, **declared, draw=law)
