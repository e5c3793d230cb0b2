"""Solids on two scales: quadratic finite elements whose law is a periodic cell, or what stands for it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from sciml.errors import DomainError, OptionError
from sciml.files import plain
from sciml.laws import CellModel, DeclaredLaw, Law, Taylor, volume_fractions
from sciml.laws.declared import TwoScale
from sciml.laws.sharing import shared
from sciml.problem import Box, Dirichlet, MeshData, Neumann, Problem
from sciml.registry import load_law
from sciml.solution import ADVICE, Seconds, Solution
from sciml.solvers.base import Context, Progress, Solver, SolverOptions, package_versions
from sciml.solvers.fe2.macro import Equilibrium, MacroSystem, Micro, OutsideError, equilibrate

__all__ = ["SOLVER", "Fe2Options", "Fe2Solver"]


class Fe2Options(SolverOptions):
    """Options of the two-scale solver."""

    micro: str = Field(
        "auto",
        description="the law at each point: fe (the cell by finite elements), a folder that a cell was trained into, a "
        ".py file that sets LAW, taylor (every phase has the strain), a phase's name, or declared (the problem's own "
        "flux); auto is fe, and declared where there is no cell",
    )
    outside: Literal["stop", "fe"] = Field(
        "stop", description="where strains leave the law's range: stop, or solve the cell by finite elements there"
    )
    cells: int | None = Field(None, ge=1, description="cells per axis of a box (8)")
    cell_type: Literal["simplex", "tensor"] = Field("simplex", description="triangles, or quadrilaterals (boxes)")
    refine: int | None = Field(None, ge=0, le=6, description="times a mesh file's cells are divided")
    load_steps: int = Field(1, ge=1, description="equal steps in which load and data are applied")
    tolerance: float = Field(1e-8, gt=0, lt=1, description="of the balance of forces, beside those of one element")
    max_iterations: int = Field(20, ge=1, description="Newton iterations per load step")
    micro_tolerance: float = Field(1e-10, gt=0, lt=1, description="of the balance of forces in the cell")
    micro_at: str = Field(
        "", description="macroscopic points x,y separated by ; whose cells are written to the output folder as VTU"
    )


class Fe2Solver(Solver):
    """Finite elements on two scales (FE²).

    Displacements are quadratic; at every quadrature point a law gives the stress and its consistent tangent, for all
    points at once. By default that is the cell of the problem, solved by finite elements with warm starts. Newton's
    method starts from zero, or from the last load step.

    Strains are held against the law's range in every iteration.
    """

    name = "fe2"
    title = "solids whose law is a periodic cell (FE²), or what was trained to stand for it"
    Options = Fe2Options
    stochastic, parallel = False, True
    resolution: ClassVar[str | None] = "cells"
    two_scale = True

    def supports(self, problem: Problem) -> str | None:
        if problem.dim != 2 or problem.shape != (2,):
            return "plane strain needs two dimensions and one displacement of two components"
        if problem.evolves:
            return "it knows states of rest only"
        if problem.declaration.weak is not None or balance_has_reaction(problem):
            return "it needs a law that is a stress alone"
        kinds = (Dirichlet, Neumann)
        other = [c for c in problem.declaration.conditions if not isinstance(c, kinds)]
        if other or problem.declaration.means:
            return "it takes prescribed displacements and tractions alone"
        return None if problem.cell is not None else DeclaredLaw.obstacle(problem)

    def check(self, problem: Problem, options: Fe2Options, device: str) -> None:
        if isinstance(problem.domain, Box) and options.refine is not None:
            raise DomainError("`refine` is for mesh files; give a box its number of `cells` per axis.")
        if not isinstance(problem.domain, Box):
            problem.domain.mesh(options.cells)
        if options.outside == "fe" and not isinstance(problem, TwoScale):
            raise OptionError("`outside=fe` solves a cell, and the problem has none; leave `outside` at stop.")
        _places(options.micro_at)
        if options.micro_at and not isinstance(problem, TwoScale):
            raise OptionError("`micro_at` shows cells, and the problem has none.")
        _, cell = _law(problem, options)
        if options.outside == "fe" and cell is not None and cell.history:
            raise OptionError(
                f"`outside=fe` starts cells in the middle of a load, and this one has a past ({cell.history[0]}); "
                f"leave `outside` at stop."
            )

    def solve(self, problem: Problem, options: Fe2Options, context: Context) -> Solution:
        start = time.perf_counter()
        mesh = _mesh(problem, options)
        system = MacroSystem(problem, mesh)
        law, cell = _law(problem, options)
        fallback = shared(cell) if options.outside == "fe" and cell is not None else None
        micro = Micro(shared(law), fallback, system.elements.points)
        ready = time.perf_counter()
        try:
            end = equilibrate(
                system,
                micro,
                load_steps=options.load_steps,
                tolerance=options.tolerance,
                max_iterations=options.max_iterations,
                within=lambda: context.within(options),
                report=lambda text: context.report(Progress("fe2", text=text)),
            )
        except OutsideError as error:
            error.solution = None
            raise
        solved = time.perf_counter()
        places = _nearest(system.elements.points, _places(options.micro_at))
        if context.folder is not None and len(places) and cell is not None and end.steps:
            _write_cells(context.folder, cell, law, end.strain, places)
        trust = law.trust(end.strain) if len(end.strain) else {}
        status = "converged" if end.complete else "budget_reached"
        return Solution(
            problem=problem,
            field=_field(problem, mesh, system, end),
            solver=self.name,
            options=options.model_dump(),
            status=status,
            message=ADVICE[status],
            seconds=Seconds(setup=ready - start, solve=solved - ready, post=time.perf_counter() - solved),
            cpu_seconds=context.cpu_seconds,
            iterations=sum(end.iterations),
            residual=end.residuals[-1] if end.residuals else None,
            seed=context.seed,
            versions=package_versions("fenics-ufl", "numpy", "scipy"),
            details=_details(system, micro, end, law, cell, places) | {"trust": _worst(trust, system.elements.points)},
            history={"residual": np.array(end.residuals), "strain": end.strain, "stress": end.stress}
            | {f"trust_{name}": values for name, values in trust.items()},
        )


def balance_has_reaction(problem: Problem) -> bool:
    """Whether the law has a part beside the flux."""
    return problem.declaration.reaction is not None


def _worst(trust: dict[str, np.ndarray], points: np.ndarray) -> dict[str, dict[str, Any]]:
    """Mean and largest value of each indicator, and the macroscopic point of the latter."""
    return {
        name: {"mean": float(values.mean()), "largest": float(values.max()), "at": points[values.argmax()].tolist()}
        for name, values in trust.items()
    }


def _law(problem: Problem, options: Fe2Options) -> tuple[Law, CellModel | None]:
    """The law of the points, and the cell by finite elements where the problem has one."""
    if not isinstance(problem, TwoScale):
        if options.micro not in ("auto", "declared"):
            raise OptionError(f"micro={options.micro!r} stands for a cell, and the problem has none; use declared.")
        return DeclaredLaw(problem), None
    declared = problem.cell_problem
    cell = declared.model(tolerance=options.micro_tolerance)
    micro = options.micro
    if micro in ("auto", "fe"):
        return cell, cell
    if micro == "taylor":
        return Taylor(declared.laws, volume_fractions(cell.mesh, declared.laws)), cell
    if micro in declared.laws:
        return declared.laws[micro], cell
    if "/" not in micro and not micro.endswith(".py") and not Path(micro).exists():
        known = ", ".join(["fe", "taylor", *declared.laws])
        raise OptionError(f"micro={micro!r} is no law; it takes one of {known}, a folder, or a .py file that sets LAW.")
    law = load_law(micro)
    if law.cell is not None and law.cell != cell.digest:
        raise OptionError(
            f"The law in {micro} was trained on another cell than {problem.cell}, or on another mesh or other laws of "
            f"it; train it on this one."
        )
    return law, cell


def _mesh(problem: Problem, options: Fe2Options) -> MeshData:
    if isinstance(problem.domain, Box):
        return problem.domain.mesh(options.cells or 8, options.cell_type)
    mesh = problem.domain.mesh()
    for _ in range(options.refine or 0):
        mesh = mesh.refine()
    return mesh


def _places(text: str) -> np.ndarray:
    """Points (k, 2) as they are typed: ``0,60;48,60``.

    Raises
    ------
    OptionError
    """
    try:
        points = [[float(number) for number in part.split(",")] for part in text.split(";") if part.strip()]
        places = np.array(points, dtype=float).reshape(len(points), 2)
    except ValueError:
        places = np.array([[np.nan, np.nan]])
    if not np.isfinite(places).all():
        raise OptionError(f"micro_at={text!r} was given; it takes points as x,y separated by ;, as in 0,60;48,60.")
    return places


def _nearest(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    distances = ((points[None] - places[:, None]) ** 2).sum(axis=2)
    return np.unique(distances.argmin(axis=1)) if len(places) else np.zeros(0, dtype=int)


def _write_cells(folder: Path, cell: CellModel, law: Law, strain: np.ndarray, places: np.ndarray) -> None:
    """Displacement, strain and stress in the cells of some macroscopic points; beside them, what a learned law says."""
    from sciml.laws.showing import write_cell

    result, learned = cell.solve(strain[places]), law.local_fields(strain[places])
    for row, place in enumerate(places):
        own = strain[place]
        write_cell(folder / f"micro_{place}.vtu", cell, own, result.fluctuation[row], result.local_stress[row])
        if learned is not None:
            write_cell(folder / f"micro_{place}_learned.vtu", cell, own, learned[0][row], learned[1][row])


def _field(problem: Problem, mesh: MeshData, system: MacroSystem, end: Equilibrium) -> Any:
    """The displacement as a finite element function that every process has as a whole."""
    from sciml.fem import FEMesh, require
    from sciml.fem.functions import nodal_function
    from sciml.solution import FEField

    require()
    from mpi4py import MPI

    elements, values = system.elements, end.displacement.reshape(-1, 2)
    whole = FEMesh(mesh, problem.domain, MPI.COMM_SELF)
    return FEField(problem, nodal_function(whole, elements.nodes, elements.cells, values, 2))


def _details(
    system: MacroSystem, micro: Micro, end: Equilibrium, law: Law, cell: CellModel | None, places: np.ndarray
) -> dict[str, Any]:
    outside = np.flatnonzero(micro.found_outside)
    largest = np.abs(end.strain).max(axis=0) if len(end.strain) else np.zeros(3)
    found = {
        "law": repr(law),
        "unknowns": len(system.free),
        "cells": len(system.mesh.cells),
        "points": len(system.elements.points),
        "newton_iterations": end.iterations,
        "evaluations": micro.evaluations,
        "micro_cpu_seconds": micro.seconds,
        "largest_strain": largest.tolist(),
        "outside": [[float(value) for value in system.elements.points[k]] for k in outside],
        "evaluated_by_fallback": micro.fallbacks,
        "micro_at": [[int(k), *map(float, system.elements.points[k])] for k in places],
    }
    if cell is not None:
        found["cell_unknowns"] = cell.n_dofs
    return plain(found)


SOLVER = Fe2Solver()
