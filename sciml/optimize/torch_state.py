"""The state of a torch optimiser as named tensors and JSON values, and back, bit by bit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["pack_optimizer", "unpack_optimizer"]

# L-BFGS writes this list anew in every iteration before it reads it.
_SCRATCH = {"al"}


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Take a snapshot of an optimiser's state that further steps don't change.

    Returns
    -------
    tensors : dict
        ``"<parameter>.<key>"`` for a tensor, ``"<parameter>.<key>.<i>"`` for the i-th of a list. The
        history of L-BFGS is not copied: its entries are replaced by later steps, never written to.
    values : dict
        Numbers under ``"<parameter>.<key>"``, and the lengths of the lists in ``"lists"``.
    """
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {"lists": {}}
    for index, parameter in enumerate(_parameters(optimizer)):
        for key, value in optimizer.state.get(parameter, {}).items():
            name = f"{index}.{key}"
            if key in _SCRATCH:
                continue
            if isinstance(value, Tensor):
                tensors[name] = value.detach().clone()
            elif isinstance(value, list):
                values["lists"][name] = len(value)
                tensors |= {f"{name}.{i}": entry for i, entry in enumerate(value)}
            else:
                values[name] = value
    return tensors, values


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Put a state of `pack_optimizer` into a fresh optimiser of the same kind and parameters."""
    lists = values["lists"]
    for index, parameter in enumerate(_parameters(optimizer)):
        state: dict[str, Any] = {}
        for name, value in (values | tensors).items():
            owner, _, key = name.partition(".")
            # Adam counts its steps in a tensor that lives on the CPU whatever the device.
            if owner == str(index) and "." not in key:
                on_device = isinstance(value, Tensor) and key != "step"
                state[key] = _own(value.to(parameter.device) if on_device else value)
        for name, length in lists.items():
            owner, _, key = name.partition(".")
            if owner == str(index):
                state[key] = [_own(tensors[f"{name}.{i}"].to(parameter.device)) for i in range(length)]
        if state:
            optimizer.state[parameter] = state


def _own(value: Any) -> Any:
    """Copy a tensor, which the optimiser will write to; the copy also lies in memory as the original did."""
    return value.clone() if isinstance(value, Tensor) else value


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
