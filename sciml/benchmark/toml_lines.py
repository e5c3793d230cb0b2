"""Where each key of a TOML text stands, so that an error can name the line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence

__all__ = ["line_of", "toml_lines"]

Path = tuple[str | int, ...]
_HEADER = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(#.*)?$")

_KEY = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^="'])*""")
"""Up to the first equals sign that is not quoted."""


def toml_lines(text: str) -> dict[Path, int]:
    """Lines (from 1) of all tables and keys of a valid TOML text; what is inside of a value has the line of its key.

    The path of the third table ``[[methods]]``'s key ``solver`` is ``("methods", 2, "solver")``.
    """
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    prefix: Path = ()
    for number, statement in _statements(text):
        header = _HEADER.match(statement)
        if header:
            prefix = _table(_keys(header[2]), counts, new=header[1] == "[[")
            for length in range(1, len(prefix) + 1):
                found.setdefault(prefix[:length], number)
            continue
        path = prefix
        key_text = _KEY.match(statement)
        assert key_text is not None
        for key in _keys(key_text[0]):
            path = (*path, key)
            found.setdefault(path, number)
    return found


def line_of(lines: dict[Path, int], path: Sequence[str | int]) -> int | None:
    """The line of a path, or of the nearest thing around it that has one."""
    for length in range(len(path), 0, -1):
        if tuple(path[:length]) in lines:
            return lines[tuple(path[:length])]
    return None


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Headers and assignments, each whole, with the line that they begin in."""
    pending, begin = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not pending:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            begin = number
            if _HEADER.match(line):
                yield number, line
                continue
        pending += line + "\n"
        if _is_whole(pending):
            yield begin, pending
            pending = ""


def _is_whole(assignment: str) -> bool:
    try:
        tomllib.loads(assignment)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _keys(text: str) -> list[str]:
    """The parts of a dotted key."""
    nested = tomllib.loads(f"{text.strip()} = 0")
    keys: list[str] = []
    while isinstance(nested, dict):
        ((key, nested),) = nested.items()
        keys.append(key)
    return keys


def _table(keys: list[str], counts: dict[Path, int], *, new: bool) -> Path:
    """The path of a table; one in an array of tables counts from the last table of that array."""
    path: Path = ()
    for position, key in enumerate(keys, 1):
        path = (*path, key)
        if new and position == len(keys):
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path
