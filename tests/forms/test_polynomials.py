"""Random expressions in polynomials, with derivatives at any place, against exact polynomial arithmetic.

Polynomials in x and y are arrays of coefficients: entry (i, j) belongs to x^i y^j.
"""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import polynomial
from scipy.signal import convolve2d
from ufl import as_ufl, grad
from ufl.domain import extract_domains

from sciml import Box, Problem
from sciml.forms import pointwise

PROBLEM = Problem(domain=Box((0, 0), (1, 1)), flux=lambda u: grad(u))
UNKNOWN = np.array([[1.0, -2.0, 0.0, 1.0], [0.0, 3.0, 1.0, 0.0], [2.0, 0.0, -1.0, 0.0]])
POINTS = np.random.default_rng(0).uniform(-1, 1, (20, 2))
LEAVES = {
    "x": (PROBLEM.declaration.x[0], np.array([[0.0], [1.0]])),
    "y": (PROBLEM.declaration.x[1], np.array([[0.0, 1.0]])),
    "u": (PROBLEM.declaration.u, UNKNOWN),
}


def total(a, b):
    out = np.zeros(np.maximum(a.shape, b.shape))
    out[: a.shape[0], : a.shape[1]] += a
    out[: b.shape[0], : b.shape[1]] += b
    return out


def slope(a, axis):
    return polynomial.polyder(a, axis=axis) if a.shape[axis] > 1 else np.zeros((1, 1))


def value(a, points=POINTS):
    return polynomial.polyval2d(*points.T, a)


def differentiate(pair, axis):
    expression, coefficients = pair
    # UFL cannot differentiate what contains no coordinate.
    symbolic = expression.dx(axis) if extract_domains(expression) else as_ufl(0.0)
    return symbolic, slope(coefficients, axis)


def combined(children):
    pair = st.tuples(children, children)
    return st.one_of(
        pair.map(lambda p: (p[0][0] + p[1][0], total(p[0][1], p[1][1]))),
        pair.map(lambda p: (p[0][0] - p[1][0], total(p[0][1], -p[1][1]))),
        pair.map(lambda p: (p[0][0] * p[1][0], convolve2d(p[0][1], p[1][1]))),
        children.map(lambda p: (p[0] ** 2, convolve2d(p[1], p[1]))),
        children.map(lambda p: (p[0] / 4, p[1] / 4)),
        st.tuples(children, st.sampled_from([0, 1])).map(lambda p: differentiate(*p)),
    )


numbers = st.integers(-3, 3).map(lambda n: (as_ufl(float(n)), np.array([[float(n)]])))
expressions = st.recursive(st.sampled_from(list(LEAVES.values())) | numbers, combined, max_leaves=12)


@settings(max_examples=150)
@given(expressions)
def test_random_polynomials(pair):
    expression, coefficients = pair
    operator = pointwise(PROBLEM, expression)
    jet = {}
    for key in operator.keys:
        derivative = UNKNOWN
        for axis in key.axes:
            derivative = slope(derivative, axis)
        jet[key] = torch.tensor(value(derivative))
    # The size of the terms that are added up bounds the rounding error.
    scale = max(1.0, float(value(np.abs(coefficients), np.abs(POINTS)).max()))
    computed = operator(torch.tensor(POINTS), jet).numpy()
    np.testing.assert_allclose(computed, value(coefficients), rtol=0, atol=1e-11 * scale)
