"""Collocation against exact solutions, polynomials, dense twins and finite differences of the residual."""

import numpy as np
import pytest
from ufl import as_vector, cos, exp, grad, inner, pi, sin, sqrt

from sciml import Box, Dirichlet, Mean, Neumann, Periodic, Problem, Robin, load_problem, solve
from sciml.errors import DivergenceError, OptionError, UnsupportedError
from sciml.registry import load_solver
from sciml.solvers.chebyshev.collocation import Collocation, Grid
from sciml.solvers.chebyshev.newton import factorised
from sciml.testing.solvers import CASES


def grid_of(problem, n):
    bounds = list(zip(problem.domain.lower, problem.domain.upper))
    if problem.evolves:
        bounds.append((problem.time.start, problem.time.end))
    return Grid(bounds, (n,) * len(bounds))


def cubic(x):
    return x[0] ** 3 * x[1] - 2 * x[0] * x[1] ** 2 + x[1] ** 3 + 1


@pytest.mark.parametrize("name", ["poisson/sine", "nonlinear/cubic_reaction", "diffusion/variable_coefficient"])
def test_errors_fall_exponentially(name):
    problem = load_problem(name)
    errors = [solve(problem, "chebyshev", nodes=n, measure_error=False).error().relative_l2 for n in (8, 12, 16, 24)]
    # Four more nodes gain more than a factor of ten; a method of any fixed order gains ever less.
    assert errors[1] < errors[0] / 10
    assert errors[2] < errors[1] / 10
    assert errors[3] < 1e-10


@pytest.mark.parametrize(
    "conditions",
    [
        [Dirichlet(on="boundary")],
        [Dirichlet(on="left"), Neumann(on=["right", "bottom", "top"])],
        [Robin(alpha=2.0, on="boundary")],
        [Dirichlet(on="top"), Robin(alpha=1.0, on=["left", "right"]), Neumann(on="bottom")],
    ],
    ids=["dirichlet", "neumann", "robin", "mixed"],
)
def test_polynomials_are_found_exactly(conditions):
    problem = Problem(
        domain=Box((0, -1), (2, 1)),
        flux=lambda u, x: (3 + x[0] * x[1]) * grad(u),
        reaction=lambda u: u,
        exact=cubic,
        conditions=conditions,
    )
    assert solve(problem, "chebyshev", nodes=6).error().relative_h1 < 1e-10


def test_means_of_a_pure_neumann_problem():
    problem = Problem(
        domain=Box((0, 0), (1, 2)),
        flux=lambda u: grad(u),
        exact=lambda x: x[0] ** 2 * x[1] - 1 / 3,
        conditions=[Neumann(on="boundary"), Mean(0.0)],
    )
    solution = solve(problem, "chebyshev", nodes=6)
    assert solution.error().relative_l2 < 1e-10


def test_periodic_sides_between_dirichlet_ones():
    problem = Problem(
        domain=Box((0, 0), (1, 1)),
        flux=lambda u: grad(u) - as_vector([2.0, 0.0]) * u,
        exact=lambda x: exp(sin(2 * pi * x[0])) * cos(x[1]),
        conditions=[Periodic("left", "right"), Dirichlet(on="bottom"), Neumann(on="top")],
    )
    assert solve(problem, "chebyshev", nodes=44, measure_error=False).error().relative_l2 < 1e-10


def test_three_dimensions():
    problem = Problem(
        domain=Box((0, 0, 0), (1, 1, 1)),
        flux=lambda u: grad(u),
        exact=lambda x: exp(x[0]) * sin(x[1]) * x[2] ** 2,
        conditions=[Dirichlet(on=["left", "top"]), Neumann(on=["right", "bottom", "front", "back"])],
    )
    assert solve(problem, "chebyshev", nodes=10).error().relative_l2 < 1e-9


@pytest.mark.parametrize("case", ["robin_2d", "nonlinear_2d", "elastic_2d", "heat_1d", "wave_1d", "circle_1d"])
def test_the_jacobian_is_the_derivative(case):
    """Remainders of a first-order expansion fall with the square of the step, or are rounding for a linear law."""
    problem = CASES[case]()
    system = Collocation(problem, grid_of(problem, 7))
    generator = np.random.default_rng(0)
    z, direction = (0.1 * generator.standard_normal(system.n_unknowns) for _ in range(2))
    at = system.linearised(z)
    slope = at.times(direction)
    np.testing.assert_allclose(at.dense() @ direction, slope, rtol=0, atol=1e-11 * np.abs(slope).max())
    steps = np.array([1e-1, 1e-2, 1e-3])
    rest = [np.linalg.norm(system.residual(z + h * direction) - at.residual - h * slope) for h in steps]
    if case == "nonlinear_2d":
        orders = np.diff(np.log(rest)) / np.diff(np.log(steps))
        assert orders[-1] == pytest.approx(2, abs=0.05)
    else:
        assert max(rest) < 1e-11 * np.linalg.norm(slope)


def declare_varying():
    return Problem(
        domain=Box((0, 0), (1, 1)),
        flux=lambda u, x: (3 + sin(3 * x[0] * x[1])) * grad(u),
        load=1.0,
        conditions=[Dirichlet(0.0, on="boundary")],
    )


@pytest.mark.parametrize(
    ("problem", "n", "kind"),
    [
        (load_problem("poisson/peak"), 14, "Schur"),
        (load_problem("advection_diffusion/corner_layers"), 14, "Schur"),
        (declare_varying(), 46, "GMRES"),
    ],
    ids=["peak", "layers", "varying"],
)
def test_fast_systems_are_those_of_the_dense_matrix(problem, n, kind):
    system = Collocation(problem, grid_of(problem, n))
    at = system.linearised(np.zeros(system.n_unknowns))
    right = np.random.default_rng(0).standard_normal(system.n_unknowns)
    fast = factorised(at, 5000)
    assert fast.kind.startswith(kind)
    x = fast.solve(right)
    np.testing.assert_allclose(x, np.linalg.solve(at.dense(), right), rtol=0, atol=1e-7 * np.abs(x).max())


def test_linear_problems_take_one_step_and_nonlinear_ones_more():
    assert solve("poisson/sine", "chebyshev", nodes=8).iterations == 1
    assert solve("nonlinear/quadratic_diffusion", "chebyshev", nodes=16, measure_error=False).iterations > 2


def test_a_steep_graph_is_reached_in_stages():
    """Newton's method fails from the harmonic start, or finds another solution of the discrete equations."""
    solution = solve("nonlinear/minimal_surface", "chebyshev", nodes=24, measure_error=False)
    assert "stages" in solution.details["notes"][0]
    assert solution.error().relative_l2 < 1e-10


def test_the_estimate_bounds_the_error_and_accuracy_is_reached():
    solution = solve("poisson/mixed_conditions", "chebyshev", accuracy=1e-6)
    assert solution.status == "converged"
    assert solution.error().relative_l2 <= solution.error_estimate.relative_l2 <= 1e-6
    assert len(solution.details["tried"]) > 1


def test_a_corner_singularity_runs_out_of_unknowns():
    problem = Problem(
        domain=Box((0, 0), (1, 1)), flux=lambda u: grad(u), load=1.0, conditions=[Dirichlet(0.0, on="boundary")]
    )
    solution = solve(problem, "chebyshev", accuracy=1e-13, max_unknowns=600)
    assert solution.status == "budget_reached"
    assert solution.error_estimate.relative_l2 > 1e-13


def test_axes_get_the_nodes_that_they_need():
    problem = Problem(
        domain=Box((0, 0), (1, 1)),
        flux=lambda u: grad(u),
        exact=lambda x: sin(40 * x[0]) * x[1],
        conditions=[Dirichlet(on="boundary")],
    )
    nodes = solve(problem, "chebyshev").details["nodes"]
    assert nodes[0] > 40
    assert nodes[1] < nodes[0]


def test_a_wave_is_followed_in_slabs():
    problem = load_problem("wave/standing", dim=1)
    errors = [solve(problem, "chebyshev", nodes=20, slabs=k, measure_error=False).error().relative_l2 for k in (1, 4)]
    assert errors[1] < 1e-8
    assert errors[1] < errors[0]


def test_heat_in_one_and_in_several_slabs():
    problem = load_problem("heat/sine", dim=1)
    one, four = (solve(problem, "chebyshev", nodes=16, slabs=k, measure_error=False) for k in (1, 4))
    assert four.error().relative_l2 < 1e-9
    x = np.linspace(0, 1, 9)[:, None]
    at = problem.time.start + 0.5 * problem.time.duration
    np.testing.assert_allclose(one.evaluate(x, at), four.evaluate(x, at), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("stokes/vortex", "saddle point"),
        ("darcy/mixed", "saddle point"),
        ("darcy/two_phase", "discontinuous"),
        ("poisson/l_shape", "needs a box"),
        ("heat/quench", "more dimensions"),
        ("advection/four_sides", "leaves"),
    ],
)
def test_what_it_cannot_do(name, reason):
    assert reason in load_solver("chebyshev").supports(load_problem(name))


def test_refusals_come_before_work():
    with pytest.raises(OptionError, match=r"at most 17 nodes"):
        solve("poisson/sine", "chebyshev", nodes=24, max_unknowns=300)
    with pytest.raises(OptionError, match="slabs"):
        solve("poisson/sine", "chebyshev", slabs=2)
    with pytest.raises(OptionError, match="runs on the cpu"):
        solve("poisson/sine", "chebyshev", device="cuda")
    with pytest.raises(UnsupportedError, match="saddle"):
        solve("stokes/vortex", "chebyshev")


def test_a_law_without_a_solution_fails_in_a_sentence():
    problem = Problem(
        domain=Box(0, 1),
        flux=lambda u: grad(u),
        reaction=lambda u: -40 * exp(u),
        load=0.0,
        conditions=[Dirichlet(0.0, on="boundary")],
    )
    with pytest.raises(DivergenceError, match="chebyshev on"):
        solve(problem, "chebyshev", nodes=16, measure_error=False, max_iterations=20)


def test_values_far_apart_in_size_do_not_matter():
    """The same problem in other units."""
    problem = Problem(
        domain=Box((0, 0), (1e-3, 1e-3)),
        flux=lambda u: 1e6 * sqrt(1 + 1e-16 * inner(grad(u), grad(u))) * grad(u),
        exact=lambda x: 1e5 * sin(1e3 * x[0]) * exp(1e3 * x[1]),
        conditions=[Dirichlet(on="boundary")],
    )
    assert solve(problem, "chebyshev", nodes=20, measure_error=False).error().relative_l2 < 1e-10
