"""Problems with several fields: how they are declared, and what is refused in one sentence."""

import numpy as np
import pytest
from ufl import Identity, as_vector, div, dot, dx, grad, inner

from sciml import Box, Dirichlet, Mean, Neumann, Problem, scalar, vector
from sciml.errors import ConditionError, DeclarationError, ScimlError, UnknownNameError
from sciml.forms import check_problem, pointwise, strong_residual, weak_form

STOKES = {
    "domain": Box((0, 0), (1, 1)),
    "fields": {"velocity": vector, "pressure": scalar.element(lower=1)},
    "flux": lambda velocity, pressure: {"velocity": grad(velocity) - pressure * Identity(2)},
    "reaction": lambda velocity: {"pressure": div(velocity)},
    "conditions": [Dirichlet(0.0, on="boundary", field="velocity"), Mean(0.0, field="pressure")],
}


def stokes(**changes):
    return Problem(**(STOKES | changes))


def test_the_layout():
    problem = stokes(domain=Box((0, 0, 0), (1, 1, 1)), fields={"pressure": scalar, "velocity": vector, "c": vector(2)})
    assert [(slot.name, slot.offset, slot.size, slot.shape) for slot in problem.layout] == [
        ("pressure", 0, 1, ()),
        ("velocity", 1, 3, (3,)),
        ("c", 4, 2, (2,)),
    ]
    assert problem.shape == (6,)
    assert problem.field_name == "pressure, velocity, c"


def test_laws_are_rows_of_the_unknown_and_zero_where_left_out():
    declared = stokes(load={"pressure": 3.0}).declaration
    assert declared.flux.ufl_shape == (3, 2)
    values = pointwise(stokes(), declared.load).at(np.zeros((2, 2)))
    assert values.tolist() == [[0, 0, 3]] * 2


def test_functions_take_fields_by_name_in_any_order():
    turned = stokes(flux=lambda pressure, x, velocity: {"velocity": grad(velocity) - pressure * Identity(2)})
    assert strong_residual(turned).program.source == strong_residual(stokes()).program.source


def test_a_weak_form_takes_a_dictionary_of_test_functions():
    """The form that the balance laws give, written out."""

    def weak(velocity, pressure, v):
        momentum = inner(grad(velocity), grad(v["velocity"])) - pressure * div(v["velocity"])
        return (momentum + div(velocity) * v["pressure"]) * dx

    problem = stokes(flux=None, reaction=None, weak=weak)
    assert weak_form(problem).residual.arguments()[0].ufl_shape == (3,)
    check_problem(problem)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"flux": lambda velocity: {"speed": grad(velocity)}},
            DeclarationError,
            "`flux` gave a dictionary for speed; of several fields it is a dictionary for some of velocity, pressure",
        ),
        (
            {"flux": lambda velocity: grad(velocity)},
            DeclarationError,
            "`flux` gave .*; of several fields it is a dictionary for some of velocity, pressure",
        ),
        ({"load": 1.0}, DeclarationError, "`load` gave 1.0; of several fields it is a dictionary"),
        ({"load": {"velocity": 1.0}}, DeclarationError, r"`load` of 'velocity': .* shape \(\), needed is \(2,\)"),
        ({"reaction": lambda velocity: {"pressure": velocity}}, DeclarationError, "`reaction` of 'pressure'.*scalar"),
        ({"flux": lambda u: {"velocity": grad(u)[0, 0]}}, DeclarationError, r"`flux` of 'velocity'"),
        (
            {"conditions": [Dirichlet(0.0, on="left")]},
            ConditionError,
            "Dirichlet on left names no field; the problem has several: add field= one of velocity, pressure",
        ),
        (
            {"conditions": [Dirichlet(0.0, on="left", field="velosity")]},
            UnknownNameError,
            "no field named 'velosity'; did you mean 'velocity'",
        ),
        ({"conditions": [Mean(0.0)]}, ConditionError, "mean value 0.0 names no field"),
        (
            {"conditions": [Mean(0.0, field="velocity")]},
            ConditionError,
            "Mean fixes the constant of a scalar unknown; 'velocity' has 2 components",
        ),
        ({"conditions": [Mean(0.0, field="presure")]}, UnknownNameError, "did you mean 'pressure'"),
        (
            {"conditions": [Neumann(0.0, on="left", field="pressure", component=0)]},
            ConditionError,
            "the unknown has no components",
        ),
        (
            {"conditions": [Dirichlet(0.0, on="left", field="velocity", component=2)]},
            ConditionError,
            "component 2: the unknown has 2 components",
        ),
        (
            {"conditions": [Dirichlet((1.0, 0.0, 0.0), on="left", field="velocity")]},
            ConditionError,
            r"Dirichlet of 'velocity' on left: the value has shape \(3,\), needed is \(2,\)",
        ),
        (
            {
                "conditions": [
                    Dirichlet(0.0, on="left", field="velocity"),
                    Neumann(1.0, on="boundary", field="velocity", component=1),
                ]
            },
            ConditionError,
            "Two conditions hold on the same",
        ),
        (
            {"time": 1.0, "damping": 1.0, "initial": {"velocity": (0.0, 0.0)}},
            DeclarationError,
            "`damping` gave 1.0; of several fields it is a dictionary",
        ),
        ({"exact": lambda x: {"velocity": x, "pres": x[0]}}, DeclarationError, "`exact` gave a dictionary for"),
    ],
)
def test_what_is_refused(changes, error, message):
    with pytest.raises(error, match=message) as caught:
        check_problem(stokes(**changes))
    assert isinstance(caught.value, ScimlError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["u", "v", "x", "n", "p", "t", "my field", "2d"])
def test_names_that_functions_could_not_ask_for(name):
    with pytest.raises(DeclarationError, match="where there are several, a name is a word of its own"):
        stokes(fields={name: vector, "pressure": scalar})


def test_the_same_conditions_on_two_fields():
    """Conditions of different fields may share a part of the boundary."""
    conditions = [Dirichlet(1.0, on="left", field="pressure"), Dirichlet((2.0, 3.0), on="boundary", field="velocity")]
    problem = stokes(conditions=conditions)
    left = next(piece for piece in problem.boundary_pieces if piece.conditions[2] is not None)
    assert [c.field for c in left.conditions] == ["velocity", "velocity", "pressure"]
    assert len(left.part.elements) == 1
    assert len(problem.boundary_pieces) == 2


def test_copies_share_the_declaration():
    problem = stokes(
        parameters={"viscosity": 2.0},
        flux=lambda velocity, pressure, p: {"velocity": p.viscosity * grad(velocity) - pressure * Identity(2)},
        reaction=lambda velocity: {"velocity": dot(grad(velocity), velocity), "pressure": div(velocity)},
        load=lambda x: {"velocity": as_vector([x[1], 0.0])},
    )
    other = problem.with_parameters(viscosity=3.0)
    assert other.declaration is problem.declaration
    assert strong_residual(other).program is strong_residual(problem).program
