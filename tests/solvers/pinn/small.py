"""A problem and options that a PINN is quick with, and what is compared of two trainings."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

from sciml import Problem, Solution, load_problem, solve
from sciml.solvers.pinn import PinnOptions
from sciml.solvers.pinn.training import PinnTraining

OPTIONS: dict[str, Any] = {
    "width": 8,
    "depth": 2,
    "points": 150,
    "budget": 250,
    "add": 25,
    "boundary_points": 40,
    "steps": 30,
    "candidates": 1000,
    "flow_steps": 5,
    "flow_first_steps": 25,
}


@cache
def peak() -> Problem:
    """A smooth peak on (−1, 1)², whose programs are compiled once for all tests of a process."""
    return load_problem("poisson/peak", sharpness=5)


def trained(problem: Problem | None = None, **options: Any) -> Solution:
    """A problem solved with few points and steps."""
    known = {
        name: options.pop(name) for name in ("folder", "resume", "seed", "throw", "report", "device") if name in options
    }
    return solve(problem or peak(), "pinn", **known, **(OPTIONS | options))


def training(problem: Problem | None = None, seed: int = 0, **options: Any) -> PinnTraining:
    """A training that has not made a step."""
    return PinnTraining(problem or peak(), PinnOptions(**(OPTIONS | options)), seed=seed, device="cpu")


def weights(solution: Solution) -> np.ndarray:
    """Those of the network, flat."""
    field: Any = solution.field
    return torch.cat([tensor.ravel() for tensor in field.module.state_dict().values()]).numpy()
