"""Programs compiled from UFL against closed forms in NumPy.

The unknowns are u = sin(2x) e^y and w = (u, cos(x + 3y)), whose derivatives of any order are known.
"""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.special
import torch
import ufl
from ufl import (
    And,
    Identity,
    Not,
    Or,
    acos,
    as_matrix,
    as_vector,
    asin,
    atan,
    atan2,
    cofac,
    conditional,
    cos,
    cosh,
    cross,
    curl,
    det,
    dev,
    diff,
    div,
    dot,
    elem_mult,
    eq,
    erf,
    exp,
    ge,
    grad,
    gt,
    indices,
    inner,
    inv,
    le,
    ln,
    lt,
    max_value,
    min_value,
    ne,
    outer,
    perp,
    rot,
    sign,
    sin,
    sinh,
    skew,
    sqrt,
    sym,
    tan,
    tanh,
    transpose,
    variable,
)

from sciml import Box, Problem, coefficient, parameter, scalar, vector
from sciml.errors import UnsupportedExpressionError
from sciml.forms import Derivative, Program, pointwise

POINTS = np.random.default_rng(0).random((60, 2))
X, Y = POINTS.T
NORMALS = np.stack([np.cos(5 * X), np.sin(5 * X)], axis=1)


def derivative(component, axes):
    """∂^a_x ∂^b_y of sin(2x) e^y or cos(x + 3y)."""
    a, b = axes.count(0), axes.count(1)
    if component == 0:
        return 2**a * np.sin(2 * X + a * np.pi / 2) * np.exp(Y)
    return 3**b * np.cos(X + 3 * Y + (a + b) * np.pi / 2)


def d(*axes, component=0):
    return derivative(component, axes)


U, V = d(), d(component=1)
GRAD_W = np.stack([np.stack([d(j, component=c) for j in (0, 1)], axis=1) for c in (0, 1)], axis=1)
EYE = np.eye(2)
F = EYE + 0.2 * GRAD_W
K, C = 1.5, np.array([0.3, -2.0])


def declare(kind):
    """A problem with the symbols that the expressions below use; its own law plays no part."""
    return Problem(
        domain=Box((0, 0), (1, 1)),
        fields={"w": kind},
        parameters={"k": parameter(K), "c": parameter(tuple(C))},
        coefficients={
            "field": coefficient(
                lambda x: x[:, 0] ** 2 * x[:, 1],
                gradient=lambda x: np.stack([2 * x[:, 0] * x[:, 1], x[:, 0] ** 2], axis=1),
            )
        },
        flux=lambda u: grad(u),
    )


SCALAR, VECTOR = declare(scalar), declare(vector)


def evaluate(problem, expression, **keywords):
    """The compiled expression in u (or w), with its derivatives from the formulas above."""
    operator = pointwise(problem, expression)
    jet = {key: torch.tensor(derivative(*key)) for key in operator.keys}
    return operator(torch.tensor(POINTS), jet, normal=torch.tensor(NORMALS), **keywords).numpy()


def agree(value, wanted):
    wanted = np.broadcast_to(wanted, value.shape)
    np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-12 * max(1e-300, np.abs(wanted).max()))


u, x, n = SCALAR.declaration.u, SCALAR.declaration.x, SCALAR.declaration.n
w = VECTOR.declaration.u
k, c, field = SCALAR.k, SCALAR.c, SCALAR.field
i, j = indices(2)
s = variable(u)
laplacian = d(0, 0) + d(1, 1)

ALGEBRA = {
    "number": (3.0 + 0 * u, 3.0),
    "zero": (0 * u, 0.0),
    "affine": (2 * u - 3 * x[0] + 1, 2 * U - 3 * X + 1),
    "negative": (-u / -2.0, U / 2),
    "division": ((1 + x[0]) / (3 + u), (1 + X) / (3 + U)),
    "constants": (k * u + c[0] - c[1] * x[1], K * U + C[0] - C[1] * Y),
    "constant alone": (k * c[1], K * C[1]),
    "power of constants": ((4 + u) ** k, (4 + U) ** K),
    "constant to a power": (k**u, K**U),
    "number to a power": (2**u, 2**U),
    "power by a field": ((4 + u) ** (x[0] * u), (4 + U) ** (X * U)),
    **{f"power {p}": ((4 + u) ** p, (4 + U) ** p) for p in (-3, -2.5, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 7)},
    "negative base": ((u - 4) ** 3, (U - 4) ** 3),
    "coordinate polynomials": (x[0] ** 3 * x[1] - x[1] ** 2, X**3 * Y - Y**2),
    "coefficient": (field * u, X**2 * Y * U),
    "gradient of a coefficient": (dot(grad(field), grad(u)), 2 * X * Y * d(0) + X**2 * d(1)),
    "normal": (dot(grad(u), n), d(0) * NORMALS[:, 0] + d(1) * NORMALS[:, 1]),
}
FUNCTIONS = {
    "sqrt": (sqrt(4 + u), np.sqrt(4 + U)),
    "exp": (exp(u), np.exp(U)),
    "ln": (ln(4 + u), np.log(4 + U)),
    "sin": (sin(u), np.sin(U)),
    "cos": (cos(u), np.cos(U)),
    "tan": (tan(0.1 * u), np.tan(0.1 * U)),
    "sinh": (sinh(u), np.sinh(U)),
    "cosh": (cosh(u), np.cosh(U)),
    "tanh": (tanh(u), np.tanh(U)),
    "asin": (asin(0.1 * u), np.arcsin(0.1 * U)),
    "acos": (acos(0.1 * u), np.arccos(0.1 * U)),
    "atan": (atan(u), np.arctan(U)),
    "atan2": (atan2(u - 1, x[0] - 0.5), np.arctan2(U - 1, X - 0.5)),
    "atan2 of a number": (atan2(u, 2.0), np.arctan2(U, 2.0)),
    "erf": (erf(u), scipy.special.erf(U)),
    "abs": (abs(u - 1), np.abs(U - 1)),
    "sign": (sign(u - 1), np.sign(U - 1)),
    "literals": (sin(ufl.as_ufl(2.0)) * u, math.sin(2.0) * U),
}
BRANCHES = {
    "less": (conditional(lt(x[0], 0.4), u, x[1]), np.where(X < 0.4, U, Y)),
    "greater": (conditional(gt(u, 1.0), 1.0, k), np.where(U > 1, 1.0, K)),
    "numbers": (conditional(ge(x[0], x[1]), 2.0, -1.0), np.where(X >= Y, 2.0, -1.0)),
    "literal": (conditional(lt(1.0, 2.0), u, x[0]), U),
    "constant": (conditional(le(k, 1.0), u, x[0]), X),
    "equal": (conditional(eq(k, K), u, 0.0), U),
    "different": (conditional(ne(x[0], x[0]), u, x[1]), Y),
    "and": (
        conditional(And(lt(x[0], 0.5), Not(ge(x[1], 0.5))), u, 0.0),
        np.where((X < 0.5) & (Y < 0.5), U, 0),
    ),
    "or": (conditional(Or(lt(x[0], 0.3), gt(u, 1.0)), u**2, x[0]), np.where((X < 0.3) | (U > 1), U**2, X)),
    "nested": (
        conditional(lt(x[0], 0.5), conditional(lt(x[1], 0.5), 1.0, u), 2 * u),
        np.where(X < 0.5, np.where(Y < 0.5, 1.0, U), 2 * U),
    ),
    "maximum": (max_value(u, x[0]) + max_value(u, 0.5), np.maximum(U, X) + np.maximum(U, 0.5)),
    "minimum": (min_value(u, x[0]) - min_value(0.5, k), np.minimum(U, X) - 0.5),
}
DERIVATIVES = {
    "gradient": (grad(u), np.stack([d(0), d(1)], axis=1)),
    "laplacian": (div(grad(u)), laplacian),
    "second": (
        grad(grad(u)),
        np.stack([np.stack([d(a, b) for b in (0, 1)], axis=1) for a in (0, 1)], axis=1),
    ),
    "order 3": (u.dx(0).dx(1).dx(1), d(0, 1, 1)),
    "order 4": (u.dx(1).dx(0).dx(1).dx(0), d(0, 0, 1, 1)),
    "bilaplacian": (div(grad(div(grad(u)))), d(0, 0, 0, 0) + 2 * d(0, 0, 1, 1) + d(1, 1, 1, 1)),
    "nonlinear flux": (div((1 + u**2) * grad(u)), (1 + U**2) * laplacian + 2 * U * (d(0) ** 2 + d(1) ** 2)),
    "chain rule": (grad(sin(x[0] * u))[0], np.cos(X * U) * (U + X * d(0))),
    "quotient": ((u / (2 + x[0])).dx(0), d(0) / (2 + X) - U / (2 + X) ** 2),
    "power": (((4 + u) ** k).dx(1), K * (4 + U) ** (K - 1) * d(1)),
    "of a maximum": (max_value(u, x[0]).dx(0), np.where(U > X, d(0), 1.0)),
    "of abs": (abs(u - 1).dx(1), np.sign(U - 1) * d(1)),
    "of a branch": (conditional(lt(x[0], 0.4), u**2, x[1]).dx(1), np.where(X < 0.4, 2 * U * d(1), 1.0)),
    "by a variable": (diff(s**3 * x[0], s), 3 * U**2 * X),
    "of constants": (grad(k * x[0] + c[0])[0], K),
    "of atan2": (atan2(u, 2 + x[0]).dx(1), d(1) * (2 + X) / (U**2 + (2 + X) ** 2)),
    "advection": (dot(c, grad(u)), C[0] * d(0) + C[1] * d(1)),
}
lame = sym(grad(w)) * 2 + div(w) * Identity(2)
TENSORS = {
    "transpose": (transpose(grad(w)), GRAD_W.swapaxes(1, 2)),
    "sym": (sym(grad(w)), (GRAD_W + GRAD_W.swapaxes(1, 2)) / 2),
    "skew": (skew(grad(w)), (GRAD_W - GRAD_W.swapaxes(1, 2)) / 2),
    "dev": (dev(grad(w)), GRAD_W - np.trace(GRAD_W, axis1=1, axis2=2)[:, None, None] * EYE / 2),
    "trace": (ufl.tr(grad(w)), np.trace(GRAD_W, axis1=1, axis2=2)),
    "det": (det(Identity(2) + 0.2 * grad(w)), np.linalg.det(F)),
    "inv": (inv(Identity(2) + 0.2 * grad(w)), np.linalg.inv(F)),
    "cofac": (
        cofac(Identity(2) + 0.2 * grad(w)),
        np.linalg.det(F)[:, None, None] * np.linalg.inv(F).swapaxes(1, 2),
    ),
    "dot": (dot(grad(w), grad(w)), GRAD_W @ GRAD_W),
    "inner": (
        inner(grad(w), sym(grad(w))),
        np.einsum("nij,nij->n", GRAD_W, (GRAD_W + GRAD_W.swapaxes(1, 2)) / 2),
    ),
    "outer": (outer(w, VECTOR.c), np.stack([U, V], axis=1)[:, :, None] * C),
    "elementwise": (elem_mult(w, w), np.stack([U**2, V**2], axis=1)),
    "index notation": (
        as_vector(w[i] * grad(w)[i, j], j),
        np.einsum("ni,nij->nj", np.stack([U, V], axis=1), GRAD_W),
    ),
    "matrix": (as_matrix([[w[0], 1.0], [0.0, w[1]]])[1, :], np.stack([0 * V, V], axis=1)),
    "perp": (perp(w), np.stack([-V, U], axis=1)),
    "rot": (rot(w), d(0, component=1) - d(1)),
    "curl of a scalar": (curl(w[0]), np.stack([d(1), -d(0)], axis=1)),
    "div": (div(w), d(0) + d(1, component=1)),
    "grad div": (grad(div(w)), np.stack([d(0, a) + d(1, a, component=1) for a in (0, 1)], axis=1)),
    "elasticity": (
        div(lame),
        np.stack(
            [
                3 * d(0, 0) + d(1, 1) + 2 * d(0, 1, component=1),
                2 * d(0, 1) + d(0, 0, component=1) + 3 * d(1, 1, component=1),
            ],
            axis=1,
        ),
    ),
    "traction": (dot(grad(w), VECTOR.declaration.n), np.einsum("nij,nj->ni", GRAD_W, NORMALS)),
}


SCALARS = {
    f"{group} {name}": entry
    for group, entries in [("", ALGEBRA), ("", FUNCTIONS), ("branch", BRANCHES), ("derivative", DERIVATIVES)]
    for name, entry in entries.items()
}


@pytest.mark.parametrize(("expression", "wanted"), SCALARS.values(), ids=SCALARS)
def test_scalar_unknown(expression, wanted):
    agree(evaluate(SCALAR, expression), wanted)


@pytest.mark.parametrize(("expression", "wanted"), TENSORS.values(), ids=TENSORS)
def test_vector_unknown(expression, wanted):
    agree(evaluate(VECTOR, expression), wanted)


def test_three_dimensions():
    """Of a = (y² z, z² x, x² y) and b = (x, y, z)."""
    problem = Problem(domain=Box((0,) * 3, (1,) * 3), flux=lambda u: grad(u))
    p = problem.declaration.x
    a = as_vector([p[1] ** 2 * p[2], p[2] ** 2 * p[0], p[0] ** 2 * p[1]])
    points = np.random.default_rng(0).random((20, 3))
    x, y, z = points.T
    values = np.stack([y**2 * z, z**2 * x, x**2 * y], axis=1)
    curl_of_a = np.stack([x**2 - 2 * z * x, y**2 - 2 * x * y, z**2 - 2 * y * z], axis=1)
    gradient = np.stack(
        [
            np.stack(row, axis=1)
            for row in ((0 * x, 2 * y * z, y**2), (z**2, 0 * x, 2 * z * x), (2 * x * y, x**2, 0 * x))
        ],
        axis=1,
    )
    for expression, wanted in {
        curl(a): curl_of_a,
        cross(a, p): np.cross(values, points),
        det(Identity(3) + grad(a)): np.linalg.det(np.eye(3) + gradient),
        inv(2 * Identity(3) + grad(a)): np.linalg.inv(2 * np.eye(3) + gradient),
        div(curl(a)): 0.0,
        dev(grad(a)): gradient - np.trace(gradient, axis1=1, axis2=2)[:, None, None] * np.eye(3) / 3,
        curl(grad(a[0] * a[1])): 0.0,
    }.items():
        agree(pointwise(problem, expression).at(points), wanted)


@pytest.mark.parametrize("dim", [1, 2, 3, 10])
def test_only_the_derivatives_that_occur_are_asked_for(dim):
    problem = Problem(domain=Box((0,) * dim, (1,) * dim), flux=lambda u: grad(u))
    u = problem.declaration.u
    squares = {Derivative(0, (axis, axis)) for axis in range(dim)}
    slopes = {Derivative(0, (axis,)) for axis in range(dim)}
    assert set(pointwise(problem, div(grad(u))).keys) == squares
    assert set(pointwise(problem, div((1 + u) * grad(u))).keys) == squares | slopes | {Derivative(0)}
    assert set(pointwise(problem, u.dx(dim - 1)).keys) == {Derivative(0, (dim - 1,))}
    assert pointwise(problem, problem.declaration.x[0]).keys == ()
    mixed = pointwise(problem, inner(grad(grad(u)), grad(grad(u)))).keys
    assert len(mixed) == len(set(mixed)) == dim * (dim + 1) // 2


def test_components_are_asked_for_one_by_one():
    assert set(pointwise(VECTOR, div(grad(w))[1]).keys) == {Derivative(1, (0, 0)), Derivative(1, (1, 1))}


def test_shared_subexpressions_are_computed_once():
    source = pointwise(SCALAR, exp(u) * sin(exp(u)) + exp(u)).program.source
    assert source.count("torch.exp") == 1


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        (lambda u, x, mesh: ufl.bessel_J(1, u), "BesselJ"),
        (lambda u, x, mesh: u * ufl.CellVolume(mesh), "CellVolume"),
        (lambda u, x, mesh: u * ufl.Circumradius(mesh), "Circumradius"),
        (lambda u, x, mesh: u * ufl.FacetArea(mesh), "FacetArea"),
        (lambda u, x, mesh: ufl.avg(u), "Restricted"),
    ],
)
def test_unknown_nodes_are_named(expression, name):
    with pytest.raises(UnsupportedExpressionError, match=f"UFL node .*{name}.*no rule") as caught:
        pointwise(SCALAR, expression(u, x, SCALAR.abstract_mesh))
    assert isinstance(caught.value, NotImplementedError)
    assert "\n" not in str(caught.value)


def test_an_infinite_literal():
    agree(1 / evaluate(SCALAR, conditional(lt(x[0], 0.4), u, float("inf"))), np.where(X < 0.4, 1 / U, 0))


def test_a_constant_that_is_no_parameter_is_refused():
    with pytest.raises(ValueError, match="parameter"):
        pointwise(SCALAR, ufl.Constant(SCALAR.abstract_mesh) * u).at(POINTS)


@pytest.mark.parametrize(("problem", "expression"), [(SCALAR, BRANCHES["or"][0] * k + field), (VECTOR, div(lame))])
def test_static_part_first_gives_the_same_bits(problem, expression):
    operator = pointwise(problem, expression)
    static = operator.static(torch.tensor(POINTS))
    np.testing.assert_array_equal(evaluate(problem, expression, static=static), evaluate(problem, expression))


def test_the_static_part_holds_what_the_unknown_does_not_reach():
    operator = pointwise(SCALAR, u * exp(sin(x[0]) * k) + field**2)
    static, dynamic = operator.program.source.split("def dynamic")
    assert "torch.exp" in static
    assert "torch.exp" not in dynamic
    assert len(operator.static(torch.tensor(POINTS))) == 2


def test_parameters_are_trainable():
    """∂/∂k and ∂/∂c of a sum of residuals against central differences."""
    operator = pointwise(SCALAR, sin(k * u) + (4 + u) ** k * c[0] + c[1] ** 3 * x[0])
    jet, points = {Derivative(0): torch.tensor(U)}, torch.tensor(POINTS)

    def total(k, c):
        return operator(points, jet, parameters={"k": k, "c": c}).sum()

    values = torch.tensor(K, dtype=torch.float64), torch.tensor(C)
    gradients = torch.autograd.functional.jacobian(total, values)
    step = 1e-6
    for index, shift in enumerate([(1, (0, 0)), (0, (1, 0)), (0, (0, 1))]):
        ends = [total(values[0] + e * shift[0], values[1] + e * torch.tensor(shift[1])) for e in (step, -step)]
        slope = gradients[0] if index == 0 else gradients[1][index - 1]
        assert float(slope) == pytest.approx(float(ends[0] - ends[1]) / (2 * step), rel=1e-7)


def test_values_given_replace_those_of_the_problem():
    agree(evaluate(SCALAR, k * u + c[0], parameters={"k": 7.0, "c": (5.0, 6.0)}), 7 * U + 5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_of_the_points_is_kept(dtype):
    operator = pointwise(SCALAR, conditional(lt(x[0], 0.4), field, 2.0) * k + u)
    out = operator(torch.tensor(POINTS, dtype=dtype), {Derivative(0): torch.tensor(U, dtype=dtype)})
    assert out.dtype == dtype
    assert operator.program.shape == ()


def test_an_expression_without_points_or_unknown_fills_the_batch():
    out = Program(as_matrix([[1.0, 0.0], [2.0, 3.0]]))(torch.zeros(4, 2), {}, [])
    assert out.tolist() == [[[1, 0], [2, 3]]] * 4


SAME_CODE = """
from ufl import as_vector, dot, exp, grad, inner, sin, sym
from sciml import Box, Problem, vector
from sciml.forms import strong_residual

problem = Problem(
    domain=Box((0, 0), (1, 1)),
    fields={"w": vector},
    parameters={"k": 2.0, "c": (1.0, 2.0)},
    energy=lambda u, x, p: p.k * inner(sym(grad(u)), sym(grad(u))) ** 2 + exp(x[0]) * dot(u, u) * p.c[0],
    load=lambda x, p: as_vector([sin(x[0]), p.c[1]]),
)
print(strong_residual(problem).program.source)
"""


def test_the_generated_code_is_the_same_in_every_process(capsys):
    exec(SAME_CODE, {})
    here = capsys.readouterr().out
    environment = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    there = subprocess.run(
        [sys.executable, "-c", SAME_CODE], env=environment, capture_output=True, text=True, check=True
    )
    assert here == there.stdout
    assert "def dynamic" in here
