"""Figures that docstrings of the catalogue state: from exact solutions, and from the reference solver."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad
from ufl import Identity, dot, grad, sym, tr

import sciml
from sciml import Box, Dirichlet, Neumann, Problem, ds, load_problem, vector
from sciml.errors import DivergenceError
from sciml.forms import pointwise
from sciml.problems.hyperelasticity import Void, _waves
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


@pytest.mark.parametrize(("dim", "waves"), [(1, 3), (2, 2), (3, 2)])
def test_torus(dim, waves):
    found = exact_quantities("poisson/torus", dim=dim, waves=waves)
    assert found["energy"] == pytest.approx(dim * np.pi**2 * (waves**2 + 2.0 ** (-dim - 1)), rel=1e-6)
    assert found["integral"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("contrast", "angle"), [(10.0, 0.5), (100.0, 2.0), (1.0, 0.0)])
def test_the_periodic_cell_conducts_like_its_geometric_mean(contrast, angle):
    problem = load_problem("multiscale/periodic_cell", contrast=contrast, angle=angle)
    found = sciml.solve(problem, degree=3, cells=24, measure_error=False).quantities()
    assert found["along"] == pytest.approx(1.0, abs=1e-5)
    assert found["across"] == pytest.approx(0.0, abs=1e-5)
    coarse = sciml.solve(problem, degree=2, cells=16, measure_error=False).quantities()
    assert contrast > 10 or coarse["along"] == pytest.approx(1.0, abs=1e-4)


def test_the_effective_stiffness_of_periodic_voids():
    """The first column by the mean stress, symmetric with the second, and the shear modulus."""
    stiffness = []
    for strain in np.eye(3):
        problem = load_problem("elasticity/periodic_voids", strain=tuple(strain))
        found = sciml.solve(problem, degree=3, measure_error=False).quantities()
        stiffness.append([found["stress_xx"], found["stress_yy"], found["stress_xy"]])
    wanted = [[0.66398, 0.17695, 0], [0.17695, 0.66398, 0], [0, 0, 0.18561]]
    np.testing.assert_allclose(stiffness, wanted, atol=2e-5)


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


TWO_PI = 2 * np.pi


@pytest.mark.parametrize(
    ("name", "mean_square", "energy"),
    [
        ("sine", np.pi, 1e4 * np.pi / 2),
        ("product", HALF_PI, np.pi * (6**2 + 100**2) / 4),
        ("growing_wave", 4 * np.pi**3 / 3 - np.pi / (2 * 200**2), None),
        ("sum_of_products", 2 * np.pi**2, 436 * np.pi**2),
    ],
)
def test_multiscale(name, mean_square, energy):
    found = exact_quantities(f"multiscale/{name}")
    assert found["mean_square"] == pytest.approx(mean_square, rel=1e-8)
    assert energy is None or found["energy"] == pytest.approx(energy, rel=1e-8)


def test_three_scales():
    found = exact_quantities("multiscale/three_scales", third="sin")
    assert found["mean_square"] == pytest.approx(1.0125 * np.pi, rel=1e-8)
    assert found["energy"] == pytest.approx(15 * np.pi, rel=1e-8)


@pytest.mark.parametrize("second", ["sin", "cos"])
def test_plane_waves(second):
    found = exact_quantities("multiscale/plane_waves", second=second, frequency=6.0, length=TWO_PI)
    assert found["mean_square"] == pytest.approx(np.pi**2, rel=1e-8)
    assert found["energy"] == pytest.approx(36 * np.pi**2, rel=1e-8)


def test_energy_of_a_front():
    """2√2/3 times the width for each unit of length: 2 for a front along an axis."""
    found = exact_quantities("allen_cahn/front", width=0.05, angle=0.0)
    assert found["energy"] == pytest.approx(2 * 2 * np.sqrt(2) / 3 * 0.05, rel=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.5, 1.2])
def test_anisotropic_energy(angle):
    found = exact_quantities("diffusion/anisotropic", angle=angle, ratio=0.25)
    assert found["energy"] == pytest.approx(np.pi**2 * 1.25 / 8, rel=1e-8)


def test_cooling_fin():
    by_hand = 2 * (np.sinh(2) + 0.25 * np.cosh(2)) / (np.cosh(2) + 0.25 * np.sinh(2))
    assert by_hand == pytest.approx(1.95652, abs=5e-6)
    assert exact_quantities("diffusion/cooling_fin")["heat_base"] == pytest.approx(by_hand, rel=1e-12)


def test_boundary_layers():
    found = exact_quantities("advection_diffusion/boundary_layer")
    assert found["integral"] == pytest.approx(0.48, rel=1e-9)
    assert found["slope_right"] == pytest.approx(-49.0, rel=1e-9)
    square = (0.5 - 1 / 30 + 1 / np.expm1(30)) ** 2
    assert exact_quantities("advection_diffusion/corner_layers")["integral"] == pytest.approx(square, rel=1e-8)


@pytest.mark.parametrize("state", ["plane_stress", "plane_strain"])
def test_lame(state):
    found = exact_quantities("elasticity/pressurised_cylinder", state=state, pressure=3.0)
    assert found["hoop_stress_bore"] == pytest.approx(5.0, rel=1e-12)
    assert found["hoop_stress_outside"] == pytest.approx(2.0, rel=1e-12)
    # The work of the pressure on the bore, a quarter of it, is stored.
    assert found["strain_energy"] == pytest.approx(0.5 * 3 * found["bore_displacement"] * HALF_PI, rel=1e-5)
    # The textbook's formula for the bore: p/E ((R² + 1)/(R² − 1) + ν), R = 2, for an open cylinder.
    if state == "plane_stress":
        assert found["bore_displacement"] == pytest.approx(3 * (5 / 3 + 0.3), rel=1e-12)


@pytest.mark.parametrize(("state", "e", "nu"), [("plane_stress", 1.0, 0.3), ("plane_strain", 1 / 0.91, 3 / 7)])
def test_cantilever(state, e, nu):
    found = exact_quantities("elasticity/cantilever", state=state)
    assert found["tip"] == pytest.approx(0.02 / e * (2 * 125 + (1 + 1.25 * nu) * 5), rel=1e-12)
    assert found["stress_clamp"] == pytest.approx(12 * 0.01 * 5 * 0.5, rel=1e-12)


def test_hanging_bar():
    found = exact_quantities("elasticity/hanging_bar")
    assert found["end"] == pytest.approx(-0.08, rel=1e-12)
    assert found["strain_energy"] == pytest.approx(32 / 3 * 1e-4, rel=1e-10)


def test_energy_of_the_panel():
    """Half the work of the tractions on the outer sides, where everything is smooth."""
    field = ExactField(load_problem("elasticity/l_shaped_panel"))
    nodes, weights = np.polynomial.legendre.leggauss(40)
    corners = np.array([(1, 0), (1, 1), (-1, 1), (-1, -1), (0, -1)], dtype=float)
    work = 0.0
    for a, b in pairwise(corners):
        x = (a + b) / 2 + np.outer(nodes, (b - a) / 2)
        gradient = field.gradient(x)
        strain = (gradient + gradient.transpose(0, 2, 1)) / 2
        stress = (0.3 * np.trace(strain, axis1=1, axis2=2)[:, None, None] * np.eye(2) + 0.7 * strain) / 0.91
        normal_times_length = np.array([b[1] - a[1], a[0] - b[0]])
        work += weights @ np.einsum("pi,pij,j->p", field.evaluate(x), stress, normal_times_length) / 2
    assert 0.5 * work == pytest.approx(16.5624, abs=5e-5)


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


@pytest.mark.parametrize(("name", "degree", "cells"), [("cantilever", 3, 2), ("hanging_bar", 2, 1)])
def test_polynomial_solutions_are_found(name, degree, cells):
    pytest.importorskip("dolfinx_solver", reason="FEniCSx is not installed")
    options = {"degree": degree, "cells": cells, "measure_error": False}
    assert sciml.solve(f"elasticity/{name}", "fenics", **options).error().relative_l2 < 1e-11


def test_energy_of_the_panel_by_elements():
    """On uniform meshes the error of the energy falls like h^(2α): two meshes give the limit."""
    coarse, fine = (solved("elasticity/l_shaped_panel", refine=k, measure_error=False)["strain_energy"] for k in (3, 4))
    limit = fine + (fine - coarse) / (4**0.5444837 - 1)
    assert limit == pytest.approx(16.5624, rel=1e-4)


def test_cell_with_void():
    found = solved("elasticity/cell_with_void", degree=4, refine=1)
    assert found["lift"] == pytest.approx(1.9420, rel=1e-4)
    assert found["stress_side"] == pytest.approx(4.89, rel=2e-3)
    assert found["strain_energy"] == pytest.approx(found["lift"] / 2, rel=1e-7)


@pytest.mark.parametrize("contrast", [2.0, 10.0])
def test_checkerboard(contrast):
    """√contrast, from above, with the rate 2λ of the stated singularity."""
    options = {"measure_error": False, "degree": 2}
    errors = [
        solved("diffusion/checkerboard", {"contrast": contrast}, cells=n, **options)["heat_flow"] - contrast**0.5
        for n in (32, 64, 128)
    ]
    exponent = 4 / np.pi * np.arctan(contrast**-0.5)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2 * exponent, abs=0.05)
    assert errors[2] > 0
    if contrast == 10.0:
        assert errors[2] / contrast**0.5 == pytest.approx(0.006, abs=5e-4)


# -- obstacles, voids and random media ------------------------------------------------------------------------


@pytest.mark.parametrize("shifts", [(0.0,) * 6, (0.1, -0.15, 0.05, -0.1, 0.0, 0.15)], ids=["as they are", "moved"])
def test_obstacles_give_off_their_charges(shifts):
    """Gauss's law, on surfaces that are flat pieces."""
    if any(shifts):
        pytest.importorskip("gmsh", exc_type=ImportError)
    found = exact_quantities("poisson/obstacles", charges=(1.5, -0.5), shifts=shifts)
    assert found["flux_1"] == pytest.approx(1.5, rel=1e-5)
    assert found["flux_2"] == pytest.approx(-0.5, rel=1e-5)


def test_obstacles_by_the_reference():
    solution = sciml.solve("poisson/obstacles", "fenics", measure_error=False)
    assert solution.error().relative_l2 == pytest.approx(2.25e-3, rel=0.02)
    assert solution.quantities()["energy"] == pytest.approx(exact_quantities("poisson/obstacles")["energy"], rel=0.01)


class Strip(Void):
    """The material of the void's sheet in one-dimensional tension."""

    domain = Box((0, 0), (1, 1))

    def conditions(self):
        sides = [Dirichlet(0.0, on="left", component=0), Dirichlet(0.0, on="bottom", component=1)]
        return [*sides, Neumann((0.0, self.traction), on="top")]


@pytest.mark.parametrize("stretch", [1.0001, 1.3, 2.0])
def test_rubber_in_tension(stretch):
    """Mooney's formula: the force on the undeformed section is 2 (λ − λ⁻²) (first + second/λ)."""
    first, second = 1.863e5, 9.79e3
    force = 2 * (stretch - stretch**-2) * (first + second / stretch)
    solution = sciml.solve(Strip(traction=force), "fenics", cells=2, measure_error=False)
    rise, across = solution.evaluate([[0.4, 1.0]])[0][1], solution.evaluate([[1.0, 0.3]])[0][0]
    assert 1 + rise == pytest.approx(stretch, rel=1e-9)
    assert 1 + across == pytest.approx(stretch**-0.5, rel=1e-9)
    assert solution.quantities()["mises"] == pytest.approx(force * stretch, rel=1e-8)


def test_void_under_small_and_large_traction():
    """Clapeyron: the energy is half of the work of the traction where strains are small."""
    found = sciml.solve("hyperelasticity/void", "fenics", measure_error=False).quantities()
    assert found["energy"] == pytest.approx(0.5 * 100.0 * found["mean_rise"], rel=1e-3)
    assert found["mean_rise"] == pytest.approx(2.35e-4, rel=0.01)
    pulled = sciml.solve(load_problem("hyperelasticity/void", traction=2e5), "fenics", measure_error=False)
    assert pulled.quantities()["mean_rise"] == pytest.approx(0.47, abs=0.005)


@pytest.mark.slow
def test_pressed_sheet_with_a_void_buckles():
    with pytest.raises(DivergenceError):
        sciml.solve(load_problem("hyperelasticity/void", traction=-5e4), "fenics", measure_error=False)


def test_random_voids():
    """g is made of the eigenfunctions of 16 (−Δ + 9)⁻¹ on the circle; all voids have one grid and keep their bounds."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    functions = np.stack([_waves(row, angle) for row in np.eye(11)])
    wave = (np.arange(11) + 1) // 2
    np.testing.assert_allclose(functions @ functions.T * 2 * np.pi / 64, np.diag(16 / (wave**2 + 9)), atol=1e-12)
    problem = load_problem("hyperelasticity/void")
    members = problem.family.sample(4, seed=5)
    for member in members:
        points = member.domain.data.points
        rim = np.linalg.norm(points[np.unique(member.domain.data.facet_groups["hole"])] - 0.5, axis=1)
        assert 0.2 < rim.min() < rim.max() < 0.4
        assert np.array_equal(member.domain.data.cells, problem.domain.data.cells)
    assert len({member.domain.volume for member in members}) == 4


def test_membrane():
    """The speed stays between its bounds and jumps by the contrast across the line; absorbing sides let waves out."""
    problem = load_problem("wave/membrane", contrast=1.4).with_member(0, 3)
    points = problem.domain.sample(2000, np.random.default_rng(0))
    speed = pointwise(problem, problem.speed(problem.declaration.x)).at(points)
    across = (points - 0.5) @ [np.cos(1.1), np.sin(1.1)]
    smooth = problem.realisation("medium")(points)
    assert 0.6 < smooth.min() < 0.7
    assert 0.9 < smooth.max() < 1.0
    np.testing.assert_allclose(speed, np.where(across < 0.1, 1.0, 1.4) * smooth, rtol=1e-13)
    left = {
        sides: sciml.solve(
            load_problem("wave/membrane", sides=sides, duration=3.0),
            "fenics",
            cells=16,
            steps=96,
            measure_error=False,
        ).quantities()["strain_energy"]
        for sides in ("reflecting", "absorbing")
    }
    assert 0 < left["absorbing"] < 0.05 * left["reflecting"]
