"""A trained cell in a folder: weights, modes, and the record of how they came about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sciml.surrogates.equino.law import EquinoLaw
from sciml.surrogates.equino.network import Branches, Scaling
from sciml.surrogates.manifest import read_training, write_training

__all__ = ["KIND", "CellRun", "load_cell_run"]

KIND = "cell"
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
        return write_training(folder, KIND, self.manifest, tensors)


def load_cell_run(folder: str | Path, *, device: str = "cpu") -> CellRun:
    """Read a trained cell from the folder that `sciml train … --model equino --out` has written.

    Raises
    ------
    OutputError
        There is no finished training of a cell in the folder, or its files are damaged or of another version.
    """
    return read_training(
        Path(folder),
        KIND,
        lambda manifest, tensors: CellRun(_restored(manifest, tensors, device), manifest),
        otherwise="and no cell; train one with --model equino",
    )


def _restored(manifest: dict[str, Any], tensors: dict[str, torch.Tensor], device: str) -> EquinoLaw:
    own = {name.removeprefix("branches/"): t for name, t in tensors.items() if name.startswith("branches/")}
    options, box = manifest["options"], np.array(manifest["cell"]["box"])
    linear, shift, scale = (own[name].numpy() for name in ("linear", "shift", "scale"))
    scaling = Scaling(linear, shift, scale, manifest["through_zero"])
    branches = Branches(options["modes"], options["width"], options["depth"], box, scaling, device=device)
    branches.load_state_dict(own)
    fluctuation, stress, mean_stress = (tensors[f"modes/{name}"].numpy() for name in _MODES)
    return EquinoLaw(branches, fluctuation, stress, mean_stress, box, manifest["cell"])
