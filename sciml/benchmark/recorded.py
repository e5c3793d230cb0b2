"""Measured figures on record, and the table that a page of text shows of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from sciml.benchmark.checks import Bound, Check, CheckResult, bound_in_words, matching
from sciml.errors import OutputError
from sciml.files import write_json

__all__ = ["figures_table", "read_record", "record_checks"]


def record_checks(results: Iterable[CheckResult], file: Path, rate: float) -> None:
    """Put measured figures on record; checks that were not measured, or failed, keep what is there.

    Parameters
    ----------
    results : iterable of CheckResult
    file : Path
        JSON: check → date, rate of the machine, and the figures that have a bound, with a value per seed.
    rate : float
        GFLOP/s of a float64 matrix product on one core.
    """
    record = read_record(file) if file.exists() else {}
    for result in results:
        if all(outcome.result for outcome in result.outcomes.values()):
            figures = {name: values for figure in result.figures for name, values in figure.values.items()}
            record[result.check.name] = {
                "date": date.today().isoformat(),
                "rate_gflops": round(rate, 1),
                "figures": {name: [_rounded(value) for value in values] for name, values in figures.items()},
            }
    write_json(file, dict(sorted(record.items())))


def read_record(file: Path) -> dict[str, Any]:
    """Figures on record by check.

    Raises
    ------
    OutputError
        The file cannot be read.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{file} cannot be read as recorded figures: {error}.") from error


def figures_table(checks: Sequence[Check], record: Mapping[str, Any]) -> str:
    """A Markdown table of what was measured beside its bound, a row per check, and a line that says when and where."""
    lines = ["| | measured | bound | check |", "| --- | --- | --- | --- |"]
    lines += [_line(check, record.get(check.name, {}).get("figures", {})) for check in checks]
    return "\n".join([*lines, "", _when(record[check.name] for check in checks if check.name in record)])


def _line(check: Check, found: Mapping[str, list[float]]) -> str:
    bounds = check.figures.values()
    about = "; ".join(bound.about for bound in bounds if bound.about)
    measured = "; ".join(_measured(pattern, bound, found) for pattern, bound in check.figures.items())
    asked = [bound_in_words(bound, bound.limits(1.0), bound.aims(1.0), _number) for bound in bounds]
    once = asked[:1] if len(set(asked)) == 1 else asked
    return f"| {check.title}{f': {about}' if about else ''} | {measured} | {'; '.join(once)} | `{check.name}` |"


def _when(entries: Iterable[Mapping[str, Any]]) -> str:
    """When the figures were measured, and on how fast a core."""
    found = list(entries)
    if not found:
        return "Nothing of it is on record."
    days, rates = ([entry[key] for entry in found] for key in ("date", "rate_gflops"))
    return f"Measured {_ends(days)} on one core of {_ends(rates)} GFLOP/s; a range is that of all seeds and cases."


def _ends(values: Sequence[Any]) -> str:
    return " to ".join(dict.fromkeys(str(value) for value in (min(values), max(values))))


def _rounded(value: float) -> float:
    """Six digits; whole numbers are counts and stay as they are."""
    return value if value == round(value) else float(f"{value:.6g}")


def _measured(pattern: str, bound: Bound, found: Mapping[str, list[float]]) -> str:
    values = [value for own in matching(pattern, found).values() for value in own]
    if not values:
        return "–"
    ends = dict.fromkeys(_rough(value) for value in (min(values), max(values)))
    return f"{' to '.join(ends)} {bound.unit}".strip()


def _number(value: float) -> str:
    """As it is meant, for a bound: 60, 0.15, 1e-12."""
    return _signed(value, f"{abs(value):.6g}", lambda mantissa: f"{mantissa:.6g}")


def _rough(value: float) -> str:
    """Three digits, or two of a small or large number: 37507, 2.00, 0.0513, 4.4e-6."""
    digits = 0 if value == round(value) else max(0, 2 - math.floor(math.log10(abs(value))))
    return _signed(value, f"{abs(value):.{digits}f}", lambda mantissa: f"{mantissa:.1f}")


def _signed(value: float, plain: str, rounded: Callable[[float], str]) -> str:
    """The plain text within bounds, else a mantissa and an exponent, behind a minus that is one."""
    sign = "−" if value < 0 else ""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return sign + plain
    mantissa, exponent = f"{abs(value):.10e}".split("e")
    return f"{sign}{rounded(float(mantissa))}e{int(exponent)}"
