"""One program for expressions that differ in the names of their symbols alone."""

import numpy as np
import pytest
import torch
import ufl

from sciml import load_problem
from sciml.forms.pointwise import pointwise
from sciml.forms.program import Program
from sciml.forms.sharing import compiled
from sciml.problem import abstract_mesh, symbol

MESH = abstract_mesh(2)
X = torch.linspace(0.1, 0.9, 10, dtype=torch.float64).reshape(5, 2)


def _constants(n=2):
    return [ufl.Constant(MESH) for _ in range(n)]


def test_other_symbols_get_the_same_code_with_their_own_names():
    (a, b), (c, d) = _constants(), _constants()
    x = ufl.SpatialCoordinate(MESH)
    first, second = (compiled(p * ufl.sin(x[0]) + q**2 * x[1]) for p, q in ((a, b), (c, d)))
    assert first.source is second.source
    assert {constant for constant, _ in first.constants} == {a, b}
    assert {constant for constant, _ in second.constants} == {c, d}
    values = {c: 3.0, d: 2.0}
    given = [torch.tensor(values[constant]) for constant, _ in second.constants]
    assert torch.allclose(second(X, {}, given), 3.0 * torch.sin(X[:, 0]) + 4.0 * X[:, 1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda a, b: a + b, lambda a, b: a + a),
        (lambda a, b: a * 2.0, lambda a, b: a * (2.0 + 1e-15)),
        (lambda a, b: a - b, lambda a, b: a + b),
        (lambda a, b: ufl.as_vector([a, b]), lambda a, b: ufl.as_vector([a, a])),
    ],
)
def test_another_structure_is_compiled_anew(one, other):
    a, b = _constants()
    assert compiled(one(a, b)).source != compiled(other(a, b)).source


def test_the_unknown_and_a_known_field_are_not_exchanged():
    u, v = symbol(2, ()), symbol(2, ())
    as_unknown, as_data = compiled(u * u, u), compiled(v * v, u)
    assert [key.axes for key in as_unknown.unknown_keys] == [()]
    assert as_unknown.data_keys == as_data.unknown_keys == ()
    assert [field for field, _ in as_data.data_keys] == [v]


def test_a_rate_is_not_taken_for_another_order():
    u, rate = symbol(2, ()), symbol(2, ())
    orders = [compiled(u + rate, u, {rate: order}).unknown_keys for order in (1, 2)]
    assert orders[0] != orders[1]


def test_names_of_variables_do_not_count():
    programs = []
    for _ in range(2):
        u = symbol(2, (2,))
        strain = ufl.variable(ufl.sym(ufl.grad(u)))
        programs.append(compiled(ufl.diff(ufl.inner(strain, strain) ** 2, strain), u))
    assert programs[0].source is programs[1].source


def test_members_with_domains_of_their_own_share_the_code_of_their_law():
    family = load_problem("hyperelasticity/void")
    one, other = family.draw(0, seed=1), family.draw(1, seed=1)
    operators = [pointwise(member, member.declaration.energy) for member in (one, other)]
    assert operators[0].program.source is operators[1].program.source
    x = torch.tensor(other.domain.sample(20, np.random.default_rng(0)))
    generator = torch.Generator().manual_seed(0)
    jet = {key: 0.1 * torch.randn(20, dtype=torch.float64, generator=generator) for key in operators[1].keys}
    declared = other.declaration
    alone = Program(declared.energy, declared.u)
    constants = [torch.tensor(float(v), dtype=torch.float64) for v in operators[1].constants(x, None)]
    assert alone.constants == operators[1].program.constants
    assert torch.equal(operators[1](x, jet), alone(x, jet, constants))
