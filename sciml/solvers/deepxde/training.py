"""From a declared problem to what the training engine needs: residuals, conditions, points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.forms import (
    Derivative,
    boundary_residual,
    constrained_fields,
    initial_residual,
    jet_of_output,
    number,
    rated_components,
    rows_with_flux,
    strong_residual,
)
from sciml.forms.pointwise import PointwiseOperator
from sciml.nn import PhysicalNetwork, Scales
from sciml.problem import Box, Condition, Dirichlet, Part, Periodic, Problem
from sciml.sampling import timed, uniform_points
from sciml.solvers.deepxde.records import BoundaryTerm, Training

__all__ = ["build_training"]

_FEWEST = 16
_MEAN_POINTS = 512
_MEAN_INSTANTS = 16
_GAUSS_POINTS = 100


class _JetCache:
    """Derivatives of the present output, computed once for all terms of a loss."""

    def __init__(self) -> None:
        self._y: Tensor | None = None
        self._jet: dict[Derivative, Tensor] = {}

    def get(self, x: Tensor, y: Tensor, keys: tuple[Derivative, ...]) -> dict[Derivative, Tensor]:
        """The jet of `y` at all points."""
        if self._y is not y:
            self._y, self._jet = y, {}
        missing = [key for key in keys if key not in self._jet]
        if missing:
            self._jet.update(jet_of_output(y, x, missing))
        return self._jet

    def clear(self) -> None:
        """Let go of the graph."""
        self._y, self._jet = None, {}


class _StaticCache:
    """What an operator makes of the points alone, kept while the points stay the same."""

    def __init__(self, operator: PointwiseOperator, normal: np.ndarray | None = None) -> None:
        self.operator = operator
        self._normal = normal
        self._x: Tensor | None = None
        self._static: tuple[Tensor, ...] = ()

    def get(self, x: Tensor) -> tuple[Tensor, ...]:
        """Loads, coefficients and boundary data at `x`."""
        if self._x is None or self._x.shape != x.shape or not torch.equal(self._x, x):
            self._x = x.detach().clone()
            normal = None if self._normal is None else torch.tensor(self._normal, dtype=x.dtype, device=x.device)
            with torch.no_grad():
                self._static = self.operator.static(self._x, normal=normal)
        return self._static


@dataclass(frozen=True)
class _Setup:
    """What all terms share."""

    problem: Problem
    scales: Scales
    hard: bool
    boundary_weight: float
    flux_weight: float
    jets: _JetCache


def build_training(
    problem: Problem,
    model: PhysicalNetwork,
    scales: Scales,
    *,
    hard: bool,
    points: int,
    boundary_points: int,
    boundary_weight: float,
    flux_weight: float,
    generator: np.random.Generator,
) -> Training:
    """Residuals and conditions in multiples of their typical sizes, with quasi-random points.

    Parameters
    ----------
    problem : Problem
        With a strong form.
    model : PhysicalNetwork
        Gives the scaling of the input and, if `hard`, the conditions.
    scales : Scales
    hard : bool
        Whether Dirichlet conditions are built into the model.
    points, boundary_points : int
        In the domain, and on the whole boundary (at least 16 a part).
    boundary_weight, flux_weight : float
        Weights of each Dirichlet (and mean value) term, and of each term in the flux; the equation's weight is 1.
    generator : numpy Generator
        For the points.
    """
    setup = _Setup(problem, scales, hard, boundary_weight, flux_weight, _JetCache())
    terms = _boundary_terms(setup, boundary_points, generator)
    if problem.evolves:
        terms += _initial_terms(setup, boundary_points, generator)
    return Training(
        dim=problem.dim + problem.evolves,
        outputs=problem.n_components,
        residual=_equation(setup),
        residual_weights=[1.0] * problem.n_components,
        interior=timed(problem, problem.domain.quasi_random(points, generator), generator),
        candidates=lambda n, generator: uniform_points(problem, n, generator),
        boundary=tuple(terms),
        feature_transform=model.scaled,
        output_transform=model.finish,
    )


def _equation(setup: _Setup) -> Any:
    operator = strong_residual(setup.problem)
    static = _StaticCache(operator)

    def residual(x: Tensor, y: Tensor) -> list[Tensor]:
        jet = setup.jets.get(x, y, operator.keys)
        values = operator(x, jet, static=static.get(x)).reshape(len(x), -1)
        return [row / size for row, size in zip(values.unbind(dim=1), setup.scales.residuals, strict=True)]

    return residual


def _boundary_terms(setup: _Setup, total: int, generator: np.random.Generator) -> list[BoundaryTerm]:
    problem = setup.problem
    pieces = problem.boundary_pieces
    whole = sum(piece.part.measure for piece in pieces)
    with_flux = rows_with_flux(problem)
    terms = []
    for piece in pieces:
        n = max(_FEWEST, round(total * piece.part.measure / whole))
        points, normals = _spread(problem, piece.part, n, generator)
        for component, condition in enumerate(piece.conditions):
            # Periodicity is built into the network's inputs.
            built_in = isinstance(condition, Periodic) or (setup.hard and isinstance(condition, Dirichlet))
            # Where a constraint has no condition, its flux is zero whatever u is.
            says_nothing = condition is None and not with_flux[component]
            if not (built_in or says_nothing):
                terms.append(_term(setup, condition, component, points, normals))
    terms += [
        _mean_term(setup, component, float(number(problem, mean.entry(component))), generator)
        for mean in problem.declaration.means
        for component in mean.components(problem.n_components)
    ]
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


def _term(
    setup: _Setup, condition: Condition | None, component: int, points: np.ndarray, normals: np.ndarray
) -> BoundaryTerm:
    operator = boundary_residual(setup.problem, condition, component)
    essential = isinstance(condition, Dirichlet)
    scale = (setup.scales.unknowns if essential else setup.scales.fluxes)[component]
    static = _StaticCache(operator, normals)

    def residual(x: Tensor, y: Tensor, rows: slice) -> Tensor:
        jet = {key: value[rows] for key, value in setup.jets.get(x, y, operator.keys).items() if key in operator.keys}
        here = x[rows]
        normal = torch.tensor(normals, dtype=x.dtype, device=x.device) if operator.program.uses_normal else None
        return operator(here, jet, normal=normal, static=static.get(here)) / scale

    name = f"{'natural' if condition is None else condition}, component {component}"
    return BoundaryTerm(name, points, residual, setup.boundary_weight if essential else setup.flux_weight)


def _initial_terms(setup: _Setup, n: int, generator: np.random.Generator) -> list[BoundaryTerm]:
    """The state at the start, and its rate where the law has mass; a constrained field has no start of its own."""
    problem = setup.problem
    space = problem.domain.quasi_random(n, generator)
    points = np.column_stack([space, np.full(n, problem.time.start)])
    constrained = {c for slot in constrained_fields(problem) for c in slot.components}
    heavy = rated_components(problem, problem.declaration.mass)
    return [
        _initial_term(setup, c, velocity, points)
        for c in range(problem.n_components)
        if c not in constrained
        for velocity in ([False, True] if c in heavy else [False])
    ]


def _initial_term(setup: _Setup, component: int, velocity: bool, points: np.ndarray) -> BoundaryTerm:
    operator = initial_residual(setup.problem, component, velocity=velocity)
    scale = setup.scales.unknowns[component] / (setup.problem.time.duration if velocity else 1.0)
    static = _StaticCache(operator)

    def residual(x: Tensor, y: Tensor, rows: slice) -> Tensor:
        jet = {key: value[rows] for key, value in setup.jets.get(x, y, operator.keys).items() if key in operator.keys}
        return operator(x[rows], jet, static=static.get(x[rows])) / scale

    name = f"{'velocity' if velocity else 'state'} at the start, component {component}"
    return BoundaryTerm(name, points, residual, setup.boundary_weight)


def _mean_term(setup: _Setup, component: int, wanted: float, generator: np.random.Generator) -> BoundaryTerm:
    """The mean value of one component; of what runs in time, at each of some instants."""
    problem, time = setup.problem, setup.problem.time
    instants = np.linspace(time.start, time.end, _MEAN_INSTANTS) if problem.evolves else np.zeros(1)
    space, weights = _mean_rule(problem, generator)
    points = np.concatenate([np.column_stack([space, *([np.full(len(space), t)] * problem.evolves)]) for t in instants])

    def residual(x: Tensor, y: Tensor, rows: slice) -> Tensor:
        values = y[rows].reshape(len(instants), len(weights), problem.n_components)[:, :, component]
        means = values @ torch.tensor(weights, dtype=y.dtype, device=y.device)
        deviation = (means - wanted) / setup.scales.unknowns[component]
        return deviation[:, None].expand_as(values).reshape(-1)

    name = "mean value" if problem.n_components == 1 else f"mean value, component {component}"
    return BoundaryTerm(name, points, residual, setup.boundary_weight)


def _mean_rule(problem: Problem, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points with weights that sum to one; few, since the equation is evaluated on them too."""
    if isinstance(problem.domain, Box) and problem.dim <= 2:
        points, weights = problem.domain.quadrature(_GAUSS_POINTS // (4 if problem.evolves else 1))
        return points, weights / weights.sum()
    n = _MEAN_POINTS // (_MEAN_INSTANTS if problem.evolves else 1)
    return problem.domain.quasi_random(n, generator), np.full(n, 1 / n)
