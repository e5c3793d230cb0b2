"""Integration measures with named parts: ``ds("right")``, ``dx("steel")``.

UFL knows integer subdomain ids only. A name is turned into an id by a hash that is the same in
every process, so that compiled forms are found again in the cache.
"""

from __future__ import annotations

import zlib
from typing import Any

import ufl

from sciml.errors import DeclarationError

__all__ = ["NamedMeasure", "ds", "dx", "part_id", "part_name"]

_NAMES: dict[int, str] = {}


def part_id(name: str) -> int:
    """The integer that stands for the boundary or region `name` in UFL measures."""
    number = zlib.crc32(name.encode()) & 0x3FFFFFFF
    if _NAMES.setdefault(number, name) != name:
        raise DeclarationError(f"The names {name!r} and {_NAMES[number]!r} collide; rename one of them.")
    return number


def part_name(number: int) -> str:
    """The name behind an id that :func:`part_id` gave out."""
    if number not in _NAMES:
        raise DeclarationError(f"A measure is restricted to part {number}; parts go by name, as in ds('left').")
    return _NAMES[number]


class NamedMeasure(ufl.Measure):
    """A UFL measure whose parts are named.

    Parameters
    ----------
    kind : {"dx", "ds"}
        Integral over the domain or over its boundary.
    domain : ufl.Mesh, optional
        Needed only for integrands in which neither the unknown nor the coordinate occurs.
    """

    def __call__(self, on: Any = None, *arguments: Any, **keywords: Any) -> ufl.Measure:
        """Restrict to the part(s) `on`: a name, or a tuple of names; other arguments as in UFL."""
        if isinstance(on, str):
            on = (on,)
        if isinstance(on, (tuple, list)) and all(isinstance(name, str) for name in on):
            on = tuple(sorted(part_id(name) for name in on))
            on = on[0] if len(on) == 1 else on
        return super().__call__(on, *arguments, **keywords)


dx = NamedMeasure("dx")
ds = NamedMeasure("ds")
