"""A killed run goes on to the bits of an uninterrupted one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from terminal import WALL, plate_text, write

RUN = "-s deepxde -o adam=150 -o lbfgs=450 -o width=16 -o points=400 -o checkpoint_every=0 --seed 3"
TIMED = {"seconds", "cpu_seconds"}


def start(folder, *arguments):
    command = [sys.executable, "-m", "sciml", *arguments]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)


def kill_after_a_checkpoint(process, folder, sign):
    checkpoints = folder / "unfinished" / "checkpoint"
    for _ in range(6000):
        # Not the temporary file of one that is being written.
        if any(checkpoints.glob("training-*.json")):
            break
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    os.kill(process.pid, sign)
    return process.communicate()[1]


def weights(folder):
    with h5py.File(folder / "solution.h5") as file:
        found = {}
        file["field"].visititems(lambda name, item: found.update({name: item[()]} if hasattr(item, "dtype") else {}))
    return found


@pytest.mark.parametrize(
    "sign",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_killed_and_resumed(sciml, tmp_path, sign):
    sciml.succeeds(f"solve poisson/sine {RUN} --out whole")
    process = start(tmp_path, "solve", "poisson/sine", *RUN.split(), "--out", "half")
    told = kill_after_a_checkpoint(process, tmp_path / "half", sign)
    assert process.returncode == (-sign if sign == signal.SIGKILL else 128 + sign)
    assert not (tmp_path / "half" / "record.json").exists()
    if sign != signal.SIGKILL:
        assert told.splitlines()[-1] == f"Interrupted by {sign.name}; `sciml resume half` continues."
    assert "unfinished run" in sciml("solve poisson/sine --out half").message
    row = sciml.succeeds("resume half --json").row
    whole, half = (json.loads((tmp_path / name / "record.json").read_text()) for name in ("whole", "half"))
    assert half["cpu_seconds"] > 0
    assert row["iterations"] == 600
    assert {k: v for k, v in half.items() if k not in TIMED} == {k: v for k, v in whole.items() if k not in TIMED}
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "half")
    assert one.keys() == other.keys()
    assert len(one) >= 8
    assert all(np.array_equal(one[name], other[name]) for name in one)
    again = sciml("resume half --json")
    assert again.code == 0
    assert "half is finished" in again.told
    assert again.row["relative_l2"] == row["relative_l2"]
    assert not (tmp_path / "half" / "unfinished").exists()


def test_a_comparison_can_be_resumed(sciml, tmp_path, monkeypatch):
    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sciml.cli.runs.compare", interrupted)
        outcome = sciml("compare poisson/sine -s fenics -o cells=4 --out both")
    assert outcome.code == 130
    assert "`sciml resume both`" in outcome.told
    row = sciml.succeeds("resume both --json").row
    assert row["options"]["cells"] == 4
    assert json.loads((tmp_path / "both" / "record.json").read_text())["rows"] == [row]


def test_resuming_in_another_folder(sciml, tmp_path, monkeypatch):
    """A problem file is found again from anywhere; one that is gone is named."""
    text = "from ufl import grad\nfrom sciml import *\n\n\nclass P(Problem):\n    '''P.'''\n\n    domain = Box(0, 1)\n"
    text += "    load = 1.0\n    conditions = (Dirichlet(0.0, on='boundary'),)\n\n    def flux(self, u):\n        return grad(u)\n"
    (tmp_path / "work").mkdir()
    file = write(tmp_path / "work", "mine.py", text)
    monkeypatch.chdir(tmp_path / "work")

    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sciml.cli.runs.solve", interrupted)
        assert sciml("solve mine.py --out ../half").code == 130
    monkeypatch.chdir(tmp_path)
    file.rename(tmp_path / "elsewhere.py")
    assert "mine.py" in sciml("resume half").message
    (tmp_path / "elsewhere.py").rename(file)
    sciml.succeeds("resume half")


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "damaged"), ("[]", "damaged"), ('{"command": "solve"}', "damaged"), (None, "holds no run")],
)
def test_what_cannot_be_resumed(sciml, tmp_path, content, words):
    if content is not None:
        (tmp_path / "half" / "unfinished").mkdir(parents=True)
        write(tmp_path / "half" / "unfinished", "run.json", content)
    assert words in sciml("resume half").message


@pytest.mark.parametrize("what", ["wall.py", "wall.msh"])
def test_a_problem_that_was_changed_is_not_continued(sciml, tmp_path, monkeypatch, what):
    write(tmp_path, "wall.msh", plate_text())
    write(tmp_path, "wall.py", WALL)

    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sciml.cli.runs.solve", interrupted)
        assert sciml("solve wall.py --out half").code == 130
    changed = {"wall.py": WALL.replace("load = 1.0", "load = 2.0"), "wall.msh": plate_text(n=5)}
    write(tmp_path, what, changed[what])
    message = sciml("resume half").message
    assert "wall.py" in message
    assert "changed after the run" in message
    write(tmp_path, what, {"wall.py": WALL, "wall.msh": plate_text()}[what])
    sciml.succeeds("resume half")
