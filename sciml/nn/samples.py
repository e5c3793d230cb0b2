"""Load, boundary data and the state at the start, sampled: what a declaration says of the size of its unknown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sciml.forms import (
    PointwiseOperator,
    balance,
    condition_value,
    constrained_fields,
    initial_value,
    rated_components,
)
from sciml.forms.pointwise import pointwise
from sciml.problem import Condition, Dirichlet, Neumann, Periodic, Problem, Robin

__all__ = ["Samples", "instants"]


def instants(problem: Problem) -> list[Problem]:
    """The problem at some of its times."""
    if not problem.evolves:
        return [problem]
    return [problem.at_time(float(t)) for t in np.linspace(problem.time.start, problem.time.end, 5)]


@dataclass(frozen=True)
class _Datum:
    """A condition of one component at points of its part."""

    condition: Condition
    component: int
    value: PointwiseOperator
    points: np.ndarray
    normals: np.ndarray
    measure: float


class Samples:
    """Load and boundary data at random points, to be looked at for several constant states of the unknown."""

    def __init__(self, problem: Problem, generator: np.random.Generator) -> None:
        law = balance(problem)
        self.problem = problem
        self._points = problem.domain.sample(4096, generator)
        self._load = pointwise(problem, law.load).at(self._points)
        self._reaction = pointwise(problem, law.reaction)
        self._data = []
        for piece in problem.boundary_pieces:
            points, normals = piece.part.sample(256, generator)
            self._data += [
                _Datum(c, component, condition_value(problem, c, component), points, normals, piece.part.measure)
                for component, c in enumerate(piece.conditions)
                if c is not None and not isinstance(c, Periodic)
            ]

    def mean_value(self) -> np.ndarray:
        """The mean of the Dirichlet and Robin values of each component; zero where there are none."""
        zero = np.zeros(self.problem.n_components)
        total, measure = np.zeros_like(zero), np.zeros_like(zero)
        for datum in self._data:
            if isinstance(datum.condition, (Dirichlet, Robin)):
                values = _at_constant(datum.value, zero, datum.points, datum.normals)
                total[datum.component] += datum.measure * values.mean()
                measure[datum.component] += datum.measure
        return np.divide(total, measure, out=zero, where=measure > 0)

    def sources(self, state: np.ndarray) -> np.ndarray:
        """Mean of |load − reaction| of each component at a constant state."""
        reaction = _at_constant(self._reaction, state, self._points)
        source = self._load - np.where(np.isfinite(reaction), reaction, 0.0)
        return np.abs(source).reshape(len(source), -1).mean(axis=0)

    def prescribed(self, state: np.ndarray) -> np.ndarray:
        """How far each component is from a constant state where its values are given: on the boundary, at the start."""
        out = self._initial_deviation(state)
        for datum in self._data:
            if isinstance(datum.condition, (Dirichlet, Robin)):
                values = _at_constant(datum.value, state, datum.points, datum.normals)
                own = float(np.abs(values - state[datum.component]).mean())
                out[datum.component] = max(out[datum.component], own)
        return out

    def inflows(self, state: np.ndarray) -> np.ndarray:
        """Mean of |flux · n| of each component where it is given."""
        out = np.zeros(self.problem.n_components)
        for datum in self._data:
            if isinstance(datum.condition, Neumann):
                values = _at_constant(datum.value, state, datum.points, datum.normals)
                out[datum.component] = max(out[datum.component], float(np.abs(values).mean()))
        return out

    def _initial_deviation(self, state: np.ndarray) -> np.ndarray:
        problem, out = self.problem, np.zeros(self.problem.n_components)
        if not problem.evolves:
            return out
        constrained = {c for slot in constrained_fields(problem) for c in slot.components}
        for c in set(range(problem.n_components)) - constrained:
            out[c] = np.abs(initial_value(problem, c).at(self._points) - state[c]).mean()
        for c in rated_components(problem, problem.declaration.mass):
            velocity = initial_value(problem, c, velocity=True).at(self._points)
            out[c] = max(out[c], float(np.abs(velocity).mean()) * problem.time.duration)
        return out


def _at_constant(
    operator: PointwiseOperator, state: np.ndarray, points: np.ndarray, normals: np.ndarray | None = None
) -> np.ndarray:
    """Evaluate where the unknown is a constant."""
    x = torch.tensor(points, dtype=torch.float64)
    n = None if normals is None else torch.tensor(normals, dtype=torch.float64)
    jet = {key: torch.full_like(x[:, 0], 0.0 if key.axes else float(state[key.component])) for key in operator.keys}
    with torch.no_grad():
        return operator(x, jet, normal=n).numpy()
