"""The balance law of a problem: flux, reaction and load, whichever way it was declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ufl
from ufl import classes

from sciml.errors import DeclarationError, UnsupportedError
from sciml.forms.lowering import lower, nodes, scalar_components, time_derivative
from sciml.problem import Condition, Dirichlet, Neumann, Problem, Robin, Slot, symbol

__all__ = [
    "Balance",
    "balance",
    "condition_data",
    "constrained_fields",
    "initial_data",
    "rated_components",
    "rows_with_flux",
    "strong_form",
]


@dataclass(frozen=True, eq=False)
class Balance:
    """−div flux + reaction = load, as UFL in the problem's symbols.

    Attributes
    ----------
    flux : UFL, shape of ∇u
    reaction : UFL, shape of u
    load : UFL, shape of u
    manufactured : bool
        Whether the load was made from the exact solution.
    """

    flux: Any
    reaction: Any
    load: Any
    manufactured: bool


def balance(problem: Problem) -> Balance:
    """The balance law; flux and reaction of an energy W are ∂W/∂∇u and ∂W/∂u.

    Raises
    ------
    UnsupportedError
        The problem declares only its weak form.
    DeclarationError
        The energy contains second derivatives, or the law contains a degree-0 unknown.
    """
    return problem.derived("balance", lambda: _balance(problem))


def _balance(problem: Problem) -> Balance:
    declared = problem.declaration
    if declared.weak is not None:
        raise UnsupportedError(
            f"{problem!r} declares only its weak form, so it has no strong form or energy; use the fenics solver."
        )
    zero = classes.Zero(problem.shape)
    if declared.energy is not None:
        flux, reaction = _split_energy(declared.energy, declared.u)
    else:
        still = classes.Zero((*problem.shape, problem.dim))
        flux = still if declared.flux is None else declared.flux
        reaction = zero if declared.reaction is None else declared.reaction
    if declared.load is not None or declared.exact is None:
        return Balance(flux, reaction, zero if declared.load is None else declared.load, False)
    manufactured = ufl.replace(-ufl.div(flux) + reaction, {declared.u: declared.exact})
    for order, factor in ((1, declared.damping), (2, declared.mass)):
        if factor is not None:
            manufactured = manufactured + weighted(factor, time_derivative(declared.exact, declared.t, order))
    return Balance(flux, reaction, manufactured, True)


def initial_data(problem: Problem) -> tuple[Any, Any]:
    """The state u and ∂u/∂t at the start; from the exact solution where none are given.

    The second is None for a law without `mass`, which determines it.
    """
    declared = problem.declaration
    start: dict[Any, Any] = {declared.t: ufl.as_ufl(problem.time.start)}
    value, velocity = declared.initial, declared.initial_velocity
    if value is None:
        value = ufl.replace(declared.exact, start)
    if velocity is None and declared.mass is not None:
        velocity = ufl.replace(time_derivative(declared.exact, declared.t), start)
    return value, velocity


def strong_form(problem: Problem) -> Any:
    """−div flux + reaction − load (+ damping ∂u/∂t + mass ∂²u/∂t²) as a UFL expression."""
    law, declared = balance(problem), problem.declaration
    out = -ufl.div(law.flux) + law.reaction - law.load
    for factor, rate in zip((declared.damping, declared.mass), declared.rates, strict=False):
        if factor is not None:
            out = out + weighted(factor, rate)
    return out


def condition_data(problem: Problem, condition: Condition) -> Any:
    """The data of a condition; taken from the exact solution where none was given.

    For all components at once (shape of the unknown), or a scalar for a condition on one component.
    """
    if condition.value is not None:
        return condition.value
    declared = problem.declaration
    exact = condition.of(declared.exact)
    if isinstance(condition, Dirichlet):
        return exact
    normal_flux = ufl.dot(ufl.replace(balance(problem).flux, {declared.u: declared.exact}), declared.n)
    normal_flux = condition.of(normal_flux)
    if isinstance(condition, Neumann):
        return normal_flux
    assert isinstance(condition, Robin)
    return exact + normal_flux / condition.alpha


def constrained_fields(problem: Problem) -> list[Slot]:
    """The fields of a problem in time that no time derivative acts on."""
    declared = problem.declaration
    factors = [factor for factor in (declared.mass, declared.damping) if factor is not None]
    if not problem.evolves or any(factor.ufl_shape == () for factor in factors):
        return []
    rated = [c for factor in factors for c in rated_components(problem, factor)]
    return [slot for slot in problem.layout if not set(slot.components) & set(rated)]


def rated_components(problem: Problem, factor: Any) -> list[int]:
    """The components that a time derivative with this factor (`mass`, `damping` or none) acts on."""
    components = range(problem.n_components)
    if factor is None or factor.ufl_shape == ():
        return [] if factor is None else list(components)
    return [c for c in components if not isinstance(factor[c], classes.Zero)]


def rows_with_flux(problem: Problem) -> list[bool]:
    """Whether the law of each component has a flux; a constraint such as div u = 0 has none, nor conditions on one."""
    flux = balance(problem).flux
    rows = [flux] if problem.shape == () else [flux[c, :] for c in range(problem.n_components)]
    return [any(not isinstance(entry, classes.Zero) for entry in scalar_components(row)) for row in rows]


def components_without_start(problem: Problem) -> list[int]:
    """The components of constrained fields whose state at the start is not declared: the law gives it."""
    initial = problem.declaration.initial
    if initial is None:
        return []
    return [c for slot in constrained_fields(problem) for c in slot.components if isinstance(initial[c], classes.Zero)]


def weighted(factor: Any, field: Any) -> Any:
    """A factor, or one for each component, times a field."""
    if factor.ufl_shape == ():
        return factor * field
    return ufl.as_vector([factor[c] * field[c] for c in range(field.ufl_shape[0])])


def separate(expression: Any, u: Any, value: Any, gradient: Any) -> Any:
    """Replace u by `value` and ∇u by `gradient` (independent fields) in a first-order expression.

    Raises
    ------
    DeclarationError
        A second derivative of u occurs.
    """
    slope: Any = ufl.grad(u)
    independent: dict[Any, Any] = {slope: gradient, u: value}
    separated = ufl.replace(lower(expression), independent)
    if any(isinstance(node, classes.Grad) and node.ufl_operands[0] == gradient for node in nodes(separated)):
        raise DeclarationError("An energy or flux may depend on u and ∇u only; a second derivative occurs in it.")
    return separated


def _split_energy(energy: Any, u: Any) -> tuple[Any, Any]:
    """(∂W/∂∇u, ∂W/∂u) as expressions in u."""
    shape = ufl.grad(u).ufl_shape
    value, gradient = symbol(shape[-1], u.ufl_shape), symbol(shape[-1], shape)
    separated = separate(energy, u, value, gradient)
    back: dict[Any, Any] = {value: u, gradient: ufl.grad(u)}

    def derivative(field: Any) -> Any:
        variable: Any = ufl.variable(field)
        return ufl.replace(lower(ufl.diff(ufl.replace(separated, {field: variable}), variable)), back)

    return derivative(gradient), derivative(value)


def discontinuous_coefficients(problem: Problem) -> list[str]:
    """Names of coefficients in the flux that have no derivative."""
    providers = dict(problem.coefficient_fields.values())
    found = {
        providers[node].name
        for node in nodes(lower(balance(problem).flux))
        if isinstance(node, classes.Coefficient) and node in providers and not providers[node].smooth
    }
    return sorted(found)
