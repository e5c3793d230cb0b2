"""What a law carries along: velocities, diffusivities and reactions of its linearisation, as expressions.

In every state, the balance of one component u of the unknown is, to first order,

    b·∇u − div(κ ∇u) + σ u,     b = ∂reaction/∂∇u − ∂(flux at ∇u = 0)/∂u,   κ = ∂flux/∂∇u,   σ = ∂reaction/∂u.

The part of the flux that is there without a slope is carried by the wind, conservative or not; what vanishes with the
slope diffuses, so that a diffusivity that depends on u makes no wind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import ufl
from ufl import classes

from sciml.forms.balance import balance, separate
from sciml.forms.lowering import depends_on, lower
from sciml.forms.pointwise import PointwiseOperator, pointwise
from sciml.problem import BoundaryPiece, Box, Dirichlet, Neumann, Problem, symbol

__all__ = ["Transport", "entering_without_data", "leaving_with_data", "times_to_try", "transport"]

_SAMPLES = 64
_TANGENTIAL, _TANGENTIAL_TO_FACETS = 1e-8, 0.2
"""b·n/|b| that counts as zero: on a box, and where 16 facets and more follow a circle."""


@dataclass(frozen=True, eq=False)
class Transport:
    """How one component of the unknown is carried along.

    Attributes
    ----------
    component : int
        Flat component of the unknown.
    velocity : UFL, shape (dim,)
        b, in the problem's symbols.
    diffusivity : UFL, shape (dim, dim)
        κ.
    reaction : UFL
        σ.
    """

    component: int
    velocity: Any
    diffusivity: Any
    reaction: Any

    @property
    def diffuses(self) -> bool:
        """Whether there is any diffusion."""
        return not isinstance(self.diffusivity, classes.Zero)


def transport(problem: Problem) -> tuple[Transport, ...]:
    """The components of the unknown that the law carries along; none for an energy, a weak form or several fields."""
    declared = problem.declaration
    if declared.weak is not None or declared.energy is not None or len(problem.layout) > 1:
        return ()
    return problem.derived("transport", lambda: _transport(problem))


def _transport(problem: Problem) -> tuple[Transport, ...]:
    u, dim = problem.declaration.u, problem.dim
    law, slope_shape = balance(problem), ufl.grad(u).ufl_shape
    value, slope = symbol(dim, u.ufl_shape), symbol(dim, slope_shape)
    flux, reaction = (separate(part, u, value, slope) for part in (law.flux, law.reaction))
    back: dict[Any, Any] = {value: u, slope: ufl.grad(u)}

    def derivative(expression: Any, field: Any) -> Any:
        variable: Any = ufl.variable(field)
        return lower(ufl.diff(ufl.replace(expression, {field: variable}), variable))

    carried = _without_slope(derivative(flux, value), slope, slope_shape)
    by_slope, spread, growth = derivative(reaction, slope), derivative(flux, slope), derivative(reaction, value)
    found = []
    for c in range(problem.n_components):
        own = (c,) if u.ufl_shape else ()
        wind = [lower(by_slope[(*own, *own, i)] - carried[(*own, i, *own)]) for i in range(dim)]
        if all(isinstance(entry, classes.Zero) for entry in wind):
            continue
        entries = [[spread[(*own, i, *own, j)] for j in range(dim)] for i in range(dim)]
        found.append(
            Transport(
                c,
                ufl.replace(ufl.as_vector(wind), back),
                ufl.replace(_matrix(entries), back),
                ufl.replace(lower(growth[own + own] if own else growth), back),
            )
        )
    return tuple(found)


def _matrix(entries: list[list[Any]]) -> Any:
    lowered = [[lower(entry) for entry in row] for row in entries]
    if all(isinstance(entry, classes.Zero) for row in lowered for entry in row):
        return classes.Zero((len(entries), len(entries)))
    return ufl.as_matrix(lowered)


def _without_slope(derivative: Any, slope: Any, shape: tuple[int, ...]) -> Any:
    """∂flux/∂u at ∇u = 0; zero for a law that is singular there, all of which vanishes with the slope."""
    if not depends_on(derivative, slope):
        return derivative
    try:
        return lower(ufl.replace(derivative, {slope: classes.Zero(shape)}))
    except ValueError:
        return classes.Zero(derivative.ufl_shape)


def times_to_try(problem: Problem) -> list[Problem]:
    """The problem at the start, the middle and the end of its time; itself if it does not evolve."""
    if not problem.evolves:
        return [problem]
    return [problem.at_time(t) for t in np.linspace(problem.time.start, problem.time.end, 3)]


def leaving_with_data(problem: Problem) -> list[Dirichlet]:
    """Dirichlet conditions of components without diffusion on parts that the wind leaves through.

    Winds that depend on the unknown are not looked at; of those that depend on time, parts count that are outflow at
    the start, the middle and the end.
    """
    found = []
    for carried in _carried(problem):
        for piece in problem.boundary_pieces:
            condition = piece.conditions[carried.component]
            if isinstance(condition, Dirichlet) and condition not in found:
                leaving = np.min([_outward(p, carried, piece) for p in times_to_try(problem)], axis=0)
                if (leaving > _tangential(problem)).any():
                    found.append(condition)
    return found


def entering_without_data(problem: Problem) -> list[np.ndarray]:
    """A point each of the parts through which the wind enters and that prescribe nothing, for laws without a flux."""
    found = []
    for carried in _carried(problem):
        for piece in problem.boundary_pieces:
            condition = piece.conditions[carried.component]
            free = condition is None or (isinstance(condition, Neumann) and not _of_unknown(problem, condition))
            if not free or not isinstance(balance(problem).flux, classes.Zero):
                continue
            entering = np.max([_outward(p, carried, piece) for p in times_to_try(problem)], axis=0)
            if (entering < -_tangential(problem)).any():
                found.append(_samples(piece)[0][int(entering.argmin())])
    return found


def _of_unknown(problem: Problem, condition: Neumann) -> bool:
    return condition.value is not None and depends_on(ufl.as_ufl(condition.value), problem.declaration.u)


def _carried(problem: Problem) -> list[Transport]:
    """Components without diffusion whose wind does not depend on the unknown."""
    return [t for t in transport(problem) if not t.diffuses and not depends_on(t.velocity, problem.declaration.u)]


def _outward(problem: Problem, carried: Transport, piece: BoundaryPiece) -> np.ndarray:
    """b·n at points of a part, in multiples of the largest |b| there."""
    points, normals = _samples(piece)
    program = problem.derived(("velocity", carried.component), lambda: pointwise(problem, carried.velocity).program)
    velocity = PointwiseOperator(problem, program).at(points)
    fastest = np.linalg.norm(velocity, axis=1).max()
    return (velocity * normals).sum(axis=1) / (fastest or 1.0)


def _tangential(problem: Problem) -> float:
    return _TANGENTIAL if isinstance(problem.domain, Box) else _TANGENTIAL_TO_FACETS


def _samples(piece: BoundaryPiece) -> tuple[np.ndarray, np.ndarray]:
    return piece.part.sample(_SAMPLES, np.random.default_rng(0))
