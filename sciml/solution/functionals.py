"""Quantities of interest of any field: integrals by quadrature, values at points."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import ufl

from sciml.errors import UnsupportedError
from sciml.forms.pointwise import number, pointwise
from sciml.problem import PointValue, Problem, part_name
from sciml.solution.field import Field, Rule

__all__ = ["evaluate_expression", "evaluate_quantities"]


def evaluate_quantities(problem: Problem, field: Field) -> dict[str, float]:
    """The problem's quantities of interest of a field.

    Parameters
    ----------
    problem : Problem
    field : Field

    Returns
    -------
    dict from name to float
    """
    if problem.dim > 3 and problem.declaration.quantities:
        raise UnsupportedError("Quantities of interest are evaluated in up to three dimensions.")
    return {name: _evaluate(problem, field, quantity) for name, quantity in problem.declaration.quantities.items()}


def _evaluate(problem: Problem, field: Field, quantity: Any) -> float:
    if isinstance(quantity, PointValue):
        rule = Rule(number(problem, quantity.at)[None, :], np.ones(1))
        return float(evaluate_expression(problem, field, quantity.expression, rule)[0])
    return sum(_integral(problem, field, integral) for integral in quantity.integrals())


def _integral(problem: Problem, field: Field, integral: ufl.Integral) -> float:
    numbers = integral.subdomain_id()
    names = () if numbers in ("everywhere", "otherwise") else tuple(map(part_name, _tuple(numbers)))
    rule = (
        _volume_rule(problem, field, names)
        if integral.integral_type() == "cell"
        else _boundary_rule(problem, field, names)
    )
    return float(rule.weights @ evaluate_expression(problem, field, integral.integrand(), rule))


def _tuple(numbers: Any) -> tuple[int, ...]:
    return numbers if isinstance(numbers, tuple) else (numbers,)


def _volume_rule(problem: Problem, field: Field, regions: tuple[str, ...]) -> Rule:
    rule = field.rule()
    if not regions:
        return rule
    domain = problem.domain
    chosen = np.unique(np.concatenate([domain.region_groups[name] for name in regions]))
    inside = np.isin(domain.locate(rule.points), chosen)
    return Rule(rule.points[inside], rule.weights[inside], None if rule.cells is None else rule.cells[inside])


def _boundary_rule(problem: Problem, field: Field, names: tuple[str, ...]) -> Rule:
    part = problem.domain.part(names or "boundary")
    points, normals, weights = part.quadrature(8192)
    return Rule(points, weights, normals=normals)


def evaluate_expression(problem: Problem, field: Field, expression: Any, rule: Rule) -> np.ndarray:
    """Values ``(n, *shape)`` of an expression of the problem's unknown at the points of a rule."""
    operator = pointwise(problem, expression)
    x = torch.tensor(rule.points, dtype=torch.float64)
    normal = None if rule.normals is None else torch.tensor(rule.normals, dtype=torch.float64)
    jet = field.jet(rule, operator.keys)
    with torch.no_grad():
        return operator(x, jet, normal=normal).numpy()
