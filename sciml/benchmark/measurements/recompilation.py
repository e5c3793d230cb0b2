"""Whether a new parameter value costs a compilation."""

from __future__ import annotations

from sciml import Problem, load_problem, solve
from sciml.fem.compiling import compile_seconds


def recompilation() -> dict[str, float]:
    """Wall seconds spent on compiling forms when a problem that was solved before gets other parameter values.

    Returns
    -------
    dict
        ``fresh_problem``: loaded anew; ``with_parameters``: made from one that exists.
    """
    _seconds_of_compiling(load_problem("poisson/peak", sharpness=100.0))
    other = load_problem("poisson/peak").with_parameters(sharpness=77.0, centre=(0.1, 0.2))
    return {
        "fresh_problem": _seconds_of_compiling(load_problem("poisson/peak", sharpness=123.0)),
        "with_parameters": _seconds_of_compiling(other),
    }


def _seconds_of_compiling(problem: Problem) -> float:
    before = compile_seconds()
    solve(problem, "fenics", degree=2, cells=16)
    return compile_seconds() - before
