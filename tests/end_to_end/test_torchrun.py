"""Two processes of torchrun solve together, and write once."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

OPTIONS = "-o width=8 -o depth=2 -o points=150 -o budget=250 -o add=25 -o steps=30 -o checkpoint_every=0"
LINE = f"solve poisson/peak -p sharpness=5 -s pinn {OPTIONS}"


def run(folder, line, processes=2):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.run(
        [*command, "-m", "sciml", *line.split()],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_two_processes_of_torchrun(sciml, tmp_path):
    alone = sciml.succeeds(f"{LINE} --out alone --json").row
    outcome = run(tmp_path, f"{LINE} --out both --json")
    assert outcome.returncode == 0, outcome.stderr
    (row,) = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert row["relative_l2"] == pytest.approx(alone["relative_l2"], rel=0.05)
    assert {path.name for path in (tmp_path / "both").iterdir()} == {
        path.name for path in (tmp_path / "alone").iterdir()
    }


@pytest.mark.slow
def test_what_is_not_shared_is_refused_once(tmp_path):
    outcome = run(tmp_path, "solve poisson/sine -s fenics")
    assert outcome.returncode != 0
    assert outcome.stderr.count("does not share its work between processes of torchrun") == 1
