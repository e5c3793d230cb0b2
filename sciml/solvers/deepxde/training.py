"""From a declared problem to what the training engine needs: residuals, conditions, points."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.forms import Derivative, jet_of_output, strong_residual
from sciml.forms.pointwise import PointwiseOperator
from sciml.nn import PhysicalNetwork, Scales
from sciml.problem import Problem
from sciml.sampling import timed, uniform_points
from sciml.solvers.deepxde.records import BoundaryTerm, Training
from sciml.training.terms import Average, Term, condition_terms

__all__ = ["build_training"]


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
    jets = _JetCache()
    conditions = condition_terms(
        problem,
        scales,
        hard=hard,
        boundary_points=boundary_points,
        boundary_weight=boundary_weight,
        flux_weight=flux_weight,
        generator=generator,
    )
    return Training(
        dim=problem.dim + problem.evolves,
        outputs=problem.n_components,
        residual=_equation(problem, scales, jets),
        residual_weights=[1.0] * problem.n_components,
        interior=timed(problem, problem.domain.quasi_random(points, generator), generator),
        candidates=lambda n, generator: uniform_points(problem, n, generator),
        boundary=tuple(_boundary_term(term, jets, problem.n_components) for term in conditions),
        feature_transform=model.scaled,
        output_transform=model.finish,
    )


def _equation(problem: Problem, scales: Scales, jets: _JetCache) -> Any:
    operator = strong_residual(problem)
    static = _StaticCache(operator)

    def residual(x: Tensor, y: Tensor) -> list[Tensor]:
        jet = jets.get(x, y, operator.keys)
        values = operator(x, jet, static=static.get(x)).reshape(len(x), -1)
        return [row / size for row, size in zip(values.unbind(dim=1), scales.residuals, strict=True)]

    return residual


def _boundary_term(term: Term, jets: _JetCache, components: int) -> BoundaryTerm:
    residual = _at_points(term, jets) if term.average is None else _in_the_mean(term, term.average, components)
    return BoundaryTerm(term.name, term.points, residual, term.weight)


def _at_points(term: Term, jets: _JetCache) -> Any:
    operator, normals = term.operator, term.normals
    assert operator is not None
    static = _StaticCache(operator, normals)

    def residual(x: Tensor, y: Tensor, rows: slice) -> Tensor:
        jet = {key: value[rows] for key, value in jets.get(x, y, operator.keys).items() if key in operator.keys}
        here = x[rows]
        normal = torch.tensor(normals, dtype=x.dtype, device=x.device) if operator.program.uses_normal else None
        return operator(here, jet, normal=normal, static=static.get(here)) / term.size

    return residual


def _in_the_mean(term: Term, average: Average, components: int) -> Any:
    def residual(x: Tensor, y: Tensor, rows: slice) -> Tensor:
        values = y[rows].reshape(average.instants, len(average.weights), components)[:, :, term.component]
        means = values @ torch.tensor(average.weights, dtype=y.dtype, device=y.device)
        deviation = (means - average.wanted) / term.size
        return deviation[:, None].expand_as(values).reshape(-1)

    return residual
