"""Dirichlet data that contradict each other where two parts of the boundary meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sciml.forms.pointwise import condition_value
from sciml.problem import Dirichlet, Problem

__all__ = ["Contradiction", "contradictions"]

_TOLERANCE = 1e-8


@dataclass(frozen=True)
class Contradiction:
    """Two conditions that prescribe different values at one point.

    Attributes
    ----------
    first, second : Dirichlet
        In the order of their declaration.
    point : (dim,) array
        Where they differ most.
    values : (float, float)
        What each prescribes there.
    """

    first: Dirichlet
    second: Dirichlet
    point: np.ndarray
    values: tuple[float, float]

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
