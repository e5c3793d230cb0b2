"""Small trainings that the tests of the DeepXDE engine share."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import sciml
from sciml.solvers.deepxde.records import BoundaryTerm, Training, TrainingResult


def laplacian(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Δy₀ by reverse mode, shape (N,)."""
    (gradient,) = torch.autograd.grad(y[:, 0].sum(), x, create_graph=True)
    second = [torch.autograd.grad(gradient[:, i].sum(), x, create_graph=True)[0] for i in range(x.shape[1])]
    return sum(second[i][:, i] for i in range(x.shape[1]))


def sine(x: torch.Tensor) -> torch.Tensor:
    return torch.sin(math.pi * x[:, 0]) * torch.sin(math.pi * x[:, 1])


def peak(x: torch.Tensor) -> torch.Tensor:
    """A load that is concentrated at (0.7, 0.3)."""
    return 100.0 * torch.exp(-200.0 * ((x[:, 0] - 0.7) ** 2 + (x[:, 1] - 0.3) ** 2))


def poisson_training(
    n: int = 200, *, hard: bool = True, load: Callable[[torch.Tensor], torch.Tensor] | None = None
) -> Training:
    """−Δu = load on the unit square, u = 0 on its boundary; by default u = sin πx sin πy."""
    load = load or (lambda x: 2 * math.pi**2 * sine(x))
    side = np.linspace(0.0, 1.0, 20, endpoint=False)
    zero, one = np.zeros_like(side), np.ones_like(side)
    edges = {"bottom": (side, zero), "right": (one, side), "top": (1 - side, one), "left": (zero, 1 - side)}
    terms = [
        BoundaryTerm(f"dirichlet {name}[0]", np.column_stack(xy), lambda x, y, rows: y[rows, 0], 100.0)
        for name, xy in edges.items()
    ]
    return Training(
        dim=2,
        outputs=1,
        residual=lambda x, y: [laplacian(x, y) + load(x)],
        residual_weights=[1.0],
        interior=np.random.default_rng(12).random((n, 2)),
        candidates=lambda m, generator: generator.random((m, 2)),
        boundary=() if hard else tuple(terms),
        feature_transform=lambda x: 2 * x - 1,
        output_transform=(lambda x, y: (x * (1 - x)).prod(1, keepdim=True) * y) if hard else None,
    )


def relative_error(network: torch.nn.Module) -> float:
    """Relative L2 distance to sin πx sin πy on a 51 × 51 grid."""
    line = torch.linspace(0.0, 1.0, 51, dtype=torch.float64)
    x = torch.cartesian_prod(line, line)
    with torch.no_grad():
        return float(torch.linalg.norm(network(x)[:, 0] - sine(x)) / torch.linalg.norm(sine(x)))


def same_bits(a: TrainingResult, b: TrainingResult) -> bool:
    """Whether two trainings ended with the same weights, points and losses, bit by bit."""
    first, second = a.network.state_dict(), b.network.state_dict()
    weights = first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    return (
        weights
        and np.array_equal(a.points, b.points)
        and (a.history, a.losses, a.iterations, a.rounds) == (b.history, b.losses, b.iterations, b.rounds)
        and (a.status, a.reason) == (b.status, b.reason)
    )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Bits depend on the number of threads, and small networks are fastest with one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tools() -> type:
    """The functions of this file, in whatever way the tests are imported."""

    class Tools:
        poisson = staticmethod(poisson_training)
        error = staticmethod(relative_error)
        same_bits = staticmethod(same_bits)
        peak = staticmethod(peak)

    return Tools


@pytest.fixture
def start(tmp_path: Path) -> Callable[[str], subprocess.Popen]:
    """Start Python code in a new process with an empty home folder; `tools` is there too."""
    home, cache = tmp_path / "home", tmp_path / "matplotlib"
    home.mkdir()
    cache.mkdir()
    environment = os.environ | {
        "HOME": str(home),
        "MPLCONFIGDIR": str(cache),
        "PYTHONPATH": str(Path(sciml.__file__).parents[1]),
        "OMP_NUM_THREADS": "1",
    }
    for name in ("DDE_BACKEND", "DDEBACKEND"):
        environment.pop(name, None)
    header = f"import runpy, torch\ntorch.set_num_threads(1)\ntools = runpy.run_path({__file__!r})\n"

    def start_process(code: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", header + code],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start_process
