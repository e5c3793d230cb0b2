"""Whether a problem is a member of a family that something was trained on, and its inputs if it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sciml.datasets.dataset import Dataset
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


def outside(problem: Problem, dataset: Dataset) -> list[str]:
    """The drawn parameters of a member that lie outside of what the training samples have."""
    values = problem.parameters.plain()
    return [
        name
        for name, (low, high) in dataset.ranges.items()
        if (np.asarray(values[name]) < low).any() or (np.asarray(values[name]) > high).any()
    ]


def inputs_of(problem: Problem, dataset: Dataset, grid: Sequence[int] | None = None) -> np.ndarray:
    """The inputs of a problem as those of a data set's samples: ``(*grid, c_in)`` in single precision.

    Parameters
    ----------
    problem : Problem
        A member of the family, see :func:`belongs`.
    dataset : Dataset
    grid : sequence of int, optional
        Nodes along each axis; those of the data set by default, and on a mesh.

    Raises
    ------
    OptionError
        The problem runs in time, so that its inputs have frames that it does not know.
    """
    if dataset.times is not None:
        raise OptionError(f"{problem!r} runs in time: its inputs are frames, which a solver has to make first.")
    shape = None if dataset.varying_places else tuple(grid or dataset.grid)
    return Layout(dataset.problem, shape, outputs=dataset.output_names).inputs(problem).astype(np.float32)
