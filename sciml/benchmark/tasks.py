"""Tasks: one problem with all its values, as plain data that another process makes the same problem of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sciml.errors import DeclarationError
from sciml.files import plain
from sciml.problem import Problem
from sciml.registry import load_problem, problem_key

__all__ = ["Role", "load_task", "task_of"]

Role = Literal["named", "hidden", "out_of_range", "tuning"]


def task_of(problem: Problem, role: Role, label: str | None = None) -> dict[str, Any]:
    """A problem as plain data.

    Parameters
    ----------
    problem : Problem
        Of the catalogue or of a file; a drawn member brings the values that were drawn.
    role : {"named", "hidden", "out_of_range", "tuning"}
        What it is for; the key does not depend on it.
    label : str, optional
        Text for people; by default the name, the values that are not the defaults, and the member.

    Returns
    -------
    dict
        ``key``, ``problem`` (name, or path and class), ``label``, ``parameters`` (all of them), ``member`` ([seed,
        index] or None), ``role``.

    Raises
    ------
    DeclarationError
        The problem was made in memory, where no other process finds it.
    """
    if problem.source is None:
        raise DeclarationError(
            f"{problem!r} was made in memory, where no other process finds it; declare it in a file and name that."
        )
    return {
        "key": problem_key(problem),
        "problem": problem.source,
        "label": _label(problem) if label is None else label,
        "parameters": plain(problem.parameters.plain()),
        "member": None if problem.member is None else list(problem.member),
        "role": role,
    }


def load_task(task: Mapping[str, Any]) -> Problem:
    """The problem of a task.

    Raises
    ------
    DeclarationError
        What declares it is no longer what it was when the task was made.
    UnknownNameError, ParameterError
        As for :func:`~sciml.registry.load_problem`.
    """
    problem = load_problem(task["problem"], member=task["member"], **task["parameters"])
    found = problem_key(problem)
    if found != task["key"]:
        raise DeclarationError(
            f"{task['label']} was declared differently when this run was planned (key {task['key']}, now {found}); put "
            f"the declaration back, or start a new run."
        )
    return problem


def _label(problem: Problem) -> str:
    defaults = {name: declared.default for name, declared in problem.declared_parameters.items()}
    given = {name: value for name, value in problem.parameters.plain().items() if value != defaults[name]}
    words = [problem.name, *(f"{name}={_short(value)}" for name, value in given.items())]
    if problem.member is not None:
        words.append("member {1} of seed {0}".format(*problem.member))
    return " ".join(words)


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
