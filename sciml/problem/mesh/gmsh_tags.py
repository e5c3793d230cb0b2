"""The physical groups of Gmsh files.

meshio keeps only the first tag of every entity of format 4.1, and loses names that occur in two
dimensions, so these two sections of the file are read here.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sciml.errors import MeshError

__all__ = ["GmshTags", "read_gmsh_tags"]


@dataclass(frozen=True)
class GmshTags:
    """Physical groups of a file.

    Attributes
    ----------
    names : dict
        Name of each named group by (dimension, tag).
    entities : dict
        Tags of the groups of each geometrical entity by (dimension, entity); format 4.1 only,
        older ones give each cell its tag.
    """

    names: dict[tuple[int, int], str] = field(default_factory=dict)
    entities: dict[tuple[int, int], list[int]] = field(default_factory=dict)


def read_gmsh_tags(path: Path) -> GmshTags:
    """Read the names and, in format 4.1, the tags of the entities; MeshError if they are damaged."""
    data = path.read_bytes()
    try:
        version, binary, size = _section(data, b"MeshFormat").split(maxsplit=3)[:3]
        names = _names(_section(data, b"PhysicalNames"))
        entities = _section(data, b"Entities")
        if version not in (b"4", b"4.1") or not entities:
            return GmshTags(names)
        reader = _Numbers(entities, binary == b"1", f"u{int(size)}")
        return GmshTags(names, _entities(reader))
    except (ValueError, IndexError) as error:
        raise MeshError(f"its physical groups cannot be read ({error}); save the file again.") from error


def _section(data: bytes, name: bytes) -> bytes:
    """What stands between $name and $Endname, nothing if there is no such section."""
    start, end = data.find(b"$" + name), data.find(b"$End" + name)
    return data[data.index(b"\n", start) + 1 : end] if 0 <= start < end else b""


def _names(text: bytes) -> dict[tuple[int, int], str]:
    entries = (shlex.split(line) for line in text.decode().splitlines()[1:] if line.strip())
    return {(int(dim), int(tag)): name for dim, tag, name in entries}


class _Numbers:
    """Takes numbers one after the other from a section of text or of binary data."""

    def __init__(self, data: bytes, binary: bool, size_type: str) -> None:
        self._data, self._size_type = data, size_type
        self._words = None if binary else data.split()
        self._place = 0

    def take(self, dtype: str, count: int) -> np.ndarray:
        start = self._place
        if self._words is not None:
            self._place += count
            return np.array(self._words[start : self._place]).astype(dtype)
        self._place += count * np.dtype(dtype).itemsize
        return np.frombuffer(self._data, dtype, count, start)

    def size(self) -> int:
        return int(self.take(self._size_type, 1)[0])


def _entities(numbers: _Numbers) -> dict[tuple[int, int], list[int]]:
    tags = {}
    counts = [numbers.size() for _ in range(4)]
    for dim, count in enumerate(counts):
        for _ in range(count):
            entity = int(numbers.take("i4", 1)[0])
            numbers.take("f8", 3 if dim == 0 else 6)
            # A negative tag means the group orients the entity the other way.
            tags[dim, entity] = [abs(int(tag)) for tag in numbers.take("i4", numbers.size())]
            if dim > 0:
                numbers.take("i4", numbers.size())
    return tags
