"""A trained network in a folder: weights, band, and the record of how it came about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from sciml.errors import OptionError, OutputError
from sciml.files import atomic_path, plain, write_json
from sciml.surrogates.manifest import MANIFEST
from sciml.surrogates.operators import Setting, build, load_state, state_for_file
from sciml.surrogates.operators.conformal import ConformalBand
from sciml.surrogates.operators.normalising import Normaliser, on_grid
from sciml.surrogates.operators.samples import Batch
from sciml.surrogates.operators.surrogate import Surrogate
from sciml.surrogates.operators.training import predict

__all__ = ["MANIFEST", "OperatorRun", "load_run"]

_WEIGHTS = "weights.safetensors"
_FORMAT, _KIND = 1, "operator"
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
        with atomic_path(folder / _WEIGHTS) as temporary:
            safetensors.torch.save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, temporary)
        content = {
            "format": _FORMAT,
            "kind": _KIND,
            **self.manifest,
            "shapes": shapes | {"band": list(self.band.width.shape)},
        }
        write_json(folder / MANIFEST, plain(content))
        return [MANIFEST, _WEIGHTS]


def load_run(folder: str | Path) -> OperatorRun:
    """Read a trained network from the folder that `sciml train … --out` has written.

    Raises
    ------
    OutputError
        There is no finished training in the folder, or its files are damaged or of another version.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise OutputError(f"{folder} holds no trained network; `sciml train … --out {folder}` makes one.")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if (manifest["format"], manifest["kind"]) != (_FORMAT, _KIND):
            raise OutputError(f"{path} is of kind {manifest['kind']!r} and format {manifest['format']}; train anew.")
        tensors = safetensors.torch.load_file(folder / _WEIGHTS)
        return _restored(manifest, tensors)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, OptionError) as error:
        raise OutputError(f"{folder} holds a damaged training ({error}); train anew with --force.") from error


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
