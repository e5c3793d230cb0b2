"""What is learned once over a family, and then asked many times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sciml.solvers.base import Solver

__all__ = ["solver_in"]


def solver_in(folder: Path) -> Solver:
    """The solver that a trained surrogate in a folder is.

    Raises
    ------
    OutputError
        The folder holds none, or a damaged one.
    """
    from sciml.surrogates.operators.solver import OperatorSolver

    return OperatorSolver(folder)
