"""Parameters: types, ranges, text, draws, and what an error says."""

import numpy as np
import pytest
from ufl import grad
from ufl.classes import Constant

from sciml import Box, Dirichlet, Problem, parameter
from sciml.errors import ParameterError, UnknownNameError, UnsupportedError
from sciml.forms import strong_residual


def make(name="k", **declared):
    """A parameter that got its name from a class."""
    return vars(type("Owner", (), {name: parameter(**declared)}))[name]


class Plate(Problem):
    """A problem with every kind of parameter."""

    dim = parameter(2, choices=(1, 2, 3))
    stiffness = parameter(2.0, between=(1.0, 100.0), log=True, unit="MPa")
    centre = parameter((0.5, 0.5), between=(-0.9, 0.9))
    waves = parameter(3, integer=True, between=(1, 5))
    state = parameter("stress", choices=("stress", "strain"))
    thick = parameter(False)
    free = parameter(1.0)
    conditions = (Dirichlet(0.0, on="boundary"),)

    def domain(self):
        return Box((0.0,) * self.dim, (1.0,) * self.dim)

    def flux(self, u):
        return self.stiffness * grad(u)

    def load(self, x):
        return self.waves * x[0]


@pytest.mark.parametrize(
    ("declared", "given", "value"),
    [
        ({"default": 1.0}, 3, 3.0),
        ({"default": 1}, np.float32(0.5), 0.5),
        ({"default": 1.0, "above": 0}, 1e-300, 1e-300),
        ({"default": 1.0, "at_least": 0}, 0, 0.0),
        ({"default": 1.0, "between": (0, 2)}, 2, 2.0),
        ({"default": (0.0, 1.0)}, [2, 3], (2.0, 3.0)),
        ({"default": (0.0, 1.0)}, np.array([2, 3]), (2.0, 3.0)),
        ({"default": 1, "integer": True}, 4.0, 4),
        ({"default": "a", "choices": ("a", "b")}, "b", "b"),
        ({"default": False}, True, True),
    ],
)
def test_values_come_in_the_declared_type(declared, given, value):
    checked = make(**declared).check(given)
    assert checked == value
    assert type(checked) is type(value)


@pytest.mark.parametrize(
    ("declared", "given", "allowed"),
    [
        ({"default": 1.0, "above": 0}, 0, "a number > 0"),
        ({"default": 1.0, "at_least": 0, "below": 2}, 2, "a number ≥ 0 and < 2"),
        ({"default": 1.0, "at_most": 5}, 5.1, "a number ≤ 5"),
        ({"default": 1.0}, float("nan"), "a number"),
        ({"default": 1.0}, float("inf"), "finite"),
        ({"default": 1.0}, "three", "a number"),
        ({"default": 1.0}, (1.0, 2.0), "a number"),
        ({"default": 1.0}, None, "a number"),
        ({"default": 1.0}, 1 + 2j, "a number"),
        ({"default": (0.0, 1.0), "between": (0, 1)}, (0.5, 1.5), "2 numbers ≥ 0 and ≤ 1"),
        ({"default": (0.0, 1.0)}, (0.5,), "2 numbers"),
        ({"default": (0.0, 1.0)}, 0.5, "2 numbers"),
        ({"default": 1, "integer": True}, 1.5, "an integer"),
        ({"default": 2, "integer": True, "between": (1, 4)}, 5, "an integer ≥ 1 and ≤ 4"),
        ({"default": "a", "choices": ("a", "b")}, "c", "one of 'a', 'b'"),
        ({"default": 1.0}, True, "a number"),
        ({"default": 1.0}, np.True_, "a number"),
        ({"default": (0.0, 1.0)}, [True, False], "2 numbers"),
        ({"default": (0.0, 1.0)}, [[1], [2, 3]], "2 numbers"),
        ({"default": 1, "integer": True}, True, "an integer"),
        ({"default": 1, "choices": (1, 2)}, True, "one of 1, 2"),
        ({"default": True}, 1, "one of True, False"),
    ],
)
def test_an_error_names_the_parameter_the_value_and_the_range(declared, given, allowed):
    with pytest.raises(ParameterError, match=r"'k'") as caught:
        make(unit="MPa", **declared).check(given)
    text = str(caught.value)
    assert repr(given) in text
    assert allowed in text
    assert "MPa" in text
    assert "\n" not in text
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "declared",
    [
        {"default": -1.0, "above": 0},
        {"default": 1.0, "between": (3, 2)},
        {"default": 1.0, "above": 1, "below": 1},
        {"default": 1.0, "between": (0, 2), "log": True},
        {"default": "text"},
        {"default": float("nan")},
    ],
)
def test_a_declaration_without_a_possible_default_is_refused(declared):
    with pytest.raises(ParameterError):
        parameter(**declared)


@pytest.mark.parametrize(
    ("declared", "text", "value"),
    [
        ({"default": 1.0}, "500", 500.0),
        ({"default": 1.0}, " 1e-3", 1e-3),
        ({"default": (0.0, 0.0)}, "0.5,0.25", (0.5, 0.25)),
        ({"default": (0.0, 0.0)}, "(0.5, 0.25)", (0.5, 0.25)),
        ({"default": (0.0,)}, "2", (2.0,)),
        ({"default": 1, "integer": True}, "7", 7),
        ({"default": 2, "choices": (1, 2, 3)}, "3", 3),
        ({"default": "a", "choices": ("a", "b")}, "b", "b"),
        ({"default": False}, "True", True),
    ],
)
def test_values_are_read_from_text(declared, text, value):
    assert make(**declared).parse(text) == value


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ({"default": 1.0}, "much"),
        ({"default": 1.0}, "1,2"),
        ({"default": (0.0, 0.0)}, "1"),
        ({"default": False}, "2"),
    ],
)
def test_text_that_is_no_value_is_refused(declared, text):
    with pytest.raises(ParameterError, match="allowed is"):
        make(**declared).parse(text)


@pytest.mark.parametrize(("declared", "finite"), [({"default": 1.0}, True), ({"default": 2, "choices": (1, 2)}, False)])
def test_only_numbers_are_asked_to_be_finite(declared, finite):
    with pytest.raises(ParameterError) as caught:
        make(**declared).check("much")
    assert str(caught.value).endswith(", finite." if finite else "allowed is one of 1, 2.")


def test_an_equal_choice_becomes_the_declared_one():
    assert Plate(dim=1.0).domain.dim == 1


def test_an_array_is_no_choice():
    with pytest.raises(ParameterError, match="'dim'"):
        Plate(dim=np.array([1, 2]))


def test_unknown_names_get_the_nearest_one():
    with pytest.raises(UnknownNameError, match=r"parameter named 'stifness'.*'stiffness'"):
        Plate(stifness=3.0)
    with pytest.raises(UnknownNameError, match="'stiffness'"):
        Plate().with_parameters(stifness=3.0)
    with pytest.raises(UnknownNameError, match="'stiffness'"):
        Plate().parameters["stifness"]


def test_real_parameters_are_symbols_and_structural_ones_are_values():
    plate = Plate()
    assert isinstance(plate.stiffness, Constant)
    assert plate.centre.ufl_shape == (2,)
    assert (plate.dim, plate.waves, plate.state, plate.thick) == (2, 3, "stress", False)
    assert set(plate.constants) == {"stiffness", "centre", "free"}
    assert plate.declared_parameters["stiffness"].unit == "MPa"
    assert Plate.stiffness.range_text == "a number ≥ 1 and ≤ 100"


def test_real_values_share_the_declaration():
    plate = Plate()
    program = strong_residual(plate).program
    other = plate.with_parameters(stiffness=5.0, centre=(0.1, 0.2))
    assert other.declaration is plate.declaration
    assert strong_residual(other).program is program
    assert (plate.parameters["stiffness"], other.parameters["stiffness"]) == (2.0, 5.0)


def test_structural_values_declare_anew():
    plate = Plate()
    other = plate.with_parameters(waves=4)
    assert other.declaration is not plate.declaration
    assert strong_residual(other).program is not strong_residual(plate).program


def test_a_structural_value_reaches_the_domain():
    assert Plate().with_parameters(dim=3).domain.dim == 3


class Rod(Problem):
    """A domain whose length is a number that the declaration reads."""

    length = parameter(1.0, between=(1.0, 2.0))
    conditions = (Dirichlet(0.0, on="boundary"),)

    def domain(self):
        return Box(0.0, self.parameters["length"])

    def flux(self, u):
        return grad(u)


@pytest.mark.parametrize("change", [lambda p: p.with_parameters(length=1.5), lambda p: p.draw(0)])
def test_a_value_that_the_domain_read_changes_the_domain(change):
    changed = change(Rod())
    assert changed.domain.volume == changed.parameters["length"] != 1.0


def test_draws_are_reproducible_and_in_range():
    plate = Plate()
    members = [plate.draw(k).parameters.plain() for k in range(40)]
    assert members == [plate.draw(k).parameters.plain() for k in range(40)]
    assert members != [plate.draw(k, seed=1).parameters.plain() for k in range(40)]
    for name, declared in plate.declared_parameters.items():
        for member in members:
            assert declared.check(member[name]) == member[name]
    assert {member["waves"] for member in members} == {1, 2, 3, 4, 5}
    assert {member["free"] for member in members} == {1.0}
    assert len({member["centre"] for member in members}) == 40


def test_the_draw_of_one_parameter_does_not_depend_on_the_others():
    class Larger(Plate):
        extra = parameter(0.5, between=(0.0, 1.0))

    assert Larger().draw(7).parameters["stiffness"] == Plate().draw(7).parameters["stiffness"]


def test_draws_follow_the_distribution():
    """Log-uniform on (1, 100): a quarter below √10, half below 10."""
    generator = np.random.default_rng(0)
    values = np.array([Plate.stiffness.draw(generator) for _ in range(4000)])
    np.testing.assert_allclose(np.mean(values[:, None] < [10**0.5, 10, 10**1.5], axis=0), [0.25, 0.5, 0.75], atol=0.03)


def test_integers_are_drawn_between_open_ends():
    generator = np.random.default_rng(0)
    declared = parameter(2, integer=True, above=0, below=4)
    assert {declared.draw(generator) for _ in range(100)} == {1, 2, 3}


def test_a_range_to_draw_from_lies_within_the_legal_one():
    declared = parameter(1.0, above=0, draw=(2.0, 3.0))
    generator = np.random.default_rng(0)
    values = np.array([declared.draw(generator) for _ in range(200)])
    assert 2 <= values.min() < 2.05
    assert 2.95 < values.max() <= 3
    for wrong in ({"at_least": 2.5}, {"at_most": 2.5}):
        with pytest.raises(ParameterError, match="drawn from 2 to 3"):
            parameter(2.5, draw=(2.0, 3.0), **wrong)


def test_a_problem_without_ranges_is_no_family():
    problem = Problem(domain=Box(0, 1), flux=lambda u: grad(u), parameters={"k": 2.0})
    with pytest.raises(UnsupportedError, match="draw="):
        problem.draw(0)
