"""Solutions that lie in the finite element space are found to rounding."""

import numpy as np
import pytest
from ufl import Identity, as_vector, conditional, dot, grad, gt, inner, lt, sqrt, sym, tr

from sciml import Box, Dirichlet, Mean, MeshDomain, Neumann, Robin, coefficient, ds, dx, parameter, solve, vector
from sciml.errors import ConditionError
from sciml.forms import ContradictionWarning
from sciml.problem import MeshData
from sciml.problem.mesh import curve_mesh
from sciml.solution import ExactField

TOLERANCE = 1e-10


def polynomial(degree):
    """A polynomial of that total degree in all coordinates, without symmetry."""

    def value(x):
        affine = 1 + sum((k + 2) * x[k] for k in range(len(x))) / 4
        return affine**degree - 0.5 * x[0] ** degree

    return value


def assert_found(problem, degree, tolerance=TOLERANCE, **options):
    solution = solve(problem, degree=degree, measure_error=False, **options)
    errors = solution.error()
    assert errors.relative_h1 < tolerance
    assert errors.max_error < tolerance * max(1.0, errors.truth_l2)
    assert solution.residual < tolerance


@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_polynomials(poisson, dim, degree, cell_type):
    assert_found(poisson(dim, exact=polynomial(degree)), degree, cells=2, cell_type=cell_type)


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize(
    "conditions",
    [
        [Dirichlet(on="left"), Neumann(on=["right", "top", "bottom"])],
        [Robin(alpha=3.0, on="boundary")],
        [Robin(alpha=lambda x: 1 + x[1], on=["left", "top"]), Neumann(on="right"), Dirichlet(on="bottom")],
        [Neumann(on="boundary"), Mean(0.0)],
    ],
    ids=["Neumann", "Robin", "all", "pure Neumann"],
)
def test_every_kind_of_condition(poisson, degree, conditions):
    exact = polynomial(degree)
    if isinstance(conditions[-1], Mean):
        problem = poisson(exact=exact, conditions=conditions)
        points, weights = problem.domain.quadrature(1000)
        mean = weights @ exact([points[:, 0], points[:, 1]])
        conditions = [conditions[0], Mean(float(mean))]
    assert_found(poisson(exact=exact, conditions=conditions), degree, cells=3)


@pytest.mark.parametrize("linear_solver", ["direct", "gamg"])
@pytest.mark.parametrize("mean", [0.0, -3.0])
def test_the_mean_value_is_met(poisson, linear_solver, mean):
    problem = poisson(
        load=lambda x: x[0] - 0.5, conditions=[Mean(mean)], quantities=lambda u: {"mean": u * dx}, exact=None
    )
    solution = solve(problem, cells=8, measure_error=False, linear_solver=linear_solver)
    assert solution.quantities()["mean"] == pytest.approx(mean, abs=1e-12)


def test_the_mean_value_may_be_a_parameter(poisson):
    problem = poisson(
        parameters={"m": 2.0}, load=0.0, conditions=lambda p: [Mean(p.m)], quantities=lambda u: {"mean": u * dx}
    )
    for value in (2.0, 5.0):
        solution = solve(problem.with_parameters(m=value), cells=2, measure_error=False)
        assert solution.quantities()["mean"] == pytest.approx(value)


@pytest.mark.parametrize("degree", [1, 2])
def test_advection_reaction_and_coefficients(poisson, degree):
    """An unsymmetric law with coefficients of degree one, integrated exactly."""
    law = {
        "flux": lambda u, x: (1 + x[0]) * grad(u) - u * as_vector([1.0, 2.0]),
        "reaction": lambda u, x: x[1] * u,
    }
    assert_found(poisson(exact=polynomial(degree), **law), degree, cells=3)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_elasticity_with_conditions_by_component(poisson, degree):
    p = polynomial(degree)

    def hooke(u):
        return 2 * sym(grad(u)) + 3 * tr(grad(u)) * Identity(2)

    problem = poisson(
        fields={"d": vector},
        flux=hooke,
        exact=lambda x: as_vector([p(x), x[0] ** degree - 2 * x[1]]),
        conditions=[
            Dirichlet(on="left", component=0),
            Neumann(on="left", component=1),
            Dirichlet(on="bottom"),
            Robin(alpha=2.0, on="right", component=1),
            Neumann(on="right", component=0),
            Neumann(on="top"),
        ],
    )
    assert_found(problem, degree, cells=3)


@pytest.mark.parametrize("degree", [1, 2])
def test_nonlinear_laws(poisson, degree):
    """Newton's method ends at the polynomial; with degree 1 the flux is constant."""
    law = {"energy": lambda u: (1 + inner(grad(u), grad(u))) ** 2}
    assert_found(poisson(exact=polynomial(1), **law), degree, cells=3)
    assert_found(poisson(exact=polynomial(degree), reaction=lambda u: u**3), degree, tolerance=1e-9, cells=3)


@pytest.mark.parametrize("shape", ["simplex", "tensor"])
@pytest.mark.parametrize(
    "source",
    [
        "regions",
        "conditional",
        "parameter",
        "function",
    ],
)
def test_jumps_along_cell_faces(poisson, two_materials, shape, source):
    """k = 1 for x < 1 and 4 beyond: u = x, then 1 + (x − 1)/4, with unit flux."""
    domain = two_materials(2, shape)
    providers = {
        "regions": coefficient({"steel": 1.0, "wood": 4.0}),
        "function": coefficient(lambda x: np.where(x[:, 0] < 1, 1.0, 4.0)),
    }
    problem = poisson(
        domain=domain,
        load=0.0,
        parameters={"hard": 4.0},
        coefficients={"k": providers[source]} if source in providers else {},
        flux=lambda u, x, p: (
            p.k * grad(u)
            if source in providers
            else conditional(lt(x[0], 1.0), 1.0, p.hard if source == "parameter" else 4.0) * grad(u)
        ),
        conditions=[Dirichlet(0.0, on="x0-"), Neumann(1.0, on="x0+")],
    )
    for degree in (1, 2):
        solution = solve(problem, degree=degree, measure_error=False)
        x = np.linspace(0, 2, 21)
        wanted = np.where(x < 1, x, 1 + (x - 1) / 4)
        np.testing.assert_allclose(solution.evaluate(np.stack([x, 0 * x + 0.3], axis=1)), wanted, atol=TOLERANCE)


def test_a_weak_form_by_regions_and_sides(poisson, two_materials):
    problem = poisson(
        domain=two_materials(),
        weak=lambda u, v: (
            inner(grad(u), grad(v)) * dx("steel") + 4 * inner(grad(u), grad(v)) * dx("wood") - v * ds("x0+")
        ),
        load=0.0,
        conditions=[Dirichlet(0.0, on="x0-")],
    )
    values = solve(problem, degree=1, measure_error=False).evaluate([[1.0, 0.5], [2.0, 0.5]])
    np.testing.assert_allclose(values, [1.0, 1.25], atol=TOLERANCE)


def test_a_weak_form_on_a_box_knows_aliases(poisson):
    problem = poisson(
        weak=lambda u, v: inner(grad(u), grad(v)) * dx - 2 * v * ds(("right", "x1+")),
        load=0.0,
        conditions=[Dirichlet(0.0, on="left"), Neumann(1.0, on="bottom")],
        quantities=lambda u, n: {"in": dot(grad(u), n) * ds("left")},
    )
    solution = solve(problem, cells=16, measure_error=False)
    assert solution.quantities()["in"] == pytest.approx(-5, rel=0.05)


def test_boundary_values_that_are_not_finite_at_a_node_are_refused(poisson):
    problem = poisson(load=0.0, conditions=lambda x: [Dirichlet(sqrt(x[0] - 1e-3), on="bottom")])
    with pytest.raises(ConditionError, match="Dirichlet on bottom: the value is not finite at"):
        solve(problem, cells=4, measure_error=False)


@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
def test_data_that_end_at_the_boundary(poisson, cell_type):
    """√x₀ has no value where rounding puts a node a little outside of the box."""
    domain = Box((0.1, 0.2), (0.7, 0.9))
    root = lambda x: sqrt(x[0] - 0.1) * sqrt(0.9 - x[1])  # noqa: E731
    problem = poisson(
        domain=domain,
        coefficients={"c": coefficient(lambda x: np.sqrt(x[:, 0] - 0.1), gradient=lambda x: np.zeros_like(x))},
        load=lambda p: p.c,
        conditions=lambda x: [Dirichlet(root(x), on="boundary")],
    )
    for degree in (1, 2, 3):
        solution = solve(problem, degree=degree, cells=7, cell_type=cell_type, measure_error=False)
        assert solution.evaluate([[0.7, 0.2]])[0] == pytest.approx(np.sqrt(0.6 * 0.7), abs=1e-12)


def test_a_truth_that_ends_at_the_boundary(poisson):
    """x₀^2.5 at nodes, in pictures and in files."""
    problem = poisson(exact=lambda x: x[0] ** 2.5)
    solution = solve(problem, cells=8, measure_error=False)
    assert solution.error().relative_l2 < 1e-3
    outside = np.array([[-1e-17, 0.5], [-0.5, 0.5]])
    np.testing.assert_array_equal(ExactField(problem).evaluate(outside), [0, np.nan])


def test_a_parameter_as_the_value_of_a_region(poisson, two_materials):
    stiffness = parameter(4.0, above=0)
    problem = poisson(
        domain=two_materials(),
        load=0.0,
        parameters={"stiffness": stiffness},
        coefficients={"k": coefficient({"wood": stiffness}, default=1.0)},
        flux=lambda u, p: p.k * grad(u),
        conditions=[Dirichlet(0.0, on="x0-"), Neumann(1.0, on="x0+")],
    )
    for value in (4.0, 0.5):
        solution = solve(problem.with_parameters(stiffness=value), degree=1, measure_error=False)
        assert solution.evaluate([[2.0, 0.5]])[0] == pytest.approx(1 + 1 / value, rel=1e-12)


CURVED = [(dim, shape, degree) for dim in (1, 2, 3) for shape in ("simplex", "tensor") for degree in (2, 3)]


@pytest.mark.parametrize(("dim", "shape", "degree"), CURVED)
def test_affine_functions_on_curved_cells(poisson, bent_box, dim, shape, degree):
    """Cells of degree 2 carry affine functions in elements of degree 2 and more."""
    assert_found(poisson(domain=bent_box(dim, shape), exact=polynomial(1)), degree)


def test_affine_functions_on_bilinear_cells(poisson, bent_box):
    for degree in (1, 2):
        assert_found(poisson(domain=bent_box(2, "tensor", 1), exact=polynomial(1)), degree)


def disc(refinements, degree=2):
    """The unit disc in triangles of that degree: a hexagon pulled to a circle."""
    angles = np.arange(6) * np.pi / 3
    corners = np.vstack([[0, 0], np.stack([np.cos(angles), np.sin(angles)], axis=1)])
    mesh = MeshData(corners, [[0, k + 1, (k + 1) % 6 + 1] for k in range(6)], "triangle")
    for _ in range(refinements):
        mesh = mesh.refine()

    def pull(x):
        """Radially, so that the hexagon's sides go to the circle."""
        normals = np.stack([np.cos(angles + np.pi / 6), np.sin(angles + np.pi / 6)])
        far = (x @ normals).max(axis=1, keepdims=True) / np.cos(np.pi / 6)
        return x * far / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)

    return MeshDomain(curve_mesh(mesh, pull, degree))


def disc_errors(poisson, refinements, degree):
    """−Δu = 4 with u = 0 on the circle: u = 1 − |x|², ∫ u = π/2, ∫ ∂u/∂n = −4π; relative errors."""
    problem = poisson(
        domain=disc(refinements, degree),
        load=4.0,
        quantities=lambda u, n: {"outflow": dot(grad(u), n) * ds, "volume": u * dx},
    )
    solution = solve(problem, degree=2, measure_error=False)
    found = solution.quantities()
    value = float(solution.evaluate([[0.05, 0.1]])[0]) / (1 - 0.0125)
    return np.abs([value - 1, found["volume"] / (np.pi / 2) - 1, found["outflow"] / (-4 * np.pi) - 1])


def test_a_disc_of_curved_cells(poisson):
    coarse, fine = (disc_errors(poisson, n, 2) for n in (2, 3))
    assert (fine < [5e-5, 2e-5, 5e-5]).all(), fine
    assert (np.log2(coarse / fine) > 2.8).all(), np.log2(coarse / fine)


def test_a_disc_of_straight_cells_is_of_second_order(poisson):
    """It is the curved boundary that the accuracy above comes from."""
    coarse, fine = (disc_errors(poisson, n, 1)[:2] for n in (2, 3))
    np.testing.assert_allclose(np.log2(coarse / fine), 2, atol=0.2)
    assert (fine > 1e-3).all()


def test_in_a_corner_the_condition_declared_last_holds(poisson):
    left, top = Dirichlet((0.0, 0.0), on="left"), Dirichlet(1.0, on="top", component=1)
    for conditions, value in (([left, top], 1.0), ([top, left], 0.0)):
        problem = poisson(fields={"d": vector}, load=0.0, conditions=conditions)
        with pytest.warns(ContradictionWarning):
            solution = solve(problem, degree=1, cells=2, measure_error=False)
        np.testing.assert_allclose(solution.evaluate([[0.0, 1.0], [0.0, 0.5]]), [[0, value], [0, 0]], atol=1e-14)


def test_a_kink_in_the_unknown(poisson):
    """Obstacle-like reaction: zero where u < 1, so the linear solution is untouched."""
    problem = poisson(exact=polynomial(1), reaction=lambda u: conditional(gt(u, 100.0), u, 0.0))
    assert_found(problem, 1, cells=2)
