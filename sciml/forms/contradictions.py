"""Dirichlet data that contradict each other where two parts of the boundary meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from sciml.forms.pointwise import condition_value
from sciml.problem import Condition, Dirichlet, Periodic, Problem
from sciml.problem.mesh import matches

__all__ = ["Contradiction", "contradictions"]

_TOLERANCE = 1e-8


@dataclass(frozen=True)
class Contradiction:
    """Two conditions that prescribe different values at one point.

    Attributes
    ----------
    first : Dirichlet
    second : Dirichlet or Periodic
        In the order of their declaration; or periodicity, with which the first one disagrees.
    point : (dim,) array
        Where they differ most.
    values : (float, float)
        What each prescribes there; with periodicity, the values at the point and at its partner.
    """

    first: Dirichlet
    second: Condition
    point: np.ndarray
    values: tuple[float, float]

    @property
    def holds(self) -> str:
        """What a solver then does."""
        if isinstance(self.second, Periodic):
            return f"the value on {', '.join(self.second.minus)} holds"
        return "the one declared last holds there"

    def __str__(self) -> str:
        a, b = self.values
        return f"{self.first} and {self.second} contradict each other at {self.point.tolist()} ({a:g} and {b:g})"


def contradictions(problem: Problem) -> Iterator[Contradiction]:
    """Pairs of Dirichlet conditions whose values differ in a corner or an edge that they share.

    Values differ if their gap exceeds 1e-8 of the largest value that the two prescribe anywhere: sin(πx) is zero at
    x = 1 up to rounding, whatever unit the data are in.
    """
    conditions = [c for c in problem.dirichlet if problem.declaration.weak is None or c.value is not None]
    for first, second in combinations(conditions, 2):
        yield from _between(problem, first, second)
    for periodic, first, second in product(problem.periodic, conditions, conditions):
        yield from _across(problem, periodic, first, second)


def _across(problem: Problem, periodic: Periodic, first: Dirichlet, second: Dirichlet) -> Iterator[Contradiction]:
    """Values of `first` at the rim of the minus part against those of `second` at its image."""
    domain = problem.domain
    parts = [domain.part(c.on) for c in (first, second)]
    rims = [
        domain.shared_points(part.elements, domain.elements(on))
        for part, on in zip(parts, (periodic.minus, periodic.plus), strict=True)
    ]
    partner = matches(rims[0] + periodic.translation, rims[1], _TOLERANCE * domain.size)
    here, there = rims[0][partner >= 0], rims[1][partner[partner >= 0]]
    if not len(here):
        return
    points = [
        np.concatenate([rim, part.sample(64, np.random.default_rng(0))[0]])
        for rim, part in zip((here, there), parts, strict=True)
    ]
    components = (c.components(problem.n_components) for c in (periodic, first, second))
    for component in sorted(set.intersection(*map(set, components))):
        values = [condition_value(problem, c, component).at(x) for c, x in zip((first, second), points, strict=True)]
        a, b = (v[: len(here)] for v in values)
        worst = int(np.argmax(np.abs(a - b)))
        if abs(a[worst] - b[worst]) > _TOLERANCE * np.abs(values).max():
            yield Contradiction(first, periodic, here[worst], (float(a[worst]), float(b[worst])))


def _between(problem: Problem, first: Dirichlet, second: Dirichlet) -> Iterator[Contradiction]:
    parts = [problem.domain.part(c.on) for c in (first, second)]
    shared = problem.domain.shared_points(*(part.elements for part in parts))
    if not len(shared):
        return
    points = [np.concatenate([shared, part.sample(64, np.random.default_rng(0))[0]]) for part in parts]
    for component in sorted(set(first.components(problem.n_components)) & set(second.components(problem.n_components))):
        values = [condition_value(problem, c, component).at(x) for c, x in zip((first, second), points)]
        a, b = (v[: len(shared)] for v in values)
        gap = np.abs(a - b)
        worst = int(np.argmax(gap))
        if gap[worst] > _TOLERANCE * np.abs(values).max():
            yield Contradiction(first, second, shared[worst], (float(a[worst]), float(b[worst])))
