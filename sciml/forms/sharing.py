"""Programs that are compiled once for all expressions that differ in the names of their symbols alone."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import ufl
from ufl import classes
from ufl.algorithms.signature import compute_expression_signature
from ufl.corealg.traversal import traverse_unique_terminals
from ufl.domain import extract_domains

from sciml.forms.program import Program

__all__ = ["compiled"]

_KEPT = 512
_programs: OrderedDict[Any, tuple[Program, list[Any]]] = OrderedDict()


def compiled(expression: Any, unknown: Any = None, rates: Mapping[Any, int] | None = None) -> Program:
    """The program of an expression, made anew only if no expression of the same structure was compiled before.

    Members of a family whose domain is made of numbers declare their law on symbols of their own; the law is the same.
    Two expressions have the same structure if one becomes the other, numbers and all, by exchanging constants for
    constants and coefficients for coefficients in the order in which they occur.

    Parameters
    ----------
    expression, unknown, rates
        As for :class:`~sciml.forms.program.Program`.

    Raises
    ------
    UnsupportedExpressionError
        A UFL node without a rule.

    Notes
    -----
    The last 512 programs are kept. Reading the structure of an expression costs a few per cent of compiling it.
    """
    expression, rates = ufl.as_ufl(expression), dict(rates or {})
    terminals = list(traverse_unique_terminals(expression))
    symbols, labels = _of_kind(terminals, classes.Constant, classes.Coefficient), _of_kind(terminals, classes.Label)
    numbers = _numbered(symbols)
    names = _numbered(labels) | _numbered(extract_domains(expression))
    roles = tuple(sorted((numbers[rate], order) for rate, order in rates.items() if rate in numbers))
    key = compute_expression_signature(expression, numbers | names), numbers.get(unknown), roles
    if key in _programs:
        _programs.move_to_end(key)
        program, known = _programs[key]
        return _with_symbols(program, dict(zip(known, symbols)))
    program = Program(expression, unknown, rates)
    _programs[key] = program, symbols
    if len(_programs) > _KEPT:
        _programs.popitem(last=False)
    return program


def _of_kind(terminals: list[Any], *kinds: type) -> list[Any]:
    return [terminal for terminal in terminals if isinstance(terminal, kinds)]


def _numbered(symbols: Iterable[Any]) -> dict[Any, int]:
    return {symbol: number for number, symbol in enumerate(symbols)}


def _with_symbols(program: Program, new: Mapping[Any, Any]) -> Program:
    other = copy.copy(program)
    other.constants = tuple((new[constant], index) for constant, index in program.constants)
    other.data_keys = tuple((new[field], derivative) for field, derivative in program.data_keys)
    return other
