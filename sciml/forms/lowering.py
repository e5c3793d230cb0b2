"""From UFL as it is written to scalar expressions in coordinates, constants and derivatives of fields."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import ufl
from ufl import classes
from ufl.algorithms import strip_variables
from ufl.algorithms.apply_algebra_lowering import apply_algebra_lowering
from ufl.algorithms.apply_derivatives import apply_derivatives
from ufl.algorithms.expand_indices import expand_indices
from ufl.algorithms.remove_complex_nodes import remove_complex_nodes
from ufl.corealg.traversal import unique_post_traversal

__all__ = [
    "Derivative",
    "depends_on",
    "field_derivative",
    "flat_index",
    "lower",
    "nodes",
    "scalar_components",
    "time_derivative",
]


class Derivative(NamedTuple):
    """A partial derivative of one component of a field.

    Attributes
    ----------
    component : int
        Flat index of the component; 0 for a scalar field.
    axes : tuple of int
        Coordinates differentiated by, in ascending order; ``()`` is the value itself, ``(0, 0)`` is ∂²/∂x₀².
    """

    component: int
    axes: tuple[int, ...] = ()


def lower(expression: Any) -> Any:
    """Rewrite div, sym, inner … into sums, products and ``Grad`` of fields, with derivatives applied."""
    return _lowered(expression)


@functools.lru_cache(maxsize=512)  # The members of a family ask for the same again and again.
def _lowered(expression: Any) -> Any:
    expression = apply_derivatives(apply_algebra_lowering(expression))
    return strip_variables(remove_complex_nodes(apply_derivatives(expression)))


def time_derivative(expression: Any, t: Any, order: int = 1) -> Any:
    """∂ᵏ/∂tᵏ of an expression in the constant t."""
    for _ in range(order):
        variable: Any = ufl.variable(t)
        expression = lower(ufl.diff(ufl.replace(lower(expression), {t: variable}), variable))
    return expression


def scalar_components(expression: Any) -> list[Any]:
    """The components of an expression, lowered and free of index notation, in row-major order."""
    lowered = lower(expression)
    indices = itertools.product(*map(range, lowered.ufl_shape))
    return [expand_indices(lowered[index] if index else lowered) for index in indices]


def nodes(*expressions: Any) -> Iterator[Any]:
    """All nodes below some expressions, operands first, each once."""
    seen = set()
    for expression in expressions:
        for node in unique_post_traversal(expression):
            if node not in seen:
                seen.add(node)
                yield node


def depends_on(expression: Any, terminal: Any) -> bool:
    """Whether `terminal` occurs in a (lowered) expression."""
    return any(node == terminal for node in nodes(expression))


def flat_index(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """Row-major position of an index."""
    position = 0
    for i, n in zip(index, shape):
        position = position * n + i
    return position


def field_derivative(node: Any, index: tuple[int, ...]) -> tuple[Any, Derivative] | None:
    """Read ``Grad(Grad(f))[index]`` as (f, derivative); None if `node` is not a derivative of a field."""
    order = 0
    while isinstance(node, classes.Grad):
        node, order = node.ufl_operands[0], order + 1
    if not isinstance(node, classes.Coefficient):
        return None
    split = len(index) - order
    component = flat_index(index[:split], node.ufl_shape)
    return node, Derivative(component, tuple(sorted(index[split:])))


def replace_in_form(form: ufl.Form, mapping: dict[Any, Any]) -> ufl.Form:
    """``ufl.replace`` for each integrand, keeping measures as they are."""
    return ufl.Form([i.reconstruct(integrand=ufl.replace(i.integrand(), mapping)) for i in form.integrals()])
