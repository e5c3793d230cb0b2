"""The weak form and its Jacobian, still on the abstract mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ufl

from sciml.forms.balance import balance, condition_data
from sciml.problem import Condition, Neumann, Problem, Robin

__all__ = ["WeakForm", "joined_part", "weak_form"]


@dataclass(frozen=True, eq=False)
class WeakForm:
    """F(u; v) = 0 for all test functions v, and its derivative.

    Attributes
    ----------
    residual : ufl.Form
        ∫ flux:∇v + reaction·v − s load·v dx − ∫ s g·v ds (Neumann) − ∫ α (s g − u)·v ds (Robin).
    jacobian : ufl.Form
        ∂F/∂u in a trial direction.
    load_factor : ufl.Constant
        s, between 0 and 1, by which load and boundary data are scaled in load stepping.
    """

    residual: ufl.Form
    jacobian: ufl.Form
    load_factor: ufl.Constant


def joined_part(condition: Condition) -> str:
    """One name for all boundary parts of a condition (the union, so that overlaps count once)."""
    return "|".join(condition.on)


def weak_form(problem: Problem) -> WeakForm:
    """The weak form of a problem, on its own symbols; cached."""
    return problem.derived("weak", lambda: _weak_form(problem))


def _weak_form(problem: Problem) -> WeakForm:
    declared = problem.declaration
    u = declared.u
    factor = ufl.Constant(problem.abstract_mesh)
    form = _volume_terms(problem, factor)
    for condition in declared.conditions:
        if isinstance(condition, (Neumann, Robin)):
            form = form - _boundary_term(problem, condition, factor)
    jacobian = ufl.derivative(form, u, ufl.TrialFunction(u.ufl_function_space()))
    return WeakForm(form, jacobian, factor)


def _volume_terms(problem: Problem, factor: Any) -> ufl.Form:
    declared, dx = problem.declaration, problem.dx
    u, v = declared.u, declared.v
    if declared.weak is not None:
        load = declared.load
        return declared.weak if load is None else declared.weak - factor * ufl.inner(load, v) * dx
    law = balance(problem)
    if declared.energy is not None:
        internal: Any = ufl.derivative(declared.energy * dx, u, v)
    else:
        density: Any = ufl.inner(law.flux, ufl.grad(v))
        internal = (density + ufl.inner(law.reaction, v)) * dx
    return internal - factor * ufl.inner(law.load, v) * dx


def _boundary_term(problem: Problem, condition: Neumann | Robin, factor: Any) -> ufl.Form:
    declared = problem.declaration
    u, v = declared.u, declared.v
    if condition.component is not None:
        u, v = u[condition.component], v[condition.component]
    inflow = factor * condition_data(problem, condition)
    if isinstance(condition, Robin):
        inflow = condition.alpha * (inflow - u)
    return ufl.inner(inflow, v) * problem.ds(joined_part(condition))
