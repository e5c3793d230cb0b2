"""Training states on disk: safetensors for tensors, JSON for the rest, never pickle.

A checkpoint is a pair of files ``training-000012.safetensors`` and ``training-000012.json``. The JSON is
written last and holds the hash of both, so a pair counts only if it is complete and unchanged. Two
generations are kept; where the newest is broken, the one before it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from sciml.errors import OptionError, OutputError, ScimlWarning
from sciml.files import atomic_path, write_json

__all__ = ["checkpoint_folder", "load_checkpoint", "save_checkpoint"]

_KEPT = 2
_FORMAT = 1


def checkpoint_folder(path: Path | str | None, resume: bool) -> Path | None:
    """Return the folder of a training's checkpoints, or None if none are wanted.

    Raises
    ------
    OptionError
        If the training is to be resumed and no folder is given.
    OutputError
        If it is not, and the folder already has the checkpoint of another training.
    """
    if path is None:
        if resume:
            raise OptionError("resume = True needs the folder of the checkpoint; give the option `checkpoint`.")
        return None
    folder = Path(path)
    if not resume and _complete(folder):
        raise OutputError(
            f"{str(folder)!r} already has the checkpoint of a training; resume it, or give another folder."
        )
    return folder


def save_checkpoint(folder: Path, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Write the next generation atomically and remove those before the last two.

    Parameters
    ----------
    folder : Path
        Made if missing.
    tensors : dict
        Any device, any dtype of safetensors.
    values : dict
        JSON; numbers must be finite.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        generation = max(_generations(folder), default=0) + 1
        arrays, manifest = _files(folder, generation)
        # Cloned, since safetensors refuses tensors that share memory.
        copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        with atomic_path(arrays) as temporary:
            safetensors.torch.save_file(copies, temporary)
        content = {"format": _FORMAT, "tensors": _file_hash(arrays), "values": values}
        write_json(manifest, content | {"hash": _json_hash(content)})
        _flush(folder)
        _remove_old(folder)
    except OSError as error:
        raise OutputError(f"The checkpoint folder {str(folder)!r} cannot be written: {error}.") from error


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors (on the CPU) and values of the newest generation that is intact.

    Warns
    -----
    ScimlWarning
        If a newer one had to be passed over.

    Raises
    ------
    OutputError
        If there is none.
    """
    problems = []
    for generation in reversed(_complete(folder)):
        arrays, manifest = _files(folder, generation)
        try:
            content = json.loads(manifest.read_text(encoding="utf-8"))
            expected = content.pop("hash")
            if expected != _json_hash(content) or content["tensors"] != _file_hash(arrays):
                raise ValueError("the contents differ from their hash")
            if content["format"] != _FORMAT:
                raise ValueError(f"format {content['format']}, this version reads {_FORMAT}")
            # Cloned, because the last bit of a dot product can depend on how its memory is aligned, and
            # a file's contents are aligned otherwise than what PyTorch allocates.
            loaded = {name: tensor.clone() for name, tensor in safetensors.torch.load_file(arrays).items()}
        except (OSError, ValueError, KeyError, AttributeError, TypeError, SafetensorError) as error:
            problems.append(f"{manifest.name}: {error}")
            continue
        if problems:
            passed_over = "; ".join(problems)
            warnings.warn(
                f"{manifest.name} is used, since newer checkpoints are broken ({passed_over}).",
                ScimlWarning,
                stacklevel=2,
            )
        return loaded, content["values"]
    found = "; ".join(problems) or "it has none"
    raise OutputError(f"No usable checkpoint in {str(folder)!r} ({found}); start without resuming.")


def _files(folder: Path, generation: int) -> tuple[Path, Path]:
    stem = f"training-{generation:06d}"
    return folder / f"{stem}.safetensors", folder / f"{stem}.json"


def _generations(folder: Path) -> set[int]:
    numbers = {path.stem.partition("-")[2] for path in folder.glob("training-*.*")}
    return {int(number) for number in numbers if number.isdecimal()}


def _complete(folder: Path) -> list[int]:
    """Generations with a manifest, oldest first; without one the writing was cut short."""
    return [number for number in sorted(_generations(folder)) if _files(folder, number)[1].exists()]


def _remove_old(folder: Path) -> None:
    """Keep the last complete generations; remove all others and what a killed process left half written."""
    for generation in _generations(folder) - set(_complete(folder)[-_KEPT:]):
        for path in reversed(_files(folder, generation)):
            path.unlink(missing_ok=True)
    for path in folder.glob(".training-*"):
        path.unlink(missing_ok=True)


def _flush(folder: Path) -> None:
    """Make the new names durable before old files go; Windows cannot and need not do this."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json_hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()
