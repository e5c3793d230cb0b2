"""Every problem with every solver, tiny: who can solve it returns a whole solution, who cannot says why.

Accuracy is tested elsewhere; here sizes are as small as they can be. A sample that meets every family of problems and
every solver runs by default, all pairs and the reference with its default options when slow tests are asked for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sciml import Box, Problem, Solution, load_problem, load_solution, solve
from sciml.errors import UnsupportedError
from sciml.registry import load_solver, problem_classes, solver_names

NAMES = list(problem_classes())
FAMILIES = sorted({name.split("/")[0] for name in NAMES})
SOLVERS = solver_names()
MEMBER = 1
MESHED = {"poisson/obstacles"}
"""Problems whose members need gmsh."""

CELLS = {1: 256, 2: 4, 3: 2}
CELLS_OF = {"allen_cahn/three_scales": 32}
"""Newton's method finds nothing on cells that cannot follow the solution's waves."""

NODES_FOUND = {"allen_cahn/product", "allen_cahn/sine", "allen_cahn/three_scales", "nonlinear/minimal_surface"}
"""Nor does it on so few nodes; there their number is left to the solver."""

TINY = {
    "steps": 4,
    "modes": 16,
    "nodes": 8,
    "measure_error": False,
    "width": 6,
    "depth": 1,
    "points": 24,
    "budget": 48,
    "add": 8,
    "candidates": 200,
    "flow_first_steps": 2,
    "flow_steps": 1,
    "boundary_points": 24,
    "adam": 2,
    "lbfgs": 2,
}
"""Whatever of these a solver has makes it quick; where steps are explicit in part, their number is its own."""


SIZED = {"gp"}
"""Take no grid that is too small for the load, so that no options make them quick."""


def tiny(problem: Problem, solver: str) -> dict[str, Any]:
    """Options of a solver that make it quick on a problem."""
    wanted: dict[str, Any] = dict(TINY)
    if isinstance(problem.domain, Box):
        wanted["cells"] = CELLS_OF.get(problem.name, CELLS.get(problem.dim))
    if problem.name in NODES_FOUND:
        del wanted["nodes"]
    if (not problem.evolves and solver != "pinn") or solver == "spectral":
        del wanted["steps"]
    if solver == "gp":
        del wanted["width"]  # that of an envelope there, not of a network
    if solver == "fe2" and problem.cell is not None:
        wanted["micro"] = "taylor"
    if solver == "fast_poisson":
        wanted["cells"] = max(wanted.get("cells") or 4, 4)
    known = load_solver(solver).Options.model_fields
    return {name: value for name, value in wanted.items() if name in known}


def with_member(name: str, index: int | None) -> Problem | None:
    """The problem, or a hidden member of it; None if it is no family."""
    problem = load_problem(name)
    if index is None:
        return problem
    if not problem.family.laws:
        return None
    if name in MESHED:
        pytest.importorskip("gmsh", exc_type=ImportError)
    return problem.draw(index)


def check_pair(problem: Problem, solver: str, folder: Path) -> None:
    """A whole solution, or the reason why there is none."""
    reason = load_solver(solver).supports(problem)
    options = tiny(problem, solver)
    if reason is None:
        check_solution(solve(problem, solver, seed=3, **options), problem, solver, folder)
        return
    with pytest.raises(UnsupportedError) as refusal:
        solve(problem, solver, **options)
    assert reason in str(refusal.value)


def as_read(solution: Solution) -> dict[str, Any]:
    """The record after it went through JSON."""
    return json.loads(json.dumps(solution.record(), allow_nan=False))


def check_solution(solution: Solution, problem: Problem, solver: str, folder: Path) -> None:
    """Record, values, quantities, and all of them again from a file."""
    record = as_read(solution)
    assert (record["problem"], record["solver"], record["seed"]) == (problem.name, solver, 3)
    assert record["status"] in ("converged", "budget_reached", "stagnated")
    assert record["message"]
    assert record["member"] == (None if problem.member is None else list(problem.member))
    assert record["cpu_seconds"] > 0
    points = problem.domain.sample(20, np.random.default_rng(0))
    when = {"t": np.linspace(problem.time.start, problem.time.end, 3)} if problem.evolves else {}
    values, gradients = solution.evaluate(points, **when), solution.gradient(points, **when)
    instants = (3,) * problem.evolves
    assert values.shape == (*instants, 20, *problem.shape)
    assert gradients.shape == (*instants, 20, *problem.shape, problem.dim)
    assert np.isfinite(values).all()
    assert np.isfinite(gradients).all()
    assert np.ptp(values) > 0
    quantities = solution.quantities()
    assert list(quantities) == list(problem.declaration.quantities)
    assert np.isfinite(list(quantities.values())).all()
    loaded = load_solution(solution.save(folder / "solution.h5"))
    assert as_read(loaded) == record
    assert loaded.problem.parameters.plain() == problem.parameters.plain()
    np.testing.assert_allclose(loaded.evaluate(points, **when), values, rtol=0, atol=1e-13 * np.abs(values).max())
    assert loaded.quantities() == pytest.approx(quantities, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("index", [None, MEMBER], ids=["named", "member"])
@pytest.mark.parametrize("solver", [pytest.param(name, marks=[pytest.mark.slow] * (name in SIZED)) for name in SOLVERS])
@pytest.mark.parametrize("family", FAMILIES)
def test_sample(family, solver, index, tmp_path):
    """The first problem of a family that the solver can do; another one for every solver, and for the members."""
    names = [name for name in NAMES if name.startswith(f"{family}/")]
    start = SOLVERS.index(solver) + (index is not None)
    for name in names[start % len(names) :] + names[: start % len(names)]:
        problem = with_member(name, index)
        if problem is not None and load_solver(solver).supports(problem) is None:
            check_pair(problem, solver, tmp_path)
            return
    assert all(
        problem is None or load_solver(solver).supports(problem)
        for problem in (with_member(name, index) for name in names)
    )


@pytest.mark.slow
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", NAMES)
def test_every_pair(name, solver, tmp_path):
    """The problem as it is named, then a hidden member."""
    for index in (None, MEMBER):
        problem = with_member(name, index)
        if problem is not None:
            check_pair(problem, solver, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_reference_with_its_defaults(family):
    """One problem of each family: solved without a word on how, with a measured error."""
    fenics = load_solver("fenics")
    own = [load_problem(name) for name in NAMES if name.startswith(f"{family}/")]
    problem = next((p for p in own if not fenics.supports(p)), None)
    if problem is None:
        assert all(p.reference[0] != "fenics" for p in own)
        return
    solution = solve(problem, "fenics")
    assert solution.status == "converged"
    assert 0 < solution.error_estimate.relative_l2 < 0.05
