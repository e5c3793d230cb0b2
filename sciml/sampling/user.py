"""Points of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np

from sciml.errors import OptionError
from sciml.sampling.generators import own_generator
from sciml.sampling.points import PointSet, checked_points
from sciml.sampling.sampler import PointSampler, SamplingContext, SamplingOptions, check_budget

__all__ = ["UserSampler"]

_Function = Callable[[int, SamplingContext], Any]


class UserSampler(PointSampler):
    """The user's points: an array, which stays, or a function that is asked at every refresh.

    Parameters
    ----------
    options : SamplingOptions
        `uniform_share` and `candidates` have no meaning here: coverage is the user's business.
    points : array (n, dim[+1]) or callable
        An array is used whole, whatever number is asked for at the start, and never changes. A function
        ``f(n, context)`` returns `n` points; it draws from ``context.generator`` if it is to be reproducible, and may
        look at ``context.squared(points)``. It is asked for the whole set where `add` is 0, else for what is added.

    Raises
    ------
    OptionError
        Later, when the problem is known: points of another shape or number, outside of the domain, or more than the
        budget.
    """

    name, title = "user", "points of the user's own"

    def __init__(
        self,
        options: SamplingOptions | None = None,
        *,
        points: np.ndarray | _Function | None = None,
    ) -> None:
        super().__init__(options)
        if points is None:
            raise OptionError("'user' has no points; give an array (n, dim) or a function of (n, context).")
        self._points = points

    def _first(self, n: int, context: SamplingContext) -> PointSet:
        if callable(self._points):
            return _asked(self._points, n, context)
        points = checked_points(context.problem, self._points, "points of the user")
        check_budget(len(points), self.options.most, "of the user")
        return PointSet.of(points, "user", born=context.round)

    def _refreshed(self, points: PointSet, context: SamplingContext) -> PointSet:
        return super()._refreshed(points, context) if callable(self._points) else points

    def _batch(self, n: int, kept: PointSet, context: SamplingContext) -> PointSet:
        return _asked(cast(_Function, self._points), n, context)


def _asked(function: _Function, n: int, context: SamplingContext) -> PointSet:
    # Of its own, since Sobol points take children of a seed, which a restored generator does not know of.
    context = replace(context, generator=own_generator(context.generator))
    points = checked_points(context.problem, function(n, context), "points of the user's function", count=n)
    return PointSet.of(points, "user", born=context.round)
