"""Checks of what optimisers are told, one sentence each."""

from __future__ import annotations

import math
from collections.abc import Iterable

from sciml.errors import OptionError

__all__ = ["check_choice", "check_number", "check_whole"]


def check_number(owner: str, name: str, value: float, allowed: str, lowest: float, highest: float = math.inf) -> float:
    """Return `value` if it lies in [lowest, highest] and is finite.

    Parameters
    ----------
    owner, name : str
        Optimiser and option, as the user writes them.
    value : float
        What was given.
    allowed : str
        What is allowed, in words.
    lowest, highest : float
        The same, in numbers.

    Raises
    ------
    OptionError
        Otherwise, with one sentence.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not lowest <= value <= highest:
        raise OptionError(f"Option {name!r} of {owner!r} is {value!r}, but must be {allowed}.")
    return float(value)


def check_whole(owner: str, name: str, value: int, lowest: int) -> int:
    """Return `value` if it is a whole number and at least `lowest`.

    Raises
    ------
    OptionError
        Otherwise, with one sentence.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise OptionError(
            f"Option {name!r} of {owner!r} is {value!r}, but must be a whole number of at least {lowest}."
        )
    return value


def check_choice(owner: str, name: str, value: str, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`.

    Raises
    ------
    OptionError
        Otherwise, with one sentence.
    """
    names = list(choices)
    if value not in names:
        raise OptionError(f"Option {name!r} of {owner!r} is {value!r}, but must be one of {', '.join(names)}.")
    return value
