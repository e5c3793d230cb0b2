"""The reference's measurement of its own error, against the exact solution."""

import numpy as np
import pytest
from ufl import as_vector, atan2, exp, grad, inner, pi, sin

from sciml import Box, Dirichlet, MeshDomain, solve
from sciml.errors import DivergenceError
from sciml.fem.hierarchy import Level, Orders, estimate_error
from sciml.problem import MeshData, box_mesh

ORDERS = Orders((2.0, 1.0), (2.0, 1.0))


def smooth(x):
    return sin(3 * x[0] + 1) * (exp(x[1]) if len(x) > 1 else 1.0)


def ratios(solution):
    """Estimated over true error, in L2 and H1."""
    estimate, errors = solution.error_estimate, solution.error()
    return np.array([estimate.relative_l2 / errors.relative_l2, estimate.relative_h1 / errors.relative_h1])


def assert_within(solution, factor):
    assert (ratios(solution) < factor).all(), ratios(solution)
    assert (ratios(solution) > 1 / factor).all(), ratios(solution)


@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("cells", [3, 8, 10])
def test_smooth_solutions(poisson, degree, cell_type, cells):
    """3 cells are measured by two finer levels, 8 by two coarser ones, 10 by one of each."""
    solution = solve(poisson(exact=smooth), degree=degree, cells=cells, cell_type=cell_type)
    assert len(solution.details["levels"]) == 3
    assert solution.error_estimate.method == "three levels, observed rate"
    assert_within(solution, 1.3)
    estimate = solution.error_estimate
    np.testing.assert_allclose([estimate.rate_l2, estimate.rate_h1], [degree + 1, degree], atol=0.15)


@pytest.mark.parametrize(("dim", "cells", "degree"), [(1, 16, 1), (1, 16, 3), (3, 8, 1), (3, 4, 2)])
def test_other_dimensions(poisson, dim, cells, degree):
    assert_within(solve(poisson(dim, exact=smooth), degree=degree, cells=cells), 1.5)


def test_nonlinear_and_unsymmetric_laws(poisson):
    for law in ({"flux": lambda u: (1 + u**2) * grad(u)}, {"reaction": lambda u: 4 * u.dx(0)}):
        assert_within(solve(poisson(exact=smooth, **law), degree=2, cells=8), 1.5)


def l_shape(cells):
    """(−1, 1)² without its lower right quadrant."""
    square = box_mesh((-1, -1), (1, 1), 2 * cells)
    middles = square.points[square.cells].mean(axis=1)
    kept = square.cells[~((middles[:, 0] > 0) & (middles[:, 1] < 0))]
    used, numbers = np.unique(kept, return_inverse=True)
    return MeshDomain(MeshData(square.points[used], numbers.reshape(-1, 3), "triangle"))


def corner(x):
    """r^(2/3) sin(2θ/3), harmonic, with an infinite gradient in the re-entrant corner."""
    y = as_vector([x[1] - x[0], -x[0] - x[1]])
    return inner(x, x) ** (1 / 3) * sin(2 / 3 * (3 * pi / 4 + atan2(y[1], y[0])))


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("refine", [0, 1, 2])
def test_a_singular_solution_on_a_mesh(poisson, degree, refine):
    """The rate in H1 is ⅔ whatever the degree, and the estimate knows it."""
    solution = solve(poisson(domain=l_shape(2), exact=corner, load=0.0), degree=degree, refine=refine)
    assert_within(solution, 1.3)
    assert solution.error_estimate.rate_h1 == pytest.approx(2 / 3, abs=0.1)


@pytest.mark.parametrize("refine", [None, 0, 1, 2, 3])
def test_refinements_of_a_mesh(poisson, refine):
    """The level asked for is delivered: the coarse one by default, with the two finer ones for its error."""
    domain = MeshDomain(box_mesh((0, 0), (1, 1), 4))
    options = {} if refine is None else {"refine": refine}
    solution = solve(poisson(domain=domain, exact=smooth), degree=2, **options)
    times = refine or 0
    assert solution.details["cells"] == 32 * 4**times
    assert len(solution.details["levels"]) == 3
    assert_within(solution, 1.3)


def test_curved_cells(poisson, bent_box):
    assert_within(solve(poisson(domain=bent_box(2, cells=4), exact=smooth), degree=2), 1.5)


def test_a_box_is_refined_until_it_is_accurate(poisson):
    problem = poisson(exact=lambda x: exp(-60 * inner(x - as_vector([0.4, 0.6]), x - as_vector([0.4, 0.6]))))
    solution = solve(problem, degree=1, accuracy=2e-3)
    levels = solution.details["levels"]
    assert solution.error_estimate.relative_l2 <= 2e-3
    assert solution.error().relative_l2 <= 4e-3
    assert levels == [(16 * 2**k + 1) ** 2 for k in range(len(levels))]
    assert solution.details["unknowns"] == levels[-1]
    cells = 16 * 2 ** (len(levels) - 1)
    assert f"{cells} × {cells} cells, found by doubling" in solution.details["notes"]


def test_refinement_starts_where_newton_converges():
    """32 cells cannot follow a hundred waves: Newton's method fails there, and not on finer meshes."""
    solution = solve("allen_cahn/sine", "fenics")
    assert solution.error().relative_l2 < 1e-4
    assert any(note.startswith("32 cells are too few: Newton's method failed") for note in solution.details["notes"])


def test_a_law_without_solution_fails_on_every_mesh(poisson):
    with pytest.raises(DivergenceError, match="Newton's method failed"):
        solve(poisson(reaction=lambda u: -20 * exp(u)))


def test_cells_are_about_as_long_as_wide(poisson):
    domain = Box((0.0, 0.0), (8.0, 1.0))
    solution = solve(poisson(exact=smooth, domain=domain), accuracy=1e-2)
    lengths = np.ptp(solution.field.mesh.points[solution.field.mesh.corners], axis=1)
    assert np.max(lengths.max(axis=1) / lengths.min(axis=1)) < 1.5


def test_refinement_stops_when_the_time_is_used_up(poisson):
    solution = solve(poisson(exact=smooth), degree=1, accuracy=1e-9, cpu_seconds=1e-3)
    assert any("cpu_seconds=0.001 are used up" in note for note in solution.details["notes"])
    assert solution.error_estimate is not None


def test_refinement_stops_at_the_largest_system(poisson):
    solution = solve(poisson(exact=smooth), degree=1, accuracy=1e-9, max_unknowns=5000)
    assert max(solution.details["levels"]) == 65**2
    assert any("would exceed max_unknowns=5000" in note for note in solution.details["notes"])


def test_a_solution_in_the_space_has_no_error(poisson):
    estimate = solve(poisson(exact=lambda x: 1 + 2 * x[0] - x[1]), degree=1, cells=4).error_estimate
    assert estimate.relative_l2 < 1e-12
    assert estimate.relative_h1 < 1e-12
    assert np.isfinite([estimate.rate_l2, estimate.rate_h1]).all()


def test_no_measurement_on_request(poisson):
    solution = solve(poisson(), cells=8, measure_error=False)
    assert solution.error_estimate is None
    assert len(solution.details["levels"]) == 1


@pytest.fixture
def spoilt(poisson):
    """Three nested levels of which the coarsest is three times too large, and the true error of the finest."""
    data, levels = box_mesh((0, 0), (1, 1), 2), []
    for _ in range(3):
        solution = solve(poisson(domain=MeshDomain(data), exact=smooth), degree=1, measure_error=False)
        levels.append(Level(data, solution.field.function, None))
        data = data.refine()
    levels[0].function.function.x.array[:] *= 3
    return levels, solution.error().relative_l2


def test_rates_above_theory_are_not_believed(spoilt):
    """They would make the estimate of the finest level too small."""
    levels, error = spoilt
    estimate = estimate_error(levels, 2, ORDERS)
    assert estimate.rate_l2 > 3
    assert estimate.relative_l2 == pytest.approx(error, rel=0.3)


def test_a_coarse_level_is_measured_by_its_own_difference(spoilt):
    assert estimate_error(spoilt[0], 0, ORDERS).relative_l2 == pytest.approx(2, rel=0.2)


def test_boundary_parts_survive_refinement(poisson):
    """Conditions on named parts hold on all levels: rates would break otherwise."""
    domain = MeshDomain(box_mesh((0, 0), (1, 1), 3, "tensor"))
    conditions = [Dirichlet(on="x0-"), Dirichlet(on=["x0+", "x1-", "x1+"])]
    assert_within(solve(poisson(domain=domain, exact=smooth, conditions=conditions), degree=2), 1.3)
