"""Solving on several meshes, and measuring the error from their differences.

With u_h on a mesh and u_{h/2}, u_{h/4} on its uniform refinements, the differences d₁ = ‖u_{h/2} − u_h‖ and
d₂ = ‖u_{h/4} − u_{h/2}‖ give the observed rate r = log₂(d₁/d₂). If errors fall like h^r, that of the finest level is

    d₂ / (2^r − 1)     in L2, where the errors of two levels point the same way, and
    d₂ / (4^r − 1)^½   in H1, where the error of a level is orthogonal to all finer spaces (Galerkin, Pythagoras);

the errors of the coarser levels are 2^r and 4^r times that (also in L2 for fields that may jump between cells: such a
field is nearly a projection). What evolves is refined in space and time together, and
its norms are root mean squares over eight instants.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from mpi4py import MPI

from sciml.errors import DivergenceError
from sciml.fem.adaptive import LOCAL_ORDER, Control
from sciml.fem.discretisation import Discretisation
from sciml.fem.functions import FEFunction, FEFunctions, squared_norms, transfer
from sciml.fem.shared import Shared
from sciml.fem.statics import StaticReport, solve_static
from sciml.fem.trajectory import Trajectory, common_instants, solve_evolution
from sciml.forms import Analysis
from sciml.forms.peclet import StabilisationChoice, choose_stabilisation
from sciml.forms.schemes import choose_scheme
from sciml.problem import Box, MeshData, Problem, Slot

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
    """Measured relative errors of the delivered level, with observed rates; of several fields those of the worst."""

    relative_l2: float
    relative_h1: float
    rate_l2: float
    rate_h1: float
    method: str
    fields: dict[str, dict[str, float]] = field(default_factory=dict)
    """The same for each field, where there are several."""


@dataclass(frozen=True)
class Orders:
    """Rates of convergence that theory gives, in L2 and H1.

    Attributes
    ----------
    expected : (float, float)
        With the steps in time.
    best : (float, float)
        In space alone: what evolves has an error of the steps too, and either may be the larger one.
    """

    expected: tuple[float, float]
    best: tuple[float, float]


@dataclass(frozen=True)
class Level:
    """A solution on one mesh."""

    data: MeshData
    function: FEFunction | FEFunctions
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


def solve_hierarchy(
    problem: Problem,
    analysis: Analysis,
    options: Any,
    report: Callable[[str], None],
    shared: Shared | None = None,
) -> Outcome:
    """Solve as the options say (see :class:`~sciml.solvers.fenics.FenicsOptions`).

    `shared` is what other members of the problem's family left behind.
    """
    run = _Run(problem, analysis, options, report, shared or Shared())
    if not isinstance(problem.domain, Box):
        return run.on_mesh(options.refine or 0)
    if options.cells is not None:
        return run.on_box(options.cells)
    return run.until_accurate()


class _Run:
    """One request being served."""

    def __init__(
        self, problem: Problem, analysis: Analysis, options: Any, report: Callable[[str], None], shared: Shared
    ) -> None:
        self.problem, self.analysis, self.options, self.report = problem, analysis, options, report
        self.shared = shared
        shared.serve(problem)
        self.outcome = Outcome()
        self._start = time.process_time()
        limit = np.inf
        if problem.evolves:
            self._scheme = choose_scheme(problem, options.scheme, options.theta, options.rho_infinity)
            limit = self._scheme.order
        self._orders = [_orders_of(slot, options.degree, limit) for slot in problem.layout]
        if problem.evolves and options.step_tolerance is not None:
            # Steps of changing length make rates uneven: less is believed.
            self._orders = [
                replace(own, best=(min(own.best[0], limit + 0.5), min(own.best[1], limit + 0.5)))
                for own in self._orders
            ]
        self._usual = [own.expected for own in self._orders]

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
        discretisation = self.shared.discretisation(data, options.degree, stabilised=self._stabilised_on(data))
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
                self._orders = [
                    replace(own, expected=(min(own.expected[0], degree + 0.5), min(own.expected[1], degree - 0.5)))
                    for own in self._orders
                ]
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
            data = self.shared.refined(data)
        self.outcome.delivered = self.solve(data)
        finer = 0
        while measure and len(self.outcome.levels) < 3 and self._fits(self.outcome.levels[-1]):
            data, finer = self.shared.refined(data), finer + 1
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
            cells, data, finer = [2 * n for n in cells], self.shared.refined(data), finer + 1
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
        data = self.shared.mesh(cells, self.options.cell_type)
        while self.outcome.delivered is None:
            try:
                self.outcome.delivered = self.solve(data)
            except DivergenceError as error:
                unknowns = min(_WORTH_A_TRY, self.options.max_unknowns)
                reached = getattr(error.solution, "n_dofs", unknowns)
                if reached * 2**self.problem.dim > unknowns or self._out_of_time():
                    raise
                self.outcome.notes.append(f"{' × '.join(map(str, cells))} cells are too few: {error}")
                cells, data = [2 * n for n in cells], self.shared.refined(data)
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
        data = self.shared.mesh()
        for _ in range(first):
            data = self.shared.refined(data)
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
            data = self.shared.refined(data) if k < finest else data
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
        if estimate is None or len(self.outcome.levels) < 3 or self.outcome.levels[-1] is not self.outcome.delivered:
            return
        rates = list(estimate.fields.values()) or [asdict(estimate)]
        gaps = [
            (expected[0] - own["rate_l2"], expected[1] - own["rate_h1"])
            for expected, own in zip(self._usual, rates, strict=True)
        ]
        if max(map(max, gaps)) <= _RATE_GAP:
            return
        expected_l2, expected_h1 = self._usual[int(np.argmax([max(gap) for gap in gaps]))]
        if self._fits(self.outcome.delivered):
            self.outcome.notes.append(
                f"the observed rates {estimate.rate_l2:.2f} and {estimate.rate_h1:.2f} are below {expected_l2:g} and "
                f"{expected_h1:g}: a finer level measures the error"
            )
            self.solve(self.shared.refined(data), 1)
            self._estimate()
        else:
            self.outcome.notes.append(
                "the observed rate is below the expected one: a singularity, or cells that are too large; the error "
                "may be overestimated"
            )

    def _box(self, cells: int) -> MeshData:
        return self.shared.mesh(cells, self.options.cell_type)

    def _fits(self, level: Level) -> bool:
        """Whether one more refinement stays within the size allowed."""
        unknowns = level.function.n_dofs * 2**self.problem.dim
        return unknowns <= self.options.max_unknowns and self._work(2 * level.steps, unknowns) <= self.options.max_work

    def _work(self, steps: int, unknowns: int) -> float:
        """Unknowns times steps; more where every step is factorised anew, and for the denser ones of several fields."""
        return steps * unknowns * (1 if self.analysis.linear else 10) * (1 if len(self.problem.layout) == 1 else 3)

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
        own = [estimate_error(levels, wanted, orders, k) for k, orders in enumerate(self._orders)]
        self.outcome.estimate = _worst(own, [slot.name for slot in self.problem.layout])


def _orders_of(slot: Slot, degree: int, limit: float) -> Orders:
    """The best approximation's orders; slopes of fields that may jump are not measured (order 0)."""
    own = float(degree - slot.kind.lower)
    best = {"Lagrange": (own + 1, own), "DG": (own + 1, 0.0), "RT": (own, 0.0)}[slot.kind.family]
    return Orders((min(best[0], limit), min(best[1], limit)), best)


def _worst(estimates: list[Estimate], names: list[str]) -> Estimate:
    """The largest errors of several fields, with the rates of the field that has them."""
    if len(estimates) == 1:
        return estimates[0]
    l2, h1 = (max(estimates, key=lambda e, name=name: getattr(e, name)) for name in ("relative_l2", "relative_h1"))
    fields = {
        name: {key: value for key, value in asdict(own).items() if isinstance(value, float)}
        for name, own in zip(names, estimates, strict=True)
    }
    return Estimate(l2.relative_l2, h1.relative_h1, l2.rate_l2, h1.rate_h1, l2.method, fields)


def estimate_error(levels: list[Level], wanted: int, orders: Orders, number: int = 0) -> Estimate:
    """Errors of level `wanted` from the differences of two or three nested levels.

    Parameters
    ----------
    levels : list of Level
        Coarse to fine, each the refinement of the one before.
    wanted : int
        Position of the level whose error is asked for.
    orders : Orders
        Those expected are assumed where there are only two levels or the differences do not fall; none above the best
        is believed.
    number : int
        Of the field.
    """
    expected = orders.expected
    differences = np.array([_difference(a, b, number, slopes=orders.best[1] > 0) for a, b in pairwise(levels)])
    size = differences[-1, 2:]
    last = differences[-1, :2]
    if len(levels) == 3:
        with np.errstate(divide="ignore", invalid="ignore"):
            observed = np.log2(differences[0, :2] / last)
        usable = np.isfinite(observed) & (observed > 0.25)
        # A rate above the theoretical one is pre-asymptotic luck: it would make the estimate too small.
        rates = np.where(usable, np.minimum(observed, orders.best), expected)
        method = "three levels, observed rate"
        if not usable.all():
            method = "three levels; the differences do not fall, so the theoretical rate was assumed"
    else:
        observed, rates, method = np.array(expected), np.array(expected), "two levels, theoretical rate assumed"
    if orders.best[1] > 0:
        finest = last / np.array([2.0 ** rates[0] - 1, np.sqrt(4.0 ** rates[1] - 1)])
        errors = _sum(finest, differences[wanted:, :2])
    else:
        # Fields that may jump are projections: orthogonal in L2, the one norm that they are measured in.
        observed, rates = np.full(2, observed[0]), np.full(2, rates[0])
        errors = np.full(2, _sum(last / np.sqrt(4.0**rates - 1), differences[wanted:, :2])[1])
    relative = errors / np.where(size > 0, size, 1.0)
    shown = np.where(np.isfinite(observed), observed, rates)
    return Estimate(float(relative[0]), float(relative[1]), float(shown[0]), float(shown[1]), method)


def _difference(coarse: Level, fine: Level, number: int, *, slopes: bool) -> tuple[float, float, float, float]:
    """‖u_f − u_c‖ in L2 and H1, and ‖u_f‖ in both, of one field on the fine mesh."""
    sums = np.zeros(4)
    for old, own in _states(coarse, fine, number):
        gap = transfer(old, own)
        gap.function.x.array[:] -= own.function.x.array
        sums += np.array([*squared_norms(gap), *squared_norms(own)])
    # Slopes count in multiples of 1/L, so that the sum has one unit.
    size = fine.function.mesh.domain.size
    weight = size**2 if slopes else 0.0
    gap_l2, gap_slope, l2, slope = sums * np.array([1, weight, 1, weight])
    return gap_l2**0.5, (gap_l2 + gap_slope) ** 0.5, l2**0.5, (l2 + slope) ** 0.5


def _states(coarse: Level, fine: Level, number: int) -> Iterator[tuple[FEFunction, FEFunction]]:
    """Pairs of states of one field on the two levels to compare."""
    if coarse.trajectory is None or fine.trajectory is None:
        yield coarse.function.parts[number], fine.function.parts[number]
        return
    for instant in common_instants(coarse.trajectory, fine.trajectory):
        yield coarse.trajectory.at(instant).parts[number], fine.trajectory.at(instant).parts[number]


def _sum(finest: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """Error of a coarser level from that of the finest: added up in L2, by Pythagoras in H1."""
    return np.array([finest[0] + differences[:, 0].sum(), np.sqrt(finest[1] ** 2 + (differences[:, 1] ** 2).sum())])
