"""Boundary data that the plain PINN must meet: contradictory in corners, or far from zero."""

from __future__ import annotations

import numpy as np
import pytest

from sciml import Dirichlet, solve
from sciml.errors import UnsupportedError
from sciml.forms import ContradictionWarning

SHORT = {"width": 16, "depth": 2, "points": 200, "boundary_points": 120, "adam": 100, "lbfgs": 200}
HOT_LID = [Dirichlet(0.0, on=["left", "right", "bottom"]), Dirichlet(1.0, on="top")]


def test_a_hot_lid(poisson):
    """By symmetry the centre of a square with 1 on one side and 0 on the others has 1/4."""
    with pytest.warns(ContradictionWarning):
        solution = solve(poisson(load=0.0, conditions=HOT_LID), "deepxde", **SHORT)
    points = np.array([[0.5, 0.5], [0.0, 0.5], [1.0, 0.5], [0.5, 0.0], [0.5, 1.0]])
    np.testing.assert_allclose(solution.field.evaluate(points).ravel(), [0.25, 0, 0, 0, 1], atol=0.03)
    assert solution.details["conditions"].startswith("soft (Dirichlet on left, right, bottom and Dirichlet on top con")


def test_a_lid_cannot_be_built_in(poisson):
    problem = poisson(load=0.0, conditions=HOT_LID)
    message = r"conditions=hard is not possible: .* contradict each other at \[0.0, 1.0\] \(0 and 1\); use conditions="
    with pytest.warns(ContradictionWarning), pytest.raises(UnsupportedError, match=message):
        solve(problem, "deepxde", conditions="hard")


@pytest.mark.parametrize(
    ("asked", "used"),
    [("auto", "hard (nothing speaks against it)"), ("hard", "hard (as asked)"), ("soft", "soft (as asked)")],
)
def test_the_record_says_how_conditions_were_met(poisson, asked, used):
    solution = solve(poisson(), "deepxde", conditions=asked, width=4, depth=1, points=20, adam=2, lbfgs=0)
    assert solution.details["conditions"] == used
