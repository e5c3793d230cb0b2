"""The same cells at several places: one thread, two processes under MPI, and a device with the CPU in its place."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SUITE = """\
format = 1
title = "Places"
cpu_hours = 0.02
needs_device = "cuda"

[[placements]]
name = "one thread"

[[placements]]
name = "MPI"
processes = 2

[[placements]]
name = "GPU, float32"
device = "cuda"
precision = "float32"

[[problems]]
name = "poisson/sine"

[[methods]]
name = "multigrid"
solver = "multigrid"
sweep = { cells = [8, 16] }
placements = ["one thread", "GPU*"]

[[methods]]
name = "PINN"
solver = "deepxde"
options = { adam = 20, lbfgs = 0 }
placements = ["GPU*"]

[[methods]]
name = "FEM"
solver = "fenics"
sweep = { cells = [8] }
placements = ["one thread", "MPI"]
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Result by method, placement and point."""
    folder = tmp_path_factory.mktemp("devices")
    (folder / "places.toml").write_text(
        SUITE.replace("[[placements]]", "[statistics]\nseeds = [1]\n\n[[placements]]", 1)
    )
    command = ["benchmark", "places.toml", "--devices", "cpu,cpu", "--out", "run", "--jobs", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "sciml", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in map(json.loads, done.stdout.splitlines()) if line["stage"] == "test"]
    assert {line["message"] for line in lines} == {""}
    return {(line["method"], line["placement"]["name"], *line["point"].values()): line["result"] for line in lines}


def test_each_cell_ran_where_it_was_placed(results):
    assert set(results) == {
        *(("multigrid", place, cells) for place in ("one thread", "GPU, float32") for cells in (8, 16)),
        ("PINN", "GPU, float32"),
        ("FEM", "one thread", 8),
        ("FEM", "MPI", 8),
    }
    for (_, place, *_), result in results.items():
        assert result["device"] == "cpu"
        assert result["precision"] == ("float32" if "float32" in place else "float64")
        assert result["processes"] == (2 if place == "MPI" else 1)
        assert result["threads"] == 1
        assert result["tf32"] is False
        assert result["warm_up"]["kind"] in ("solve", "load")


def test_places_agree(results):
    def error(*key):
        return results[key]["errors"]["relative_l2"]

    assert error("FEM", "MPI", 8) == pytest.approx(error("FEM", "one thread", 8), rel=1e-6)
    # A cycle in single precision inside of a loop in double precision.
    assert error("multigrid", "GPU, float32", 16) == pytest.approx(error("multigrid", "one thread", 16), rel=1e-4)
    assert error("multigrid", "one thread", 16) < 0.35 * error("multigrid", "one thread", 8)
