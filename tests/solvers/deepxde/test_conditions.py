"""Boundary data that the plain PINN must meet: contradictory in corners, or far from zero."""

from __future__ import annotations

import numpy as np
import pytest
from ufl import as_vector, cos, grad, pi, sin

from sciml import Dirichlet, Mean, MeshDomain, Periodic, Robin, load_solution, solve, vector
from sciml.errors import UnsupportedError
from sciml.forms import ContradictionWarning
from sciml.problem import box_mesh

SHORT = {"width": 16, "depth": 2, "points": 200, "boundary_points": 120, "adam": 100, "lbfgs": 200}
HOT_LID = [Dirichlet(0.0, on=["left", "right", "bottom"]), Dirichlet(1.0, on="top")]


def test_a_hot_lid(poisson):
    """By symmetry the centre of a square with 1 on one side and 0 on the others has 1/4."""
    with pytest.warns(ContradictionWarning):
        solution = solve(poisson(load=0.0, conditions=HOT_LID), "deepxde", **SHORT)
    assert solution.field.evaluate(np.array([[0.5, 0.5]])).item() == pytest.approx(0.25, rel=0.02)
    sides = np.array([[0.0, 0.5], [1.0, 0.5], [0.5, 0.0], [0.5, 1.0]])
    np.testing.assert_allclose(solution.field.evaluate(sides).ravel(), [0, 0, 0, 1], atol=0.05)
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


@pytest.mark.parametrize("mean", [0.0, 3.0])
def test_a_mean_value_costs_no_accuracy(poisson, mean):
    """u = mean + cos(πx)/π², of size 0.1."""
    problem = poisson(load=lambda x: cos(pi * x[0]), conditions=[Mean(mean)])
    solution = solve(problem, "deepxde", **SHORT)
    points = problem.domain.sample(500, np.random.default_rng(0))
    wanted = mean + np.cos(np.pi * points[:, 0]) / np.pi**2
    assert np.abs(solution.field.evaluate(points).ravel() - wanted).max() < 3e-4


@pytest.mark.parametrize("base", [0.0, 300.0])
def test_a_temperature_far_from_zero_costs_no_accuracy(poisson, base):
    """u = base + sin 2x cos y on a mesh, with a Dirichlet and a Robin condition as terms of the loss."""
    problem = poisson(
        domain=MeshDomain(box_mesh((0, 0), (1, 1), 4)),
        exact=lambda x: base + sin(2 * x[0]) * cos(x[1]),
        conditions=[Dirichlet(on=["x0-", "x1-"]), Robin(on=["x0+", "x1+"], alpha=1.0)],
    )
    solution = solve(problem, "deepxde", **SHORT)
    points = problem.domain.sample(500, np.random.default_rng(0))
    wanted = base + np.sin(2 * points[:, 0]) * np.cos(points[:, 1])
    assert np.abs(solution.field.evaluate(points).ravel() - wanted).max() < 2e-3


def test_periodic_inputs(poisson, tmp_path):
    """Equal sides to rounding before and after a file; the solution between them by its residual and a built-in lift."""
    pair = [Periodic("left", "right"), Dirichlet(on=["bottom", "top"])]
    problem = poisson(exact=lambda x: sin(2 * pi * x[0] + 1) * (1 + x[1]), conditions=pair)
    solution = solve(problem, "deepxde", **SHORT)
    assert solution.error().relative_l2 < 2e-3
    assert solution.details["conditions"].startswith("hard")
    again = load_solution(solution.save(tmp_path / "strip.h5"), problem=problem)
    left = np.stack([np.zeros(20), np.linspace(0, 1, 20)], axis=1)
    right = left + [1.0, 0.0]
    for found in (solution, again):
        np.testing.assert_allclose(found.evaluate(left), found.evaluate(right), atol=1e-13)
        np.testing.assert_allclose(found.gradient(left), found.gradient(right), atol=1e-12)
    np.testing.assert_array_equal(again.evaluate(left), solution.evaluate(left))


def test_means_of_a_periodic_vector(poisson):
    """A loss term for each component."""
    problem = poisson(
        fields={"d": vector},
        flux=lambda u: grad(u),
        exact=lambda x: as_vector([2 + sin(2 * pi * x[0]), cos(2 * pi * x[1])]),
        conditions=[Periodic("boundary"), Mean((2.0, 0.0))],
    )
    solution = solve(problem, "deepxde", **SHORT)
    assert {"mean value, component 0", "mean value, component 1"} <= set(solution.details["loss_terms"])
    assert solution.error().relative_l2 < 1e-2


def test_periodicity_of_a_mesh_is_refused(poisson):
    problem = poisson(
        domain=MeshDomain(box_mesh((0, 0), (1, 1), 4)), load=0.0, conditions=[Periodic("x0-", "x0+"), Mean(0.0)]
    )
    with pytest.raises(UnsupportedError, match="can be built into a network on a box only; fenics can"):
        solve(problem, "deepxde")
