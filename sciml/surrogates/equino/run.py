"""A trained cell in a folder: weights, modes, and the record of how they came about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from sciml.errors import OutputError
from sciml.files import atomic_path, plain, write_json
from sciml.surrogates.equino.law import EquinoLaw
from sciml.surrogates.equino.network import Branches, Scaling
from sciml.surrogates.manifest import MANIFEST, kind_in

__all__ = ["KIND", "CellRun", "load_cell_run"]

KIND = "cell"
_WEIGHTS = "weights.safetensors"
_FORMAT = 1
_MODES = ("fluctuation_modes", "stress_modes", "mean_stress")


@dataclass
class CellRun:
    """A trained cell, ready to be asked.

    Attributes
    ----------
    law : EquinoLaw
    manifest : dict
        Cell, data, options, losses, costs, versions; plain JSON.
    """

    law: EquinoLaw
    manifest: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.manifest[key]

    def save(self, folder: Path) -> list[str]:
        """Write weights and manifest, and say their names.

        Raises
        ------
        OutputError
            The folder cannot be written.
        """
        tensors = {f"branches/{name}": tensor for name, tensor in self.law.branches.state_dict().items()}
        tensors |= {f"modes/{name}": torch.tensor(getattr(self.law, name)) for name in _MODES}
        with atomic_path(folder / _WEIGHTS) as temporary:
            copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
            safetensors.torch.save_file(copies, temporary)
        write_json(folder / MANIFEST, plain({"format": _FORMAT, "kind": KIND, **self.manifest}))
        return [MANIFEST, _WEIGHTS]


def load_cell_run(folder: str | Path, *, device: str = "cpu") -> CellRun:
    """Read a trained cell from the folder that `sciml train … --model equino --out` has written.

    Raises
    ------
    OutputError
        There is no finished training of a cell in the folder, or its files are damaged or of another version.
    """
    folder = Path(folder)
    kind = kind_in(folder)
    if kind != KIND:
        raise OutputError(f"{folder} holds a trained {kind}, and no cell; train one with --model equino.")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != _FORMAT:
            raise OutputError(f"{folder} is of format {manifest['format']}, this version reads {_FORMAT}; train anew.")
        tensors = safetensors.torch.load_file(folder / _WEIGHTS)
        return CellRun(_restored(manifest, tensors, device), manifest)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{folder} holds a damaged training ({error}); train anew with --force.") from error


def _restored(manifest: dict[str, Any], tensors: dict[str, torch.Tensor], device: str) -> EquinoLaw:
    own = {name.removeprefix("branches/"): t for name, t in tensors.items() if name.startswith("branches/")}
    options, box = manifest["options"], np.array(manifest["cell"]["box"])
    linear, shift, scale = (own[name].numpy() for name in ("linear", "shift", "scale"))
    scaling = Scaling(linear, shift, scale, manifest["through_zero"])
    branches = Branches(options["modes"], options["width"], options["depth"], box, scaling, device=device)
    branches.load_state_dict(own)
    fluctuation, stress, mean_stress = (tensors[f"modes/{name}"].numpy() for name in _MODES)
    return EquinoLaw(branches, fluctuation, stress, mean_stress, box, manifest["cell"])
