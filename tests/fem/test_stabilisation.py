"""Streamline upwinding: orders, layers without oscillations, consistency, time, and that the rest stays as it was."""

import numpy as np
import pytest
from ufl import as_vector, cos, dot, exp, grad, sin

from sciml import Box, Dirichlet, Problem, load_problem, solve, vector
from sciml.fem.algebra import choose_linear_solver
from sciml.fem.discretisation import Discretisation
from sciml.fem.stepping import System, march
from sciml.forms import analyse
from sciml.forms.schemes import Scheme
from sciml.problem import MeshDomain
from sciml.solution import ExactField, FEField, measure_errors


def errors(problem, cells, degree, cell_type="simplex", **options):
    solutions = [
        solve(problem, degree=degree, cells=n, cell_type=cell_type, measure_error=False, **options) for n in cells
    ]
    return [solution.error().relative_l2 for solution in solutions]


def order(found, ratio=2.0):
    return np.log(found[0] / found[1]) / np.log(ratio)


# -- without diffusion -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell_type", "degree", "bound"),
    [("simplex", 1, 4e-3), ("simplex", 2, 8e-5), ("simplex", 3, 1e-6), ("tensor", 2, 8e-5)],
)
def test_steady_advection(cell_type, degree, bound):
    """At least degree + ½ in L2."""
    found = errors(load_problem("advection/quarter_turn"), (32, 64), degree, cell_type)
    assert order(found) > degree + 0.5
    assert found[1] < bound


def test_without_it_even_degrees_lose_an_order():
    found = errors(load_problem("advection/quarter_turn"), (32, 64), 2, stabilisation="none")
    assert order(found) == pytest.approx(2.0, abs=0.1)


def build(problem, cells, degree, stabilised=True):
    disc = Discretisation(problem, problem.domain.mesh(cells), degree, stabilised=stabilised)
    choice = choose_linear_solver("direct", symmetric=False, definite=False, dim=problem.dim, n_dofs=disc.n_dofs)
    return System(disc, choice, linear=bool(analyse(problem).linear))


def final_error(system, scheme, steps):
    for state in march(system, scheme, steps):  # noqa: B007
        pass
    problem = system.problem.at_time(state.t)
    return measure_errors(FEField(problem, system.snapshot(state.u)), ExactField(problem)).relative_l2


def pulse(**changes):
    parts = {
        "domain": Box(0.0, 1.0),
        "time": 0.5,
        "damping": 1.0,
        "reaction": lambda u: u.dx(0),
        "load": 0.0,
        "exact": lambda x, t: exp(-50 * (x[0] - t - 0.2) ** 2) + sin(5 * (x[0] - t)),
        "conditions": [Dirichlet(on="left")],
    }
    return Problem(**(parts | changes))


@pytest.mark.parametrize(
    ("scheme", "degree", "cells", "steps"),
    [("bdf2", 1, 32, 200), ("bdf2", 2, 16, 200), ("bdf2", 3, 8, 200), ("theta", 2, 16, 200)],
)
def test_advection_in_time(scheme, degree, cells, steps):
    """Steps so many that the error of space is left: at least degree + ½ in L2."""
    refined = {1: 2, 2: 6, 3: 4}[degree]
    found = [
        final_error(build(pulse(), cells, degree), Scheme(scheme), steps),
        final_error(build(pulse(), 2 * cells, degree), Scheme(scheme), steps * refined),
    ]
    assert order(found) > degree + 0.5
    assert found[1] < 2e-3


def test_short_steps_do_not_take_it_away():
    """As many steps as one likes: what upwinding gains of elements of degree 2 is not lost."""
    brief = pulse(time=0.25)
    few, many = (final_error(build(brief, 32, 2), Scheme("theta"), steps) for steps in (200, 600))
    plain = final_error(build(brief, 32, 2, stabilised=False), Scheme("theta"), 600)
    assert many < 1.05 * few
    assert many < plain / 3


@pytest.mark.parametrize("scheme", ["theta", "bdf2"])
@pytest.mark.parametrize(
    "law",
    [{"reaction": lambda u, t: (1 + cos(3 * t) / 2) * u.dx(0)}, {"reaction": lambda u: u * u.dx(0)}],
    ids=["wind in time", "wind of u"],
)
def test_winds_that_change(law, scheme):
    """Order 2 in time with a damping matrix that depends on time or state; quadratic in space."""
    problem = pulse(load=None, exact=lambda x, t: (2 + cos(3 * t)) * (1 + x[0] + 0.5 * x[0] ** 2), **law)
    system = build(problem, 4, 2)
    found = [final_error(system, Scheme(scheme), steps) for steps in (40, 80)]
    assert order(found) == pytest.approx(2, abs=0.15)
    assert found[1] < 1e-3


@pytest.mark.parametrize("scheme", ["theta", "bdf2"])
def test_what_is_linear_in_time_and_in_the_space_is_exact(scheme):
    """The terms vanish on the exact solution, ∂u/∂t included."""
    problem = pulse(load=None, exact=lambda x, t: (2 - t) * (1 + x[0] - 0.5 * x[0] ** 2))
    assert final_error(build(problem, 4, 2), Scheme(scheme), 3) < 1e-12


def test_a_steady_wind_is_assembled_once():
    system = build(pulse(), 8, 2)
    states = march(system, Scheme("bdf2"), 4)
    next(states), next(states)
    damping = system.damping
    list(states)
    assert system.damping is damping
    assert system._step_key is not None


# -- little diffusion --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("name", ["boundary_layer", "corner_layers"])
def test_layers_thinner_than_a_cell(name, degree):
    """At a mesh Péclet number of hundreds u stays within some per cent away from the layer, and does not without."""
    problem, cells = load_problem(f"advection_diffusion/{name}", peclet=1e4), 16
    axis = np.linspace(0, 1 - 2 / cells, 61)
    points = axis[:, None] if problem.dim == 1 else np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    expected = points.prod(axis=1)
    gap = {}
    for stabilisation in ("auto", "none"):
        solution = solve(problem, degree=degree, cells=cells, measure_error=False, stabilisation=stabilisation)
        found = solution.evaluate(points)
        gap[stabilisation] = np.abs(found - expected).max()
        if stabilisation == "auto":
            assert solution.details["stabilisation"].startswith("supg (mesh Péclet number up to ")
            assert found.min() > -1e-3
            assert found.max() < expected.max() + 0.06
    assert gap["auto"] < 0.06
    assert gap["none"] > 0.5


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_skew_to_the_mesh(degree):
    """Smooth where cells see the layer: full order; 30° against the mesh."""
    found = errors(load_problem("advection/skew_layer", width=0.2, angle=30.0), (12, 24), degree)
    assert order(found) > degree + 0.5
    assert found[1] < 2e-2 / 8**degree


@pytest.mark.parametrize("degree", [2, 3])
def test_a_solution_in_the_space_is_found(poisson, degree):
    """Second derivatives, conservative or not, with a reaction and coefficients."""
    problem = poisson(
        exact=lambda x: 1 + x[0] * x[1] - x[0] ** 2,
        flux=lambda u, x: 0.1 * (1 + x[0]) * grad(u) - u * as_vector([50 * x[1], 10 + x[0]]),
        reaction=lambda u, x: 20 * u.dx(1) + (1 + x[0]) * u,
    )
    for cell_type in ("simplex", "tensor"):
        solution = solve(
            problem, degree=degree, cells=4, cell_type=cell_type, measure_error=False, stabilisation="supg"
        )
        assert solution.error().relative_l2 < 1e-11


def test_the_residual_of_bent_cells(poisson, bent_box):
    """Second derivatives on curved cells: as accurate as on straight ones."""
    wind = as_vector([30.0, 20.0])
    smooth = {"exact": lambda x: sin(2 * x[0] + x[1]), "reaction": lambda u: dot(wind, grad(u))}
    found = []
    for cells in (8, 16):
        problem = poisson(domain=bent_box(2, cells=cells), flux=lambda u: 0.01 * grad(u), **smooth)
        found.append(solve(problem, degree=2, measure_error=False, stabilisation="supg").error().relative_l2)
    assert order(found) > 2.5


def test_each_component_is_upwinded(poisson):
    """A vector with two winds is two scalars."""
    layer = {"flux": lambda u: 1e-3 * grad(u), "load": 1.0}
    alone = [
        solve(poisson(**layer, reaction=lambda u, k=k: (1 + k) * u.dx(k)), degree=1, cells=8, measure_error=False)
        for k in range(2)
    ]
    both = poisson(
        fields={"c": vector},
        flux=lambda u: 1e-3 * grad(u),
        load=(1.0, 1.0),
        reaction=lambda u: as_vector([u[0].dx(0), 2 * u[1].dx(1)]),
        conditions=[Dirichlet((0.0, 0.0), on="boundary")],
    )
    together = solve(both, degree=1, cells=8, measure_error=False)
    points = np.random.default_rng(0).random((50, 2))
    expected = np.stack([solution.evaluate(points) for solution in alone], axis=1)
    np.testing.assert_allclose(together.evaluate(points), expected, atol=1e-10)


def test_newtons_method_is_exact():
    """Burgers' equation with a wind that depends on u: a few iterations, the same solution as ten load steps."""
    problem = Problem(
        domain=Box((0.0, 0.0), (1.0, 1.0)),
        flux=lambda u: 1e-3 * grad(u) - as_vector([u**2 / 2, u]),
        exact=lambda x: 1 + 0.3 * sin(3 * x[0]) * x[1],
        conditions=[Dirichlet(on="boundary")],
    )
    found = [solve(problem, degree=2, cells=n, measure_error=False) for n in (8, 16)]
    assert found[1].details["stabilisation"].startswith("supg")
    assert found[1].iterations <= 6
    assert order([solution.error().relative_l2 for solution in found]) > 2.5


# -- what is not stabilised ----------------------------------------------------------------------------------------


def test_diffusion_dominates_nothing_changes(poisson):
    """Bit by bit."""
    problem = poisson(exact=lambda x: sin(3 * x[0]) * exp(x[1]), reaction=lambda u: 4 * u.dx(0))
    auto, none = (
        solve(problem, degree=2, cells=8, measure_error=False, stabilisation=s).field.function.function.x.array
        for s in ("auto", "none")
    )
    np.testing.assert_array_equal(auto, none)
    forced = solve(problem, degree=2, cells=8, measure_error=False, stabilisation="supg")
    assert not np.array_equal(forced.field.function.function.x.array, none)


def test_all_levels_solve_the_same_equations():
    """The coarsest mesh decides: 8 cells of three levels are too long, 32 would not be."""
    problem = load_problem("advection_diffusion/boundary_layer", peclet=25.0)
    assert solve(problem, degree=1, cells=32).details["stabilisation"].startswith("supg")
    alone = solve(problem, degree=1, cells=32, measure_error=False)
    assert alone.details["stabilisation"] == "none (mesh Péclet number of at most 0.39)"


# -- the measured error ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters", "options"),
    [
        ("advection/quarter_turn", {}, {"degree": 1, "cells": 32}),
        ("advection/quarter_turn", {}, {"degree": 2, "cells": 16}),
        ("advection/quarter_turn", {}, {"degree": 3, "cells": 16}),
        ("advection/skew_layer", {}, {"degree": 1, "cells": 64}),
        ("advection/skew_layer", {}, {"degree": 2, "cells": 32}),
        ("advection/inflow", {"speed": 1.0}, {"degree": 1, "cells": 32, "steps": 128}),
        ("advection/inflow", {"duration": 0.05}, {"degree": 2, "cells": 32, "steps": 128}),
        ("advection_diffusion/boundary_layer", {"peclet": 200.0}, {"degree": 1, "cells": 128}),
        ("advection_diffusion/corner_layers", {"peclet": 100.0}, {"degree": 2, "cells": 32}),
    ],
)
def test_the_error_is_measured(name, parameters, options):
    solution = solve(load_problem(name, **parameters), **options)
    assert solution.details["stabilisation"].startswith("supg")
    true, own = solution.error(), solution.error_estimate
    assert 0.5 < own.relative_l2 / true.relative_l2 < 2
    assert 0.5 < own.relative_h1 / true.relative_h1 < 2


def test_a_mesh_file_is_stabilised_too():
    problem = load_problem("advection/quarter_turn")
    domain = MeshDomain(problem.domain.mesh(8))
    other = Problem(
        domain=domain, load=0.0, exact=lambda x: exp(-20 * (dot(x, x) - 0.5) ** 2),
        reaction=lambda u, x: dot(as_vector([x[1], -x[0]]), grad(u)), conditions=[Dirichlet(on=["x0-", "x1+"])],
    )  # fmt: skip
    points = np.random.default_rng(0).random((20, 2))
    requests = ((problem, {"cells": 16}), (other, {"refine": 1}))
    one, two = (solve(p, degree=2, measure_error=False, **options) for p, options in requests)
    np.testing.assert_allclose(one.evaluate(points), two.evaluate(points), atol=1e-10)
