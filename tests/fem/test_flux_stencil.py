"""Lumped P1 waves against a stencil of fluxes, a second discretisation that shares no code with the first."""

import numpy as np
import pytest
from flux_stencil import FluxStencil, at_centroids, hat_integrals, ricker
from ufl import as_vector, exp, grad, inner, pi

from sciml import Absorbing, Box, Matern, Problem, load_problem, random_field, solve, threshold

CELLS, STEPS, WIDTH = 64, 200, 0.05
NODES = np.stack(np.meshgrid(*[np.linspace(0, 1, CELLS + 1)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)


def gaussian(x, y):
    return np.exp(-((x - 0.5) ** 2 + (y - 0.25) ** 2) / (2 * WIDTH**2)) / (2 * np.pi * WIDTH**2)


def solved(problem):
    solution = solve(problem, scheme="explicit", degree=1, cells=CELLS, steps=STEPS, measure_error=False)
    return solution.evaluate(NODES, problem.time.end).reshape(CELLS + 1, CELLS + 1)


def gap(one, other):
    return np.linalg.norm(one - other) / np.linalg.norm(other)


def membrane(slope):
    """The catalogue's, whose line between the materials follows cells or diagonals."""

    def speed_squared(points):
        below = points[:, 1] < 0.5 + slope * (points[:, 0] - 0.5)
        return np.where(below, 0.6, 1.5) ** 2

    return (
        lambda: load_problem("wave/membrane", slope=slope, duration=1.2, frequency=3.0),
        lambda: FluxStencil(*at_centroids(speed_squared, CELLS), hat_integrals(gaussian, CELLS), ricker(3.0)),
        1.2,
    )


IMPEDANCE = {"left": 1.0, "right": 1.2, "bottom": 0.6, "top": 1.5}


def random_phases():
    """A random medium of two phases behind sides that absorb, each in its own way."""

    def load(x, t):
        away = x - as_vector([0.5, 0.25])
        a = (pi * 4 * (t - 0.3)) ** 2
        return exp(-inner(away, away) / (2 * WIDTH**2)) / (2 * pi * WIDTH**2) * (1 - 2 * a) * exp(-a)

    return Problem(
        domain=Box((0.0, 0.0), (1.0, 1.0)),
        time=1.0,
        coefficients={"c2": random_field(Matern(nu=1.5, length=0.2), modes=16, transform=threshold(0.5, 1.8))},
        mass=1.0,
        flux=lambda u, p: p.c2 * grad(u),
        load=load,
        initial=0.0,
        initial_velocity=0.0,
        conditions=[Absorbing(impedance=value, on=side) for side, value in IMPEDANCE.items()],
    ).draw(3)


def twin_of_random_phases():
    phases = at_centroids(random_phases().realisation("c2"), CELLS)
    assert len(np.unique(phases)) == 2
    sides = {side: np.full(CELLS, value) for side, value in IMPEDANCE.items()}
    return FluxStencil(*phases, hat_integrals(gaussian, CELLS), ricker(4.0), sides)


CASES = {
    "two materials along cells": membrane(0.0),
    "two materials along diagonals": membrane(1.0),
    "random phases, absorbing sides": (random_phases, twin_of_random_phases, 1.0),
}


@pytest.mark.parametrize("name", CASES)
def test_both_agree_after_two_hundred_steps(name):
    problem, twin, end = CASES[name]
    assert gap(solved(problem()), twin().march(end, STEPS)) < 1e-9
