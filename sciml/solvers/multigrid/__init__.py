"""Multigrid on cells: diffusion on boxes and on voxels of meshes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from sciml.errors import OptionError
from sciml.forms import analyse
from sciml.linear import Multigrid, MultigridResult
from sciml.problem import Box, Periodic, Problem
from sciml.solution import ADVICE, Seconds, Solution, Status
from sciml.solvers.base import Context, Progress, Solver, SolverOptions, checked_device, package_versions
from sciml.solvers.multigrid.boxes import BoxSystem
from sciml.solvers.multigrid.law import obstacle, with_mean
from sciml.solvers.multigrid.voxels import VoxelSystem

__all__ = ["SOLVER", "MultigridOptions", "MultigridSolver"]

_CELLS = {1: 1024, 2: 256, 3: 64}
_PRECISIONS = {"float64": torch.float64, "float32": torch.float32}


class MultigridOptions(SolverOptions):
    """Options of multigrid."""

    cells: int | None = Field(
        None, ge=2, description="cells along the longest axis; by default 1024, 256 or 64 in 1, 2 or 3 dimensions"
    )
    tolerance: float = Field(1e-10, gt=0, le=0.1, description="relative residual of the linear system to reach")
    max_iterations: int = Field(200, ge=1, description="iterations of conjugate gradients at most")
    precision: Literal["float64", "float32"] = Field(
        "float32", description="of the multigrid cycle; residuals are in double precision in any case"
    )
    sweeps: int = Field(2, ge=1, le=10, description="smoothing sweeps before and after each coarse correction")


class MultigridSolver(Solver):
    """−Σ kᵢ ∂²u/∂xᵢ² + c u = f by finite volumes on equal cells and conjugate gradients with a multigrid cycle.

    The coefficients kᵢ > 0 and c ≥ 0 are constants that are read off the law. On a box the scheme is of second order
    with Dirichlet, Neumann and Robin conditions on whole sides. The domain of a mesh is covered by the cells whose
    centres lie in it: values that its boundary holds count at their true distances, which is of second order too;
    fluxes enter the nearest cells, and the area of the steps is not that of the boundary, which is of first order or
    less. Cells are as near to cubes as whole numbers of them allow.

    Notes
    -----
    Good values: the defaults.

    When it breaks: parts of a mesh that are thinner than two cells are lost; fluxes on curved or slanted boundaries
    converge slowly.

    Source: :class:`sciml.linear.Multigrid`, :class:`sciml.linear.Cells`.
    """

    name = "multigrid"
    title = "finite volumes on equal cells of boxes and meshes, by matrix-free geometric multigrid"
    Options = MultigridOptions
    stochastic: ClassVar[bool] = False
    tuning_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "cells": (16, 32, 64, 128, 256, 512),
        "precision": ("float32", "float64"),
        "sweeps": (1, 2, 3),
    }

    def supports(self, problem: Problem) -> str | None:
        if problem.dim > 3:
            return "cells exist in at most 3 dimensions"
        if any(isinstance(c, Periodic) for piece in problem.boundary_pieces for c in piece.conditions):
            return "it has no periodic conditions"
        reason = obstacle(problem)
        if reason is None and not isinstance(problem.domain, Box):
            if problem.dim == 1:
                return "in one dimension it needs an interval, Box(a, b)"
            if analyse(problem).boundary_blocks.any():
                return "fluxes that depend on the unknown (Robin conditions) need a box"
        return reason

    def check(self, problem: Problem, options: MultigridOptions, device: str) -> None:
        if checked_device(device).type == "mps":
            raise OptionError("device = 'mps' has no double precision, which residuals need; use 'cpu' or 'cuda'.")

    def solve(self, problem: Problem, options: MultigridOptions, context: Context) -> Solution:
        start = time.perf_counter()
        context.report(Progress("cells"))
        kind = BoxSystem if isinstance(problem.domain, Box) else VoxelSystem
        system = kind(problem, options.cells or _CELLS[problem.dim])
        multigrid = Multigrid(
            system.cells, precision=_PRECISIONS[options.precision], sweeps=options.sweeps, device=context.device
        )
        ready = time.perf_counter()
        context.report(Progress("multigrid"))
        within = partial(context.within, options)

        result = multigrid.solve(
            system.right, tolerance=options.tolerance, max_iterations=options.max_iterations, within=within
        )
        status = _status(result, within() and result.iterations < options.max_iterations)
        solved = time.perf_counter()
        field = system.field(with_mean(problem, result, system.cells.fluid))
        seconds = Seconds(setup=ready - start, solve=solved - ready, post=time.perf_counter() - solved)
        return Solution(
            problem=problem,
            field=field,
            solver=self.name,
            options=options.model_dump(),
            status=status,
            message=ADVICE[status],
            seconds=seconds,
            cpu_seconds=context.cpu_seconds,
            iterations=result.iterations,
            residual=result.residual,
            seed=context.seed,
            device=context.device,
            versions=package_versions("torch", "fenics-ufl", "numpy", "scipy"),
            details={
                "cells": list(system.cells.shape),
                "cell_widths": system.widths.tolist(),
                "unknowns": int(system.cells.fluid.sum()),
                "levels": [list(shape) for shape in multigrid.shapes],
                "loose_components": result.loose_components,
                "removed_from_right_side": result.removed,
                "notes": [*system.notes, *_remarks(problem, result)],
            },
            history={"residual": torch.tensor(result.history).numpy()},
        )


def _status(result: MultigridResult, within: bool) -> Status:
    if result.converged:
        return "converged"
    return "stagnated" if within else "budget_reached"


def _remarks(problem: Problem, result: MultigridResult) -> list[str]:
    """What a reader should know of components that nothing holds."""
    notes, free = [], int(analyse(problem).pure_neumann)
    if result.loose_components > free:
        notes.append(
            f"{result.loose_components - free} part(s) of the cells touch no value that is held; the mean of the right "
            f"side was removed there, and the solution has the mean 0"
        )
    if result.removed > 1e-2:
        notes.append(
            f"fluxes and load do not balance: a part of relative size {result.removed:.1e} was taken off the right side"
        )
    return notes


SOLVER = MultigridSolver()
