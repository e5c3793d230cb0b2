"""Shared between processes a system is the serial one: value, gradient, Jacobian, operator, steps."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
import toy

from sciml.errors import Interrupted, OptionError
from sciml.training import Distributed, Interrupts, Report, TrainingState, train
from sciml.training.distributed import evaluate_shared, is_first, largest, process_group, share

POINTS = np.random.default_rng(0).random((31, 1))
WEIGHTS = np.random.default_rng(1).random(31) + 0.5
THETA = torch.linspace(-1, 2, 8, dtype=torch.float64)
ENDS = {False: None, True: lambda system: lambda: [slice(0, system.n_residuals - 1)]}


def findings(theta: torch.Tensor = THETA) -> dict[str, torch.Tensor]:
    """Everything that a system says, and where some steps of Levenberg–Marquardt lead."""
    found = {}
    for ends, rows in ENDS.items():
        for name, given in (("plain", None), ("weighted", WEIGHTS)):
            system = toy.Fit(*share(POINTS, given), ends=ends)
            shared = Distributed(system, None if rows is None else rows(system))
            value, gradient = shared.value_and_gradient(theta)
            residual, jacobian = shared.jacobian(theta)
            operator = shared.linear_operator(theta)
            direction = torch.arange(16, dtype=torch.float64).reshape(8, 2)
            back = torch.sin(torch.arange(shared.n_residuals, dtype=torch.float64))
            parts = {
                "value": value, "gradient": gradient, "residual": residual, "jacobian": jacobian,
                "again": shared.residual(theta), "linear": operator.residual, "product": operator.product(direction),
                "transposed": operator.transposed(back), "steps": descended(shared, theta),
            }  # fmt: skip
            found |= {f"{ends} {name} {key}": tensor for key, tensor in parts.items()}
    squared = evaluate_shared(lambda points: np.column_stack([points[:, 0] ** 2, points[:, 0]]), POINTS)
    return found | {"squared": torch.tensor(squared)}


def descended(system: Distributed, theta: torch.Tensor) -> torch.Tensor:
    for _ in range(5):
        residual, jacobian = system.jacobian(theta)
        matrix = jacobian.T @ jacobian + 1e-3 * torch.eye(8, dtype=torch.float64)
        theta = theta - torch.linalg.solve(matrix, jacobian.T @ residual)
    return theta


def work(rank: int, processes: int, folder: Path) -> None:
    """What one of the processes does; it is started as torchrun would start it."""
    torch.set_num_threads(1)
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": (folder / "port").read_text()}
    os.environ.update(place, RANK=str(rank), WORLD_SIZE=str(processes), LOCAL_RANK=str(rank))
    with process_group():
        torch.save(findings(), folder / f"{rank}.pt")
        lines = [str(largest(float(rank))), str(is_first())]
        lines.append(refusal())
        lines += stopped_together(rank, folder)
        (folder / f"{rank}.txt").write_text("\n".join(lines))
    assert not dist.is_initialized()


def refusal() -> str:
    try:
        share(POINTS[:1])
    except OptionError as error:
        return str(error)
    return "none"


def stopped_together(rank: int, folder: Path) -> list[str]:
    """A signal that reaches one process only ends the training of both after the same step."""
    state, interrupts = TrainingState(toy.IDENTITY), Interrupts()

    def step() -> Report:
        if state.course.steps == 6 and rank == 1:
            os.kill(os.getpid(), 15)
        return Report(1.0)

    try:
        with interrupts:
            train(
                step, state, steps=100, folder=folder / "state" if is_first() else None, interrupts=interrupts,
                agree=largest,
            )  # fmt: skip
    except Interrupted as interrupted:
        return [str(interrupted.exit_code), str(state.course.steps)]
    return ["went on", ""]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder of two processes that have done their work."""
    import socket

    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        (folder / "port").write_text(str(found.getsockname()[1]))
    multiprocessing.start_processes(work, args=(2, folder), nprocs=2, start_method="forkserver")
    return folder


def test_two_processes_are_the_serial_system(two):
    serial = findings()
    first, second = (torch.load(two / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert serial.keys() == first.keys() == second.keys()
    for name, expected in serial.items():
        assert torch.equal(first[name], second[name]), name
        assert first[name].shape == expected.shape, name
        assert torch.allclose(first[name], expected, rtol=1e-10, atol=1e-12), name


def test_processes_agree(two):
    lines = [(two / f"{rank}.txt").read_text().splitlines() for rank in (0, 1)]
    assert [line[:2] for line in lines] == [["1.0", "True"], ["1.0", "False"]]
    assert "1 points cannot be shared between 2 processes" in lines[0][2]
    assert lines[0][3:] == lines[1][3:] == ["143", "7"]
    state = TrainingState(toy.IDENTITY)
    state.load(two / "state")
    assert state.course.steps == 7


def test_one_process_is_the_identity():
    points, weights = share(POINTS)
    assert points is POINTS
    assert weights is None
    system = toy.Fit(POINTS, ends=True)
    shared = Distributed(system, lambda: [slice(0, 31)])
    with process_group():
        for one, other in zip(shared.jacobian(THETA), system.jacobian(THETA), strict=True):
            assert torch.equal(one, other)
        for one, other in zip(shared.value_and_gradient(THETA), system.value_and_gradient(THETA), strict=True):
            assert torch.equal(one, other)
    assert shared.n_residuals == 32
    assert (largest(2.5), is_first()) == (2.5, True)


def test_the_derivatives_of_the_fit():
    """The toy's Jacobian is exact: the remainder of Taylor's formula is of second order."""
    system = toy.Fit(POINTS, WEIGHTS, ends=True)
    residual, jacobian = system.jacobian(THETA)
    direction = torch.cos(torch.arange(8, dtype=torch.float64))
    steps = [1e-2, 5e-3, 2.5e-3]
    remainders = [
        float((system.residual(THETA + h * direction) - residual - h * jacobian @ direction).norm()) for h in steps
    ]
    slopes = np.diff(np.log(remainders)) / np.diff(np.log(steps))
    assert np.all(np.abs(slopes - 2) < 0.1)
