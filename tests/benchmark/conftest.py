"""Jobs, ledgers and looking at processes; fields known in closed form, and problem files with tasks made of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# `synthetic_runs` builds the folders of runs that never ran.
sys.path.insert(0, str(Path(__file__).parent))

from sciml import load_problem
from sciml.benchmark.ledger import Ledger
from sciml.benchmark.process import Limits
from sciml.benchmark.runner import Job
from sciml.benchmark.tasks import task_of
from sciml.benchmark.worker import run_truth
from sciml.problem import Problem
from sciml.solution import Evolution, Field

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


PLATE = '''
"""A problem of a user's own."""
from ufl import grad
from sciml import Box, Dirichlet, Problem, parameter, dx


class Plate(Problem):
    """A plate that is heated evenly."""

    domain = Box((0, 0), (1, 1))
    power = parameter(2.0, above=0)
    centre = parameter((0.5, 0.5))
    conditions = (Dirichlet(0.0, on="boundary"),)

    def flux(self, u):
        return grad(u)

    def load(self):
        return self.power

    def quantities(self, u):
        return {"heat": u * dx}
'''


class Formula(Field):
    """A function given in NumPy."""

    kind = "formula"

    def __init__(self, problem: Problem, value: Callable) -> None:
        self.problem, self.shape, self._value = problem, problem.shape, value

    def evaluate(self, points):
        return np.broadcast_to(self._value(points), (len(points), *self.shape)).astype(float)

    def gradient(self, points):
        steps = 1e-6 * np.eye(points.shape[1])
        return np.stack([(self.evaluate(points + h) - self.evaluate(points - h)) / 2e-6 for h in steps], axis=-1)

    def store(self, group):
        """Nothing."""


class FormulaInTime(Evolution):
    """A function of place and time given in NumPy."""

    kind = "formula in time"

    def __init__(self, problem: Problem, value: Callable) -> None:
        self.problem, self._value = problem, value
        self.times = np.linspace(problem.time.start, problem.time.end, 5)

    def field_at(self, instant):
        return Formula(self.problem, lambda x: self._value(x, instant))

    def store(self, group):
        """Nothing."""

    @classmethod
    def restore(cls, group, problem):
        raise NotImplementedError


@pytest.fixture
def formula() -> Callable[..., Field | Evolution]:
    """A field, or an evolution where the problem runs in time, made of a NumPy function."""
    return lambda problem, value: (FormulaInTime if problem.evolves else Formula)(problem, value)


@pytest.fixture
def text() -> str:
    """The text of a problem file."""
    return PLATE


@pytest.fixture
def plate(tmp_path: Path) -> Callable[..., Problem]:
    """A problem without an exact solution, from a file whose text may be changed."""

    def load(text: str = PLATE, name: str = "plate.py", **parameters: Any) -> Problem:
        (tmp_path / name).write_text(text)
        return load_problem(str(tmp_path / name), **parameters)

    return load


@pytest.fixture
def cell(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The payload of a cell: (problem, solver, options, truth settings, changes)."""

    def build(problem, solver, options, settings=None, **changes):
        task = task_of(problem, "named")
        file = tmp_path / "run" / "truths" / f"{task['key']}.h5"
        truth = run_truth({"task": task, "truth": settings or {}, "file": str(file)})
        placement = {"name": "cpu", "device": "cpu", "threads": 1, "processes": 1, "precision": "float64"}
        payload = {"task": task, "solver": solver, "options": options, "seed": 0, "placement": placement}
        payload |= {"folder": str(tmp_path / "run"), "truth": truth, "repeats": 2, "instants": 4}
        return payload | changes

    return build
