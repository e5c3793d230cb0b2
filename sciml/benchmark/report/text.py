"""Numbers as people read them: two or three significant digits, with their unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["count", "epsilon", "error", "joined", "memory", "options", "percent", "plain", "seconds", "times"]

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def plain(value: float, digits: int = 2) -> str:
    """A number with that many significant digits: 0.012, 1.2·10⁻⁵, 340."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if -3 <= exponent < max(digits, 4):
        text = f"{value:.{max(digits - 1 - exponent, 0)}f}"
        return text if exponent < digits else str(round(value, digits - 1 - exponent)).removesuffix(".0")
    mantissa = f"{value / 10**exponent:.{digits - 1}f}"
    return f"{mantissa}·10{str(exponent).translate(_SUPERSCRIPT)}"


def error(value: float) -> str:
    """A relative error."""
    return plain(value)


def epsilon(value: float) -> str:
    """A stated accuracy, as short as it was stated: 0.01, 10⁻⁴."""
    exponent = round(math.log10(value))
    if value < 1e-2 and math.isclose(value, 10.0**exponent, rel_tol=1e-9):
        return f"10{str(exponent).translate(_SUPERSCRIPT)}"
    return f"{value:g}" if value >= 1e-2 else plain(value)


def seconds(value: float) -> str:
    """A time in the unit that suits it."""
    if not math.isfinite(value):
        return "–"
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (0.1, 1e3, "ms"), (120.0, 1.0, "s"), (7200.0, 1 / 60, "min")):
        if abs(value) < limit:
            return f"{plain(value * factor)} {unit}"
    return f"{plain(value / 3600)} h"


def times(value: float) -> str:
    """A ratio: 0.31×, 26×."""
    return f"{plain(value)}×"


def count(value: float) -> str:
    """A whole number with three significant digits: 142,000."""
    digits = max(len(f"{value:.0f}") - 3, 0)
    return f"{round(value, -digits):,.0f}"


def percent(share: float) -> str:
    """A share, without decimals."""
    return f"{100 * share:.0f} %"


def memory(size: float) -> str:
    """Bytes in MiB or GiB."""
    mebibytes = size / 2**20
    return f"{plain(mebibytes, 3)} MiB" if mebibytes < 1024 else f"{plain(mebibytes / 1024, 3)} GiB"


def joined(words: Sequence[str]) -> str:
    """Words in a row: a, b and c."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def options(content: Mapping[str, Any]) -> str:
    """Options in a row."""
    return ", ".join(f"{key} = {_value(value)}" for key, value in content.items()) or "–"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(_value, value)) if isinstance(value, (list, tuple)) else str(value)
