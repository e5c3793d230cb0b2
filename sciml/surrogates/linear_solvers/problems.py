"""Linear systems of problems of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sciml.environment import require
from sciml.linear import LinearSystem
from sciml.problem import Problem
from sciml.registry import load_problem

__all__ = ["from_problem"]


def from_problem(problem: str | Problem, cells: Sequence[int] | None = None, **parameters: Any) -> LinearSystem:
    """The linear system of a problem, assembled by DOLFINx with linear elements.

    Parameters
    ----------
    problem : str or Problem
        A name of the catalogue, a file, or a problem.
    cells : (dim,) sequence of int, optional
        Along each axis of a box; 16 by default.
    **parameters
        Of the problem.

    Raises
    ------
    UnknownNameError
        There is no such problem.
    UnsupportedError
        It is not stationary, linear, symmetric and positive.
    """
    require()
    from sciml.fem.systems import linear_system

    loaded = load_problem(problem, **parameters) if isinstance(problem, str) else problem
    return linear_system(loaded, cells)
