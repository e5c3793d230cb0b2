"""Writing files so that a crash leaves the old one or the new one, never half of one."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sciml.errors import OutputError

if TYPE_CHECKING:
    import h5py

__all__ = ["atomic_path", "hdf5_file", "plain", "write_json"]


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well.

    Raises
    ------
    OutputError
        The folder does not exist or cannot be written to, or the disk is full.
    """
    target = Path(path)
    # The suffix stays, since writers choose the format by it.
    temporary = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def hdf5_file(path: str | Path) -> Iterator[h5py.File]:
    """A new HDF5 file that is written atomically when the block ends well.

    It is built in memory: where writing fails half-way, as on a full disk, the HDF5 library does not raise but crash.
    """
    import h5py

    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        yield file
    with atomic_path(path) as temporary:
        temporary.write_bytes(image.getvalue())


def write_json(path: str | Path, content: Any) -> None:
    """Write a JSON file atomically; not-a-number is refused rather than written."""
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """Values as JSON can hold them: tuples to lists, NumPy to Python, what has no form to its text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)
