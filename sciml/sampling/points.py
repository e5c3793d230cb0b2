"""Sets of collocation points that remember when and why each point came, and points of a problem in space and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sciml.errors import DeclarationError, OptionError
from sciml.problem import Problem
from sciml.sampling.generators import own_generator

__all__ = ["ORIGINS", "PointSet", "checked_points", "n_coordinates", "quasi_random_points", "timed", "uniform_points"]

# An origin is kept as its place in this list.
ORIGINS = ("uniform", "adaptive", "user")


@dataclass(frozen=True, eq=False)
class PointSet:
    """Collocation points, with what is known of each.

    The loss over them is the weighted mean (1/n) Σᵢ weightᵢ r(xᵢ)².

    Attributes
    ----------
    points : array (n, dim) or (n, dim + 1) of float64
        In a problem that runs in time, the time is the last coordinate.
    born : array (n,) of int64
        The round in which each point came; 0 is the start.
    origin : array (n,) of int8
        Why it came, as a place in `ORIGINS`: to cover the domain, for its residual, or because the user said so.
    weights : array (n,) of float64
        Importance weights; 1 where the points themselves are the measure.

    Raises
    ------
    DeclarationError
        Arrays whose lengths differ.
    """

    points: np.ndarray
    born: np.ndarray
    origin: np.ndarray
    weights: np.ndarray

    def __post_init__(self) -> None:
        if self.points.ndim != 2:
            raise DeclarationError(f"Points have the shape {self.points.shape}; give (n, dim).")
        lengths = {name: np.shape(getattr(self, name)) for name in ("born", "origin", "weights")}
        wrong = {name: shape for name, shape in lengths.items() if shape != (len(self.points),)}
        if wrong:
            raise DeclarationError(f"A set of {len(self.points)} points has {wrong}; give ({len(self.points)},) each.")

    @classmethod
    def of(cls, points: np.ndarray, origin: str, *, born: int = 0, weights: np.ndarray | float = 1.0) -> PointSet:
        """Points (n, dim) that came together, for the same reason."""
        if origin not in ORIGINS:
            raise OptionError(f"A point cannot be {origin!r}; allowed are {', '.join(ORIGINS)}.")
        n = len(points)
        return cls(
            np.asarray(points, dtype=np.float64),
            np.full(n, born, dtype=np.int64),
            np.full(n, ORIGINS.index(origin), dtype=np.int8),
            np.broadcast_to(np.asarray(weights, dtype=np.float64), (n,)).copy(),
        )

    def __len__(self) -> int:
        return len(self.points)

    def has(self, origin: str) -> np.ndarray:
        """Which points are of this origin: (n,) booleans."""
        return self.origin == ORIGINS.index(origin)

    def counts(self) -> dict[str, int]:
        """How many points there are of each origin."""
        return {name: int(self.has(name).sum()) for name in ORIGINS}

    def take(self, which: np.ndarray) -> PointSet:
        """Some of the points, by numbers or booleans."""
        return PointSet(self.points[which], self.born[which], self.origin[which], self.weights[which])

    def joined(self, other: PointSet) -> PointSet:
        """These points, then the others."""
        return PointSet(
            np.concatenate([self.points, other.points]),
            np.concatenate([self.born, other.born]),
            np.concatenate([self.origin, other.origin]),
            np.concatenate([self.weights, other.weights]),
        )

    def labelled(self, origin: str) -> PointSet:
        """The same points, all of one origin."""
        return replace(self, origin=PointSet.of(self.points, origin).origin)

    def weighted(self, weights: np.ndarray) -> PointSet:
        """The same points with other importance weights (n,)."""
        return replace(self, weights=np.asarray(weights, dtype=np.float64))

    def tensors(self) -> dict[str, Tensor]:
        """The set as named tensors, for a checkpoint."""
        names = ("points", "born", "origin", "weights")
        return {name: torch.from_numpy(np.array(getattr(self, name))) for name in names}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Any]) -> PointSet:
        """The set that `tensors` was taken of, bit by bit."""
        return cls(*(np.array(tensors[name].cpu().numpy()) for name in ("points", "born", "origin", "weights")))


def n_coordinates(problem: Problem) -> int:
    """Coordinates of a collocation point: those of space, and the time where the problem runs in time."""
    return problem.dim + int(problem.evolves)


def timed(problem: Problem, points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Points with a time of the problem's, where it runs in time: one in each of n equal spans, in random order.

    Every time by itself is uniform, and all together cover the interval evenly.

    Parameters
    ----------
    problem : Problem
    points : array (n, dim)
        In space.
    generator : numpy Generator
        Not used where nothing depends on time.

    Returns
    -------
    array (n, dim) or (n, dim + 1)
        The time is the last coordinate.
    """
    if not problem.evolves:
        return points
    n = len(points)
    fractions = (generator.permutation(n) + generator.random(n)) / n
    return np.column_stack([points, problem.time.start + fractions * problem.time.duration])


def uniform_points(problem: Problem, n: int, generator: np.random.Generator) -> np.ndarray:
    """`n` points that are independent and uniform in space, with evenly spread times: (n, dim[+1])."""
    return timed(problem, problem.domain.sample(n, generator), generator)


def quasi_random_points(problem: Problem, n: int, generator: np.random.Generator) -> np.ndarray:
    """`n` points of a freshly scrambled Sobol sequence in space, with evenly spread times: (n, dim[+1]).

    Each call scrambles anew, so that the points of one call are not those of another. They follow from the state of the
    generator alone: SciPy takes the scrambling from children of the generator's seed, which a restored generator does
    not know of, so that it is given a generator of its own.
    """
    return timed(problem, problem.domain.quasi_random(n, own_generator(generator)), generator)


def checked_points(problem: Problem, points: Any, name: str, count: int | None = None) -> np.ndarray:
    """A user's points as float64, refused unless each lies in the domain and in the interval of time.

    Parameters
    ----------
    problem : Problem
    points : array-like (n, dim) or (n, dim + 1)
    name : str
        What the message calls them.
    count : int, optional
        How many there must be.

    Raises
    ------
    OptionError
        Another shape or number, values that are not finite, or points outside.
    """
    columns = n_coordinates(problem)
    wanted = f"({'n' if count is None else count}, {columns})" + (", the time last" if problem.evolves else "")
    try:
        array = np.array(points, dtype=np.float64)
    except (TypeError, ValueError):
        raise OptionError(f"{name} are not an array of numbers; give {wanted}.") from None
    if array.ndim != 2 or array.shape[1] != columns or not len(array) or count not in (None, len(array)):
        raise OptionError(f"{name} have the shape {array.shape}; give {wanted}.")
    inside = np.isfinite(array).all(axis=1)
    inside[inside] = problem.domain.contains(array[inside, : problem.dim])
    if problem.evolves:
        inside[inside] = problem.time.contains(array[inside, -1])
    if not inside.all():
        first = array[int(np.argmin(inside))].tolist()
        raise OptionError(
            f"{int((~inside).sum())} of {len(array)} {name} lie outside of the domain, the first at {first}; "
            "give points inside or on the boundary."
        )
    array[:, : problem.dim] = problem.domain.snapped(array[:, : problem.dim])
    return array
