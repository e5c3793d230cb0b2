"""Sets of points: what they remember, points in time, what is refused of a user's."""

from __future__ import annotations

import numpy as np
import pytest

from sciml import load_problem
from sciml.errors import DeclarationError, OptionError
from sciml.sampling import (
    PointSet,
    checked_points,
    generator_from,
    generator_values,
    n_coordinates,
    quasi_random_points,
    timed,
    uniform_points,
)


def test_a_set_remembers_when_and_why_each_point_came():
    first = PointSet.of(np.zeros((3, 2)), "uniform")
    second = PointSet.of(np.ones((2, 2)), "adaptive", born=4, weights=np.array([0.5, 2.0]))
    both = first.joined(second)
    assert len(both) == 5
    assert both.counts() == {"uniform": 3, "adaptive": 2, "user": 0}
    assert both.born.tolist() == [0, 0, 0, 4, 4]
    assert both.weights.tolist() == [1, 1, 1, 0.5, 2]
    kept = both.take(both.has("adaptive"))
    assert kept.points.tolist() == [[1, 1], [1, 1]]
    assert kept.labelled("user").counts()["user"] == 2
    assert kept.labelled("user").born.tolist() == [4, 4]


def test_a_set_returns_from_tensors_bit_by_bit():
    generator = np.random.default_rng(0)
    points = PointSet.of(generator.normal(size=(7, 3)), "adaptive", born=2, weights=generator.random(7))
    again = PointSet.from_tensors(points.tensors())
    for name in ("points", "born", "origin", "weights"):
        one, other = getattr(points, name), getattr(again, name)
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
    again.points[:] = 0
    assert points.points.any()


def test_arrays_of_other_lengths_are_refused():
    points = PointSet.of(np.zeros((3, 2)), "uniform")
    with pytest.raises(DeclarationError, match=r"A set of 3 points has \{'weights': \(2,\)\}"):
        points.weighted(np.ones(2))
    with pytest.raises(OptionError, match="cannot be 'random'"):
        PointSet.of(np.zeros((3, 2)), "random")


def test_times_lie_one_in_each_span_and_in_random_order():
    problem = load_problem("heat/sine", dim=1)
    points = timed(problem, np.zeros((64, 1)), np.random.default_rng(0))
    fractions = (points[:, -1] - problem.time.start) / problem.time.duration
    assert np.floor(np.sort(fractions) * 64).tolist() == list(range(64))
    assert abs(np.corrcoef(fractions, np.arange(64))[0, 1]) < 0.3


def test_points_in_space_stay_what_they_are_without_time(square):
    points, generator = np.zeros((3, 2)), np.random.default_rng(0)
    assert timed(square, points, generator) is points
    assert generator.random() == np.random.default_rng(0).random()


def test_points_lie_in_the_domain_and_in_time(anywhere):
    for make in (uniform_points, quasi_random_points):
        points = make(anywhere, 500, np.random.default_rng(1))
        assert points.shape == (500, n_coordinates(anywhere))
        assert np.array_equal(checked_points(anywhere, points, "points", 500), points)


def test_a_users_points_are_moved_onto_the_boundary_that_rounding_missed(square):
    points = checked_points(square, [[1 + 1e-12, 0.5], [0.2, 0.3]], "points")
    assert points.tolist() == [[1, 0.5], [0.2, 0.3]]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((4, 3)), r"points have the shape \(4, 3\); give \(n, 2\)\."),
        (np.zeros(4), r"the shape \(4,\)"),
        (np.zeros((0, 2)), r"the shape \(0, 2\)"),
        ([["a", "b"]], "not an array of numbers"),
        (
            [[0.5, 0.5], [0.5, 1.5], [np.nan, 0.1]],
            r"2 of 3 points lie outside of the domain, the first at \[0.5, 1.5\]",
        ),
    ],
)
def test_points_that_cannot_be_used_are_refused(square, points, message):
    with pytest.raises(OptionError, match=message):
        checked_points(square, points, "points")


def test_a_point_after_the_end_is_refused():
    problem = load_problem("heat/sine", dim=1)
    with pytest.raises(OptionError, match=r"1 of 2 points lie outside"):
        checked_points(problem, [[0.5, problem.time.end], [0.5, problem.time.end * 1.01]], "points")
    with pytest.raises(OptionError, match=r"give \(n, 2\), the time last"):
        checked_points(problem, [[0.5]], "points")


def test_a_point_in_the_notch_of_a_mesh_is_refused():
    problem = load_problem("poisson/l_shape")
    middle = (problem.domain.lower + problem.domain.upper) / 2
    extent = problem.domain.extent if hasattr(problem.domain, "extent") else problem.domain.upper - problem.domain.lower
    corners = middle + np.array([[a, b] for a in (-0.25, 0.25) for b in (-0.25, 0.25)]) * extent
    with pytest.raises(OptionError, match="1 of 4 points lie outside"):
        checked_points(problem, corners, "points")


def test_quasi_random_points_follow_from_the_state_of_the_generator_alone(anywhere):
    generator = np.random.default_rng(4)
    first = quasi_random_points(anywhere, 10, generator)
    restored = generator_from(generator_values(generator))
    second, again = quasi_random_points(anywhere, 10, generator), quasi_random_points(anywhere, 10, restored)
    assert np.array_equal(second, again)
    assert not np.isin(second, first).any()
