"""Which sizes of grids, patches and levels go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator

from sciml.errors import OptionError
from sciml.surrogates.operators.base import Setting

__all__ = ["PerAxis", "allowed_levels", "check_divisible", "even_modes", "per_axis", "refuse_points", "resolved_axes"]

_MOST_LEVELS, _COARSEST = 5, 4


def _from_text(value: Any) -> Any:
    """``"4,4"`` as ``(4, 4)``, as it comes from a command line."""
    if isinstance(value, str) and "," in value:
        return tuple(part.strip() for part in value.strip("()[] ").split(",") if part.strip())
    return value


PerAxis = Annotated[int | tuple[int, ...], BeforeValidator(_from_text)]
"""One whole number for all axes, or one for each, in their order."""


def per_axis(value: int | Sequence[int], axes: int, name: str) -> tuple[int, ...]:
    """One number for each axis.

    Raises
    ------
    OptionError
        Another number of them.
    """
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) != axes:
        raise OptionError(f"{name}={value} has {len(values)} numbers; give one, or one for each of {axes} axes.")
    return values


def resolved_axes(value: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """What a resolved option has: a number for each axis."""
    assert isinstance(value, tuple)
    return value


def allowed_levels(grid: Sequence[int]) -> int:
    """As many resolutions, at most 5, as leave 4 places along each axis of the coarsest."""
    levels = 1
    while levels < _MOST_LEVELS and min(grid) // 2**levels >= _COARSEST:
        levels += 1
    return levels


def check_divisible(size: int, padding: int, patch: int, levels: int) -> None:
    """Refuse an axis that halvings and patches do not divide.

    Raises
    ------
    OptionError
    """
    if patch < 1 or padding < 0:
        raise OptionError(f"A patch of {patch} and a padding of {padding} were given; take at least 1 and 0.")
    padded, unit = size + padding, patch * 2 ** (levels - 1)
    if padded % unit == 0:
        return
    fitting = [p for p in range(1, padded + 1) if padded % (p * 2 ** (levels - 1)) == 0]
    cutting = f" and cut into patches of {patch}" if patch > 1 else ""
    others = f"patches of {', '.join(map(str, fitting))} can, or " if fitting and patch > 1 else ""
    raise OptionError(
        f"An axis of {size} places with a padding of {padding} cannot be halved {levels - 1} times{cutting}; "
        f"{others}take a padding of {-size % unit}."
    )


def even_modes(modes: Sequence[int], grid: Sequence[int]) -> None:
    """Refuse modes between points and a latent grid that are odd, none, or more than the grid has.

    Raises
    ------
    OptionError
    """
    if any(m < 2 or m % 2 or m > n for m, n in zip(modes, grid)):
        raise OptionError(
            f"modes={tuple(modes)} were given for a latent grid of {tuple(grid)}; take even numbers from 2 up "
            "to its size."
        )


def refuse_points(name: str, setting: Setting) -> None:
    """Refuse unstructured points, for models that need a grid.

    Raises
    ------
    OptionError
    """
    if setting.points:
        raise OptionError(f"Model {name!r} needs a grid and was given unstructured points; use lsm, fno or transolver.")
