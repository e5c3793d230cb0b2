"""What every problem must do."""

from __future__ import annotations

import warnings
from itertools import product
from typing import Any

import numpy as np
import torch
import ufl
from ufl import classes

from sciml.forms import (
    PointwiseOperator,
    analyse,
    balance,
    boundary_residual,
    check_problem,
    convexity_bounds,
    exact_jet,
    pointwise,
    strong_form,
    strong_residual,
)
from sciml.forms.lowering import scalar_components
from sciml.problem import Periodic, Problem

__all__ = ["ProblemConformance", "at_exact", "summands"]


class ProblemConformance:
    """Tests of one problem; give it by a fixture `problem`.

    Attributes
    ----------
    tolerance : float
        Of the law on the exact solution, relative to the largest term in it.
    boundary_tolerance : float
        Of the conditions on the exact solution, relative to the unknown and its flux; looser where cells follow a
        curved boundary only approximately.
    n_points : int
    """

    tolerance = 1e-12
    boundary_tolerance = 1e-12
    n_points = 200

    def test_declares(self, problem: Problem) -> None:
        """It declares without a warning, and every part of its boundary is covered once."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_problem(problem)
        covered = sum(piece.part.measure for piece in problem.boundary_pieces)
        whole = problem.domain.element_measures().sum()
        assert abs(covered - whole) <= 1e-9 * whole

    def test_parameters(self, problem: Problem) -> None:
        """Values lie inside their ranges, survive being typed, and every parameter says what it is."""
        for name, declared in problem.declared_parameters.items():
            value = problem.parameters.plain()[name]
            assert declared.check(value) == value
            assert declared.parse(str(value)) == value
            assert declared.doc, f"parameter {name!r} has no `doc`"

    def test_other_values_declare_alike(self, problem: Problem) -> None:
        """A copy with the same values is the same problem and shares what was derived."""
        copy = problem.with_parameters(**problem.parameters.plain())
        assert copy.parameters.plain() == problem.parameters.plain()
        assert copy.declaration is problem.declaration

    def test_draws(self, problem: Problem) -> None:
        """Members of a family are reproducible, differ, and keep what has no law."""
        laws = problem.family.laws
        if not laws:
            return
        points = problem.domain.sample(20, np.random.default_rng(0))
        first, again, second = (_drawn(problem.draw(k), points) for k in (0, 0, 1))
        assert first == again
        assert first != second
        kept = set(problem.parameters.plain()) - set(laws)
        assert all(first[name] == problem.parameters.plain()[name] for name in kept)

    def test_a_member_is_rebuilt_from_its_key(self, problem: Problem) -> None:
        """Parameters, seed and index say all about a member."""
        if not problem.family.laws:
            return
        points = problem.domain.sample(20, np.random.default_rng(0))
        member = problem.draw(2, seed=1)
        assert member.member == (1, 2)
        rebuilt = problem.with_parameters(**member.parameters.plain()).with_member(1, 2)
        assert _drawn(rebuilt, points) == _drawn(member, points)

    def test_analysis_agrees_with_itself(self, problem: Problem) -> None:
        """An energy gives a symmetric law, constant coefficients a linear one."""
        facts = analyse(problem).facts()
        assert not facts.has_energy or facts.symmetric
        assert not facts.constant_coefficients or facts.linear
        assert facts.order <= 2

    def test_convexity_holds(self, problem: Problem) -> None:
        """The second derivatives of the energy are within the bounds that it declares, in random states."""
        bounds = convexity_bounds(problem)
        if bounds is None:
            return
        lower, upper = bounds
        hessians = analyse(problem).blocks
        of_gradient = np.diag(np.arange(hessians.shape[1]) < problem.dim * problem.n_components)
        assert np.linalg.eigvalsh(hessians - lower * of_gradient).min() >= -1e-10 * max(lower, 1e-3)
        assert np.linalg.eigvalsh(hessians).max() <= upper * (1 + 1e-10)

    def test_exact_solution_fulfils_the_law(self, problem: Problem) -> None:
        """−div flux + reaction − load vanishes on the exact solution."""
        if problem.declaration.exact is None or problem.declaration.weak is not None:
            return
        points = problem.domain.sample(self.n_points, np.random.default_rng(0))
        residual = at_exact(problem, strong_residual(problem), points)
        terms = [term for part in scalar_components(strong_form(problem)) for term in summands(part)]
        scale = max(np.abs(at_exact(problem, pointwise(problem, term), points)).max() for term in terms)
        assert residual.shape == (self.n_points, *problem.shape)
        assert scale > 0
        assert np.abs(residual).max() <= self.tolerance * scale

    def test_exact_solution_fulfils_the_conditions(self, problem: Problem) -> None:
        """u, flux·n and their combinations are as prescribed on the exact solution, zero where nothing is."""
        if problem.declaration.exact is None or problem.declaration.weak is not None:
            return
        state = [pointwise(problem, e) for e in (problem.declaration.u, balance(problem).flux)]
        for piece in problem.boundary_pieces:
            points, normals = piece.part.sample(self.n_points, np.random.default_rng(0))
            scale = max(np.abs(at_exact(problem, operator, points)).max() for operator in state)
            for component, condition in enumerate(piece.conditions):
                if isinstance(condition, Periodic):
                    continue
                operator = boundary_residual(problem, condition, component)
                residual = at_exact(problem, operator, points, normals)
                assert np.abs(residual).max() <= self.boundary_tolerance * scale, str(condition)

    def test_exact_solution_is_periodic_where_it_should_be(self, problem: Problem) -> None:
        """Identified parts have the same u and the same flux through them, in the components that are periodic."""
        declared = problem.declaration
        if declared.exact is None or declared.weak is not None:
            return
        inside = problem.domain.sample(self.n_points, np.random.default_rng(1))
        for condition in problem.periodic:
            points, normals = problem.domain.part(condition.minus).sample(self.n_points, np.random.default_rng(0))
            chosen = list(condition.components(problem.n_components))
            for state, through in ((declared.u, declared.u), _flux(problem)):
                scale = np.abs(at_exact(problem, pointwise(problem, state), inside)).max()
                operator = pointwise(problem, through)
                pair = (at_exact(problem, operator, x, normals) for x in (points, points + condition.translation))
                here, there = (values.reshape(self.n_points, -1)[:, chosen] for values in pair)
                assert np.abs(here - there).max() <= self.boundary_tolerance * scale, str(condition)


def _flux(problem: Problem) -> tuple[Any, Any]:
    """The flux and its part along the normal."""
    flux = balance(problem).flux
    return flux, ufl.dot(flux, problem.declaration.n)


def _drawn(problem: Problem, points: np.ndarray) -> dict[str, Any]:
    """Parameters and values of the random fields."""
    fields = set(problem.family.laws) - set(problem.declared_parameters)
    return problem.parameters.plain() | {name: problem.realisation(name)(points).tolist() for name in fields}


def summands(expression: Any) -> list[Any]:
    """The terms that a lowered expression adds up, products and quotients of sums multiplied out."""
    operands = expression.ufl_operands
    if isinstance(expression, classes.Sum):
        return [term for operand in operands for term in summands(operand)]
    if isinstance(expression, classes.Product):
        return [a * b for a, b in product(*map(summands, operands))]
    if isinstance(expression, classes.Division):
        return [term / operands[1] for term in summands(operands[0])]
    return [expression]


def at_exact(
    problem: Problem, operator: PointwiseOperator, points: np.ndarray, normals: np.ndarray | None = None
) -> np.ndarray:
    """The value of an operator on the exact solution."""
    jet = {key: torch.tensor(op.at(points)) for key, op in exact_jet(problem, operator.keys).items()}
    normal = None if normals is None else torch.tensor(normals)
    with torch.no_grad():
        return operator(torch.tensor(points), jet, normal=normal).numpy()
