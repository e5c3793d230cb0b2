"""The fast estimator on declared problems: accuracy, choices, what it says of its errors, and refusals."""

import numpy as np
import pytest
from ufl import as_vector, conditional, cos, exp, grad, gt, inner, ln, pi, sin, sqrt

from sciml import Box, Dirichlet, Mean, Neumann, Periodic, Problem, load_problem, solve
from sciml.benchmark.measurements.gaussian_process import gp_coverage
from sciml.errors import DomainError, OptionError, UnsupportedError
from sciml.forms import Derivative
from sciml.registry import load_solver
from sciml.solvers.gp import newton as newton_methods
from sciml.solvers.gp.features import Axis, Band, Mixture
from sciml.solvers.gp.newton import KroneckerInverse
from sciml.solvers.gp.system import System, along, rows_along


def poisson(exact, dim=1, **changes):
    law = {
        "domain": Box((0,) * dim, (1,) * dim) if dim > 1 else Box(0, 1),
        "flux": lambda u: grad(u),
        "exact": exact,
        "conditions": [Dirichlet(on="boundary")],
    }
    return Problem(**(law | changes))


SMOOTH = {
    "lines": (poisson(lambda x: sin(100 * x[0]) + 0.1 * cos(7 * x[0])), 1e-9),
    "chirp": (poisson(lambda x: sin(40 * x[0] ** 2)), 1e-8),
    "cubic": (poisson(lambda x: sin(60 * x[0]), reaction=lambda u: u**3), 1e-9),
    "plane": (poisson(lambda x: sin(50 * x[0]) * cos(30 * x[1]) + x[0] * x[1], dim=2), 1e-8),
    "cubic plane": (poisson(lambda x: sin(20 * x[0]) * cos(9 * x[1]), dim=2, reaction=lambda u: u**3 - u), 1e-8),
    "variable": (
        poisson(
            lambda x: sin(20 * x[0]) + cos(9 * x[1]) * x[0],
            dim=2,
            flux=lambda u, x: (1 + 0.5 * sin(4 * pi * x[0]) * cos(4 * pi * x[1])) * grad(u),
        ),
        1e-8,
    ),
    "mixed derivatives": (
        poisson(
            lambda x: sin(9 * x[0] - 5 * x[1]),
            dim=2,
            flux=lambda u: as_vector([grad(u)[0] + 0.4 * grad(u)[1], 0.4 * grad(u)[0] + 2 * grad(u)[1]]),
        ),
        1e-8,
    ),
    "space": (poisson(lambda x: sin(12 * x[0]) * cos(9 * x[1]) * exp(x[2]), dim=3), 1e-7),
    "advection": (
        poisson(
            lambda x: sin(30 * x[0] - 20 * x[1]),
            dim=2,
            flux=None,
            reaction=lambda u: 2 * u.dx(0) + 3 * u.dx(1),
            conditions=[Dirichlet(on=["left", "bottom"])],
        ),
        1e-8,
    ),
    "fluxes": (
        poisson(
            lambda x: sin(15 * x[0]) * exp(x[1]),
            dim=2,
            conditions=[Dirichlet(on="left"), Neumann(on=["right", "bottom", "top"])],
        ),
        1e-8,
    ),
    "periodic": (
        poisson(
            lambda x: sin(2 * pi * x[0]) * cos(6 * pi * x[1]),
            dim=2,
            conditions=[Periodic("boundary"), Mean(0.0)],
        ),
        1e-8,
    ),
}


@pytest.mark.parametrize("case", SMOOTH)
def test_smooth_solutions(case):
    """To nearly rounding, with an estimate of the error that is of its size or larger."""
    problem, tolerance = SMOOTH[case]
    solution = solve(problem, "gp")
    error = solution.error().relative_l2
    assert error <= tolerance
    assert solution.status == "converged"
    assert solution.error_estimate.relative_l2 > 0.1 * error


def test_kinks_are_confessed():
    """u with a jump in its third derivative: the error is small but not tiny, and the estimate within a factor of 10."""
    problem = poisson(lambda x: sin(9 * x[0]) + 5 * conditional(gt(x[0], 0.37), (x[0] - 0.37) ** 3, 0.0))
    solution = solve(problem, "gp", points_per_axis=160)
    error = solution.error().relative_l2
    assert 1e-8 < error < 1e-2
    assert error / 10 < solution.error_estimate.relative_l2 < 10 * error
    assert solution.details["off_grid_residual"] > 1e-6


@pytest.mark.parametrize("frequencies", ["spectrum", "band", "grid"])
def test_every_choice_of_frequencies(frequencies):
    problem = poisson(lambda x: sin(100 * x[0]))
    solution = solve(problem, "gp", frequencies=frequencies, points_per_axis=150)
    assert solution.error().relative_l2 < 1e-6
    assert solution.details["points"] == [150]


def test_kronecker_inverse_is_that_of_the_dense_matrix():
    """For constant coefficients, with a Schur form and without, against the matrix made column by column."""
    problem = poisson(lambda x: x[0] * x[1], dim=2, reaction=lambda u: 3 * u.dx(0) + 2 * u, flux=lambda u: grad(u))
    axes = [Axis.of(Mixture(0.0, 1.0, (0.0, 2.0), 5, 1.5), 40), Axis.of(Band.of(0.0, 1.0, 1.0, 12), 40)]
    system = System(problem, axes, rows_along(problem))
    slopes = system.linearised(system.lifted())[1]
    size = int(np.prod(system.free_shape))
    matrix = np.stack([system.applied(slopes, system.expanded(column)).ravel() for column in np.eye(size)], axis=1)
    right = np.random.default_rng(0).standard_normal(system.free_shape)
    wanted = np.linalg.solve(matrix, right.ravel()).reshape(system.free_shape)
    found = KroneckerInverse(system, slopes)(right)
    assert np.abs(found - wanted).max() < 1e-8 * np.abs(wanted).max()


def test_conditions_are_built_in():
    """Whatever the free part is, values and fluxes on the sides are those declared, between the points too."""
    problem = SMOOTH["fluxes"][0]
    axes = [Axis.of(Mixture(0.0, 1.0, (0.0, 15 / (2 * np.pi)), 12, 1.5), 60) for _ in range(2)]
    system = System(problem, axes, rows_along(problem))
    free = np.random.default_rng(1).standard_normal(system.free_shape)
    coefficients = system.lifted() + system.expanded(free)
    y = np.linspace(0.013, 0.987, 7)
    left = along([axes[0].at(np.array([0.0]), 0), axes[1].at(y, 0)], coefficients)[0]
    right = along([axes[0].at(np.array([1.0]), 1), axes[1].at(y, 0)], coefficients)[0]
    assert np.abs(left).max() < 1e-7
    assert np.abs(right - 15 * np.cos(15) * np.exp(y)).max() < 1e-6


def test_linearised_equation_is_the_derivative_of_the_equation():
    """Taylor: the remainder falls with the square of the step."""
    problem = SMOOTH["cubic plane"][0]
    axes = [Axis.of(Mixture(0.0, 1.0, (0.0, 2.0), 6, 1.5), 30) for _ in range(2)]
    system = System(problem, axes, rows_along(problem))
    generator = np.random.default_rng(2)
    state, step = (generator.standard_normal([axis.rank for axis in axes]) for _ in range(2))
    values, slopes = system.linearised(state)
    assert set(slopes) == {Derivative(0), Derivative(0, (0, 0)), Derivative(0, (1, 1))}
    first = sum(s * system.values(step, key.axes) for key, s in slopes.items())
    rest = [np.abs(system.residual(state + h * step) - values - h * first).max() for h in (0.1, 0.05)]
    assert np.log2(rest[0] / rest[1]) == pytest.approx(2, abs=0.2)


def test_band_covers_what_it_promises():
    found = gp_coverage()
    assert found["coverage"] == pytest.approx(0.95, abs=0.03)
    assert found["width over error"] == pytest.approx(1.0, abs=0.1)


def test_standard_deviation_survives_a_file(tmp_path):
    from sciml.solution import load_solution

    problem = SMOOTH["lines"][0]
    solution = solve(problem, "gp")
    points = np.random.default_rng(0).uniform(size=(50, 1))
    deviation = solution.field.standard_deviation(points)
    error = np.abs(solution.evaluate(points) - np.sin(100 * points[:, 0]) - 0.1 * np.cos(7 * points[:, 0]))
    assert deviation.shape == (50,)
    assert (error <= 3 * deviation).mean() > 0.9
    again = load_solution(solution.save(tmp_path / "solution.h5"), problem)
    assert np.array_equal(again.field.standard_deviation(points), deviation)
    assert np.isnan(again.field.standard_deviation(np.array([[1.5]]))[0])


def test_data_on_an_outflow_are_looked_at():
    """They follow from those on the inflow; data that do not agree show in the record."""
    given = {"dim": 2, "flux": None, "reaction": lambda u: u.dx(0) + u.dx(1)}
    good = solve(poisson(lambda x: sin(20 * x[0] - 20 * x[1]), **given), "gp", points_per_axis=64)
    assert good.error().relative_l2 < 1e-8


def test_aliases_are_refused():
    problem = poisson(lambda x: sin(200 * x[0]))
    with pytest.raises(OptionError, match=r"cannot carry .* give at least (6[4-9]|7\d)\."):
        solve(problem, "gp", points_per_axis=40)


def test_a_load_that_is_not_finite_is_refused():
    problem = Problem(
        domain=Box(0, 1),
        flux=lambda u: grad(u),
        load=lambda x: ln(x[0] - 0.3),
        conditions=[Dirichlet(0, on="boundary")],
    )
    with pytest.raises(DomainError, match="load .* is not finite at"):
        load_solver("gp").check(problem, load_solver("gp").Options(), "cpu")


def test_what_it_cannot_do_is_said():
    solver = load_solver("gp")
    assert "box" in solver.supports(poisson(lambda x: x[0], dim=4))
    assert "scalar" in solver.supports(load_problem("elasticity/cantilever"))
    with pytest.raises(OptionError, match="cpu"):
        solver.check(SMOOTH["lines"][0], solver.Options(), "cuda")


def test_singular_law_is_found():
    """The minimal surface: a flux that depends on the slope, with mixed derivatives after linearisation."""
    problem = Problem(
        domain=Box((0, 0), (1, 1)),
        energy=lambda u: sqrt(1 + inner(grad(u), grad(u))),
        exact=lambda x: 0.3 * sin(3 * x[0]) * cos(2 * x[1]),
        conditions=[Dirichlet(on="boundary")],
    )
    assert solve(problem, "gp").error().relative_l2 < 1e-8


def test_unsupported_error_names_a_solver():
    with pytest.raises(UnsupportedError, match="scalar unknown"):
        solve("elasticity/cantilever", "gp")


def test_a_law_that_newton_fails_for_at_once_is_solved_in_stages():
    """A steep minimal surface: from the harmonic function no step along Newton's direction comes nearer."""
    problem = load_problem("nonlinear/minimal_surface")
    bounds = zip(problem.domain.lower, problem.domain.upper)
    axes = [Axis.of(Band.of(low, high, 3.0, 24), 48) for low, high in bounds]
    system = System(problem, axes, rows_along(problem))
    start = newton_methods._harmonic(system, system.lifted())
    with pytest.raises(newton_methods.NewtonError, match="no step along"):
        newton_methods._newton_run(system, start, 1e-8, 30, lambda: True)
    outcome = newton_methods.newton(system, linear=False, tolerance=1e-8)
    left, before = (np.linalg.norm(system.tested(system.residual(c))) for c in (outcome.coefficients, start))
    assert left < 1e-7 * before


def test_time_is_looked_at_inside_of_gmres():
    """A system that has used its time gives up in the middle of its iterations."""
    problem = SMOOTH["mixed derivatives"][0]
    axes = [Axis.of(Band.of(0.0, 1.0, 2.0, 24), 48) for _ in range(2)]
    system = System(problem, axes, rows_along(problem))
    with pytest.raises(newton_methods.NewtonError, match="CPU time ran out"):
        newton_methods.newton(system, linear=True, within=lambda: False)
    assert newton_methods.newton(system, linear=True).krylov > 10
