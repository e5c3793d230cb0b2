"""A cell on several processes: the first one measures, costs are sums over all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sciml.benchmark.worker import run_cell

MPIEXEC = Path(sys.executable).with_name("mpiexec")
CODE = """
import json, sys
from sciml.benchmark.worker import run_cell
result = run_cell(json.load(open(sys.argv[1])))
if result:
    json.dump(result, open(sys.argv[2], "w"), allow_nan=False)
"""


@pytest.mark.slow
@pytest.mark.skipif(not MPIEXEC.is_file(), reason="no mpiexec beside this Python")
def test_two_processes_measure_what_one_does(cell, plate, tmp_path):
    payload = cell(plate(), "fenics", {"cells": 8}, {"options": {"cells": 16}})
    alone = run_cell(payload)
    payload["placement"]["processes"] = 2
    given, written = tmp_path / "payload.json", tmp_path / "result.json"
    given.write_text(json.dumps(payload))
    command = [str(MPIEXEC), "-n", "2", sys.executable, "-c", CODE, str(given), str(written)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(written.read_text())
    assert result["processes"] == 2
    assert result["errors"] == pytest.approx(alone["errors"], rel=1e-6)
    assert result["quantities"]["heat"] == pytest.approx(alone["quantities"]["heat"], rel=1e-6)
    # Each of the two has its own interpreter and libraries.
    assert result["peak_memory"] > 2e8
    assert all(row["cpu"] > 0 for row in result["timings"])
