"""How convex a declared energy is: the bounds of its second derivatives."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ufl.core.expr import Expr

from sciml.errors import DeclarationError
from sciml.forms.pointwise import number
from sciml.problem import Problem

__all__ = ["convexity_bounds"]


def convexity_bounds(problem: Problem) -> tuple[float, float] | None:
    """The bounds λ, Λ of the Hessian of the energy density W in (∇u, u) that `convexity` declares.

    ::

        diag(λ I, 0) ≤ ∂²W/∂(∇u, u)² ≤ Λ I   for all x, u and ∇u;   0 ≤ λ, and Λ may be infinite

    With λ > 0 the energy has one minimiser, and with Λ finite the gradient descent of step 1/Λ in H¹ converges to it
    from everywhere, at a rate that depends on λ/Λ and the domain only.

    Returns
    -------
    (float, float) or None
        With the problem's parameter values; None where nothing is declared.

    Raises
    ------
    DeclarationError
        There is no energy, or the bounds are not two numbers in order.
    """
    declared = problem.convexity
    if declared is None:
        return None
    if problem.declaration.energy is None:
        raise DeclarationError(f"{problem!r} declares `convexity`, which is about an `energy`, but no energy.")
    bounds = declared() if callable(declared) else declared
    if not isinstance(bounds, Sequence) or len(bounds) != 2:
        raise DeclarationError(f"`convexity` is {bounds!r}; it takes two numbers, (lower, upper).")
    lower, upper = (float(number(problem, b)) if isinstance(b, Expr) else float(b) for b in bounds)
    if not 0 <= lower <= upper or math.isinf(lower):
        raise DeclarationError(f"`convexity` is ({lower:g}, {upper:g}); it takes 0 ≤ lower ≤ upper.")
    return lower, upper
