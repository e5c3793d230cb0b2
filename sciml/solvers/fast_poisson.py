"""Fast transforms: linear laws with constant coefficients on boxes, solved directly on a grid."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from pydantic import Field

from sciml.errors import OptionError, UnsupportedError
from sciml.forms import PointwiseOperator, analyse, boundary_residual, condition_value, number, strong_residual
from sciml.forms.splitting import linear_split
from sciml.linear import FEWEST_CELLS, FastPoisson, Side
from sciml.problem import Box, Condition, Dirichlet, Neumann, Periodic, Problem, grid_points
from sciml.solution import ADVICE, ErrorEstimate, GridField, Seconds, Solution, measure_errors
from sciml.solvers.base import Context, Progress, Solver, SolverOptions, package_versions

__all__ = ["SOLVER", "FastPoissonOptions", "FastPoissonSolver"]

_START = {1: 64, 2: 32, 3: 16}
_LEVELS = 3
_FALLS = 0.5
"""Observed order from which differences of levels are taken to fall."""
_SLAB = 1 << 18
_DEGREE = 3


class FastPoissonOptions(SolverOptions):
    """Options of the fast Poisson solver."""

    cells: int | None = Field(
        None,
        ge=FEWEST_CELLS,
        description="cells along the longest side, fewer along shorter ones in proportion (at least 4); by default "
        "doubled until the measured error is small enough",
    )
    order: Literal[2, 4] = Field(4, description="of the differences: central (2), or compact ones of order 4")
    accuracy: float = Field(1e-6, gt=0, description="relative L2 error to refine for where cells are not given")
    max_unknowns: int = Field(2_500_000, ge=1000, description="largest grid that automatic refinement may take")
    measure_error: bool = Field(True, description="measure the solution's own error with two coarser grids")


class FastPoissonSolver(Solver):
    """−Σ aᵢ ∂²u/∂xᵢ² + c u = f on a box by differences and one sine, cosine or Fourier transform along each axis.

    a and c are read off the law; f and the data of the boundary are evaluated at the nodes by the compiled law,
    fluxes that do not vanish with u included. Each side is Dirichlet, Neumann or periodic as a whole.
    The cost is that of the transforms, n log n (see :mod:`sciml.linear.fast_poisson`).

    Between the nodes the solution is a piecewise cubic polynomial, whose error h⁴ does not spoil the order; that of its
    gradient is h³ at best. The error is measured on two coarser grids.

    Notes
    -----
    The orders are those of smooth solutions: corners with contradicting data, or a load that jumps, lower them, which
    the measured error shows.
    """

    name = "fast_poisson"
    title = "fast transforms on boxes for linear laws with constant coefficients, with a measured error"
    Options = FastPoissonOptions
    stochastic = False
    tuning_space = {"cells": (16, 32, 64, 128, 256), "order": (2, 4)}

    def supports(self, problem: Problem) -> str | None:
        if not isinstance(problem.domain, Box) or problem.dim > 3:
            return "fast transforms need a box of at most 3 dimensions"
        if problem.shape != () or problem.evolves:
            return "fast transforms solve stationary laws of one scalar unknown"
        return analyse(problem).strong_form_obstacle or _obstacle_of_the_law(problem) or _obstacle_of_sides(problem)

    def check(self, problem: Problem, options: FastPoissonOptions, device: str) -> None:
        if options.cells is None and not options.measure_error:
            raise OptionError("`measure_error=no` needs `cells`: automatic refinement goes by the error.")

    def solve(self, problem: Problem, options: FastPoissonOptions, context: Context) -> Solution:
        start = time.perf_counter()
        run = _Run(problem, options, context)
        run.solve()
        seconds = Seconds(setup=run.setup, solve=run.transforms)
        seconds.post = max(0.0, time.perf_counter() - start - seconds.setup - seconds.solve)
        delivered = run.levels[-1]
        a, c = _coefficients(problem)
        return Solution(
            problem=problem,
            field=delivered,
            solver=self.name,
            options=options.model_dump(),
            status="converged",
            message=ADVICE["converged"],
            seconds=seconds,
            cpu_seconds=context.cpu_seconds,
            iterations=0,
            seed=context.seed,
            versions=package_versions("scipy", "fenics-ufl", "numpy", "torch"),
            details={
                "cells": list(delivered.cells),
                "unknowns": delivered.values.size,
                "coefficients": {"diffusion": a, "reaction": c},
                "levels": [list(level.cells) for level in run.levels],
                "notes": run.notes,
            },
            error_estimate=run.estimate,
        )


def _coefficients(problem: Problem) -> tuple[list[float], float]:
    """(aᵢ) and c."""
    diagonal = np.diag(linear_split(problem).coefficients(problem))
    return diagonal[:-1].tolist(), float(diagonal[-1])


def _obstacle_of_the_law(problem: Problem) -> str | None:
    split = linear_split(problem)
    if not split.constant.all():
        return "its law is not linear with constant coefficients, and waves would not be solved one by one"
    matrix = split.coefficients(problem)
    if (matrix - np.diag(np.diag(matrix))).any():
        return "it has advection or a conductivity off the diagonal, whose eigenfunctions are no sines and cosines"
    a, c = _coefficients(problem)
    if min(a) <= 0:
        return f"it needs diffusion along every axis, and has ({', '.join(f'{x:g}' for x in a)})"
    return None if c >= 0 else f"its reaction {c:g} u is negative, so that some wave may resonate"


def _obstacle_of_sides(problem: Problem) -> str | None:
    for _, condition in sorted(_conditions(problem).items()):
        if isinstance(condition, (type(None), Dirichlet, Periodic)):
            continue
        if not isinstance(condition, Neumann):
            return f"each side must be Dirichlet, Neumann or periodic, and there is {condition}"
        if condition_value(problem, condition, 0).keys:
            return f"{condition} depends on the unknown, as a Robin condition does"
    return None


def _conditions(problem: Problem) -> dict[tuple[int, int], Condition | None]:
    """What holds on the lower and upper side of each axis; None where nothing does, which is a flux of zero."""
    found = {}
    for piece in problem.boundary_pieces:
        for side in piece.part.elements:
            found[int(side) // 2, int(side) % 2] = piece.conditions[0]
    return found


def _kind(condition: Condition | None) -> Side:
    if isinstance(condition, Periodic):
        return "periodic"
    return "dirichlet" if isinstance(condition, Dirichlet) else "neumann"


@dataclass
class _Run:
    """One request being served: levels from coarse to fine, the last of which is delivered."""

    problem: Problem
    options: FastPoissonOptions
    context: Context
    levels: list[GridField] = field(default_factory=list)
    estimate: ErrorEstimate | None = None
    notes: list[str] = field(default_factory=list)
    setup: float = 0.0
    transforms: float = 0.0

    def solve(self) -> None:
        if self.options.cells is not None:
            cells = in_proportion(self.problem, self.options.cells)
            grids = [cells]
            while self.options.measure_error and len(grids) < _LEVELS and min(grids[0]) >= 2 * FEWEST_CELLS:
                grids.insert(0, tuple(n // 2 for n in grids[0]))
            self.levels = [self._level(grid) for grid in grids]
            self._measure()
            return
        grid = self._first()
        for _ in range(_LEVELS):
            self.levels.append(self._level(grid))
            grid = tuple(2 * n for n in grid)
        self._measure()
        while not self._is_enough(grid):
            self.levels = [*self.levels[1:], self._level(grid)]
            self._measure()
            grid = tuple(2 * n for n in grid)

    def _first(self) -> tuple[int, ...]:
        """The coarsest grid of automatic refinement: of a few cells along the shortest side, or what the limit lets."""
        extent, least = self.problem.domain.extent, _START[self.problem.dim] // 2
        longest = int(np.ceil(least * extent.max() / extent.min()))
        limit = self.options.max_unknowns / 4**self.problem.dim
        while longest > least and np.prod(in_proportion(self.problem, longest), dtype=float) > limit:
            longest -= max(1, longest // 10)
        return in_proportion(self.problem, longest)

    def _is_enough(self, finer: tuple[int, ...]) -> bool:
        """Whether the error is small, or a limit is reached."""
        assert self.estimate is not None
        error, budget = self.estimate.relative_l2, self.options.cpu_seconds
        what = f"{' × '.join(map(str, self.levels[-1].cells))} cells, found by doubling"
        if error <= self.options.accuracy:
            self.notes.append(what)
            return True
        limit = ""
        if np.prod(finer, dtype=float) > self.options.max_unknowns:
            limit = f"max_unknowns={self.options.max_unknowns}"
        elif budget is not None and self.context.cpu_seconds > budget:
            limit = "cpu_seconds"
        if limit:
            self.notes.append(f"{what}, which stopped at an error of {error:.1e} because of {limit}")
        return bool(limit)

    def _level(self, cells: tuple[int, ...]) -> GridField:
        problem, start = self.problem, time.perf_counter()
        sides, (a, c) = _conditions(problem), _coefficients(problem)
        kinds: list[tuple[Side, Side]] = [(_kind(sides[axis, 0]), _kind(sides[axis, 1])) for axis in range(problem.dim)]
        poisson = FastPoisson(cells, problem.domain.extent.tolist(), kinds, a, c, self.options.order)
        data = nodal_data(problem, poisson)
        ready = time.perf_counter()
        values = poisson.solve(**data)
        self.setup += ready - start
        self.transforms += time.perf_counter() - ready
        self.context.report(Progress(SOLVER.name, text=f"{' × '.join(map(str, cells))} cells"))
        return GridField(problem, values, degree=_DEGREE, periodic=poisson.periodic)

    def _measure(self) -> None:
        if len(self.levels) > 1:
            self.estimate = estimate_error(self.levels, self.options.order)


def in_proportion(problem: Problem, cells: int) -> tuple[int, ...]:
    """Cells along each axis, `cells` of them along the longest."""
    extent = problem.domain.extent
    return tuple(max(FEWEST_CELLS, round(cells * float(length / extent.max()))) for length in extent)


def estimate_error(levels: list[GridField], order: int) -> ErrorEstimate:
    """The error of the last of two or three fields on grids that are each twice as fine as the one before.

    With the differences d₁, d₂ of neighbouring levels and the observed order r = log₂(d₁/d₂) it is d₂/(2^r − 1).
    """
    differences = [measure_errors(coarse, fine) for coarse, fine in pairwise(levels)]
    errors, rates = [], []
    for norm, best in (("relative_l2", order), ("relative_h1", min(order, _DEGREE))):
        *before, last = (float(getattr(d, norm)) for d in differences)
        observed = float(np.log2(before[0] / last)) if before and before[0] > 0 < last else 1.0
        errors.append(last / (2 ** (min(observed, best) if observed > _FALLS else 1.0) - 1))
        rates.append(observed)
    method = f"three levels, observed rate up to {order}" if len(levels) > 2 else "two levels, their difference"
    return ErrorEstimate(errors[0], errors[1], rates[0], rates[1], method=method)


def nodal_data(problem: Problem, poisson: FastPoisson) -> dict[str, Any]:
    """The arguments of :meth:`FastPoisson.solve`: what the law and the conditions say at the nodes, of u = 0.

    Raises
    ------
    UnsupportedError
        Data that are not finite at a node.
    """
    domain = problem.domain
    lines = [
        np.linspace(a, b, n + 1)[:m] for a, b, n, m in zip(domain.lower, domain.upper, poisson.cells, poisson.shape)
    ]
    # Central differences do not read the load where u is given; it may be infinite there.
    read = poisson.free if poisson.order == 2 else (slice(None),) * problem.dim
    load = np.zeros(poisson.shape)
    load[read] = _on_grid(strong_residual(problem), [line[own] for line, own in zip(lines, read)], "load")
    values, fluxes = np.zeros(poisson.shape), {}
    for (axis, end), condition in _conditions(problem).items():
        if isinstance(condition, Periodic):
            continue
        place = [line if k != axis else line[-end:][:1] for k, line in enumerate(lines)]
        normal = np.zeros(problem.dim)
        normal[axis] = 2.0 * end - 1.0
        data = _on_grid(boundary_residual(problem, condition, 0), place, str(condition or "natural flux"), normal)
        if isinstance(condition, Dirichlet):
            np.moveaxis(values, axis, 0)[-end] = np.take(data, 0, axis)
        else:
            fluxes[axis, end] = np.take(data, 0, axis)
    means = problem.declaration.means
    mean = float(number(problem, means[0].entry(0))) if means and poisson.singular else 0.0
    return {"load": load, "values": values, "fluxes": fluxes, "mean": mean}


def _on_grid(
    residual: PointwiseOperator, lines: list[np.ndarray], what: str, normal: np.ndarray | None = None
) -> np.ndarray:
    """Minus a residual of u = 0 at all points of a grid, some layers at a time."""
    shape = tuple(map(len, lines))
    layers = max(1, _SLAB // max(1, int(np.prod(shape[1:]))))
    out = []
    for first in range(0, shape[0], layers):
        slab = [lines[0][first : first + layers], *lines[1:]]
        points = grid_points(slab)
        found = -residual.at(points, None if normal is None else np.broadcast_to(normal, points.shape))
        bad = np.flatnonzero(~np.isfinite(found))
        if len(bad):
            raise UnsupportedError(
                f"Solver '{SOLVER.name}' needs finite data at all nodes, and the {what} is {found[bad[0]]:g} at "
                f"{points[bad[0]].tolist()}."
            )
        out.append(found)
    return np.concatenate(out).reshape(shape)


SOLVER = FastPoissonSolver()
