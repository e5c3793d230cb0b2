"""Laws that random members of a family take the values of their parameters from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr, ndtri

from sciml.errors import ParameterError

if TYPE_CHECKING:
    from sciml.problem.parameters import Parameter

__all__ = ["Choice", "DrawLaw", "LogUniform", "TruncatedNormal", "Uniform"]

_LEAST_PROBABILITY = 1e-6


class DrawLaw(ABC):
    """How one parameter is drawn. Entries of a parameter with several numbers are drawn independently."""

    @abstractmethod
    def check(self, parameter: Parameter) -> None:
        """Refuse a parameter that cannot be drawn like this.

        Raises
        ------
        ParameterError
        """

    @abstractmethod
    def draw(self, parameter: Parameter, generator: np.random.Generator) -> Any:
        """One value, of the parameter's shape."""


@dataclass(frozen=True)
class Uniform(DrawLaw):
    """Every value from `low` to `high` is equally likely; of an integer, every whole number.

    Parameters
    ----------
    low, high : float
        Ends of the range, within the parameter's own.
    """

    low: float
    high: float

    def check(self, parameter: Parameter) -> None:
        if parameter.choices is not None:
            raise ParameterError(f"A parameter that is {parameter.range_text} is drawn with Choice, not from a range.")
        if not self._is_within(parameter):
            raise ParameterError(
                f"The range from {parameter.lower:g} to {parameter.upper:g} of a parameter (drawn from {self.low:g} to "
                f"{self.high:g}) is empty, does not contain the draws, or is not positive for a logarithmic law."
            )

    def draw(self, parameter: Parameter, generator: np.random.Generator) -> Any:
        if parameter.integer:
            return int(generator.integers(*self._whole(parameter), endpoint=True))
        return self._at(generator.random(parameter.length))

    def _is_within(self, parameter: Parameter) -> bool:
        within = (
            -math.inf < self.low <= self.high < math.inf
            and self.low >= parameter.lower
            and self.high <= parameter.upper
        )
        first, last = self._whole(parameter) if within and parameter.integer else (0, 0)
        return within and first <= last

    def _at(self, share: Any) -> Any:
        return self.low + share * (self.high - self.low)

    def _whole(self, parameter: Parameter) -> tuple[int, int]:
        """The smallest and the largest whole number."""
        open_low = parameter.open_lower and self.low == parameter.lower
        open_high = parameter.open_upper and self.high == parameter.upper
        return (
            math.floor(self.low) + 1 if open_low else math.ceil(self.low),
            math.ceil(self.high) - 1 if open_high else math.floor(self.high),
        )


@dataclass(frozen=True)
class LogUniform(Uniform):
    """The logarithm is uniform: from 1 to 10 is as likely as from 10 to 100. Both ends are positive.

    Parameters
    ----------
    low, high : float
        Ends of the range, within the parameter's own.
    """

    def check(self, parameter: Parameter) -> None:
        super().check(parameter)
        if parameter.integer:
            raise ParameterError("A whole number has no logarithmic law; draw it uniformly or with Choice.")

    def _is_within(self, parameter: Parameter) -> bool:
        return self.low > 0 and super()._is_within(parameter)

    def _at(self, share: Any) -> Any:
        return np.exp(np.log(self.low) + share * np.log(self.high / self.low))


@dataclass(frozen=True)
class TruncatedNormal(DrawLaw):
    """The normal law, cut off at the ends of the parameter's own range.

    Parameters
    ----------
    mean, deviation : float
        Of the normal law before it is cut off.
    """

    mean: float
    deviation: float

    def check(self, parameter: Parameter) -> None:
        if parameter.structural:
            raise ParameterError("A whole number or a choice has no normal law; draw it uniformly or with Choice.")
        if not (math.isfinite(self.mean) and math.isfinite(self.deviation) and self.deviation > 0):
            raise ParameterError(f"{self} needs a finite mean and a positive deviation.")
        low, high = self._probabilities(parameter)
        if high - low < _LEAST_PROBABILITY:
            raise ParameterError(f"{self} has hardly any value that is {parameter.range_text}; move it there.")

    def draw(self, parameter: Parameter, generator: np.random.Generator) -> Any:
        low, high = self._probabilities(parameter)
        share = low + generator.random(parameter.length) * (high - low)
        # Rounding may step over an end by one unit in the last place.
        return np.clip(self.mean + self.deviation * ndtri(share), parameter.lower, parameter.upper)

    def _probabilities(self, parameter: Parameter) -> np.ndarray:
        return ndtr((np.array([parameter.lower, parameter.upper]) - self.mean) / self.deviation)


@dataclass(frozen=True)
class Choice(DrawLaw):
    """One of a few values.

    Parameters
    ----------
    values : sequence
        The values; a parameter of several numbers takes tuples of them.
    weights : sequence of float, optional
        How often each of them, up to a common factor; equally often by default.
    """

    values: Sequence[Any]
    weights: Sequence[float] | None = None

    def check(self, parameter: Parameter) -> None:
        weights = self._weights()
        if not (len(self.values) == len(weights) > 0 and np.all(weights >= 0) and 0 < weights.sum() < np.inf):
            raise ParameterError(f"{self} needs one value or more, and a weight ≥ 0 for each.")
        for value in self.values:
            parameter.check(value)

    def draw(self, parameter: Parameter, generator: np.random.Generator) -> Any:
        shares = np.cumsum(self._weights() / self._weights().sum())
        # The last share may be rounded to just below one.
        return self.values[min(int(np.searchsorted(shares, generator.random(), side="right")), len(shares) - 1)]

    def _weights(self) -> np.ndarray:
        return np.ones(len(self.values)) if self.weights is None else np.asarray(self.weights, dtype=float)
