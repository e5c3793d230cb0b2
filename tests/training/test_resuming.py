"""A training that was stopped, killed or interrupted and goes on is the uninterrupted one, bit by bit."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import toy

from sciml import Box, Dirichlet, Problem, load_problem
from sciml.errors import Interrupted, OptionError, OutputError, ScimlWarning
from sciml.training import Attributes, Generator, Identity, Interrupts, Report, TrainingState, train


@pytest.fixture(scope="module")
def whole():
    """300 steps at once."""
    run = toy.Run()
    train(run.step, run.state, steps=300)
    return run.bits()


@pytest.fixture(scope="module")
def start():
    """Trains in a process of its own: (folder, steps, slow) → the process and what it tells."""
    context = multiprocessing.get_context("forkserver")

    def start(folder: Path, steps: int, slow: float = 0.0) -> tuple:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=toy.main, args=(folder, steps, there, slow), daemon=True)
        process.start()
        there.close()
        return process, here

    return start


def newest(folder: Path, suffix: str) -> Path:
    return max(folder.glob(f"training-*.{suffix}"))


def test_stopped_and_resumed(tmp_path, whole):
    for steps in (1, 19, 20, 133, 300):
        run = toy.Run()
        if steps > 1:
            run.state.load(tmp_path)
        ending = train(run.step, run.state, steps=steps, folder=tmp_path)
        assert ending.status == "budget_reached"
    assert run.bits() == whole
    assert len(list(tmp_path.iterdir())) == 4


def test_killed_at_random_moments(tmp_path, whole, start):
    generator, kills = random.Random(11), 0
    for _ in range(10):
        process, told = start(tmp_path, 300)
        with contextlib.suppress(EOFError):
            for _ in range(25):
                told.recv()
        time.sleep(generator.uniform(0, 0.01))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        if any(tmp_path.glob("*.json")):
            left, again = toy.Run(), toy.Run()
            left.state.load(tmp_path)
            train(again.step, again.state, steps=left.state.course.steps)
            assert left.bits() == again.bits()
    assert kills >= 3
    process, _ = start(tmp_path, 300)
    process.join()
    assert process.exitcode == 0
    run = toy.Run()
    run.state.load(tmp_path)
    assert run.state.course.steps == 300
    assert run.bits() == whole


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_finishes_the_step_and_keeps_it(tmp_path, start, number, code):
    process, told = start(tmp_path, 100_000, 0.3)
    while told.recv() != 3:
        pass
    os.kill(process.pid, number)
    message = told.recv()
    process.join()
    assert process.exitcode == code
    assert message.count(". ") == 0
    assert "interrupted after 4 steps" in message
    assert str(tmp_path) in message
    assert "resume" in message
    run, whole = toy.Run(), toy.Run()
    run.state.load(tmp_path)
    train(whole.step, whole.state, steps=4)
    assert run.bits() == whole.bits()


def test_a_second_ctrl_c_leaves_at_once():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def pressed_twice() -> None:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGINT)
            assert interrupts.received == signal.SIGINT
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("still here")

    with pytest.raises(KeyboardInterrupt) as caught:
        pressed_twice()
    assert not isinstance(caught.value, Interrupted)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_second_sigterm_changes_nothing_and_none_is_lost():
    before = signal.getsignal(signal.SIGTERM)

    def sent_twice() -> None:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            assert interrupts.received == signal.SIGTERM

    with pytest.raises(Interrupted) as caught:
        sent_twice()
    assert caught.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_outside_of_the_main_thread_nothing_is_changed():
    before, inside = signal.getsignal(signal.SIGTERM), []

    def body() -> None:
        with Interrupts():
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert inside == [before]


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGTERM)
            assert interrupts.received is None
    finally:
        signal.signal(signal.SIGTERM, before)


def test_interrupted_without_a_folder():
    run = toy.Run(said=lambda step: signal.raise_signal(signal.SIGTERM) if step == 2 else None)
    with pytest.raises(Interrupted, match="nothing was kept") as caught, Interrupts() as interrupts:
        train(run.step, run.state, steps=9, interrupts=interrupts)
    assert caught.value.number == signal.SIGTERM
    assert run.state.course.steps == 3


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_a_broken_checkpoint_is_passed_over(tmp_path, whole, suffix):
    for steps in (10, 25):
        run = toy.Run()
        if steps > 10:
            run.state.load(tmp_path)
        train(run.step, run.state, steps=steps, folder=tmp_path)
    path = newest(tmp_path, suffix)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    run = toy.Run()
    with pytest.warns(ScimlWarning, match="newer checkpoints are broken"):
        run.state.load(tmp_path)
    assert run.state.course.steps == 10
    train(run.step, run.state, steps=300)
    assert run.bits() == whole
    for path in tmp_path.glob("*.json"):
        path.write_text("{}")
    with pytest.raises(OutputError, match="No usable checkpoint"):
        toy.Run().state.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"options": {"rate": 0.1, "seed": 3}}, r"rate=0.05 \(now 0.1\)"),
        ({"options": {"rate": 0.05}}, r"seed=3 \(now None\)"),
        ({"solver": "other"}, "of solver 'toy', and this is 'other'"),
        ({"problem": "another", "declaration": "f" * 16}, "of problem 'fit', and this is 'another'"),
        ({"declaration": "f" * 16}, "'fit' was declared differently"),
    ],
)
def test_another_training_is_refused_and_named(tmp_path, change, words):
    run = toy.Run()
    train(run.step, run.state, steps=3, folder=tmp_path)
    other = toy.Run(replace(toy.IDENTITY, **change))
    before = other.bits()
    assert other.state.identity.digest != run.state.identity.digest
    with pytest.raises(OptionError, match=words) as caught:
        other.state.load(tmp_path)
    assert str(caught.value).count(".") - str(caught.value).count("0.") == 1
    assert other.bits() == before


def test_other_parts_are_refused(tmp_path):
    run = toy.Run()
    run.state.save(tmp_path)
    with pytest.raises(OutputError, match="holds course, network"):
        TrainingState(toy.IDENTITY, network=Attributes(run, "theta")).load(tmp_path)
    with pytest.raises(OptionError, match="'course'"):
        TrainingState(toy.IDENTITY, course=run.optimiser)


def test_other_threads_are_told(tmp_path):
    toy.Run().state.save(tmp_path)
    torch.set_num_threads(2)
    with pytest.warns(ScimlWarning, match="1 threads and goes on with .* 2 threads"):
        toy.Run().state.load(tmp_path)


def test_the_identity_of_a_problem():
    def of(problem: Problem, **options: object) -> str:
        return Identity.of(problem, "pinn", {"width": 20, "cpu_seconds": 5.0} | options, seed=0).digest

    def declared(load: float) -> Problem:
        return Problem(
            domain=Box(0.0, 1.0), reaction=lambda u: u, load=load, conditions=[Dirichlet(0.0, on="boundary")]
        )

    peak = load_problem("poisson/peak")
    different = [
        of(peak), of(peak, width=21), of(load_problem("poisson/peak", sharpness=500)), of(load_problem("poisson/sine")),
        of(declared(1.0)), of(declared(2.0)),
        of(peak, network=torch.nn.Linear(2, 1)), of(peak, network=torch.nn.Linear(2, 3)),
        of(peak, points=np.zeros((2, 2))), of(peak, points=np.ones((2, 2))),
    ]  # fmt: skip
    assert len(set(different)) == len(different)
    assert of(peak) == of(load_problem("poisson/peak"), cpu_seconds=9.0)
    assert of(declared(2.0)) == of(declared(2.0))


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_generators_of_numpy(kind):
    generator, other = np.random.Generator(kind(1)), np.random.Generator(kind(2))
    generator.integers(5, dtype=np.int32)
    part = Generator(generator)
    Generator(other).restore(part.tensors(), json.loads(json.dumps(part.values())))
    assert np.array_equal(generator.random(99), other.random(99))
    assert np.array_equal(generator.integers(9, size=99), other.integers(9, size=99))


def test_a_network_is_a_part(tmp_path):
    networks = [torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).double() for _ in range(2)]
    networks[0](torch.randn(5, 2, dtype=torch.float64))
    TrainingState(toy.IDENTITY, network=networks[0]).save(tmp_path)
    TrainingState(toy.IDENTITY, network=networks[1]).load(tmp_path)
    first, second = (network.state_dict() for network in networks)
    assert all(torch.equal(first[name], second[name]) for name in first)


# -- budgets and endings -----------------------------------------------------------------------------------------------


def busy(seconds: float) -> Report:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return Report(1.0)


def test_cpu_seconds_count_on(tmp_path):
    """What was used before counts, so the second part has nothing left to do."""
    state = TrainingState(toy.IDENTITY)
    ending = train(lambda: busy(0.02), state, steps=1000, cpu_seconds=0.05, folder=tmp_path)
    assert "CPU seconds used after" in ending.reason
    used, steps = state.course.cpu_seconds, state.course.steps
    assert used >= 0.05
    assert steps <= 3
    again = TrainingState(toy.IDENTITY)
    again.load(tmp_path)
    assert train(lambda: busy(0.02), again, steps=1000, cpu_seconds=0.05).status == "budget_reached"
    assert (again.course.cpu_seconds, again.course.steps) == (used, steps)
    train(lambda: busy(0.02), again, steps=steps + 1)
    assert again.course.cpu_seconds >= used + 0.02


def test_an_end_is_remembered(tmp_path):
    state = TrainingState(toy.IDENTITY)
    said = iter([Report(2.0), Report(1.0, ended=("converged", "no gradient is left"))])
    assert train(lambda: next(said), state, steps=9, folder=tmp_path).status == "converged"
    again = TrainingState(toy.IDENTITY)
    again.load(tmp_path)
    ending = train(lambda: next(said), again, steps=9)
    assert (ending.status, ending.reason) == ("converged", "no gradient is left")
    assert again.course.history == [[1, 2.0], [2, 1.0]]


def test_a_loss_that_is_not_finite_ends_it_and_is_not_kept(tmp_path):
    state = TrainingState(toy.IDENTITY)
    said = iter([Report(2.0), Report(float("nan"))])
    ending = train(lambda: next(said), state, steps=9, checkpoint_every=0.0, folder=tmp_path)
    assert ending.status == "diverged"
    assert "nan in the step after 1 step" in ending.reason
    again = TrainingState(toy.IDENTITY)
    again.load(tmp_path)
    assert (again.course.steps, again.course.verdict) == (1, None)


def test_reports_and_history():
    reports = []
    state = TrainingState(toy.IDENTITY)
    losses = iter(range(5000, 0, -1))
    train(lambda: Report(next(losses)), state, steps=5000, report=lambda course, said: reports.append(said.loss))
    assert reports[0] == 5000
    assert reports[-1] == 1
    assert len(reports) < 200
    history = np.array(state.course.history)
    assert 400 < len(history) <= 1000
    assert set(np.diff(history[:, 0])) == {8}
    assert np.array_equal(history.sum(1), np.full(len(history), 5001))


@pytest.mark.parametrize(
    "budget", [{"steps": 0}, {"steps": 5, "cpu_seconds": 0.0}, {"steps": 5, "checkpoint_every": -1}]
)
def test_a_budget_that_is_none(budget):
    with pytest.raises(OptionError, match="at least one step"):
        train(lambda: Report(1.0), TrainingState(toy.IDENTITY), **budget)
