"""Newton's method: starts, load steps, failures."""

import numpy as np
import pytest
from ufl import Identity, as_vector, det, exp, grad, inner, ln, sqrt

from sciml import Dirichlet, Mean, Neumann, Robin, solve, vector
from sciml.errors import DivergenceError
from sciml.solvers.base import Progress


def neo_hooke(u):
    f = Identity(2) + grad(u)
    return 0.5 * (inner(f, f) - 2 - 2 * ln(det(f))) + ln(det(f)) ** 2


def pressed(poisson, by):
    return poisson(
        fields={"d": vector},
        energy=neo_hooke,
        load=0.0,
        parameters={"by": by},
        conditions=lambda p: [Dirichlet(0.0, on="left"), Dirichlet(as_vector([-p.by, 0.0]), on="right")],
    )


def test_load_steps_end_at_the_same_solution(poisson):
    problem = pressed(poisson, 0.3)
    points = problem.domain.sample(50, np.random.default_rng(0))
    at_once, in_steps = (solve(problem, cells=6, degree=2, load_steps=n, measure_error=False) for n in (1, 5))
    assert np.abs(at_once.evaluate(points) - in_steps.evaluate(points)).max() < 1e-10
    assert at_once.details["start"] == "harmonic lift of the Dirichlet data"
    assert in_steps.details["start"] == "zero, 5 load steps"
    assert in_steps.iterations > at_once.iterations


def test_loads_and_fluxes_grow_in_the_same_proportion(poisson):
    """All of load, Neumann and Robin data are scaled, so a linear law passes through multiples of its solution."""

    def exact(x):
        return 1 + x[0] * x[1] + x[1] ** 2

    problem = poisson(
        exact=exact,
        reaction=lambda u: u + 0.1 * u**3,
        conditions=[Dirichlet(on="left"), Neumann(on="right"), Robin(alpha=2.0, on=["top", "bottom"])],
    )
    for steps in (1, 4):
        assert solve(problem, cells=4, degree=2, load_steps=steps, measure_error=False).error().relative_h1 < 1e-9


def test_large_loads_need_steps(poisson):
    """A block pressed to half its length: from the harmonic lift cells turn inside out."""
    problem = pressed(poisson, 0.6)
    solution = solve(problem, cells=6, degree=1, load_steps=10, measure_error=False)
    assert solution.residual < 1e-8
    assert solution.evaluate([[1.0, 0.5]])[0] == pytest.approx([-0.6, 0.0])


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        (
            {"flux": lambda u: exp(50 * u**2) * grad(u), "load": 1e3},
            {"max_iterations": 3},
            "the iteration limit was reached (DIVERGED_MAX_IT) after 3 iterations",
        ),
        ({"reaction": lambda u: -20 * exp(u)}, {}, "DIVERGED_"),
    ],
)
def test_failures_are_told_in_words(poisson, changes, options, words):
    with pytest.raises(DivergenceError, match="Newton's method failed: ") as caught:
        solve(poisson(**changes), cells=4, measure_error=False, **options)
    text = str(caught.value)
    assert words in text
    assert "try -o load_steps=10, a finer mesh, or a milder parameter value" in text
    assert "‖F‖ = " in text
    assert "\n" not in text


def test_a_failing_load_step_is_named(poisson):
    problem = poisson(load=100.0, reaction=lambda u: -exp(u))
    with pytest.raises(DivergenceError, match=r"in load step \d: .*load_steps=10"):
        solve(problem, cells=4, measure_error=False, load_steps=3)


def test_a_start_where_the_law_is_not_finite_is_refused(poisson):
    problem = poisson(flux=lambda u: grad(u) / sqrt(u - 1), load=0.0, conditions=[Dirichlet(0.5, on="boundary")])
    with pytest.raises(DivergenceError, match="not finite where Newton's method starts"):
        solve(problem, cells=4, measure_error=False)


def test_a_start_at_the_solution_is_accepted(poisson):
    """The harmonic lift of affine data solves every law in ∇u."""
    problem = poisson(exact=lambda x: 1 + x[0], energy=lambda u: (1 + inner(grad(u), grad(u))) ** 2, load=0.0)
    solution = solve(problem, cells=4, measure_error=False)
    assert solution.iterations <= 1
    assert solution.error().relative_l2 < 1e-12


def test_zero_data_give_zero(poisson):
    solution = solve(poisson(load=0.0, reaction=lambda u: u**3), cells=4, measure_error=False)
    assert not solution.evaluate([[0.5, 0.5]]).any()


def test_newton_converges_quadratically(poisson):
    """The logarithm of the residual norm nearly doubles in the last steps."""
    lines = []
    problem = poisson(exact=lambda x: exp(x[0] * x[1]), reaction=lambda u: u**3)
    solve(problem, cells=8, degree=1, measure_error=False, report=lambda p: lines.append(p.text))
    norms = [float(line.split("= ")[-1]) for line in lines if "Newton" in line]
    logs = np.log(np.array(norms) / norms[0])
    assert len(norms) >= 4
    assert logs[3] / logs[2] > 1.7
    assert all(isinstance(Progress("x", text=line), Progress) for line in lines)


def test_a_nonlinear_pure_neumann_problem(poisson):
    """−div((1 + |∇u|²) ∇u) = f with zero flux: found up to the mean value."""
    problem = poisson(
        energy=lambda u: inner(grad(u), grad(u)) / 2 + inner(grad(u), grad(u)) ** 2 / 4,
        load=lambda x: x[0] - 0.5,
        conditions=[Mean(2.0)],
    )
    for linear_solver in ("direct", "gamg"):
        solution = solve(problem, cells=8, measure_error=False, linear_solver=linear_solver)
        values = solution.evaluate(np.array([[0.0, 0.3], [0.5, 0.3], [1.0, 0.3]]))
        assert values[1] == pytest.approx(2, abs=1e-6)
        assert values[0] + values[2] == pytest.approx(4, abs=1e-6)
        assert values[2] - values[0] > 0.05
        assert solution.residual < 1e-9
