"""Loads as sums of products of a function of time and one of place."""

import numpy as np
import pytest
from ufl import cos, exp, grad, sin

import sciml
from sciml import Absorbing, Box, Dirichlet, Neumann, Problem, load_problem
from sciml.forms import pointwise
from sciml.forms.in_time import separated, separated_terms
from sciml.forms.weak import weak_form


def wave(load, **more):
    given = {"conditions": [Dirichlet(0.0, on="boundary")]} | more
    return Problem(
        domain=Box((0.0, 0.0), (1.0, 1.0)), time=1.0, mass=1.0, flux=lambda u: grad(u), load=load, initial=0.0,
        initial_velocity=0.0, **given,
    )  # fmt: skip


def test_the_products_add_up_to_the_expression():
    problem = load_problem("wave/membrane").draw(1)
    declared = problem.declaration
    terms = separated_terms(declared.load, problem.t)
    points = problem.domain.sample(50, np.random.default_rng(0))
    for instant in (0.2, 0.5):
        now = problem.at_time(instant)
        added = sum(pointwise(now, g).at(points) * pointwise(now, rest).at(points) for g, rest in terms)
        np.testing.assert_allclose(added, pointwise(now, declared.load).at(points), rtol=1e-13)


def test_a_source_that_moves_is_no_such_sum():
    problem = wave(lambda x, t: exp(-((x[0] - t) ** 2)))
    assert separated_terms(problem.declaration.load, problem.t) is None
    assert separated(weak_form(problem).residual, problem.t, zero=problem.declaration.u) is None


LOADS = {
    "products": lambda x, t: sin(3 * t) * x[0] + cos(t) * (1 + t) * x[1] / (1 + t**2) + x[0] * x[1],
    "moving": lambda x, t: exp(-10 * (x[0] - t) ** 2),
}


@pytest.mark.parametrize("scheme", ["explicit", "newmark"])
def test_what_is_assembled_once_is_what_is_assembled_in_each_step(scheme, monkeypatch):
    conditions = [Dirichlet(0.0, on="left"), Neumann(lambda x, t: sin(5 * t) * x[0], on="top"),
                  Absorbing(impedance=1.0, on="right")]  # fmt: skip
    problem = wave(LOADS["products"], conditions=conditions)
    points = problem.domain.sample(40, np.random.default_rng(1))

    def solved():
        options = {"cells": 8, "degree": 1, "steps": 32, "measure_error": False, "scheme": scheme}
        return sciml.solve(problem, "fenics", **options).evaluate(points, 1.0)

    fast = solved()
    monkeypatch.setattr("sciml.fem.discretisation.Discretisation.time_factors", None)
    slow = solved()
    np.testing.assert_allclose(fast, slow, atol=1e-13 * np.abs(slow).max())
