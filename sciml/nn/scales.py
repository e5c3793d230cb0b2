"""Typical sizes of a problem's quantities, so that a network sees numbers of order one in any units."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sciml.forms import analyse, number
from sciml.forms.pointwise import pointwise
from sciml.nn.coupled import coupled_sizes
from sciml.nn.samples import Samples, instants
from sciml.problem import Problem

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
    unknowns : tuple of float
        Of u − offset, U, for each component. Of one field: the largest of the boundary values less the offset,
        |load − reaction| L²/(8 A) and |traction| L/A, in the mean, the reaction and all data at u = offset. Of several:
        see :func:`~sciml.nn.coupled.coupled_sizes`.
    fluxes : tuple of float
        Of the flux of each component: A U / L.
    residuals : tuple of float
        Of the law of each component: A U / L², or that of the terms in time if they are larger.
    offset : tuple of float
        What u is near to, for each component: its prescribed mean, or the mean of Dirichlet and Robin values where
        that is more than ten times U, or zero.
    stiffness : float or None
        Of ∂flux/∂∇u, A; None for several fields.
    rate : float or None
        Of the terms in time for u = 1: the larger of damping/T and mass/T² with the duration T; zero without them,
        None for several fields.
    """

    length: float
    unknowns: tuple[float, ...]
    fluxes: tuple[float, ...]
    residuals: tuple[float, ...]
    offset: tuple[float, ...]
    stiffness: float | None = None
    rate: float | None = None

    @property
    def unknown(self) -> float:
        """The largest of `unknowns`, which are all the same where there is one field."""
        return max(self.unknowns)

    @property
    def flux(self) -> float:
        """The largest of `fluxes`."""
        return max(self.fluxes)

    @property
    def residual(self) -> float:
        """The largest of `residuals`."""
        return max(self.residuals)

    def as_dict(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self)


def problem_scales(problem: Problem, seed: int = 0) -> Scales:
    """Estimate typical sizes from the declaration: domain, law, load and boundary data, never the solution.

    The estimate is dimensional analysis with the constant of −A u″ = f on an interval (max u = f L²/8A); a factor
    of ten either way does no harm to training. A temperature of 300 K that varies by 1 K has the size 1 K and the
    offset 300 K. Several fields have units and sizes of their own.
    """
    generator = np.random.default_rng(seed)
    return (_of_one_field if len(problem.layout) == 1 else _of_several_fields)(problem, generator)


def _of_one_field(problem: Problem, generator: np.random.Generator) -> Scales:
    d, k, length = problem.dim, problem.n_components, problem.domain.size
    blocks = np.abs(analyse(problem).blocks[:, : d * k, : d * k]).max(axis=(1, 2))
    stiffness = float(np.median(blocks)) or 1.0
    rate = _rate(problem, generator)
    samples = [Samples(member, generator) for member in instants(problem)]
    # What evolves is held back by the terms in time as well.
    held = max(8 * stiffness / length**2, rate)

    def deviation(state: np.ndarray) -> float:
        """How far u can be expected to be from a constant state."""
        return max(
            max(s.sources(state).mean() / held, s.prescribed(state).max(), s.inflows(state).max() * length / stiffness)
            for s in samples
        )

    near = samples[0].mean_value()
    offset = _with_means(problem, np.where(np.abs(near) > _LARGE_OFFSET * deviation(near), near, 0.0))
    largest = float(np.abs(offset).max())
    unknown = float(deviation(offset))
    if unknown <= _ROUNDING * largest:
        unknown = largest or 1.0
    flux = stiffness * unknown / length
    residual = max(flux / length, rate * unknown)
    return Scales(length, (unknown,) * k, (flux,) * k, (residual,) * k, tuple(offset.tolist()), stiffness, rate)


def _rate(problem: Problem, generator: np.random.Generator) -> float:
    if not problem.evolves:
        return 0.0
    declared, duration = problem.declaration, problem.time.duration
    points = problem.domain.sample(256, generator)
    factors = [(declared.damping, duration), (declared.mass, duration**2)]
    return max(float(np.abs(pointwise(problem, f).at(points)).mean()) / time for f, time in factors if f is not None)


def _of_several_fields(problem: Problem, generator: np.random.Generator) -> Scales:
    samples = [Samples(member, generator) for member in instants(problem)]
    near = samples[0].mean_value()
    around, _, _ = coupled_sizes(problem, samples, near)
    offset = _with_means(problem, np.where(np.abs(near) > _LARGE_OFFSET * around, near, 0.0))
    sizes = (*coupled_sizes(problem, samples, offset), offset)
    unknowns, fluxes, residuals, near = (tuple(size.tolist()) for size in sizes)
    return Scales(problem.domain.size, unknowns, fluxes, residuals, near)


def _with_means(problem: Problem, offset: np.ndarray) -> np.ndarray:
    """The offset with the mean values that are prescribed."""
    for mean in problem.declaration.means:
        for component in mean.components(problem.n_components):
            offset[component] = number(problem, mean.entry(component))
    return offset
