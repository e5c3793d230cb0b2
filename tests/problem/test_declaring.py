"""Declaring a problem: as a class or in one call, how functions get their arguments, and what is refused."""

import numpy as np
import pytest
import torch
import ufl
from ufl import as_vector, div, dx, exp, grad, inner, sin, sym

import sciml
from sciml import (
    Box,
    Dirichlet,
    Mean,
    MeshFile,
    Neumann,
    PointValue,
    Problem,
    Robin,
    parameter,
    scalar,
    vector,
)
from sciml.errors import ConditionError, DeclarationError, MeshError, UnknownNameError
from sciml.forms import exact_jet, pointwise, strong_residual, weak_form

SQUARE = Box((0, 0), (1, 1))


class Membrane(Problem):
    """A stretched membrane.

    More about it.
    """

    domain = SQUARE
    tension = parameter(2.0, above=0)
    centre = parameter((0.5, 0.25))

    def flux(self, u, x):
        return self.tension * (1 + x[0]) * grad(u)

    def reaction(self, u):
        return u**3

    def load(self, x):
        return exp(-inner(x - self.centre, x - self.centre))

    def conditions(self, x, n):
        return [
            Dirichlet(x[1], on="left"),
            Robin(1.0, alpha=self.tension, on="top"),
            Neumann(n[0], on="right"),
        ]


def membrane_in_one_call():
    return Problem(
        title="A stretched membrane",
        domain=SQUARE,
        parameters={"tension": parameter(2.0, above=0), "centre": (0.5, 0.25)},
        flux=lambda u, x, p: p.tension * (1 + x[0]) * grad(u),
        reaction=lambda u: u**3,
        load=lambda x, p: exp(-inner(x - p.centre, x - p.centre)),
        conditions=lambda x, n, p: [
            Dirichlet(x[1], on="left"),
            Robin(1.0, alpha=p.tension, on="top"),
            Neumann(n[0], on="right"),
        ],
    )


def test_class_and_call_give_the_same_forms():
    one, other = Membrane(), membrane_in_one_call()
    for first, second in zip(
        (weak_form(one).residual, weak_form(one).jacobian),
        (weak_form(other).residual, weak_form(other).jacobian),
        strict=True,
    ):
        assert first.signature() == second.signature()
    assert strong_residual(one).program.source == strong_residual(other).program.source
    assert one.title == other.title == "A stretched membrane"
    assert one.parameters.plain() == other.parameters.plain()


@pytest.mark.parametrize(
    "flux",
    [
        lambda u, x: (1 + x[0] + u) * grad(u),
        lambda x, u: (1 + x[0] + u) * grad(u),
        lambda w, y: (1 + y[0] + w) * grad(w),
        lambda w, y, q: (1 + y[0] + w) * grad(w),
        lambda u, x, scale=1.0: scale * (1 + x[0] + u) * grad(u),
        lambda p, x, u: (1 + x[0] + u) * grad(u),
    ],
    ids=["order", "by name", "own names", "all", "default", "with the problem"],
)
def test_arguments_are_bound_by_name_or_by_position(poisson, flux):
    plain = poisson(flux=lambda u, x: (1 + x[0] + u) * grad(u))
    assert strong_residual(poisson(flux=flux)).program.source == strong_residual(plain).program.source


def test_a_function_with_too_many_arguments_is_refused(poisson):
    with pytest.raises(DeclarationError, match="takes 4 arguments; available are u, x, p"):
        poisson(flux=lambda a, b, c, d: grad(a)).declaration  # noqa: B018


def test_parts_may_be_expressions_numbers_and_tuples(poisson):
    """The load (1, 2) of a vector unknown, said in five ways; zero has any shape."""
    fields = {"velocity": vector}
    for load in (
        lambda x: as_vector([1.0, 2.0]),
        as_vector([1.0, 2.0]),
        (1.0, 2.0),
        np.array([1, 2]),
        lambda: [1, 2],
    ):
        problem = poisson(fields=fields, load=load)
        assert pointwise(problem, problem.declaration.load).at(np.zeros((1, 2))).tolist() == [[1.0, 2.0]]
    assert poisson(fields=fields, load=0.0).declaration.load.ufl_shape == (2,)


@pytest.mark.parametrize(
    ("dim", "kind", "shape"),
    [(1, scalar, ()), (3, scalar, ()), (1, vector, (1,)), (3, vector, (3,)), (2, vector(5), (5,))],
)
def test_shapes_of_the_unknown(dim, kind, shape):
    problem = Problem(domain=Box((0,) * dim, (1,) * dim), fields={"w": kind}, flux=lambda u: grad(u))
    assert problem.shape == shape
    assert problem.declaration.u.ufl_shape == shape
    assert problem.declaration.flux.ufl_shape == (*shape, dim)
    assert problem.n_components == np.prod(shape, dtype=int)
    assert problem.field_name == "w"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flux": lambda u: u}, r"`flux`: the value has shape \(\), needed is \(2,\)"),
        ({"flux": lambda u: grad(grad(u))}, r"`flux`.*\(2, 2\), needed is \(2,\)"),
        ({"fields": {"w": vector}, "flux": lambda u: grad(u)[0, :]}, r"`flux`.*\(2,\), needed is \(2, 2\)"),
        ({"reaction": lambda u: grad(u)}, r"`reaction`.*\(2,\), needed is \(\)"),
        ({"load": (1.0, 2.0)}, r"`load`.*\(2,\), needed is \(\)"),
        ({"exact": lambda x: x}, r"`exact`.*\(2,\), needed is \(\)"),
        ({"energy": lambda u: grad(u)}, r"`energy`.*\(2,\), needed is \(\)"),
        ({"weak": lambda u, v: inner(grad(u), grad(v))}, "`weak` must return a UFL form"),
        ({"weak": lambda u: u * dx}, "linear in the test function"),
        ({"flux": lambda u: "grad u"}, "`flux`.*neither a number nor a UFL expression"),
        ({"load": float("nan")}, "`load`.*not finite"),
        ({"flux": lambda u: grad(u)[7]}, "`flux` of <Problem> failed: "),
        ({"flux": lambda u: undefined}, "`flux` of <Problem> failed: NameError"),  # noqa: F821
        ({"flux": None}, "declares one of flux, energy and weak, or a reaction alone; given was none"),
        ({"energy": lambda u: u**2, "flux": lambda u: grad(u)}, "given was flux and energy"),
        ({"energy": lambda u: u**2, "reaction": lambda u: u}, "`reaction` goes with `flux`"),
        ({"quantities": lambda u: {"q": u}}, r"Quantity 'q' is Coefficient; it takes an integral"),
        (
            {"quantities": lambda u: {"q": PointValue(u, at=(0.5,))}},
            "'q' needs .* a point with 2 coordinates",
        ),
        ({"quantities": lambda u: {"q": PointValue(grad(u), at=(0, 0))}}, "'q' needs a scalar expression"),
        (
            {"quantities": lambda u: {"q": ufl.TestFunction(u.ufl_function_space()) * dx}},
            "contains a test function",
        ),
    ],
)
def test_inconsistent_declarations_are_refused_in_one_sentence(poisson, changes, message):
    with pytest.raises(DeclarationError, match=message) as caught:
        poisson(**changes).declaration  # noqa: B018
    assert "\n" not in str(caught.value)


def test_an_error_of_a_shape_tells_unknown_and_dimension(poisson):
    with pytest.raises(DeclarationError, match=r"unknown 'u' of shape \(\) in 2 dimensions"):
        poisson(flux=lambda u: u).declaration  # noqa: B018


@pytest.mark.parametrize("domain", [None, 3, "square", lambda: None])
def test_a_problem_needs_a_domain(domain):
    with pytest.raises(DeclarationError, match="needs a domain"):
        Problem(domain=domain, flux=lambda u: grad(u))


@pytest.mark.parametrize("fields", [{}, {"u": 1}, {"v": scalar, "w": None}])
def test_fields_have_kinds(fields):
    with pytest.raises(DeclarationError, match="takes names with kinds"):
        Problem(domain=SQUARE, fields=fields, flux=lambda u: grad(u))


def test_numbers_of_a_scalar_field_are_refused():
    with pytest.raises(TypeError, match="write `scalar`"):
        scalar(2)


def test_a_domain_made_from_a_real_parameter_says_how(poisson):
    class Rod(Problem):
        length = parameter(1.0)

        def domain(self):
            return Box(0, self.length)

    with pytest.raises(DeclarationError, match=r"self\.parameters\['length'\]"):
        Rod()


def test_a_domain_that_fails_is_refused_in_one_sentence():
    class Rod(Problem):
        def domain(self):
            return Box(0, self.length)

    with pytest.raises(DeclarationError, match="`domain` of <Rod> failed: AttributeError: .*no attribute 'length'"):
        Rod()
    with pytest.raises(DeclarationError, match="takes 2 arguments; available are none"):
        Problem(domain=lambda one, two: SQUARE, flux=lambda u: grad(u))


def test_an_error_inside_of_a_declared_part_ends_in_one_full_stop(poisson):
    def flux(u):
        raise ValueError("Something is wrong.")

    with pytest.raises(DeclarationError, match=r"`flux` of <Problem> failed: ValueError: Something is wrong\.$"):
        poisson(flux=flux).declaration  # noqa: B018


def test_a_property_that_fails_says_why():
    class Rod(Problem):
        domain = SQUARE

        @property
        def half(self):
            return self.domain.half

    with pytest.raises(AttributeError, match="'Box' object has no attribute 'half'"):
        Rod().half  # noqa: B018


def test_a_misspelt_part_gets_the_nearest_name():
    with pytest.raises(UnknownNameError, match="'conditions'"):
        Problem(domain=SQUARE, flux=lambda u: grad(u), condition=[])


@pytest.mark.parametrize(
    "name",
    [
        "shape",
        "load",
        "domain",
        "parameters",
    ],
)
def test_a_parameter_named_like_an_attribute_is_refused(name):
    with pytest.raises(DeclarationError, match=repr(name)):
        Problem(domain=SQUARE, flux=lambda u: grad(u), parameters={name: 2.0})


def test_a_class_without_a_docstring_has_no_title():
    class Plain(Problem):
        domain = SQUARE

        def flux(self, u):
            return grad(u)

    assert Plain().title == ""


def test_unknown_attributes_are_attribute_errors(poisson):
    with pytest.raises(AttributeError, match="'stiffness'"):
        poisson().stiffness  # noqa: B018
    assert not hasattr(poisson(), "stiffness")


def test_a_subclass_overrides_parts_and_parameters():
    class Tight(Membrane):
        """A tighter membrane."""

        tension = parameter(9.0, above=0)
        load = 1.0

    assert Tight().parameters["tension"] == 9.0
    assert Tight().title == "A tighter membrane"
    assert float(Tight().declaration.load) == 1.0
    assert list(Tight().parameters) == ["tension", "centre"]


@pytest.mark.parametrize(
    ("laws", "exact"),
    [
        ({"flux": lambda u: grad(u)}, lambda x: sin(x[0]) * x[1] ** 2),
        (
            {"flux": lambda u: (1 + u**2) * grad(u), "reaction": lambda u: u.dx(0)},
            lambda x: sin(x[0]) * x[1] ** 2,
        ),
        (
            {"energy": lambda u, x: exp(x[0]) * inner(grad(u), grad(u)) + u**4},
            lambda x: sin(x[0]) * x[1] ** 2,
        ),
        (
            {"fields": {"d": vector}, "flux": lambda u: sym(grad(u)) + div(u) * ufl.Identity(2)},
            lambda x: as_vector([sin(x[1]), x[0] * x[1]]),
        ),
    ],
    ids=["linear", "nonlinear", "energy", "vector"],
)
def test_a_manufactured_load_makes_the_residual_vanish(poisson, laws, exact):
    problem = poisson(exact=exact, **laws)
    residual = strong_residual(problem)
    points = problem.domain.sample(50, np.random.default_rng(0))
    jet = {key: torch.tensor(op.at(points)) for key, op in exact_jet(problem, residual.keys).items()}
    values = residual(torch.tensor(points), jet)
    assert float(values.abs().max()) < 1e-13


def test_conditions_without_data_need_an_exact_solution(poisson):
    with pytest.raises(ConditionError, match="Dirichlet on left has no value, and the problem has no `exact`"):
        poisson(conditions=[Dirichlet(on="left")]).declaration  # noqa: B018


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "finite"),
        ("zero", "number"),
    ],
)
def test_a_mean_value_is_a_finite_number(poisson, value, message):
    with pytest.raises(ConditionError, match=message):
        poisson(load=0.0, conditions=[Mean(value)]).declaration  # noqa: B018


class TestMeshFiles:
    """Where a mesh file is looked for."""

    MESH = """$MeshFormat
2.2 0 8
$EndMeshFormat
$PhysicalNames
2
1 1 "wall"
2 2 "body"
$EndPhysicalNames
$Nodes
3
1 0 0 0
2 1 0 0
3 0 1 0
$EndNodes
$Elements
2
1 1 2 1 1 1 2
2 2 2 2 1 1 2 3
$EndElements
"""
    CODE = """
from ufl import grad
from sciml import Dirichlet, MeshFile, Problem

class Corner(Problem):
    domain = MeshFile("corner.msh", dim=2)
    conditions = (Dirichlet(0.0, on="wall"),)

    def flux(self, u):
        return grad(u)
"""
    INSTANCE = """
from ufl import grad
from sciml import Dirichlet, MeshFile, Problem

corner = Problem(domain=MeshFile("corner.msh"), flux=lambda u: grad(u), conditions=[Dirichlet(0.0, on="wall")])
"""

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        """A folder with mesh and problem, and another one to work in."""
        away = tmp_path / "away"
        away.mkdir()
        monkeypatch.chdir(away)
        (tmp_path / "corner.msh").write_text(self.MESH)
        (tmp_path / "corner.py").write_text(self.CODE)
        return tmp_path

    def test_beside_the_file_that_declares_the_problem(self, folder):
        problem = sciml.load_problem(str(folder / "corner.py"))
        assert problem.domain.boundary_names == ("wall",)
        assert problem.domain.volume == pytest.approx(0.5)
        assert list(problem.domain.region_groups) == ["body"]

    def test_beside_a_file_that_makes_the_problem_in_one_call(self, folder):
        (folder / "corner.py").write_text(self.INSTANCE)
        assert sciml.load_problem(str(folder / "corner.py")).domain.boundary_names == ("wall",)

    def test_a_subclass_elsewhere_keeps_the_mesh(self, folder):
        (folder / "away" / "fine.py").write_text(
            f"import sys\nsys.path.insert(0, {str(folder)!r})\nimport corner\nsys.path.pop(0)\n"
            "class Fine(corner.Corner):\n    pass\n"
        )
        assert sciml.load_problem("./fine.py").domain.boundary_names == ("wall",)

    def test_in_the_current_folder(self, folder, monkeypatch, poisson):
        monkeypatch.chdir(folder)
        assert poisson(domain=MeshFile("corner.msh")).domain.boundary_names == ("wall",)

    def test_a_missing_file_tells_where_it_was_looked_for(self, folder, poisson):
        (folder / "corner.msh").unlink()
        with pytest.raises(MeshError, match=r"no mesh file 'corner\.msh'; looked in .* and .*away") as caught:
            sciml.load_problem(str(folder / "corner.py")).dim  # noqa: B018
        assert str(folder) in str(caught.value)

    def test_the_wrong_dimension(self, folder, monkeypatch, poisson):
        monkeypatch.chdir(folder)
        with pytest.raises(MeshError, match="dimension 2, the problem 3"):
            poisson(domain=MeshFile("corner.msh", dim=3)).dim  # noqa: B018
