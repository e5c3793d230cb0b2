"""The suite `quick` by the commands that a user types, and the page that comes of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sciml.benchmark.gates import GATES, judge
from sciml.benchmark.reading import read_run


def sciml(*arguments):
    command = [sys.executable, "-m", "sciml", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("quick") / "run"
    done = sciml("benchmark", "quick", "--out", out, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    return out


def test_every_cell_has_a_result(folder):
    run = read_run(folder)
    assert {row.reason for row in run.rows} == {None}
    assert {row.method for row in run.rows} == {"FEM", "Chebyshev", "PINN"}
    assert {row.task.role for row in run.rows} == {"named", "hidden"}
    fin = [row for row in run.rows if row.task.label == "diffusion/cooling_fin"]
    errors = {(row.method, *row.point.values()): row.error("relative_l2") for row in fin}
    assert errors["Chebyshev", 12] < 1e-9
    assert errors["FEM", 32] < errors["FEM", 2] / 30
    assert all(row.measured.rollout for row in run.rows if row.task.problem == "wave/standing")
    assert set(run.tuned) == {"PINN"}


def test_the_same_command_runs_nothing_again(folder):
    before = (folder / "ledger.jsonl").read_text()
    done = sciml("benchmark", "quick", "--out", folder, "--json")
    assert done.returncode == 0, done.stderr
    added = (folder / "ledger.jsonl").read_text().removeprefix(before).splitlines()
    assert [json.loads(line)["kind"] for line in added] == ["session"]
    keys = [json.loads(line)["key"] for line in done.stdout.splitlines()]
    assert len(keys) == len(set(keys)) == sum(json.loads(line)["kind"] == "attempt" for line in before.splitlines())


def test_the_report_shows_the_outcome_of_every_gate(folder):
    done = sciml("report", folder)
    assert done.returncode == 0, done.stderr
    page, text = ((folder / f"report.{kind}").read_text() for kind in ("html", "md"))
    names = {finding.gate for finding in judge(read_run(folder))}
    assert len(names) == len(GATES)
    for name in names:
        assert name in page
        assert name in text
    assert "a ranking needs 5" in text  # one seed is not five
    assert "http://" not in page.replace("http://www.w3.org", "")
