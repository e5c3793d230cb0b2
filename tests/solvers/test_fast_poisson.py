"""The fast Poisson solver: orders through the declaration, coefficients read off the law, honest errors, refusals."""

import re

import numpy as np
import pytest
from ufl import as_vector, conditional, cos, dot, exp, grad, gt, pi, sin, sqrt

from sciml import Box, Dirichlet, Mean, Neumann, Periodic, Problem, Robin, load_problem, parameter, solve
from sciml.errors import OptionError, UnsupportedError
from sciml.registry import load_solver

SOLVER = load_solver("fast_poisson")


def problem_with(**changes):
    parts = {
        "domain": Box((0.0, -0.2), (1.0, 0.6)),
        "flux": lambda u: grad(u),
        "exact": lambda x: sin(2 * x[0] + x[1]) * exp(x[1]),
        "conditions": [Dirichlet(on="boundary")],
    }
    return Problem(**(parts | changes))


def stretched(u):
    return as_vector([2.0 * u.dx(0), 0.3 * u.dx(1)])


PROBLEMS = {
    "Dirichlet": {},
    "Neumann and reaction": {
        "flux": stretched,
        "reaction": lambda u: 2 * u,
        "conditions": [Dirichlet(on="left"), Neumann(on=["right", "bottom", "top"])],
    },
    "pure Neumann": {
        "flux": stretched,
        "exact": lambda x: cos(pi * x[0]) * x[1] + 3.0,
        "conditions": [Neumann(on="boundary"), Mean(3.0)],
    },
    "a strip": {
        "exact": lambda x: exp(sin(2 * pi * x[0])) * (1 + x[1] ** 3),
        "conditions": [Periodic("left", "right"), Neumann(on="bottom"), Dirichlet(on="top")],
    },
    "a flux that does not vanish with u": {
        "flux": lambda u, x: grad(u) + as_vector([x[1] ** 2, sin(x[0])]),
        "reaction": lambda u, x: u + exp(x[0]),
        "conditions": [Dirichlet(on="bottom"), Neumann(on=["left", "right", "top"])],
    },
    "an energy": {
        "flux": None,
        "energy": lambda u: 0.5 * dot(grad(u), grad(u)) + u**2,
        "conditions": [Dirichlet(on=["left", "bottom"]), Neumann(on=["right", "top"])],
    },
    "a line": {"domain": Box(0.0, 2.0), "exact": lambda x: sin(3 * x[0]), "conditions": [Dirichlet(on="left"), Neumann(on="right")]},
    "a brick": {
        "domain": Box((0, 0, 0), (1.0, 0.5, 0.8)),
        "flux": lambda u: as_vector([u.dx(0), 2 * u.dx(1), 3 * u.dx(2)]),
        "exact": lambda x: sin(2 * x[0] + x[1]) * cos(x[2]) + x[0] * x[1],
        "conditions": [Dirichlet(on=["left", "top"]), Neumann(on=["right", "bottom", "front", "back"])],
    },
}  # fmt: skip


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("name", PROBLEMS)
def test_orders_in_l2_and_of_the_gradient(name, order):
    problem = problem_with(**PROBLEMS[name])
    sizes = (20, 40) if problem.dim == 3 else (40, 80)
    found = [
        solve(problem, "fast_poisson", cells=n, order=order, measure_error=False).error(n_points=250_000) for n in sizes
    ]
    rates = [np.log2(getattr(found[0], norm) / getattr(found[1], norm)) for norm in ("relative_l2", "relative_h1")]
    assert rates[0] == pytest.approx(order, abs=0.15)
    assert rates[1] > min(order, 3) - 0.15
    assert found[1].relative_l2 < {2: 5e-3, 4: 1e-5}[order]


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("name", ["Neumann and reaction", "pure Neumann", "a strip", "a brick"])
def test_the_measured_error_is_the_error(name, order):
    solution = solve(problem_with(**PROBLEMS[name]), "fast_poisson", cells=32, order=order)
    truth, estimate = solution.error(), solution.error_estimate
    assert 0.5 < estimate.relative_l2 / truth.relative_l2 < 2
    assert 0.5 < estimate.relative_h1 / truth.relative_h1 < 3
    assert estimate.rate_l2 == pytest.approx(order, abs=0.5)


def test_refined_until_accurate():
    solution = solve(problem_with(), "fast_poisson", accuracy=1e-8)
    assert solution.error().relative_l2 < 1.5e-8
    assert "found by doubling" in solution.details["notes"][0]
    limited = solve(problem_with(), "fast_poisson", accuracy=1e-14, max_unknowns=10_000)
    assert limited.details["unknowns"] <= 10_000
    assert "because of max_unknowns" in limited.details["notes"][0]


def test_a_load_that_jumps_shows_in_the_measured_error():
    problem = problem_with(exact=None, load=lambda x: conditional(gt(x[0], 1 / 3), 1.0, 0.0), conditions=[Dirichlet(0.0, on="boundary")])  # fmt: skip
    solution = solve(problem, "fast_poisson", cells=64)
    truth = solve(problem, "fast_poisson", cells=768, measure_error=False)
    assert solution.error_estimate.rate_l2 < 2.5
    assert 0.3 < solution.error_estimate.relative_l2 / solution.error(truth).relative_l2 < 5


def test_the_reference_finds_the_same():
    problem = problem_with(
        exact=None,
        flux=stretched,
        reaction=lambda u: u,
        load=lambda x: exp(x[0]) * x[1],
        conditions=[Dirichlet(1.0, on="left"), Neumann(lambda x: x[0], on="top")],
    )
    fast, reference = solve(problem, "fast_poisson", cells=64), solve(problem, "fenics", cells=32, degree=3)
    distance = fast.error(reference).relative_l2
    assert distance < 1e-4
    assert distance < 2 * (fast.error_estimate.relative_l2 + reference.error_estimate.relative_l2)


def test_coefficients_are_parameters():
    """Each copy has its own, and shares the compiled law."""
    problem = problem_with(parameters={"k": parameter(1.0, above=0)}, flux=lambda u, p: p.k * grad(u), exact=None, load=1.0, conditions=[Dirichlet(0.0, on="boundary")])  # fmt: skip
    one, two = (solve(problem.with_parameters(k=k), "fast_poisson", cells=16) for k in (1.0, 4.0))
    assert two.details["coefficients"] == {"diffusion": [4.0, 4.0], "reaction": 0.0}
    points = problem.domain.sample(20, np.random.default_rng(0))
    np.testing.assert_allclose(4 * two.evaluate(points), one.evaluate(points), rtol=1e-12)


def test_cells_are_in_proportion_to_the_sides():
    problem = problem_with(domain=Box((0, 0), (1, 0.3)))
    assert solve(problem, "fast_poisson", cells=20).details["cells"] == [20, 6]
    assert solve(problem, "fast_poisson", cells=10).details["cells"] == [10, 4]
    automatic = solve(problem, "fast_poisson", accuracy=1e-3)
    assert min(automatic.details["cells"]) >= 32


def test_the_mean_is_that_asked_for():
    problem = problem_with(**PROBLEMS["pure Neumann"] | {"conditions": [Neumann(on="boundary"), Mean(-1.5)]})
    for order, tolerance in ((2, 1e-6), (4, 1e-6)):
        solution = solve(problem, "fast_poisson", cells=32, order=order, measure_error=False)
        points, weights = problem.domain.quadrature(40_000)
        assert weights @ solution.evaluate(points) / weights.sum() == pytest.approx(-1.5, abs=tolerance)


REFUSED = {
    "Robin": ({"conditions": [Robin(alpha=1.0, on="boundary")]}, "Robin on boundary"),
    "Robin in disguise": (
        {"exact": None, "load": 1.0, "conditions": lambda u: [Dirichlet(0.0, on="left"), Neumann(-2 * u, on="right")]},
        "depends on the unknown",
    ),
    "advection": ({"reaction": lambda u: u.dx(0)}, "advection"),
    "skew": ({"flux": lambda u: as_vector([u.dx(0) + 0.1 * u.dx(1), 0.1 * u.dx(0) + u.dx(1)])}, "off the diagonal"),
    "varying": ({"flux": lambda u, x: (1 + x[0]) * grad(u)}, "constant coefficients"),
    "nonlinear": ({"reaction": lambda u: u**3}, "constant coefficients"),
    "resonant": ({"reaction": lambda u: -3 * u}, "negative"),
    "one way": ({"flux": lambda u: as_vector([u.dx(0), 0 * u.dx(1)])}, "along every axis"),
    "in time": ({"exact": lambda x, t: t * x[0], "time": 1.0, "damping": 1.0}, "stationary"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason(name):
    changes, reason = REFUSED[name]
    assert reason in SOLVER.supports(problem_with(**changes))


def test_data_that_are_not_finite_are_refused():
    problem = problem_with(exact=None, load=lambda x: 1 / sqrt(x[0]), conditions=[Dirichlet(0.0, on="boundary")])
    with pytest.raises(UnsupportedError, match=re.escape("the load is inf at [0.0, -0.2]")):
        solve(problem, "fast_poisson", cells=16)
    assert solve(problem, "fast_poisson", cells=16, order=2).status == "converged"


def test_without_cells_the_error_is_needed():
    with pytest.raises(OptionError, match="needs `cells`"):
        solve(problem_with(), "fast_poisson", measure_error=False)


def test_a_torus_of_the_catalogue():
    assert solve(load_problem("poisson/torus"), "fast_poisson", cells=64).error().relative_l2 < 1e-5
