"""Fields that are known in closed form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sciml.problem import Problem
from sciml.solution import Field


class FormulaField(Field):
    """A function given in NumPy with its gradient."""

    kind = "formula"

    def __init__(self, problem: Problem, value: Callable, gradient: Callable | None = None) -> None:
        self.problem, self.shape = problem, problem.shape
        self._value, self._gradient = value, gradient

    def evaluate(self, points):
        return np.broadcast_to(self._value(points), (len(points), *self.shape)).astype(float)

    def gradient(self, points):
        shape = (len(points), *self.shape, points.shape[1])
        return np.zeros(shape) if self._gradient is None else np.broadcast_to(self._gradient(points), shape)

    def store(self, group):
        """Nothing."""


@pytest.fixture
def formula() -> type[FormulaField]:
    """A field made of NumPy functions: (problem, value, gradient)."""
    return FormulaField
