"""The fast Poisson solver: the discrete equations are solved, orders 2 and 4 for every combination of sides."""

import itertools

import numpy as np
import pytest

from sciml.linear import EvenAxis, FastDiagonalisation, FastPoisson, PeriodicAxis

PAIRS = [*itertools.product(("dirichlet", "neumann"), repeat=2), ("periodic", "periodic")]
LOWER, LENGTHS, STIFFNESS = (-0.3, 0.2, 0.1), (1.0, 0.7, 1.3), (1.0, 0.4, 2.5)


class Product:
    """u = Π gᵢ(xᵢ) with waves that have whole periods on periodic axes, and are no solution of any symmetry else."""

    def __init__(self, sides):
        self.sides = sides

    def lines(self, cells):
        return [
            a + length * np.arange(n + (pair[0] != "periodic")) / n
            for a, length, n, pair in zip(LOWER, LENGTHS, cells, self.sides)
        ]

    def factor(self, axis, x, derivative=0):
        if self.sides[axis][0] == "periodic":
            k = 2 * np.pi / LENGTHS[axis]
            return (k**derivative) * np.sin(k * x + 0.3 + derivative * np.pi / 2) + (derivative == 0)
        k = 1.7 + 0.4 * axis
        return k**derivative * np.cos(k * x + 0.5 + derivative * np.pi / 2) + (1.1**derivative) * np.exp(1.1 * x)

    def values(self, lines, derivatives=()):
        out = np.ones(())
        for axis, x in enumerate(lines):
            out = np.multiply.outer(out, self.factor(axis, x, derivatives.count(axis)))
        return out

    def load(self, lines, mass):
        dim = len(self.sides)
        return mass * self.values(lines) - sum(STIFFNESS[i] * self.values(lines, (i, i)) for i in range(dim))

    def fluxes(self, lines):
        return {
            (axis, end): STIFFNESS[axis] * (2 * end - 1) * np.take(self.values(lines, (axis,)), -end, axis)
            for axis, pair in enumerate(self.sides)
            for end in (0, 1)
            if pair[end] == "neumann"
        }


def errors(sides, order, mass, sizes):
    """Largest errors on grids of several sizes; constants are compared by their means."""
    dim, out = len(sides), []
    for n in sizes:
        truth, cells = Product(sides), (n, n + 2, n - 1)[:dim]
        lines = truth.lines(cells)
        exact = truth.values(lines)
        poisson = FastPoisson(cells, LENGTHS[:dim], sides, STIFFNESS[:dim], mass, order)
        found = poisson.solve(
            truth.load(lines, mass), values=exact, fluxes=truth.fluxes(lines), mean=poisson.mean(exact)
        )
        out.append(np.abs(found - exact).max())
    return np.array(out)


def slope(sizes, found):
    return -np.polyfit(np.log(sizes), np.log(found), 1)[0]


CASES = (
    [[pair] for pair in PAIRS]
    + [list(pairs) for pairs in itertools.combinations_with_replacement(PAIRS, 2)]
    + [
        [PAIRS[0]] * 3,
        [PAIRS[3]] * 3,
        [PAIRS[4]] * 3,
        [PAIRS[1], PAIRS[4], PAIRS[2]],
        [PAIRS[3], PAIRS[0], PAIRS[3]],
        [PAIRS[4], PAIRS[3], PAIRS[1]],
    ]
)


@pytest.mark.parametrize("mass", [0.0, 1.5])
@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("sides", CASES, ids=lambda s: " ".join(a[0] + b[0] for a, b in s))
def test_the_order_of_convergence(sides, order, mass):
    sizes = [48, 64, 84] if len(sides) == 3 else [48, 72, 108]
    found = errors(sides, order, mass, sizes)
    assert slope(sizes, found) == pytest.approx(order, abs=0.15)
    assert found[-1] < (5e-2 if order == 2 else 2e-4)


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("sides", [[PAIRS[0]] * 2, [PAIRS[3], PAIRS[1]], [PAIRS[2]] * 3])
def test_polynomials_of_the_formulas_degree_are_found_exactly(sides, order):
    """Cubic ones along each axis: their fourth derivative, and the third of a mixed one, vanish in the error."""
    dim = len(sides)
    lines = [a + length * np.linspace(0, 1, 8) for a, length in zip(LOWER, LENGTHS[:dim])]
    grid = np.meshgrid(*lines, indexing="ij")
    power = 3 if order == 4 else 2
    exact = 1 + sum(x**power for x in grid) + grid[0] * grid[1]
    slopes = [power * x ** (power - 1) for x in grid]
    slopes[0], slopes[1] = slopes[0] + grid[1], slopes[1] + grid[0]
    load = exact - sum(a * power * (power - 1) * x ** (power - 2) for a, x in zip(STIFFNESS, grid))
    fluxes = {
        (i, end): STIFFNESS[i] * (2 * end - 1) * np.take(slopes[i], -end, i)
        for i, pair in enumerate(sides)
        for end in (0, 1)
        if pair[end] == "neumann"
    }
    poisson = FastPoisson((7,) * dim, LENGTHS[:dim], sides, STIFFNESS[:dim], 1.0, order)
    np.testing.assert_allclose(poisson.solve(load, values=exact, fluxes=fluxes), exact, atol=1e-12)


@pytest.mark.parametrize("share", [0.0, 1 / 12, 1 / 6])
@pytest.mark.parametrize("cells", [5, 6])
def test_a_periodic_axis_diagonalises_circulant_matrices(cells, share):
    h = 0.7 / cells
    ring = np.roll(np.eye(cells), 1, 0) + np.roll(np.eye(cells), -1, 0)
    mass, stiffness = h * ((1 - 2 * share) * np.eye(cells) + share * ring), (2 * np.eye(cells) - ring) / h
    axis = PeriodicAxis(cells, 0.7, share)
    vectors = axis.synthesise(np.eye(cells), 0)
    np.testing.assert_allclose(vectors.T @ mass @ vectors, np.eye(cells), atol=1e-13)
    np.testing.assert_allclose(vectors.T @ stiffness @ vectors, np.diag(axis.eigenvalues), atol=1e-11)
    np.testing.assert_allclose(axis.analyse(np.eye(cells), 0), vectors.T, atol=1e-13)


def test_the_free_constant_is_taken_out():
    axes = [EvenAxis(4, 1.0, (False, False)), PeriodicAxis(5, 1.0)]
    b = np.random.default_rng(0).standard_normal((5, 5))
    with pytest.raises(ValueError, match="not positive definite"):
        FastDiagonalisation(axes, (1.0, 2.0))
    found = FastDiagonalisation(axes, (1.0, 2.0), singular=True).solve(b)
    ends = np.array([0.125, 0.25, 0.25, 0.25, 0.125])
    masses = np.outer(ends, np.full(5, 0.2))
    assert np.vdot(masses, found) == pytest.approx(0.0, abs=1e-14)
    balanced = b - b.sum() * masses
    nearly = FastDiagonalisation(axes, (1.0, 2.0), 1e-8).solve(balanced)
    np.testing.assert_allclose(found, nearly, atol=1e-6)


def test_means_are_exact_for_cubic_polynomials():
    poisson = FastPoisson((6, 5), (2.0, 1.0), [("neumann", "neumann"), ("periodic", "periodic")], (1.0, 1.0))
    x, y = np.linspace(0, 2, 7), np.arange(5) / 5
    assert poisson.mean(np.outer(x**3 - x, 1 + np.sin(2 * np.pi * y))) == pytest.approx(1.0, rel=1e-13)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": (3, 8)}, "at least 4"),
        ({"stiffness": (1.0, 0.0)}, "must be positive"),
        ({"mass": -1.0}, "not negative"),
        ({"sides": [("periodic", "neumann"), ("neumann", "neumann")]}, "both of an axis"),
        ({"order": 3}, "allowed are 2 and 4"),
        ({"lengths": (1.0,)}, "one entry for each axis"),
    ],
)
def test_what_is_not_allowed_is_refused(changes, message):
    given = {
        "cells": (8, 8),
        "lengths": (1.0, 1.0),
        "sides": [("dirichlet", "dirichlet")] * 2,
        "stiffness": (1.0, 1.0),
    }
    with pytest.raises(ValueError, match=message):
        FastPoisson(**(given | changes))


def test_a_flux_needs_a_neumann_side():
    poisson = FastPoisson((8,), (1.0,), [("dirichlet", "neumann")], (1.0,))
    with pytest.raises(ValueError, match="only Neumann sides take a flux"):
        poisson.solve(np.zeros(9), fluxes={(0, 0): np.array(1.0)})
