"""Bringing arrays of other files in as a data set."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sciml.datasets.dataset import Dataset, open_dataset
from sciml.datasets.grids import periodic_axes
from sciml.datasets.request import SPLITS
from sciml.datasets.store import Content, FieldArray, write_file
from sciml.errors import OutputError, ParameterError, UnsupportedError, unknown_name
from sciml.files import plain
from sciml.problem import Box, Problem
from sciml.registry import load_problem
from sciml.solvers.base import package_versions

__all__ = ["import_arrays"]

_KINDS = (".npz", ".h5", ".hdf5", ".mat", ".pt", ".pth")
_SHARES = (0.72, 0.08)
_TRAINING_SHARE = 0.9


def import_arrays(
    file: str | Path,
    out: str | Path,
    *,
    problem: Problem | str,
    inputs: str,
    outputs: str,
    test_inputs: str | None = None,
    test_outputs: str | None = None,
    force: bool = False,
) -> Dataset:
    """Write arrays of a file as a data set of a family.

    Rows keep their order. With arrays for the test, nine in ten of the others are for training and the rest for
    validation; else 72, 8 and 20 of a hundred rows are for training, validation and test.

    Parameters
    ----------
    file : path
        ``.npz``, ``.h5``, ``.mat`` (of any version) or ``.pt`` (a dictionary of tensors).
    out : path
        The data set.
    problem : Problem or str
        The family that the arrays are of; on a box, with nodes evenly spaced and both ends included (periodic axes:
        without the upper one).
    inputs, outputs, test_inputs, test_outputs : str
        Names of arrays ``(n, *grid[, c])``; a path such as ``"group/name"`` in HDF5. Booleans and whole numbers become
        fields as they are.
    force : bool
        Replace a file that is there.

    Raises
    ------
    OutputError
        The file cannot be read, or `out` is there.
    UnknownNameError
        It has no array of that name.
    ParameterError
        Arrays whose shapes do not fit, or values that are not finite.
    UnsupportedError
        The family lies on no box, or runs in time.
    """
    family = load_problem(problem) if isinstance(problem, str) else problem
    if not isinstance(family.domain, Box) or family.evolves:
        raise UnsupportedError(f"Arrays are brought in for steady families on boxes; {family!r} is not one.")
    if (test_inputs is None) != (test_outputs is None):
        raise ParameterError("Arrays for the test are given by two names, of their inputs and of their outputs.")
    out = Path(out)
    if out.exists() and not force:
        raise OutputError(f"{out} exists; choose another file, or give --force.")
    names = [name for name in (inputs, outputs, test_inputs, test_outputs) if name is not None]
    found = _read(Path(file), names)
    pairs = [_pair(family, found, a, b) for a, b in zip(names[::2], names[1::2])]
    given, wanted = (np.concatenate([pair[k] for pair in pairs]) for k in range(2))
    sizes = _sizes([len(pair[0]) for pair in pairs])
    content = _content(family, given, wanted, sizes)
    content.about["brought_in"] = {"file": Path(file).name, "names": names}
    write_file(out, content, None)
    return open_dataset(out)


def _sizes(lengths: list[int]) -> dict[str, int]:
    n = lengths[0]
    if len(lengths) == 2:
        train = round(_TRAINING_SHARE * n)
        numbers = (train, n - train, lengths[1])
    else:
        train, validation = (round(share * n) for share in _SHARES)
        numbers = (train, validation, n - train - validation)
    if min(numbers) < 1:
        raise ParameterError(f"{n} samples are too few to be split into training, validation and test; bring in more.")
    return dict(zip(SPLITS, numbers))


def _pair(family: Problem, found: dict[str, np.ndarray], a: str, b: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and outputs ``(n, *grid, c)``."""
    one, other = _with_channels(family, a, found[a]), _with_channels(family, b, found[b])
    if one.shape[:-1] != other.shape[:-1]:
        raise ParameterError(
            f"{a!r} has the shape {found[a].shape} and {b!r} {found[b].shape}; samples and grid must be the same."
        )
    return one, other


def _with_channels(family: Problem, name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "biuf":
        raise ParameterError(f"{name!r} holds {values.dtype}; it takes real numbers, whole numbers or booleans.")
    if values.ndim not in (family.dim + 1, family.dim + 2) or min(values.shape[1 : family.dim + 1]) < 2:
        raise ParameterError(
            f"{name!r} has the shape {values.shape}; {family.name} takes (n, {', '.join('HWD'[: family.dim])}), with "
            f"channels as a last axis if there are several."
        )
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise ParameterError(
            f"{name!r} holds values that are not finite, first in sample {row}; leave such samples out."
        )
    return values if values.ndim == family.dim + 2 else values[..., None]


def _content(family: Problem, given: np.ndarray, wanted: np.ndarray, sizes: dict[str, int]) -> Content:
    grid = given.shape[1:-1]
    periodic = periodic_axes(family)
    ends = zip(family.domain.lower, family.domain.upper, grid, periodic)
    lines = [a + (b - a) * np.arange(n) / (n - (not p)) for a, b, n, p in ends]
    fields, entries = [], []
    for kind, names, values in zip(("in", "out"), _names(family, given, wanted), (given, wanted)):
        paths = [name if kind == "out" or name.isidentifier() else f"input_{k}" for k, name in enumerate(names)]
        paths = [path.replace("[", "_").rstrip("]") for path in paths]
        fields += [FieldArray(path, np.ascontiguousarray(values[..., k])) for k, path in enumerate(paths)]
        entries.append([[name, "field", f"t0_fields/{path}", None] for name, path in zip(names, paths)])
    about: dict[str, Any] = {
        "family": family.name,
        "source": family.source,
        "parameters": plain(family.parameters.plain()),
        "fixed": sorted(family.held_parameters),
        "sizes": sizes,
        "periodic": periodic,
        "varying": False,
        "inputs": entries[0],
        "outputs": entries[1],
        "request": None,
        "versions": package_versions("sciml", "numpy"),
    }
    return Content(about, lines, periodic, None, fields)


def _names(family: Problem, given: np.ndarray, wanted: np.ndarray) -> tuple[list[str], list[str]]:
    """The family's own names of inputs and outputs where their numbers fit."""
    from sciml.datasets.layout import Layout

    n_in, n_out = given.shape[-1], wanted.shape[-1]
    ins, outs = [f"input_{k}" for k in range(n_in)], [f"output_{k}" for k in range(n_out)]
    if family.family.laws:
        layout = Layout(family, given.shape[1:-1])
        ins = layout.input_names if len(layout.input_names) == n_in else ins
        outs = layout.output_names if len(layout.output_names) == n_out else outs
    return ins, outs


def _read(file: Path, names: list[str]) -> dict[str, np.ndarray]:
    if not file.is_file():
        raise OutputError(f"There is no file {file}.")
    if file.suffix.lower() not in _KINDS:
        raise OutputError(f"{file} is no file that can be brought in; it takes {', '.join(_KINDS)}.")
    try:
        return _reader(file)(file, names)
    except (OSError, ValueError, zipfile.BadZipFile, KeyError) as error:
        if isinstance(error, (OutputError, ParameterError)):
            raise
        raise OutputError(f"{file} cannot be read: {error}.") from error


def _reader(file: Path) -> Any:
    suffix = file.suffix.lower()
    if suffix == ".npz":
        return _from_npz
    if suffix in (".pt", ".pth"):
        return _from_torch
    return _from_hdf5 if h5py.is_hdf5(file) else _from_mat


def _chosen(file: Path, names: list[str], known: Any) -> None:
    for name in names:
        if name not in known:
            raise unknown_name(f"array in {file}", name, list(known))


def _from_npz(file: Path, names: list[str]) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as stored:
        _chosen(file, names, stored.files)
        return {name: stored[name] for name in names}


def _from_mat(file: Path, names: list[str]) -> dict[str, np.ndarray]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        stored = loadmat(file)
    except MatReadError as error:
        raise OutputError(f"{file} cannot be read: {error}.") from error
    _chosen(file, names, [key for key in stored if not key.startswith("__")])
    return {name: stored[name] for name in names}


def _from_hdf5(file: Path, names: list[str]) -> dict[str, np.ndarray]:
    found = {}
    with h5py.File(file, "r") as stored:
        paths: list[str] = []
        stored.visititems(lambda path, item: paths.append(path) if isinstance(item, h5py.Dataset) else None)
        _chosen(file, names, paths)
        for name in names:
            item = stored[name]
            if item.is_virtual or item.external:
                raise OutputError(f"{file} keeps {name!r} in another file; bring that one in.")
            values = item[()]
            # MATLAB writes its arrays with the axes in reverse order.
            found[name] = values.T if "MATLAB_class" in item.attrs else values
    return found


def _from_torch(file: Path, names: list[str]) -> dict[str, np.ndarray]:
    import torch

    try:
        stored = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever it stumbles over
        raise OutputError(
            f"{file} holds other things or more than tensors, which is not read; save a dictionary of tensors."
        ) from error
    if not isinstance(stored, dict):
        raise OutputError(f"{file} holds a {type(stored).__name__}; it takes a dictionary of tensors.")
    _chosen(file, names, [key for key in stored if isinstance(stored[key], torch.Tensor)])
    return {name: stored[name].numpy() for name in names}
