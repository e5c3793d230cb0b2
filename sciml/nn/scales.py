"""Typical sizes of a problem's quantities, so that a network sees numbers of order one in any units."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from sciml.forms import PointwiseOperator, analyse, balance, condition_value, initial_value, number
from sciml.forms.pointwise import pointwise
from sciml.problem import Condition, Dirichlet, Neumann, Periodic, Problem, Robin

__all__ = ["Scales", "problem_scales"]

# An estimate that is wrong by a factor of ten does no harm; an offset is worth taking out beyond that.
_LARGE_OFFSET = 10.0
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Scales:
    """Typical sizes.

    Attributes
    ----------
    length : float
        Largest extent of the domain, L.
    stiffness : float
        Of ∂flux/∂∇u, A.
    unknown : float
        Of u − offset, U: the largest of the boundary values less the offset, |load − reaction| L²/(8 A) and
        |traction| L/A, in the mean, the reaction and all data at u = offset.
    offset : tuple of float
        What u is near to, for each component: its prescribed mean, or the mean of Dirichlet and Robin values where
        that is more than ten times U, or zero.
    rate : float
        Of the terms in time for u = 1: the larger of damping/T and mass/T² with the duration T; zero without them.
    flux : float
        A U / L.
    residual : float
        A U / L², or that of the terms in time if they are larger.
    """

    length: float
    stiffness: float
    unknown: float
    offset: tuple[float, ...] = (0.0,)
    rate: float = 0.0

    @property
    def flux(self) -> float:
        return self.stiffness * self.unknown / self.length

    @property
    def residual(self) -> float:
        return max(self.flux / self.length, self.rate * self.unknown)

    def as_dict(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self) | {"flux": self.flux, "residual": self.residual}


def problem_scales(problem: Problem, seed: int = 0) -> Scales:
    """Estimate typical sizes from the declaration: domain, law, load and boundary data, never the solution.

    The estimate is dimensional analysis with the constant of −A u″ = f on an interval (max u = f L²/8A); a factor
    of ten either way does no harm to training. A temperature of 300 K that varies by 1 K has the size 1 K and the
    offset 300 K.
    """
    generator = np.random.default_rng(seed)
    d, k = problem.dim, problem.n_components
    blocks = np.abs(analyse(problem).blocks[:, : d * k, : d * k]).max(axis=(1, 2))
    stiffness = float(np.median(blocks)) or 1.0
    rate = _rate(problem, generator)
    samples = [_Samples(member, stiffness, rate, generator) for member in _instants(problem)]

    def deviation(state: np.ndarray) -> float:
        return max(sample.deviation(state) for sample in samples)

    offset, mean = np.zeros(k), problem.declaration.mean
    if mean is not None:
        offset[:] = number(problem, mean.value)
    else:
        near = samples[0].mean_value()
        offset = np.where(np.abs(near) > _LARGE_OFFSET * deviation(near), near, offset)
    largest = float(np.abs(offset).max())
    unknown = deviation(offset)
    if unknown <= _ROUNDING * largest:
        unknown = largest or 1.0
    return Scales(problem.domain.size, stiffness, unknown, tuple(offset.tolist()), rate)


def _instants(problem: Problem) -> list[Problem]:
    """The problem at some of its times."""
    if not problem.evolves:
        return [problem]
    return [problem.at_time(float(t)) for t in np.linspace(problem.time.start, problem.time.end, 5)]


def _rate(problem: Problem, generator: np.random.Generator) -> float:
    if not problem.evolves:
        return 0.0
    declared, duration = problem.declaration, problem.time.duration
    points = problem.domain.sample(256, generator)
    factors = [(declared.damping, duration), (declared.mass, duration**2)]
    return max(float(np.abs(pointwise(problem, f).at(points)).mean()) / time for f, time in factors if f is not None)


@dataclass(frozen=True)
class _Datum:
    """A condition of one component at points of its part."""

    condition: Condition
    component: int
    value: PointwiseOperator
    points: np.ndarray
    normals: np.ndarray
    measure: float


class _Samples:
    """Load and boundary data at random points, to be looked at for several constant states of the unknown."""

    def __init__(self, problem: Problem, stiffness: float, rate: float, generator: np.random.Generator) -> None:
        law = balance(problem)
        self.problem, self.stiffness, self.rate = problem, stiffness, rate
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

    def deviation(self, state: np.ndarray) -> float:
        """How far u can be expected to be from a constant state."""
        length = self.problem.domain.size
        reaction = _at_constant(self._reaction, state, self._points)
        source = self._load - np.where(np.isfinite(reaction), reaction, 0.0)
        # What evolves is held back by the terms in time as well.
        held = max(8 * self.stiffness / length**2, self.rate)
        candidates = [float(np.abs(source).mean()) / held, *self._initial_deviation(state)]
        for datum in self._data:
            values = _at_constant(datum.value, state, datum.points, datum.normals)
            if isinstance(datum.condition, (Dirichlet, Robin)):
                candidates.append(float(np.abs(values - state[datum.component]).mean()))
            elif isinstance(datum.condition, Neumann):
                candidates.append(float(np.abs(values).mean()) * length / self.stiffness)
        return max(candidates)

    def _initial_deviation(self, state: np.ndarray) -> list[float]:
        problem = self.problem
        if not problem.evolves:
            return []
        out = []
        for component, value in enumerate(state):
            start = initial_value(problem, component).at(self._points)
            out.append(float(np.abs(start - value).mean()))
            if problem.declaration.mass is not None:
                velocity = initial_value(problem, component, velocity=True).at(self._points)
                out.append(float(np.abs(velocity).mean()) * problem.time.duration)
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
