"""A training that was interrupted and resumed is the uninterrupted one, bit by bit."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sciml.errors import OptionError, OutputError, ScimlWarning
from sciml.solvers.deepxde.engine import train
from sciml.solvers.deepxde.options import TrainingOptions
from sciml.solvers.deepxde.records import Training, TrainingResult

OPTIONS = TrainingOptions(width=8, depth=2, adam=60, lbfgs=80, chunk=7, checkpoint_every=0.0)
REFINED = {"sampler": "rar", "rar_every": 25, "rar_candidates": 200, "rar_add": 5}

FOREVER = """
from sciml.solvers.deepxde.engine import train
from sciml.solvers.deepxde.options import TrainingOptions
options = TrainingOptions(width=8, depth=2, chunk=7, checkpoint="training", {options})
train(tools["poisson_training"](40), options, progress=lambda report: print(report.phase, flush=True))
"""


class Noisy(torch.nn.Module):
    """A network that draws random numbers in every evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(2, 12), torch.nn.Linear(12, 1)
        self.dropout = torch.nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.dropout(torch.tanh(self.first(x))))


def in_pieces(training: Training, options: TrainingOptions, seed: int) -> tuple[TrainingResult, int]:
    """Stop after a random number of chunks and resume, again and again."""
    generator, resume, pieces = np.random.default_rng(seed), False, 0
    while True:
        chunks = iter(range(int(generator.integers(1, 5)), 0, -1))
        result = train(training, options, stop=lambda left=chunks: next(left) == 1, resume=resume)
        resume, pieces = True, pieces + 1
        if "stopped" not in result.reason:
            return result, pieces


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"decay": ("cosine", 60, 1e-4)},
        {"decay": ("inverse time", 10, 0.5), **REFINED},
        {"network": "pfnn", "dtype": torch.float32},
        {"checkpoint_every": 1e9},
        {"network": Noisy(), "decay": ("step", 10, 0.9), **REFINED},
    ],
    ids=["plain", "cosine", "refined", "single precision", "only at the ends", "dropout"],
)
@pytest.mark.parametrize("hard", [True, False], ids=["hard", "soft"])
def test_stopped_and_resumed(tools, tmp_path: Path, change: dict[str, object], hard: bool) -> None:
    training, options = tools.poisson(40, hard=hard), replace(OPTIONS, **change)
    whole = train(training, options)
    resumed, pieces = in_pieces(training, replace(options, checkpoint=tmp_path), seed=len(str(change)))
    assert pieces > 4
    assert tools.same_bits(whole, resumed)


@pytest.mark.parametrize("evaluation", [30, 75, 110])
def test_an_exception_loses_one_chunk(tools, tmp_path: Path, evaluation: int) -> None:
    """Interrupted in the middle of a chunk, the state at its beginning is kept."""
    training, calls = tools.poisson(40), []

    def interrupted(x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
        calls.append(1)
        if len(calls) == evaluation:
            raise KeyboardInterrupt
        return training.residual(x, y)

    options = replace(OPTIONS, checkpoint=tmp_path, checkpoint_every=1e9)
    with pytest.raises(KeyboardInterrupt):
        train(replace(training, residual=interrupted), options)
    assert torch.get_default_dtype() == torch.float32
    resumed = train(training, options, resume=True)
    assert tools.same_bits(train(training, OPTIONS), resumed)


def wait_for(process: subprocess.Popen, phase: str) -> None:
    """Wait until the training has reported some chunks of this phase, on however slow a machine."""
    chunks = 0
    for line in process.stdout:
        chunks += line.strip() == phase
        if chunks == 6:
            return
    raise AssertionError(process.stderr.read())


# Killed, what the last chunk wrote is left; terminated, the state is written on the way out.
@pytest.mark.parametrize(
    ("options", "phase", "number"),
    [
        ({"adam": 100_000, "lbfgs": 0, "checkpoint_every": 0.0}, "adam", signal.SIGKILL),
        ({"adam": 10, "lbfgs": 100_000, "checkpoint_every": 1e9}, "lbfgs", signal.SIGTERM),
    ],
    ids=["killed in Adam", "terminated in L-BFGS"],
)
def test_killed_and_resumed(
    tools, start: Callable, tmp_path: Path, options: dict[str, float], phase: str, number: signal.Signals
) -> None:
    folder = tmp_path / "training"
    process = start(FOREVER.format(options=", ".join(f"{name}={value}" for name, value in options.items())))
    wait_for(process, phase)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    chunks = json.loads(newest(folder, "json").read_text())["values"]["ledger"]["recorded"] - 1
    assert chunks > 3

    def three_more_than(chunks: int) -> Callable[[], bool]:
        polls = iter(range(1, 10**6))
        return lambda: next(polls) == chunks + 3

    options = replace(OPTIONS, **options)
    resumed = train(tools.poisson(40), replace(options, checkpoint=folder), resume=True, stop=three_more_than(0))
    whole = train(tools.poisson(40), options, stop=three_more_than(chunks))
    assert whole.iterations[phase] > 21
    assert tools.same_bits(whole, resumed)


def test_finished_training_is_not_continued(tools, tmp_path: Path) -> None:
    options = replace(OPTIONS, checkpoint=tmp_path)
    first = train(tools.poisson(20), options)
    again = train(tools.poisson(20), options, resume=True)
    assert tools.same_bits(first, again)
    more = train(tools.poisson(20), replace(options, lbfgs=100), resume=True)
    assert more.iterations == {"adam": 60, "lbfgs": 100}
    assert more.loss < first.loss
    assert more.cpu_seconds > first.cpu_seconds


def test_cpu_seconds_add_up(tools, tmp_path: Path) -> None:
    options = replace(OPTIONS, checkpoint=tmp_path, cpu_seconds=0.05)
    first = train(tools.poisson(40), options)
    assert "CPU seconds used" in first.reason
    again = train(tools.poisson(40), options, resume=True)
    assert again.iterations == first.iterations
    assert again.cpu_seconds >= first.cpu_seconds


def newest(folder: Path, suffix: str) -> Path:
    return max(folder.glob(f"*.{suffix}"))


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_broken_checkpoint(tools, tmp_path: Path, suffix: str) -> None:
    options = replace(OPTIONS, checkpoint=tmp_path)
    training, polls = tools.poisson(40), iter(range(99))
    train(training, options, stop=lambda: next(polls) == 5)
    assert len(list(tmp_path.iterdir())) == 4
    path = newest(tmp_path, suffix)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.warns(ScimlWarning, match="newer checkpoints are broken"):
        resumed = train(training, options, resume=True)
    assert tools.same_bits(train(training, OPTIONS), resumed)


def test_unfinished_writing_is_ignored(tools, tmp_path: Path) -> None:
    options = replace(OPTIONS, checkpoint=tmp_path)
    training, polls = tools.poisson(40), iter(range(99))
    train(training, options, stop=lambda: next(polls) == 5)
    (tmp_path / "training-000099.safetensors").write_bytes(b"cut sho")
    (tmp_path / ".training-000100.1.json").write_text("{")
    assert tools.same_bits(train(training, OPTIONS), train(training, options, resume=True))
    assert len(list(tmp_path.iterdir())) == 4


def test_no_usable_checkpoint(tools, tmp_path: Path) -> None:
    options = replace(OPTIONS, checkpoint=tmp_path)
    with pytest.raises(OutputError, match="it has none"):
        train(tools.poisson(20), options, resume=True)
    with pytest.raises(OptionError, match="needs the folder"):
        train(tools.poisson(20), OPTIONS, resume=True)
    train(tools.poisson(20), replace(options, adam=0, lbfgs=7))
    for path in tmp_path.glob("*.json"):
        path.write_text("[]")
    with pytest.raises(OutputError, match="No usable checkpoint"):
        train(tools.poisson(20), options, resume=True)


def test_checkpoints_are_not_overwritten_or_mixed_up(tools, tmp_path: Path) -> None:
    options = replace(OPTIONS, checkpoint=tmp_path, adam=7, lbfgs=0)
    train(tools.poisson(20), options)
    with pytest.raises(OutputError, match="already has the checkpoint"):
        train(tools.poisson(20), options)
    for other in ({"width": 9}, {"seed": 1}, {"learning_rate": 0.1}, {"adam": 8}, {"chunk": 8}):
        with pytest.raises(OptionError, match="belongs to a training with other"):
            train(tools.poisson(20), replace(options, **other), resume=True)
    with pytest.raises(OptionError, match="belongs to a training with other"):
        train(tools.poisson(21), options, resume=True)


def test_folder_that_cannot_be_written(tools, tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        train(tools.poisson(20), replace(OPTIONS, checkpoint=occupied / "training"))


def test_files_are_safetensors_and_json(tools, tmp_path: Path) -> None:
    train(tools.poisson(20), replace(OPTIONS, checkpoint=tmp_path))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    content = json.loads(newest(tmp_path, "json").read_text())
    assert content["values"]["ledger"]["lbfgs"] == 80
    assert content["values"]["versions"]["torch"] == torch.__version__
