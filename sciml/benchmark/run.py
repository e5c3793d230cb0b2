"""Running a suite: truths, tuning, tests, each cell in its own process, every attempt in the ledger."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sciml.benchmark.executors import Executor
from sciml.benchmark.ledger import Ledger
from sciml.benchmark.placing import cell_limits
from sciml.benchmark.plan import Cell, Plan, PlannedTask
from sciml.benchmark.process import Limits
from sciml.benchmark.runner import Job, Progress, run_jobs
from sciml.benchmark.tuning import Trial, best_trial, draw_trials, score_trials
from sciml.files import plain, write_json

__all__ = ["CELL", "Summary", "cell_payload", "run_plan", "truth_key"]

CELL = "sciml.benchmark.worker:run_cell"
_TRUTH = "sciml.benchmark.worker:run_truth"
_TRUTHS = "truths"


@dataclass(frozen=True)
class Summary:
    """What a run has of a suite.

    Attributes
    ----------
    cells, done, failed : int
        Cells in all, finished with a result, finished without one.
    unfinished : int
        Cells that the budget left for the next time.
    cpu_seconds : float
        Spent this time.
    """

    cells: int
    done: int
    failed: int
    unfinished: int
    cpu_seconds: float


class _Run:
    """A plan being worked off in a folder."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        ledger: Ledger,
        executor: Executor,
        report: Callable[[Progress], None] | None,
        factor: float,
        keywords: dict[str, Any],
    ) -> None:
        self.plan, self.folder, self.ledger, self.executor = plan, folder, ledger, executor
        self.report, self.factor, self.keywords = report, factor, keywords
        self.lines: dict[str, dict[str, Any]] = {}
        self.asked: set[str] = set()

    def work(self, jobs: list[Job]) -> dict[str, dict[str, Any]]:
        """Run what has not been run."""
        self.asked |= {job.key for job in jobs}
        lines = run_jobs(jobs, self.ledger, self.executor, self.report, **self.keywords)
        self.lines |= lines
        return lines

    def limits(self, cpu_seconds: float, placement: Mapping[str, Any] | None = None) -> Limits:
        return cell_limits(cpu_seconds, self.plan.suite.limits.memory, self.factor, placement)


def run_plan(
    plan: Plan,
    folder: Path,
    ledger: Ledger,
    executor: Executor,
    *,
    factor: float = 1.0,
    report: Callable[[Progress], None] | None = None,
    budget_seconds: float | None = None,
    retry_failed: bool = False,
) -> Summary:
    """Run all cells of a plan that have not been run, in the order truths, tuning, tests.

    Parameters
    ----------
    plan : Plan
    folder : Path
        Of the run; `ledger` is open in it.
    ledger, executor
    factor : float
        How much slower than a core of 49 GFLOP/s this machine is; limits are stretched by it.
    report : callable, optional
        Takes the progress of the runner.
    budget_seconds : float, optional
        CPU seconds after which no further cell is started.
    retry_failed : bool
        Try cells again that failed.

    Returns
    -------
    Summary
    """
    write_json(folder / "suite.json", plan.suite.model_dump(mode="json"))
    (folder / _TRUTHS).mkdir(exist_ok=True)
    keywords = {"budget_seconds": budget_seconds, "retry_failed": retry_failed}
    run = _Run(plan, folder, ledger, executor, report, factor, keywords)
    truths = _truths(run, plan.tasks)
    chosen, missing = _tuned(run, truths)
    cells = [] if missing else plan.test_cells(chosen)
    write_json(folder / "cannot.json", [asdict(cannot) for cannot in plan.cannot])
    run.work(list(_jobs(run, cells, truths)))
    done = sum(line["reason"] is None for line in run.lines.values())
    return Summary(
        cells=len(run.asked),
        done=done,
        failed=len(run.lines) - done,
        unfinished=len(run.asked) - len(run.lines) + missing,
        cpu_seconds=ledger.cpu_seconds,
    )


def _truths(run: _Run, tasks: Iterable[PlannedTask]) -> dict[str, dict[str, Any]]:
    """The truth of every task that has one."""
    jobs = [_truth_job(run, task) for task in tasks]
    lines = run.work(jobs)
    found = {job.about["task"]["key"]: lines.get(job.key) for job in jobs}
    return {key: line["result"] for key, line in found.items() if line is not None and line["reason"] is None}


def _truth_job(run: _Run, task: PlannedTask) -> Job:
    settings = task.truth
    file = run.folder.resolve() / _TRUTHS / f"{task.key}.h5"
    payload = {
        "task": task.about,
        "truth": settings.model_dump(mode="json", exclude={"cpu_seconds"}),
        "file": str(file),
    }
    about = {
        "stage": "truth",
        "task": task.about,
        "method": "",
        "solver": settings.solver,
        "options": settings.options,
        "point": {},
        "trial": None,
        "seed": 0,
        "placement": None,
    }
    limits = run.limits(settings.cpu_seconds)
    return Job(truth_key(task.about), f"truth of {task.about['label']}", "truth", _TRUTH, payload, limits, about)


def _jobs(run: _Run, cells: list[Cell], truths: Mapping[str, Any]) -> Iterable[Job]:
    """Jobs of the cells whose task has a truth; without one, a result could not be judged."""
    suite = run.plan.suite
    for cell in cells:
        truth = truths.get(cell.about["task"]["key"])
        if truth is None:
            continue
        limits = run.limits(suite.limits.cpu_seconds, cell.about["placement"])
        request = {"repeats": cell.repeats, "instants": suite.accuracy.instants}
        payload = cell_payload(cell.about | request, run.folder, truth, limits)
        about = plain(cell.about) | {"request": request | suite.limits.model_dump()}
        yield Job(cell.key, cell.label, cell.about["method"], CELL, payload, limits, about)


def cell_payload(about: Mapping[str, Any], folder: Path, truth: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """What the process of a cell is told: all of the cell, where the run and its truths lie, and the time it has."""
    return dict(about) | {"folder": str(folder.resolve()), "truth": truth, "cpu_limit": limits.cpu_seconds}


def truth_key(task: Mapping[str, Any]) -> str:
    """Key of the job that makes the truth of a task."""
    return f"truth-{task['key']}"


def _tuned(run: _Run, truths: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], int]:
    """Options chosen for each method, and how many tuning cells are left to run."""
    plan, tuning = run.plan, run.plan.suite.tuning
    if tuning is None:
        return {}, 0
    trials = {name: draw_trials(plan.space(name), tuning) for name in plan.suite.method_names}
    trials = {name: options for name, options in trials.items() if options}
    cells = plan.tuning_cells(trials)
    # Trials that differ in an option which an entry fixes are one there.
    jobs = list({job.key: job for job in _jobs(run, cells, truths)}.values())
    lines = run.work(jobs)
    missing = sum(job.key not in lines for job in jobs)
    if missing:
        return {}, missing
    scored = {name: _scored(run, name, options, cells, lines) for name, options in trials.items()}
    best = {name: best_trial(found) for name, found in scored.items()}
    content = {name: _told(found, best[name], name, cells, lines) for name, found in scored.items()}
    write_json(run.folder / "tuning.json", content)
    return {name: scored[name][k].options for name, k in best.items()}, 0


def _scored(
    run: _Run, name: str, trials: list[dict[str, Any]], cells: list[Cell], lines: Mapping[str, Any]
) -> list[Trial]:
    results: dict[int, dict[str, list[Any]]] = {}
    for cell in cells:
        if cell.about["method"] == name and cell.key in lines:
            tasks = results.setdefault(cell.about["trial"], {})
            tasks.setdefault(cell.about["task"]["key"], []).append(lines[cell.key]["result"])
    suite = run.plan.suite
    assert suite.tuning is not None
    return score_trials(trials, results, suite.tuning, suite.accuracy.norm)


def _told(trials: list[Trial], best: int, name: str, cells: list[Cell], lines: Mapping[str, Any]) -> dict[str, Any]:
    """What tuning.json says of one method."""
    own = [cell for cell in cells if cell.about["method"] == name and cell.key in lines]
    return {
        "trials": [{"options": trial.options, "score": _finite(asdict(trial.score))} for trial in trials],
        "chosen": trials[best].options,
        "tasks": sorted({cell.about["task"]["key"] for cell in own}),
        "cpu_seconds": sum(lines[cell.key]["cpu_seconds"] for cell in own),
    }


def _finite(score: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in score.items()}
