"""What several measurements share: semi-discrete systems and their errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from sciml import Problem, analyse
from sciml.fem import Discretisation
from sciml.fem.algebra import choose_linear_solver
from sciml.fem.stepping import System, march
from sciml.forms.schemes import Scheme
from sciml.solution import ExactField, FEField, measure_errors


def make_system(problem: Problem, cells: int, degree: int, *, stabilised: bool = False) -> System:
    """The equations in time that a mesh of a box leaves, solved directly."""
    disc = Discretisation(problem, problem.domain.mesh(cells), degree, stabilised=stabilised)
    even = not stabilised
    choice = choose_linear_solver("direct", symmetric=even, definite=even, dim=problem.dim, n_dofs=disc.n_dofs)
    return System(disc, choice, linear=bool(analyse(problem).linear))


def final_error(system: System, scheme: Scheme, steps: int) -> float:
    """L2 error at the end of equal steps."""
    for state in march(system, scheme, steps):
        last = state
    return error_at(system, last.u, last.t)


def error_at(system: System, vector: Any, instant: float) -> float:
    """L2 error of a vector of unknowns against the exact solution at an instant."""
    problem = system.problem.at_time(instant)
    return measure_errors(FEField(problem, system.snapshot(vector)), ExactField(problem)).l2


def observed_order(coarse: float, fine: float) -> float:
    """The order that two errors show when the step is halved."""
    return float(np.log2(coarse / fine))
