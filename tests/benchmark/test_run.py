"""A suite from its text to its ledger, with solvers and problems of a user's own; each cell is a real process."""

from __future__ import annotations

import json

import pytest

from sciml.benchmark.executors import LocalPool
from sciml.benchmark.ledger import Ledger
from sciml.benchmark.plan import make_plan
from sciml.benchmark.rerun import rerun
from sciml.benchmark.run import run_plan
from sciml.benchmark.suite import load_suite
from sciml.errors import OptionError, UnknownNameError

PROBLEM = '''
"""A problem of a user's own."""
from ufl import grad, pi, sin
from sciml import Box, Dirichlet, Problem, parameter


class Bump(Problem):
    """A bump."""

    domain = Box(0, 1)
    height = parameter(1.0, draw=(0.5, 2.0))
    conditions = (Dirichlet(on="boundary"),)

    def flux(self, u):
        return grad(u)

    def exact(self, x):
        return self.height * sin(pi * x[0])
'''
SOLVER = '''
"""A parabola through the ends, or something worse."""
import time
import numpy as np
import torch
from pydantic import Field
from sciml.errors import DivergenceError
from sciml.solution import ADVICE, NetworkField, Seconds, Solution
from sciml.solvers.base import Solver, SolverOptions


class Parabola(torch.nn.Module):
    """x -> height * 4 x (1 - x)."""

    def __init__(self, height):
        super().__init__()
        self.height = torch.nn.Parameter(torch.tensor(height, dtype=torch.float64))

    def forward(self, x):
        return 4 * self.height * x * (1 - x)


class Options(SolverOptions):
    """Options."""

    height: float = Field(1.0, description="of the parabola")
    act: str = Field("well", description="how it behaves")


class ParabolaSolver(Solver):
    """u = 4 h x (1 - x)."""

    name, title, Options = "parabola", "a parabola", Options
    stochastic = True
    tuning_space = {"height": (0.5, 1.0, 1.5)}

    def supports(self, problem):
        return None

    def solve(self, problem, options, context):
        height = options.height + 1e-3 * np.random.default_rng(context.seed).random()
        if options.act == "raise":
            raise RuntimeError("the parabola fell over")
        if options.act == "diverge":
            raise DivergenceError("the parabola grew beyond all bounds")
        if options.act == "hang":
            time.sleep(600)
        if options.act == "eat":
            kept = [np.ones(30_000_000) for _ in range(100)]
        if options.act == "nan":
            height = float("nan")
        return Solution(
            problem=problem, field=NetworkField(problem, Parabola(height)), solver=self.name,
            options=options.model_dump(), status="budget_reached", message=ADVICE["budget_reached"],
            seconds=Seconds(solve=1e-3), cpu_seconds=context.cpu_seconds, iterations=1, seed=context.seed,
            trainable_parameters=1,
        )


SOLVER = ParabolaSolver()
'''
SUITE = """\
format = 1
title = "Parabolas"
cpu_hours = 0.01

[limits]
cpu_seconds = 60.0
memory = 1.5

[statistics]
seeds = [1]
hidden = 0

{tuning}
[[problems]]
name = "./bump.py"

[[methods]]
name = "parabola"
solver = "./parabola.py"
{options}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bump.py").write_text(PROBLEM)
    (tmp_path / "parabola.py").write_text(SOLVER)
    return tmp_path


@pytest.fixture
def run(folder, monkeypatch):
    """Runs a suite with these texts; the summary and the ledger's lines by key."""

    def go(options, tuning="", wall_seconds=None, **keywords):
        (folder / "suite.toml").write_text(SUITE.format(options=options, tuning=tuning))
        suite = load_suite(folder / "suite.toml")
        if wall_seconds is not None:
            from sciml.benchmark import run as module

            limits = module.Limits
            monkeypatch.setattr(module, "Limits", lambda **given: limits(**given, wall_seconds=wall_seconds))
        ledger = Ledger(folder / "run", suite=suite.name, digest=suite.digest, version="1")
        with LocalPool(2) as pool, ledger:
            ledger.begin_session(command=["test"])
            summary = run_plan(make_plan(suite), folder / "run", ledger, pool, **keywords)
            return summary, dict(ledger.finished)

    return go


def of_stage(lines, stage):
    return [line for line in lines.values() if line["stage"] == stage]


def test_every_failure_has_its_reason_and_harms_no_other(run):
    acts = ["well", "raise", "diverge", "hang", "eat", "nan"]
    summary, lines = run(f"sweep = {{ act = {acts} }}", wall_seconds=25.0)
    found = {line["point"]["act"]: line for line in of_stage(lines, "test")}
    assert {act: line["reason"] for act, line in found.items()} == {
        "well": None,
        "raise": "error",
        "diverge": "diverged",
        "hang": "time",
        "eat": "memory",
        "nan": "not_finite",
    }
    assert "the parabola fell over" in found["raise"]["message"]
    assert all(line["message"] for act, line in found.items() if act != "well")
    assert 0.03 < found["well"]["result"]["errors"]["relative_l2"] < 0.06
    assert (summary.cells, summary.done, summary.failed, summary.unfinished) == (7, 2, 5, 0)
    assert "NaN" not in json.dumps(list(lines.values()))


def test_tuning_chooses_on_tasks_of_its_own_and_nothing_runs_twice(run, folder):
    tuning = '[tuning]\ntrials = 3\nobjective = "error"\n'
    first, lines = run("", tuning, budget_seconds=0.0)
    assert (first.done, first.unfinished > 0) == (0, True)
    _, lines = run("", tuning)
    told = json.loads((folder / "run" / "tuning.json").read_text())["parabola"]
    tuned, tested = of_stage(lines, "tuning"), of_stage(lines, "test")
    assert len(tuned) == len(told["trials"]) == 3
    errors = {line["options"].get("height", 1.0): line["result"]["errors"]["relative_l2"] for line in tuned}
    best = min(errors, key=errors.get)
    assert told["chosen"].get("height", 1.0) == best
    assert [line["options"].get("height", 1.0) for line in tested] == [best]
    assert {line["task"]["key"] for line in tuned}.isdisjoint(line["task"]["key"] for line in tested)
    assert told["tasks"] == sorted({line["task"]["key"] for line in tuned})
    again, same = run("", tuning)
    assert again.cpu_seconds == 0
    assert same == lines
    key = tested[0]["key"]
    repeated = rerun(folder / "run", key[:8])
    assert repeated.agrees
    assert repeated.rows()["relative_l2"][0] == repeated.rows()["relative_l2"][1]
    with pytest.raises(UnknownNameError, match="cell"):
        rerun(folder / "run", "zzz")
    with pytest.raises(OptionError, match="give more of it"):
        rerun(folder / "run", "")
