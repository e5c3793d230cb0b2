"""Problems with several fields: orders of convergence, exactness, what stays free, what is kept."""

import numpy as np
import pytest
from ufl import Identity, as_vector, cos, div, dot, exp, grad, inner, pi, sin, sym

from sciml import Box, Dirichlet, Mean, Neumann, Problem, ds, dx, load_problem, load_solution, scalar, solve, vector
from sciml.errors import ConditionError, OptionError
from sciml.fem import Discretisation, FEFunctions
from sciml.problem import box_mesh

SQUARE = Box((0, 0), (1, 1))
TAYLOR_HOOD = {"velocity": vector, "pressure": scalar.element(lower=1)}


def stokes(**changes):
    """Stokes' equations with a smooth solution; the right side is open."""
    declared = {
        "domain": SQUARE,
        "fields": TAYLOR_HOOD,
        "flux": lambda velocity, pressure: {"velocity": grad(velocity) - pressure * Identity(2)},
        "reaction": lambda velocity: {"pressure": div(velocity)},
        "exact": lambda x: {
            "velocity": as_vector([sin(x[1]) * exp(x[0]), cos(x[1]) * exp(x[0])]),
            "pressure": sin(2 * x[0]) * cos(x[1]),
        },
        "conditions": [
            Dirichlet(on=["left", "bottom", "top"], field="velocity"),
            Neumann(on="right", field="velocity"),
        ],
    }
    return Problem(**(declared | changes))


def orders(problem, name, cells, **options):
    """Observed orders in L2 and H1 of one field between two meshes."""
    errors = [solve(problem, cells=n, measure_error=False, **options).error().fields[name] for n in cells]
    ratios = [getattr(errors[0], key) / getattr(errors[1], key) for key in ("relative_l2", "relative_h1")]
    return np.log(ratios) / np.log(cells[1] / cells[0])


@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
@pytest.mark.parametrize("degree", [2, 3])
def test_taylor_hood(degree, cell_type):
    options = {"cells": (8, 16), "degree": degree, "cell_type": cell_type}
    np.testing.assert_allclose(orders(stokes(), "velocity", **options), [degree + 1, degree], atol=0.15 * (degree - 1))
    np.testing.assert_allclose(orders(stokes(), "pressure", **options), [degree, degree - 1], atol=0.3)


def test_orders_of_the_enclosed_vortex():
    """Order 3 of the velocity and 2 of the pressure."""
    problem = load_problem("stokes/vortex")
    assert abs(orders(problem, "velocity", (16, 32))[0] - 3) <= 0.15
    assert abs(orders(problem, "pressure", (32, 64))[0] - 2) <= 0.15


def test_taylor_hood_in_three_dimensions():
    def exact(x):
        return {"velocity": as_vector([sin(x[1]), sin(x[2]), sin(x[0])]), "pressure": x[0] * x[1] - x[2]}

    problem = stokes(
        domain=Box((0, 0, 0), (1, 1, 1)),
        flux=lambda velocity, pressure: {"velocity": grad(velocity) - pressure * Identity(3)},
        exact=exact,
        conditions=[
            Dirichlet(on=["left", "bottom", "top", "front"], field="velocity"),
            Neumann(on=["right", "back"], field="velocity"),
        ],
    )
    np.testing.assert_allclose(orders(problem, "velocity", (3, 6)), [3, 2], atol=0.3)


@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_raviart_thomas(degree, cell_type):
    """Both fields have order p in L2."""
    problem = load_problem("darcy/mixed")
    options = {"cells": (8, 16), "degree": degree, "cell_type": cell_type}
    for name in ("flow", "potential"):
        assert abs(orders(problem, name, **options)[0] - degree) <= 0.15


def test_mass_is_conserved_in_every_cell():
    """−div q = 1 tested with the constants of the cells: the outflow of each is its area."""
    problem = Problem(
        domain=SQUARE,
        fields={"flow": vector.element("RT"), "potential": scalar.element("DG", lower=1)},
        flux=lambda potential: {"flow": potential * Identity(2)},
        reaction=lambda flow, x: {"flow": flow / (1 + x[0]), "potential": -div(flow)},
        load={"potential": 1.0},
        conditions=[Neumann((0.0, 0.0), on="boundary", field="flow")],
        quantities=lambda flow, n: {"out": -dot(flow, n) * ds, "divergence": div(flow) * dx},
    )
    solution = solve(problem, degree=1, cells=4, measure_error=False)
    assert solution.quantities() == pytest.approx({"out": 1.0, "divergence": -1.0}, abs=1e-12)
    points = SQUARE.sample(200, np.random.default_rng(0))
    slopes = solution.gradient(points)
    np.testing.assert_allclose(slopes[:, 0, 0] + slopes[:, 1, 1], -1.0, atol=1e-11)


def test_a_polynomial_flow_is_exact():
    problem = load_problem("stokes/channel", viscosity=3.0, speed=2.0)
    solution = solve(problem, cells=3, measure_error=False)
    assert solution.error().relative_h1 <= 1e-11
    assert solution.quantities()["discharge"] == pytest.approx(4 / 3)


@pytest.mark.parametrize("ratio", [0.3, 0.4999, 0.4999999])
def test_nothing_locks(ratio):
    problem = load_problem("elasticity/nearly_incompressible", poisson_ratio=ratio)
    error = solve(problem, cells=8, measure_error=False).error()
    assert error.fields["displacement"].relative_l2 <= 1e-4
    assert error.fields["pressure"].relative_l2 <= 1e-2


def test_inertia_by_newtons_method():
    solution = solve("navier_stokes/kovasznay", cells=16, measure_error=False)
    assert solution.iterations <= 6
    assert solution.error().fields["velocity"].relative_l2 <= 2e-3


def test_each_field_measures_its_own_error():
    solution = solve("navier_stokes/kovasznay", cells=32)
    estimate, true = solution.error_estimate, solution.error()
    assert set(estimate.fields) == {"velocity", "pressure"}
    for name, own in estimate.fields.items():
        assert 1 / 2 <= own["relative_l2"] / true.fields[name].relative_l2 <= 2
    assert estimate.relative_l2 == max(own["relative_l2"] for own in estimate.fields.values())
    assert true.relative_l2 == max(own.relative_l2 for own in true.fields.values())


def test_steps_in_time():
    """Order 2 of BDF2 for velocity and pressure, with the constraint kept at every instant."""
    problem = load_problem("navier_stokes/taylor_green", duration=1.0, viscosity=0.02)
    errors = [
        solve(problem, degree=4, cells=8, steps=n, measure_error=False).error().fields["velocity"].relative_l2
        for n in (8, 16)
    ]
    assert abs(np.log2(errors[0] / errors[1]) - 2) <= 0.3


def test_a_constraint_without_a_start_follows_from_the_law():
    """Stream function at the start: −Δψ = ω, found though only the vorticity's start is declared."""
    two_pi = 2 * pi
    problem = Problem(
        domain=SQUARE,
        fields={"vorticity": scalar, "stream": scalar},
        time=0.1,
        damping={"vorticity": 1.0},
        flux=lambda vorticity, stream: {"vorticity": 0.02 * grad(vorticity), "stream": grad(stream)},
        reaction=lambda vorticity: {"stream": -vorticity},
        load={},
        initial=lambda x: {"vorticity": sin(two_pi * x[0]) * sin(two_pi * x[1])},
        conditions=[Dirichlet(0.0, on="boundary", field=name) for name in ("vorticity", "stream")],
    )
    solution = solve(problem, cells=8, degree=3, steps=32, measure_error=False)
    points = SQUARE.sample(50, np.random.default_rng(0))
    vorticity, stream = solution.evaluate(points, 0.0).T
    np.testing.assert_allclose(stream, vorticity / (2 * two_pi**2), atol=2e-2 / (2 * two_pi**2))
    with pytest.raises(OptionError, match="no time derivative acts on 'stream'; give equal `steps`"):
        solve(problem, step_tolerance=1e-3)


def test_fields_without_a_time_derivative_refuse_schemes_that_need_their_start():
    problem = load_problem("navier_stokes/taylor_green")
    with pytest.raises(OptionError, match="'pressure', which no time derivative acts on: take bdf2"):
        solve(problem, scheme="theta", cells=4)
    solution = solve(problem, scheme="theta", theta=1.0, cells=4, steps=8, measure_error=False)
    assert np.isfinite(solution.evaluate(np.array([[0.3, 0.4]]), 0.5)).all()


def test_a_low_degree_is_refused_before_work():
    with pytest.raises(
        OptionError, match=r"leaves 'pressure' \(Lagrange elements, 1 lower\) a degree of 0; take degree=2"
    ):
        solve(stokes(), degree=1)


def test_values_of_raviart_thomas_fields_are_refused():
    problem = load_problem("darcy/mixed")
    problem.conditions = [Neumann(on=["left", "top"], field="flow"), Dirichlet(on=["right", "bottom"], field="flow")]
    with pytest.raises(ConditionError, match="have no values to prescribe"):
        solve(problem)


def test_an_enclosed_flow_needs_a_mean():
    closed = [Dirichlet(on="boundary", field="velocity")]
    with pytest.raises(ConditionError, match="leave the constant of 'pressure' undetermined; add Mean"):
        solve(stokes(conditions=closed))
    solution = solve(stokes(conditions=[*closed, Mean(3.0, field="pressure")]), cells=8, measure_error=False)
    points, weights = SQUARE.quadrature(20_000)
    assert weights @ solution.evaluate(points)[:, 2] == pytest.approx(3.0, abs=1e-4)


def test_two_independent_fields_are_two_problems():
    """A system that is not coupled has the solutions of its parts."""
    data = {"left": lambda u: grad(u), "load": 1.0}
    both = Problem(
        domain=SQUARE,
        fields={"first": scalar, "second": scalar},
        flux=lambda first, second: {"first": grad(first), "second": 2 * grad(second)},
        reaction=lambda second: {"second": second**3},
        load={"first": data["load"], "second": 4.0},
        conditions=[
            Dirichlet(0.0, on="boundary", field="first"),
            Dirichlet(1.0, on=["left", "right"], field="second"),
        ],
    )
    first = Problem(domain=SQUARE, flux=data["left"], load=1.0, conditions=[Dirichlet(0.0, on="boundary")])
    second = Problem(
        domain=SQUARE,
        flux=lambda u: 2 * grad(u),
        reaction=lambda u: u**3,
        load=4.0,
        conditions=[Dirichlet(1.0, on=["left", "right"])],
    )
    points = SQUARE.sample(100, np.random.default_rng(0))
    joint, *alone = (solve(p, cells=8, measure_error=False).evaluate(points) for p in (both, first, second))
    np.testing.assert_allclose(joint, np.stack(alone, axis=1), atol=1e-9)


def test_an_energy_of_several_fields():
    """The perturbed Lagrangian of nearly incompressible elasticity against its laws."""

    def energy(displacement, pressure):
        strain = sym(grad(displacement))
        return inner(strain, strain) - pressure * div(displacement) - pressure**2 / 200

    shared = {
        "domain": SQUARE,
        "fields": {"displacement": vector, "pressure": scalar.element(lower=1)},
        "load": {"displacement": as_vector([0.0, -1.0])},
        "conditions": [Dirichlet((0.0, 0.0), on="left", field="displacement")],
    }
    laws = {
        "flux": lambda displacement, pressure: {"displacement": 2 * sym(grad(displacement)) - pressure * Identity(2)},
        "reaction": lambda displacement, pressure: {"pressure": -div(displacement) - pressure / 100},
    }
    points = SQUARE.sample(50, np.random.default_rng(0))
    one, other = (
        solve(Problem(**shared, **law), cells=6, measure_error=False).evaluate(points)
        for law in ({"energy": energy}, laws)
    )
    np.testing.assert_allclose(one, other, atol=1e-10)


def test_a_weak_form_of_several_fields():
    def weak(velocity, pressure, v):
        momentum = inner(grad(velocity), grad(v["velocity"])) - pressure * div(v["velocity"])
        return (momentum + div(velocity) * v["pressure"]) * dx

    shared = {"load": {"velocity": as_vector([1.0, 0.0])}, "exact": None}
    shared["conditions"] = [Dirichlet((0.0, 0.0), on=["left", "bottom", "top"], field="velocity")]
    laws = stokes(**shared)
    declared = stokes(**shared, flux=None, reaction=None, weak=weak)
    points = SQUARE.sample(50, np.random.default_rng(0))
    one, other = (solve(p, cells=4, measure_error=False).evaluate(points) for p in (laws, declared))
    np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("name", ["stokes/vortex", "darcy/mixed"])
def test_unknowns_by_place_and_component(name):
    """Values of every field at the places of its unknowns."""
    disc = Discretisation(load_problem(name), box_mesh((0, 0), (1, 1), 3), 2)
    unknowns = disc.unknowns
    disc.u.x.array[:] = 0.0
    for component in range(3):
        there = unknowns.component == component
        disc.u.x.array[there] = unknowns.points[there] @ [1.0, 2.0] + component
    state = disc.snapshot()
    assert isinstance(state, FEFunctions)
    points = SQUARE.sample(20, np.random.default_rng(1))
    values = state.evaluate(points)
    for component in set(unknowns.component.tolist()) - {-1}:
        np.testing.assert_allclose(values[:, component], points @ [1.0, 2.0] + component, atol=1e-12)


def test_saved_and_read_back(tmp_path):
    points = SQUARE.sample(40, np.random.default_rng(0))
    for problem, options in (
        ("darcy/mixed", {}),
        ("stokes/vortex", {}),
        ("navier_stokes/taylor_green", {"steps": 8}),
    ):
        solution = solve(problem, cells=4, measure_error=False, **options)
        loaded = load_solution(solution.save(tmp_path / "solution.h5"))
        instant = {"t": 0.3} if options else {}
        np.testing.assert_allclose(loaded.evaluate(points, **instant), solution.evaluate(points, **instant), atol=1e-13)
