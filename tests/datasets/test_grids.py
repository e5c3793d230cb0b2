"""Nodes that are kept: on boxes, and on meshes of quadrilaterals that are grids in themselves."""

import numpy as np
import pytest
from ufl import grad

from sciml import Box, Dirichlet, MeshData, MeshDomain, Periodic, Problem, load_problem
from sciml.datasets.grids import BoxGrid, MeshGrid, periodic_axes
from sciml.errors import OptionError, UnsupportedError
from sciml.solution import ExactField


def on_mesh(data):
    return Problem(domain=MeshDomain(data), flux=lambda u: grad(u), conditions=[Dirichlet(0.0, on="boundary")])


def test_a_box_keeps_both_ends_and_a_periodic_axis_the_lower_one():
    mixed = Problem(
        domain=Box((0, -1), (2, 1)),
        flux=lambda u: grad(u),
        conditions=[Periodic("left", "right"), Dirichlet(0.0, on=["bottom", "top"])],
    )
    grid = BoxGrid(mixed, (4, 5))
    assert grid.periodic == periodic_axes(mixed) == (True, False)
    x, y = grid.lines(mixed)
    assert x.tolist() == [0, 0.5, 1, 1.5]
    assert y.tolist() == [-1, -0.5, 0, 0.5, 1]
    places = grid.places(mixed)
    assert places.shape == (4, 5, 2)
    assert places[2, 3].tolist() == [1, 0.5]


def test_values_on_a_box_are_those_at_the_nodes():
    problem = load_problem("poisson/sine")
    grid = BoxGrid(problem, (5, 7))
    kept = grid.values(ExactField(problem), lambda field, rule: field.at(rule)[:, None])
    x = grid.places(problem)
    np.testing.assert_allclose(kept[..., 0], np.prod(np.sin(np.pi * x), axis=-1), atol=1e-14)


def test_rings_and_rays_round_a_void():
    family = load_problem("hyperelasticity/void")
    grid = MeshGrid(family, varying=True)
    assert grid.shape == (17, 96)
    assert grid.periodic == (False, True)
    member = family.draw(3)
    places = grid.places(member) - 0.5
    # The rim is the void's own radius, the last ring the square's sides, and every ray is straight.
    inner, outer = np.linalg.norm(places[0], axis=-1), np.abs(places[-1]).max(axis=-1)
    assert np.all((inner > 0.2) & (inner < 0.4))
    np.testing.assert_allclose(outer, 0.5, atol=1e-14)
    rays = np.diff(places, axis=0)
    np.testing.assert_allclose(rays[1:], rays[:-1], atol=1e-12)
    # Neighbours on a ring are neighbours, the last and the first too.
    steps = np.linalg.norm(places - np.roll(places, 1, axis=1), axis=-1)
    assert steps.max() < 3 * np.median(steps)


def test_a_pipe_is_a_grid_along_and_across():
    family = load_problem("navier_stokes/pipe", cells=4)
    grid = MeshGrid(family, varying=True)
    assert grid.shape == (9, 9)
    assert grid.periodic == (False, False)
    places = grid.places(family.draw(0))
    np.testing.assert_allclose(places[:, :, 0], np.broadcast_to(np.linspace(0, 10, 9)[:, None], (9, 9)), atol=1e-12)
    np.testing.assert_allclose(places[:, -1, 1] - places[:, 0, 1], 1, atol=1e-12)


@pytest.mark.parametrize("turn", range(4))
def test_cells_may_be_turned_and_in_any_order(turn):
    data = Box((0, 0), (3, 2)).mesh(4, "tensor")
    rng = np.random.default_rng(turn)
    cells = np.array([np.roll(row, k) for row, k in zip(data.cells, rng.integers(0, 4, len(data.cells)))])
    cells = cells[rng.permutation(len(cells))]
    problem = on_mesh(MeshData(data.points, cells, "quadrilateral"))
    grid = MeshGrid(problem, varying=False)
    places = grid.places(problem)
    assert grid.shape == (9, 9)
    steps = [np.diff(places, axis=axis) for axis in range(2)]
    for step in steps:
        np.testing.assert_allclose(step, np.broadcast_to(step[0, 0], step.shape), atol=1e-13)
    assert abs(np.linalg.det([steps[0][0, 0], steps[1][0, 0]])) == pytest.approx(3 / 8 * 2 / 8)


def test_values_on_a_mesh_are_exact_for_what_is_continuous_also_on_a_divided_mesh():
    from sciml import solve

    family = load_problem("hyperelasticity/void", traction=1e4)
    grid = MeshGrid(family, varying=True)
    whole = grid.values(solve(family, measure_error=False).field, lambda field, rule: field.at(rule))
    solution = solve(family, measure_error=False, refine=1)
    divided = grid.values(solution.field, lambda field, rule: field.at(rule))
    expected = solution.evaluate(grid.places(family).reshape(-1, 2)).reshape(divided.shape)
    np.testing.assert_allclose(divided, expected, atol=1e-9 * np.abs(expected).max())
    assert np.linalg.norm(whole - divided) < 0.01 * np.linalg.norm(divided)


def test_what_is_no_grid_is_refused():
    triangles = on_mesh(Box((0, 0), (1, 1)).mesh(2))
    with pytest.raises(UnsupportedError, match="quadrilaterals in the plane; this mesh has triangles"):
        MeshGrid(triangles, varying=False)
    data = Box((0, 0), (1, 1)).mesh(3, "tensor")
    with pytest.raises(UnsupportedError, match="no rows and columns"):
        MeshGrid(on_mesh(MeshData(data.points, data.cells[:-1], "quadrilateral")), varying=False)
    with pytest.raises(OptionError, match="takes 2 numbers"):
        BoxGrid(load_problem("poisson/sine"), (4,))
