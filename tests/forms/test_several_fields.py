"""What the conditions leave free where there are several fields, and which rows have a flux, a rate or neither."""

import re

import pytest
from ufl import Identity, as_vector, cos, div, dot, grad, inner, sin, sym

from sciml import Box, Dirichlet, Mean, Neumann, Problem, Robin, dx, scalar, solve, vector
from sciml.errors import ConditionError, OptionError
from sciml.forms import analyse, check_problem, constrained_fields, rated_components, rows_with_flux
from sciml.forms.schemes import choose_scheme

NO_SLIP = Dirichlet(0.0, on="boundary", field="velocity")
LEVEL = Mean(0.0, field="pressure")


def stokes(**changes):
    parts = {
        "domain": Box((0, 0), (1, 1)),
        "fields": {"velocity": vector, "pressure": scalar.element(lower=1)},
        "flux": lambda velocity, pressure: {"velocity": grad(velocity) - pressure * Identity(2)},
        "reaction": lambda velocity: {"pressure": div(velocity)},
        "load": lambda x: {"velocity": as_vector([x[1], -(x[0] ** 2)])},
        "conditions": [NO_SLIP, LEVEL],
    }
    return Problem(**(parts | changes))


def two_scalars(**changes):
    """Two heats that do not know of each other."""
    parts = {
        "domain": Box((0, 0), (1, 1)),
        "fields": {"hot": scalar, "cold": scalar},
        "flux": lambda hot, cold: {"hot": grad(hot), "cold": 2 * grad(cold)},
        "load": lambda x: {"hot": cos(x[0])},
        "conditions": [],
    }
    return Problem(**(parts | changes))


def elasticity(conditions):
    """Displacement and pressure of a body of finite bulk modulus 5."""
    return Problem(
        domain=Box((0, 0), (1, 1)),
        fields={"displacement": vector, "pressure": scalar.element(lower=1)},
        flux=lambda displacement, pressure: {"displacement": sym(grad(displacement)) - pressure * Identity(2)},
        reaction=lambda displacement, pressure: {"pressure": -div(displacement) - pressure / 5},
        load=lambda x: {"displacement": as_vector([0.0, 1.0])},
        conditions=conditions,
    )


PRESSURE = ["the constant of 'pressure'"]
EVOLVING = {"time": 1.0, "damping": {"velocity": 1.0}, "initial": {"velocity": (0.0, 0.0)}}


def with_inertia(velocity):
    return {"velocity": dot(grad(velocity), velocity), "pressure": div(velocity)}


@pytest.mark.parametrize(
    ("changes", "free"),
    [
        ({}, PRESSURE),
        ({"reaction": with_inertia}, PRESSURE),
        ({"reaction": with_inertia} | EVOLVING, PRESSURE),
        ({"conditions": [Dirichlet(0.0, on=["left", "top"], field="velocity"), LEVEL]}, []),
        ({"conditions": [Dirichlet(0.0, on=["left", "top"], field="velocity")]} | EVOLVING, []),
        ({"conditions": [NO_SLIP, Dirichlet(0.0, on="left", field="pressure")]}, []),
        # Sliding walls let nothing out either.
        (
            {
                "conditions": [
                    Dirichlet(0.0, on=["left", "right"], field="velocity", component=0),
                    Dirichlet(0.0, on=["bottom", "top"], field="velocity", component=1),
                ]
            },
            PRESSURE,
        ),
    ],
    ids=["Stokes", "Navier–Stokes", "evolving", "open", "open and evolving", "pressure given", "sliding"],
)
def test_the_constant_of_a_pressure(changes, free):
    analysis = analyse(stokes(**changes))
    assert analysis.free_modes == free
    assert analysis.free_constants == ((2,) if free else ())


def refuse(problem, message):
    with pytest.raises(ConditionError, match=message) as caught:
        check_problem(problem)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changes", [{}, EVOLVING], ids=["steady", "evolving"])
def test_an_enclosed_flow_needs_the_mean_of_its_pressure(changes):
    check_problem(stokes(**changes))
    refuse(
        stokes(conditions=[NO_SLIP], **changes),
        r"leave the constant of 'pressure' undetermined; add Mean\(0\.0, field=…\) of that field or Dirichlet",
    )


def test_a_mean_value_of_an_open_flow_is_refused():
    held = Dirichlet(0.0, on="left", field="velocity")
    assert check_problem(stokes(conditions=[held])).free_modes == []
    refuse(stokes(conditions=[held, LEVEL]), "determined without it; remove Mean")


def test_two_fields_that_are_both_free():
    """Each needs a mean value of its own."""
    assert analyse(two_scalars()).free_modes == ["the constant of 'hot'", "the constant of 'cold'"]
    assert analyse(two_scalars()).free_constants == (0, 1)
    refuse(two_scalars(), "leave the constant of 'hot', the constant of 'cold' undetermined; add Mean")
    refuse(two_scalars(conditions=[Mean(0.0, field="hot")]), "leave the constant of 'cold' undetermined; add Mean")
    check_problem(two_scalars(conditions=[Mean(0.0, field="hot"), Mean(1.0, field="cold")]))


def test_the_mean_value_of_another_field_does_not_help():
    held = Robin(0.0, alpha=1.0, on="left", field="hot")
    assert analyse(two_scalars(conditions=[held])).free_constants == (1,)
    check_problem(two_scalars(conditions=[held, Mean(0.0, field="cold")]))
    refuse(two_scalars(conditions=[held, Mean(0.0, field="hot")]), "leave the constant of 'cold' undetermined")


def test_a_body_with_a_pressure_of_its_own():
    """What it is clamped by decides; its pressure follows from the law."""
    assert analyse(elasticity([Dirichlet(0.0, on="left", field="displacement")])).free_modes == []
    assert analyse(elasticity([Dirichlet(0.0, on="boundary", field="displacement")])).free_modes == []
    floating = analyse(elasticity([])).free_modes
    assert floating == [
        "translation of component 0 of 'displacement'",
        "translation of component 1 of 'displacement'",
        "rotation of 'displacement' in the x0-x1 plane",
    ]
    refuse(elasticity([]), "leave translation of component 0 of 'displacement', .* undetermined; add Dirichlet")


def test_rows_with_a_flux_and_with_a_rate():
    problem = stokes(**EVOLVING)
    assert rows_with_flux(problem) == [True, True, False]
    assert rated_components(problem, problem.declaration.damping) == [0, 1]
    assert rated_components(problem, problem.declaration.mass) == []
    assert [slot.name for slot in constrained_fields(problem)] == ["pressure"]
    assert constrained_fields(stokes()) == []


@pytest.mark.parametrize(
    "condition",
    [
        Neumann(1.0, on="left", field="pressure"),
        Robin(1.0, alpha=2.0, on="left", field="pressure"),
    ],
)
def test_a_flux_of_a_law_without_one_is_refused(condition):
    message = f"{re.escape(str(condition))} prescribes a flux, and the law of 'pressure' has none; leave the condition"
    refuse(stokes(conditions=[NO_SLIP, condition, LEVEL]), message)


def test_schemes_that_need_a_start_of_the_pressure():
    with pytest.raises(OptionError, match="needs a start of 'pressure', which no time derivative acts on: take bdf2"):
        choose_scheme(stokes(**EVOLVING), "theta", theta=0.5)
    assert choose_scheme(stokes(**EVOLVING)).name == "bdf2"
    assert choose_scheme(stokes(**EVOLVING), "theta", theta=1.0).name == "theta"


@pytest.mark.parametrize("scheme", ["auto", "newmark", "generalised_alpha", "explicit"])
def test_no_scheme_for_a_constraint_with_mass(scheme):
    heavy = {"time": 1.0, "mass": {"velocity": 1.0}, "initial": {}, "initial_velocity": {}}
    with pytest.raises(OptionError, match="needs a start of 'pressure', which no time derivative acts on"):
        choose_scheme(stokes(**heavy), scheme)


def test_a_degree_that_leaves_the_pressure_without_one():
    with pytest.raises(OptionError, match=r"degree=1 leaves 'pressure' .* a degree of 0; take degree=2 or more"):
        solve(stokes(), degree=1)


def test_an_energy_of_two_fields():
    """W = |∇a|² + (a − b)² + 2 |∇b|²: flux and reaction are its derivatives."""
    problem = Problem(
        domain=Box(0, 1),
        fields={"a": scalar, "b": scalar},
        energy=lambda a, b: inner(grad(a), grad(a)) + (a - b) ** 2 + 2 * inner(grad(b), grad(b)),
        exact=lambda x: {"a": sin(x[0]), "b": x[0] ** 2},
        conditions=[Dirichlet(on="boundary", field="a"), Neumann(on="boundary", field="b")],
        quantities=lambda a, b: {"both": (a + b) * dx},
    )
    assert analyse(problem).symmetric
    assert analyse(problem).free_modes == []
    assert solve(problem, cells=16, measure_error=False).error().relative_l2 < 1e-4
