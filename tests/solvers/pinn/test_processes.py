"""Two processes that share the points of a PINN do what one does."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
import torch
from processes import in_a_process, start

from sciml import load_problem, load_solution
from sciml.solution.diagnosis import Diagnosis
from sciml.solvers.pinn.training import PinnTraining
from sciml.training.distributed import is_first, process_group

# With conditions and mean values that all have, importance weights, and points that do not divide by two.
SYSTEMS: dict[str, dict[str, Any]] = {
    "poisson/peak": {"points": 151},
    "heat/sine": {"points": 77},
    "stokes/vortex": {"points": 63, "conditions": "soft"},
    "poisson/l_shape": {"points": 101, "dtype": "float64"},
}
SOLVED: dict[str, Any] = {"steps": 30, "seed": 1, "checkpoint_every": 0}


def prepared(name: str) -> PinnTraining:
    """A training with points and weights in the mean."""
    training = small.training(load_problem(name), sampler="rad", **SYSTEMS[name])
    training.points = training.points.weighted(np.linspace(0.5, 2, len(training.points)))
    training._use_points()
    return training


def findings() -> dict[str, torch.Tensor]:
    """Everything that optimisers and samplers ask of a system, and where a step of Gauss–Newton leads."""
    found = {}
    for name in SYSTEMS:
        training = prepared(name)
        system, theta = training.system, training.theta
        value, gradient = system.value_and_gradient(theta)
        residual, jacobian = system.jacobian(theta)
        operator = system.linear_operator(theta)
        directions = torch.sin(torch.arange(2.0 * len(theta), dtype=torch.float64)).reshape(-1, 2)
        back = torch.cos(torch.arange(float(system.n_residuals), dtype=torch.float64))
        parts = {
            "value": value,
            "gradient": gradient,
            "residual": residual,
            "jacobian": jacobian,
            "again": system.residual(theta),
            "product": operator.product(directions),
            "transposed": operator.transposed(back),
            "squared": torch.tensor(training._context().squared(training.points.points)),
            "leverage": torch.tensor(training._context().leverages(training.points.points[:50])),
            "step": training.optimizer.step(system, theta).theta,
        }
        found |= {f"{name} {key}": tensor for key, tensor in parts.items()}
    return found


def work(rank: int, port: int, folder: Path) -> None:
    """What one of two processes does, which is started as torchrun would start it."""
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2"
    )
    with process_group():
        torch.save(findings(), folder / f"{rank}.pt")
        assert is_first() == (rank == 0)
        solution = small.trained(**SOLVED, folder=folder / f"trained-{rank}")
        np.save(folder / f"{rank}.npy", small.weights(solution))
        solution.save(folder / f"{rank}.h5")


def two(folder: Path) -> list[int]:
    """Exit codes of both."""
    small.trained(**SOLVED)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    processes = [start(lambda rank=rank: work(rank, port, folder)) for rank in (0, 1)]
    return [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The folder in which both have left what they found."""
    folder = tmp_path_factory.mktemp("shared")
    assert in_a_process("test_processes", "two({folder})", folder) == [0, 0]
    return folder


def test_two_are_the_serial_system(shared):
    serial = findings()
    first, second = (torch.load(shared / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert serial.keys() == first.keys() == second.keys()
    for name, expected in serial.items():
        assert torch.equal(first[name], second[name]), name
        assert first[name].shape == expected.shape, name
        assert torch.allclose(first[name], expected, rtol=1e-10, atol=1e-10 * float(expected.abs().max())), name


def test_a_training_of_two(shared):
    """Both end with the same weights, whose error is that of one alone; files are written by the first."""
    alone = small.trained(**SOLVED)
    first, second = (np.load(shared / f"{rank}.npy") for rank in (0, 1))
    assert np.array_equal(first, second)
    solution = load_solution(shared / "0.h5", small.peak())
    assert solution.error().relative_l2 == pytest.approx(alone.error().relative_l2, rel=0.05)
    assert solution.residual == pytest.approx(alone.residual, rel=0.05)
    assert list((shared / "trained-0" / "checkpoint").glob("*.safetensors"))
    assert Diagnosis.read(shared / "trained-0").verdict
    assert not (shared / "trained-1").exists()


def test_the_terms_of_two(shared):
    """What the first tells of the loss is that of all points, not of its own."""
    solution = load_solution(shared / "0.h5", small.peak())
    assert sum(solution.details["loss_terms"].values()) == pytest.approx(solution.residual, rel=1e-10)
