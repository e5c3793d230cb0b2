"""The file of a data set: The Well's schema for fields, and a group `sciml` with everything else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sciml.errors import OutputError
from sciml.files import hdf5_file, plain

__all__ = ["FORMAT", "Content", "FieldArray", "checked_file", "checksum", "content_of", "write_arrays", "write_file"]

FORMAT = 1
_AXES = ("x", "y", "z")
_NOT_DATA = ("sciml/records/wall_seconds", "sciml/records/cpu_seconds")


@dataclass
class FieldArray:
    """One field of all samples.

    Attributes
    ----------
    name : str
    values : (n, [T,] *grid[, d]) array
        A vector of as many components as the space has dimensions has a last axis for them.
    vector : bool
    """

    name: str
    values: np.ndarray
    vector: bool = False


@dataclass
class Content:
    """What a file is written from.

    Attributes
    ----------
    about : dict
        JSON of family, parameters, splits, inputs and outputs, request, versions.
    lines : list of arrays
        Coordinates along each axis.
    periodic : tuple of bool
    times : (T,) array or None
    fields : list of FieldArray
    scalars : dict of (n,) arrays
        Drawn parameters, an entry for each number.
    arrays : dict of arrays
        Members, places that vary, parameters and records, by their path in the group `sciml`.
    """

    about: dict[str, Any]
    lines: list[np.ndarray]
    periodic: tuple[bool, ...]
    times: np.ndarray | None
    fields: list[FieldArray]
    scalars: dict[str, np.ndarray] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def write_file(path: Path, content: Content, label_error: Mapping[str, Any] | None) -> str:
    """Write a data set atomically; its checksum.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    with hdf5_file(path) as file:
        _write_well(file, content)
        return _write_own(file, content.about, content.arrays, label_error)


def write_arrays(path: Path, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """Write a file without fields on a grid, atomically: only the group `sciml`; its checksum.

    Parameters
    ----------
    path : Path
    about : mapping
        JSON; its `content` says what the arrays are, see :func:`content_of`.
    arrays : mapping
        By their path in the group.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    with hdf5_file(path) as file:
        return _write_own(file, about, arrays, None)


def content_of(path: Path) -> str:
    """What a data file holds: ``"fields"``, or the `content` of :func:`write_arrays`; nothing else is looked at.

    Raises
    ------
    OutputError
        There is no such file, or it is none of this kind.
    """
    with _opened(path) as file:
        return json.loads(file["sciml"].attrs["about"]).get("content", "fields")


def _write_own(
    file: h5py.File, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray], label_error: Mapping[str, Any] | None
) -> str:
    own = file.create_group("sciml")
    own.attrs["format"] = FORMAT
    own.attrs["about"] = json.dumps(plain(about), sort_keys=True)
    own.attrs["label_error"] = json.dumps(None if label_error is None else plain(label_error), sort_keys=True)
    for name, values in arrays.items():
        own.create_dataset(name, data=values)
    digest = checksum(file)
    own.attrs["checksum"] = digest
    return digest


def _write_well(file: h5py.File, content: Content) -> None:
    about, dim = content.about, len(content.lines)
    axes = list(_AXES[:dim])
    moves = "places" in content.arrays
    file.attrs.update(
        {
            "dataset_name": about["family"].replace("/", "_"),
            "grid_type": "curvilinear" if moves else "cartesian",
            "n_spatial_dims": dim,
            "n_trajectories": sum(about["sizes"].values()),
            "simulation_parameters": sorted(content.scalars),
        }
    )
    dimensions = file.create_group("dimensions")
    dimensions.attrs["spatial_dims"] = axes
    times = np.zeros(1) if content.times is None else content.times
    _put(dimensions, "time", times.astype(np.float32), sample_varying=False)
    for axis, line in zip(axes, content.lines):
        _put(dimensions, axis, line.astype(np.float32), sample_varying=False, time_varying=False)
    conditions = file.create_group("boundary_conditions")
    for axis, periodic, line in zip(axes, content.periodic, content.lines):
        group = conditions.create_group(f"{axis}_{'periodic' if periodic else 'wall'}")
        group.attrs.update({"associated_dims": [axis], "associated_fields": [], "sample_varying": False})
        group.attrs.update({"bc_type": "PERIODIC" if periodic else "WALL", "time_varying": False})
        mask = np.zeros(len(line), dtype=bool)
        mask[[0, -1]] = True
        group.create_dataset("mask", data=mask)
    scalars = file.create_group("scalars")
    scalars.attrs["field_names"] = list(content.scalars)
    for name, values in content.scalars.items():
        _put(scalars, name, values.astype(np.float32), sample_varying=True, time_varying=False)
    for order in range(3):
        group = file.create_group(f"t{order}_fields")
        own = [f for f in content.fields if order == int(f.vector)] if order < 2 else []
        group.attrs["field_names"] = [f.name for f in own]
        for one in own:
            in_time = one.values.ndim - one.vector - dim == 2
            group_name = _put(group, one.name, one.values, sample_varying=True, time_varying=in_time)
            group_name.attrs["dim_varying"] = [True] * dim


def _put(group: h5py.Group, name: str, values: np.ndarray, **attributes: bool) -> h5py.Dataset:
    dataset = group.create_dataset(name, data=values)
    dataset.attrs.update(attributes)
    return dataset


def _datasets(group: h5py.Group, prefix: str = "") -> Iterator[tuple[str, h5py.Dataset]]:
    """All arrays by path, in order of their paths; whatever leads out of the file is refused.

    Raises
    ------
    OutputError
    """
    for name in sorted(group):
        path = f"{prefix}{name}"
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise OutputError(
                f"{group.file.filename} holds a link at {path!r}; a data set must hold its arrays itself."
            )
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _datasets(item, f"{path}/")
        elif item.is_virtual or item.external:
            raise OutputError(
                f"{group.file.filename} keeps {path!r} in another file; a data set must hold its arrays itself."
            )
        else:
            yield path, item


def checksum(file: h5py.File) -> str:
    """SHA-256 of all arrays but times of computing, and of what they are; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    own = file["sciml"]
    for name in ("about", "label_error"):
        digest.update(str(own.attrs[name]).encode())
    for path, item in _datasets(file):
        if path in _NOT_DATA:
            continue
        digest.update(f"{path} {item.dtype.str} {item.shape}".encode())
        digest.update(np.ascontiguousarray(item[()]).tobytes())
    return digest.hexdigest()


def checked_file(path: Path) -> h5py.File:
    """Open a data set after looking at its layout, its links and its checksum.

    Raises
    ------
    OutputError
        There is no such file, it is none of this kind, or it is damaged.
    """
    file = _opened(path)
    try:
        if checksum(file) != str(file["sciml"].attrs["checksum"]):
            raise OutputError(f"{path} is damaged or was changed: its checksum does not fit; generate it again.")
    except BaseException:
        file.close()
        raise
    return file


def _opened(path: Path) -> h5py.File:
    """A file of the layout, whatever its arrays are."""
    if not path.is_file():
        raise OutputError(f"There is no file {path}; `sciml generate` or `sciml import` makes one.")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise OutputError(f"{path} is no HDF5 file; `sciml import` reads .npz, .h5, .mat and .pt.") from error
    try:
        link = file.get("sciml", getlink=True)
        if not isinstance(link, h5py.HardLink) or not {"format", "about", "checksum"} <= set(file["sciml"].attrs):
            raise OutputError(f"{path} is HDF5 of another layout; `sciml import` makes a data set of its arrays.")
        if int(file["sciml"].attrs["format"]) != FORMAT:
            raise OutputError(
                f"{path} has format {file['sciml'].attrs['format']}, this version reads {FORMAT}; generate it again."
            )
    except BaseException:
        file.close()
        raise
    return file
