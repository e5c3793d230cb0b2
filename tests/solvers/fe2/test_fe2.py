"""Two scales: the macroscopic solver against the reference, the cell in full, ranges, load steps and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import meshio
import numpy as np
import pytest

from sciml import Box, Dirichlet, MeshDomain, Neumann, Problem, compare, load_problem, solve, vector
from sciml.errors import DivergenceError, OptionError, UnsupportedError
from sciml.laws import Cell, LinearElastic, Matrix, TwoScale
from sciml.problem.mesh import box_mesh
from sciml.registry import load_law, load_solver


def two_phases():
    """A square of 3 × 3 × 2 triangles whose middle is another phase."""
    mesh = box_mesh((0.0, 0.0), (1.0, 1.0), 3)
    middles = mesh.points[mesh.corners].mean(axis=1)
    inside = (np.abs(middles - 0.5) < 1 / 6).all(axis=1)
    regions = {"matrix": np.flatnonzero(~inside), "inclusion": np.flatnonzero(inside)}
    return replace(mesh, region_groups=regions)


GLASS = LinearElastic(bulk_modulus=4.34523810e4, shear_modulus=2.99180328e4)


class SmallCell(Cell):
    domain = MeshDomain(two_phases())
    laws = {"matrix": Matrix(), "inclusion": GLASS}


class Beam(TwoScale):
    """A bar that is held on the left and pulled down on the right."""

    domain = Box((0.0, 0.0), (2.0, 1.0))
    conditions = (Dirichlet(0.0, on="left"), Neumann((0.0, -2.0), on="right"))

    @property
    def cell_problem(self):
        return SmallCell()


OWN_LAW = """
import numpy as np
from sciml.laws import LinearElastic


class InRange(LinearElastic):
    cell = {cell!r}

    def outside(self, strain):
        return np.abs(strain).max(axis=1) > {limit}


LAW = InRange(bulk_modulus=6000.0, shear_modulus=500.0)
"""


def own_law(folder, limit=0.004, cell=None):
    """A file that sets a law of one's own, for strains up to a limit."""
    path = folder / "own.py"
    path.write_text(OWN_LAW.format(limit=limit, cell=cell))
    return str(path)


def test_taylor_is_the_declared_flux():
    """The estimate as a law at the points, and as a formula by the reference: one discrete solution."""
    problem = Beam()
    as_formula = Problem(
        domain=Box((0.0, 0.0), (2.0, 1.0)), fields={"displacement": vector}, flux=problem.flux, load=0.0,
        conditions=problem.conditions,
    )  # fmt: skip
    two_scale = solve(problem, "fe2", cells=3, micro="taylor", tolerance=1e-12)
    points = problem.domain.sample(50, np.random.default_rng(0))
    declared = solve(as_formula, "fe2", cells=3, tolerance=1e-12).evaluate(points)
    np.testing.assert_allclose(two_scale.evaluate(points), declared, rtol=0, atol=1e-11 * np.abs(declared).max())
    # The reference integrates the law with more points.
    reference = solve(as_formula, "fenics", cells=3, measure_error=False).evaluate(points)
    assert np.abs(two_scale.evaluate(points) - reference).max() < 2e-3 * np.abs(reference).max()


@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
def test_linear_elasticity_is_that_of_the_reference(cell_type):
    """Degree 2 of the quadrature is enough for straight quadratic elements: every number agrees."""
    problem = load_problem("elasticity/cantilever")
    options = {"cells": 4, "cell_type": cell_type}
    own = solve(problem, "fe2", tolerance=1e-11, **options)
    reference = solve(problem, "fenics", measure_error=False, **options)
    points = problem.domain.sample(50, np.random.default_rng(0))
    scale = np.abs(reference.evaluate(points)).max()
    assert np.abs(own.evaluate(points) - reference.evaluate(points)).max() < 1e-9 * scale


def test_a_homogeneous_cell_is_its_law():
    """FE² with one law in both phases is the single-scale solution."""

    class Homogeneous(Beam):
        @property
        def cell_problem(self):
            return SmallCell(laws={"matrix": Matrix(), "inclusion": Matrix()})

    points = Beam.domain.sample(20, np.random.default_rng(0))
    fe, law = (
        solve(Homogeneous(), "fe2", cells=2, micro=micro, tolerance=1e-12).evaluate(points)
        for micro in ("fe", "matrix")
    )
    np.testing.assert_allclose(fe, law, rtol=0, atol=1e-10 * np.abs(law).max())


def test_newton_converges_quadratically():
    solution = solve(Beam(), "fe2", cells=2, tolerance=1e-11)
    residuals = solution.history["residual"]
    far = np.flatnonzero(residuals > 1e-5)[-1]
    assert solution.status == "converged"
    assert solution.iterations <= 6
    assert residuals[far + 1] < 5 * residuals[far] ** 2
    assert solution.details["evaluations"] == (solution.iterations + 1) * solution.details["points"]


def test_load_steps_end_where_one_step_does():
    one, four = (solve(Beam(), "fe2", cells=2, load_steps=n, tolerance=1e-10) for n in (1, 4))
    points = Beam.domain.sample(20, np.random.default_rng(0))
    np.testing.assert_allclose(one.evaluate(points), four.evaluate(points), rtol=0, atol=1e-8)
    assert len(four.details["newton_iterations"]) == 4


def test_outside_of_the_range(tmp_path):
    """It stops and says where; with the fall-back those points are the cell's in full."""
    own = own_law(tmp_path)
    with pytest.raises(DivergenceError, match=r"strains at \d+ of 24 macroscopic points leave the range .* at \("):
        solve(Beam(), "fe2", cells=2, micro=own)
    mixed = solve(Beam(), "fe2", cells=2, micro=own, outside="fe", micro_tolerance=1e-12)
    strain, stress = mixed.history["strain"], mixed.history["stress"]
    law, cell = load_law(own).evaluate(strain).stress, SmallCell().model(tolerance=1e-12).solve(strain).stress
    by_law, by_cell = (np.abs(stress - other).max(axis=1) < 1e-8 for other in (law, cell))
    assert (by_law ^ by_cell).all()
    assert by_cell[np.abs(strain).max(axis=1) > 0.004].all()
    assert 0 < by_cell.sum() == len(mixed.details["outside"]) < len(strain)


def test_all_points_outside_are_fe2(tmp_path):
    own = own_law(tmp_path, limit=-1)
    points = Beam.domain.sample(20, np.random.default_rng(0))
    full = solve(Beam(), "fe2", cells=2).evaluate(points)
    fallen = solve(Beam(), "fe2", cells=2, micro=own, outside="fe").evaluate(points)
    np.testing.assert_allclose(fallen, full, rtol=0, atol=1e-8 * np.abs(full).max())


def test_the_truth_of_a_comparison_is_the_cell_in_full():
    comparison = compare(Beam(), ("fe2", {"micro": "taylor", "cells": 2}), ("fe2", {"micro": "fe", "cells": 2}))
    truth, estimate = comparison.rows
    assert truth.label == "fe2 micro=fe cells=2 (truth)"
    assert (estimate.truth, estimate.status) == ("fe2", "converged")
    assert 0.3 < estimate.relative_l2 < 1
    assert comparison.reference is truth


def test_a_comparison_without_the_truth_adds_it():
    comparison = compare(Beam(), ("fe2", {"micro": "taylor", "cells": 2}))
    assert [row.label for row in comparison.rows] == ["fe2 micro=fe (truth)", "fe2 micro=taylor cells=2"]


def test_cells_are_written_at_chosen_points(tmp_path):
    solution = solve(Beam(), "fe2", cells=2, micro_at="0,1;2,0", folder=tmp_path)
    shown = [number for number, *_ in solution.details["micro_at"]]
    assert len(shown) == 2
    for number in shown:
        content = meshio.read(tmp_path / f"micro_{number}.vtu")
        assert {"displacement", "fluctuation"} <= set(content.point_data)
        assert {"stress", "strain"} <= set(content.cell_data)
        strain = content.cell_data["strain"][0].mean(axis=0)
        assert np.abs(strain - solution.history["strain"][number]).max() < 0.5 * np.abs(strain).max()


def test_others_refuse_it():
    for name in ("fenics", "pinn", "deepxde"):
        assert "law is that of the periodic cell" in load_solver(name).supports(Beam())
    with pytest.raises(UnsupportedError, match="fe2 can"):
        solve(Beam(), "fenics")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"micro": "taylr"}, "is no law; it takes one of fe, taylor, matrix, inclusion, a folder"),
        ({"micro_at": "1;2"}, "takes points as x,y separated by ;"),
        ({"refine": 1}, "`refine` is for mesh files"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises((OptionError, ValueError), match=message):
        solve(Beam(), "fe2", **options)


def test_the_law_of_another_cell(tmp_path):
    own = own_law(tmp_path, cell="0123456789abcdef")
    with pytest.raises(OptionError, match="trained on another cell"):
        solve(Beam(), "fe2", cells=2, micro=own)


def test_a_law_that_is_no_function_of_the_strain():
    assert "no function of the strain" in load_solver("fe2").supports(load_problem("hyperelasticity/void"))


def test_time_runs_out():
    solution = solve(Beam(), "fe2", cells=2, cpu_seconds=1e-6)
    assert solution.status == "budget_reached"


@pytest.mark.slow
def test_cook():
    """The membrane in one step: the iterations, the largest strains and the tip that were measured."""
    solution = solve("solid/cook_two_scale", "fe2")
    assert solution.iterations <= 6
    np.testing.assert_allclose(solution.details["largest_strain"], [0.0111, 0.0089, 0.0278], atol=1e-4)
    assert solution.quantities()["tip"] == pytest.approx(1.248704, rel=1e-5)
