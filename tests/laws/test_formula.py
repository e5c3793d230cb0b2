"""Laws written in UFL."""

from __future__ import annotations

import numpy as np
import pytest
import ufl

from sciml import load_problem
from sciml.errors import DeclarationError
from sciml.laws import CellModel, DeclaredLaw, LinearElastic, Matrix, UflLaw

from .cells import GLASS, STRAINS, square_with_inclusion

STRAIN = np.random.default_rng(0).uniform(-0.04, 0.04, (20, 3))


def potential(e):
    """That of the saturating matrix."""
    trace = e[0] + e[1]
    squares = (e[0] - trace / 3) ** 2 + (e[1] - trace / 3) ** 2 + (trace / 3) ** 2 + e[2] ** 2 / 2
    norm = ufl.sqrt(squares + 1e-30)
    return 2390 * trace**2 + 50 * (norm - 0.06 * ufl.ln(1 + norm / 0.06))


@pytest.mark.parametrize("given", [{"energy": potential}, {"stress": Matrix().stress_ufl}], ids=["energy", "stress"])
def test_an_expression_is_the_law_by_hand(given):
    own, known = UflLaw(**given).evaluate(STRAIN), Matrix().evaluate(STRAIN)
    np.testing.assert_allclose(own.stress, known.stress, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(own.tangent, known.tangent, rtol=0, atol=1e-9 * np.abs(known.tangent).max())


def test_in_a_cell():
    mesh = square_with_inclusion()
    own = CellModel(mesh, {"matrix": UflLaw(energy=potential), "inclusion": GLASS}).solve(STRAINS)
    known = CellModel(mesh, {"matrix": Matrix(), "inclusion": GLASS}).solve(STRAINS)
    np.testing.assert_allclose(own.tangent, known.tangent, rtol=0, atol=1e-8 * np.abs(known.tangent).max())


def test_a_constant_stress_has_no_tangent():
    result = UflLaw(stress=lambda e: (e[0], 0.0, 2.0)).evaluate(STRAIN)
    np.testing.assert_array_equal(result.tangent, np.tile(np.diag([1.0, 0.0, 0.0]), (20, 1, 1)))


def test_the_flux_of_a_problem():
    problem = load_problem("elasticity/cook", state="plane_strain", young_modulus=210.0, poisson_ratio=0.3)
    shear = 210 / 2.6
    known = LinearElastic(bulk_modulus=210 * 0.3 / (1.3 * 0.4) + 2 / 3 * shear, shear_modulus=shear).evaluate(STRAIN)
    own = DeclaredLaw(problem).evaluate(STRAIN)
    np.testing.assert_allclose(own.stress, known.stress, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(own.tangent, known.tangent, rtol=1e-12, atol=1e-10)
    assert DeclaredLaw.obstacle(problem) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "takes one of `stress` and `energy`"),
        ({"stress": lambda e: (e[0], e[1])}, "returns"),
        ({"energy": lambda e: e[0] * ufl.SpatialCoordinate(load_problem("elasticity/cook").abstract_mesh)[0]}, "more"),
    ],
)
def test_bad_expressions(given, message):
    with pytest.raises(DeclarationError, match=message):
        UflLaw(**given)
