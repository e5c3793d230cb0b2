"""Solving on several meshes, and measuring the error from their differences.

With u_h on a mesh and u_{h/2}, u_{h/4} on its uniform refinements, the differences d₁ = ‖u_{h/2} − u_h‖ and
d₂ = ‖u_{h/4} − u_{h/2}‖ give the observed rate r = log₂(d₁/d₂). If errors fall like h^r, that of the finest level is

    d₂ / (2^r − 1)     in L2, where the errors of two levels point the same way, and
    d₂ / (4^r − 1)^½   in H1, where the error of a level is orthogonal to all finer spaces (Galerkin, Pythagoras);

the errors of the coarser levels are 2^r and 4^r times that. What evolves is refined in space and time together, and
its norms are root mean squares over eight instants.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from mpi4py import MPI

from sciml.errors import DivergenceError
from sciml.fem.adaptive import LOCAL_ORDER, Control
from sciml.fem.discretisation import Discretisation
from sciml.fem.functions import FEFunction, squared_norms, transfer
from sciml.fem.statics import StaticReport, solve_static
from sciml.fem.trajectory import Trajectory, common_instants, solve_evolution
from sciml.forms import Analysis
from sciml.forms.peclet import StabilisationChoice, choose_stabilisation
from sciml.forms.schemes import choose_scheme
from sciml.problem import Box, MeshData, Problem

__all__ = ["Estimate", "Level", "Outcome", "solve_hierarchy"]

_START = {1: 32, 2: 16, 3: 4}
_RATE_GAP = 0.25
_STEPS = 64
_SHORTEST = 1e-10
"""Shortest adaptive step, as a share of the whole time."""
_WORTH_A_TRY = 20_000
"""Unknowns up to which a mesh is refined because Newton's method failed on it."""


@dataclass(frozen=True)
class Estimate:
    """Measured relative errors of the delivered level, with observed rates."""

    relative_l2: float
    relative_h1: float
    rate_l2: float
    rate_h1: float
    method: str


@dataclass(frozen=True)
class Level:
    """A solution on one mesh."""

    data: MeshData
    function: FEFunction
    report: StaticReport
    trajectory: Trajectory | None = None
    steps: int = 0


@dataclass
class Outcome:
    """All levels solved, coarse to fine.

    Attributes
    ----------
    levels : list of Level
    delivered : Level
        The one that answers the request.
    estimate : Estimate or None
    stabilisation : StabilisationChoice or None
        Of all levels.
    setup_seconds, solve_seconds : float
    notes : list of str
        What was chosen or left out, and why.
    """

    levels: list[Level] = field(default_factory=list)
    delivered: Level = None  # type: ignore[assignment]
    estimate: Estimate | None = None
    stabilisation: StabilisationChoice | None = None
    setup_seconds: float = 0.0
    solve_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def level_sizes(self) -> list[int]:
        """Unknowns of each level."""
        return [level.function.n_dofs for level in self.levels]


def solve_hierarchy(problem: Problem, analysis: Analysis, options: Any, report: Callable[[str], None]) -> Outcome:
    """Solve as the options say (see :class:`~sciml.solvers.fenics.FenicsOptions`)."""
    run = _Run(problem, analysis, options, report)
    if not isinstance(problem.domain, Box):
        return run.on_mesh(options.refine or 0)
    if options.cells is not None:
        return run.on_box(options.cells)
    return run.until_accurate()


class _Run:
    """One request being served."""

    def __init__(self, problem: Problem, analysis: Analysis, options: Any, report: Callable[[str], None]) -> None:
        self.problem, self.analysis, self.options, self.report = problem, analysis, options, report
        self.outcome = Outcome()
        self._start = time.process_time()
        # In space; what evolves has an error of the steps too, and either may be the larger one.
        self._best = self._orders = (options.degree + 1.0, float(options.degree))
        if problem.evolves:
            self._scheme = choose_scheme(problem, options.scheme, options.theta, options.rho_infinity)
            order = self._scheme.order
            self._orders = (min(self._orders[0], order), min(self._orders[1], order))
            if options.step_tolerance is not None:
                # Steps of changing length make rates uneven: less is believed.
                self._best = (min(self._best[0], order + 0.5), min(self._best[1], order + 0.5))
        self._usual = self._orders

    def solve(self, data: MeshData, finer: int = 0) -> Level:
        """Solve on one mesh.

        Parameters
        ----------
        data : MeshData
        finer : int
            How often its cells, and the steps in time with them, are halved against what was asked for.
        """
        start = time.perf_counter()
        options = self.options
        discretisation = Discretisation(self.problem, data, options.degree, stabilised=self._stabilised_on(data))
        discretisation.dirichlet  # noqa: B018  evaluated here so that it counts as set-up
        ready = time.perf_counter()
        label = f"{len(data.cells)} cells, {discretisation.n_dofs} unknowns"
        if self.problem.evolves:
            return self._solve_evolution(discretisation, data, finer, start, ready, label)
        try:
            outcome = solve_static(
                discretisation,
                self.analysis,
                linear_solver=options.linear_solver,
                petsc_options=options.petsc_options,
                tolerance=options.tolerance,
                max_iterations=options.max_iterations,
                load_steps=options.load_steps,
                report=lambda text: self.report(f"{label}: {text}"),
            )
        except DivergenceError as error:
            error.solution = discretisation.snapshot()
            raise
        self.outcome.setup_seconds += ready - start
        self.outcome.solve_seconds += time.perf_counter() - ready
        level = Level(data, discretisation.snapshot(), outcome)
        self.outcome.levels.append(level)
        return level

    def _stabilised_on(self, data: MeshData) -> bool:
        """As chosen on the first mesh, the coarsest, so that all levels solve the same equations."""
        if self.outcome.stabilisation is None:
            degree = self.options.degree
            choice = choose_stabilisation(self.options.stabilisation, self.problem, data, degree)
            self.outcome.stabilisation = choice
            if choice.name == "supg":
                # What is certain, where nothing can be observed; half an order more is usual.
                self._orders = (min(self._orders[0], degree + 0.5), min(self._orders[1], degree - 0.5))
        return self.outcome.stabilisation.name == "supg"

    def _solve_evolution(
        self, disc: Discretisation, data: MeshData, finer: int, start: float, ready: float, label: str
    ) -> Level:
        steps = self.options.steps
        if self.options.step is not None:
            steps = round(self.problem.time.duration / self.options.step)
        if steps is None and self._scheme.name != "explicit":
            steps = _STEPS
        steps = None if steps is None else max(1, round(steps * 2.0**finer))
        control = self._control(finer)
        trajectory, report, steps = solve_evolution(
            disc, self.analysis, self.options, steps, lambda text: self.report(f"{label}: {text}"), control
        )
        self.outcome.setup_seconds += ready - start
        self.outcome.solve_seconds += time.perf_counter() - ready
        level = Level(data, trajectory.at(float(trajectory.times[-1])), report, trajectory, steps)
        self.outcome.levels.append(level)
        return level

    def _control(self, finer: int) -> Control | None:
        """Of adaptive steps: half as long on a finer level, since the local error is of the third order."""
        options, duration = self.options, self.problem.time.duration
        if options.step_tolerance is None:
            return None
        return Control(
            options.step_tolerance * 2.0 ** (-LOCAL_ORDER * finer),
            options.min_step or _SHORTEST * duration,
            (options.max_step or duration / 8) * 2.0**-finer,
        )

    def on_box(self, cells: int) -> Outcome:
        """`cells` per axis; the two coarser levels that nest in it, or else finer ones, measure the error."""
        measure = self.options.measure_error
        halvings = 0 if not measure else 2 if cells % 4 == 0 else 1 if cells % 2 == 0 else 0
        data = self._box(cells // 2**halvings)
        for k in range(halvings):
            self._attempt(data, k - halvings)
            data = data.refine()
        self.outcome.delivered = self.solve(data)
        finer = 0
        while measure and len(self.outcome.levels) < 3 and self._fits(self.outcome.levels[-1]):
            data, finer = data.refine(), finer + 1
            self.solve(data, finer)
        self._estimate()
        self._look_further(data)
        return self.outcome

    def until_accurate(self) -> Outcome:
        """Double the cells until the error is small enough, or a limit is reached."""
        cells, data = self._first_that_converges()
        finer = 0
        while True:
            self._estimate()
            estimate = self.outcome.estimate
            trusted = len(self.outcome.levels) > (2 if self.problem.evolves else 1)
            if estimate is not None and trusted and estimate.relative_l2 <= self._accuracy:
                break
            limit = self._limit()
            if limit is not None:
                reached = "" if estimate is None else f" at an error of {estimate.relative_l2:.1e}"
                self.outcome.notes.append(f"refinement stopped{reached}: {limit}")
                break
            cells, data, finer = [2 * n for n in cells], data.refine(), finer + 1
            self.outcome.delivered = self.solve(data, finer)
        self.outcome.notes.append(f"{' × '.join(map(str, cells))} cells, found by doubling")
        return self.outcome

    @property
    def _accuracy(self) -> float:
        return self.options.accuracy or (1e-3 if self.problem.evolves else 1e-4)

    def _first_that_converges(self) -> tuple[list[int], MeshData]:
        """Solve on the first mesh, or on its first refinement on which Newton's method converges.

        Cells that cannot follow the solution may have no discrete solution near it.
        """
        cells = self._first_cells()
        data = self.problem.domain.mesh(cells, self.options.cell_type)
        while self.outcome.delivered is None:
            try:
                self.outcome.delivered = self.solve(data)
            except DivergenceError as error:
                unknowns = min(_WORTH_A_TRY, self.options.max_unknowns)
                reached = getattr(error.solution, "n_dofs", unknowns)
                if reached * 2**self.problem.dim > unknowns or self._out_of_time():
                    raise
                self.outcome.notes.append(f"{' × '.join(map(str, cells))} cells are too few: {error}")
                cells, data = [2 * n for n in cells], data.refine()
        return cells, data

    def _first_cells(self) -> list[int]:
        """About equally long cells along all axes of a box."""
        extent = self.problem.domain.upper - self.problem.domain.lower
        even = _START[self.problem.dim] * extent / np.exp(np.log(extent).mean())
        return [max(1, round(float(n))) for n in even]

    def _limit(self) -> str | None:
        """What forbids a finer level, if anything does."""
        if not self._fits(self.outcome.delivered):
            return f"the next system would exceed {self._limits}"
        if self.outcome.estimate is not None and self._out_of_time():
            return f"cpu_seconds={self.options.cpu_seconds:g} are used up"
        return None

    def _out_of_time(self) -> bool:
        budget = self.options.cpu_seconds
        # All processes must decide alike.
        return budget is not None and MPI.COMM_WORLD.allreduce(time.process_time() - self._start, op=MPI.MAX) > budget

    def on_mesh(self, refine: int) -> Outcome:
        """The mesh file divided `refine` times; two further levels, coarser ones first, measure the error."""
        finest = max(refine, 2) if self.options.measure_error else refine
        first = finest - 2 if self.options.measure_error else refine
        data = self.problem.domain.mesh()
        for _ in range(first):
            data = data.refine()
        for k in range(first, finest + 1):
            if k > refine and not self._fits(self.outcome.levels[-1]):
                self.outcome.notes.append(
                    f"the error was measured on {len(self.outcome.levels)} levels only: the next would exceed "
                    f"{self._limits}"
                )
                break
            level = self.solve(data, k - refine)
            if k == refine:
                self.outcome.delivered = level
            data = data.refine() if k < finest else data
        self._estimate()
        if self.outcome.levels[-1] is self.outcome.delivered:
            self._look_further(data)
        return self.outcome

    def _look_further(self, data: MeshData) -> None:
        """One finer level where the observed rate is not the expected one.

        A rate that is too low comes from a singularity or from coarse levels that do not resolve the solution yet;
        from those an error cannot be extrapolated, from a finer level it can.
        """
        estimate = self.outcome.estimate
        expected_l2, expected_h1 = self._usual
        if estimate is None or len(self.outcome.levels) < 3 or self.outcome.levels[-1] is not self.outcome.delivered:
            return
        if max(expected_l2 - estimate.rate_l2, expected_h1 - estimate.rate_h1) <= _RATE_GAP:
            return
        if self._fits(self.outcome.delivered):
            self.outcome.notes.append(
                f"the observed rates {estimate.rate_l2:.2f} and {estimate.rate_h1:.2f} are below {expected_l2:g} and "
                f"{expected_h1:g}: a finer level measures the error"
            )
            self.solve(data.refine(), 1)
            self._estimate()
        else:
            self.outcome.notes.append(
                "the observed rate is below the expected one: a singularity, or cells that are too large; the error "
                "may be overestimated"
            )

    def _box(self, cells: int) -> MeshData:
        return self.problem.domain.mesh(cells, self.options.cell_type)

    def _fits(self, level: Level) -> bool:
        """Whether one more refinement stays within the size allowed."""
        unknowns = level.function.n_dofs * 2**self.problem.dim
        return unknowns <= self.options.max_unknowns and 2 * level.steps * unknowns <= self.options.max_work

    @property
    def _limits(self) -> str:
        work = f" or max_work={self.options.max_work:g}" if self.problem.evolves else ""
        return f"max_unknowns={self.options.max_unknowns}{work}"

    def _attempt(self, data: MeshData, finer: int) -> None:
        """A coarser level only serves the estimate: its failure is noted, not raised."""
        try:
            self.solve(data, finer)
        except DivergenceError as error:
            self.outcome.notes.append(f"a coarser level for the error estimate failed: {error}")
            self.outcome.levels.clear()

    def _estimate(self) -> None:
        levels = self.outcome.levels[-3:]
        if not self.options.measure_error or len(levels) < 2:
            self.outcome.estimate = None
            return
        wanted = levels.index(self.outcome.delivered)
        self.outcome.estimate = estimate_error(levels, wanted, self._orders, self._best)


def estimate_error(
    levels: list[Level], wanted: int, expected: tuple[float, float], best: tuple[float, float] | None = None
) -> Estimate:
    """Errors of level `wanted` from the differences of two or three nested levels.

    Parameters
    ----------
    levels : list of Level
        Coarse to fine, each the refinement of the one before.
    wanted : int
        Position of the level whose error is asked for.
    expected : (float, float)
        Rates in L2 and H1 to assume where there are only two levels or the differences do not fall.
    best : (float, float), optional
        The highest rates that are believed; those expected by default.
    """
    differences = np.array([_difference(a, b) for a, b in pairwise(levels)])
    size = differences[-1, 2:]
    last = differences[-1, :2]
    if len(levels) == 3:
        with np.errstate(divide="ignore", invalid="ignore"):
            observed = np.log2(differences[0, :2] / last)
        usable = np.isfinite(observed) & (observed > 0.25)
        # A rate above the theoretical one is pre-asymptotic luck: it would make the estimate too small.
        rates = np.where(usable, np.minimum(observed, expected if best is None else best), expected)
        method = "three levels, observed rate"
        if not usable.all():
            method = "three levels; the differences do not fall, so the theoretical rate was assumed"
    else:
        observed, rates, method = np.array(expected), np.array(expected), "two levels, theoretical rate assumed"
    finest = last / np.array([2.0 ** rates[0] - 1, np.sqrt(4.0 ** rates[1] - 1)])
    errors = _sum(finest, differences[wanted:, :2])
    relative = errors / np.where(size > 0, size, 1.0)
    shown = np.where(np.isfinite(observed), observed, rates)
    return Estimate(float(relative[0]), float(relative[1]), float(shown[0]), float(shown[1]), method)


def _difference(coarse: Level, fine: Level) -> tuple[float, float, float, float]:
    """‖u_f − u_c‖ in L2 and H1, and ‖u_f‖ in both, on the fine mesh."""
    sums = np.zeros(4)
    for old, own in _states(coarse, fine):
        gap = transfer(old, own)
        gap.function.x.array[:] -= own.function.x.array
        sums += np.array([*squared_norms(gap), *squared_norms(own)])
    # Slopes count in multiples of 1/L, so that the sum has one unit.
    size = fine.function.mesh.domain.size
    gap_l2, gap_slope, l2, slope = sums * np.array([1, size**2, 1, size**2])
    return gap_l2**0.5, (gap_l2 + gap_slope) ** 0.5, l2**0.5, (l2 + slope) ** 0.5


def _states(coarse: Level, fine: Level) -> Iterator[tuple[FEFunction, FEFunction]]:
    """Pairs of states of the two levels to compare."""
    if coarse.trajectory is None or fine.trajectory is None:
        yield coarse.function, fine.function
        return
    for instant in common_instants(coarse.trajectory, fine.trajectory):
        yield coarse.trajectory.at(instant), fine.trajectory.at(instant)


def _sum(finest: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """Error of a coarser level from that of the finest: added up in L2, by Pythagoras in H1."""
    return np.array([finest[0] + differences[:, 0].sum(), np.sqrt(finest[1] ** 2 + (differences[:, 1] ** 2).sum())])
