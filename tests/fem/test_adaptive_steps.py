"""Steps in time that follow the solution: order, where they pay, interpolation, stiff starts, measured errors."""

import numpy as np
import pytest
from ufl import cos, exp, grad, pi, sin

from sciml import Box, Dirichlet, Problem, load_problem, solve
from sciml.errors import DivergenceError, OptionError
from sciml.fem.adaptive import Control, march_adaptively
from sciml.fem.algebra import choose_linear_solver
from sciml.fem.discretisation import Discretisation
from sciml.fem.stepping import System, march
from sciml.forms import analyse
from sciml.forms.schemes import Scheme
from sciml.solution import ExactField, FEField, measure_errors


def heat(factor, **changes):
    """A sine whose size follows `factor`."""
    parts = {
        "domain": Box(0.0, 1.0),
        "time": 1.0,
        "damping": 1.0,
        "flux": lambda u: grad(u) / 10,
        "exact": lambda x, t: factor(t) * sin(pi * x[0]),
        "conditions": [Dirichlet(on="boundary")],
    }
    return Problem(**(parts | changes))


def layer():
    """A layer of 1/300 at the start, and a slow rest."""
    return heat(lambda t: 3 * exp(-300 * t) + cos(2 * t))


def pulse():
    """A pulse in the middle of the time."""
    return heat(lambda t: 3 * exp(-300 * (t - 0.5) ** 2) + cos(2 * t))


def build(problem, cells=12, degree=3, stabilised=False):
    disc = Discretisation(problem, problem.domain.mesh(cells), degree, stabilised=stabilised)
    choice = choose_linear_solver("direct", symmetric=False, definite=False, dim=problem.dim, n_dofs=disc.n_dofs)
    return System(disc, choice, linear=bool(analyse(problem).linear))


def error(system, vector, t):
    problem = system.problem.at_time(t)
    return measure_errors(FEField(problem, system.snapshot(vector)), ExactField(problem)).l2


def run(problem, tolerance, longest=0.125, **discretisation):
    """The largest error at the ends and in the middle of steps, the control and the linear solves."""
    system, control = build(problem, **discretisation), Control(tolerance, 1e-10, longest)
    ends, middles = [], []
    for step in march_adaptively(system, control):
        middle = (step.start + step.end) / 2
        ends.append(error(system, step.u[1], step.end))
        middles.append(error(system, step.at(middle), middle))
    assert step.end == problem.time.end
    return max(ends), max(middles), control, system.counts.linear


@pytest.mark.parametrize("problem", [layer(), pulse()], ids=["layer", "pulse"])
def test_the_error_follows_the_tolerance(problem):
    """An eighth of the tolerance is half the step and a quarter of the error."""
    coarse, fine = (run(problem, tolerance) for tolerance in (1e-4, 1e-4 / 8))
    assert np.log2(coarse[0] / fine[0]) == pytest.approx(2, abs=0.35)
    assert len(fine[2].taken) / len(coarse[2].taken) == pytest.approx(2, rel=0.15)
    assert fine[0] < 1e-3


@pytest.mark.parametrize("problem", [layer(), pulse()], ids=["layer", "pulse"])
def test_interpolation_inside_of_steps_is_as_accurate(problem):
    at_ends, inside, _, _ = run(problem, 1e-5)
    assert inside < 1.2 * at_ends


@pytest.mark.parametrize(("problem", "equal"), [(layer(), 800), (pulse(), 480)], ids=["layer", "pulse"])
def test_it_pays(problem, equal):
    """Fewer solves than equal steps of BDF2 need for a larger error, by factors."""
    system = build(problem)
    largest = max(error(system, state.u, state.t) for state in march(system, Scheme("bdf2"), equal))
    found, _, control, solves = run(problem, 2e-4)
    assert found < largest
    assert solves < equal / 2
    assert max(control.taken) > 20 * min(control.taken)


def test_a_start_that_contradicts_the_boundary():
    """u = 1 at the start, 0 at the ends: the series of sines, from the first thousandth on."""
    problem = heat(None, exact=None, load=0.0, initial=1.0, conditions=[Dirichlet(0.0, on="boundary")])
    system, control = build(problem, cells=100, degree=2), Control(1e-5, 1e-12, 0.125)
    x, odd = np.linspace(0.05, 0.95, 30)[:, None], np.arange(1, 400, 2)
    seen = 0
    for step in march_adaptively(system, control):
        if step.end > 1e-2:
            modes = np.exp(-((np.pi * odd) ** 2) * step.end / 10) * 4 / (np.pi * odd)
            assert FEField(problem, system.snapshot(step.u[1])).evaluate(x) == pytest.approx(
                np.sin(np.pi * x * odd) @ modes, abs=2e-3
            )
            seen += 1
    assert seen > 10
    assert min(control.taken) < 1e-3 * max(control.taken)


def test_what_is_linear_in_time_is_exact():
    found, inside, control, _ = run(heat(lambda t: 2 - t, exact=lambda x, t: (2 - t) * (1 + x[0] ** 2)), 1e-6)
    assert max(found, inside) < 1e-9
    assert control.taken[-1] >= 0.06


def test_winds_that_change():
    """A stabilised law whose damping matrix depends on the state."""
    problem = heat(
        None, flux=None, reaction=lambda u: u * u.dx(0), conditions=[Dirichlet(on="left")],
        exact=lambda x, t: (2 + cos(3 * t)) * (1 + x[0] + 0.5 * x[0] ** 2),
    )  # fmt: skip
    coarse, fine = (run(problem, tolerance, cells=4, degree=2, stabilised=True)[0] for tolerance in (1e-4, 1e-4 / 64))
    assert np.log2(coarse / fine) / 2 == pytest.approx(2, abs=0.3)


@pytest.mark.parametrize("problem", [layer(), pulse()], ids=["layer", "pulse"])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-4])
def test_the_error_is_measured(problem, tolerance):
    solution = solve(problem, degree=2, cells=32, step_tolerance=tolerance)
    true, own = solution.error(), solution.error_estimate
    assert 0.5 < own.relative_l2 / true.relative_l2 < 2
    assert 0.5 < own.relative_h1 / true.relative_h1 < 2
    assert solution.details["start"].startswith(f"tr-bdf2, {solution.details['steps']} steps from ")
    assert solution.details["rejected_steps"] >= 0


def test_a_box_is_refined_until_it_is_accurate():
    solution = solve(pulse(), degree=2, step_tolerance=1e-2, accuracy=1e-3)
    assert solution.error().relative_l2 < 2e-3
    assert solution.field.times == pytest.approx(np.linspace(0, 1, 33))


def test_nonlinear_laws():
    """A front between two phases: a few steps in place of many."""
    solution = solve(load_problem("phase_field/front"), degree=2, cells=32, step_tolerance=1e-4)
    assert solution.error().relative_l2 < 3e-4
    assert solution.details["steps"] < 20


def test_steps_are_no_longer_than_allowed():
    control = run(pulse(), 1e-2, longest=0.03)[2]
    assert max(control.taken) <= 0.03 * (1 + 1e-12)
    assert sum(control.taken) == pytest.approx(1.0, abs=1e-12)


def test_steps_that_would_be_too_short_are_an_error():
    with pytest.raises(DivergenceError, match=r"Steps shorter than min_step=0.05 would be needed at t = 0"):
        solve(layer(), degree=2, cells=8, measure_error=False, step_tolerance=1e-6, min_step=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step_tolerance": 1e-3, "steps": 8}, "`steps` and `step_tolerance` are both given"),
        ({"step_tolerance": 1e-3, "scheme": "bdf2"}, "takes TR-BDF2, .* leave `scheme` at auto"),
        ({"step_tolerance": 1e-3, "min_step": 0.5, "max_step": 0.1}, "min_step=0.5 must be shorter than max_step=0.1"),
        ({"max_step": 0.1}, "`max_step` goes with `step_tolerance`"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(OptionError, match=message):
        solve(layer(), **options)


def test_other_laws_are_refused(poisson):
    with pytest.raises(OptionError, match="`step_tolerance` is for problems that run in time"):
        solve(poisson(), step_tolerance=1e-3)
    with pytest.raises(OptionError, match="TR-BDF2, for laws with ∂u/∂t alone"):
        solve(load_problem("wave/standing"), step_tolerance=1e-3)
