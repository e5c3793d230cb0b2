"""Solutions do not depend on the units they are asked for in."""

import numpy as np
import pytest
from ufl import Identity, as_vector, det, exp, grad, inner, ln, sin, sym, tr

from sciml import Box, Dirichlet, Neumann, Robin, solve, vector


def hooke(strain_energy_scale):
    return lambda u: strain_energy_scale * (inner(sym(grad(u)), sym(grad(u))) + 0.75 * tr(grad(u)) ** 2)


def neo_hooke(strain_energy_scale):
    def density(u):
        f = Identity(2) + grad(u)
        return strain_energy_scale * (0.5 * (inner(f, f) - 2 - 2 * ln(det(f))) + ln(det(f)) ** 2)

    return density


def cantilever(poisson, law, length, stress):
    """A body that is clamped on the left, pulled down on the right and bedded elastically below."""
    return poisson(
        domain=Box((0, 0), (2 * length, length)),
        fields={"d": vector},
        energy=law(stress),
        load=lambda x: stress / length * as_vector([0.0, -1e-2]),
        conditions=[
            Dirichlet(0.0, on="left"),
            Neumann((0.0, -1e-2 * stress), on="right"),
            Robin((0.0, 0.0), alpha=0.1 * stress / length, on="bottom"),
        ],
    )


@pytest.mark.parametrize("linear_solver", ["direct", "gamg"])
@pytest.mark.parametrize("law", [hooke, neo_hooke])
@pytest.mark.parametrize("units", [(1e3, 1e-6), (1e-6, 1e11), (1e-3, 1e-9)], ids=["mm MPa", "µm", "soft"])
def test_a_cantilever(poisson, law, linear_solver, units):
    options = {"degree": 1, "cells": 8, "linear_solver": linear_solver, "measure_error": False}
    here = solve(cantilever(poisson, law, 1.0, 1.0), **options)
    there = solve(cantilever(poisson, law, *units), **options)
    points = here.problem.domain.sample(50, np.random.default_rng(0))
    size = np.abs(here.evaluate(points)).max()
    assert size > 0.05
    assert np.abs(here.evaluate(points) - there.evaluate(units[0] * points) / units[0]).max() < 1e-7 * size
    assert abs(here.iterations - there.iterations) <= 1
    assert here.details["linear_solver"] == there.details["linear_solver"]


@pytest.mark.parametrize("length", [1e3, 1e-3])
def test_relative_errors_and_their_estimates(poisson, length):
    """In H1 too, with slopes in multiples of 1/L for a domain of size L."""
    found = []
    for size in (1.0, length):
        problem = poisson(
            domain=Box((0, 0), (size, size)),
            exact=lambda x, s=size: sin(3 * x[0] / s) * exp(x[1] / s),
            conditions=[Dirichlet(on="boundary")],
        )
        solution = solve(problem, cells=8)
        errors, estimate = solution.error(), solution.error_estimate
        found.append([errors.relative_l2, errors.relative_h1, estimate.relative_l2, estimate.relative_h1])
        assert estimate.rate_h1 == pytest.approx(2, abs=0.15)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
