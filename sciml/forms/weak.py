"""The weak form and its Jacobian, still on the abstract mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import ufl

from sciml.forms.balance import balance, condition_data, weighted
from sciml.forms.lowering import depends_on, lower
from sciml.problem import Absorbing, Condition, Neumann, Problem, Robin

__all__ = ["WeakForm", "damping_form", "depends_on_time", "joined_part", "mass_form", "weak_form"]


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
        internal = (_tested(law.flux, ufl.grad(v)) + _tested(law.reaction, v)) * dx
    return internal - factor * ufl.inner(law.load, v) * dx


def _tested(value: Any, test: Any) -> Any:
    """Their inner product; of several fields without the rows that are zero, which no code should be made for."""
    if not isinstance(value, ufl.classes.ListTensor):
        return ufl.inner(value, test)
    terms = [value[i] * test[i] for i in np.ndindex(*value.ufl_shape) if not isinstance(value[i], ufl.classes.Zero)]
    return sum(terms[1:], terms[0]) if terms else ufl.classes.Zero()


def mass_form(problem: Problem) -> ufl.Form | None:
    """∫ mass u·v dx, linear in u and v; None for a law without ∂²u/∂t²."""
    declared = problem.declaration
    return None if declared.mass is None else ufl.inner(weighted(declared.mass, declared.u), declared.v) * problem.dx


def damping_form(problem: Problem) -> ufl.Form | None:
    """∫ damping u·v dx + ∫ impedance u·v ds over absorbing parts; None for a law without ∂u/∂t."""
    declared = problem.declaration
    terms = []
    if declared.damping is not None:
        terms.append(ufl.inner(weighted(declared.damping, declared.u), declared.v) * problem.dx)
    for condition in declared.conditions:
        if isinstance(condition, Absorbing):
            u, v = condition.of(declared.u), condition.of(declared.v)
            terms.append(condition.impedance * ufl.inner(u, v) * problem.ds(joined_part(condition)))
    return sum(terms[1:], terms[0]) if terms else None


def depends_on_time(expression: Any, t: Any) -> bool:
    """Whether the time occurs in an expression or form."""
    if isinstance(expression, ufl.Form):
        return any(depends_on_time(integral.integrand(), t) for integral in expression.integrals())
    return depends_on(lower(ufl.as_ufl(expression)), t)


def _boundary_term(problem: Problem, condition: Neumann | Robin, factor: Any) -> ufl.Form:
    declared = problem.declaration
    u, v = condition.of(declared.u), condition.of(declared.v)
    inflow = factor * condition_data(problem, condition)
    if isinstance(condition, Robin):
        inflow = condition.alpha * (inflow - u)
    return ufl.inner(inflow, v) * problem.ds(joined_part(condition))
