"""Fields that are sums of known functions: values and derivatives are sums with other coefficients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from sciml.forms import Derivative
from sciml.solution.field import Field, Rule

if TYPE_CHECKING:
    import h5py

__all__ = ["SeriesField"]


class SeriesField(Field):
    """Sums over the functions of a basis whose derivatives lie in its span.

    Attributes
    ----------
    coefficients : (k, …) array
        Of each component.
    """

    coefficients: np.ndarray

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        return self._sum(self.coefficients, points).T.reshape(len(points), *self.shape)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        k, dim = len(self.coefficients), self.problem.dim
        parts = [self._derivative(Derivative(c, (axis,))) for c in range(k) for axis in range(dim)]
        return self._sum(np.stack(parts), points).T.reshape(len(points), *self.shape, dim)

    def jet(self, rule: Rule, keys: Sequence[Derivative]) -> dict[Derivative, torch.Tensor]:
        if not keys:
            return {}
        values = self._sum(np.stack([self._derivative(key) for key in keys]), rule.points)
        return {key: torch.tensor(column, dtype=torch.float64) for key, column in zip(keys, values, strict=True)}

    @abstractmethod
    def _derivative(self, key: Derivative) -> np.ndarray:
        """Coefficients of a derivative of any order of one component."""

    @abstractmethod
    def _sum(self, coefficients: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Sums at points ``(n, dim)`` → ``(len(coefficients), n)``."""

    def store(self, group: h5py.Group) -> None:
        group.create_dataset("coefficients", data=self.coefficients)
