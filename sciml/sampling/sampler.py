"""What a sampler is: its protocol, what it is told, the options that all share, and how sets grow within a budget."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from torch import Tensor

from sciml.errors import DeclarationError, OptionError
from sciml.problem import Problem
from sciml.sampling.generators import generator_from, generator_values, own_generator
from sciml.sampling.points import PointSet, quasi_random_points, uniform_points

__all__ = [
    "AdaptiveSampler",
    "PointSampler",
    "Sampler",
    "SamplingContext",
    "SamplingOptions",
    "check_budget",
    "check_candidates",
    "check_refreshed",
    "covering_points",
    "independent_points",
]


@dataclass(frozen=True)
class SamplingContext:
    """What a sampler may look at.

    Attributes
    ----------
    problem : Problem
        Domain, and time where there is one.
    residuals : callable
        Points (n, dim[+1]) → r² (n,), the squared residual in multiples of its typical size, summed over equations.
    generator : numpy Generator
        Where a sampler takes the seed of its own generator from, once, in `Sampler.start`.
    round : int
        How often points were looked at: 0 at the start.
    leverage : callable, optional
        Points (n, dim[+1]) → scores (n,): how much a residual there would determine of the parameters,
        τ(x) = Σ J(x) (JᵀJ/N + λ)⁻¹ J(x)ᵀ over the equations, in any unit. None where the optimiser knows no such thing.
    """

    problem: Problem
    residuals: Callable[[np.ndarray], np.ndarray]
    generator: np.random.Generator
    round: int = 0
    leverage: Callable[[np.ndarray], np.ndarray] | None = None

    def squared(self, points: np.ndarray) -> np.ndarray:
        """r² at points (n, dim[+1]): (n,), which need not be finite.

        Raises
        ------
        DeclarationError
            If `residuals` returns another shape, or negative values.
        """
        return _scores("The squared residuals", self.residuals(points), len(points))

    def leverages(self, points: np.ndarray) -> np.ndarray:
        """Leverage scores at points (n, dim[+1]): (n,).

        Raises
        ------
        OptionError
            Where there are none.
        DeclarationError
            If `leverage` returns another shape, or negative values.
        """
        return _scores("The leverage scores", self._known_leverage()(points), len(points))

    def check_leverage(self) -> None:
        """Refuse to go on without leverage scores.

        Raises
        ------
        OptionError
        """
        self._known_leverage()

    def _known_leverage(self) -> Callable[[np.ndarray], np.ndarray]:
        if self.leverage is None:
            raise OptionError(
                "Leverage scores come from an optimiser that factors its Jacobian, and this one does not; "
                "choose Gauss–Newton or another sampler."
            )
        return self.leverage


def _scores(name: str, values: Any, n: int) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (n,):
        raise DeclarationError(f"{name} of {n} points have the shape {values.shape}; return ({n},).")
    if np.any(values < 0):
        raise DeclarationError(f"{name} are negative somewhere, down to {np.nanmin(values):.3g}; return squares.")
    return values


class Sampler(Protocol):
    """Where residuals are looked at: a set of points at the start, and what becomes of it."""

    name: ClassVar[str]

    def start(self, n: int, context: SamplingContext) -> PointSet:
        """The first `n` points."""
        ...

    def refresh(self, points: PointSet, context: SamplingContext) -> PointSet:
        """The points from now on; the same object where nothing changes."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Arrays of its state, for a checkpoint."""
        ...

    def values(self) -> dict[str, Any]:
        """The rest of its state, for JSON."""
        ...

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on, bit by bit, where the one that the state was taken of would have."""
        ...


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How many points, how often they are looked at, and how many come and go.

    Parameters
    ----------
    points : int
        At the start.
    budget : int, optional
        Most points that there ever are. By default `points` where points are replaced, twice as many where they are
        added.
    every : int
        Steps of the unknown between two refreshes; 0: the points of the start stay.
    add : int
        Points that come with each refresh; 0: the set is replaced and keeps its size. Good values for Gauss–Newton
        and L-BFGS, which fit small sets between their points: 2 % to 10 % of `points`, with `every` at 5 to 20.
    uniform_share : float
        At least this part of the set covers the domain whatever the residual is. Good values: 0.3 to 0.5; 0 is the
        published form of RAR, RAD and R3.
    candidates : int
        Fresh uniform points that scores are looked at on, for each refresh of a sampler that has scores.
    full : {"stop", "replace"}
        When the budget is reached: stop adding, or let others go for what comes. What goes is the surplus over
        `uniform_share` first, at random, then what was added for its residual and has the smallest now. Samplers
        without residuals, or with importance weights, let the oldest go.

    Raises
    ------
    OptionError
        If a value is not allowed; the message says which are.
    """

    points: int = 2000
    budget: int | None = None
    every: int = 10
    add: int = 0
    uniform_share: float = 0.3
    candidates: int = 10_000
    full: Literal["stop", "replace"] = "stop"

    def __post_init__(self) -> None:
        for name, lowest in {"points": 1, "every": 0, "add": 0, "candidates": 1}.items():
            _whole(name, getattr(self, name), lowest)
        if self.budget is not None:
            _whole("budget", self.budget, 1)
        check_budget(self.points, self.most, "at the start")
        check_budget(self.add, self.most, "that are added at once")
        share = self.uniform_share
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise OptionError(f"uniform_share is {share!r}; allowed are numbers from 0 to 1.")
        if self.full not in ("stop", "replace"):
            raise OptionError(f"full is {self.full!r}; allowed are 'stop' and 'replace'.")

    @property
    def most(self) -> int:
        """The budget, or what stands for it."""
        if self.budget is not None:
            return self.budget
        return max(2 * self.points, self.add) if self.add else self.points

    def is_due(self, step: int) -> bool:
        """Whether points are refreshed after this many steps."""
        return self.every > 0 and step > 0 and step % self.every == 0

    def n_uniform(self, n: int) -> int:
        """How many of `n` points cover the domain at least."""
        return math.ceil(self.uniform_share * n - 1e-9)


def check_budget(n: int, budget: int, which: str) -> None:
    """Refuse more points than the budget allows.

    Raises
    ------
    OptionError
    """
    if n > budget:
        raise OptionError(
            f"The budget of {budget} points is smaller than the {n} points {which}; "
            "give a larger budget or fewer points."
        )


def check_refreshed(name: str, options: SamplingOptions) -> None:
    """Refuse to leave a sampler as it started, if refreshing is all that it is for.

    Raises
    ------
    OptionError
    """
    if not options.every:
        raise OptionError(f"every is 0, so {name!r} never looks at its points; give at least 1, or use 'uniform'.")


def check_candidates(options: SamplingOptions) -> None:
    """Refuse fewer candidates than points that are drawn from them.

    Raises
    ------
    OptionError
    """
    drawn = options.add or options.points
    if options.candidates < drawn:
        raise OptionError(
            f"{options.candidates} candidates are fewer than the {drawn} points of a refresh; give more candidates."
        )


def _whole(name: str, value: Any, lowest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < lowest:
        raise OptionError(f"{name} is {value!r}; allowed are whole numbers from {lowest}.")


def covering_points(n: int, context: SamplingContext) -> PointSet:
    """`n` fresh points of a scrambled Sobol sequence, of the origin "uniform"."""
    return PointSet.of(quasi_random_points(context.problem, n, context.generator), "uniform", born=context.round)


def independent_points(n: int, context: SamplingContext) -> PointSet:
    """`n` fresh points that are independent and uniform in space, of the origin "uniform"."""
    return PointSet.of(uniform_points(context.problem, n, context.generator), "uniform", born=context.round)


class PointSampler(ABC):
    """What samplers share: a generator of their own, a budget, exact state.

    A subclass says which points come (`_batch`); everything else has a meaning without that.

    Parameters
    ----------
    options : SamplingOptions
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, options: SamplingOptions | None = None) -> None:
        self.options = options or SamplingOptions()
        self._generator: np.random.Generator | None = None

    @abstractmethod
    def _batch(self, n: int, kept: PointSet, context: SamplingContext) -> PointSet:
        """`n` points that come to those that are kept."""

    def _first(self, n: int, context: SamplingContext) -> PointSet:
        """The points of the start; a residual says nothing yet."""
        return covering_points(n, context)

    def _remaining(self, points: PointSet, n_gone: int, context: SamplingContext) -> PointSet:
        """What is left when `n_gone` points go for others: the youngest, at random among those of the same age."""
        order = context.generator.permutation(len(points))
        oldest = order[np.argsort(points.born[order], kind="stable")][:n_gone]
        return points.take(np.delete(np.arange(len(points)), oldest))

    def start(self, n: int, context: SamplingContext) -> PointSet:
        """The first `n` points; from now on the sampler has a generator of its own.

        Raises
        ------
        OptionError
            More points than the budget allows.
        """
        check_budget(n, self.options.most, "at the start")
        self._generator = own_generator(context.generator)
        return self._first(n, self._own(context))

    def refresh(self, points: PointSet, context: SamplingContext) -> PointSet:
        """The points from now on: replaced where `add` is 0, else with `add` more within the budget.

        Parameters
        ----------
        points : PointSet
            Of `start` or the last `refresh`.
        context : SamplingContext
            Its generator is not used.
        """
        return self._refreshed(points, self._own(context))

    def _refreshed(self, points: PointSet, context: SamplingContext) -> PointSet:
        options = self.options
        if not options.add:
            return self._batch(len(points), points.take(np.arange(0)), context)
        room = max(options.most - len(points), 0)
        n_new = options.add if options.full == "replace" else min(options.add, room)
        if not n_new:
            return points
        kept = self._remaining(points, n_new - room, context) if n_new > room else points
        return kept.joined(self._batch(n_new, kept, context))

    def _own(self, context: SamplingContext) -> SamplingContext:
        if self._generator is None:
            raise DeclarationError("The sampler has no points yet; call start (or restore) before refresh.")
        return replace(context, generator=self._generator)

    def tensors(self) -> dict[str, Tensor]:
        """Arrays of its state: none."""
        return {}

    def values(self) -> dict[str, Any]:
        """The state of its generator, which is all that it remembers."""
        return {"generator": None if self._generator is None else generator_values(self._generator)}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on where the sampler that `values` were taken of would have."""
        state = values["generator"]
        self._generator = None if state is None else generator_from(state)


class AdaptiveSampler(PointSampler):
    """A sampler that looks at residuals on fresh candidates and keeps a share of the set uniform.

    A subclass says which points it wants (`_adaptive`); it may return fewer, and uniform ones fill up.

    Raises
    ------
    OptionError
        If `every` is 0, or there are fewer candidates than points to be drawn from them.
    """

    def __init__(self, options: SamplingOptions | None = None) -> None:
        super().__init__(options)
        check_refreshed(self.name, self.options)
        check_candidates(self.options)

    @abstractmethod
    def _adaptive(self, n: int, context: SamplingContext) -> np.ndarray:
        """Up to `n` points (k, dim[+1]) that are wanted for their residual."""

    def _batch(self, n: int, kept: PointSet, context: SamplingContext) -> PointSet:
        missing = self.options.n_uniform(len(kept) + n) - int(kept.has("uniform").sum())
        n_adaptive = n - min(max(missing, 0), n)
        if not n_adaptive:
            return covering_points(n, context)
        wanted = self._adaptive(n_adaptive, context)
        return covering_points(n - len(wanted), context).joined(PointSet.of(wanted, "adaptive", born=context.round))

    def _remaining(self, points: PointSet, n_gone: int, context: SamplingContext) -> PointSet:
        """The surplus of uniform points goes first, at random, then adaptive ones with the smallest residual."""
        uniform, others = np.flatnonzero(points.has("uniform")), np.flatnonzero(~points.has("uniform"))
        surplus = max(len(uniform) - self.options.n_uniform(len(points)), 0)
        gone = context.generator.permutation(uniform)[: min(surplus, n_gone)]
        if len(gone) < n_gone:
            squared = context.squared(points.points[others])
            order = np.argsort(np.where(np.isfinite(squared), squared, -1.0), kind="stable")
            gone = np.concatenate([gone, others[order[: n_gone - len(gone)]]])
        return points.take(np.delete(np.arange(len(points)), gone))

    def _candidates(self, context: SamplingContext) -> np.ndarray:
        """Fresh points to be scored: (candidates, dim[+1])."""
        return uniform_points(context.problem, self.options.candidates, context.generator)
