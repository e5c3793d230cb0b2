"""From a family to a trained network on the command line, and what is refused on the way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sciml.datasets import generate

SMALL = ["-o", "epochs=2", "-o", "batch_size=8", "-o", "width=8", "-o", "levels=2", "-o", "patch=4"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 members of two-phase Darcy flow on 9 × 9 nodes."""
    path = tmp_path_factory.mktemp("data") / "darcy.h5"
    generate("darcy/two_phase", path, resolution=9, split=(24, 6, 6), seed=0, check=0)
    return path


def test_train_evaluate_and_solve(sciml, data):
    done = sciml.succeeds("train darcy/threshold --out run --json --data", str(data), *SMALL)
    assert done.row["model"] == "lsm"
    assert done.row["trainable_parameters"] > 0
    assert "Written to run" in done.told
    written = {path.name for path in Path("run").iterdir() if path.is_file()}
    pictures = {"course.png", "errors.png", "samples.png"}
    assert {"manifest.json", "weights.safetensors", "record.json", "run.json"} | pictures <= written
    found = sciml.succeeds("evaluate ./run --split test --json --data", str(data)).row
    assert {"relative_l2", "trainable_parameters", "cpu_seconds", "coverage"} <= found.keys()
    assert found["samples"] == 6
    solved = sciml.succeeds("solve darcy/threshold --solver ./run --json").row
    assert solved["trainable_parameters"] == found["trainable_parameters"]
    assert "nothing to resume" in sciml.succeeds("resume run").told
    shown = sciml.succeeds("show ./run --json").row
    assert shown["trainable_parameters"] == sum(layer["parameters"] for layer in shown["layers"])
    assert shown["multiply_adds"] > 0
    told = sciml.succeeds("show run").told
    assert "multiply-adds" in told
    assert "kept by a pass forward" in told


def test_showing_a_folder_without_a_network_is_refused(sciml, tmp_path):
    assert "holds no trained network" in sciml("show", str(tmp_path)).message
    assert "leave out -p" in sciml("show -p kappa=1", str(tmp_path)).message


def test_evaluating_draws(sciml, data):
    sciml.succeeds("train darcy/threshold --model nearest --out run --data", str(data))
    done = sciml.succeeds("evaluate ./run --batch-statistics --out pictures --data", str(data))
    assert "nearest sample" in done.told
    assert {path.name for path in Path("pictures").iterdir()} == {"errors.png", "samples.png"}


def test_models_are_listed_with_their_options(sciml):
    rows = {row["model"]: row for row in sciml.succeeds("models --json").rows}
    assert {"lsm", "fno", "tfno", "uno", "transolver", "unet", "mean", "nearest"} <= rows.keys()
    assert rows["fno"]["any_resolution"]
    assert not rows["lsm"]["any_resolution"]
    assert "learning_rate" in sciml.succeeds("models").told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--split", "test"], "--split test was given; networks are trained on the training samples"),
        (["--model", "lsn"], "did you mean 'lsm'"),
        (["-o", "widht=8"], "did you mean 'width'"),
        (["-o", "width=9"], "width=9 is not divisible by heads=8"),
        (["--device", "cuda"], "PyTorch finds none here"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_folder_is_made(sciml, data, arguments, said):
    assert said in sciml("train darcy/threshold --out run --data", str(data), *arguments).message
    assert not Path("run").exists()


def test_a_family_that_the_file_is_not_of_is_refused(sciml, data):
    message = sciml("train poisson/sine --data", str(data)).message
    assert "is of family 'darcy/two_phase', not 'poisson/sine'" in message


def test_an_interrupted_training_goes_on_to_the_same_bits(data, tmp_path):
    arguments = [sys.executable, "-m", "sciml", "train", "darcy/threshold", "--data", str(data), *SMALL]
    arguments += ["-o", "epochs=12", "-o", "checkpoint_every=0"]
    subprocess.run([*arguments, "--out", "whole"], cwd=tmp_path, check=True, capture_output=True)
    process = subprocess.Popen([*arguments, "--out", "halted"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "halted" / "unfinished" / "checkpoint"
    for _ in range(600):
        if any(checkpoint.glob("*.json")):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = [sys.executable, "-m", "sciml", "resume", "halted"]
    subprocess.run(resumed, cwd=tmp_path, check=True, capture_output=True)
    weights = [(tmp_path / folder / "weights.safetensors").read_bytes() for folder in ("whole", "halted")]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_two_processes_share_the_batches(data, tmp_path):
    pytest.importorskip("torch.distributed.run")
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    arguments = ["sciml", "train", "darcy/threshold", "--data", str(data), *SMALL, "--out", "run", "--json"]
    done = subprocess.run([*launched, *arguments], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["validation"] < 1
