"""`sciml diagnose` says what a solver wrote about a training, draws it, and refuses what has nothing to say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

# A solver whose training is limited by its points, as it says.
SOLVER = '''"""A constant that knows what is wrong with it."""

import numpy as np
import torch

from sciml.solution import ADVICE, NetworkField, Seconds, Solution
from sciml.solution.diagnosis import Diagnosis, DiagnosisArrays
from sciml.solvers.base import Solver, SolverOptions


class Constant(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, x):
        return self.value.expand(len(x), 1)


class Options(SolverOptions):
    fails: bool = False


class ConstantSolver(Solver):
    name, title = "constant", "a constant"
    Options = Options

    def supports(self, problem):
        return None

    def solve(self, problem, options, context):
        if context.folder is not None:
            points = problem.domain.sample(50, np.random.default_rng(context.seed))
            grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 9)] * 2), axis=-1).reshape(-1, 2)
            Diagnosis(
                verdict="The residual between the points limits the error.",
                advice=["Give more points."],
                terms=[
                    {"name": "equation", "loss": 0.25, "gradient_norm": 3.0, "share": 0.75},
                    {"name": "dirichlet", "loss": 1e-9, "gradient_norm": 1.0, "share": 0.25},
                ],
                conditioning={"effective rank": 12.0, "span of eigenvalues": float("inf")},
            ).write(context.folder, DiagnosisArrays(points, grid, grid.sum(1)))
        if options.fails:
            raise KeyboardInterrupt
        return Solution(
            problem=problem, field=NetworkField(problem, Constant()), solver=self.name, options=options.model_dump(),
            status="budget_reached", message=ADVICE["budget_reached"], seconds=Seconds(), cpu_seconds=0.1,
            iterations=0, seed=context.seed,
        )


SOLVER = ConstantSolver()
'''


@pytest.fixture
def solved(sciml, tmp_path):
    (tmp_path / "constant.py").write_text(SOLVER)
    sciml.succeeds("solve poisson/sine -s ./constant.py --out run")
    return tmp_path / "run"


def test_a_diagnosis_is_printed_and_drawn(sciml, solved):
    record = json.loads((solved / "record.json").read_text())
    assert {"diagnosis.json", "diagnosis.npz", "diagnosis.png"} <= set(record["files"])
    (solved / "diagnosis.png").unlink()
    outcome = sciml.succeeds("diagnose run")
    assert outcome.out == ""
    for words in (
        "between the points limits",
        "Give more points",
        "equation",
        "75%",
        "1.0e-09",
        "rank: 12",
        "eigenvalues: –",
    ):
        assert words in outcome.told
    assert (solved / "diagnosis.png").stat().st_size > 10_000
    assert str(Path("run") / "diagnosis.png") in outcome.told


def test_as_json(sciml, solved):
    row = sciml.succeeds("diagnose run --json").row
    assert row["figures"] == [str(Path("run") / "diagnosis.png")]
    assert row["conditioning"] == {"effective rank": 12.0, "span of eigenvalues": None}
    assert row["terms"][1]["share"] == 0.25


def test_an_unfinished_run_is_diagnosed_where_it_is(sciml, solved):
    assert sciml("solve poisson/sine -s ./constant.py -o fails=true --out half").code == 130
    assert "unfinished" in sciml.succeeds("diagnose half --json").row["figures"][0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("diagnosis.json", b"{", "diagnosis.json is damaged"),
        ("diagnosis.json", b'{"advice": []}', "a verdict at least"),
        ("diagnosis.json", b'{"verdict": "x", "terms": [1]}', "each term has a name"),
        ("diagnosis.npz", b"PK", "diagnosis.npz is damaged"),
    ],
)
def test_what_is_damaged(sciml, solved, name, content, words):
    (solved / name).write_bytes(content)
    assert words in sciml("diagnose run").message


def test_what_has_nothing_to_say(sciml, tmp_path):
    sciml.succeeds("solve poisson/sine -o cells=2 --out plain")
    assert "Solver 'fenics' has written no diagnosis" in sciml("diagnose plain").message
    sciml.succeeds("compare poisson/sine -s fenics -o cells=2 --out both")
    assert "comparison" in sciml("diagnose both").message
    assert "holds no run" in sciml("diagnose nowhere").message
    (tmp_path / "plain" / "run.json").write_text("[]")
    assert "run.json is damaged" in sciml("diagnose plain").message


def test_a_network_that_was_trained(sciml, tmp_path):
    options = "-o points=100 -o add=20 -o width=6 -o depth=1 -o steps=12 -o flow_first_steps=5"
    sciml.succeeds(f"solve poisson/sine -s pinn {options} --out run")
    written = json.loads((tmp_path / "run" / "diagnosis.json").read_text())
    told = " ".join(sciml.succeeds("diagnose run").told.split())
    assert written["verdict"] in told
    assert "equation of u" in told
    assert "effective_rank" in told
    row = sciml.succeeds("diagnose run --json").row
    assert row["terms"] == written["terms"]
