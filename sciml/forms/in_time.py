"""Forms that are sums of products g(t) · (a form that does not know the time)."""

from __future__ import annotations

from typing import Any

import ufl
from ufl import classes

from sciml.forms.lowering import depends_on, lower, nodes, replace_in_form, scalar_components

__all__ = ["SeparatedForm", "separated", "separated_terms"]

_OF_PLACE = (
    classes.SpatialCoordinate,
    classes.Coefficient,
    classes.Argument,
    classes.GeometricQuantity,
)

SeparatedForm = list[tuple[Any, ufl.Form]]


class _InseparableError(Exception):
    """A factor that knows both place and time."""


def separated(form: ufl.Form, t: Any, zero: Any = None) -> SeparatedForm | None:
    """Write a form as Σ g_k(t) F_k with forms F_k that the time does not occur in.

    Parameters
    ----------
    form : ufl.Form
    t : ufl.Constant
    zero : ufl.Coefficient, optional
        Taken as zero wherever it occurs.

    Returns
    -------
    list of (g, ufl.Form), or None
        None where some factor depends on place and time together, as for a source that moves.
    """
    if zero is not None:
        form = replace_in_form(form, {zero: ufl.zero(zero.ufl_shape) if zero.ufl_shape else ufl.classes.Zero()})
    found: dict[Any, list[Any]] = {}
    for integral in form.integrals():
        terms = separated_terms(integral.integrand(), t)
        if terms is None:
            return None
        for factor, rest in terms:
            if not isinstance(rest, classes.Zero) and not isinstance(factor, classes.Zero):
                found.setdefault(factor, []).append(integral.reconstruct(integrand=rest))
    return [(factor, ufl.Form(integrals)) for factor, integrals in found.items()]


def separated_terms(expression: Any, t: Any) -> list[tuple[Any, Any]] | None:
    """A scalar expression as products (g(t), rest); None where it is no such sum."""
    (scalar,) = scalar_components(lower(ufl.as_ufl(expression)))
    try:
        return _terms(scalar, t)
    except _InseparableError:
        return None


def _terms(node: Any, t: Any) -> list[tuple[Any, Any]]:
    one = ufl.as_ufl(1.0)
    if not depends_on(node, t):
        return [(one, node)]
    if not any(isinstance(part, _OF_PLACE) for part in nodes(node)):
        return [(node, one)]
    if isinstance(node, classes.Sum):
        return [term for operand in node.ufl_operands for term in _terms(operand, t)]
    if isinstance(node, classes.Product):
        left, right = (_terms(operand, t) for operand in node.ufl_operands)
        return [(g * h, a * b) for g, a in left for h, b in right]
    if isinstance(node, classes.Division):
        above, below = node.ufl_operands
        bottom = _terms(below, t)
        if len(bottom) == 1:
            return [(g / bottom[0][0], a / bottom[0][1]) for g, a in _terms(above, t)]
    raise _InseparableError
