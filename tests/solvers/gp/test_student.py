"""The fast estimator with a Student's t mixture: errors, their estimate, refusals."""

import numpy as np
import pytest
from ufl import as_vector, cos, grad, pi, sin

from sciml import Box, Dirichlet, Problem, load_problem, solve
from sciml.errors import OptionError, UnsupportedError
from sciml.registry import load_solver


def poisson(exact, dim=1, **changes):
    law = {
        "domain": Box((0,) * dim, (1,) * dim) if dim > 1 else Box(0, 1),
        "flux": lambda u: grad(u),
        "exact": exact,
        "conditions": [Dirichlet(on="boundary")],
    }
    return Problem(**(law | changes))


CASES = {
    "sin 100x": (poisson(lambda x: sin(100 * x[0])), 1e-6),
    "cubic": (poisson(lambda x: sin(60 * x[0]), reaction=lambda u: u**3), 1e-5),
    "sum of beats": (load_problem("multiscale/sum_of_products"), 1e-5),
    "cubic plane": (poisson(lambda x: sin(20 * x[0]) * cos(9 * x[1]), dim=2, reaction=lambda u: u**3 - u), 1e-4),
    "variable plane": (
        poisson(
            lambda x: sin(20 * x[0]) + cos(9 * x[1]) * x[0],
            dim=2,
            flux=lambda u, x: (1 + 0.5 * sin(4 * pi * x[0])) * grad(u),
        ),
        1e-3,
    ),
    "mixed": (
        poisson(
            lambda x: sin(9 * x[0] - 5 * x[1]),
            dim=2,
            flux=lambda u: as_vector([grad(u)[0] + 0.4 * grad(u)[1], 0.4 * grad(u)[0] + 2 * grad(u)[1]]),
        ),
        1e-3,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_error_and_its_estimate(case):
    problem, bound = CASES[case]
    solution = solve(problem, "gp", prior="student_t", throw=False)
    error = solution.error().relative_l2
    assert error < bound
    assert error / 10 < solution.error_estimate.relative_l2 < 10 * error
    assert "Student's t" in solution.details["frequencies_from"]


def test_errors_fall_with_the_points():
    """With an envelope that is not flat over the interval, algebraically: more than the third order."""
    errors = [
        solve(
            poisson(lambda x: sin(60 * x[0])), "gp", prior="student_t", frequencies="spectrum", width=6.0,
            points_per_axis=n, measure_error=False, throw=False,
        ).error().relative_l2
        for n in (100, 200)
    ]  # fmt: skip
    assert np.log2(errors[0] / errors[1]) > 3


def test_what_the_kernel_is_too_rough_for_is_refused():
    solver, problem = load_solver("gp"), load_problem("multiscale/sine")
    with pytest.raises(UnsupportedError, match="take a larger ν"):
        solver.check(problem, solver.Options(prior="student_t", smoothness=1.5), "cpu")
    with pytest.raises(OptionError, match="prior=student_t was given frequencies=band"):
        solver.check(problem, solver.Options(prior="student_t", frequencies="band"), "cpu")
