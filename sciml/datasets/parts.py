"""Finished pieces of a data set that is being made, so that what is killed goes on."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sciml.errors import OutputError
from sciml.files import hdf5_file, plain, write_json

__all__ = ["Parts"]


class Parts:
    """A folder beside a file that is being made, which one process at a time writes into.

    Parameters
    ----------
    path : Path
        The file; the folder has its name with ``.parts`` behind it.
    request : mapping
        JSON of what was asked for.
    force : bool
        Remove the pieces of another request.

    Raises
    ------
    OutputError
        There is no folder for the file, there are pieces of another request, or another process is at work.
    """

    def __init__(self, path: Path, request: Mapping[str, Any], force: bool) -> None:
        request = plain(dict(request))
        self.folder = path.with_name(f"{path.name}.parts")
        if not path.parent.is_dir():
            raise OutputError(f"The folder {path.parent} does not exist; make it first.")
        known = self.folder / "request.json"
        if known.is_file() and json.loads(known.read_text(encoding="utf-8")) != request:
            if not force:
                raise OutputError(
                    f"{self.folder} holds pieces of another request; run that one again to finish it, remove the "
                    f"folder, or give --force."
                )
            self.remove()
        self.folder.mkdir(exist_ok=True)
        # The system frees the lock when the process ends, however it ends.
        self._lock = open(self.folder / "lock", "w")  # noqa: SIM115
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"Another process is writing {path}; wait for it, or end it.") from error
        if not known.is_file():
            write_json(known, request)

    def path(self, name: str) -> Path:
        """The file of one piece."""
        return self.folder / f"{name}.h5"

    def keep(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write one piece."""
        with hdf5_file(self.path(name)) as file:
            for key, values in arrays.items():
                file.create_dataset(key, data=values)

    def read(self, name: str) -> dict[str, np.ndarray]:
        """Read one piece."""
        with h5py.File(self.path(name), "r") as file:
            return {key: item[()] for key, item in file.items()}

    def label_error(self, measure: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
        """The error of the labels, measured once."""
        known = self.folder / "label_error.json"
        if not known.is_file():
            write_json(known, measure())
        return json.loads(known.read_text(encoding="utf-8"))

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder)

    def close(self) -> None:
        """Let another process write."""
        self._lock.close()
