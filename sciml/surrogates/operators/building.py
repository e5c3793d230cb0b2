"""Building networks by name, and their weights as tensors for a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from sciml.errors import OptionError, unknown_name
from sciml.solvers.base import validated_options
from sciml.surrogates.operators.base import ModelKind, ModelOptions, Operator, Setting
from sciml.surrogates.operators.models import MODELS

__all__ = ["build", "load_state", "model_kind", "read_model_options", "state_for_file"]

_COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}


def model_kind(name: str) -> ModelKind:
    """The kind of that name.

    Raises
    ------
    UnknownNameError
        There is none; the message offers the nearest.
    """
    if name not in MODELS:
        raise unknown_name("model", name, MODELS)
    return MODELS[name]


def read_model_options(kind: ModelKind, setting: Setting, given: Mapping[str, Any]) -> ModelOptions:
    """Validate and resolve options, from Python or as text from a command line.

    Raises
    ------
    OptionError
        An option that the model does not have (with the nearest name), a value that is not allowed, or one that does
        not fit the setting.
    """
    options = validated_options(kind.Options, given, f"model {kind.name!r}")
    options = kind.resolve(setting, options)
    kind.check(setting, options)
    return options


def build(
    name: str,
    setting: Setting,
    seed: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    **options: Any,
) -> Operator:
    """Build an untrained network.

    Parameters
    ----------
    name : str
        One of :data:`MODELS`.
    setting : Setting
    seed : int
        Of the initial weights, which do not depend on the device. Global generators stay as they were.
    dtype, device
        Of the weights; complex weights get the complex type of that precision.
    **options
        Of the model; what is not given follows from the setting.

    Raises
    ------
    UnknownNameError, OptionError

    Examples
    --------
    >>> build("lsm", Setting(dim=2, grid=(32, 32)), seed=0).trainable_parameters
    307137
    """
    kind = model_kind(name)
    resolved = read_model_options(kind, setting, options)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        network = kind.network(setting, resolved)
    operator = Operator(kind, setting, resolved, network)
    # Module.to(dtype) would turn complex weights into their real parts.
    return operator._apply(lambda tensor: _cast(tensor, dtype, device))


def _cast(tensor: torch.Tensor, dtype: torch.dtype, device: torch.device | str) -> torch.Tensor:
    if tensor.is_complex():
        return tensor.to(device, _COMPLEX[dtype])
    return tensor.to(device, dtype) if tensor.is_floating_point() else tensor.to(device)


def state_for_file(operator: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Weights and buffers by name, as contiguous real tensors on the CPU.

    A complex one of shape ``(…)`` becomes a real one of shape ``(…, 2)``; entries that are no tensors, which some
    libraries put into a state, are left out.
    """
    state = {}
    for name, tensor in operator.state_dict().items():
        if isinstance(tensor, torch.Tensor):
            real = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
            state[name] = real.detach().to("cpu", copy=True).contiguous()
    return state


def load_state(operator: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Put the tensors of :func:`state_for_file` into an operator of the same model, setting and options.

    Raises
    ------
    OptionError
        They belong to another network.
    """
    own = {name: tensor for name, tensor in operator.state_dict().items() if isinstance(tensor, torch.Tensor)}
    if set(own) != set(tensors):
        odd = sorted(set(own) ^ set(tensors))[0]
        raise OptionError(f"The weights are not those of model {operator.model!r}: {odd!r} is in one of them only.")
    with torch.no_grad():
        for name, tensor in own.items():
            given = torch.view_as_complex(tensors[name].contiguous()) if tensor.is_complex() else tensors[name]
            if given.shape != tensor.shape and not operator.trained:
                tensor = _resized(operator, name, given)
            if given.shape != tensor.shape:
                raise OptionError(
                    f"The weights are not those of model {operator.model!r} in this setting: {name!r} is "
                    f"{tuple(given.shape)} and takes {tuple(tensor.shape)}."
                )
            tensor.copy_(given)


def _resized(operator: torch.nn.Module, name: str, given: torch.Tensor) -> torch.Tensor:
    """The buffer of that name with the shape of what was fitted."""
    owner, _, short = name.rpartition(".")
    module = operator.get_submodule(owner)
    setattr(module, short, getattr(module, short).new_empty(given.shape))
    return getattr(module, short)
