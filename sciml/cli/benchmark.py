"""The commands ``sciml benchmark`` and ``sciml report``."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from sciml.benchmark.checks import CheckResult, all_hold, check_rows, print_checks, run_checks
from sciml.benchmark.executors import DaskExecutor, Executor, LocalPool
from sciml.benchmark.gates import refusals
from sciml.benchmark.ledger import Ledger
from sciml.benchmark.machine import matmul_rate, provenance, scale
from sciml.benchmark.plan import Plan, make_plan, placement_of
from sciml.benchmark.recorded import record_checks
from sciml.benchmark.rerun import rerun
from sciml.benchmark.run import Summary, run_plan
from sciml.benchmark.suite import Suite, load_suite, with_devices
from sciml.benchmark.tuning import draw_trials
from sciml.cli.console import console, significant
from sciml.cli.live import duration, live_table
from sciml.errors import OptionError, SuiteError
from sciml.solvers.base import package_versions

__all__ = ["Request", "benchmark", "check", "plan_of", "repeat"]

_SHOWN = 12


@dataclass(frozen=True)
class Request:
    """What `sciml benchmark` was asked for.

    Attributes
    ----------
    suite : str
        Name, or path of a TOML file.
    out : Path or None
        Folder of the run, ``runs/SUITE`` by default.
    jobs : int or None
        Cells side by side; as many as the cores hold by default.
    scheduler : str or None
        Address of a Dask scheduler.
    devices : str or None
        Devices in place of those of the suite, with commas.
    cpu_hours : float or None
        Start no cell after these.
    unranked : bool
        Run a suite that cannot rank fairly, without a ranking.
    retry_failed : bool
    """

    suite: str
    out: Path | None = None
    jobs: int | None = None
    scheduler: str | None = None
    devices: str | None = None
    cpu_hours: float | None = None
    unranked: bool = False
    retry_failed: bool = False

    def load(self) -> Suite:
        """The suite, as it is to be run.

        Raises
        ------
        SuiteError
            It ranks and breaks a rule of fairness, needs a device that is not there, or has no cells.
        """
        suite = load_suite(self.suite)
        if self.devices is not None:
            suite = with_devices(suite, [name.strip() for name in self.devices.split(",")])
        _refuse_missing_device(suite)
        if not suite.ranking:
            return suite
        reasons = refusals(suite)
        if reasons and not self.unranked:
            more = f" (and {len(reasons) - 1} more: `--unranked --plan` lists them)" if len(reasons) > 1 else ""
            raise SuiteError(
                f"The suite {suite.name!r} cannot rank methods fairly: {reasons[0]}{more} Mend it, or run it with "
                f"--unranked."
            )
        for reason in reasons:
            console.print(f"Not ranked: {reason}", highlight=False, markup=False)
        return suite.model_copy(update={"ranking": not reasons})

    @property
    def folder(self) -> Path:
        """Where the run is kept."""
        return self.out or Path("runs") / Path(self.suite).stem


def _refuse_missing_device(suite: Suite) -> None:
    if suite.needs_device is None:
        return
    from sciml.solvers.base import checked_device

    try:
        checked_device(suite.needs_device)
    except OptionError:
        raise SuiteError(
            f"There is no {suite.needs_device} device here, so the suite {suite.name!r} has nothing to measure; "
            f"`--devices cpu,cpu` tries it out with the CPU in its place."
        ) from None


def plan_of(request: Request, as_json: bool) -> None:
    """Say what would run, and for how long."""
    suite = request.load()
    if not suite.problems:
        raise OptionError(f"The suite {suite.name!r} has checks alone; run it with --checks.")
    plan = make_plan(suite)
    cells = plan.test_cells({})
    rows = [_plan_row(plan, name, cells) for name in suite.method_names]
    if as_json:
        for row in rows:
            print(json.dumps(row))
        for cannot in plan.cannot:
            print(json.dumps({"cannot": asdict(cannot)}))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("method", "solver", "cells", "tasks", "tuning trials"):
        table.add_column(name, justify="right" if name in ("cells", "tasks", "tuning trials") else "left")
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)
    for task in plan.tasks:
        console.print(f"{task.role:13} {task.about['label']}", highlight=False, markup=False)
    for cannot in plan.cannot:
        console.print(f"{cannot.method} cannot do {cannot.problem}: {cannot.reason}", highlight=False, markup=False)
    factor = scale(matmul_rate())
    console.print(
        f"About {suite.cpu_hours * factor:.2g} CPU hours here ({suite.cpu_hours:g} on a core of 49 GFLOP/s).",
        highlight=False,
    )


def _plan_row(plan: Plan, name: str, cells: list[Any]) -> dict[str, Any]:
    own = [cell for cell in cells if cell.about["method"] == name]
    tuning = plan.suite.tuning
    return {
        "method": name,
        "solver": next(method.solver for method in plan.suite.methods if method.name == name),
        "cells": len(own),
        "tasks": len({cell.about["task"]["key"] for cell in own}),
        "trials": 0 if tuning is None else len(draw_trials(plan.space(name), tuning)),
    }


def benchmark(request: Request, as_json: bool) -> None:
    """Run a suite."""
    suite = request.load()
    if not suite.problems:
        raise OptionError(f"The suite {suite.name!r} has checks alone; run it with --checks.")
    plan = make_plan(suite)
    rate = matmul_rate()
    with _executor(request, plan) as executor, _ledger(suite, request.folder) as ledger:
        ledger.begin_session(
            **provenance(),
            rate_gflops=rate,
            scale=scale(rate),
            jobs=executor.slots,
            scheduler=request.scheduler,
            command=["sciml", *sys.argv[1:]],
        )
        with live_table(suite.name) as report:
            summary = run_plan(
                plan,
                request.folder,
                ledger,
                executor,
                factor=scale(rate),
                report=report,
                budget_seconds=None if request.cpu_hours is None else 3600 * request.cpu_hours,
                retry_failed=request.retry_failed,
            )
        lines = list(ledger.finished.values())
    _tell(request, suite, summary, lines, as_json)


def _ledger(suite: Suite, folder: Path) -> Ledger:
    version = package_versions()["sciml"]
    return Ledger(folder, suite=suite.name, digest=suite.digest, version=version, title=suite.title)


def _executor(request: Request, plan: Plan) -> Executor:
    if request.scheduler is not None:
        if request.jobs is not None:
            raise OptionError("--jobs is for this machine; the scheduler knows how many its workers take.")
        return DaskExecutor(request.scheduler)
    places = map(placement_of, plan.suite.placements)
    widest = max(place["threads"] * place["processes"] for place in places)
    return LocalPool(request.jobs or max(1, (os.cpu_count() or 1) // widest))


def _tell(request: Request, suite: Suite, summary: Summary, lines: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        for line in lines:
            print(json.dumps(line, allow_nan=False))
        return
    failures = [line for line in lines if line["reason"] is not None]
    for line in failures[:_SHOWN]:
        what = f"{line['method'] or 'truth'} on {line['task']['label']} {line['point'] or ''}"
        console.print(f"{line['reason']}: {what}: {line['message']}", highlight=False, markup=False)
    if len(failures) > _SHOWN:
        console.print(f"and {len(failures) - _SHOWN} more failures, all in the report", highlight=False)
    text = f"{suite.name}: {summary.done} cells done, {summary.failed} failed"
    if summary.unfinished:
        text += f", {summary.unfinished} left; the same command goes on"
    console.print(f"{text}; {duration(summary.cpu_seconds)} of CPU time.", highlight=False)
    console.print(f"`sciml report {request.folder}` writes the report.", highlight=False, markup=False)


def check(name: str, only: list[str], record: Path | None, as_json: bool) -> bool:
    """Measure the figures that a suite states and put them on record if asked to; whether all hold."""
    suite = load_suite(name)
    if not suite.checks:
        raise OptionError(f"The suite {suite.name!r} states no figures to check.")
    rate = matmul_rate()

    def report(result: CheckResult) -> None:
        verdict = "holds" if result.holds else "falls short"
        print(f"{result.check.name}: {verdict}", file=sys.stderr, flush=True)
        if record is not None:
            record_checks([result], record, rate)

    results = run_checks(suite.checks, only=only, scale=scale(rate), report=report)
    if as_json:
        for row in check_rows(results):
            print(json.dumps(row, allow_nan=False))
    else:
        print_checks(results, console)
    return all_hold(results)


def repeat(request: Request, key: str, as_json: bool) -> bool:
    """Run one cell of a run again and show both results; whether the errors agree."""
    found = rerun(request.folder, key, factor=scale(matmul_rate()))
    if as_json:
        print(json.dumps(asdict(found), allow_nan=False))
        return found.agrees
    table = Table(box=None, pad_edge=False)
    for name in ("", "recorded", "now"):
        table.add_column(name, justify="right" if name else "left")
    for name, (before, now) in found.rows().items():
        table.add_row(name, *(_shown(value) for value in (before, now)))
    console.print(f"{found.label} (key {key})", highlight=False, markup=False)
    console.print(table)
    return found.agrees


def _shown(value: Any) -> str:
    return significant(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value or "–")
