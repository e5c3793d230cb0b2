"""What a declaration says of itself: linear, symmetric, monotone, and who can therefore solve it.

Structure (what occurs where) is read off the expressions. Symmetry and monotonicity are decided from the
Jacobian blocks of the law at random states; a counterexample is proof, its absence over the states sampled is
reported as such. In every state, with w = (∇u, u) and the bilinear form of the linearised law

    a(δu, v) = ∫ [∇v, v] · M [∇δu, δu] dx,      M = [[∂flux/∂∇u, ∂flux/∂u], [∂reaction/∂∇u, ∂reaction/∂u]],

symmetric means M = Mᵀ, monotone means that the symmetric part of M is positive semidefinite.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import ufl
from ufl import classes

from sciml.forms.balance import balance, constrained_fields, discontinuous_coefficients
from sciml.forms.discontinuities import jumps
from sciml.forms.free_modes import constant_modes, free_modes
from sciml.forms.linearised import (
    boundary_blocks,
    is_symmetric,
    jacobian_blocks,
    jacobian_entries,
    smallest_eigenvalue,
)
from sciml.forms.lowering import lower, nodes, scalar_components
from sciml.problem import Box, Problem

__all__ = ["Analysis", "analyse"]


@dataclass(frozen=True)
class Facts:
    """The findings of :func:`analyse`, as plain values; ``None`` where a law has no such property."""

    dim: int
    components: int
    linear: bool
    symmetric: bool | None
    monotone: bool | None
    constant_coefficients: bool | None
    separable: bool | None
    order: int
    has_energy: bool
    has_strong_form: bool
    smooth_coefficients: bool
    pure_neumann: bool
    history: bool
    has_exact: bool


class Analysis:
    """Findings about one problem, computed when asked for.

    Attributes
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @cached_property
    def weak_only(self) -> bool:
        """Whether the law is declared by its weak form alone."""
        return self.problem.declaration.weak is not None

    @cached_property
    def _law(self) -> tuple[list[Any], list[Any]]:
        """Lowered components of (flux, reaction)."""
        law = balance(self.problem)
        return scalar_components(law.flux), scalar_components(law.reaction)

    @cached_property
    def linear(self) -> bool:
        """Whether law and conditions are affine in u: the Jacobian of the weak form is free of u."""
        from sciml.forms.weak import weak_form

        u = self.problem.declaration.u
        jacobian = weak_form(self.problem).jacobian
        return not any(node == u for i in jacobian.integrals() for node in nodes(lower(i.integrand())))

    @cached_property
    def order(self) -> int:
        """Highest derivative of the unknown in the strong form."""
        if self.weak_only:
            return 2 * _highest(self.problem.declaration.weak, self.problem.declaration.u)
        flux, reaction = self._law
        u = self.problem.declaration.u
        return max(1 + max(_derivative_order(e, u) for e in flux), max(_derivative_order(e, u) for e in reaction))

    @property
    def has_energy(self) -> bool:
        """Whether an energy is declared."""
        return self.problem.declaration.energy is not None

    @property
    def has_exact(self) -> bool:
        """Whether the exact solution is declared."""
        return self.problem.declaration.exact is not None

    @property
    def history(self) -> bool:
        """Whether the law carries state; a law that is an expression never does."""
        return False

    @cached_property
    def blocks(self) -> np.ndarray:
        """M at random states, ``(n_states, m, m)``; states where it is not finite are left out.

        Rows and columns are ordered (∇u, u), each row-major.
        """
        return jacobian_blocks(self.problem)

    @cached_property
    def symmetric(self) -> bool | None:
        """Whether the linearised law is symmetric, in all states sampled; proven where an energy is declared."""
        if self.weak_only:
            return None
        matrices = [self.boundary_blocks] if self.has_energy else [self.blocks, self.boundary_blocks]
        return all(is_symmetric(m) for m in matrices if m.size)

    @cached_property
    def monotone(self) -> bool | None:
        """Whether M, and what boundary terms add to it, is positive semidefinite in all states sampled."""
        if self.weak_only:
            return None
        return all(smallest_eigenvalue(m) >= -1e-10 for m in (self.blocks, self.boundary_blocks) if m.size)

    @cached_property
    def boundary_blocks(self) -> np.ndarray:
        """−∂(flux·n)/∂(∇u, u) of Neumann and Robin conditions at random states of the boundary: ``(n, m, m)``.

        Rows of ∇u, which is not tested there, are zero; components that are prescribed are left out.
        """
        return boundary_blocks(self.problem)

    @cached_property
    def constant_coefficients(self) -> bool | None:
        """Whether the linearised law depends neither on u nor on the place."""
        if self.weak_only:
            return None
        return self.linear and not any(_varies(entry) for entry in self._entries)

    @cached_property
    def _entries(self) -> list[Any]:
        """Entries of M as lowered UFL, row-major."""
        return jacobian_entries(self.problem)

    @cached_property
    def separable(self) -> bool | None:
        """Whether the operator is a sum of one-dimensional ones on a box: −Σ ∂ᵢ(aᵢ(xᵢ) ∂ᵢu + …) + c u.

        Then fast direct solvers by tensor-product transforms are legal.
        """
        if self.weak_only:
            return None
        problem = self.problem
        if not (self.linear and isinstance(problem.domain, Box) and problem.shape == ()):
            return False
        entries = np.empty((problem.dim + 1,) * 2, dtype=object)
        entries.flat[:] = self._entries
        return all(
            _coordinates(entries[i, j]) <= {min(i, j)} and (i == j or problem.dim in (i, j))
            if not isinstance(entries[i, j], classes.Zero)
            else True
            for i in range(problem.dim + 1)
            for j in range(problem.dim + 1)
            if (i, j) != (problem.dim, problem.dim)
        ) and not _varies(entries[-1, -1])

    @cached_property
    def discontinuities(self) -> list[str]:
        """What makes the flux discontinuous, in words; empty if nothing does."""
        if self.weak_only:
            return []
        named = [f"coefficient {name!r}" for name in discontinuous_coefficients(self.problem)]
        return named + (["a conditional"] if jumps(self.problem, balance(self.problem).flux) else [])

    @property
    def smooth_coefficients(self) -> bool:
        """Whether the flux is continuous, so that the strong form says everything."""
        return not self.discontinuities

    @cached_property
    def strong_form_obstacle(self) -> str | None:
        """Why there is no strong form to collocate, or None."""
        if self.weak_only:
            return "it declares only its weak form"
        if self.discontinuities:
            return f"its flux is discontinuous ({', '.join(self.discontinuities)}), so it has no strong form"
        return None

    @cached_property
    def free_modes(self) -> list[str]:
        """Rigid modes that neither the law nor the conditions hold, in words; empty if the problem is determined."""
        if self.weak_only:
            return []
        # What evolves is determined by its initial state.
        if self.problem.evolves and not constrained_fields(self.problem):
            return []
        return free_modes(self.problem, self.blocks)

    @cached_property
    def conserves(self) -> bool:
        """Whether the law tests to zero with constants: there is no reaction."""
        k = self.problem.n_components
        return not self.blocks[:, -k:].any()

    @cached_property
    def free_constants(self) -> tuple[int, ...]:
        """The components that are determined up to a constant only; none where other modes are free too."""
        constants = constant_modes(self.problem)
        found = [constants[name] for name in self.free_modes if name in constants]
        return tuple(sorted(found)) if len(found) == len(self.free_modes) else ()

    @property
    def pure_neumann(self) -> bool:
        """Whether the solution is determined up to constants only."""
        return bool(self.free_constants)

    def facts(self) -> Facts:
        """All findings as plain values."""
        return Facts(
            dim=self.problem.dim,
            components=self.problem.n_components,
            linear=self.linear,
            symmetric=self.symmetric,
            monotone=self.monotone,
            constant_coefficients=self.constant_coefficients,
            separable=self.separable,
            order=self.order,
            has_energy=self.has_energy,
            has_strong_form=self.strong_form_obstacle is None,
            smooth_coefficients=self.smooth_coefficients,
            pure_neumann=self.pure_neumann,
            history=self.history,
            has_exact=self.has_exact,
        )

    def as_dict(self) -> dict[str, Any]:
        """All findings as a dictionary."""
        return asdict(self.facts())


def analyse(problem: Problem) -> Analysis:
    """Read a declaration; every finding is computed when it is asked for.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    Analysis
        ``linear``, ``symmetric``, ``monotone``, ``constant_coefficients``, ``separable``, ``order``,
        ``has_energy``, ``smooth_coefficients``, ``history``, ``pure_neumann``, …

    Notes
    -----
    Symmetry and monotonicity are sampled at 64 random states with slopes up to 3 in either sign; a law that
    loses monotonicity only beyond that is reported as monotone.
    """
    cached = problem.__dict__.get("_analysis")
    if cached is None or cached.problem is not problem:
        cached = problem.__dict__["_analysis"] = Analysis(problem)
    return cached


def _derivative_order(expression: Any, u: Any) -> int:
    """Highest derivative of u in a lowered expression; −1 if u does not occur."""
    highest = -1
    for node in nodes(expression):
        order = 0
        inner = node
        while isinstance(inner, classes.Grad):
            inner, order = inner.ufl_operands[0], order + 1
        if inner == u:
            highest = max(highest, order)
    return highest


def _highest(form: ufl.Form, u: Any) -> int:
    return max(_derivative_order(lower(i.integrand()), u) for i in form.integrals())


def _varies(expression: Any) -> bool:
    """Whether a lowered expression depends on the place or on any field."""
    return any(isinstance(node, (classes.SpatialCoordinate, classes.Coefficient)) for node in nodes(expression))


def _coordinates(expression: Any) -> set[int]:
    """Axes whose coordinate occurs; all of them (−1 too) where a field occurs."""
    found = set()
    for node in nodes(expression):
        if isinstance(node, classes.Coefficient):
            found.add(-1)
        if isinstance(node, classes.Indexed) and isinstance(node.ufl_operands[0], classes.SpatialCoordinate):
            index: Any = node.ufl_operands[1]
            found.add(int(index[0]))
    return found
