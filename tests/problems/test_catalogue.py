"""Every problem of the catalogue: what it says of itself is there, and it is true."""

from __future__ import annotations

import inspect
import re
import warnings
from itertools import product

import numpy as np
import pytest
import torch
import ufl

from sciml import Problem, analyse, load_problem
from sciml.errors import UnsupportedError
from sciml.forms import balance, boundary_residual, exact_jet, pointwise, strong_form, strong_residual
from sciml.forms.checks import check_problem
from sciml.forms.lowering import scalar_components
from sciml.registry import problem_classes

torch.set_num_threads(1)

BOUND = 1e-12
N_POINTS = 200
CURVED = {"elasticity/plate_with_hole": 3e-5}
"""Quadratic cells follow a circle and its normals only approximately; the test of Kirsch's solution is exact."""
CATALOGUE = problem_classes()
PROMISED = {
    "poisson/sine",
    "poisson/peak",
    "poisson/two_peaks",
    "poisson/l_shape",
    "poisson/ten_dimensional",
    "poisson/mixed_conditions",
    "poisson/pure_neumann",
    "advection_diffusion/two_peaks",
    "nonlinear/quadratic_diffusion",
    "nonlinear/cubic_reaction",
    "nonlinear/p_laplace",
    "nonlinear/minimal_surface",
    "nonlinear/catenoid",
    "nonlinear/ten_dimensional",
    "elasticity/cook",
    "elasticity/plate_with_hole",
    "hyperelasticity/block",
    "thermal/fibre_composite",
    "thermal/convective_plate",
}


def is_family(cls: type[Problem]) -> bool:
    return any(p.finite_range for p in cls().declared_parameters.values())


def variants(cls: type[Problem]) -> list[dict]:
    """The defaults, every combination of choices, and a drawn member."""
    choices = {k: p.choices for k, p in cls().declared_parameters.items() if p.choices is not None}
    found = [dict(zip(choices, values)) for values in product(*choices.values())]
    if is_family(cls):
        found.append(cls().draw(1).parameters.plain())
    return found


MEMBERS = [
    pytest.param(name, given, id=f"{name}-{number}")
    for name, cls in CATALOGUE.items()
    for number, given in enumerate(variants(cls))
]
EXACT = [m for m in MEMBERS if CATALOGUE[m.values[0]].exact is not None]
FAMILIES = [name for name, cls in CATALOGUE.items() if is_family(cls)]


# -- documentation -------------------------------------------------------------------------------------------


def test_promised_problems_are_there():
    assert set(CATALOGUE) >= PROMISED


@pytest.mark.parametrize("name", CATALOGUE)
def test_docstring(name):
    """A title, the equation, the parameters, and the three labelled notes."""
    text = inspect.getdoc(CATALOGUE[name]) or ""
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0].endswith(".")
    assert lines[1] == ""
    assert len(lines[0]) <= 90
    equation = text.split("::", 1)[1].split("\n\n")[1]
    assert "=" in equation
    assert all(line.startswith("    ") for line in equation.splitlines())
    for label in ("Good values:", "When it breaks:", "Source:"):
        assert sum(line.startswith(label) for line in lines) == 1, label
    documented = set()
    for line in lines:
        if re.match(r"[a-z_]+(, [a-z_]+)* : ", line):
            documented |= set(line.split(" : ")[0].split(", "))
    assert documented == set(CATALOGUE[name]().declared_parameters)


@pytest.mark.parametrize("name", CATALOGUE)
def test_parameters(name):
    """Defaults lie inside their ranges; every parameter has a line of text."""
    for declared in CATALOGUE[name]().declared_parameters.values():
        assert declared.check(declared.default) == declared.default
        assert declared.doc


# -- declarations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "given"), MEMBERS)
def test_declares(name, given):
    """It declares without a warning, is analysed, and its conditions cover the boundary once."""
    problem = load_problem(name, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_problem(problem)
    covered = sum(piece.part.measure for piece in problem.boundary_pieces)
    assert covered == pytest.approx(problem.domain.element_measures().sum())
    assert problem.parameters.plain() == CATALOGUE[name](**given).parameters.plain()
    assert problem.declaration.quantities or problem.dim > 3
    assert analyse(problem).order == 2


@pytest.mark.parametrize("name", FAMILIES)
def test_draws(name):
    """Members are reproducible, lie inside the ranges, and differ."""
    problem = load_problem(name)
    first, again, second = (load_problem(name).draw(k).parameters.plain() for k in (0, 0, 1))
    assert first == again != second
    for key, declared in problem.declared_parameters.items():
        assert declared.check(first[key]) == first[key]
        assert declared.finite_range or first[key] == problem.parameters[key]
    assert problem.draw(0, seed=1).parameters.plain() != first


def test_no_family():
    with pytest.raises(UnsupportedError, match="not a family"):
        load_problem("nonlinear/minimal_surface").draw(0)


# -- exact solutions -----------------------------------------------------------------------------------------


def summands(expression) -> list:
    """The terms that a lowered expression adds up, products and quotients of sums multiplied out."""
    operands = expression.ufl_operands
    if isinstance(expression, ufl.classes.Sum):
        return [term for operand in operands for term in summands(operand)]
    if isinstance(expression, ufl.classes.Product):
        return [a * b for a, b in product(*map(summands, operands))]
    if isinstance(expression, ufl.classes.Division):
        return [term / operands[1] for term in summands(operands[0])]
    return [expression]


def at_exact(problem: Problem, operator, points: np.ndarray, normals: np.ndarray | None = None) -> np.ndarray:
    """An operator on the exact solution."""
    jet = {key: torch.tensor(op.at(points)) for key, op in exact_jet(problem, operator.keys).items()}
    normal = None if normals is None else torch.tensor(normals)
    with torch.no_grad():
        return operator(torch.tensor(points), jet, normal=normal).numpy()


@pytest.mark.parametrize(("name", "given"), EXACT)
def test_exact_solution_fulfils_the_law(name, given):
    problem = load_problem(name, **given)
    points = problem.domain.sample(N_POINTS, np.random.default_rng(0))
    residual = at_exact(problem, strong_residual(problem), points)
    terms = [term for part in scalar_components(strong_form(problem)) for term in summands(part)]
    scale = max(np.abs(at_exact(problem, pointwise(problem, term), points)).max() for term in terms)
    assert residual.shape == (N_POINTS, *problem.shape)
    assert scale > 0
    assert np.abs(residual).max() <= BOUND * scale


@pytest.mark.parametrize(("name", "given"), EXACT)
def test_exact_solution_fulfils_the_conditions(name, given):
    problem = load_problem(name, **given)
    state = [pointwise(problem, e) for e in (problem.declaration.u, balance(problem).flux)]
    for piece in problem.boundary_pieces:
        points, normals = piece.part.sample(N_POINTS, np.random.default_rng(0))
        scale = max(np.abs(at_exact(problem, operator, points)).max() for operator in state)
        for component, condition in enumerate(piece.conditions):
            residual = at_exact(problem, boundary_residual(problem, condition, component), points, normals)
            assert np.abs(residual).max() <= CURVED.get(name, BOUND) * scale


def test_mean_of_pure_neumann():
    problem = load_problem("poisson/pure_neumann")
    points, weights = problem.domain.quadrature(4096)
    mean = weights @ pointwise(problem, problem.declaration.exact).at(points) / problem.domain.volume
    assert mean == pytest.approx(problem.declaration.mean.value, abs=1e-12)
