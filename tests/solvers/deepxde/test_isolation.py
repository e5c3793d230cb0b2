"""DeepXDE may do what it likes inside `isolated`; outside, nothing has changed."""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from sciml.errors import MissingPackageError, OptionError, ScimlError
from sciml.solvers.deepxde.isolation import IsolationError, isolated
from sciml.solvers.deepxde.process import muted

SNAPSHOT = """
import logging, os, random, sys, warnings
import numpy as np
from sciml.solvers.deepxde.engine import train
from sciml.solvers.deepxde.isolation import isolated
from sciml.solvers.deepxde.options import TrainingOptions

def snapshot():
    import matplotlib
    return dict(
        dtype=torch.get_default_dtype(), device=torch.get_default_device(), threads=torch.get_num_threads(),
        override=torch._GLOBAL_DEVICE_CONTEXT.__dict__.get("device_context"),
        torch=torch.get_rng_state().tolist(), numpy=str(np.random.get_state()), random=random.getstate(),
        environment=dict(os.environ), filters=list(warnings.filters), show=warnings.showwarning,
        handlers=list(logging.root.handlers), level=logging.root.level, errors=np.geterr(),
        printing=str(np.get_printoptions()), backend=matplotlib.rcParams._get_backend_or_none(),
        streams=(sys.stdout, sys.stderr), hook=sys.excepthook, grad=torch.is_grad_enabled(),
        deterministic=torch.are_deterministic_algorithms_enabled(), folder=os.getcwd(),
    )

def compare(before, after, when):
    for key in before:
        assert before[key] == after[key], (when, key, before[key], after[key])
"""

NOTHING_LEAKS = (
    SNAPSHOT
    + """
random.seed(3); np.random.seed(3); torch.manual_seed(3)
before = snapshot()
options = TrainingOptions(width=5, depth=1, adam=5, lbfgs=5, chunk=5)
train(tools["poisson_training"](20), options)
compare(before, snapshot(), "after a training")
assert "deepxde" in sys.modules
try:
    with isolated(dtype=torch.float64, seed=1):
        torch.rand(3), np.random.rand(3), random.random()
        assert torch.get_default_dtype() == torch.float64
        raise ZeroDivisionError
except ZeroDivisionError:
    pass
compare(before, snapshot(), "after an exception")
"""
)

# A machine with a GPU, Open MPI's launcher, and a user who prefers other backends: none of it matters.
HOSTILE_SURROUNDINGS = (
    SNAPSHOT
    + """
from pathlib import Path
torch.cuda.is_available = lambda: True  # makes the import set the default device
folder = Path.home() / ".deepxde"
folder.mkdir()
(folder / "config.json").write_text('{"backend": "tensorflow"}')
surroundings = {"DDEBACKEND": "jax", "OMPI_COMM_WORLD_SIZE": "2"}
os.environ.update(surroundings)
with isolated(dtype=torch.float32, seed=0) as deepxde:
    assert deepxde.backend.backend_name == "pytorch"
    assert torch._GLOBAL_DEVICE_CONTEXT.device_context is None
    assert torch.zeros(1).device.type == "cpu"
assert torch._GLOBAL_DEVICE_CONTEXT.device_context is None
assert not torch.cuda.is_initialized()
assert surroundings.items() <= os.environ.items()
"""
)


def test_first_import_leaves_no_trace(start, tmp_path: Path) -> None:
    process = start(NOTHING_LEAKS)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert (output, errors) == ("", "")
    assert list((tmp_path / "home").rglob("*")) == []


def test_surroundings_do_not_matter(start) -> None:
    process = start(HOSTILE_SURROUNDINGS)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def generator_states() -> tuple[str, ...]:
    return str(random.getstate()), str(np.random.get_state()), str(torch.get_rng_state().tolist())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_defaults_and_generators_come_back(dtype: torch.dtype) -> None:
    before = generator_states(), torch.get_default_dtype()
    with isolated(dtype=dtype, seed=5) as deepxde:
        net = deepxde.nn.FNN([2, 4, 1], "tanh", "Glorot normal")
        assert net.linears[0].weight.dtype == torch.get_default_dtype() == dtype
        assert deepxde.config.real(np) == (np.float32 if dtype == torch.float32 else np.float64)
    assert before == (generator_states(), torch.get_default_dtype())


def test_seed_decides_the_draws() -> None:
    draws = []
    for seed in (1, 1, 2):
        with isolated(dtype=torch.float64, seed=seed):
            draws.append((random.random(), np.random.rand(), float(torch.rand(()))))
    assert draws[0] == draws[1]
    assert all(a != b for a, b in zip(draws[0], draws[2], strict=True))


def test_settings_of_deepxde_come_back() -> None:
    with isolated(dtype=torch.float64, seed=0) as deepxde:
        pass
    settings = deepxde.optimizers.config
    before = dict(settings.LBFGS_options), deepxde.config.default_float(), deepxde.config.autodiff
    deepxde.config.autodiff = "forward"
    try:
        with isolated(dtype=torch.float64, seed=0):
            assert deepxde.config.autodiff == "reverse"
            settings.set_LBFGS_options(maxcor=3)
            settings.LBFGS_options["iter_per_step"] = 7
        assert deepxde.config.autodiff == "forward"
    finally:
        deepxde.config.autodiff = before[2]
    assert (dict(settings.LBFGS_options), deepxde.config.default_float(), deepxde.config.autodiff) == before


def test_a_device_chosen_by_the_caller_comes_back() -> None:
    with torch.device("meta"):
        with isolated(dtype=torch.float64, device="cpu", seed=0):
            assert torch.zeros(1).device.type == "cpu"
        assert torch.zeros(1).device.type == "meta"


def test_nested_use_is_refused_and_harmless() -> None:
    with isolated(dtype=torch.float64, seed=0):
        with (
            pytest.raises(IsolationError, match="already in use further up"),
            isolated(dtype=torch.float32, seed=1),
        ):
            pass
        assert torch.get_default_dtype() == torch.float64
    assert torch.get_default_dtype() == torch.float32
    assert issubclass(IsolationError, ScimlError)
    with isolated(dtype=torch.float64, seed=0):
        pass


def test_second_thread_waits() -> None:
    events: list[str] = []

    def other() -> None:
        with isolated(dtype=torch.float64, seed=0):
            events.append("other")

    thread = threading.Thread(target=other)
    with isolated(dtype=torch.float64, seed=0):
        thread.start()
        thread.join(timeout=0.3)
        assert thread.is_alive()
        events.append("first")
    thread.join(timeout=60)
    assert events == ["first", "other"]


def test_only_this_thread_is_muted(capsys: pytest.CaptureFixture[str]) -> None:
    with muted():
        print("mine")
        print("mine", file=sys.stderr)
        thread = threading.Thread(target=print, args=("theirs",))
        thread.start()
        thread.join()
    assert capsys.readouterr() == ("theirs\n", "")


@pytest.mark.parametrize(
    ("name", "value"),
    [("dtype", torch.float16), ("device", "gpu"), ("device", "meta"), ("seed", -1), ("seed", 0.5)],
)
def test_wrong_arguments(name: str, value: object) -> None:
    arguments = {"dtype": torch.float64, "device": "cpu", "seed": 0, name: value}
    with pytest.raises(OptionError, match=name), isolated(**arguments):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_device_that_is_not_there() -> None:
    with (
        pytest.raises(OptionError, match="finds none here"),
        isolated(dtype=torch.float64, device="cuda", seed=0),
    ):
        pass


def test_other_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with isolated(dtype=torch.float64, seed=0) as deepxde:
        pass
    monkeypatch.setattr(deepxde.backend, "backend_name", "jax")
    with pytest.raises(IsolationError, match="'jax'"), isolated(dtype=torch.float64, seed=0):
        pass


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepxde", None)
    with (
        pytest.raises(MissingPackageError, match="pip install deepxde"),
        isolated(dtype=torch.float64, seed=0),
    ):
        pass
    assert torch.get_default_dtype() == torch.float32
