"""The terms of a collocated problem: what must vanish, where, in multiples of which size, with which weight.

The strong residual is one term for each equation, each part of the boundary one for each component that a condition
speaks of, the start one for each component that has a state there, and a prescribed mean value one more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sciml.forms import (
    Derivative,
    PointwiseOperator,
    boundary_residual,
    constrained_fields,
    initial_residual,
    number,
    rated_components,
    rows_with_flux,
    strong_residual,
)
from sciml.nn import Scales
from sciml.problem import Box, Condition, Dirichlet, Part, Periodic, Problem
from sciml.sampling import timed

__all__ = ["Average", "Kind", "Term", "condition_terms", "equation_terms"]

Kind = Literal["equation", "dirichlet", "flux", "initial", "mean"]

_FEWEST = 16
_MEAN_POINTS = 512
_MEAN_INSTANTS = 16
_GAUSS_POINTS = 100


@dataclass(frozen=True)
class Average:
    """A mean value that is prescribed.

    Attributes
    ----------
    weights : (q,) array
        Of a quadrature rule; they sum to one.
    instants : int
        How many times the rule stands among the points, one instant after the other.
    wanted : float
        The mean value.
    """

    weights: np.ndarray
    instants: int
    wanted: float


@dataclass(frozen=True)
class Term:
    """One thing that must vanish at points.

    Attributes
    ----------
    name : str
        For people and for the record.
    kind : str
        equation, dirichlet, flux (Neumann, Robin, absorbing and natural parts), initial or mean.
    component : int
        Flat component of the unknown, or number of the equation.
    operator : PointwiseOperator or None
        The residual; of an equation, all components of the law; None for a mean value, which reads u alone.
    size : float
        Typical size of the residual.
    weight : float
        Of the term's mean square in a loss.
    points : (n, dim) array
        With their time last in problems that run in time.
    normals : (n, dim) array or None
        Outward, on the boundary.
    average : Average or None
        Of a mean value.
    rows : slice
        Where the term stands in a system of several; empty until it is laid out.
    """

    name: str
    kind: Kind
    component: int
    operator: PointwiseOperator | None
    size: float
    weight: float
    points: np.ndarray
    normals: np.ndarray | None = None
    average: Average | None = None
    rows: slice = slice(0, 0)

    @property
    def n_rows(self) -> int:
        """Residuals: one for each point, or one for each instant of a mean value."""
        return len(self.points) if self.average is None else self.average.instants

    @property
    def keys(self) -> tuple[Derivative, ...]:
        """The derivatives of the unknown that it needs."""
        return (Derivative(self.component),) if self.operator is None else tuple(self.operator.keys)


def equation_terms(problem: Problem, scales: Scales, points: np.ndarray) -> list[Term]:
    """The strong residual at points of the domain, one term of weight 1 for each equation."""
    operator = strong_residual(problem)
    names = [
        f"equation of {slot.name}" + (f", component {k}" if slot.size > 1 else "")
        for slot in problem.layout
        for k in range(slot.size)
    ]
    return [
        Term(name, "equation", component, operator, size, 1.0, points)
        for component, (name, size) in enumerate(zip(names, scales.residuals, strict=True))
    ]


def condition_terms(
    problem: Problem,
    scales: Scales,
    *,
    hard: bool,
    boundary_points: int,
    boundary_weight: float,
    flux_weight: float,
    generator: np.random.Generator,
) -> list[Term]:
    """What holds on the boundary, in the mean and at the start, in this order.

    Parameters
    ----------
    problem : Problem
    scales : Scales
        Of it.
    hard : bool
        Whether Dirichlet conditions are built into the network, so that they are no terms.
    boundary_points : int
        On the whole boundary (at least 16 a part), and at the start.
    boundary_weight, flux_weight : float
        Weights of each term in u (Dirichlet conditions, mean values, the start), and of each in the flux.
    generator : numpy Generator
        For the points.
    """
    weights = {"dirichlet": boundary_weight, "flux": flux_weight}
    terms = _boundary_terms(problem, scales, hard, boundary_points, weights, generator)
    terms += [
        _mean_term(
            problem, scales, component, float(number(problem, mean.entry(component))), boundary_weight, generator
        )
        for mean in problem.declaration.means
        for component in mean.components(problem.n_components)
    ]
    if problem.evolves:
        terms += _initial_terms(problem, scales, boundary_points, boundary_weight, generator)
    return terms


def _boundary_terms(
    problem: Problem,
    scales: Scales,
    hard: bool,
    total: int,
    weights: dict[str, float],
    generator: np.random.Generator,
) -> list[Term]:
    pieces = problem.boundary_pieces
    whole = sum(piece.part.measure for piece in pieces)
    with_flux = rows_with_flux(problem)
    terms = []
    for piece in pieces:
        n = max(_FEWEST, round(total * piece.part.measure / whole))
        points, normals = _spread(problem, piece.part, n, generator)
        for component, condition in enumerate(piece.conditions):
            # Periodicity is built into the network's inputs.
            built_in = isinstance(condition, Periodic) or (hard and isinstance(condition, Dirichlet))
            # Where a constraint has no condition, its flux is zero whatever u is.
            says_nothing = condition is None and not with_flux[component]
            if not (built_in or says_nothing):
                terms.append(_boundary_term(problem, scales, condition, component, points, normals, weights))
    return terms


def _spread(problem: Problem, part: Part, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points on a part; a part of isolated points (the end of an interval) needs each only once, or at many times."""
    points, normals = part.sample(n, generator)
    if problem.evolves:
        return timed(problem, points, generator), normals
    if part.domain.dim == 1:
        points, first = np.unique(points, axis=0, return_index=True)
        normals = normals[first]
    return points, normals


def _boundary_term(
    problem: Problem,
    scales: Scales,
    condition: Condition | None,
    component: int,
    points: np.ndarray,
    normals: np.ndarray,
    weights: dict[str, float],
) -> Term:
    kind: Kind = "dirichlet" if isinstance(condition, Dirichlet) else "flux"
    size = (scales.unknowns if kind == "dirichlet" else scales.fluxes)[component]
    name = f"{'natural' if condition is None else condition}, component {component}"
    operator = boundary_residual(problem, condition, component)
    return Term(name, kind, component, operator, size, weights[kind], points, normals)


def _initial_terms(
    problem: Problem, scales: Scales, n: int, weight: float, generator: np.random.Generator
) -> list[Term]:
    """The state at the start, and its rate where the law has mass; a constrained field has no start of its own."""
    space = problem.domain.quasi_random(n, generator)
    points = np.column_stack([space, np.full(n, problem.time.start)])
    constrained = {c for slot in constrained_fields(problem) for c in slot.components}
    heavy = rated_components(problem, problem.declaration.mass)
    return [
        Term(
            f"{'velocity' if velocity else 'state'} at the start, component {c}",
            "initial",
            c,
            initial_residual(problem, c, velocity=velocity),
            scales.unknowns[c] / (problem.time.duration if velocity else 1.0),
            weight,
            points,
        )
        for c in range(problem.n_components)
        if c not in constrained
        for velocity in ([False, True] if c in heavy else [False])
    ]


def _mean_term(
    problem: Problem, scales: Scales, component: int, wanted: float, weight: float, generator: np.random.Generator
) -> Term:
    """The mean value of one component; of what runs in time, at each of some instants."""
    time = problem.time
    instants = np.linspace(time.start, time.end, _MEAN_INSTANTS) if problem.evolves else np.zeros(1)
    space, weights = _mean_rule(problem, generator)
    points = np.concatenate([np.column_stack([space, *([np.full(len(space), t)] * problem.evolves)]) for t in instants])
    name = "mean value" if problem.n_components == 1 else f"mean value, component {component}"
    average = Average(weights, len(instants), wanted)
    return Term(name, "mean", component, None, scales.unknowns[component], weight, points, average=average)


def _mean_rule(problem: Problem, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points with weights that sum to one; few, since a network is evaluated on them in every step."""
    if isinstance(problem.domain, Box) and problem.dim <= 2:
        points, weights = problem.domain.quadrature(_GAUSS_POINTS // (4 if problem.evolves else 1))
        return points, weights / weights.sum()
    n = _MEAN_POINTS // (_MEAN_INSTANTS if problem.evolves else 1)
    return problem.domain.quasi_random(n, generator), np.full(n, 1 / n)
