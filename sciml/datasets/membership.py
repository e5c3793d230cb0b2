"""Whether a problem is a member of a family that something was trained on, and its inputs if it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sciml.datasets.layout import Layout
from sciml.errors import OptionError
from sciml.problem import Problem

__all__ = ["belongs", "inputs_of", "outside"]


def belongs(problem: Problem, family: Problem) -> str | None:
    """Why a problem is no member of a family, as half a sentence; None if it is.

    Members come from the same declaration, and have the same values of all that is not drawn.

    Parameters
    ----------
    problem : Problem
        A member (``family.draw(k)``), or an instance with values of the user's own.
    family : Problem
        As in :attr:`Dataset.problem <sciml.datasets.Dataset.problem>`.
    """
    named = family.source or family.name
    if problem.source != family.source or type(problem) is not type(family):
        return f"it is {problem.source or problem.name or 'a problem made in memory'}, and the family is {named}"
    own, common = problem.parameters.plain(), family.parameters.plain()
    drawn = set(family.family.laws)
    for name in common:
        if name not in drawn and own[name] != common[name]:
            return f"it has {name} = {own[name]!r}, and all members of the family have {common[name]!r}"
    return None


def outside(problem: Problem, ranges: Mapping[str, Sequence[Any]]) -> list[str]:
    """The drawn parameters of a member that lie outside of ranges, as `Dataset.ranges` has those of training samples.

    Parameters
    ----------
    problem : Problem
    ranges : mapping of (low, high)
        Entry by entry.
    """
    values = problem.parameters.plain()
    return [
        name
        for name, (low, high) in ranges.items()
        if (np.asarray(values[name]) < low).any() or (np.asarray(values[name]) > high).any()
    ]


def inputs_of(
    problem: Problem, family: Problem, grid: Sequence[int] | None, outputs: Sequence[str] | None = None
) -> np.ndarray:
    """The inputs of a problem as those of a data set's samples: ``(*grid, c_in)`` in single precision.

    Parameters
    ----------
    problem : Problem
        A member of the family, see :func:`belongs`.
    family : Problem
        As in :attr:`Dataset.problem <sciml.datasets.Dataset.problem>`.
    grid : sequence of int or None
        Nodes along each axis; None where each member has a mesh of its own.
    outputs : sequence of str, optional
        Names of the outputs, where they are not those that the declaration names.

    Raises
    ------
    OptionError
        The problem runs in time, so that its inputs have frames that it does not know.
    """
    if family.evolves:
        raise OptionError(f"{problem!r} runs in time: its inputs are frames, which a solver has to make first.")
    return Layout(family, None if grid is None else tuple(grid), outputs=outputs).inputs(problem).astype(np.float32)
