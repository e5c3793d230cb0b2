"""The multigrid solver: orders on boxes and meshes, what it refuses, what it tells."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ufl import as_matrix, as_vector, cos, dot, exp, grad, pi, sin

from sciml import Box, Dirichlet, Mean, Neumann, Periodic, Problem, Robin, load_problem, shapes, solve
from sciml.errors import DeclarationError, OptionError, UnsupportedError
from sciml.registry import load_solver


def wave(x):
    last = x[x.ufl_shape[0] - 1]
    return sin(2 * x[0] + 0.3) * exp(last / 2) + x[0] * last


def declared(dim, conditions, **parts):
    """−div(k ∇u) + c u with unequal k and unequal sides, and a flux that does not vanish with u."""
    diffusion = [1.0, 2.0, 0.5][:dim]
    standard = {
        "domain": Box((0.5, -1.0, 0.0)[:dim], (1.5, 0.4, 1.25)[:dim]),
        "flux": lambda u: as_vector([k * u.dx(i) + 0.7 for i, k in enumerate(diffusion)]),
        "reaction": lambda u: 1.5 * u,
        "exact": wave,
        "conditions": conditions,
    }
    return Problem(**(standard | parts))


SIDES = {
    "held": [Dirichlet(on="boundary")],
    "fluxes": [Dirichlet(on="left"), Neumann(on="right")],
    "robin": [Robin(alpha=3.0, on=["left", "right"])],
}
REST = {2: ["bottom", "top"], 3: ["bottom", "top", "front", "back"]}


def conditions_of(kind, dim):
    if kind == "held" or dim == 1:
        return SIDES[kind]
    rest = REST[dim]
    return [*SIDES[kind], Neumann(on=rest) if kind == "fluxes" else Robin(alpha=lambda x: 1 + x[0], on=rest)]


@pytest.mark.parametrize("kind", ["held", "fluxes", "robin"])
@pytest.mark.parametrize(("dim", "finest", "largest"), [(1, 256, 2e-5), (2, 128, 1e-4), (3, 48, 8e-4)])
def test_second_order_on_boxes(dim, finest, largest, kind):
    """With Dirichlet, Neumann and Robin data, unequal diffusion and cells that are no cubes."""
    problem = declared(dim, conditions_of(kind, dim))
    errors = [solve(problem, "multigrid", cells=n).error().relative_l2 for n in (finest // 2, finest)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.15)
    assert errors[-1] < largest


def test_linear_solutions_are_exact():
    """Between centres and up to the sides, gradients too."""
    problem = declared(2, [Dirichlet(on="left"), Neumann(on=["top", "bottom"]), Robin(alpha=2.0, on="right")],
                       exact=lambda x: 2 * x[0] - 3 * x[1] + 1)  # fmt: skip
    solution = solve(problem, "multigrid", cells=10, tolerance=1e-13)
    points = problem.domain.sample(200, np.random.default_rng(0))
    corners = np.array([[0.5, -1.0], [1.5, 0.4], [0.5, 0.1]])
    for x in (points, corners):
        assert solution.evaluate(x) == pytest.approx(2 * x[:, 0] - 3 * x[:, 1] + 1, abs=1e-10)
    assert solution.gradient(points) == pytest.approx(np.tile([2.0, -3.0], (200, 1)), abs=1e-8)


def test_means_of_pure_neumann_problems():
    problem = declared(2, [Neumann(on="boundary"), Mean(2.5)], reaction=None,
                       exact=lambda x: cos(pi * (x[0] - 0.5)) + 2.5)  # fmt: skip
    solution = solve(problem, "multigrid", cells=64)
    assert solution.error().relative_l2 < 1e-3
    assert solution.details["loose_components"] == 1
    assert not solution.details["notes"]


def test_single_precision_and_double_agree():
    problem = declared(2, SIDES["held"])
    points = problem.domain.sample(50, np.random.default_rng(0))
    single, double = (
        solve(problem, "multigrid", cells=64, precision=p, tolerance=1e-12) for p in ("float32", "float64")
    )
    assert single.evaluate(points) == pytest.approx(double.evaluate(points), rel=1e-9, abs=1e-10)
    assert max(single.residual, double.residual) < 1e-12


# -- meshes ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def disc():
    pytest.importorskip("gmsh", exc_type=ImportError)
    return shapes.disc(1.0, size=0.1, degree=2)


def test_second_order_with_values_on_a_curved_boundary(disc):
    problem = declared(2, [Dirichlet(on="boundary")], domain=disc)
    errors = [solve(problem, "multigrid", cells=n).error().relative_l2 for n in (16, 32, 64, 128)]
    # Errors depend on how the boundary cuts the cells, which evens out over two halvings.
    assert np.log2(errors[0] / errors[2]) / 2 == pytest.approx(2, abs=0.15)
    assert np.log2(errors[1] / errors[3]) / 2 == pytest.approx(2, abs=0.15)
    assert errors[-1] < 2e-4


def test_fluxes_through_a_curved_boundary_converge(disc):
    problem = declared(2, [Neumann(on="boundary")], domain=disc)
    errors = [solve(problem, "multigrid", cells=n).error().relative_l2 for n in (16, 64, 256)]
    assert errors[-1] < 0.01
    assert errors[1] < 0.5 * errors[0]
    assert errors[2] < 0.5 * errors[1]


def test_parts_of_a_mesh_by_name():
    """Values on one circle, a flux through the other."""
    pytest.importorskip("gmsh", exc_type=ImportError)
    ring = shapes.annulus(0.5, 1.0, size=0.08, degree=2)
    conditions = [Dirichlet(0.0, on="inner"), Neumann(1.0, on="outer")]
    problem = declared(2, conditions, domain=ring, flux=lambda u: grad(u), reaction=None, exact=None, load=0.0)
    solution = solve(problem, "multigrid", cells=128)
    radius = np.linspace(0.55, 0.95, 9)
    angle = np.linspace(0, 6, 9)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert solution.evaluate(points) == pytest.approx(np.log(radius / 0.5), abs=0.01)


def test_a_corner_that_points_inwards():
    """The reference's solution of the L-shaped domain, with its singularity."""
    problem = load_problem("poisson/l_shape")
    assert solve(problem, "multigrid", cells=128).error().relative_l2 < 1e-3


def test_three_dimensional_mesh():
    """A box as a mesh of tetrahedra: the boundary lies on faces of cells, so that the errors are those of the box."""
    from sciml.problem import MeshDomain

    box = Box((0, 0, 0), (1, 1, 1))
    parts = {"flux": lambda u: grad(u), "reaction": None}
    errors = [
        solve(declared(3, SIDES["held"], domain=d, **parts), "multigrid", cells=16).error().relative_l2
        for d in (box, MeshDomain(box.mesh(3)))
    ]
    assert errors[1] == pytest.approx(errors[0], rel=0.05)


# -- what it refuses and tells -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"flux": lambda u, x: (1 + x[0]) * grad(u)}, "constant coefficients"),
        ({"flux": lambda u: dot(as_matrix([[2.0, 0.5], [0.5, 2.0]]), grad(u))}, "positive diffusion along each axis"),
        ({"flux": lambda u: grad(u) - as_vector([1.0, 0.0]) * u}, "linear symmetric law"),
        ({"reaction": lambda u: u**3}, "linear symmetric law"),
        ({"reaction": lambda u: -u}, "not negative"),
        ({"conditions": [Robin(alpha=-1.0, on="left"), Dirichlet(on="right")]}, "not negative"),
        ({"conditions": [Periodic("left", "right"), Dirichlet(0.0, on=["top", "bottom"])]}, "no periodic conditions"),
    ],
)
def test_refusals(parts, reason):
    problem = declared(2, **({"conditions": SIDES["held"]} | parts))
    with pytest.raises(UnsupportedError, match=reason):
        solve(problem, "multigrid")


def test_refuses_robin_conditions_on_meshes(disc):
    reason = load_solver("multigrid").supports(declared(2, [Robin(alpha=1.0, on="boundary")], domain=disc))
    assert "need a box" in reason


def test_bad_options():
    problem = load_problem("poisson/sine")
    for options, message in (({"cells": 1}, "cells=1"), ({"tolerance": 0}, "tolerance=0"), ({"sweeps": 0}, "sweeps=0")):
        with pytest.raises(OptionError, match=re.escape(message)):
            solve(problem, "multigrid", **options)


def test_data_that_are_not_finite():
    problem = declared(2, [Dirichlet(0.0, on="boundary")], exact=None, load=lambda x: 1 / (x[0] - 1.0))
    with pytest.raises(DeclarationError, match=r"load .* not finite at \[1\.0,"):
        solve(problem, "multigrid", cells=7)


def test_budget():
    solution = solve("poisson/sine", "multigrid", cells=64, max_iterations=2)
    assert (solution.status, solution.iterations) == ("budget_reached", 2)
    assert solution.residual == pytest.approx(solution.history["residual"][-1], rel=1e-6)


def test_stagnation():
    assert solve("poisson/sine", "multigrid", cells=32, tolerance=1e-18).status == "stagnated"


def test_record():
    solution = solve("poisson/sine", "multigrid", cells=32)
    details = solution.details
    assert (details["cells"], details["unknowns"], details["levels"][0]) == ([32, 32], 1024, [32, 32])
    assert (solution.status, solution.error_estimate) == ("converged", None)
    assert len(solution.history["residual"]) == solution.iterations + 1


def test_a_box_needs_no_finite_elements():
    """Neither DOLFINx nor PETSc is imported."""
    code = (
        "import sys, sciml; sciml.solve('poisson/sine', 'multigrid', cells=16); "
        "print([n for n in ('dolfinx', 'petsc4py', 'basix') if n in sys.modules])"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
