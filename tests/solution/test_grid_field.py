"""Fields on grids: exact for polynomials of their degree, consistent gradients, files, pictures."""

import h5py
import meshio
import numpy as np
import pytest
from matplotlib.image import imread
from ufl import grad

from sciml import Box, Dirichlet, Problem, load_solution, vector
from sciml.errors import OutputError
from sciml.solution import GridField, Seconds, Solution, measure_errors

LOWER, UPPER, NODES = (-0.5, 1.0, 0.0, 2.0), (1.5, 2.0, 0.7, 2.5), (9, 8, 7, 5)


def problem_in(dim, **changes):
    parts = {
        "domain": Box(LOWER[:dim], UPPER[:dim]),
        "flux": lambda u: grad(u),
        "load": 1.0,
        "conditions": [Dirichlet(0.0, on="boundary")],
    }
    return Problem(**(parts | changes))


def polynomial(x, degree, derivative=None):
    """Π (1 + (i + 1) xᵢ^degree), or its derivative along an axis."""
    out = np.ones(len(x))
    for i, column in enumerate(x.T):
        out *= (i + 1) * degree * column ** (degree - 1) if i == derivative else 1 + (i + 1) * column**degree
    return out


def on_grid(problem, nodes, function):
    """Values of a function of points at the nodes."""
    lines = [np.linspace(a, b, n) for a, b, n in zip(problem.domain.lower, problem.domain.upper, nodes)]
    points = np.stack([g.ravel() for g in np.meshgrid(*lines, indexing="ij")], axis=1)
    values = function(points)
    return values.reshape(*nodes, *values.shape[1:])


def points_on_lines(domain):
    lines = [np.linspace(a, b, 6 + k) for k, (a, b) in enumerate(zip(domain.lower, domain.upper))]
    return np.stack([g.ravel() for g in np.meshgrid(*lines, indexing="ij")], axis=1)


@pytest.mark.parametrize("places", ["scattered", "lines"])
@pytest.mark.parametrize("degree", [1, 3])
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_polynomials_of_its_degree_are_exact(dim, degree, places):
    problem = problem_in(dim)
    field = GridField(problem, on_grid(problem, NODES[:dim], lambda x: polynomial(x, degree)), degree=degree)
    generator = np.random.default_rng(0)
    points = problem.domain.sample(300, generator) if places == "scattered" else points_on_lines(problem.domain)
    exact = polynomial(points, degree)
    np.testing.assert_allclose(field.evaluate(points), exact, rtol=0, atol=1e-12 * np.abs(exact).max())
    slopes = np.stack([polynomial(points, degree, axis) for axis in range(dim)], axis=1)
    np.testing.assert_allclose(field.gradient(points), slopes, rtol=0, atol=1e-11 * np.abs(slopes).max())


@pytest.mark.parametrize("degree", [1, 3])
@pytest.mark.parametrize("periodic", [(False, False), (True, False), (True, True)])
def test_the_gradient_is_that_of_the_interpolant(periodic, degree):
    problem = problem_in(2, fields={"d": vector})
    field = GridField(problem, np.random.default_rng(1).standard_normal((9, 6, 2)), degree=degree, periodic=periodic)
    points = problem.domain.sample(200, np.random.default_rng(2))
    step = 1e-6
    for axis in range(2):
        shift = step * np.eye(2)[axis]
        slope = (field.evaluate(points + shift) - field.evaluate(points - shift)) / (2 * step)
        close = np.isclose(slope, field.gradient(points)[..., axis], rtol=0, atol=1e-6)
        # A node may lie between the two points of a difference, or the boundary.
        assert close.all(axis=1).mean() > 0.98


@pytest.mark.parametrize("degree", [1, 3])
def test_the_interpolant_is_continuous_and_takes_the_values_at_the_nodes(degree):
    problem = problem_in(1)
    values = np.random.default_rng(3).standard_normal(9)
    field = GridField(problem, values, degree=degree)
    nodes = field.lines[0][:, None]
    np.testing.assert_allclose(field.evaluate(nodes), values, atol=1e-13)
    for side in (-1e-12, 1e-12):
        np.testing.assert_allclose(field.evaluate(nodes[1:-1] + side), values[1:-1], atol=1e-9)


@pytest.mark.parametrize(("degree", "orders"), [(1, (2, 1)), (3, (4, 3))])
@pytest.mark.parametrize("period", [False, True])
def test_orders_of_interpolation(degree, orders, period):
    problem = problem_in(2)
    points = problem.domain.sample(4000, np.random.default_rng(4))

    def wave(x, derivative=0):
        return np.pi**derivative * np.sin(np.pi * x[:, 0] + derivative * np.pi / 2) * np.exp(x[:, 1])

    found = []
    for n in (16, 32):
        values = on_grid(problem, (n + 1, n + 1), wave)
        field = GridField(problem, values[:-1] if period else values, degree=degree, periodic=(period, False))
        errors = field.evaluate(points) - wave(points), field.gradient(points)[:, 0] - wave(points, 1)
        found.append([np.sqrt(np.mean(e**2)) for e in errors])
    np.testing.assert_allclose(np.log2(np.divide(*found)), orders, atol=0.15)


def test_outside_of_the_box_there_are_no_values():
    problem = problem_in(2)
    field = GridField(problem, np.ones((5, 5)))
    points = np.array([[0.0, 1.5], [-0.6, 1.5], [1.5 + 1e-13, 2.0], [np.nan, 1.5]])
    assert np.isnan(field.evaluate(points)).tolist() == [False, True, False, True]
    assert np.isnan(field.gradient(points)).all(axis=1).tolist() == [False, True, False, True]
    assert field.evaluate(np.zeros((0, 2))).shape == (0,)


def solution_of(problem, field):
    return Solution(
        problem=problem,
        field=field,
        solver="none",
        options={},
        status="converged",
        message="made here",
        seconds=Seconds(),
        cpu_seconds=0.0,
        iterations=0,
    )


@pytest.mark.parametrize(
    "changes", [{}, {"fields": {"d": vector}, "load": (1.0, 2.0), "conditions": [Dirichlet((0.0, 0.0), on="boundary")]}]
)
def test_stored_and_restored(tmp_path, changes):
    problem = problem_in(2, **changes)
    values = np.random.default_rng(5).standard_normal((6, 7, *problem.shape))
    field = GridField(problem, values, degree=1, periodic=(True, False))
    loaded = load_solution(solution_of(problem, field).save(tmp_path / "grid.h5"), problem)
    points = problem.domain.sample(50, np.random.default_rng(6))
    assert isinstance(loaded.field, GridField)
    np.testing.assert_array_equal(loaded.evaluate(points), field.evaluate(points))
    np.testing.assert_array_equal(loaded.gradient(points), field.gradient(points))


def test_a_damaged_file_is_refused(tmp_path):
    problem = problem_in(2)
    path = solution_of(problem, GridField(problem, np.ones((5, 5)))).save(tmp_path / "grid.h5")
    with h5py.File(path, "a") as file:
        del file["field/values"]
        file["field/values"] = np.ones((5, 5, 5))
    with pytest.raises(OutputError, match="does not fit"):
        load_solution(path, problem)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_files_hold_the_values_at_the_nodes(tmp_path, dim):
    problem = problem_in(dim)
    field = GridField(problem, on_grid(problem, NODES[:dim], lambda x: polynomial(x, 3)))
    mesh = meshio.read(solution_of(problem, field).write_vtu(tmp_path / "grid.vtu"))
    assert len(mesh.points) == field.values.size
    np.testing.assert_allclose(np.sort(mesh.point_data["u"]), np.sort(field.values.ravel()), atol=1e-13)
    np.testing.assert_allclose(mesh.point_data["u"], polynomial(mesh.points[:, :dim], 3), atol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_pictures(tmp_path, dim):
    problem = problem_in(dim)
    field = GridField(problem, on_grid(problem, NODES[:dim], lambda x: polynomial(x, 3)))
    solution_of(problem, field).plot(tmp_path / "grid.png", truth=GridField(problem, field.values, degree=1))
    assert imread(tmp_path / "grid.png")[..., :3].std() > 0.02


def test_fields_on_different_grids_are_compared():
    problem = problem_in(2)
    fine, coarse = (GridField(problem, on_grid(problem, (n, n), lambda x: polynomial(x, 3))) for n in (33, 9))
    assert measure_errors(coarse, fine).relative_h1 < 1e-13


@pytest.mark.parametrize(
    ("values", "changes", "message"),
    [
        (np.ones((5, 5, 2)), {}, "needed are 2 axes"),
        (np.ones((5, 3)), {}, "too small"),
        (np.ones((5, 5)), {"degree": 2}, "degree 1 or 3"),
        (np.ones((5, 5)), {"periodic": (True,)}, "one `periodic` for each axis"),
    ],
)
def test_what_does_not_fit_is_refused(values, changes, message):
    with pytest.raises(ValueError, match=message):
        GridField(problem_in(2), values, **changes)
