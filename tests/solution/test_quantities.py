"""Quantities of interest against closed forms."""

import numpy as np
import pytest
import torch
from ufl import Identity, div, dot, exp, grad, inner, pi, sin, sym, tr

from sciml import Box, Dirichlet, Neumann, PointValue, coefficient, ds, dx, solve, vector
from sciml.errors import UnsupportedError
from sciml.nn import MLP, PhysicalNetwork
from sciml.solution import ExactField, NetworkField, evaluate_quantities


def energy(u):
    return inner(grad(u), grad(u)) / 2 * dx


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_of_the_exact_solution(poisson, dim):
    """u = Π sin πx_i on the unit box."""

    def exact(x):
        out = sin(pi * x[0])
        for k in range(1, dim):
            out = out * sin(pi * x[k])
        return out

    problem = poisson(
        dim,
        exact=exact,
        quantities=lambda u, n, x: {
            "energy": energy(u),
            "integral": u * dx,
            "outflow": dot(grad(u), n) * ds,
            "left": dot(grad(u), n) * ds("left"),
            "two sides": dot(grad(u), n) * ds(("left", "x0+")),
            "point": PointValue(u, at=(0.25,) * dim),
            "slope": PointValue(u.dx(0), at=(0.25,) + (0.5,) * (dim - 1)),
            "sum": u * dx + u * ds + x[0] * dx,
        },
    )
    mean = (2 / np.pi) ** dim
    side = -np.pi * (2 / np.pi) ** (dim - 1)
    wanted = {
        "energy": dim * np.pi**2 / 2 ** (dim + 1),
        "integral": mean,
        "outflow": 2 * dim * side,
        "left": side,
        "two sides": 2 * side,
        "point": np.sin(np.pi / 4) ** dim,
        "slope": np.pi * np.cos(np.pi / 4),
        "sum": mean + 0.5,
    }
    assert evaluate_quantities(problem, ExactField(problem)) == pytest.approx(wanted, rel=1e-8)
    cells = {1: 64, 2: 16, 3: 4}[dim]
    found = solve(problem, degree=3, cells=cells, measure_error=False).quantities()
    assert found == pytest.approx(wanted, rel={1: 1e-5, 2: 1e-3, 3: 0.1}[dim])


def test_in_the_space_they_are_exact(poisson, two_materials):
    """u = x, then 1 + (x − 1)/4 on (0, 2) × (0, 1), by region and by side."""
    problem = poisson(
        domain=two_materials(),
        load=0.0,
        coefficients={"k": coefficient({"steel": 1.0, "wood": 4.0})},
        flux=lambda u, p: p.k * grad(u),
        conditions=[Dirichlet(0.0, on="x0-"), Neumann(1.0, on="x0+")],
        quantities=lambda u, n, p: {
            "in steel": u * dx("steel"),
            "in wood": u * dx("wood"),
            "in both": u * dx(("steel", "wood")),
            "everywhere": u * dx,
            "heat": p.k * dot(grad(u), n) * ds("x0+"),
            "dissipation": p.k * inner(grad(u), grad(u)) * dx,
            "area of wood": 1 * p.dx("wood"),
            "length": 1 * p.ds("x1-"),
        },
    )
    wanted = {
        "in steel": 0.5,
        "in wood": 1.125,
        "in both": 1.625,
        "everywhere": 1.625,
        "heat": 1.0,
        "dissipation": 1.25,
        "area of wood": 1.0,
        "length": 2.0,
    }
    for degree in (1, 2):
        assert solve(problem, degree=degree, measure_error=False).quantities() == pytest.approx(wanted, rel=1e-11)


def test_of_a_body(poisson):
    """Uniaxial tension: strain energy, tip displacement and reaction of a plate in plane strain."""
    young, poisson_ratio, pull = 10.0, 0.25, 0.1
    lame = young * poisson_ratio / (1 + poisson_ratio) / (1 - 2 * poisson_ratio)
    shear = young / 2 / (1 + poisson_ratio)

    def stress(u):
        return 2 * shear * sym(grad(u)) + lame * tr(sym(grad(u))) * Identity(2)

    problem = poisson(
        domain=Box((0, 0), (2, 1)),
        fields={"d": vector},
        flux=stress,
        load=0.0,
        conditions=[
            Dirichlet(0.0, on="left", component=0),
            Dirichlet(0.0, on="bottom", component=1),
            Neumann((pull, 0.0), on="right"),
        ],
        quantities=lambda u, n: {
            "tip": PointValue(u[0], at=(2.0, 1.0)),
            "narrowing": PointValue(u[1], at=(1.0, 1.0)),
            "energy": inner(stress(u), sym(grad(u))) / 2 * dx,
            "reaction": dot(stress(u), n)[0] * ds("left"),
            "dilation": div(u) * dx,
        },
    )
    modulus = young / (1 - poisson_ratio**2)
    strain = pull / modulus
    across = -poisson_ratio / (1 - poisson_ratio) * strain
    wanted = {
        "tip": 2 * strain,
        "narrowing": across,
        "energy": pull * strain,
        "reaction": -pull,
        "dilation": 2 * (strain + across),
    }
    assert solve(problem, degree=1, cells=2, measure_error=False).quantities() == pytest.approx(wanted, rel=1e-11)


def test_on_curved_cells(poisson, bent_box):
    """∮ x·n = 2 ∫ 1, whatever the shape."""
    problem = poisson(
        domain=bent_box(2, "simplex"),
        load=0.0,
        quantities=lambda x, n, p: {"flux": dot(x, n) * ds, "area": 1 * p.dx},
    )
    found = solve(problem, measure_error=False).quantities()
    assert found["flux"] == pytest.approx(2 * found["area"], rel=1e-12)
    assert found["area"] == pytest.approx(problem.domain.volume)


def test_of_a_network(poisson):
    """The same field by jets of the network and by quadrature of its values."""
    problem = poisson(
        quantities=lambda u: {"energy": energy(u), "integral": u * dx, "bending": u.dx(0).dx(0) ** 2 * dx}
    )
    module = PhysicalNetwork(MLP([2, 8, 1]), problem, unknown_scale=1.0, hard=True)
    field = NetworkField(problem, module)
    points, weights = problem.domain.quadrature(10_000)
    slopes = field.gradient(points)
    found = evaluate_quantities(problem, field)
    assert found["energy"] == pytest.approx(weights @ (slopes**2).sum(axis=1) / 2, rel=1e-8)
    assert found["integral"] == pytest.approx(weights @ field.evaluate(points), rel=1e-8)
    step = np.array([1e-4, 0])
    second = (field.gradient(points + step) - field.gradient(points - step))[:, 0] / 2e-4
    assert found["bending"] == pytest.approx(weights @ second**2, rel=1e-5)


def test_second_derivatives_of_finite_elements_are_refused(poisson):
    problem = poisson(quantities=lambda u: {"bending": u.dx(0).dx(0) ** 2 * dx})
    with pytest.raises(UnsupportedError, match="no second derivatives"):
        solve(problem, cells=2, measure_error=False).quantities()


def test_many_dimensions_are_refused(poisson):
    problem = poisson(10, exact=lambda x: exp(-inner(x, x)), quantities=lambda u: {"integral": u * dx})
    with pytest.raises(UnsupportedError, match="three dimensions"):
        evaluate_quantities(problem, ExactField(problem))


def test_points_may_be_parameters(poisson):
    problem = poisson(
        parameters={"place": (0.25, 0.5)},
        exact=lambda x: x[0] + 2 * x[1],
        quantities=lambda u, p: {"probe": PointValue(u, at=p.place)},
    )
    for place in ((0.25, 0.5), (0.75, 0.1)):
        moved = problem.with_parameters(place=place)
        assert evaluate_quantities(moved, ExactField(moved))["probe"] == pytest.approx(place[0] + 2 * place[1])


def test_no_gradient_is_left_on_the_tape(poisson):
    problem = poisson(quantities=lambda u: {"energy": energy(u)})
    field = NetworkField(problem, PhysicalNetwork(MLP([2, 4, 1]), problem, unknown_scale=1.0, hard=False))
    evaluate_quantities(problem, field)
    assert all(p.grad is None for p in field.module.parameters())
    assert torch.is_grad_enabled()
