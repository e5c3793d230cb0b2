"""The declared bounds of an energy's second derivatives."""

from math import inf

import pytest
from ufl import cosh, grad, inner, ln, sqrt

from sciml import Box, Dirichlet, Problem, parameter
from sciml.errors import DeclarationError
from sciml.forms import convexity_bounds
from sciml.testing import ProblemConformance


def problem(**parts):
    given = {"energy": lambda u: 0.5 * inner(grad(u), grad(u))} | parts
    return Problem(domain=Box(0.0, 1.0), load=1.0, conditions=[Dirichlet(0.0, on="boundary")], **given)


def test_nothing_declared():
    assert convexity_bounds(problem()) is None


def test_bounds_follow_the_parameters():
    class Steep(Problem):
        domain = Box(0.0, 1.0)
        steepness = parameter(3.0, above=1, doc="k")

        def energy(self, u):
            return 0.5 * inner(grad(u), grad(u)) + ln(cosh(self.steepness * u))

        def convexity(self):
            return 1, self.steepness**2

    assert convexity_bounds(Steep()) == (1.0, 9.0)
    assert convexity_bounds(Steep().with_parameters(steepness=4.0)) == (1.0, 16.0)


@pytest.mark.parametrize("bounds", [1.0, (1.0,), (2.0, 1.0), (-1.0, 1.0), (inf, inf), (float("nan"), 1.0)])
def test_what_are_no_bounds(bounds):
    with pytest.raises(DeclarationError, match="`convexity` is "):
        convexity_bounds(problem(convexity=bounds))


def test_bounds_are_about_an_energy():
    with pytest.raises(DeclarationError, match="but no energy"):
        convexity_bounds(problem(energy=None, flux=lambda u: grad(u), convexity=(1.0, 1.0)))


@pytest.mark.parametrize("bounds", [(1.1, 2.0), (0.5, 1.9)])
def test_false_bounds_are_found(bounds):
    """The second derivative of z²/2 + √(1 + z²) runs from 1 to 2."""
    declared = problem(
        energy=lambda u: 0.5 * inner(grad(u), grad(u)) + sqrt(1 + inner(grad(u), grad(u))), convexity=bounds
    )
    with pytest.raises(AssertionError):
        ProblemConformance().test_convexity_holds(declared)
