"""Taking arrays, and names of groups, from the user."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sciml.errors import MeshError, unknown_name

__all__ = ["as_array", "named"]


def as_array(values: object, dtype: type, what: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """A read-only array of the values; MeshError unless it has the shape (None: any length)."""
    array = np.asarray(values)
    if array.size == 0 and array.ndim != len(shape):
        array = array.reshape([n or 0 for n in shape])
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    whole = dtype is float or array.size == 0 or array.dtype.kind in "iu"
    if not fits or not whole:
        wanted = ", ".join("n" if n is None else str(n) for n in shape)
        kind = "numbers" if dtype is float else "whole numbers"
        raise MeshError(f"The {what} have shape {array.shape} and type {array.dtype}; give {kind} of shape ({wanted}).")
    view = np.ascontiguousarray(array, dtype=dtype).view()
    view.flags.writeable = False
    return view


def named(groups: Mapping[str, np.ndarray], kind: str, name: str) -> np.ndarray:
    """The group of that name; MeshError with the nearest name if there is none."""
    if name not in groups:
        raise MeshError(str(unknown_name(kind, name, groups)))
    return groups[name]
