"""Named quantities of interest: a UFL functional, or a value at a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import ufl

from sciml.errors import DeclarationError
from sciml.problem.domain import Domain
from sciml.problem.measures import part_name
from sciml.problem.symbols import has_normal

__all__ = ["PointValue", "Quantity", "as_quantity"]


@dataclass(frozen=True, eq=False)
class PointValue:
    """The value of a scalar expression at a point, such as a tip displacement.

    Attributes
    ----------
    expression : UFL expression
        Scalar, in the unknown and its derivatives.
    at : sequence of float, or UFL vector
        The point, in the domain; it may contain parameters.

    Examples
    --------
    >>> {"tip": PointValue(u[1], at=(48.0, 60.0))}
    """

    expression: Any
    at: Any


Quantity = ufl.Form | PointValue


def as_quantity(name: str, value: Any, domain: Domain) -> Quantity:
    """Check one declared quantity: its shape, and that the parts it names exist."""
    if isinstance(value, PointValue):
        return _as_point_value(name, value, domain)
    if not isinstance(value, ufl.Form):
        raise DeclarationError(
            f"Quantity {name!r} is {type(value).__name__}; it takes an integral (expression * dx, expression * "
            f'ds("right")) or PointValue(expression, at=point).'
        )
    if value.arguments():
        raise DeclarationError(f"Quantity {name!r} contains a test function; a functional has none.")
    check_parts(f"quantity {name!r}", value, domain)
    return value


def _as_point_value(name: str, value: PointValue, domain: Domain) -> PointValue:
    at: Any = ufl.as_vector(list(value.at)) if isinstance(value.at, (tuple, list, np.ndarray)) else ufl.as_ufl(value.at)
    expression: Any = ufl.as_ufl(value.expression)
    if at.ufl_shape != (domain.dim,) or expression.ufl_shape != ():
        raise DeclarationError(
            f"Quantity {name!r} needs a scalar expression and a point with {domain.dim} coordinates."
        )
    if has_normal(expression):
        raise DeclarationError(f"Quantity {name!r} contains the normal, which a point does not have; use it in ds.")
    return PointValue(expression, at)


def check_parts(what: str, form: ufl.Form, domain: Domain) -> None:
    """Refuse integrals over parts that the domain lacks, and the normal inside of the domain.

    Raises
    ------
    ConditionError, DeclarationError
        A boundary or region that does not exist, a number in place of a name, or the normal in an integral
        over the domain.
    """
    for integral in form.integrals():
        if integral.integral_type() not in ("cell", "exterior_facet"):
            raise DeclarationError(f"In {what} there is an integral over interior facets; use dx or ds.")
        if integral.integral_type() == "cell" and has_normal(integral.integrand()):
            raise DeclarationError(
                f"In {what} the normal stands in an integral over the domain (dx); it exists on the boundary only: "
                f"use ds."
            )
        numbers: Any = integral.subdomain_id()
        for number in numbers if isinstance(numbers, tuple) else (numbers,):
            if number in ("everywhere", "otherwise"):
                continue
            name = part_name(number)
            if integral.integral_type() == "exterior_facet":
                domain.elements(name)
            elif name not in domain.region_groups:
                known = ", ".join(sorted(domain.region_groups)) or "none"
                raise DeclarationError(f"In {what} there is the region {name!r}; this domain has: {known}.")
