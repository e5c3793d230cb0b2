"""Reading a data set: what it is about, and its samples as arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sciml.datasets.request import SPLITS
from sciml.datasets.store import checked_file
from sciml.errors import OptionError, OutputError, unknown_name
from sciml.problem import Problem, grid_points
from sciml.registry import load_problem

__all__ = ["Dataset", "Samples", "family_of", "open_dataset"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of one split, in single precision.

    Attributes
    ----------
    inputs : (n, *grid, c_in) array
        Of what runs in time: the static channels, then `frames_in` frames with `frame_channels` channels each.
    outputs : (n, *grid, c_out) array
        Of what runs in time: the next `frames_out` frames, one after the other.
    places : (*grid, dim) array, or (n, *grid, dim) where they vary
    members : list of (seed, index), or None
        None for arrays that were brought in.
    parameters : dict of (n, …) arrays
        What was drawn.
    frames_in, frames_out, frame_channels : int
        0, 1 and the number of outputs, for what does not run in time.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    places: np.ndarray
    members: list[tuple[int, int]] | None
    parameters: dict[str, np.ndarray]
    frames_in: int
    frames_out: int
    frame_channels: int

    def __len__(self) -> int:
        return len(self.inputs)


class Dataset:
    """A data set in a file; made by :func:`open_dataset`.

    Attributes
    ----------
    path : Path
    family : str
        Catalogue name.
    grid : tuple of int
        Nodes along each axis.
    periodic : tuple of bool
    lower, upper : (dim,) arrays
        Corners of the box, or of the unit box where places vary.
    input_names, output_names : list of str
        Channels; of what runs in time those of the static inputs and of one frame.
    varying_places : bool
        Whether each sample has places of its own, which then are inputs.
    times : (T,) array or None
    label_error : dict or None
        Relative L2 error of the outputs: mean, max, rate, extrapolated (to an infinitely fine mesh), members, method.
    checksum : str
    sizes : dict of int
        Samples of each split.
    solver : str or None
    solver_options : dict
        None and empty for arrays that were brought in.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        own = file["sciml"]
        self._about: dict[str, Any] = json.loads(own.attrs["about"])
        self.family: str = self._about["family"]
        self.checksum = str(own.attrs["checksum"])
        self.label_error: dict[str, Any] | None = json.loads(own.attrs["label_error"])
        self.sizes = {split: int(self._about["sizes"][split]) for split in SPLITS}
        self.periodic = tuple(bool(flag) for flag in self._about["periodic"])
        self.varying_places = bool(self._about["varying"])
        self.input_names = [entry[0] for entry in self._about["inputs"]]
        self.output_names = [entry[0] for entry in self._about["outputs"]]
        axes = list(file["dimensions"].attrs["spatial_dims"])
        self._lines = [file[f"dimensions/{axis}"][()].astype(float) for axis in axes]
        self.grid = tuple(len(line) for line in self._lines)
        first = file[self._about["outputs"][0][2]]
        self.times = file["dimensions/time"][()].astype(float) if first.attrs["time_varying"] else None
        self.lower = np.array([line[0] for line in self._lines])
        spacings = [line[1] - line[0] if p else 0.0 for line, p in zip(self._lines, self.periodic)]
        self.upper = np.array([line[-1] for line in self._lines]) + spacings
        request = self._about.get("request") or {}
        self.solver: str | None = request.get("solver")
        self.solver_options: dict[str, Any] = request.get("options", {})
        self._refuse_missing_values(file)

    def _refuse_missing_values(self, file: h5py.File) -> None:
        for kind in ("inputs", "outputs"):
            for name, _, path, _ in self._about[kind]:
                values = file[path]
                for row in range(len(values)):
                    if not np.isfinite(values[row]).all():
                        raise OutputError(
                            f"{self.path} holds values of {name!r} that are not finite, first in sample {row}; leave "
                            f"such samples out."
                        )

    def __repr__(self) -> str:
        sizes = "/".join(str(self.sizes[split]) for split in SPLITS)
        return f"<{self.family}: {sizes} samples on {' × '.join(map(str, self.grid))} nodes>"

    @property
    def specification(self) -> dict[str, Any]:
        """What :func:`family_of` makes the family of, as JSON holds it: source, parameters, and which are fixed."""
        return {key: self._about[key] for key in ("source", "parameters", "fixed")}

    @cached_property
    def problem(self) -> Problem:
        """The family, with the values that its members have in common."""
        return family_of(self.specification)

    @cached_property
    def ranges(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Least and largest value of each drawn parameter in the training samples, entry by entry."""
        rows = self._rows("train")
        with h5py.File(self.path, "r") as file:
            own = file["sciml"].get("parameters", {})
            return {name: (item[rows].min(axis=0), item[rows].max(axis=0)) for name, item in own.items()}

    @property
    def places(self) -> np.ndarray:
        """Nodes of the grid ``(*grid, dim)``; where each sample has its own, those of the unit box."""
        return grid_points(self._lines).reshape(*self.grid, -1).astype(np.float32)

    def _rows(self, split: str) -> slice:
        if split not in self.sizes:
            raise unknown_name("split", split, SPLITS)
        first = sum(self.sizes[before] for before in SPLITS[: SPLITS.index(split)])
        return slice(first, first + self.sizes[split])

    def samples(self, split: str, *, frames_in: int | None = None, frames_out: int | None = None) -> Samples:
        """The samples of a split.

        Parameters
        ----------
        split : {"train", "validation", "test"}
        frames_in, frames_out : int, optional
            Of what runs in time: the first frames as inputs, the next ones as outputs; half of them each.

        Raises
        ------
        UnknownNameError
            There is no such split.
        OptionError
            Frames of what does not run in time, or more than there are.
        """
        rows = self._rows(split)
        before, after = self._frames(frames_in, frames_out)
        with h5py.File(self.path, "r") as file:
            n = rows.stop - rows.start
            inputs = [self._column(file, entry, rows) for entry in self._about["inputs"]]
            found = [self._column(file, entry, rows) for entry in self._about["outputs"]]
            outputs = np.concatenate(found, axis=-1)
            if self.times is not None:
                first, later = outputs[:, :before], outputs[:, before : before + after]
                inputs.append(_as_channels(first))
                outputs = _as_channels(later)
            own = file["sciml"]
            places = own["places"][rows] if self.varying_places else self.places
            members = [(int(a), int(b)) for a, b in own["members"][rows]] if "members" in own else None
            parameters = {name: item[rows] for name, item in own.get("parameters", {}).items()}
        columns = np.concatenate(inputs, axis=-1) if inputs else np.zeros((n, *self.grid, 0), dtype=np.float32)
        return Samples(columns, outputs, places, members, parameters, before, after, len(found))

    def trajectories(self, split: str, samples: int | None = None) -> np.ndarray:
        """All frames of a split of what runs in time, ``(n, T, *grid, c)`` in single precision.

        Parameters
        ----------
        split : {"train", "validation", "test"}
        samples : int, optional
            The first ones; all by default.

        Raises
        ------
        OptionError
            The data do not run in time, or have fewer samples.
        """
        if self.times is None:
            raise OptionError(f"{self.path} does not run in time; it has no trajectories.")
        rows = self._rows(split)
        if samples is not None and samples > rows.stop - rows.start:
            raise OptionError(f"samples={samples} was given; {self.path} has {rows.stop - rows.start} to {split}.")
        rows = slice(rows.start, rows.stop if samples is None else rows.start + samples)
        with h5py.File(self.path, "r") as file:
            return np.concatenate([self._column(file, entry, rows) for entry in self._about["outputs"]], axis=-1)

    def members(self, split: str) -> list[Problem]:
        """The members of a split, drawn again.

        Raises
        ------
        OptionError
            The data were brought in, so that nothing is known of their members.
        """
        rows = self._rows(split)
        with h5py.File(self.path, "r") as file:
            if "members" not in file["sciml"]:
                raise OptionError(f"{self.path} holds arrays that were brought in, not members of a family.")
            return [self.problem.draw(int(index), int(seed)) for seed, index in file["sciml/members"][rows]]

    def _frames(self, frames_in: int | None, frames_out: int | None) -> tuple[int, int]:
        if self.times is None:
            if frames_in is not None or frames_out is not None:
                raise OptionError(f"{self.path} does not run in time; leave frames_in and frames_out out.")
            return 0, 1
        n = len(self.times)
        before = (n // 2 if frames_out is None else n - frames_out) if frames_in is None else frames_in
        after = n - before if frames_out is None else frames_out
        if before < 0 or after < 1 or before + after > n:
            raise OptionError(
                f"frames_in={frames_in} and frames_out={frames_out} were given; {self.path} has {n} frames in all, and "
                f"one or more go out."
            )
        return before, after

    def _column(self, file: h5py.File, entry: Sequence[Any], rows: slice) -> np.ndarray:
        """One channel ``(n, [T,] *grid, 1)``."""
        _, kind, path, component = entry
        item = file[path]
        values = item[rows] if component is None else item[(rows, ..., component)]
        if kind == "parameter":
            values = np.broadcast_to(values.reshape(-1, *(1,) * len(self.grid)), (len(values), *self.grid))
        return values.astype(np.float32)[..., None]


def _as_channels(frames: np.ndarray) -> np.ndarray:
    """Frames ``(n, T, *grid, c)`` as channels ``(n, *grid, T c)``, frame by frame."""
    moved = np.moveaxis(frames, 1, -2)
    return np.ascontiguousarray(moved.reshape(*moved.shape[:-2], -1))


def family_of(specification: Mapping[str, Any]) -> Problem:
    """The family that a data set is of, from its :attr:`Dataset.specification`."""
    parameters = specification["parameters"]
    base = load_problem(specification["source"], **parameters)
    return base.fixing(**{name: parameters[name] for name in specification["fixed"]})


def open_dataset(path: str | Path) -> Dataset:
    """Open a data set; nothing but its description stays in memory.

    Raises
    ------
    OutputError
        There is no such file, it has another layout, a checksum that does not fit, links that lead out of it, or values
        that are not finite.
    """
    path = Path(path)
    file = checked_file(path)
    with file:
        content = json.loads(file["sciml"].attrs["about"]).get("content", "fields")
        if content != "fields":
            raise OutputError(f"{path} holds the data of a {content}, not fields of a family; see open_cell_data.")
        return Dataset(path, file)
