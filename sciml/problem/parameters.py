"""Typed parameters of a problem: default, range, unit, and whether they change its structure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sciml.errors import ParameterError, unknown_name
from sciml.problem.draws import DrawLaw, LogUniform, Uniform

__all__ = ["Parameter", "ParameterValues", "parameter"]

Value = float | tuple[float, ...] | int | str | bool


class Parameter:
    """One parameter of a problem; made by :func:`parameter`.

    Real numbers and tuples of them become ``ufl.Constant``s in the declaration: a new value
    needs no new compilation, and the value can be trained. Integers and choices are structure:
    the declaration sees the plain Python value.
    """

    def __init__(
        self,
        default: Value | Sequence[float],
        *,
        lower: float,
        upper: float,
        open_lower: bool,
        open_upper: bool,
        unit: str,
        doc: str,
        integer: bool,
        choices: tuple[Any, ...] | None,
        law: DrawLaw | None,
    ) -> None:
        self.name = ""
        self.lower, self.upper = lower, upper
        self.open_lower, self.open_upper = open_lower, open_upper
        self.unit, self.doc = unit, doc
        self.integer, self.choices = integer, choices
        self.law = law
        self.length = None if np.isscalar(default) or isinstance(default, str) else len(default)  # type: ignore[arg-type]
        self.default: Value = self.check(default)
        if law is not None:
            law.check(self)

    @property
    def structural(self) -> bool:
        """Whether a new value changes the declaration itself (integers and choices)."""
        return self.integer or self.choices is not None

    @property
    def drawable(self) -> bool:
        """Whether there is a law to draw values from."""
        return self.law is not None

    @property
    def range_text(self) -> str:
        """The allowed values in words."""
        if self.choices is not None:
            return "one of " + ", ".join(map(repr, self.choices))
        kind = "an integer" if self.integer else "a number" if self.length is None else f"{self.length} numbers"
        low = f"{'> ' if self.open_lower else '≥ '}{self.lower:g}" if math.isfinite(self.lower) else ""
        high = f"{'< ' if self.open_upper else '≤ '}{self.upper:g}" if math.isfinite(self.upper) else ""
        bounds = " and ".join(filter(None, [low, high]))
        return f"{kind} {bounds}".strip()

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """On a problem, the symbol (a ``ufl.Constant``) or structural value; on the class, this object."""
        return self if instance is None else instance._parameter_symbol(self.name)

    def check(self, value: Any) -> Value:
        """Return `value` in the parameter's type, or raise :class:`~sciml.errors.ParameterError`."""
        if self.choices is not None:
            equal = [choice for choice in self.choices if _is_choice(value, choice)]
            if not equal:
                raise self._error(value)
            return equal[0]
        try:
            array, truth = np.asarray(value, dtype=float), np.asarray(value).dtype == bool
        except (TypeError, ValueError):
            raise self._error(value) from None
        if truth or array.shape != (() if self.length is None else (self.length,)):
            raise self._error(value)
        if not np.all(np.isfinite(array)) or not np.all(self._inside(array)):
            raise self._error(value)
        if self.integer:
            if array != np.floor(array):
                raise self._error(value)
            return int(array)
        return float(array) if self.length is None else tuple(map(float, array))

    def parse(self, text: Any) -> Value:
        """Read a value as it is typed on a command line: ``500``, ``0.5,0.5`` or a choice (or a value as it is)."""
        if self.choices is not None:
            match = [choice for choice in self.choices if str(choice) == text]
            return self.check(match[0] if match else text)
        if not isinstance(text, str):
            return self.check(text)
        pieces = text.strip("()[] ").split(",")
        if self.length is None:
            return self.check(pieces[0] if len(pieces) == 1 else text)
        return self.check([piece for piece in pieces if piece.strip()])

    def draw(self, generator: np.random.Generator) -> Value:
        """Draw a value from the parameter's law."""
        assert self.law is not None
        return self.check(self.law.draw(self, generator))

    def _inside(self, array: np.ndarray) -> np.ndarray:
        low = array > self.lower if self.open_lower else array >= self.lower
        high = array < self.upper if self.open_upper else array <= self.upper
        return low & high

    def _error(self, value: Any) -> ParameterError:
        name = f"Parameter {self.name!r}" if self.name else "A parameter's default"
        unit = f" (in {self.unit})" if self.unit else ""
        finite = ", finite" if self.choices is None else ""
        return ParameterError(f"{name} was given {value!r}; allowed is {self.range_text}{unit}{finite}.")


def _is_choice(value: Any, choice: Any) -> bool:
    """Whether a value is this choice; True is not 1 here."""
    truths = [isinstance(item, (bool, np.bool_)) for item in (value, choice)]
    return np.ndim(value) == 0 and truths[0] == truths[1] and bool(choice == value)


def parameter(
    default: Any,
    *,
    above: float | None = None,
    below: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    between: tuple[float, float] | None = None,
    draw: tuple[float, float] | DrawLaw | None = None,
    unit: str = "",
    doc: str = "",
    log: bool = False,
    integer: bool = False,
    choices: Sequence[Any] | None = None,
) -> Any:
    """Declare a parameter of a problem.

    Parameters
    ----------
    default : float, sequence of float, int, str or bool
        Default value. A number or a tuple of numbers becomes a ``ufl.Constant`` in the declaration;
        with `integer` or `choices` the declaration sees the plain value.
    above, below : float, optional
        Open ends of the range.
    at_least, at_most : float, optional
        Closed ends of the range.
    between : (float, float), optional
        Both closed ends.
    draw : (float, float) or law, optional
        The range that random members are drawn from, within the legal one; the legal range itself if that is
        finite. Or a law: :class:`Uniform`, :class:`LogUniform`, :class:`TruncatedNormal` (cut off at the legal
        range), :class:`Choice`. A problem with such parameters is a family.
    unit : str
        Physical unit, for people ("MPa").
    doc : str
        One line on what it is.
    log : bool
        Draw log-uniformly (both ends positive) from the range.
    integer : bool
        Only whole numbers; structural.
    choices : sequence, optional
        The only values allowed; structural. ``True``/``False`` defaults imply both.

    Raises
    ------
    ParameterError
        The default lies outside the declared range, the range is empty, or it cannot be drawn as asked.

    Examples
    --------
    >>> sharpness = parameter(1000.0, above=0, unit="1/m²", doc="inverse squared width of the peak")
    """
    if isinstance(default, bool) and choices is None:
        choices = (True, False)
    if isinstance(default, str) and choices is None:
        raise ParameterError(f"A parameter with the text default {default!r} needs `choices`.")
    low, high = between if between is not None else (at_least, at_most)
    lower = max((v for v in (above, low) if v is not None), default=-math.inf)
    upper = min((v for v in (below, high) if v is not None), default=math.inf)
    if lower > upper:
        raise ParameterError(f"The range from {lower:g} to {upper:g} of a parameter is empty.")
    return Parameter(
        default,
        lower=lower,
        upper=upper,
        open_lower=above is not None and lower == above,
        open_upper=below is not None and upper == below,
        unit=unit,
        doc=doc,
        integer=integer,
        choices=None if choices is None else tuple(choices),
        law=_law(draw, (lower, upper), log, choices is not None),
    )


def _law(
    draw: tuple[float, float] | DrawLaw | None, legal: tuple[float, float], log: bool, choices: bool
) -> DrawLaw | None:
    """The law behind the short spellings."""
    if isinstance(draw, DrawLaw):
        return draw
    if draw is None and (choices or not np.all(np.isfinite(legal))):
        return None
    low, high = draw or legal
    return LogUniform(low, high) if log else Uniform(low, high)


class ParameterValues(Mapping[str, Value]):
    """The parameter values of one problem: a read-only mapping from name to number(s).

    Reading a value while the problem is being declared bakes the number into the declaration; the
    mapping remembers that, so that such a problem is declared anew for other values.
    """

    def __init__(self, declared: Mapping[str, Parameter], given: Mapping[str, Any]) -> None:
        for name in given:
            if name not in declared:
                raise unknown_name("parameter", name, declared)
        self._values = {name: p.check(given.get(name, p.default)) for name, p in declared.items()}
        self._declared = declared
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Value:
        if name not in self._values:
            raise unknown_name("parameter", name, self._values)
        self.read.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)

    def plain(self) -> dict[str, Value]:
        """A copy as a plain dictionary."""
        return dict(self._values)
