"""Every solver runs the conformance suite."""

from __future__ import annotations

import pytest

from sciml.registry import solver_names
from sciml.testing import SolverConformance


class TestFenics(SolverConformance):
    solver = "fenics"
    options = {"degree": 2, "cells": 8}
    tolerances = {
        "poisson_1d": 1e-3,
        "poisson_2d": 1e-3,
        "robin_2d": 1e-3,
        "nonlinear_2d": 1e-3,
        "elastic_2d": 1e-3,
        "heat_1d": 1e-2,
        "wave_1d": 1e-3,
        "circle_1d": 1e-2,
        "stokes_2d": 1e-2,
        "mixed_2d": 1e-2,
        "torus_2d": 1e-2,
    }


class TestDeepxde(SolverConformance):
    solver = "deepxde"
    options = {"width": 16, "depth": 2, "points": 128, "boundary_points": 64, "adam": 100, "lbfgs": 250}
    tolerances = {
        "poisson_1d": 1e-3,
        "poisson_2d": 1e-2,
        "robin_2d": 1e-2,
        "nonlinear_2d": 1e-3,
        "elastic_2d": 1e-2,
        "heat_1d": 1e-2,
        "wave_1d": 1e-2,
        "stokes_2d": 1e-1,
        "mixed_2d": 2e-2,
    }

    def test_budget(self):
        """CPU time is a limit: the solver stops with what it has."""
        solution = self.solved("poisson_2d", lbfgs=100_000, cpu_seconds=3)
        assert solution.status == "budget_reached"
        assert solution.seconds.train < 30
        assert solution.error().relative_l2 < 0.5


class TestPinn(SolverConformance):
    solver = "pinn"
    options = {
        "width": 10,
        "depth": 2,
        "points": 200,
        "budget": 300,
        "add": 50,
        "boundary_points": 80,
        "steps": 30,
        "flow_steps": 5,
        "flow_first_steps": 25,
    }
    tolerances = {
        "poisson_1d": 1e-4,
        "poisson_2d": 1e-5,
        "robin_2d": 1e-3,
        "nonlinear_2d": 1e-4,
        "elastic_2d": 1e-3,
        "heat_1d": 1e-2,
        "wave_1d": 1e-3,
        "circle_1d": 1e-2,
        "stokes_2d": 1e-1,
        "mixed_2d": 1e-2,
        "torus_2d": 1e-1,
    }

    def test_budget(self):
        """CPU time is a limit: the solver stops with what it has."""
        solution = self.solved("poisson_2d", steps=100_000, tolerance=0, cpu_seconds=2)
        assert solution.status == "budget_reached"
        assert "CPU seconds" in solution.message
        assert solution.seconds.train < 30
        assert solution.error().relative_l2 < 1e-3


class TestMultigrid(SolverConformance):
    solver = "multigrid"
    options = {"cells": 48}
    tolerances = {"poisson_1d": 5e-4, "poisson_2d": 5e-4}


class TestSpectral(SolverConformance):
    solver = "spectral"
    options = {"modes": 32}
    tolerances = {"circle_1d": 1e-12, "torus_2d": 1e-7}


class TestFastPoisson(SolverConformance):
    solver = "fast_poisson"
    options = {"cells": 32}
    tolerances = {"poisson_1d": 1e-5, "poisson_2d": 1e-5}


class TestChebyshev(SolverConformance):
    solver = "chebyshev"
    options = {"nodes": 24}
    tolerances = {
        "poisson_1d": 1e-12,
        "poisson_2d": 1e-12,
        "robin_2d": 1e-12,
        "nonlinear_2d": 1e-12,
        "elastic_2d": 1e-11,
        "heat_1d": 1e-11,
        "wave_1d": 1e-10,
        "circle_1d": 1e-4,
    }


class TestFe2(SolverConformance):
    """With the flux that a problem declares; cells are tested in `tests/solvers/fe2`."""

    solver = "fe2"
    options = {"cells": 8}
    tolerances = {"elastic_2d": 1e-3}


class TestGp(SolverConformance):
    solver = "gp"
    options = {"points_per_axis": 60}
    tolerances = {
        "poisson_1d": 1e-9,
        "poisson_2d": 1e-9,
        "robin_2d": 1e-8,
        "nonlinear_2d": 1e-8,
        "heat_1d": 1e-8,
        "wave_1d": 1e-8,
        "circle_1d": 1e-7,
    }


def test_every_solver_is_tested():
    tested = {cls.solver for cls in SolverConformance.__subclasses__()}
    assert tested == set(solver_names())


@pytest.mark.parametrize("name", solver_names())
def test_titles_are_one_line(name):
    from sciml.registry import load_solver

    assert "\n" not in load_solver(name).title
