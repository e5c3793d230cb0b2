"""Named quantities of interest: a UFL functional, or a value at a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ufl

from sciml.errors import DeclarationError

__all__ = ["PointValue", "Quantity", "as_quantity"]


@dataclass(frozen=True, eq=False)
class PointValue:
    """The value of a scalar expression at a point, such as a tip displacement.

    Attributes
    ----------
    expression : UFL expression
        Scalar, in the unknown and its derivatives.
    at : sequence of float
        The point, in the domain.

    Examples
    --------
    >>> {"tip": PointValue(u[1], at=(48.0, 60.0))}
    """

    expression: Any
    at: Sequence[float]


Quantity = ufl.Form | PointValue


def as_quantity(name: str, value: Any, dim: int) -> Quantity:
    """Check one declared quantity."""
    if isinstance(value, PointValue):
        point = np.asarray(value.at, dtype=float)
        expression = ufl.as_ufl(value.expression)
        if point.shape != (dim,) or expression.ufl_shape != ():
            raise DeclarationError(f"Quantity {name!r} needs a scalar expression and a point with {dim} coordinates.")
        return PointValue(expression, point)
    if not isinstance(value, ufl.Form):
        raise DeclarationError(
            f"Quantity {name!r} is {type(value).__name__}; it takes an integral (expression * dx, expression * "
            f'ds("right")) or PointValue(expression, at=point).'
        )
    if value.arguments():
        raise DeclarationError(f"Quantity {name!r} contains a test function; a functional has none.")
    return value
