"""A training that was stopped, killed or terminated, and resumed, is the one that was left alone, bit by bit."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
from processes import in_a_process, start

from sciml import load_problem, load_solution
from sciml.cli.app import main
from sciml.errors import OptionError, OutputError, ScimlWarning
from sciml.solution.diagnosis import DiagnosisArrays
from sciml.training import load_checkpoint

KILLED: dict[str, Any] = {"steps": 30, "every": 3, "checkpoint_every": 0, "seed": 2}


def quasi_random(n, context):
    return context.problem.domain.quasi_random(n, context.generator)


TRAININGS = {
    "gauss_newton-aas": {"every": 3},
    "gauss_newton-aas-replaced": {"every": 3, "add": 0},
    "matrix_free-leverage": {"solve": "matrix_free", "momentum": 0.2, "sampler": "leverage", "every": 3},
    "adam-batch-rad": {"optimizer": "adam", "schedule": "constant", "batch": 40, "sampler": "rad", "every": 9},
    "lbfgs-user": {"optimizer": "lbfgs", "sampler": "user", "user_points": quasi_random, "every": 9},
    "ssbfgs-r3": {"optimizer": "ssbfgs", "sampler": "r3", "add": 0, "every": 9},
    "ssbroyden-rar": {"optimizer": "ssbroyden", "dtype": "float32", "sampler": "rar", "every": 9},
}


@pytest.mark.parametrize("name", TRAININGS)
def test_parts_are_the_whole(tmp_path, name):
    """7 steps and then 13 are 20: weights, points, losses. Points are refreshed on both sides, and not just there."""
    options = TRAININGS[name] | {"seed": 1}
    whole = small.trained(**options, steps=20, folder=tmp_path / "whole")
    first = small.trained(**options, steps=7, folder=tmp_path / "parts")
    resumed = small.trained(**options, steps=20, folder=tmp_path / "parts", resume=True)
    assert resumed.iterations == 20
    assert not np.array_equal(small.weights(first), small.weights(whole))
    assert np.array_equal(small.weights(resumed), small.weights(whole))
    assert np.array_equal(resumed.history["loss"], whole.history["loss"])
    points = [DiagnosisArrays.read(tmp_path / part).points for part in ("whole", "parts")]
    assert np.array_equal(*points)
    assert resumed.details["refreshes"] == whole.details["refreshes"] > 2
    assert resumed.details["adversary"] == whole.details["adversary"]


def test_cpu_seconds_add_up(tmp_path):
    """What a resumed training reports is its own, and that of the part before."""
    options = {"sampler": "quasi_random", "folder": tmp_path, "steps": 30}
    first = small.trained(**options)
    earlier = load_checkpoint(tmp_path / "checkpoint")[1]["parts"]["course"]["cpu_seconds"]
    again = small.trained(**options, resume=True)
    assert again.iterations == 30
    assert np.array_equal(small.weights(again), small.weights(first))
    assert again.cpu_seconds > earlier > 0


def test_a_smaller_tolerance_goes_on(tmp_path):
    options = {"seed": 1, "every": 3, "folder": tmp_path / "run", "steps": 20}
    loose = small.trained(**options, tolerance=10.0)
    assert loose.status == "converged"
    assert loose.iterations < 20
    again = small.trained(**options, tolerance=10.0, resume=True)
    assert again.iterations == loose.iterations
    tight = small.trained(**options, tolerance=0.0, resume=True)
    assert tight.iterations == 20


def test_a_cosine_schedule_belongs_to_its_steps(tmp_path):
    options = {"optimizer": "adam", "sampler": "quasi_random", "folder": tmp_path}
    small.trained(**options, steps=5)
    with pytest.raises(OptionError, match="cosine over 5 steps"):
        small.trained(**options, steps=10, resume=True)


# -- processes that are ended ------------------------------------------------------------------------------------


def newest(folder: Path) -> int:
    """Number of the last checkpoint; 0 where there is none."""
    return max((int(path.stem.partition("-")[2]) for path in folder.glob("training-*.json")), default=0)


def end(process: int, checkpoints: Path, number: signal.Signals, chance: random.Random) -> int | None:
    """Send a signal some checkpoints later, at any moment between two; the exit status, None if it was too late."""
    awaited = newest(checkpoints) + chance.randint(2, 5)
    while newest(checkpoints) < awaited:
        time.sleep(0.002)
        if os.waitpid(process, os.WNOHANG)[0]:
            return None
    time.sleep(chance.uniform(0, 0.05))
    os.kill(process, number)
    return os.waitpid(process, 0)[1]


def kill(folder: Path, kills: int) -> dict[str, object]:
    """Train with some kills, and without."""
    whole, chance, met = small.trained(**KILLED), random.Random(7), 0
    checkpoints = folder / "checkpoint"
    while True:
        process = start(lambda: small.trained(**KILLED, folder=folder, resume=newest(checkpoints) > 0))
        if met == kills:
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            break
        assert end(process, checkpoints, signal.SIGKILL, chance) == signal.SIGKILL
        met += 1
    resumed = small.trained(**KILLED, folder=folder, resume=True)
    same = np.array_equal(small.weights(whole), small.weights(resumed))
    return {"met": met, "code": code, "same": same, "steps": resumed.iterations}


def command(folder: Path, *arguments: str) -> int:
    """The command line in a process of its own, its standard error in a file."""

    def work() -> None:
        os.chdir(folder)
        sys.argv = ["sciml", *arguments]
        sys.stderr = open("told.txt", "w", buffering=1)  # noqa: SIM115  until the process ends
        main()

    return start(work)


def terminate(folder: Path) -> dict[str, object]:
    """The command line, terminated and resumed."""
    values = small.OPTIONS | {name: value for name, value in KILLED.items() if name != "seed"}
    options = [part for name, value in values.items() for part in ("-o", f"{name}={value}")]
    problem = ["poisson/peak", "-p", "sharpness=5", "-s", "pinn", "--seed", str(KILLED["seed"])]
    whole, checkpoints = small.trained(**KILLED), folder / "run" / "unfinished" / "checkpoint"
    status = end(
        command(folder, "solve", *problem, *options, "--out", "run"), checkpoints, signal.SIGTERM, random.Random(3)
    )
    told, steps = (folder / "told.txt").read_text(), newest(checkpoints)
    resumed = os.waitpid(command(folder, "resume", "run"), 0)[1]
    same = np.array_equal(small.weights(load_solution(folder / "run" / "solution.h5")), small.weights(whole))
    return {
        "code": None if status is None else os.waitstatus_to_exitcode(status),
        "told": told.splitlines()[-1],
        "steps": steps,
        "resumed": os.waitstatus_to_exitcode(resumed),
        "same": same,
    }


def both(folder: Path) -> list[dict[str, object]]:
    """Three kills, and one request to leave."""
    return [kill(folder / "killed", 3), terminate(folder)]


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """What became of trainings that were killed, and of one that was terminated."""
    return in_a_process("test_resume", "both({folder})", tmp_path_factory.mktemp("ended"))


def test_killed_at_any_moment(ended):
    assert ended[0] == {"met": 3, "code": 0, "same": True, "steps": KILLED["steps"]}


@pytest.mark.slow
def test_killed_again_and_again(tmp_path):
    assert in_a_process("test_resume", "kill({folder}, 8)", tmp_path) == {
        "met": 8,
        "code": 0,
        "same": True,
        "steps": KILLED["steps"],
    }


def test_terminated(ended):
    """SIGTERM ends the step, writes a checkpoint, and leaves with 128 + 15."""
    found = dict(ended[1])
    assert found.pop("told") == "Interrupted by SIGTERM; `sciml resume run` continues."
    assert 2 <= found.pop("steps") < KILLED["steps"]
    assert found == {"code": 143, "resumed": 0, "same": True}


# -- checkpoints that do not fit ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The folder of a short training with two checkpoints."""
    folder = tmp_path_factory.mktemp("training")
    small.trained(sampler="quasi_random", steps=3, checkpoint_every=0, folder=folder)
    return folder


def refused(kind, folder, problem=None, **options):
    with pytest.raises(kind) as error:
        small.trained(problem, **({"sampler": "quasi_random", "steps": 5} | options), folder=folder, resume=True)
    message = str(error.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"width": 9}, "width=8 (now 9)"),
        ({"sampler": "uniform"}, "sampler='quasi_random' (now 'uniform')"),
        ({"optimizer": "lbfgs"}, "optimizer='gauss_newton' (now 'lbfgs')"),
        ({"beta": 0.1}, "beta=0.005 (now 0.1)"),
        ({"seed": 4}, "seed=0 (now 4)"),
    ],
)
def test_checkpoint_with_other_options(checkpoint, options, expected):
    message = refused(OptionError, checkpoint, **options)
    assert "belongs to another training" in message
    assert expected in message


def test_limits_may_change(checkpoint):
    changed = {"tolerance": 1e-3, "cpu_seconds": 100.0, "checkpoint_every": 1.0}
    assert small.trained(sampler="quasi_random", steps=4, folder=checkpoint, resume=True, **changed).iterations == 4


def test_checkpoint_of_another_problem(checkpoint):
    assert "'poisson/sine'" in refused(OptionError, checkpoint, load_problem("poisson/sine"))
    other = load_problem("poisson/peak", sharpness=6)
    assert "other values" in refused(OptionError, checkpoint, other)


def test_broken_checkpoints(tmp_path):
    """The one before is taken; where both are broken, one sentence says so."""
    whole = small.trained(sampler="quasi_random", steps=6, seed=5)
    options = {"sampler": "quasi_random", "seed": 5, "folder": tmp_path, "checkpoint_every": 0}
    small.trained(**options, steps=4)
    older, newer = sorted((tmp_path / "checkpoint").glob("*.safetensors"))
    content = bytearray(newer.read_bytes())
    content[-5] ^= 1
    newer.write_bytes(content)
    with pytest.warns(ScimlWarning, match="newer checkpoints are broken"):
        resumed = small.trained(**options, steps=6, resume=True)
    assert np.array_equal(small.weights(resumed), small.weights(whole))
    for path in (tmp_path / "checkpoint").glob("*.json"):
        path.write_text(path.read_text().replace('"steps"', '"step"'))
    message = refused(OutputError, tmp_path, seed=5)
    assert "No usable checkpoint" in message
    assert "hash" in message
    assert older.suffix == ".safetensors"


def test_nothing_to_resume(tmp_path):
    assert "it has none" in refused(OutputError, tmp_path)
