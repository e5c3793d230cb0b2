"""Figures that docstrings of the catalogue state: from exact solutions, and from the reference solver."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad
from ufl import Identity, dot, grad, sym, tr

import sciml
from sciml import Box, Dirichlet, Problem, ds, load_problem, vector
from sciml.solution import ExactField, evaluate_quantities

torch.set_num_threads(1)

HALF_PI = np.pi / 2


def exact_quantities(name: str, **parameters) -> dict[str, float]:
    problem = load_problem(name, **parameters)
    return evaluate_quantities(problem, ExactField(problem))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_sine(dim):
    found = exact_quantities("poisson/sine", dim=dim)
    assert found["energy"] == pytest.approx(dim * np.pi**2 / 2 ** (dim + 1), rel=1e-6)
    assert found["flux_left"] == pytest.approx(-np.pi * (2 / np.pi) ** (dim - 1), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "peaks"), [("poisson/peak", 1), ("poisson/two_peaks", 2), ("advection_diffusion/two_peaks", 2)]
)
def test_peaks(name, peaks):
    found = exact_quantities(name, sharpness=200.0)
    assert found["integral"] == pytest.approx(peaks * np.pi / 200, rel=1e-6)
    assert found["energy"] == pytest.approx(peaks * HALF_PI, rel=1e-5)


def test_corner_flux():
    """Both edges of the corner take in one unit each: ∫ (2/3) r^(−1/3) dr."""
    assert exact_quantities("poisson/l_shape")["flux_outer"] == pytest.approx(2.0, rel=1e-9)


def test_catenoid_area():
    def element(y: float, x: float) -> float:
        """√(1 + |∇u|²) = cosh² x / √(cosh² x − y²), by hand."""
        return np.cosh(x) ** 2 / np.sqrt(np.cosh(x) ** 2 - y**2)

    area = dblquad(element, -1, 1, -0.5, 0.5)[0]
    assert exact_quantities("nonlinear/catenoid")["area"] == pytest.approx(area, rel=1e-8)


def test_gradient_of_the_manufactured_solution_vanishes_where_stated():
    problem = load_problem("nonlinear/p_laplace")
    gradient = ExactField(problem).gradient(np.array([[0.737, 0.391]]))
    assert np.abs(gradient).max() < 0.02


# -- with the reference solver -------------------------------------------------------------------------------


def solved(name: str, parameters: dict | None = None, **options) -> dict[str, float]:
    pytest.importorskip("dolfinx_solver", reason="FEniCSx is not installed")
    return sciml.solve(load_problem(name, **parameters or {}), "fenics", **options).quantities()


def test_stress_at_the_hole():
    """Three times the tension at the top, minus the tension at the side, within one percent."""
    found = solved("elasticity/plate_with_hole", {"tension": 2.0}, degree=2)
    assert found["stress_top"] == pytest.approx(6.0, rel=0.01)
    assert found["stress_side"] == pytest.approx(-2.0, rel=0.01)


def test_cook():
    found = solved("elasticity/cook", degree=3)
    assert found["tip"] == pytest.approx(23.968, rel=1e-3)
    assert found["corner"] == pytest.approx(25.19, rel=5e-3)
    # All work of the force is stored: half of force times its mean displacement.
    assert found["strain_energy"] == pytest.approx(12.021, rel=1e-3)


def test_cook_nearly_incompressible():
    stiff = {"young_modulus": 70.0, "poisson_ratio": 0.4999, "force": 100.0, "state": "plane_strain"}
    assert solved("elasticity/cook", stiff, degree=4)["tip"] == pytest.approx(26.45, rel=5e-3)


def test_convective_plate():
    found = solved("thermal/convective_plate", degree=3, cells=20)
    assert found["temperature_e"] == pytest.approx(18.25376, abs=1e-3)
    assert found["heat_flow"] == pytest.approx(10288, rel=2e-3)


def test_fibre_composite():
    """The stated figure, its balance at the boundary, and Keller's exchange of phases."""
    found = solved("thermal/fibre_composite", degree=2)
    assert found["effective_conductivity"] == pytest.approx(1.60294, rel=1e-4)
    assert found["heat_flow"] == pytest.approx(found["effective_conductivity"], rel=1e-3)
    exchanged = solved("thermal/fibre_composite", {"matrix": 10.0, "fibre": 1.0}, degree=2)
    product = found["effective_conductivity"] * exchanged["effective_conductivity"]
    assert product == pytest.approx(10.0, rel=1e-4)


def test_block_at_small_strain_is_linear():
    """The force on the plate tends to that of Hooke's law with the same λ and μ."""
    pytest.importorskip("dolfinx_solver", reason="FEniCSx is not installed")

    def stress(u):
        strain = sym(grad(u))
        return 1.5 * tr(strain) * Identity(2) + 2 * strain

    linear = Problem(
        domain=Box((0, 0), (1, 1)),
        fields={"displacement": vector},
        flux=stress,
        conditions=[Dirichlet(0.0, on="left"), Dirichlet((-1.0, 0.0), on="right")],
        quantities=lambda u, n: {"plate_force": dot(stress(u), n)[0] * ds("right")},
    )
    options = {"degree": 2, "cells": 8}
    hooke = sciml.solve(linear, "fenics", **options).quantities()["plate_force"]
    force = {c: solved("hyperelasticity/block", {"compression": c}, **options)["plate_force"] / c for c in (0.02, 0.01)}
    assert force[0.01] == pytest.approx(hooke, rel=0.02)
    assert (force[0.02] - hooke) / (force[0.01] - hooke) == pytest.approx(2.0, rel=0.1)
