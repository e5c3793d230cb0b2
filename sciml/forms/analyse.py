"""What a declaration says of itself: linear, symmetric, monotone, and who can therefore solve it.

Structure (what occurs where) is read off the expressions. Symmetry and monotonicity are decided from the
Jacobian blocks of the law at random states; a counterexample is proof, its absence over the states sampled is
reported as such. In every state, with w = (∇u, u) and the bilinear form of the linearised law

    a(δu, v) = ∫ [∇v, v] · M [∇δu, δu] dx,      M = [[∂flux/∂∇u, ∂flux/∂u], [∂reaction/∂∇u, ∂reaction/∂u]],

symmetric means M = Mᵀ, monotone means that the symmetric part of M is positive semidefinite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import ufl
from ufl import classes

from sciml.errors import ScimlError
from sciml.forms.balance import balance, discontinuous_coefficients, separate
from sciml.forms.lowering import Derivative, lower, nodes, scalar_components
from sciml.forms.pointwise import PointwiseOperator
from sciml.forms.program import Program
from sciml.problem import Box, Condition, Neumann, Problem, Robin, symbol

__all__ = ["Analysis", "analyse"]

_STATES = 64


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
        return _jacobian_blocks(self.problem)

    @cached_property
    def symmetric(self) -> bool | None:
        """Whether the linearised law is symmetric, in all states sampled; proven where an energy is declared."""
        if self.weak_only:
            return None
        if self.has_energy:
            return True
        matrices = self.blocks
        scale = np.abs(matrices).max() or 1.0
        return bool(np.abs(matrices - matrices.transpose(0, 2, 1)).max() <= 1e-10 * scale)

    @cached_property
    def monotone(self) -> bool | None:
        """Whether M is positive semidefinite in all states sampled."""
        if self.weak_only:
            return None
        return self._smallest_eigenvalue() >= -1e-10

    def _smallest_eigenvalue(self) -> float:
        """Smallest eigenvalue of the symmetric part of M over all states, relative to its magnitude there."""
        matrices = self.blocks
        symmetric = (matrices + matrices.transpose(0, 2, 1)) / 2
        eigenvalues = np.linalg.eigvalsh(symmetric)
        return float((eigenvalues[:, 0] / np.maximum(np.abs(eigenvalues).max(axis=1), 1e-300)).min())

    @cached_property
    def constant_coefficients(self) -> bool | None:
        """Whether the linearised law depends neither on u nor on the place."""
        if self.weak_only:
            return None
        return self.linear and not any(_varies(entry) for entry in self._entries)

    @cached_property
    def _entries(self) -> list[Any]:
        """Entries of M as lowered UFL, row-major."""
        return _jacobian_entries(self.problem)

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
        return named + (["a conditional"] if _jumps(self.problem, balance(self.problem).flux) else [])

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
        return _free_modes(self.problem, self)

    @cached_property
    def pure_neumann(self) -> bool:
        """Whether the solution of a scalar problem is determined up to a constant only."""
        return bool(self.free_modes) and self.problem.shape == ()

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


# -- structure -------------------------------------------------------------------------------------------


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


# -- the Jacobian of the law -----------------------------------------------------------------------------


def _jacobian_entries(problem: Problem) -> list[Any]:
    u = problem.declaration.u
    law = balance(problem)
    gradient, value = symbol(problem.dim, ufl.grad(u).ufl_shape), symbol(problem.dim, u.ufl_shape)
    variables: dict[Any, Any] = {gradient: ufl.variable(gradient), value: ufl.variable(value)}
    rows = [
        ufl.replace(row, variables)
        for part in (law.flux, law.reaction)
        for row in _flat(separate(part, u, value, gradient))
    ]
    return [entry for row in rows for v in variables.values() for entry in scalar_components(ufl.diff(row, v))]


def _flat(expression: Any) -> list[Any]:
    indices = np.ndindex(*expression.ufl_shape)
    return [expression[index] if index else expression for index in indices]


def random_states(
    problem: Problem, n: int, keys: Any, seed: int = 0
) -> tuple[torch.Tensor, dict[Derivative, torch.Tensor]]:
    """Random points of the domain with random jets: values and derivatives of mixed size and sign."""
    generator = np.random.default_rng(seed)
    x = torch.tensor(problem.domain.sample(n, generator), dtype=torch.float64)
    size = 10.0 ** generator.uniform(-2, 0.5, (n, 1))
    states = generator.standard_normal((n, max(len(keys), 1))) * size
    return x, {key: torch.as_tensor(states[:, k]) for k, key in enumerate(keys)}


def _jacobian_blocks(problem: Problem) -> np.ndarray:
    """Numerical M: derivatives of flux and reaction at random states."""
    law = balance(problem)
    u = problem.declaration.u
    rows = ufl.as_vector(_flat(lower(law.flux)) + _flat(lower(law.reaction)))
    operator = PointwiseOperator(problem, Program(rows, u))
    k, d = problem.n_components, problem.dim
    keys = [Derivative(c, (a,)) for c in range(k) for a in range(d)] + [Derivative(c) for c in range(k)]
    if set(operator.keys) - set(keys):
        raise ScimlError("The flux contains second derivatives of the unknown, which this law may not.")
    x, jet = random_states(problem, _STATES, keys)
    states = torch.stack([jet[key] for key in keys], dim=1).requires_grad_(True)
    values = operator(x, {key: states[:, j] for j, key in enumerate(keys)})
    gradients = [
        torch.autograd.grad(row.sum(), states, retain_graph=True, allow_unused=True, materialize_grads=True)[0]
        if row.requires_grad
        else torch.zeros_like(states)
        for row in values.unbind(dim=1)
    ]
    matrices = torch.stack(gradients, dim=1).numpy()
    return matrices[np.isfinite(matrices).all(axis=(1, 2))]


# -- discontinuities -------------------------------------------------------------------------------------


def _jumps(problem: Problem, expression: Any) -> bool:
    """Whether a conditional in the expression jumps where its condition changes, found by bisection."""
    lowered = scalar_components(expression)
    conditionals = [node for node in nodes(*lowered) if isinstance(node, classes.Conditional)]
    return any(_conditional_jumps(problem, node) for node in conditionals)


def _conditional_jumps(problem: Problem, node: Any) -> bool:
    condition, yes, no = node.ufl_operands
    u = problem.declaration.u
    switch = PointwiseOperator(problem, Program(ufl.conditional(condition, 1.0, 0.0), u))
    branches = PointwiseOperator(problem, Program(ufl.as_vector([yes, no]), u))
    keys = sorted({*switch.keys, *branches.keys})
    x, jet = random_states(problem, 4 * _STATES, keys)
    half = len(x) // 2

    def at(operator: PointwiseOperator, weight: torch.Tensor) -> torch.Tensor:
        mixed = {key: (1 - weight) * jet[key][:half] + weight * jet[key][half:] for key in keys}
        return operator((1 - weight[:, None]) * x[:half] + weight[:, None] * x[half:], mixed)

    low, high = torch.zeros(half, dtype=x.dtype), torch.ones(half, dtype=x.dtype)
    first = at(switch, low)
    crossing = first != at(switch, high)
    if not bool(crossing.any()):
        return False
    for _ in range(50):
        middle = (low + high) / 2
        same = at(switch, middle) == first
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    values = at(branches, low)[crossing]
    gap = (values[:, 0] - values[:, 1]).abs()
    return bool((gap > 1e-6 * (1e-12 + values.abs().amax(dim=1))).any())


# -- what holds the solution -----------------------------------------------------------------------------


def _rigid_modes(problem: Problem) -> list[tuple[str, Callable[[np.ndarray], np.ndarray], np.ndarray]]:
    """Translations and, for displacement-like unknowns, rotations: (name, mode(points) → (n, k), gradient)."""
    k, d = problem.n_components, problem.dim
    modes = []
    for c in range(k):
        name = "the constant" if problem.shape == () else f"translation of component {c}"
        modes.append((name, lambda x, c=c: np.eye(k)[c] * np.ones((len(x), 1)), np.zeros((k, d))))
    if k == d and d > 1:
        centre = (problem.domain.lower + problem.domain.upper) / 2
        for i in range(d):
            for j in range(i + 1, d):
                spin = np.zeros((d, d))
                spin[i, j], spin[j, i] = -1.0, 1.0
                modes.append((f"rotation in the x{i}-x{j} plane", lambda x, s=spin: (x - centre) @ s.T, spin))
    return modes


def _free_modes(problem: Problem, analysis: Analysis) -> list[str]:
    if analysis.weak_only:
        return []
    size = problem.domain.size
    names, modes, gradients = zip(*_rigid_modes(problem))
    matrices = analysis.blocks
    rows, scale = [], np.abs(matrices).max() or 1.0
    generator = np.random.default_rng(0)
    points = problem.domain.sample(len(matrices), generator)
    strains = [
        np.concatenate([np.tile(g.ravel(), (len(points), 1)), m(points)], axis=1) for m, g in zip(modes, gradients)
    ]
    rows.append(np.stack([np.einsum("nij,nj->ni", matrices, s).ravel() / scale for s in strains], axis=1))
    for piece in problem.boundary_pieces:
        samples, _ = piece.part.sample(16, generator)
        values = np.stack([m(samples) for m in modes], axis=2)
        held = [c for c, condition in enumerate(piece.conditions) if _holds(condition)]
        rows.append(values[:, held].reshape(-1, len(modes)) / size ** (problem.shape != ()))
    constraint = np.concatenate(rows)
    _, singular, directions = np.linalg.svd(constraint, full_matrices=True)
    rank = int((singular > 1e-9 * max(singular[0], 1e-300)).sum())
    free = directions[rank:]
    return [names[int(np.argmax(np.abs(mode)))] for mode in free]


def _holds(condition: Condition | None) -> bool:
    return condition is not None and (not isinstance(condition, Neumann)) and not _zero_robin(condition)


def _zero_robin(condition: Condition) -> bool:
    return isinstance(condition, Robin) and isinstance(ufl.as_ufl(condition.alpha), classes.Zero)
