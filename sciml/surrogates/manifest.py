"""What a folder of a training holds: a manifest and weights, whatever was trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from sciml.errors import OptionError, OutputError
from sciml.files import atomic_path, plain, write_json

__all__ = ["kind_in", "read_training", "write_training"]

_MANIFEST, _WEIGHTS, _FORMAT = "manifest.json", "weights.safetensors", 1


def kind_in(folder: Path) -> str:
    """The kind of what was trained: ``"operator"``, a network over a family; ``"wave simulator"``; ``"cell"``, a law.

    Raises
    ------
    OutputError
        There is no finished training in the folder, or it is damaged.
    """
    path = folder / _MANIFEST
    if not path.is_file():
        raise OutputError(f"{folder} holds no trained network; `sciml train … --out {folder}` makes one.")
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["kind"])
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{folder} holds a damaged training ({error}); train anew with --force.") from error


def write_training(folder: Path, kind: str, manifest: dict[str, Any], tensors: dict[str, Tensor]) -> list[str]:
    """Write weights and manifest, and say the names of the files.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    with atomic_path(folder / _WEIGHTS) as temporary:
        copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        safetensors.torch.save_file(copies, temporary)
    write_json(folder / _MANIFEST, plain({"format": _FORMAT, "kind": kind, **manifest}))
    return [_MANIFEST, _WEIGHTS]


def read_training[Run](
    folder: Path, kind: str, restore: Callable[[dict[str, Any], dict[str, Tensor]], Run], *, otherwise: str
) -> Run:
    """Make a run of what :func:`write_training` has written.

    Parameters
    ----------
    folder : Path
    kind : str
        That it must be of.
    restore : callable
        From manifest and tensors to the run.
    otherwise : str
        What to say where the folder holds another kind, after "holds a trained KIND, ".

    Raises
    ------
    OutputError
        There is no finished training of that kind in the folder, or its files are damaged or of another version.
    """
    found = kind_in(folder)
    if found != kind:
        raise OutputError(f"{folder} holds a trained {found}, {otherwise}.")
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] == _FORMAT:
            return restore(manifest, safetensors.torch.load_file(folder / _WEIGHTS))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, OptionError) as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{folder} holds a damaged training ({error}); train anew with --force.") from error
    raise OutputError(f"{folder} is of format {manifest['format']}, this version reads {_FORMAT}; train anew.")
