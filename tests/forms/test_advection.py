"""What is read in a law about advection: winds, diffusivities, inflow and outflow, mesh Péclet numbers."""

import warnings

import numpy as np
import pytest
import torch
from ufl import as_vector, cos, dot, dx, grad, inner, sin, sqrt

from sciml import Box, Dirichlet, Neumann, Problem, Robin, analyse, load_problem, solve, vector
from sciml.errors import ConditionError, OptionError, UnsupportedError
from sciml.forms import OutflowWarning, check_problem, leaving_with_data, pointwise
from sciml.forms.advection import entering_without_data, transport
from sciml.forms.peclet import choose_stabilisation, mesh_peclet
from sciml.problem import MeshData, MeshDomain, box_mesh

POINTS = np.random.default_rng(1).random((40, 2))
B = as_vector([3.0, -2.0])


def values(problem, expression, u=0.0, slope=(0.0, 0.0)):
    """An expression at fixed points, for a state that is the same everywhere."""
    operator = pointwise(problem, expression)
    jet = {key: torch.full((40,), slope[key.axes[0]] if key.axes else u, dtype=torch.float64) for key in operator.keys}
    return operator(torch.tensor(POINTS), jet).numpy()


def law(poisson, **parts):
    return poisson(load=1.0, conditions=[Dirichlet(0.0, on="boundary")], **parts)


def wind_of(problem, **state):
    (carried,) = transport(problem)
    return values(problem, carried.velocity, **state)


def test_both_ways_of_writing_advection_have_the_same_wind(poisson):
    """div(u b − κ∇u) = b·∇u − κΔu for a wind without sources."""
    turning = lambda x: as_vector([x[1], -x[0]])  # noqa: E731
    conservative = law(poisson, flux=lambda u, x: 0.1 * grad(u) - u * turning(x))
    plain = law(poisson, flux=lambda u: 0.1 * grad(u), reaction=lambda u, x: dot(turning(x), grad(u)) + 5 * u)
    expected = np.stack([POINTS[:, 1], -POINTS[:, 0]], axis=1)
    for problem in (conservative, plain):
        np.testing.assert_allclose(wind_of(problem), expected, atol=1e-14)
        (carried,) = transport(problem)
        np.testing.assert_allclose(values(problem, carried.diffusivity), np.tile(0.1 * np.eye(2), (40, 1, 1)))
        assert carried.diffuses
    assert values(plain, transport(plain)[0].reaction) == pytest.approx(5.0)


def test_burgers(poisson):
    """The wind of u²/2 along b is u b."""
    problem = law(poisson, flux=lambda u: 0.01 * grad(u) - u**2 / 2 * B)
    np.testing.assert_allclose(wind_of(problem, u=0.7), np.tile([2.1, -1.4], (40, 1)))


@pytest.mark.parametrize(
    "parts",
    [
        {"flux": lambda u: grad(u), "reaction": lambda u: u**3},
        {"flux": lambda u: (1 + u**2) * grad(u)},
        {"flux": lambda u: u * grad(u) / sqrt(inner(grad(u), grad(u)))},
        {"energy": lambda u: (1 + u**2) * inner(grad(u), grad(u)) / 2},
        {"weak": lambda u, v, p: dot(B, grad(u)) * v * p.dx},
    ],
    ids=["reaction", "diffusivity of u", "singular", "energy", "weak form"],
)
def test_no_wind(poisson, parts):
    """A diffusivity that depends on u is none, although ∂flux/∂u is not zero."""
    assert transport(law(poisson, **parts)) == ()


def test_each_component_has_its_own_wind(poisson):
    problem = poisson(
        fields={"c": vector(3)},
        flux=lambda u: 0.1 * grad(u),
        reaction=lambda u: as_vector([4 * u[0].dx(0), u[0], u[2] * u[2].dx(1)]),
        load=(0.0, 0.0, 0.0),
        conditions=[Dirichlet((0.0, 0.0, 0.0), on="boundary")],
    )
    first, last = transport(problem)
    assert (first.component, last.component) == (0, 2)
    np.testing.assert_allclose(values(problem, first.velocity), np.tile([4.0, 0.0], (40, 1)))
    np.testing.assert_allclose(values(problem, last.velocity, u=0.5), np.tile([0.0, 0.5], (40, 1)))


# -- a reaction alone ------------------------------------------------------------------------------------------


def pure(**changes):
    """b·∇u = 0 with b = (3, −2): in on the left and the top, out on the right and at the bottom."""
    parts = {
        "domain": Box((0.0, 0.0), (1.0, 1.0)),
        "reaction": lambda u: dot(B, grad(u)),
        "load": 0.0,
        "conditions": [Dirichlet(lambda x: sin(2 * x[0] + 3 * x[1]), on=["left", "top"])],
    }
    return Problem(**(parts | changes))


def test_a_reaction_alone_is_a_law_of_first_order():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        analysis = check_problem(pure())
    assert analysis.order == 1
    assert analysis.linear
    assert not analysis.symmetric
    assert analysis.free_modes == []
    assert not transport(pure())[0].diffuses


def test_the_same_as_a_flux_that_is_zero():
    with_flux = pure(flux=lambda u: 0 * grad(u))
    one, other = (solve(p, degree=2, cells=8, measure_error=False) for p in (pure(), with_flux))
    np.testing.assert_array_equal(one.evaluate(POINTS), other.evaluate(POINTS))


def test_data_on_the_outflow_warn_and_are_refused():
    problem = pure(conditions=[Dirichlet(0.0, on="boundary")])
    with pytest.warns(OutflowWarning, match=r"Dirichlet on boundary: .* one condition too many; prescribe the inflow"):
        check_problem(problem)
    with pytest.warns(OutflowWarning), pytest.raises(UnsupportedError, match=r"determine it twice; .* deepxde .*can"):
        solve(problem)


def test_data_that_agree_with_the_solution_do_not_warn():
    problem = load_problem("advection/four_sides")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_problem(problem)
    assert leaving_with_data(problem)
    with pytest.raises(UnsupportedError, match="data where the solution is carried out"):
        solve(problem)


@pytest.mark.parametrize("parts", [{"flux": lambda u: 1e-9 * grad(u)}, {"reaction": lambda u: u.dx(0) + u * u.dx(1)}])
def test_what_may_have_data_everywhere(parts):
    """Any diffusion takes them all; where a wind that depends on u leaves is not known."""
    assert leaving_with_data(pure(conditions=[Dirichlet(0.0, on="boundary")], **parts)) == []


@pytest.mark.parametrize("there", [None, Neumann(0.0, on="top")])
def test_an_inflow_without_data_is_refused(there):
    problem = pure(conditions=[Dirichlet(0.0, on="left"), *([there] if there else [])])
    with pytest.raises(ConditionError, match=r"nothing is prescribed at \[0\.\d+, 1\.0\]; add a Dirichlet"):
        check_problem(problem)


def test_an_inflow_may_be_weak():
    conditions = [Dirichlet(0.0, on="left"), Robin(1.0, alpha=2.0, on="top")]
    assert entering_without_data(pure(conditions=conditions)) == []


def test_a_wind_along_the_boundary_needs_no_data():
    """On a disc that facets follow only approximately."""
    square = box_mesh((-1, -1), (1, 1), 8)
    x, y = square.points.T
    points = np.stack([x * np.sqrt(1 - y**2 / 2), y * np.sqrt(1 - x**2 / 2)], axis=1)
    disc = MeshDomain(MeshData(points, square.cells, "triangle"))
    problem = Problem(
        domain=disc, time=1.0, damping=1.0, load=0.0, initial=lambda x: x[0],
        reaction=lambda u, x: dot(as_vector([-x[1], x[0]]), grad(u)),
    )  # fmt: skip
    assert entering_without_data(problem) == []


def test_a_wind_that_turns_round_may_have_data_on_both_sides():
    def swinging(phase):
        return Problem(
            domain=Box(0.0, 1.0), time=3.0, damping=1.0, load=0.0, initial=0.0, conditions=[Dirichlet(0.0, on="boundary")],
            reaction=lambda u, t: cos(t + phase) * u.dx(0),
        )  # fmt: skip

    assert leaving_with_data(swinging(0.0)) == []
    assert len(leaving_with_data(swinging(-1.5))) == 1


# -- mesh Péclet number and choice -------------------------------------------------------------------------------


@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
@pytest.mark.parametrize(("dim", "wind"), [(1, [2.0]), (2, [2.0, 0.0]), (3, [0.0, 0.0, 2.0])])
def test_the_mesh_peclet_number(poisson, dim, wind, cell_type):
    """|b| h/(2 p κ) by hand, along an axis of a uniform mesh of boxes or of halves and sixths of them."""
    problem = poisson(dim, flux=lambda u: 0.05 * grad(u), reaction=lambda u: dot(as_vector(wind), grad(u)))
    data = problem.domain.mesh(4, cell_type)
    assert mesh_peclet(problem, data, 2) == pytest.approx(2.0 * 0.25 / (2 * 2 * 0.05), rel=1e-12)


@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
def test_the_cell_is_as_long_as_the_wind_sees_it(poisson, cell_type):
    """Flat cells, 0.5 × 0.125: a wind across them meets the short side; diffusion along the wind counts."""
    domain = Box((0.0, 0.0), (1.0, 1.0))
    for axis, length, spread in ((0, 0.5, 0.1), (1, 0.125, 0.2)):
        problem = poisson(
            domain=domain, flux=lambda u: as_vector([0.1 * u.dx(0), 0.2 * u.dx(1)]), reaction=lambda u, k=axis: u.dx(k)
        )
        data = domain.mesh([2, 8], cell_type)
        assert mesh_peclet(problem, data, 1) == pytest.approx(length / (2 * spread), rel=1e-12)


def test_the_wind_of_a_nonlinear_law_is_taken_at_its_data(poisson):
    """Burgers' equation between −3 and 2: the fastest wind is 3."""
    problem = poisson(
        1, flux=lambda u: 0.1 * grad(u) - as_vector([u**2 / 2]), load=0.0,
        conditions=[Dirichlet(2.0, on="left"), Dirichlet(-3.0, on="right")],
    )  # fmt: skip
    assert mesh_peclet(problem, problem.domain.mesh(10), 1) == pytest.approx(3 * 0.1 / 0.2)


def test_the_choice(poisson):
    slow = poisson(1, reaction=lambda u: 10 * u.dx(0))
    choice = {n: choose_stabilisation("auto", slow, slow.domain.mesh(n), 1) for n in (4, 8)}
    assert str(choice[4]) == "supg (mesh Péclet number up to 1.25 on the coarsest mesh)"
    assert str(choice[8]) == "none (mesh Péclet number of at most 0.62)"
    assert str(choose_stabilisation("none", slow, slow.domain.mesh(4), 1)) == "none (as asked)"
    assert str(choose_stabilisation("supg", slow, slow.domain.mesh(8), 1)) == "supg (as asked)"
    assert str(choose_stabilisation("auto", pure(), pure().domain.mesh(8), 1)) == "supg (there is no diffusion)"
    assert str(choose_stabilisation("auto", poisson(), None, 1)) == "none (the law has no advective part)"


def test_what_cannot_be_stabilised_says_so(poisson):
    with pytest.raises(OptionError, match="stabilisation=supg: the law has no advective part; leave it at auto"):
        solve(poisson(), stabilisation="supg")
    with pytest.raises(OptionError, match="the law is a weak form"):
        solve(poisson(weak=lambda u, v: inner(grad(u), grad(v)) * dx), stabilisation="supg")
    wave = Problem(
        domain=Box(0.0, 1.0), time=1.0, mass=1.0, flux=lambda u: grad(u), reaction=lambda u: 5 * u.dx(0), load=0.0,
        initial=0.0, initial_velocity=0.0, conditions=[Dirichlet(0.0, on="boundary")],
    )  # fmt: skip
    with pytest.raises(OptionError, match="laws with ∂²u/∂t² are not stabilised"):
        solve(wave, stabilisation="supg")


def test_analysis_knows_first_order_in_time():
    assert analyse(load_problem("advection/inflow")).order == 1
