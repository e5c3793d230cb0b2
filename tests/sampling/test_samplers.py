"""What holds for every sampler: budget, coverage, domain, reproducibility, exact state."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sciml.errors import DeclarationError, OptionError
from sciml.sampling import SAMPLERS, PointSet, SamplingOptions, UserSampler, checked_points, uniform_points

N, BUDGET, ADD = 60, 100, 17
KINDS = [(name, add) for name in SAMPLERS for add in (0, ADD) if (name, add) != ("rar", 0)]


def draw(n, context):
    return uniform_points(context.problem, n, context.generator)


def build(name, **changes):
    """A sampler; the user's is a function that draws uniform points."""
    options = SamplingOptions(**({"points": N, "budget": BUDGET, "candidates": 400} | changes))
    return UserSampler(options, points=draw) if name == "user" else SAMPLERS[name](options)


def rounds(sampler, context, n=6):
    """The sets of the start and of some refreshes."""
    sets = [sampler.start(N, context)]
    for k in range(1, n):
        sets.append(sampler.refresh(sets[-1], replace(context, round=k)))
    return sets


def assert_same(first, second):
    for name, tensor in first.tensors().items():
        assert tensor.numpy().tobytes() == second.tensors()[name].numpy().tobytes(), name


@pytest.mark.parametrize("full", ["stop", "replace"])
@pytest.mark.parametrize(("name", "add"), KINDS)
def test_sets_stay_within_budget_share_and_domain(anywhere, context, name, add, full):
    sizes = []
    for points in rounds(build(name, add=add, full=full, uniform_share=0.45), context(anywhere)):
        checked_points(anywhere, points.points, f"points of {name}")
        sizes.append(len(points))
        counts = points.counts()
        assert counts["user"] == (len(points) if name == "user" else 0)
        assert counts["uniform"] + counts["user"] >= 0.45 * len(points)
        assert len(np.unique(points.points, axis=0)) == len(points)
        assert (points.weights > 0).all()
    assert sizes == ([N] * 6 if not add else [60, 77, 94, 100, 100, 100])


@pytest.mark.parametrize(("name", "add"), KINDS)
def test_the_same_seed_gives_the_same_bits_and_another_others(square, context, name, add):
    first, again, other = (rounds(build(name, add=add), context(square, seed)) for seed in (3, 3, 4))
    for one, two in zip(first, again, strict=True):
        assert_same(one, two)
    assert not set(map(tuple, first[-1].points)) & set(map(tuple, other[-1].points))


@pytest.mark.parametrize(("name", "add"), KINDS)
def test_a_resumed_sampler_goes_on_bit_by_bit(anywhere, context, name, add):
    whole = rounds(build(name, add=add, full="replace"), context(anywhere), n=5)
    started = build(name, add=add, full="replace")
    before = rounds(started, context(anywhere), n=3)[-1]
    values, tensors = json.loads(json.dumps(started.values())), started.tensors()
    resumed, points = build(name, add=add, full="replace"), PointSet.from_tensors(before.tensors())
    resumed.restore(tensors, values)
    for k in (3, 4):
        # The generator of the context belongs to the start alone.
        points = resumed.refresh(points, context(anywhere, seed=99, round=k))
        assert_same(points, whole[k])


@pytest.mark.parametrize("name", SAMPLERS)
def test_refreshing_needs_a_start(square, context, name):
    with pytest.raises(DeclarationError, match="call start"):
        build(name, add=ADD).refresh(PointSet.of(np.zeros((3, 2)), "uniform"), context(square))


@pytest.mark.parametrize("name", ["uniform", "quasi_random", "rar", "rad", "leverage", "user"])
def test_a_full_set_that_stops_is_the_same_object(square, context, name):
    sets = rounds(build(name, add=ADD, full="stop"), context(square))
    assert sets[-1] is sets[-2]
    assert sets[-1].born.max() == 3


@pytest.mark.parametrize("name", SAMPLERS)
def test_more_points_than_the_budget_are_refused_at_the_start(square, context, name):
    with pytest.raises(OptionError, match="budget of 100 points is smaller than the 101 points at the start"):
        build(name, add=ADD).start(101, context(square))


@pytest.mark.parametrize("name", ["uniform", "quasi_random", "leverage"])
def test_without_residuals_the_oldest_go(square, context, name):
    *_, last = rounds(build(name, add=20, full="replace"), context(square), n=8)
    assert np.bincount(last.born).tolist() == [0, 0, 0, 20, 20, 20, 20, 20]


def test_successive_sobol_points_never_repeat_and_fill_the_square(square, context):
    sampler = build("quasi_random", points=256, budget=256)
    sets = [sampler.start(256, context(square))]
    for _ in range(5):
        sets.append(sampler.refresh(sets[-1], context(square)))
    together = np.concatenate([s.points for s in sets])
    assert len(np.unique(together, axis=0)) == len(together)
    for points in sets:
        boxes = np.histogramdd(points.points, bins=16, range=[(0, 1)] * 2)[0]
        assert (boxes == 1).all()


def test_uniform_points_are_uniform(square, context, chi_square):
    sampler = build("uniform", points=8000, budget=8000)
    points = sampler.start(8000, context(square))
    for fresh in (points, sampler.refresh(points, context(square))):
        assert 0.6 < chi_square(fresh.points, lambda x: np.ones(len(x))) < 1.5


# -- points of the user's own ------------------------------------------------------------------------------------------


def test_an_array_of_the_users_stays(square, context):
    own = np.random.default_rng(0).random((40, 2))
    sampler = UserSampler(SamplingOptions(points=40, budget=50, add=5), points=own)
    points = sampler.start(40, context(square))
    assert np.array_equal(points.points, own)
    assert points.counts()["user"] == 40
    assert sampler.refresh(points, context(square, round=1)) is points


def test_an_array_beyond_the_budget_or_the_domain_is_refused(square, context):
    with pytest.raises(OptionError, match="budget of 50 points is smaller than the 60 points of the user"):
        UserSampler(SamplingOptions(points=50), points=np.full((60, 2), 0.5)).start(50, context(square))
    with pytest.raises(OptionError, match="60 of 60 points of the user lie outside"):
        UserSampler(SamplingOptions(points=60), points=np.full((60, 2), 1.5)).start(60, context(square))


def test_a_function_is_asked_for_as_many_points_as_come(square, context):
    asked = []

    def function(n, told):
        asked.append((n, told.round))
        x = told.generator.random((20 * n, told.problem.dim))
        return x[np.argsort(-told.squared(x))[:n]]

    rounds(UserSampler(SamplingOptions(points=N, budget=BUDGET, add=ADD), points=function), context(square), n=5)
    assert asked == [(60, 0), (17, 1), (17, 2), (6, 3)]
    sampler = UserSampler(SamplingOptions(points=N), points=lambda n, told: np.full((n + 1, 2), 0.5))
    with pytest.raises(OptionError, match=r"user's function have the shape \(61, 2\); give \(60, 2\)"):
        sampler.start(N, context(square))


# -- what a sampler is told --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("residuals", "message"),
    [
        (lambda x: np.ones((len(x), 1)), r"squared residuals of 400 points have the shape \(400, 1\); return \(400,\)"),
        (lambda x: -np.ones(len(x)), "squared residuals are negative somewhere, down to -1"),
    ],
)
def test_residuals_that_are_no_squares_are_refused(square, context, residuals, message):
    with pytest.raises(DeclarationError, match=message):
        rounds(build("rad"), context(square, residuals=residuals), n=2)
