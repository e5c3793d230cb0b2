"""A trained network in a folder: weights, band, and the record of how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sciml.errors import OutputError
from sciml.files import plain
from sciml.surrogates.manifest import read_training, write_training
from sciml.surrogates.operators import Setting, build, load_state, state_for_file
from sciml.surrogates.operators.conformal import ConformalBand
from sciml.surrogates.operators.normalising import Normaliser, on_grid
from sciml.surrogates.operators.samples import Batch
from sciml.surrogates.operators.surrogate import Surrogate
from sciml.surrogates.operators.training import predict

__all__ = ["OperatorRun", "load_run"]

_KIND = "operator"
# Of the spread of an input among the training samples: so far outside of them a network is still asked.
_MARGIN = 0.5


@dataclass
class OperatorRun:
    """A trained network, ready to be asked.

    Attributes
    ----------
    surrogate : Surrogate
        With the weights that did best on the validation samples.
    band : ConformalBand
        Half-width of the band around its outputs.
    manifest : dict
        Family, data, model, options, errors, costs, versions; plain JSON.
    """

    surrogate: Surrogate
    band: ConformalBand
    manifest: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.manifest[key]

    @property
    def setting(self) -> Setting:
        """Shapes that the network was made for."""
        return _setting(self.manifest["setting"])

    def predict(self, batch: Batch, *, device: str = "cpu") -> Tensor:
        """Outputs ``(n, *grid, c_out)``."""
        return predict(self.surrogate.to(device), batch, device=device, size=self["options"]["batch_size"])

    def strange_inputs(self, inputs: Tensor) -> list[str]:
        """Names of the inputs ``(n, *grid, c)`` that lie far outside of what the training samples have.

        A band of half the spread on both sides is allowed, so that a member drawn like the samples is not refused, and
        one whose numbers mean something else is.
        """
        low, high = (torch.tensor(side) for side in self["input_range"])
        flat = inputs.flatten(0, -2)
        margin = _MARGIN * (high - low) + 1e-6 * high.abs()
        strange = (flat.min(0).values < low - margin) | (flat.max(0).values > high + margin)
        names = self["names"]["inputs"]
        return [names[min(k, len(names) - 1)] for k in torch.nonzero(strange).flatten().tolist()]

    def width(self, grid: tuple[int, ...]) -> Tensor:
        """Half-width ``(*grid, c_out)`` of the band on a grid."""
        return on_grid(self.band.width, grid)

    def save(self, folder: Path) -> list[str]:
        """Write weights and manifest, and say their names.

        Raises
        ------
        OutputError
            The folder cannot be written.
        """
        tensors = state_for_file(self.surrogate) | {"band": self.band.width}
        shapes = {name: list(getattr(self.surrogate, name).mean.shape) for name in ("inputs", "outputs")}
        shapes |= {"band": list(self.band.width.shape)}
        return write_training(folder, _KIND, {**self.manifest, "shapes": shapes}, tensors)


def load_run(folder: str | Path) -> OperatorRun:
    """Read a trained network from the folder that `sciml train … --out` has written.

    Raises
    ------
    OutputError
        There is no finished training in the folder, or its files are damaged or of another version.
    """
    return read_training(
        Path(folder), _KIND, _restored, otherwise="and no network over a family; it is a law, for micro=… of fe2"
    )


def _restored(manifest: dict[str, Any], tensors: dict[str, Tensor]) -> OperatorRun:
    shapes = manifest["shapes"]
    width = tensors.pop("band")
    operator = build(manifest["model"], _setting(manifest["setting"]), manifest["seed"], **manifest["model_options"])
    surrogate = Surrogate(
        operator,
        Normaliser.empty(tuple(shapes["inputs"])),
        Normaliser.empty(tuple(shapes["outputs"])),
        frames=manifest["frames"],
        static=manifest["static"],
    )
    load_state(surrogate, tensors)
    surrogate.eval()
    return OperatorRun(surrogate, ConformalBand(width, manifest["options"]["coverage"]), manifest)


def setting_as_dict(setting: Setting) -> dict[str, Any]:
    """A setting as JSON holds it."""
    return plain(asdict(setting))


def _setting(content: Mapping[str, Any]) -> Setting:
    sizes = {name: tuple(content[name]) for name in ("grid", "periodic")}
    return Setting(**{**content, **sizes})


def check_samples(tensor: Tensor) -> Tensor:
    """Outputs that are finite.

    Raises
    ------
    OutputError
    """
    if not bool(torch.isfinite(tensor).all()):
        raise OutputError("The network's outputs are not finite; train anew, with a lower learning_rate.")
    return tensor
