"""What runs inside of a cell's own process: making a truth, or solving a task once or several times and measuring it.

Payloads and results are plain values, as JSON holds them. A number that is not finite is handed on as it is, for the
caller to refuse.
"""

from __future__ import annotations

import math
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from sciml.benchmark.machine import cpu_model
from sciml.benchmark.metrics import measure
from sciml.benchmark.placing import placed_options, precision_obstacle
from sciml.benchmark.tasks import load_task
from sciml.benchmark.truth import find_truth, load_truth
from sciml.errors import OptionError, UndefinedFieldError, UnsupportedError
from sciml.files import plain
from sciml.problem import Problem
from sciml.solution import Solution
from sciml.solvers.base import Context, Solver, SolverOptions, checked_device
from sciml.solvers.run import check_request, run_solver

__all__ = ["run_cell", "run_truth"]

_FOR_SOLVING = 0.8
_LEAST, _MOST_IN_A_ROW = 0.1, 50
"""Seconds that a timing takes at least, by several solves in a row: CPU clocks may tick every 4 ms only."""


def run_truth(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Make and save the truth of a task.

    Parameters
    ----------
    payload : mapping
        ``task`` (see :func:`~sciml.benchmark.tasks.task_of`), ``truth`` (``solver``, ``accuracy``, ``options``, each
        may be missing), ``file`` (where it is saved).

    Returns
    -------
    dict
        As :func:`~sciml.benchmark.truth.find_truth`, with ``cpu_seconds``.

    Raises
    ------
    DeclarationError
        The task was declared differently when it was planned.
    UnsupportedError, OptionError, DivergenceError
        As for :func:`~sciml.benchmark.truth.find_truth`.
    """
    start = _cpu()
    problem = load_task(payload["task"])
    found = find_truth(problem, payload.get("truth") or {}, payload["file"])
    return found | {"cpu_seconds": _cpu() - start}


def run_cell(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Solve a task and measure errors and costs.

    A solver in which nothing is random is run once without a clock, which also compiles, and then `repeats` times. One
    that depends on its seed is imported without a clock and run once: its repeats are cells with other seeds.

    Parameters
    ----------
    payload : mapping
        ``task``, ``solver``, ``options``, ``seed``, ``placement`` (``device``, ``threads``, ``processes``,
        ``precision``), ``folder`` (of the run), ``truth`` (result of :func:`run_truth`), ``repeats``, ``instants``, and
        ``cpu_limit`` in seconds where there is one: repeats end when the next would leave less than a fifth of it for
        measuring errors.

    Returns
    -------
    dict
        ``status``, ``message``; what :func:`~sciml.benchmark.metrics.measure` returns; ``timings`` of each repeat
        (``setup``, ``train``, ``solve``, ``post``, ``wall``, ``cpu``, means over as many ``solves`` in a row),
        ``warm_up``, medians ``cpu_seconds`` and ``wall_seconds``, ``repeats`` (``asked``, ``done``),
        ``one_off_cpu_seconds``, ``transfer_seconds``,
        ``peak_memory`` and ``device_memory`` in bytes, ``device``, ``device_name``, ``threads``, ``processes``,
        ``precision``, ``tf32``, ``iterations``, ``unknowns``, ``trainable_parameters``, ``error_estimate``, ``covered``
        (the true error is at most the one that the solver states), ``details``, ``versions``. On several processes
        CPU seconds and memory are sums over all, and all but the first return nothing.

    Raises
    ------
    OptionError, UnsupportedError
        The request is not possible, also where the solver has no such precision or device.
    DivergenceError
        The solve failed.
    DeclarationError
        The task was declared differently when it was planned.

    Notes
    -----
    `measure_error` is switched off unless the options say otherwise, so that the seconds are those of the answer alone;
    a solver that refines until its error is small enough then needs its resolution given.
    """
    place = Placement.of(payload["placement"])
    place.settle()
    problem = load_task(payload["task"])
    solver, options = _request(problem, payload, place)
    place.check_processes()
    run = _runner(solver, problem, options, payload, place)
    warm_up, transfer = _warm_up(solver, run, place)
    asked = 1 if solver.stochastic else int(payload.get("repeats") or 1)
    solution, timings = _repeated(run, asked, payload.get("cpu_limit"), place)
    costs = _costs(timings, warm_up, transfer, asked, place)
    if not place.is_first:
        return {}
    return _facts(solution) | costs | _measured(solution, problem, payload)


def _request(problem: Problem, payload: Mapping[str, Any], place: Placement) -> tuple[Solver, SolverOptions]:
    """Solver and options, with what the placement decides."""
    from sciml.registry import load_solver

    name, given = payload["solver"], dict(payload["options"])
    known = load_solver(name)
    if place.processes > 1 and not known.parallel:
        raise UnsupportedError(
            f"Solver {name!r} does not divide its work between processes, and {place.processes} were asked for; give "
            f"it one."
        )
    obstacle = precision_obstacle(known, place.precision)
    if obstacle is not None:
        raise UnsupportedError(f"Solver {name!r} computes in float64 alone, and {place.precision} was asked for.")
    given = placed_options(known, given, asdict(place))
    return check_request(problem, name, given, place.device)


def _runner(
    solver: Solver, problem: Problem, options: SolverOptions, payload: Mapping[str, Any], place: Placement
) -> Callable[[], Solution]:
    def run() -> Solution:
        context = Context(seed=int(payload["seed"]), device=place.device)
        solution = run_solver(solver, problem, options, context, throw=True)
        if torch.device(solution.device).type != torch.device(place.device).type:
            raise UnsupportedError(
                f"Solver {solver.name!r} computed on the device {solution.device!r}, and {place.device!r} was asked "
                f"for; place it there."
            )
        return solution

    return run


# -- where it runs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Placement:
    """Where a cell computes.

    Attributes
    ----------
    device : str
        As torch names it.
    threads, processes : int
    precision : {"float64", "float32"}
    """

    device: str = "cpu"
    threads: int = 1
    processes: int = 1
    precision: str = "float64"

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Placement:
        """From plain values; a name is for people."""
        return cls(**{key: given[key] for key in ("device", "threads", "processes", "precision") if key in given})

    def settle(self) -> None:
        """Pin torch's threads, and take full float32 products on a GPU.

        Raises
        ------
        OptionError
            There is no such device.
        """
        checked_device(self.device)
        torch.set_num_threads(self.threads)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    def check_processes(self) -> None:
        """Refuse another number of processes than were started together.

        Raises
        ------
        OptionError
        """
        if self.processes > 1 and self._world.size != self.processes:
            raise OptionError(
                f"The placement has {self.processes} processes, and {self._world.size} were started; start the cell "
                f"with mpiexec -n {self.processes}."
            )

    @property
    def _world(self) -> Any:
        from mpi4py import MPI

        return MPI.COMM_WORLD

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that measures."""
        return self.processes == 1 or self._world.rank == 0

    @property
    def on_gpu(self) -> bool:
        """Whether work is handed to a device and done later."""
        return torch.device(self.device).type != "cpu"

    def total(self, value: float) -> float:
        """The sum over all processes."""
        return value if self.processes == 1 else self._world.allreduce(value)

    def agree[T](self, value: T) -> T:
        """The first process's value: clocks differ, and all processes have to do the same."""
        return value if self.processes == 1 else self._world.bcast(value)

    def wait(self) -> None:
        """Until all that was begun is done, on the device and by all processes."""
        kind = torch.device(self.device).type
        if kind == "cuda":
            torch.cuda.synchronize(self.device)
        elif kind == "mps":
            torch.mps.synchronize()
        if self.processes > 1:
            self._world.Barrier()

    def record(self) -> dict[str, Any]:
        """What the result says of it."""
        cuda = torch.device(self.device).type == "cuda"
        tf32 = torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
        return {
            **asdict(self),
            "device_name": torch.cuda.get_device_name(self.device) if cuda else cpu_model(),
            "tf32": bool(tf32),
            "device_memory": int(torch.cuda.max_memory_allocated(self.device)) if cuda else None,
        }


# -- clocks ------------------------------------------------------------------------------------------------------------


def _cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@dataclass(frozen=True)
class _Clock:
    wall: float
    cpu: float


def _timed[T](run: Callable[[], T], place: Placement) -> tuple[T, _Clock]:
    """What `run` returns, and its seconds: by the first process's clock, and CPU seconds summed over all processes."""
    place.wait()
    wall, cpu = time.perf_counter(), _cpu()
    out = run()
    place.wait()
    return out, _Clock(place.agree(time.perf_counter() - wall), place.total(_cpu() - cpu))


def _warm_up(solver: Solver, run: Callable[[], Solution], place: Placement) -> tuple[dict[str, Any], float | None]:
    """Import and compile; the seconds, and those of copies to the device where they can be seen."""
    _, loading = _timed(solver.load, place)
    if solver.stochastic:
        return {"kind": "load", "cpu_seconds": loading.cpu, "wall_seconds": loading.wall}, None
    transfer: list[float] = []

    def watched() -> None:
        if torch.device(place.device).type != "cuda":
            run()
            return
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            run()
            torch.cuda.synchronize(place.device)
        transfer.append(copy_seconds(profile.events() or []))

    _, solving = _timed(watched, place)
    cost = {
        "kind": "solve",
        "cpu_seconds": loading.cpu + solving.cpu,
        "wall_seconds": loading.wall + solving.wall,
    }
    return cost, transfer[0] if transfer else None


def copy_seconds(events: Any) -> float:
    """Seconds of copies from host to device among a profiler's events."""
    return sum(event.time_range.elapsed_us() for event in events if event.name.startswith("Memcpy HtoD")) * 1e-6


def _repeated(
    run: Callable[[], Solution], asked: int, limit: float | None, place: Placement
) -> tuple[Solution, list[dict[str, float]]]:
    """The last solution, and the seconds of each repeat; of what is short, the mean of several solves in a row."""
    if torch.device(place.device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(place.device)
    timings: list[dict[str, float]] = []
    in_a_row = 1
    while True:
        (solution, phases), clock = _timed(partial(_several, run, in_a_row), place)
        if asked > 1 and not timings and in_a_row == 1 and clock.wall < _LEAST:
            in_a_row = min(_MOST_IN_A_ROW, math.ceil(_LEAST / max(clock.wall, 1e-6)))
            continue
        timings.append(phases | {"wall": clock.wall / in_a_row, "cpu": clock.cpu / in_a_row, "solves": in_a_row})
        used, longest = place.total(_cpu()), in_a_row * max(row["cpu"] for row in timings)
        if len(timings) >= asked or place.agree(limit is not None and used + longest > _FOR_SOLVING * limit):
            return solution, timings
        del solution


def _several(run: Callable[[], Solution], n: int) -> tuple[Solution, dict[str, float]]:
    """The last of `n` solutions, and the mean seconds of each phase."""
    solution = run()
    phases = asdict(solution.seconds)
    for _ in range(n - 1):
        solution = run()
        phases = {name: phases[name] + value for name, value in asdict(solution.seconds).items()}
    return solution, {name: value / n for name, value in phases.items()}


# -- what is told ------------------------------------------------------------------------------------------------------


def _costs(
    timings: list[dict[str, float]], warm_up: dict[str, Any], transfer: float | None, asked: int, place: Placement
) -> dict[str, Any]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if platform.system() == "Darwin" else 1024
    return {
        "timings": timings,
        "repeats": {"asked": asked, "done": len(timings)},
        "warm_up": warm_up,
        "cpu_seconds": statistics.median(row["cpu"] for row in timings),
        "wall_seconds": statistics.median(row["wall"] for row in timings),
        "transfer_seconds": transfer,
        "peak_memory": int(place.total(peak)) * unit,
        **place.record(),
    }


def _facts(solution: Solution) -> dict[str, Any]:
    details, estimate = plain(solution.details), solution.error_estimate
    return {
        "status": solution.status,
        "message": solution.message,
        "one_off_cpu_seconds": float(details.get("one_off_cpu_seconds") or 0.0),
        "iterations": solution.iterations,
        "unknowns": details.get("unknowns"),
        "trainable_parameters": solution.trainable_parameters,
        "error_estimate": None if estimate is None else plain(asdict(estimate)),
        "details": details,
        "versions": dict(solution.versions),
    }


def _measured(solution: Solution, problem: Problem, payload: Mapping[str, Any]) -> dict[str, Any]:
    found = payload["truth"]
    truth = load_truth(problem, found, payload["folder"])
    quantities = solution.quantities() if problem.dim <= 3 else {}
    instants = int(payload.get("instants") or 1)
    try:
        measured = measure(
            solution.field, truth, instants=instants, quantities=quantities, true_quantities=found["quantities"]
        )
    except UndefinedFieldError as error:
        return {"message": str(error), "errors": {"relative_l2": math.nan}}
    estimate = solution.error_estimate
    covered = None if estimate is None else bool(measured["errors"]["relative_l2"] <= estimate.relative_l2)
    return measured | {"covered": covered}
