"""What a run was made on, and how bounds in CPU seconds are scaled."""

from __future__ import annotations

import json
import subprocess

import pytest

from sciml.benchmark import machine


def test_scale():
    assert machine.scale(machine.NOMINAL_GFLOPS) == 1
    assert machine.scale(machine.NOMINAL_GFLOPS / 2) == 2


def test_rate_is_of_products_that_were_made(monkeypatch):
    """2 n³ operations in the time of the fastest product, by a clock that gives each one another time."""
    clock = iter([0.0, *(x for k in range(4) for x in (k, k, k + [0.4, 0.2, 0.5, 0.3][k])), 4.0])
    monkeypatch.setattr(machine.time, "perf_counter", lambda: next(clock))
    assert machine.matmul_rate(size=100, seconds=3.5) == pytest.approx(2e6 / 0.2 / 1e9)


def test_provenance_can_be_written():
    found = machine.provenance()
    json.dumps(found, allow_nan=False)
    assert set(found) == {"machine", "commit", "versions"}
    assert found["machine"]["cpu"]
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["memory"] > 2**28
    assert {"sciml", "torch", "numpy"} <= set(found["versions"])


def test_commit(tmp_path, monkeypatch):
    """Of the checkout that holds the package, marked where files differ; none where it is no checkout."""
    place = tmp_path / "sciml" / "benchmark" / "machine.py"
    place.parent.mkdir(parents=True)
    place.write_text("old")
    monkeypatch.setattr(machine, "__file__", str(place))
    assert machine.provenance()["commit"] is None

    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *identity, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init")
    git("add", ".")
    git("commit", "-m", "first", "--no-verify")
    commit = git("rev-parse", "HEAD")
    assert machine.provenance()["commit"] == commit
    place.write_text("new")
    assert machine.provenance()["commit"] == f"{commit}-dirty"
