"""Two processes give what one gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

MPIEXEC = Path(sys.executable).with_name("mpiexec")
pytestmark = pytest.mark.skipif(not MPIEXEC.is_file(), reason="no mpiexec beside this Python")

# Scalar and vector, linear and nonlinear, direct and multigrid, no Dirichlet side, materials, random field, in time,
# periodic, several fields, stabilised.
CASES = [
    ("poisson/sine", {"cells": 8}, None),
    ("poisson/sine", {"cells": 4, "degree": 3}, None),
    ("poisson/pure_neumann", {"cells": 8}, None),
    ("poisson/pure_neumann", {"cells": 8, "linear_solver": "gamg"}, None),
    ("elasticity/cook", {"linear_solver": "gamg", "measure_error": False}, None),
    ("nonlinear/minimal_surface", {"cells": 8}, None),
    ("hyperelasticity/block", {"cells": 4, "measure_error": False}, None),
    ("hyperelasticity/void", {"measure_error": False}, None),
    ("poisson/obstacles", {"degree": 1, "measure_error": False}, None),
    ("thermal/fibre_composite", {"measure_error": False}, None),
    ("darcy/two_phase", {"cells": 8, "degree": 1}, None),
    ("heat/mixed_conditions", {"cells": 4, "steps": 8}, 0.7),
    ("wave/open_square", {"cells": 8, "steps": 16, "measure_error": False}, 0.9),
    ("wave/standing", {"cells": 8, "scheme": "explicit", "degree": 1}, 0.5),
    ("phase_field/allen_cahn", {"cells": 4, "steps": 8}, 3.0),
    ("poisson/torus", {"cells": 8}, None),
    ("poisson/torus", {"cells": 8, "linear_solver": "gamg", "degree": 1}, None),
    ("elasticity/periodic_voids", {}, None),
    ("OWN.py", {"cells": 8, "load_steps": 2}, None),
    ("wave/travelling", {"cells": 8, "steps": 16}, 0.5),
    ("stokes/vortex", {"cells": 4}, None),
    ("navier_stokes/kovasznay", {"cells": 4, "measure_error": False}, None),
    ("darcy/mixed", {"cells": 4}, None),
    ("navier_stokes/taylor_green", {"cells": 4, "steps": 4, "measure_error": False}, 0.3),
    ("advection/quarter_turn", {"cells": 8}, None),
    ("wave/travelling", {"cells": 8, "degree": 1, "scheme": "explicit"}, 0.5),
]
OWN = """
from ufl import grad, sin, pi
from sciml import Box, Dirichlet, Periodic, Problem

class Strip(Problem):
    domain = Box((0.0, 0.0), (1.0, 1.0))
    load = 1.0

    def flux(self, u):
        return (1 + u**2) * grad(u)

    def conditions(self, x):
        return [Periodic("right", "left"), Dirichlet(sin(2 * pi * x[0]), on=["bottom", "top"])]
"""
SCRIPT = """
import json, sys
import numpy as np
import sciml
out = {}
for number, (name, options, instant) in enumerate(json.loads(sys.argv[1])):
    solution = sciml.solve(name, "fenics", **options)
    points = solution.problem.domain.sample(40, np.random.default_rng(0))
    when = {} if instant is None else {"t": instant}
    estimate = solution.error_estimate
    out[str(number)] = solution.evaluate(points, **when)
    out[f"{number} error"] = np.array([0.0 if estimate is None else estimate.relative_l2])
from mpi4py import MPI
np.savez(f"{sys.argv[2]}_{MPI.COMM_WORLD.rank}.npz", **out)
"""


def run(folder, *command):
    # Open MPI's and Slurm's words would count as a launcher's.
    return subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def test_every_class_of_problem(tmp_path):
    """Values and the measured error, on both processes, to 1e-10 of the largest."""
    (tmp_path / "OWN.py").write_text(OWN)
    arguments = ["-c", SCRIPT, json.dumps(CASES)]
    for label, launcher in (("one", []), ("two", [MPIEXEC, "-n", 2])):
        done = run(tmp_path, *launcher, sys.executable, *arguments, label)
        assert done.returncode == 0, done.stderr
    alone = np.load(tmp_path / "one_0.npz")
    for rank in range(2):
        together = np.load(tmp_path / f"two_{rank}.npz")
        for number, case in enumerate(CASES):
            size = np.abs(alone[str(number)]).max()
            assert np.abs(together[str(number)] - alone[str(number)]).max() <= 1e-10 * size, case
            error, same = alone[f"{number} error"], together[f"{number} error"]
            assert np.abs(error - same).max() <= 1e-6 * np.abs(error).max(), case


SOLID = """
from sciml import Box, Dirichlet, Neumann
from sciml.laws import TwoScale


class Bar(TwoScale):
    domain = Box((0.0, 0.0), (2.0, 1.0))
    cell = "rve/disc"
    conditions = (Dirichlet(0.0, on="left"), Neumann((0.0, -2.0), on="right"))
"""
TWO_SCALES = """
import sys
import numpy as np
import sciml
solution = sciml.solve("./solid.py", "fe2", cells=2)
from mpi4py import MPI
np.save(f"{sys.argv[1]}_{MPI.COMM_WORLD.rank}.npy", solution.history["stress"])
"""


def test_two_scales(tmp_path):
    """Cells are divided between the processes, and both know the stress at all points."""
    (tmp_path / "solid.py").write_text(SOLID)
    for label, launcher in (("one", []), ("two", [MPIEXEC, "-n", 2])):
        done = run(tmp_path, *launcher, sys.executable, "-c", TWO_SCALES, label)
        assert done.returncode == 0, done.stderr
    alone = np.load(tmp_path / "one_0.npy")
    assert np.abs(alone).max() > 1
    for rank in range(2):
        together = np.load(tmp_path / f"two_{rank}.npy")
        assert np.abs(together - alone).max() <= 1e-10 * np.abs(alone).max()


def test_the_command(tmp_path):
    sciml = [sys.executable, "-m", "sciml", "mpi", "-n", 2]
    done = run(tmp_path, *sciml, "solve", "poisson/sine", "-o", "cells=8", "--out", "here", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = map(json.loads, done.stdout.splitlines())
    assert row["relative_l2"] < 1e-2
    written = {path.name for path in (tmp_path / "here").iterdir()}
    assert written == {"solution.h5", "solution.vtu", "figure.png", "record.json", "run.json"}


def test_a_refusal_ends_all_processes(tmp_path):
    sciml = [sys.executable, "-m", "sciml", "mpi", "-n", 2]
    done = run(tmp_path, *sciml, "solve", "poisson/sine", "-o", "degree=9")
    assert done.returncode != 0
    assert done.stderr.count("Error: ") == 1
    assert "1 to 4" in done.stderr
    assert "Traceback" not in done.stderr
    done = run(tmp_path, *sciml)
    assert done.returncode == 1
    assert "needs a command" in done.stderr


def test_a_foreign_launcher_is_refused(tmp_path):
    """It starts processes that do not know of each other: each would solve the whole problem."""
    done = subprocess.run(
        [sys.executable, "-m", "sciml", "solve", "poisson/sine", "-o", "cells=2"],
        cwd=tmp_path, env=os.environ | {"OMPI_COMM_WORLD_SIZE": "3", "OMPI_COMM_WORLD_RANK": "0"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode != 0
    assert "The launcher started 3 processes, but this environment's MPI sees 1" in done.stderr
