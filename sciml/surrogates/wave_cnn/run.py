"""A trained simulator in a folder: weights, and the record of how they came about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sciml.datasets import family_of
from sciml.errors import OutputError
from sciml.surrogates.manifest import read_training, write_training
from sciml.surrogates.wave_cnn.conditioning import Medium, sides_of
from sciml.surrogates.wave_cnn.options import WaveOptions
from sciml.surrogates.wave_cnn.propagator import Propagator
from sciml.surrogates.wave_cnn.space_time import SpaceTime
from sciml.surrogates.wave_cnn.training import build

__all__ = ["KIND", "WaveRun", "load_wave_run"]

KIND = "wave simulator"
_BATCH = 10


@dataclass
class WaveRun:
    """A trained simulator, ready to be asked.

    Attributes
    ----------
    simulator : Propagator or SpaceTime
    manifest : dict
        Family, data, options, errors, costs, versions; plain JSON.
    """

    simulator: Propagator | SpaceTime
    manifest: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.manifest[key]

    def roll(
        self,
        medium: Medium,
        frames: int,
        start: tuple[Tensor, Tensor] | None = None,
        at: int | Tensor = 1,
        *,
        device: str = "cpu",
    ) -> Tensor:
        """As :meth:`Propagator.roll`, some members at a time, on the CPU.

        Raises
        ------
        OutputError
            Frames that are not finite.
        """
        simulator, made = self.simulator.to(device), []
        for first in range(0, len(medium), _BATCH):
            rows = slice(first, first + _BATCH)
            own = None if start is None else (start[0][rows].to(device), start[1][rows].to(device))
            number = at if isinstance(at, int) else at[rows].to(device)
            made.append(simulator.roll(medium.select(rows).to(device), frames, own, number).cpu())
        out = torch.cat(made)
        if not bool(torch.isfinite(out).all()):
            raise OutputError("The simulator's frames are not finite; train anew, longer or with more noise.")
        return out

    def save(self, folder: Path) -> list[str]:
        """Write weights and manifest, and say their names.

        Raises
        ------
        OutputError
            The folder cannot be written.
        """
        return write_training(folder, KIND, self.manifest, self.simulator.state_dict())


def load_wave_run(folder: str | Path) -> WaveRun:
    """Read a trained simulator from the folder that `sciml train … --model wave_cnn --out` has written.

    Raises
    ------
    OutputError
        There is no finished training of one in the folder, or its files are damaged or of another version.
    """
    return read_training(
        Path(folder), KIND, _restored, otherwise="and no wave simulator; train one with --model wave_cnn"
    )


def _restored(manifest: dict[str, Any], tensors: dict[str, Tensor]) -> WaveRun:
    options = WaveOptions(**manifest["options"])
    setting = {
        "sides": sides_of(family_of(manifest["specification"]), manifest["grid"]),
        "step": manifest["step"],
        "spacing": manifest["spacing"],
        "speed": tuple(manifest["speed"]),
    }
    simulator = build(options, setting=setting, seed=manifest["seed"])
    simulator.load_state_dict(tensors)
    return WaveRun(simulator.eval(), manifest)
