"""Trained networks of linear solvers in files: weights as safetensors, and beside them a manifest that says whence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from sciml.errors import OutputError, UnknownNameError, unknown_name
from sciml.files import atomic_path, plain, write_json

__all__ = ["digest_of", "read_network", "shipped_networks", "write_network"]

_SHIPPED = Path(__file__).resolve().parents[1] / "data" / "networks"
_FORMAT = 1


def shipped_networks() -> dict[str, Path]:
    """Networks that come with the package: name → weights."""
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.safetensors"))}


def digest_of(request: Mapping[str, Any]) -> str:
    """The hash of what asks for a training: all of its options and its seed, as JSON."""
    text = json.dumps(plain(request), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_network(path: Path, kind: str, manifest: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> list[Path]:
    """Write ``path.safetensors`` and ``path.json``.

    Parameters
    ----------
    path : Path
        Without a suffix, or with either.
    kind : str
        Name of the solver.
    manifest : mapping
        ``command``, ``request`` and what else there is to say; format, kind and hashes are added.
    tensors : mapping

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    weights, record = path.with_suffix(".safetensors"), path.with_suffix(".json")
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(copies)
    with atomic_path(weights) as temporary:
        temporary.write_bytes(content)
    hashes = {"request_digest": digest_of(manifest["request"]), "weights_digest": hashlib.sha256(content).hexdigest()}
    write_json(record, plain({"format": _FORMAT, "kind": kind, **manifest, **hashes}))
    return [weights, record]


def read_network(name: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Manifest and weights of a shipped network by its name, or of one in a file.

    Raises
    ------
    UnknownNameError
        There is no network of the name, nor a file.
    OutputError
        The files are damaged, of another kind, or do not belong together.
    """
    shipped = shipped_networks()
    path = shipped[str(name)] if str(name) in shipped else Path(name).with_suffix(".safetensors")
    if not path.is_file():
        raise _unknown(str(name), shipped)
    try:
        content = path.read_bytes()
        manifest = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        found = manifest["format"], manifest["kind"]
        whole = manifest["weights_digest"] == hashlib.sha256(content).hexdigest()
        tensors = safetensors.torch.load(content)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise OutputError(f"{path} holds a damaged network ({error}); train anew.") from error
    if found != (_FORMAT, kind):
        raise OutputError(
            f"{path} holds a network of {found[1]} in format {found[0]}; {kind} reads its own, in {_FORMAT}."
        )
    if not whole:
        raise OutputError(
            f"{path} is not what {path.with_suffix('.json').name} describes; its hash differs, train anew."
        )
    return manifest, tensors


def _unknown(name: str, shipped: Mapping[str, Path]) -> UnknownNameError:
    return unknown_name(
        "trained network", name, shipped, "A file of your own is given by its path, ./NAME.safetensors."
    )
