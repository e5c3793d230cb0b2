"""What a placement decides of a cell: options of the solver, and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sciml.benchmark.process import Limits
from sciml.errors import OptionError
from sciml.solvers.base import Solver

__all__ = ["cell_limits", "placed_options", "precision_obstacle"]

_ALL_NUMBERS, _WHERE_POSSIBLE = "dtype", "precision"
"""Options of solvers: the precision of all numbers, and that of the part of the work which may be single."""


def placed_options(solver: Solver, given: Mapping[str, Any], placement: Mapping[str, Any]) -> dict[str, Any]:
    """Options with what a cell adds: no measurement of a solver's own error, the placement's threads and precision.

    Parameters
    ----------
    solver : Solver
    given : mapping
        Options that go first.
    placement : mapping
        ``threads``, ``precision``.

    Raises
    ------
    OptionError
        The options ask for another precision than the placement.
    """
    known, precision = solver.Options.model_fields, placement["precision"]
    options: dict[str, Any] = {}
    if "measure_error" in known:
        options["measure_error"] = False
    if "threads" in known:
        options["threads"] = placement["threads"]
    # In double precision a solver may still do a part in single precision, whichever its users prefer.
    names = (_ALL_NUMBERS,) if precision == "float64" else (_ALL_NUMBERS, _WHERE_POSSIBLE)
    for name in (name for name in names if name in known):
        options[name] = precision
        if given.get(name, precision) != precision:
            raise OptionError(
                f"The option {name}={given[name]!r} of solver {solver.name!r} contradicts the placement's precision "
                f"{precision}; leave one of them out."
            )
    return options | dict(given)


def precision_obstacle(solver: Solver, precision: str) -> str | None:
    """Why a solver cannot compute in a precision, as half a sentence, or None."""
    if precision == "float64" or {_ALL_NUMBERS, _WHERE_POSSIBLE} & set(solver.Options.model_fields):
        return None
    return "it computes in float64 only"


def cell_limits(cpu_seconds: float, memory: float, factor: float, placement: Mapping[str, Any] | None = None) -> Limits:
    """Limits of a cell on this machine.

    Parameters
    ----------
    cpu_seconds : float
        On one core of 49 GFLOP/s; all threads and processes may use as many each.
    memory : float
        GiB.
    factor : float
        How much slower this machine is.
    placement : mapping, optional
        ``threads``, ``processes``; one of each by default.
    """
    threads, processes = (placement[name] if placement else 1 for name in ("threads", "processes"))
    return Limits(
        cpu_seconds=cpu_seconds * factor * threads * processes, memory=memory, threads=threads, processes=processes
    )
