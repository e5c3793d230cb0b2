"""Several fields as compiled against laws written by hand: Stokes, Navier–Stokes, mixed Poisson, mixed elasticity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import agree, derivatives, exact_values, gradient, network, points_of, trace
from ufl import Identity, as_vector, cos, div, dot, exp, grad, pi, sin, sym

from sciml import Box, Dirichlet, Mean, Neumann, Problem, Robin, scalar, vector
from sciml.forms import balance, boundary_residual, initial_residual, pointwise, reverse_jet, strong_residual

VISCOSITY, DENSITY = 0.3, 1.7
FLOW = {"velocity": vector, "pressure": scalar.element(lower=1)}


def stream_velocity(x):
    """The curl of sin(x₀ + ½) exp x₁, which has no divergence."""
    stream = sin(x[0] + 0.5) * exp(x[1])
    return as_vector([stream.dx(1), -stream.dx(0)])


def flow(*, inertia=True, **changes):
    """ρ (u · ∇) u − div(2 ν ε(u) − p I) = f and div u = g on (0, 2) × (0, 1)."""

    def reaction(velocity):
        constraint = {"pressure": div(velocity)}
        return constraint | ({"velocity": DENSITY * dot(grad(velocity), velocity)} if inertia else {})

    parts = {
        "domain": Box((0, 0), (2, 1)),
        "fields": FLOW,
        "flux": lambda velocity, pressure: {"velocity": 2 * VISCOSITY * sym(grad(velocity)) - pressure * Identity(2)},
        "reaction": reaction,
        "load": lambda x: {"velocity": as_vector([sin(x[0]), x[0] * x[1]]), "pressure": 0.3 * x[1]},
        "conditions": [Dirichlet(0.0, on=["left", "top", "bottom"], field="velocity")],
    }
    return Problem(**(parts | changes))


def by_hand(x, inertia, w):
    """Terms of the three equations for the columns (u₀, u₁, p) of w: nested lists of (n,)."""
    slopes, second = zip(*(derivatives(w[:, c], x) for c in range(3)), strict=True)
    rows = []
    for i in range(2):
        # div 2 ν ε(u) = ν (Δu + ∇ div u)
        viscous = [-VISCOSITY * trace(second[i][:, :2, :2])] + [-VISCOSITY * second[j][:, j, i] for j in range(2)]
        convective = [DENSITY * w[:, j] * slopes[i][:, j] for j in range(2)] if inertia else []
        rows.append([*viscous, slopes[2][:, i], *convective])
    return [*rows, [slopes[0][:, 0], slopes[1][:, 1]]]


@pytest.mark.parametrize("inertia", [False, True], ids=["Stokes", "Navier–Stokes"])
def test_flows(inertia):
    problem = flow(inertia=inertia)
    w, x = network(2, 3), points_of(problem)
    residual = strong_residual(problem)
    compiled = residual(x, reverse_jet(w, x, residual.keys))
    loads = [torch.sin(x[:, 0]), x[:, 0] * x[:, 1], 0.3 * x[:, 1]]
    assert compiled.shape == (len(x), 3)
    for c, terms in enumerate(by_hand(x, inertia, w(x))):
        agree(compiled[:, c], [*terms, -loads[c]])


def test_an_evolving_flow():
    """ρ ∂u/∂t stands in the momentum balance alone, and the time is the last coordinate."""
    problem = flow(time=(1.0, 3.0), damping={"velocity": DENSITY}, initial={"velocity": (0.0, 0.0)})
    w = network(3, 3)
    x = torch.cat([points_of(problem).detach(), 1 + 2 * torch.rand(400, 1, dtype=torch.float64)], 1).requires_grad_()
    residual = strong_residual(problem)
    compiled = residual(x, reverse_jet(w, x, residual.keys))
    loads = [torch.sin(x[:, 0]), x[:, 0] * x[:, 1], 0.3 * x[:, 1]]
    values = w(x)
    for c, terms in enumerate(by_hand(x, True, values)):
        rate = [DENSITY * gradient(values[:, c], x)[:, 2]] if c < 2 else []
        agree(compiled[:, c], [*terms, *rate, -loads[c]])


def test_the_order_of_the_fields_is_that_of_the_declaration():
    """(p, u₀, u₁) in place of (u₀, u₁, p)."""
    turned = flow(fields={"pressure": scalar, "velocity": vector})
    w, x = network(2, 3), points_of(turned)
    one, other = strong_residual(flow()), strong_residual(turned)
    first = one(x, reverse_jet(w, x, one.keys))
    second = other(x, reverse_jet(lambda y: w(y)[:, [2, 0, 1]], x, other.keys))
    torch.testing.assert_close(second[:, [1, 2, 0]], first, rtol=1e-13, atol=1e-13)


def test_a_system_of_first_order():
    """Mixed Poisson: q − ∇φ and −div q − f, of which each needs first derivatives only."""
    problem = Problem(
        domain=Box((0, 0), (1, 1)),
        fields={"flow": vector.element("RT"), "potential": scalar.element("DG", lower=1)},
        flux=lambda potential: {"flow": potential * Identity(2)},
        reaction=lambda flow: {"flow": flow, "potential": -div(flow)},
        load=lambda x: {"potential": exp(x[0])},
    )
    w, x = network(2, 3), points_of(problem)
    residual, values = strong_residual(problem), w(x)
    assert all(len(key.axes) <= 1 for key in residual.keys)
    compiled = residual(x, reverse_jet(w, x, residual.keys))
    slope = gradient(values[:, 2], x)
    for i in range(2):
        agree(compiled[:, i], [values[:, i], -slope[:, i]])
    agree(compiled[:, 2], [-gradient(values[:, i], x)[:, i] for i in range(2)] + [-torch.exp(x[:, 0])])


EXACT = {
    "Stokes": flow(
        inertia=False,
        load=None,
        exact=lambda x: {"velocity": stream_velocity(x), "pressure": cos(2 * x[0]) * x[1]},
        conditions=[Dirichlet(on="left", field="velocity"), Neumann(on="right", field="velocity")],
    ),
    "Navier–Stokes with a source of mass": flow(
        load=None,
        exact=lambda x: {"velocity": as_vector([sin(x[0]) * x[1], x[0] ** 2 + x[1]]), "pressure": cos(x[0] * x[1])},
        conditions=[
            Dirichlet(on="left", field="velocity", component=1),
            Neumann(on="left", field="velocity", component=0),
            Robin(on="right", alpha=2.0, field="velocity"),
        ],
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_a_manufactured_load_leaves_no_residual(name):
    problem = EXACT[name]
    points = problem.domain.sample(200, np.random.default_rng(0))
    residual = strong_residual(problem)
    values = residual(torch.tensor(points), exact_values(problem, residual, points))
    assert float(values.abs().max()) < 5e-12
    for piece in problem.boundary_pieces:
        points, normals = piece.part.sample(50, np.random.default_rng(0))
        for component, condition in enumerate(piece.conditions):
            if condition is None:
                continue
            operator = boundary_residual(problem, condition, component)
            jet = exact_values(problem, operator, points)
            found = operator(torch.tensor(points), jet, normal=torch.tensor(normals))
            assert float(found.abs().max()) < 5e-12, str(condition)


def test_manufactured_load_of_kovasznay():
    """Kovasznay's flow solves Navier–Stokes without any load (L. Kovasznay, Proc. Camb. Phil. Soc. 44, 1948)."""
    reynolds = 40.0
    rate = reynolds / 2 - np.sqrt(reynolds**2 / 4 + 4 * np.pi**2)
    problem = flow(
        flux=lambda velocity, pressure: {"velocity": grad(velocity) / reynolds - pressure * Identity(2)},
        reaction=lambda velocity: {"velocity": dot(grad(velocity), velocity), "pressure": div(velocity)},
        load=None,
        exact=lambda x: {
            "velocity": as_vector(
                [
                    1 - exp(rate * x[0]) * cos(2 * pi * x[1]),
                    rate / (2 * pi) * exp(rate * x[0]) * sin(2 * pi * x[1]),
                ]
            ),
            "pressure": (1 - exp(2 * rate * x[0])) / 2,
        },
        conditions=[Dirichlet(on="boundary", field="velocity"), Mean(0.0, field="pressure")],
    )
    load = pointwise(problem, balance(problem).load).at(problem.domain.sample(200, np.random.default_rng(0)))
    assert np.abs(load).max() < 1e-12


@pytest.mark.parametrize("component", [0, 1])
def test_boundary_residuals(component):
    """σ n with σ = 2 ν ε(u) − p I, for conditions on the whole velocity and on one component of it."""
    problem = flow(
        conditions=lambda x: [
            Dirichlet(as_vector([x[1], 2.0]), on="left", field="velocity"),
            Neumann(as_vector([3.0, x[0]]), on="right", field="velocity"),
            Robin(5.0, alpha=7.0, on="top", field="velocity", component=component),
            Dirichlet(x[0], on="bottom", field="pressure"),
        ]
    )
    w = network(2, 3)
    left, right, top, bottom = problem.declaration.conditions

    def residual(condition, c, side):
        points, normals = problem.domain.part([side]).sample(40, np.random.default_rng(0))
        x, n = torch.tensor(points, requires_grad=True), torch.tensor(normals)
        operator = boundary_residual(problem, condition, c)
        return x, n, operator(x, reverse_jet(w, x, operator.keys), normal=n)

    def traction(x, n):
        values = w(x)
        slope = torch.stack([gradient(values[:, i], x) for i in range(2)], dim=1)
        strain = VISCOSITY * (slope + slope.mT)
        return [strain[:, component, j] * n[:, j] for j in range(2)] + [-values[:, 2] * n[:, component]]

    x, _, found = residual(left, component, "left")
    agree(found, [w(x)[:, component], -(x[:, 1] if component == 0 else 2 + 0 * x[:, 1])])
    x, n, found = residual(right, component, "right")
    agree(found, [*traction(x, n), -(3 + 0 * x[:, 0] if component == 0 else x[:, 0])])
    x, n, found = residual(top, component, "top")
    agree(found, [*traction(x, n), 7 * w(x)[:, component], -35 + 0 * x[:, 0]])
    x, n, found = residual(None, component, "top")
    agree(found, traction(x, n))
    x, _, found = residual(bottom, 2, "bottom")
    agree(found, [w(x)[:, 2], -x[:, 0]])


def test_the_start_of_a_flow():
    problem = flow(time=1.0, damping={"velocity": 1.0}, initial=lambda x: {"velocity": stream_velocity(x)})
    w, x = network(3, 3), torch.rand(40, 3, dtype=torch.float64)
    operator = initial_residual(problem, 1)
    start = -torch.cos(x[:, 0] + 0.5) * torch.exp(x[:, 1])
    agree(operator(x, reverse_jet(w, x, operator.keys)), [w(x)[:, 1], -start])
