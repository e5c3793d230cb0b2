"""How DeepXDE is asked to train: network, optimisers, sampling, limits, checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch

from sciml.errors import OptionError

__all__ = ["ACTIVATIONS", "INITIALIZERS", "TrainingOptions"]

ACTIVATIONS = ("elu", "gelu", "relu", "selu", "sigmoid", "silu", "sin", "swish", "tanh")
INITIALIZERS = ("Glorot normal", "Glorot uniform", "He normal", "He uniform")
# The learning rate decays of DeepXDE that are plain numbers, and how many numbers each takes.
DECAYS = {"step": 2, "cosine": 2, "inverse time": 2, "exponential": 1}


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options of one training. What is not given follows DeepXDE's own habits.

    Parameters
    ----------
    network : {"fnn", "pfnn"} or torch.nn.Module
        ``"fnn"`` is one fully connected network, ``"pfnn"`` one of the given size for every output.
        A module must map ``(n, features)`` to ``(n, outputs)``; it is copied, never changed.
    width, depth : int
        Neurons of a hidden layer and number of hidden layers. Good values: 40 × 3 in two dimensions
        and smooth solutions, 64 × 4 for sharper ones. Not used for a module.
    activation : str
        One of `ACTIVATIONS`; smooth ones (tanh, sin, silu) where second derivatives are needed.
    initializer : str
        One of `INITIALIZERS`. Biases start at zero.
    adam : int
        Adam iterations; 0 leaves the phase out. Good values: 300 to 2000 before L-BFGS.
    learning_rate : float
        Of Adam, 1e-3 to 5e-3.
    decay : tuple, optional
        Decay of the learning rate, in iterations: ``("step", every, factor)``, ``("cosine", length,
        lowest)``, ``("inverse time", every, rate)``, ``("exponential", factor)``.
    lbfgs : int
        L-BFGS iterations; 0 leaves the phase out. Good values: 1000 to 5000.
    gradient_tolerance : float
        L-BFGS has converged when no entry of the gradient exceeds this.
    change_tolerance : float
        L-BFGS has also converged when the loss, or every weight, changes by less than this in an
        iteration. 0 (as in DeepXDE) switches it off.
    history : int
        Correction pairs that L-BFGS keeps; its memory is ``2 · history · parameters``.
    sampler : {"fixed", "rar"}
        Keep the collocation points, or add points where the residual is largest (Lu et al., DeepXDE:
        A deep learning library for solving differential equations, SIAM Review 63, 2021, section 2.8).
    rar_every, rar_candidates, rar_add : int
        Every `rar_every` iterations, the residual is looked at on `rar_candidates` fresh points and the
        `rar_add` worst are added. Good values: 500, 10 000, 1 % to 5 % of the initial points.
    rar_max_points : int, optional
        Stop adding at this many collocation points; twice the initial number if not given.
    seed : int
        Decides everything random: initial weights and candidates.
    cpu_seconds : float, optional
        CPU time of the training, resumed parts included; looked at after every chunk. The import of
        DeepXDE does not count.
    chunk : int
        Iterations between two looks at limits, `stop` and checkpoints; at least 2. Good values: 20 to 50.
    checkpoint : path, optional
        Folder for the training state.
    checkpoint_every : float
        CPU seconds between two checkpoints; 0 writes one after every chunk.
    dtype, device
        Of all numbers. Keep float64 unless the device has none.

    Raises
    ------
    OptionError
        If a value is not allowed; the message says which are.
    """

    network: Literal["fnn", "pfnn"] | torch.nn.Module = "fnn"
    width: int = 40
    depth: int = 3
    activation: str = "tanh"
    initializer: str = "Glorot normal"
    adam: int = 1000
    learning_rate: float = 1e-3
    decay: Sequence[str | float] | None = None
    lbfgs: int = 2000
    gradient_tolerance: float = 1e-8
    change_tolerance: float = 0.0
    history: int = 100
    sampler: Literal["fixed", "rar"] = "fixed"
    rar_every: int = 500
    rar_candidates: int = 10_000
    rar_add: int = 50
    rar_max_points: int | None = None
    seed: int = 0
    cpu_seconds: float | None = None
    chunk: int = 50
    checkpoint: Path | str | None = None
    checkpoint_every: float = 60.0
    dtype: torch.dtype = torch.float64
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        if not isinstance(self.network, torch.nn.Module):
            self._one_of("network", ("fnn", "pfnn"))
        self._one_of("activation", ACTIVATIONS)
        self._one_of("initializer", INITIALIZERS)
        self._one_of("sampler", ("fixed", "rar"))
        lowest = {"width": 1, "depth": 1, "adam": 0, "lbfgs": 0, "history": 1, "seed": 0, "chunk": 2}
        lowest |= {"rar_every": 1, "rar_candidates": 1, "rar_add": 1}
        for name, low in lowest.items():
            self._integer(name, low)
        if self.rar_max_points is not None:
            self._integer("rar_max_points", 1)
        if self.adam + self.lbfgs == 0:
            raise OptionError("adam = 0 and lbfgs = 0 leave nothing to do; give one of them a number of iterations.")
        self._number("learning_rate", positive=True)
        if self.cpu_seconds is not None:
            self._number("cpu_seconds", positive=True)
        for name in ("gradient_tolerance", "change_tolerance", "checkpoint_every"):
            self._number(name, positive=False)
        self._check_decay()

    def _one_of(self, name: str, allowed: Sequence[str]) -> None:
        value = getattr(self, name)
        if value not in allowed:
            raise OptionError(f"{name} = {value!r} is not possible; use one of {', '.join(map(repr, allowed))}.")

    def _integer(self, name: str, low: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise OptionError(f"{name} = {value!r} is not possible; use an integer of at least {low}.")

    def _number(self, name: str, positive: bool) -> None:
        value = getattr(self, name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value < 0 or (positive and value == 0):
            allowed = "above 0" if positive else "of at least 0"
            raise OptionError(f"{name} = {value!r} is not possible; use a finite number {allowed}.")

    def _check_decay(self) -> None:
        if self.decay is None:
            return
        name, *numbers = self.decay
        if name not in DECAYS or len(numbers) != DECAYS[name]:
            kinds = ", ".join(f"{kind!r} with {count} number(s)" for kind, count in DECAYS.items())
            raise OptionError(f"decay = {self.decay!r} is not possible; use None or one of {kinds}.")

    def identity(self) -> dict[str, Any]:
        """Return the options that decide the course of a training, in the form of JSON.

        A resumed training must agree in these. It may have other limits (`lbfgs`, `cpu_seconds`), write
        its checkpoints elsewhere, and run on another device.
        """
        free = {"network", "lbfgs", "cpu_seconds", "checkpoint", "checkpoint_every", "device"}
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in free}
        kind = self.network if isinstance(self.network, str) else type(self.network).__qualname__
        decay = None if self.decay is None else list(self.decay)
        return values | {"network": kind, "decay": decay, "dtype": str(self.dtype)}
