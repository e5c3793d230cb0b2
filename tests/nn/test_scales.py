"""Typical sizes of a problem: right for a rod, and the same in any units."""

import numpy as np
import pytest
from ufl import Identity, as_vector, cos, dot, exp, grad, inner, pi, sin, sym, tr

from sciml import Box, Dirichlet, Mean, Neumann, Robin, vector
from sciml.nn import problem_scales


def test_a_rod_under_load(poisson):
    """−A u″ = f on an interval of length L: the largest deflection is f L²/8A."""
    scales = problem_scales(
        poisson(1, domain=Box(0, 3), flux=lambda u: 5 * grad(u), load=2.0, conditions=[Dirichlet(0.0, on="boundary")])
    )
    assert scales.length == 3
    assert scales.stiffness == pytest.approx(5)
    assert scales.unknown == pytest.approx(2 * 9 / 40)
    assert scales.flux == pytest.approx(5 * scales.unknown / 3)
    assert scales.residual == pytest.approx(5 * scales.unknown / 9)
    assert scales.as_dict()["fluxes"] == (scales.flux,)


@pytest.mark.parametrize(
    ("conditions", "unknown"),
    [
        ([Dirichlet(-7.0, on="left")], 7.0),
        ([Dirichlet(0.0, on="left"), Neumann(20.0, on="right")], 20 * 2 / 4),
        ([Robin(9.0, alpha=2.0, on="left")], 9.0),
        ([Dirichlet(0.0, on="left")], 1.0),
    ],
)
def test_sizes_from_boundary_data(poisson, conditions, unknown):
    problem = poisson(domain=Box((0, 0), (2, 1)), flux=lambda u: 4 * grad(u), load=0.0, conditions=conditions)
    assert problem_scales(problem).unknown == pytest.approx(unknown)


def heat(length, conductivity, temperature):
    """Conduction in units of metres, W/(m K) and K times the factors given."""
    power = conductivity * temperature / length**2
    return {
        "domain": Box((0, 0), (2 * length, length)),
        "flux": lambda u, x: conductivity * (1 + x[0] / length) * grad(u),
        "reaction": lambda u: conductivity / length**2 * u,
        "load": lambda x: power * exp(-inner(x, x) / length**2),
        "conditions": lambda x: [
            Dirichlet(temperature * sin(x[1] / length), on="left"),
            Neumann(conductivity * temperature / length * x[1] / length, on="right"),
            Robin(3 * temperature, alpha=conductivity / length, on="top"),
        ],
    }


def elasticity(length, stress, _):
    """A body in metres and pascals times the factors given."""
    return {
        "domain": Box((0, 0), (2 * length, length)),
        "fields": {"d": vector},
        "flux": lambda u: stress * (2 * sym(grad(u)) + tr(grad(u)) * Identity(2)),
        "load": lambda x: stress / length * as_vector([0.0, -1e-3]),
        "conditions": lambda x, n: [Dirichlet(0.0, on="left"), Neumann(1e-3 * stress * n, on="right")],
    }


@pytest.mark.parametrize("law", [heat, elasticity])
@pytest.mark.parametrize("units", [(1e3, 1.0, 1.0), (1.0, 1e-6, 1.0), (1e-9, 1e9, 1e3)])
def test_scales_change_with_the_units(poisson, law, units):
    one, other = problem_scales(poisson(**law(1.0, 1.0, 1.0))), problem_scales(poisson(**law(*units)))
    length, stiffness = units[:2]
    unknown = units[2] if law is heat else length
    assert other.length == pytest.approx(length * one.length)
    assert other.stiffness == pytest.approx(stiffness * one.stiffness, rel=1e-10)
    assert other.unknown == pytest.approx(unknown * one.unknown, rel=1e-10)
    assert other.residual == pytest.approx(stiffness * unknown / length**2 * one.residual, rel=1e-10)


def test_scales_are_reproducible(poisson):
    problem = poisson(load=lambda x: exp(-50 * dot(x, x)))
    assert problem_scales(problem) == problem_scales(problem)
    assert np.log10(problem_scales(problem, seed=1).unknown / problem_scales(problem).unknown) == pytest.approx(
        0, abs=0.1
    )


@pytest.mark.parametrize(
    "condition", [lambda u: Neumann(1 - u**4, on="top"), lambda u: Robin(1 + u**2, alpha=2.0, on="top")]
)
def test_conditions_that_depend_on_the_unknown(poisson, condition):
    problem = poisson(load=0.0, conditions=lambda u: [Dirichlet(3.0, on="bottom"), condition(u)])
    assert problem_scales(problem).unknown == pytest.approx(3.0, rel=1)


@pytest.mark.parametrize("mean", [0.0, 3.0, -1e6])
def test_a_prescribed_mean_is_an_offset(poisson, mean):
    """The size is that of what the load does, whatever the mean."""
    problem = poisson(load=lambda x: cos(pi * x[0]), parameters={"m": mean}, conditions=lambda p: [Mean(2 * p.m)])
    scales = problem_scales(problem)
    assert scales.offset == (2 * mean,)
    assert scales.unknown == pytest.approx(2 / pi / 8, rel=0.05)
    assert problem_scales(problem.with_parameters(m=5.0)).offset == (10.0,)


def test_temperatures_far_from_zero(poisson):
    """300 K ± 1 K: the offset is a mean of the data, the size what remains."""
    problem = poisson(
        load=0.0,
        conditions=lambda x: [
            Dirichlet(300 + sin(2 * pi * x[0]), on=["top", "bottom"]),
            Robin(299.0, alpha=1.0, on="left"),
        ],
    )
    scales = problem_scales(problem)
    assert scales.offset == (pytest.approx(299.67, abs=0.1),)
    assert scales.unknown == pytest.approx(2 / pi, rel=0.1)


def test_components_have_their_own_offset(poisson):
    problem = poisson(
        fields={"d": vector}, conditions=lambda x: [Dirichlet((50.0, 0.1 * x[0]), on="boundary")], load=(0.0, 1.0)
    )
    assert problem_scales(problem).offset == (pytest.approx(50), 0.0)
    assert problem_scales(problem).unknown == pytest.approx(1 / 16)


@pytest.mark.parametrize(
    "changes",
    [
        {"conditions": [Dirichlet(0.0, on="left"), Dirichlet(1.0, on="right")]},
        {"conditions": [Dirichlet(1.0, on="boundary")], "load": 1.0},
        {"conditions": [Dirichlet(1.0, on="boundary")], "load": 1e-6, "reaction": lambda u: 25 * u},
        {"conditions": [Dirichlet(1.0, on="left"), Neumann(2.0, on="right")]},
    ],
)
def test_no_offset_where_the_unknown_varies_as_much(poisson, changes):
    """By its boundary data, the load, a reaction that the constant state would cause, or a flux."""
    scales = problem_scales(poisson(**({"load": 0.0} | changes)))
    assert scales.offset == (0.0,)
    assert 0.5 <= scales.unknown <= 2
