"""The commands `benchmark` and `report`: what they say before anything runs, and what they refuse."""

from __future__ import annotations

import json

import pytest
import torch

FAIR = """\
format = 1
title = "A ranking"
cpu_hours = 0.1
ranking = true

[statistics]
seeds = [1, 2, 3, 4, 5]
hidden = 1

[tuning]
trials = 3
seed = 5

[[problems]]
name = "poisson/peak"

  [[problems.baselines]]
  method = "FEM"
  why = "Elements of degree 2 converge with order 3 to a smooth solution."

[[methods]]
name = "FEM"
solver = "fenics"
sweep = { cells = [4, 8, 16, 32, 64] }

[[methods]]
name = "PINN"
solver = "deepxde"
sweep = { adam = [10, 20, 40] }
"""


@pytest.fixture
def suite(tmp_path):
    def write(old="", new=""):
        assert old in FAIR
        path = tmp_path / "suite.toml"
        path.write_text(FAIR.replace(old, new, 1) if old else FAIR, encoding="utf-8")
        return str(path)

    return write


def test_the_plan_is_told(sciml, suite):
    done = sciml(f"benchmark {suite()} --plan --json")
    assert (done.code, done.err) == (0, "")
    rows = {row["method"]: row for row in done.rows}
    assert rows["FEM"] == {"method": "FEM", "solver": "fenics", "cells": 10, "tasks": 2, "trials": 3}
    assert rows["PINN"]["cells"] == 2 * 3 * 5
    done = sciml(f"benchmark {suite()} --plan")
    assert (done.code, done.out) == (0, "")
    assert "hidden member 0" in done.told
    assert "0.1 on a core of 49 GFLOP/s" in done.told


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seeds = [1, 2, 3, 4, 5]", "seeds = [1]", "1 seed"),
        ("[4, 8, 16, 32, 64]", "[64]", "swept over 1 resolution"),
        ("sweep = { cells", "space = {}\nsweep = { cells", "'FEM' is not tuned although others are"),
        ("hidden = 1", "hidden = 0", "no hidden members are drawn"),
        ("seed = 5", "seed = 2026", "tuned on the hidden members"),
        ("[tuning]", "[truth]\noptions = { cells = 64 }\n\n[tuning]", "is the truth's own run at cells = 64"),
    ],
)
def test_what_cannot_rank_fairly_is_refused(sciml, suite, old, new, said):
    message = sciml(f"benchmark {suite(old, new)} --plan").message
    assert said in message
    assert "--unranked" in message


def test_unranked_on_demand(sciml, suite):
    done = sciml(f"benchmark {suite('seeds = [1, 2, 3, 4, 5]', 'seeds = [1]')} --plan --unranked")
    assert done.code == 0
    assert "Not ranked: statistics.seeds has 1 seed" in done.told


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("benchmark quik", "did you mean 'quick'"),
        ("benchmark quick --only x", "give --checks too"),
        ("benchmark quick --checks --plan", "give one of them"),
        ("benchmark quick --checks", "states no figures"),
        ("benchmark figures --plan", "run it with --checks"),
        ("benchmark figures --checks --only wave_stepz", "did you mean 'wave_steps'"),
        ("benchmark quick --devices cpu,cpu", "give one for each"),
        ("benchmark quick --rerun abc --out nowhere", "holds no run of a benchmark"),
        ("benchmark quick --scheduler tcp://127.0.0.1:1 --jobs 2", "--jobs is for this machine"),
        ("report nowhere", "holds no run of a benchmark"),
    ],
)
def test_bad_input(sciml, command, said):
    assert said in sciml(command).message


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device")
def test_without_a_device_there_is_nothing_to_measure(sciml):
    assert sciml("benchmark gpu").message == (
        "There is no cuda device here, so the suite 'gpu' has nothing to measure; `--devices cpu,cpu` tries it out "
        "with the CPU in its place."
    )


def test_a_check_by_its_name(sciml, tmp_path):
    docstring = '"""Measure.\n\n    Returns\n    -------\n    dict\n    """'
    (tmp_path / "mine.py").write_text(
        f'def answer() -> dict[str, float]:\n    {docstring}\n    return {{"value": 42.0}}\n'
    )
    (tmp_path / "s.toml").write_text(
        'format = 1\ntitle = "t"\ncpu_hours = 0.01\n[[checks]]\nname = "answer"\ntitle = "the answer"\n'
        'measure = "./mine.py:answer"\n[checks.figures]\nvalue = { at_most = 41.0, aim_at_least = 40.0 }\n'
    )
    done = sciml("benchmark s.toml --checks --json --record record.json")
    assert done.code == 1
    assert done.row["verdict"] == "falls short"
    assert done.row["aim"] == "aim reached"
    assert json.loads((tmp_path / "record.json").read_text())["answer"]["figures"]["value"] == [42.0]
