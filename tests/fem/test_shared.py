"""A discretisation that is handed on from member to member is the one that would be made anew."""

import numpy as np
import pytest
from ufl import exp, grad, sin

from sciml import (
    Box,
    Dirichlet,
    Matern,
    Neumann,
    Problem,
    coefficient,
    load_problem,
    parameter,
    random_field,
    threshold,
)
from sciml.errors import DeclarationError
from sciml.fem import Discretisation, Shared
from sciml.fem.statics import solve_static
from sciml.forms import analyse
from sciml.problem import Points


class Everything(Problem):
    """Parameters in the law, the load and the boundary data; a smooth and a rough random field."""

    domain = Box((0.0, 0.0), (1.0, 1.0))
    k = parameter(1.0, between=(0.5, 2.0))
    centre = parameter((0.5, 0.5), between=(0.0, 1.0))
    kind = parameter("sin", choices=("sin", "exp"))
    conductivity = random_field(Matern(nu=2.5, length=0.3), modes=6, transform=np.exp)
    phases = random_field(Matern(nu=1.5, length=0.3), modes=9, transform=threshold(1.0, 4.0))
    other = coefficient(lambda x: 1 + x[:, 0] ** 2)

    def flux(self, u):
        return self.k * self.conductivity * self.phases * grad(u)

    def reaction(self, u):
        return self.other * u

    def load(self, x):
        return exp(-self.k * (x[0] - self.centre[0]) ** 2)

    def conditions(self, x):
        value = sin(self.k * x[0]) if self.kind == "sin" else exp(self.k * x[0])
        return [Dirichlet(value, on="left"), Dirichlet(self.centre[1], on="top"), Neumann(self.k, on="right")]


def solved(disc):
    solve_static(disc, analyse(disc.problem), linear_solver="direct")
    return disc.u.x.array.copy()


def members(problem):
    return [problem.with_parameters(k=0.5 + i / 4, centre=(i / 6, 0.2)).with_member(0, i) for i in (0, 5, 1)]


@pytest.mark.parametrize(("cell_type", "degree"), [("simplex", 1), ("simplex", 2), ("tensor", 1), ("tensor", 3)])
def test_rebinding_is_building_anew(cell_type, degree):
    problem = Everything()
    mesh = problem.domain.mesh(6, cell_type)
    disc, seen = Discretisation(problem, mesh, degree), []
    for member in members(problem):
        disc.rebind(member)
        seen.append(solved(disc))
        np.testing.assert_array_equal(seen[-1], solved(Discretisation(member, mesh, degree)))
    assert np.abs(seen[0] - seen[1]).max() > 0.01


def test_values_by_region_follow_their_parameters(two_materials):
    problem = Problem(
        domain=two_materials(4),
        parameters={"steel": parameter(5.0, above=0)},
        coefficients={"k": coefficient({"steel": parameter(5.0, above=0), "wood": 1.0})},
        flux=lambda u, p: p.k * grad(u),
        load=1.0,
        conditions=[Dirichlet(0.0, on="boundary")],
    )
    problem.coefficient_fields["k"][1].values["steel"].name = "steel"
    disc = Discretisation(problem, problem.domain.mesh(), 1)
    soft = solved(disc)
    for stiffness in (50.0, 5.0):
        member = problem.with_parameters(steel=stiffness)
        disc.rebind(member)
        np.testing.assert_array_equal(solved(disc), solved(Discretisation(member, problem.domain.mesh(), 1)))
    np.testing.assert_array_equal(disc.u.x.array, soft)


def test_states_that_were_kept_do_not_change():
    problem = Everything()
    disc = Discretisation(problem, problem.domain.mesh(4), 1)
    first, second = members(problem)[:2]
    disc.rebind(first)
    values, kept = solved(disc), disc.snapshot()
    disc.rebind(second)
    solved(disc)
    np.testing.assert_array_equal(kept.function.x.array, values)


def test_another_structure_is_refused_and_starts_anew():
    problem = Everything()
    other = problem.with_parameters(kind="exp")
    disc = Discretisation(problem, problem.domain.mesh(4), 1)
    with pytest.raises(DeclarationError, match="differs from .* in more than real parameters and random fields"):
        disc.rebind(other)
    shared = Shared()
    shared.serve(problem)
    mesh = shared.mesh(4)
    first = shared.discretisation(mesh, 1)
    shared.serve(problem.with_member(0, 3))
    assert shared.mesh(4) is mesh
    assert shared.discretisation(mesh, 1) is first
    assert shared.refined(mesh) is shared.refined(mesh)
    shared.serve(other)
    assert shared.mesh(4) is not mesh
    assert shared.discretisation(shared.mesh(4), 1) is not first


@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
@pytest.mark.parametrize("degree", [1, 2])
def test_random_fields_on_meshes_are_summed_along_the_axes(cell_type, degree):
    """The same values as at single points."""
    member = Everything().with_member(0, 4)
    disc = Discretisation(member, member.domain.mesh(5, cell_type), degree)
    for name in ("conductivity", "phases"):
        function = disc.coefficient(name)
        points = Points(function.function_space.tabulate_dof_coordinates()[:, :2])
        assert points.lattice is not None
        expected = member.realisation(name)(points.array)
        np.testing.assert_allclose(function.x.array, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_located_points_are_remembered(monkeypatch):
    problem = load_problem("darcy/two_phase")
    disc = Discretisation(problem, problem.domain.mesh(4), 1)
    solved(disc)
    field, points = disc.snapshot(), problem.domain.sample(20, np.random.default_rng(0))
    first = field.evaluate(points)
    monkeypatch.setattr(type(disc.mesh.data), "locate", lambda *_: pytest.fail("located again"))
    np.testing.assert_array_equal(field.evaluate(points.copy()), first)
    monkeypatch.undo()
    assert field.evaluate(points[:3] / 2)[0] != first[0]
