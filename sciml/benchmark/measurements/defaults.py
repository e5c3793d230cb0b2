"""What the reference costs by its default options."""

from __future__ import annotations

import time

import numpy as np

from sciml import load_problem, solve
from sciml.registry import load_solver, problem_classes


def defaults() -> dict[str, float]:
    """Every problem of the catalogue that the reference can solve, by its default options.

    Returns
    -------
    dict
        ``FAMILY/PROBLEM``: CPU seconds of each; ``median`` of them; ``problems``: how many there are.
    """
    reference = load_solver("fenics")
    reference.load()
    spent: dict[str, float] = {}
    for name in problem_classes():
        if reference.supports(load_problem(name)) is None:
            start = time.process_time()
            solve(name, "fenics")
            spent[name] = time.process_time() - start
    return spent | {"median": float(np.median([*spent.values()])), "problems": float(len(spent))}
