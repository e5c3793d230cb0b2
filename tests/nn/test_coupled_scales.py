"""Sizes of several fields that one law couples: as dimensional analysis has them, and the same in any units."""

import numpy as np
import pytest
import torch
from ufl import Identity, as_vector, cos, div, dot, exp, grad, pi, sin, sym

from sciml import Box, Dirichlet, Mean, Neumann, Problem, scalar, vector
from sciml.forms import Derivative, reverse_jet
from sciml.nn import MLP, PhysicalNetwork, problem_scales

WALLS = ["left", "right", "bottom"]


def cavity(*, viscosity=1.0, density=0.0, speed=1.0, length=1.0, force=0.0, **changes):
    """A box of fluid with a lid that moves, or a force on it."""
    parts = {
        "domain": Box((0, 0), (length, length)),
        "fields": {"velocity": vector, "pressure": scalar},
        "flux": lambda velocity, pressure: {"velocity": viscosity * grad(velocity) - pressure * Identity(2)},
        "reaction": lambda velocity: {
            "velocity": density * dot(grad(velocity), velocity),
            "pressure": div(velocity),
        },
        "load": {"velocity": (force, 0.0)},
        "conditions": [
            Dirichlet((speed, 0.0), on="top", field="velocity"),
            Dirichlet(0.0, on=WALLS, field="velocity"),
            Mean(0.0, field="pressure"),
        ],
    }
    return Problem(**(parts | changes))


def test_a_creeping_flow():
    """U is the speed of the lid, the pressure ν U/L; the momentum balance ν U/L², that of mass U/L."""
    scales = problem_scales(cavity(viscosity=3.0, speed=2.0, length=0.5))
    assert scales.unknowns == pytest.approx((2, 2, 12))
    assert scales.fluxes == pytest.approx((12, 12, 0))
    assert scales.residuals == pytest.approx((24, 24, 4))
    assert scales.offset == (0, 0, 0)


def test_a_force():
    """With no lid to move it, U = f L²/8ν; the pressure f L holds the force."""
    scales = problem_scales(cavity(viscosity=2.0, speed=0.0, length=2.0, force=3.0))
    assert scales.unknowns == pytest.approx((3 / 4, 3 / 4, 6))


def test_a_fast_flow():
    """At large Reynolds numbers the pressure is ρ U²: of a lid, and, up to a factor of ten, of a force."""
    lid = problem_scales(cavity(viscosity=1e-4, density=5.0, speed=2.0))
    assert 2 < lid.unknowns[2] < 50
    # ρ U²/L = f
    forced = problem_scales(cavity(viscosity=1e-6, density=1.0, speed=0.0, force=1.0))
    assert 0.1 < forced.unknowns[0] < 10


@pytest.mark.parametrize("bulk", [1.0, 1e3, 1e6])
def test_a_body_that_is_nearly_incompressible(bulk):
    """The pressure is of the size of the shear stress μ U/L, however stiff the body is in compression."""
    problem = Problem(
        domain=Box((0, 0), (2, 1)),
        fields={"displacement": vector, "pressure": scalar},
        flux=lambda displacement, pressure: {"displacement": 2 * sym(grad(displacement)) - pressure * Identity(2)},
        reaction=lambda displacement, pressure: {"pressure": -div(displacement) - pressure / bulk},
        conditions=[
            Dirichlet(0.0, on="left", field="displacement"),
            Dirichlet((0.1, 0.0), on="right", field="displacement"),
        ],
    )
    assert problem_scales(problem).unknowns == pytest.approx((0.1, 0.1, 0.1 if bulk > 1 else 0.05), rel=0.01)


@pytest.mark.parametrize(("load", "outside"), [(3.0, 0.0), (0.0, 5.0)])
def test_a_system_of_first_order(load, outside):
    """q = ∇φ, −div q = f: q = f L and φ = f L² of a source, φ = φ₀ and q = φ₀/L of a value outside."""
    problem = Problem(
        domain=Box((0, 0), (2, 1)),
        fields={"flow": vector.element("RT"), "potential": scalar.element("DG", lower=1)},
        flux=lambda potential: {"flow": potential * Identity(2)},
        reaction=lambda flow: {"flow": flow, "potential": -div(flow)},
        load={"potential": load},
        conditions=lambda n: [Neumann(outside * n, on=["left", "right"], field="flow")],
    )
    flow, _, potential = problem_scales(problem).unknowns
    assert flow == pytest.approx(2 * load + outside / 2)
    assert potential == pytest.approx(4 * load + outside)


def test_a_field_that_another_one_drives():
    """A displacement without load or data of its own is of the size that heat gives it: β T L/(8 E)."""
    problem = Problem(
        domain=Box((0, 0), (1, 1)),
        fields={"displacement": vector, "temperature": scalar},
        flux=lambda displacement, temperature: {
            "displacement": 5.0 * sym(grad(displacement)) - 0.02 * temperature * Identity(2),
            "temperature": grad(temperature),
        },
        conditions=[
            Dirichlet(0.0, on="boundary", field="displacement"),
            Dirichlet(30.0, on="left", field="temperature"),
            Dirichlet(-30.0, on="right", field="temperature"),
        ],
    )
    own, _, heat = problem_scales(problem).unknowns
    assert heat == pytest.approx(30)
    assert own == pytest.approx(0.02 * 30 / (8 * 5), rel=0.01)


def test_fields_have_offsets_of_their_own():
    """300 K ± 1 K beside a prescribed mean of a pressure; a velocity that is near to nothing has none."""
    problem = cavity(
        fields={"velocity": vector, "pressure": scalar, "temperature": scalar},
        flux=lambda velocity, pressure, temperature: {
            "velocity": grad(velocity) - pressure * Identity(2),
            "temperature": grad(temperature),
        },
        conditions=lambda x: [
            Dirichlet((sin(pi * x[0]), 0.0), on="top", field="velocity"),
            Dirichlet(0.0, on=WALLS, field="velocity"),
            Dirichlet(300 + sin(2 * pi * x[0]), on=["top", "bottom"], field="temperature"),
            Mean(7e4, field="pressure"),
        ],
    )
    scales = problem_scales(problem)
    assert scales.offset == (0, 0, 7e4, pytest.approx(300, abs=0.2))
    assert scales.unknowns == pytest.approx((2 / pi, 2 / pi, 2 / pi, 2 / pi), rel=0.1)


def test_an_evolving_flow():
    """A short time makes the terms in time large in the momentum balance, and so the pressure ρ U L/T."""
    start = {"velocity": as_vector([1.0, 0.0])}
    scales = problem_scales(cavity(length=2.0, density=1.0, time=1e-3, damping={"velocity": 1.0}, initial=start))
    assert scales.residuals == pytest.approx((1e3, 1e3, 0.5), rel=0.01)
    assert scales.unknowns == pytest.approx((1, 1, 2e3), rel=0.01)


@pytest.mark.parametrize("units", [(1e3, 1.0, 1.0), (1.0, 1e-6, 1.0), (1e-3, 1e-2, 1e4)])
def test_sizes_change_with_the_units(units):
    """Metres, metres a second and kilograms a cubic metre times the factors given; the law is not linear."""
    length, speed, density = units

    def declared(length, speed, density):
        def exact(x):
            stream = speed * length * exp(x[0] / length) * sin(x[1] / length)
            return {
                "velocity": as_vector([stream.dx(1), -stream.dx(0)]),
                "pressure": density * speed**2 * cos(x[0] / length),
            }

        return cavity(
            viscosity=0.1 * density * speed * length,
            density=density,
            length=length,
            load=None,
            exact=exact,
            conditions=[Dirichlet(on="boundary", field="velocity"), Mean(0.0, field="pressure")],
        )

    one, other = problem_scales(declared(1.0, 1.0, 1.0)), problem_scales(declared(*units))
    stress = density * speed**2
    assert other.unknowns == pytest.approx(np.multiply(one.unknowns, (speed, speed, stress)), rel=1e-9)
    assert other.fluxes == pytest.approx(np.multiply(one.fluxes, (stress, stress, 0)), rel=1e-9)
    wanted = (stress / length, stress / length, speed / length)
    assert other.residuals == pytest.approx(np.multiply(one.residuals, wanted), rel=1e-9)


def test_a_declaration_without_any_data():
    assert problem_scales(cavity(speed=0.0)).unknowns == pytest.approx((1, 1, 1))


def test_a_network_with_a_size_for_each_field():
    """Values, jets through Taylor series, and the manifest."""
    problem = cavity()
    network = PhysicalNetwork(
        MLP([2, 9, 9, 3]), problem, unknown_scale=(2.0, 2.0, 5e4), hard=False, offset=(0.0, 0.0, 1e5)
    )
    x = torch.rand(20, 2, dtype=torch.float64)
    raw = network.network(network.scaled(x))
    torch.testing.assert_close(network(x), raw * torch.tensor([2.0, 2.0, 5e4]) + torch.tensor([0.0, 0.0, 1e5]))
    keys = [Derivative(c, axes) for c in range(3) for axes in ((), (0,), (1,), (0, 1))]
    own, wanted = network.jet(x, keys), reverse_jet(network, x, keys)
    for key in keys:
        size = float(wanted[key].detach().abs().max())
        torch.testing.assert_close(own[key], wanted[key], rtol=0, atol=1e-12 * size)
    again = PhysicalNetwork.from_manifest(problem, network.manifest())
    again.load_state_dict(network.state_dict())
    assert torch.equal(network(x), again(x))


def test_conditions_of_one_field_leave_the_others_alone():
    problem = cavity(
        conditions=lambda x: [
            Dirichlet((sin(pi * x[0]), 0.0), on="top", field="velocity"),
            Dirichlet(0.0, on=WALLS, field="velocity"),
            Mean(0.0, field="pressure"),
        ]
    )
    network = PhysicalNetwork(MLP([2, 8, 3]), problem, unknown_scale=(1.0, 1.0, 3.0), hard=True, offset=(0, 0, 4.0))
    assert network.conditions.prescribed == [True, True, False]
    top = torch.stack([torch.linspace(0, 1, 9, dtype=torch.float64), torch.ones(9, dtype=torch.float64)], dim=1)
    values = network(top).detach()
    torch.testing.assert_close(values[:, 0], torch.sin(torch.pi * top[:, 0]), rtol=0, atol=1e-14)
    assert float(values[:, 1].abs().max()) < 1e-14
    torch.testing.assert_close(values[:, 2], 3 * network.network(network.scaled(top)).detach()[:, 2] + 4)
