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


def run_on_two(code, *arguments):
    """Run code in two processes under MPI; processes that wait for each other are ended after two minutes."""
    command = [str(MPIEXEC), "-n", "2", sys.executable, "-c", code, *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not MPIEXEC.is_file(), reason="no mpiexec beside this Python")
def test_two_processes_measure_what_one_does(cell, plate, tmp_path):
    payload = cell(plate(), "fenics", {"cells": 8}, {"options": {"cells": 16}})
    alone = run_cell(payload)
    payload["placement"]["processes"] = 2
    given, written = tmp_path / "payload.json", tmp_path / "result.json"
    given.write_text(json.dumps(payload))
    run_on_two(CODE, str(given), str(written))
    result = json.loads(written.read_text())
    assert result["processes"] == 2
    assert result["errors"] == pytest.approx(alone["errors"], rel=1e-6)
    assert result["quantities"]["heat"] == pytest.approx(alone["quantities"]["heat"], rel=1e-6)
    # Each of the two has its own interpreter and libraries.
    assert result["peak_memory"] > 2e8
    assert all(row["cpu"] > 0 for row in result["timings"])


CLOCKS = """
import sys, time
from mpi4py import MPI

world, clock = MPI.COMM_WORLD, time.perf_counter
if world.rank == 1:  # a clock that runs three times as fast
    time.perf_counter = lambda: 3.0 * clock()

from sciml.benchmark.worker import Placement, _repeated
from sciml.solution import Seconds

class Answer:
    seconds = Seconds(setup=0.0, solve=0.004, post=0.0)

solves = 0

def run():
    global solves
    solves += 1
    time.sleep(0.004)
    # Whoever solves more often than the other one is alone at the next sum.
    assert world.allreduce(solves) == 2 * solves
    return Answer

_, timings = _repeated(run, 3, None, Placement(processes=2))
assert len(timings) == 3, timings
counts = world.allgather([row["solves"] for row in timings])
assert counts[0] == counts[1] and counts[0][0] > 5, counts
assert world.allgather(solves) == [solves, solves]
"""


@pytest.mark.skipif(not MPIEXEC.is_file(), reason="no mpiexec beside this Python")
def test_processes_whose_clocks_differ_solve_equally_often():
    run_on_two(CLOCKS)
