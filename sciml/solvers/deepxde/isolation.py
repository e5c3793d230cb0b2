"""Run DeepXDE inside a process without letting it change that process.

DeepXDE chooses its backend when it is imported (and writes a file into the home folder when nobody
told it which), sets PyTorch's default device on machines with a GPU, sets PyTorch's default dtype,
prints, and draws from the global generators of `random`, NumPy and PyTorch. :func:`isolated` lets all
of that happen for the length of a ``with`` block, and puts everything back afterwards.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import sys
import threading
import warnings
from collections.abc import Iterator
from types import ModuleType

import numpy as np

# SciPy installs warning filters of its own when it is first imported. Imported here, it keeps them;
# imported for the first time by DeepXDE, it would lose them when ours are restored.
import scipy.sparse
import scipy.special  # noqa: F401
import torch

from sciml.errors import MissingPackageError, OptionError, ScimlError
from sciml.solvers.base import checked_device
from sciml.solvers.deepxde.process import muted

__all__ = ["IsolationError", "isolated"]

_DTYPES = {torch.float32: "float32", torch.float64: "float64"}
_lock = threading.Lock()
_owner: int | None = None


class IsolationError(ScimlError, RuntimeError):
    """DeepXDE cannot be used here: a nested use, or another backend is already loaded."""


@contextlib.contextmanager
def isolated(*, dtype: torch.dtype, device: torch.device | str = "cpu", seed: int) -> Iterator[ModuleType]:
    """Lend the `deepxde` module for the length of a ``with`` block.

    Inside, DeepXDE uses the PyTorch backend, `dtype` and `device` are its (and PyTorch's) defaults,
    and the global generators are seeded from `seed`. Afterwards, also after an exception, the
    following are what they were before: PyTorch's default dtype and device; the states of the
    generators of `random`, NumPy and PyTorch; the environment variables and the warning filters
    (which the first import changes); DeepXDE's own settings.

    The process has one DeepXDE, so one block runs at a time: a second thread waits for the first.

    Parameters
    ----------
    dtype : torch.dtype
        ``torch.float64`` (recommended: second derivatives and L-BFGS need the digits) or
        ``torch.float32``.
    device : torch.device or str
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    seed : int
        Not negative. The same seed gives the same initial weights.

    Yields
    ------
    module
        `deepxde`. The first use imports it, and PyTorch's compiler with it: several seconds.

    Raises
    ------
    IsolationError
        If the block is nested in another one, or if DeepXDE was imported with another backend.
    MissingPackageError
        If DeepXDE is not installed.
    OptionError
        If `dtype`, `device` or `seed` is not one of the above.

    Notes
    -----
    PyTorch's default dtype and the generators of `random` and NumPy belong to the whole process:
    another thread that relies on them sees the changed ones while the block runs.
    """
    device = _checked(dtype, device, seed)
    with _one_at_a_time(), _generators_restored(device):
        deepxde = _imported()
        with _settings(deepxde, dtype), _default_device(device):
            _seed(seed, device)
            yield deepxde


def _checked(dtype: torch.dtype, device: torch.device | str, seed: int) -> torch.device:
    if dtype not in _DTYPES:
        raise OptionError(f"dtype = {dtype!r} is not possible; use torch.float64 or torch.float32.")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise OptionError(f"seed = {seed!r} is not possible; use an integer that is not negative.")
    return checked_device(device)


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold the lock of the process; refuse a thread that already holds it instead of hanging."""
    global _owner
    if _owner == threading.get_ident():
        raise IsolationError(
            "DeepXDE is already in use further up in this thread, and its settings exist once a process; "
            "finish that run first, or start this one in another process."
        )
    with _lock:
        _owner = threading.get_ident()
        try:
            yield
        finally:
            _owner = None


@contextlib.contextmanager
def _generators_restored(device: torch.device) -> Iterator[None]:
    """Put the global generators back. CUDA is left alone (not even initialised) unless it is asked for."""
    # On a Mac the import itself draws from the generator of the GPU.
    use_mps = device.type == "mps" or torch.backends.mps.is_available()
    python, numpy, cpu = random.getstate(), np.random.get_state(legacy=False), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    mps = torch.mps.get_rng_state() if use_mps else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, device)
        if mps is not None:
            torch.mps.set_rng_state(mps)


def _seed(seed: int, device: torch.device) -> None:
    """Seed what DeepXDE may draw from.

    Not by ``torch.manual_seed``: where CUDA is not initialised yet, that leaves a seed behind which
    takes effect when it is.
    """
    words = [int(word) for word in np.random.SeedSequence(int(seed)).generate_state(4)]
    random.seed(words[0])
    np.random.seed(words[1])
    torch.default_generator.manual_seed(words[2])
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(words[3])
    elif device.type == "mps":
        torch.mps.manual_seed(words[3])


def _imported() -> ModuleType:
    """Import DeepXDE with the PyTorch backend, leaving no trace but the imported modules."""
    if sys.modules.get("deepxde") is None or "torch._dynamo" not in sys.modules:
        with _import_time():
            try:
                importlib.import_module("deepxde")
            except ImportError as error:
                raise MissingPackageError(
                    f"DeepXDE cannot be imported ({error}); install it with `pip install deepxde`."
                ) from error
            # With its first optimiser PyTorch imports its compiler, which changes the environment and the
            # warning filters, and takes seconds that would count as training.
            torch.optim.SGD([torch.nn.Parameter(torch.zeros(1, device="cpu"))], lr=1.0)
    deepxde = sys.modules["deepxde"]
    backend = deepxde.backend.backend_name
    if backend != "pytorch":
        raise IsolationError(
            f"DeepXDE was imported earlier in this process with the backend {backend!r}, which cannot be "
            "changed any more; start a new process, with DDE_BACKEND=pytorch or without importing DeepXDE."
        )
    return deepxde


@contextlib.contextmanager
def _import_time() -> Iterator[None]:
    """Undo what the import does to the environment, the warning filters, the output and the device."""
    environment = dict(os.environ)
    device = _device_override()
    os.environ["DDE_BACKEND"] = "pytorch"
    # Under Open MPI's launcher DeepXDE wants Horovod, and with PyTorch it refuses to be imported.
    os.environ.pop("OMPI_COMM_WORLD_SIZE", None)
    try:
        with warnings.catch_warnings(), muted():
            yield
    finally:
        _restore_environment(environment)
        if _device_override() != device:
            torch.set_default_device(device)


def _restore_environment(environment: dict[str, str]) -> None:
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _device_override() -> torch.device | None:
    """Return the device set by ``torch.set_default_device``, or None where none is set.

    ``torch.get_default_device`` answers "cpu" in both cases, and an explicit override of "cpu" slows
    every call down; so the two must be told apart.
    """
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return None if context is None else context.device


@contextlib.contextmanager
def _default_device(device: torch.device) -> Iterator[None]:
    """Make `device` the default. Nothing is pushed if it is already, since a pushed device costs time."""
    if torch.get_default_device() == device:
        yield
    else:
        with device:
            yield


@contextlib.contextmanager
def _settings(deepxde: ModuleType, dtype: torch.dtype) -> Iterator[None]:
    """Set the default float, and put back DeepXDE's own settings (a user may use it beside us)."""
    config, options = deepxde.config, deepxde.optimizers.config.LBFGS_options
    default, real, lbfgs = torch.get_default_dtype(), dict(vars(config.real)), dict(options)
    names = ("mixed", "autodiff", "random_seed", "parallel_scaling")
    others = {name: getattr(config, name) for name in names}
    try:
        config.mixed, config.autodiff = False, "reverse"
        with muted():
            config.set_default_float(_DTYPES[dtype])
        yield
    finally:
        deepxde.grad.clear()
        torch.set_default_dtype(default)
        vars(config.real).update(real)
        for name, value in others.items():
            setattr(config, name, value)
        options.clear()
        options.update(lbfgs)
