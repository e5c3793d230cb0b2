"""Samples of a data file as tensors, and what a network has to know about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from sciml.datasets import Dataset, Samples
from sciml.errors import OptionError
from sciml.surrogates.operators import Setting
from sciml.surrogates.operators.normalising import Scaling
from sciml.surrogates.operators.options import TrainingOptions

__all__ = ["Batch", "TrainingData", "batch_of"]


@dataclass(frozen=True)
class Batch:
    """Some samples.

    Attributes
    ----------
    inputs, outputs : Tensor
        ``(n, *grid, channels)``; of a cloud of points the grid is their number.
    places : Tensor or None
        Of the nodes, ``(*grid, dim)`` or ``(n, *grid, dim)``; None where a network makes its own from the grid.
    """

    inputs: Tensor
    outputs: Tensor
    places: Tensor | None

    def __len__(self) -> int:
        return len(self.inputs)

    def select(self, rows: Tensor | slice) -> Batch:
        """Some of the samples."""
        places = self.places
        if places is not None and self.varies:
            places = places[rows]
        return Batch(self.inputs[rows], self.outputs[rows], places)

    @property
    def varies(self) -> bool:
        """Whether samples have places of their own."""
        return self.places is not None and self.places.ndim == self.inputs.ndim

    def to(self, device: str) -> Batch:
        """On a device."""
        return Batch(*(None if item is None else item.to(device) for item in (self.inputs, self.outputs, self.places)))  # type: ignore[arg-type]

    def share(self) -> Batch:
        """The samples of this process, where several share the work."""
        if not dist.is_initialized():
            return self
        size, rank = dist.get_world_size(), dist.get_rank()
        if len(self) < size:
            raise OptionError(f"{len(self)} samples in a batch cannot be shared between {size} processes; give more.")
        return self.select(slice(rank * len(self) // size, (rank + 1) * len(self) // size))


@dataclass(frozen=True)
class TrainingData:
    """Training and validation samples of a data file, and the setting of a network for them.

    Attributes
    ----------
    train, validation : Batch
    setting : Setting
    scaling : {"pixel", "channel", "none"}
    frames, static : int
        Frames to make one after the other (1: not a trajectory), and channels of the inputs before the frames.
    bounds : (low, high) or None
        Of a cloud of points, the corners of the box that holds all training samples.
    """

    train: Batch
    validation: Batch
    setting: Setting
    scaling: Scaling
    frames: int
    static: int
    bounds: list[list[float]] | None

    @classmethod
    def of(cls, dataset: Dataset, options: TrainingOptions) -> TrainingData:
        """What a training needs of a data file.

        Raises
        ------
        OptionError
            No validation samples, more training samples than there are, or frames that the file does not have.
        """
        missing = [name for name in ("train", "validation") if dataset.sizes.get(name, 0) < 2]
        if missing:
            raise OptionError(
                f"{dataset.path} has {dataset.sizes}; a training takes at least two samples each for training and "
                f"validation: generate or import more, with --split."
            )
        train = dataset.samples("train", frames_in=options.frames_in, frames_out=options.frames_out)
        if options.samples is not None and options.samples > len(train.inputs):
            raise OptionError(
                f"samples={options.samples} was given; {dataset.path} has {len(train.inputs)} to train on."
            )
        held = dataset.samples("validation", frames_in=options.frames_in, frames_out=options.frames_out)
        points = options.layout == "points"
        bounds = bounds_of(train) if points else None
        batch = batch_of(train, bounds)
        if options.samples is not None:
            batch = batch.select(slice(0, options.samples))
        frames = train.frames_out
        static = batch.inputs.shape[-1] - train.frames_in * train.frame_channels if frames > 1 else 0
        setting = Setting(
            dim=len(dataset.grid),
            grid=tuple(batch.inputs.shape[1:-1]),
            points=points,
            in_channels=batch.inputs.shape[-1],
            out_channels=train.frame_channels,
            periodic=tuple(dataset.periodic),
        )
        return cls(batch, batch_of(held, bounds), setting, _scaling(options, dataset, frames), frames, static, bounds)


def _scaling(options: TrainingOptions, dataset: Dataset, frames: int) -> Scaling:
    if options.scaling != "auto":
        return options.scaling
    return "channel" if dataset.varying_places or frames > 1 or any(dataset.periodic) else "pixel"


def bounds_of(samples: Samples) -> list[list[float]]:
    """The least and the largest coordinates of all nodes."""
    flat = samples.places.reshape(-1, samples.places.shape[-1])
    return [flat.min(axis=0).tolist(), flat.max(axis=0).tolist()]


def batch_of(samples: Samples, bounds: Sequence[Sequence[float]] | None) -> Batch:
    """Samples as tensors; with bounds as a cloud of points, whose places are scaled to the unit box."""
    inputs, outputs = _tensor(samples.inputs), _tensor(samples.outputs)
    if bounds is None:
        return Batch(inputs, outputs, None)
    low, high = map(_tensor, bounds)
    places = (_tensor(samples.places) - low) / torch.where(high > low, high - low, 1.0)
    count = inputs.shape[1:-1].numel()
    rows = (count,) if places.ndim < inputs.ndim else (len(inputs), count)
    return Batch(
        inputs.reshape(len(inputs), count, -1),
        outputs.reshape(len(outputs), count, -1),
        places.reshape(*rows, -1),
    )


def _tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)
