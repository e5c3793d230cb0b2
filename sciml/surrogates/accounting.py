"""What a network costs: numbers, multiply-adds, bytes on disk and in training, milliseconds."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from sciml.nn.compressed import Convolution

__all__ = ["Account", "LayerAccount", "account", "account_in", "checkpoint_bytes", "milliseconds"]

_REPEATS, _SECONDS = 5, 0.5


@dataclass(frozen=True)
class LayerAccount:
    """A layer that holds numbers of its own.

    Attributes
    ----------
    name, kind : str
        In the network, with dots; its class.
    parameters : int
        A complex number counts twice.
    multiply_adds : int
        Of one pass forward.
    """

    name: str
    kind: str
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Account:
    """What a network costs for some inputs.

    Attributes
    ----------
    trainable_parameters : int
        Real numbers that are trained; a complex one counts twice.
    multiply_adds : int
        Of products and convolutions in one pass forward; transforms and what acts entry by entry are not counted.
    checkpoint_bytes : int
        Of weights and buffers as a safetensors file.
    saved_bytes : int
        Of what a pass forward keeps for the one back, without weights and inputs.
    peak_bytes : int
        The most that is held at a time by tensors that a pass forward and back makes, gradients included; what a
        library takes inside of one operation is not seen.
    forward_ms, training_ms : float or None
        CPU time of all threads for a pass forward, and for one forward and back; the least of several.
    layers : tuple of LayerAccount
    """

    trainable_parameters: int
    multiply_adds: int
    checkpoint_bytes: int
    saved_bytes: int
    peak_bytes: int
    forward_ms: float | None
    training_ms: float | None
    layers: tuple[LayerAccount, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        return asdict(self)


def account(model: nn.Module, *inputs: Any, timed: bool = True) -> Account:
    """Take account of a network for some inputs.

    Parameters
    ----------
    model : torch.nn.Module
        Anything whose output is a tensor, or holds some; it is neither changed nor is its gradient touched.
    *inputs
        What it is called with, on its device.
    timed : bool
        Whether to measure times, which takes up to a second.

    Returns
    -------
    Account

    Notes
    -----
    On the device "meta" all but the times is found without any work.

    Examples
    --------
    >>> account(network, torch.zeros(8, 3, 64, 64)).saved_bytes
    """
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    with _left_as_it_was(model):
        counts = _multiply_adds(model, inputs)
        saved, peak = _memory(model, inputs, trained)
        forward = milliseconds(lambda: _run(model, inputs)) if timed else None
        both = milliseconds(lambda: _gradients(model, inputs, trained)) if timed else None
    return Account(
        trainable_parameters=sum(map(_numbers, trained)),
        multiply_adds=counts.get("", 0),
        checkpoint_bytes=checkpoint_bytes(model),
        saved_bytes=saved,
        peak_bytes=peak,
        forward_ms=forward,
        training_ms=both,
        layers=tuple(
            LayerAccount(name, type(module).__name__, sum(map(_numbers, weights)), counts.get(name, 0))
            for name, module, weights in _layers(model)
        ),
    )


def account_in(folder: Path, *, timed: bool = True) -> tuple[str, Account]:
    """Take account of the trained network in a folder, for one sample of what it was trained on.

    Returns
    -------
    name, account : str, Account
        The model's name first.

    Raises
    ------
    OutputError
        The folder holds none, or a damaged one.
    """
    name, model, inputs = _network_in(folder)
    return name, account(model, *inputs, timed=timed)


def checkpoint_bytes(model: nn.Module) -> int:
    """Bytes of weights and buffers as a safetensors file; what is shared counts once."""
    tensors = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    once = {value.untyped_storage()._cdata: name for name, value in reversed(tensors.items())}
    kept = {name: torch.empty_like(tensors[name], device="cpu").contiguous() for name in once.values()}
    return len(safetensors.torch.save(kept))


def milliseconds(work: Callable[[], Any], repeats: int = _REPEATS, seconds: float = _SECONDS) -> float:
    """CPU time of a piece of work, the least of several after one that does not count.

    Parameters
    ----------
    work : callable
    repeats : int
        At least.
    seconds : float
        For how long to go on where the work is short.
    """
    work()
    taken: list[float] = []
    while len(taken) < repeats or sum(taken) < seconds:
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
        if len(taken) >= 100 * repeats:
            break
    return 1e3 * min(taken)


# -- networks in folders -------------------------------------------------------------------------------


def _network_in(folder: Path) -> tuple[str, nn.Module, tuple[Any, ...]]:
    from sciml.surrogates.equino import KIND as CELL
    from sciml.surrogates.equino import load_cell_run
    from sciml.surrogates.manifest import kind_in
    from sciml.surrogates.operators.run import load_run
    from sciml.surrogates.wave_cnn import KIND as WAVES

    if kind_in(folder) == CELL:
        branches = load_cell_run(folder).law.branches
        return "equino", branches, (branches.middle[None],)
    if kind_in(folder) == WAVES:
        return _wave_simulator(folder)
    run = load_run(folder)
    setting, grid = run.surrogate.operator.setting, run["grid"]
    inputs = torch.zeros(1, *grid, run["setting"]["in_channels"])
    places = torch.zeros(*grid, setting.dim) if setting.points else None
    return run["model"], run.surrogate, (inputs, places)


def _wave_simulator(folder: Path) -> tuple[str, nn.Module, tuple[Any, ...]]:
    from sciml.surrogates.wave_cnn import load_wave_run
    from sciml.surrogates.wave_cnn.conditioning import Medium
    from sciml.surrogates.wave_cnn.space_time import SpaceTime

    run = load_wave_run(folder)
    grid, instants = run["grid"], run["frames"] + 1
    nothing = torch.zeros(1, *grid)
    speed = torch.full_like(nothing, run["speed"][0])
    pulses = torch.ones(1, instants, 1)
    medium = Medium(speed, torch.ones(1, 1, *grid), pulses, nothing, nothing)
    name = f"{run['model']} ({run['options']['simulator']}, {run['options']['format']})"
    if isinstance(run.simulator, SpaceTime):
        return name, run.simulator, (medium,)
    return name, _OneFrame(run.simulator), (medium,)


class _OneFrame(nn.Module):
    """A simulator that makes frame 2 of a member, what it is told about the medium included."""

    def __init__(self, simulator: Any) -> None:
        super().__init__()
        self.simulator = simulator

    def forward(self, medium: Any) -> Tensor:
        told = self.simulator.tell(medium)
        frame = medium.start[:, None]
        return self.simulator.next(frame, frame, medium.source(1), told)


# -- counting ------------------------------------------------------------------------------------------


def _numbers(weight: Tensor) -> int:
    return weight.numel() * (2 if weight.is_complex() else 1)


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Module, Sequence[Tensor]]]:
    """Modules with parameters of their own, those of lists of parameters among them."""
    inside: tuple[str, ...] = ()
    for name, module in model.named_modules():
        if name.startswith(inside) and inside:
            continue
        if isinstance(module, Convolution):
            inside = (*inside, f"{name}.")
        weights = list(module.parameters(recurse=isinstance(module, Convolution)))
        if weights:
            yield name, module, weights


def _multiply_adds(model: nn.Module, inputs: tuple[Any, ...]) -> dict[str, int]:
    """Of the whole, by the name "", and of each module."""
    counter = FlopCounterMode(display=False)
    # PyTorch's own follows passes back too, and fails where a network takes slopes in its pass forward.
    counter.mod_tracker = _Inside(model)  # type: ignore[assignment]
    with torch.no_grad(), counter:
        model(*inputs)
    found = {name: sum(operations.values()) // 2 for name, operations in counter.get_flop_counts().items()}
    return found | {"": counter.get_total_flops() // 2}


class _Inside:
    """Names of the modules whose forward is running, for a counter of operations."""

    def __init__(self, model: nn.Module) -> None:
        self.parents = {"Global"}
        self._model, self._handles = model, []

    def __enter__(self) -> _Inside:
        for name, module in self._model.named_modules():
            if name:
                enter, leave = partial(self._note, name, True), partial(self._note, name, False)
                self._handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _note(self, name: str, enters: bool, *passed: Any) -> None:
        (self.parents.add if enters else self.parents.discard)(name)


# -- memory --------------------------------------------------------------------------------------------


class _Live(TorchDispatchMode):
    """Bytes of the tensors that operations have made and that are still there."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {t.untyped_storage()._cdata for t in _tensors((args, kwargs))}
        made = func(*args, **(kwargs or {}))
        for tensor in _tensors(made):
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key in before or key in self._known:
                continue
            size = storage.nbytes()
            self._known.add(key)
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._forget, key, size)
        return made

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


def _memory(model: nn.Module, inputs: tuple[Any, ...], trained: Sequence[Tensor]) -> tuple[int, int]:
    """Bytes that a pass forward keeps, and the most at a time forward and back."""
    given = {t.untyped_storage()._cdata for t in (*_tensors(inputs), *model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}
    stays: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in given:
            kept[storage._cdata] = storage.nbytes()
            stays.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        _run(model, inputs)
    stays.clear()
    live = _Live()
    with live:
        _gradients(model, inputs, trained)
    return sum(kept.values()), live.peak


def _run(model: nn.Module, inputs: tuple[Any, ...]) -> list[Tensor]:
    return _tensors(model(*inputs))


def _gradients(model: nn.Module, inputs: tuple[Any, ...], trained: Sequence[Tensor]) -> None:
    outputs = [t for t in _run(model, inputs) if t.requires_grad]
    if outputs:
        torch.autograd.grad(outputs, trained, [torch.ones_like(t) for t in outputs], allow_unused=True)


def _tensors(values: Any) -> list[Tensor]:
    found = []
    for leaf in tree_leaves(values):
        if isinstance(leaf, Tensor):
            found.append(leaf)
        elif is_dataclass(leaf) and not isinstance(leaf, type):
            found += _tensors([getattr(leaf, field.name) for field in fields(leaf)])
    return found


@contextmanager
def _left_as_it_was(model: nn.Module) -> Iterator[None]:
    """With gradients on; buffers and the generator of the CPU are afterwards as they were before."""
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    state = torch.get_rng_state()
    try:
        with torch.enable_grad():
            yield
    finally:
        torch.set_rng_state(state)
        with torch.no_grad():
            for name, value in model.named_buffers():
                value.copy_(buffers[name])
