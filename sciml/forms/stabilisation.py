"""Streamline upwinding (SUPG), derived from the law: terms that keep advection from oscillating.

With the wind b, the diffusivity κ and the reaction σ of :mod:`sciml.forms.advection`, the weak form gets in every cell

    ∫ τ b·∇v (damping ∂u/∂t − div flux + reaction − load) dx,

the strong residual tested along the wind. The exact solution makes it vanish, so that orders of convergence are kept.
For elements of degree p and with the gradients gₐ of the cell's linear (corner) functions,

    τ = [(p Σₐ |b·gₐ|)² + (6 p² Σₐ gₐ·κ gₐ)² + σ²]^(−½),

for P1 in one dimension the formula of Shakib, [(2|b|/h)² + 9 (4κ/h²)² + σ²]^(−½): 2|b|/Σₐ|b·gₐ| is the length of the
cell along the wind. The length of a step in time does not enter: for a steady wind the scheme is stable for all steps
without, and with it the terms would vanish as steps get shorter.

A. N. Brooks, T. J. R. Hughes, Comput. Methods Appl. Mech. Eng. 32 (1982) 199; F. Shakib, T. J. R. Hughes, Z. Johan,
ibid. 89 (1991) 141; T. E. Tezduyar, Y. J. Park, ibid. 59 (1986) 307 (length of a cell); V. John, J. Novo, SIAM J.
Numer. Anal. 49 (2011) 1149 (in time).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import ufl

from sciml.forms.advection import Transport, transport
from sciml.forms.balance import balance
from sciml.forms.lowering import depends_on, lower
from sciml.problem import Problem, symbol

__all__ = ["Stabilisation", "stabilisation"]

_DIFFUSION = 6.0
_TINY = 1e-60
"""Square of a rate, so that τ b is zero where nothing happens at all."""


@dataclass(frozen=True, eq=False)
class Stabilisation:
    """Terms that are added to the weak form, in the problem's symbols.

    Attributes
    ----------
    residual : ufl.Form
        ∫ τ b·∇v (−div flux + reaction − s load) dx.
    damping : ufl.Form or None
        ∫ τ b·∇v damping ∂u/∂t dx, with the problem's symbol for ∂u/∂t; None for a law without it.
    frame : ufl.Coefficient, shape (dim, dim)
        Stands for the inverse Jacobian ∂ξ/∂x of the cell's map.
    steady : bool
        Whether τ b depends neither on the unknown nor on the time.
    """

    residual: ufl.Form
    damping: ufl.Form | None
    frame: Any
    steady: bool


def stabilisation(problem: Problem, load_factor: Any, degree: int, simplex: bool) -> Stabilisation:
    """The terms for elements of a degree on simplices (or on quadrilaterals and the like).

    Parameters
    ----------
    problem : Problem
        With an advective part.
    load_factor : ufl.Constant
        s, as in the weak form.
    degree : int
    simplex : bool
    """
    declared, law = problem.declaration, balance(problem)
    frame = symbol(problem.dim, (problem.dim, problem.dim))
    gradients = corner_gradients([frame[i, :] for i in range(problem.dim)], simplex)
    residual = -ufl.div(law.flux) + law.reaction - load_factor * law.load
    terms, rates, steady = [], [], True
    for carried in transport(problem):
        upwind = _upwind(problem, carried, gradients, degree)
        steady &= not any(depends_on(lower(upwind), name) for name in (declared.u, declared.t))
        terms.append(upwind * _component(problem, residual, carried))
        if declared.damping is not None:
            rates.append(upwind * declared.damping * _component(problem, declared.rates[0], carried))
    damping = sum(rates[1:], rates[0]) * problem.dx if rates else None
    return Stabilisation(sum(terms[1:], terms[0]) * problem.dx, damping, frame, steady)


def corner_gradients(rows: list[Any], simplex: bool) -> list[Any]:
    """Gradients of a cell's linear functions, in the middle of the cell, from the rows of ∂ξ/∂x."""
    if simplex:
        return [*rows, -sum(rows[1:], rows[0])]
    share = 0.5 ** (len(rows) - 1)
    signs = itertools.product((1, -1), repeat=len(rows))
    return [share * sum((s * row for s, row in zip(sign[1:], rows[1:])), sign[0] * rows[0]) for sign in signs]


def _upwind(problem: Problem, carried: Transport, gradients: list[Any], degree: int) -> Any:
    """τ b·∇v."""
    wind, spread = carried.velocity, carried.diffusivity
    advection = degree * sum(abs(ufl.dot(wind, g)) for g in gradients)
    diffusion = _DIFFUSION * degree**2 * sum(ufl.dot(g, ufl.dot(spread, g)) for g in gradients)
    rate: Any = advection**2 + diffusion**2 + carried.reaction**2
    slope = ufl.grad(_component(problem, problem.declaration.v, carried))
    along: Any = ufl.dot(wind, slope)
    return along / ufl.sqrt(rate + _TINY)


def _component(problem: Problem, expression: Any, carried: Transport) -> Any:
    return expression if problem.shape == () else expression[carried.component]
