"""Typical sizes of a problem's quantities, so that a network sees numbers of order one in any units."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from sciml.forms import analyse, balance, condition_value
from sciml.forms.pointwise import pointwise
from sciml.problem import Dirichlet, Neumann, Problem, Robin

__all__ = ["Scales", "problem_scales"]


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
        Of u, U: the largest of the boundary values, |load| L²/(8 A) and |traction| L/A, in the mean.
    flux : float
        A U / L.
    residual : float
        A U / L².
    """

    length: float
    stiffness: float
    unknown: float

    @property
    def flux(self) -> float:
        return self.stiffness * self.unknown / self.length

    @property
    def residual(self) -> float:
        return self.flux / self.length

    def as_dict(self) -> dict[str, float]:
        """For the record."""
        return asdict(self) | {"flux": self.flux, "residual": self.residual}


def problem_scales(problem: Problem, seed: int = 0) -> Scales:
    """Estimate typical sizes from the declaration: domain, law, load and boundary data, never the solution.

    The estimate is dimensional analysis with the constant of −A u″ = f on an interval (max u = f L²/8A); a factor
    of ten either way does no harm to training.
    """
    generator = np.random.default_rng(seed)
    length = problem.domain.size
    d, k = problem.dim, problem.n_components
    blocks = np.abs(analyse(problem).blocks[:, : d * k, : d * k]).max(axis=(1, 2))
    stiffness = float(np.median(blocks)) or 1.0
    points = problem.domain.sample(4096, generator)
    load = pointwise(problem, balance(problem).load).at(points)
    candidates = [float(np.abs(load).mean()) * length**2 / (8 * stiffness)]
    for piece in problem.boundary_pieces:
        samples, normals = piece.part.sample(256, generator)
        for component, condition in enumerate(piece.conditions):
            if condition is None:
                continue
            size = float(np.abs(condition_value(problem, condition, component).at(samples, normals)).mean())
            if isinstance(condition, (Dirichlet, Robin)):
                candidates.append(size)
            elif isinstance(condition, Neumann):
                candidates.append(size * length / stiffness)
    return Scales(length, stiffness, max(candidates) or 1.0)
