"""Jobs, ledgers, and looking at processes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sciml.benchmark.ledger import Ledger
from sciml.benchmark.process import Limits
from sciml.benchmark.runner import Job

CHEAP = Path(__file__).with_name("cheap_jobs.py")


def is_alive(number):
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.fixture
def all_end():
    """Waits until processes have ended, and says which have not."""

    def look(numbers, seconds=5.0):
        end = time.monotonic() + seconds
        while (alive := [n for n in numbers if is_alive(n)]) and time.monotonic() < end:
            time.sleep(0.01)
        return alive

    return look


@pytest.fixture
def cheap():
    """The name under which a function of ``cheap_jobs.py`` is called."""
    return lambda name: f"{CHEAP}:{name}"


@pytest.fixture
def make_job(cheap):
    """A job that calls a function of ``cheap_jobs.py``."""

    def make(key, name="digest", group="group", limits=None, **payload):
        limits = limits or Limits(cpu_seconds=30, memory=1, wall_seconds=60)
        payload = {"x": key} | payload
        return Job(key, f"job {key}", group, cheap(name), payload, limits, {"stage": "test", "seed": 0})

    return make


@pytest.fixture
def open_ledger(tmp_path):
    """Opens the ledger of a run, with a session begun."""

    def make(folder=tmp_path / "run", session=True, **changes):
        ledger = Ledger(folder, **({"suite": "small", "digest": "abc", "version": "1.0", "title": "Small"} | changes))
        if session:
            ledger.begin_session(command=["test"])
        return ledger

    return make
