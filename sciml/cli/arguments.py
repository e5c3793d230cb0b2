"""Reading ``-p`` and ``-o``, and which ``-o`` belongs to which ``--solver``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

from sciml.errors import OptionError

__all__ = ["OrderedCommand", "grouped_options", "parse_options"]

_SOLVER = ("--solver", "-s")
_OPTION = ("--option", "-o")
_MARK = "\x1f"


def parse_options(texts: Sequence[str], flag: str) -> dict[str, Any]:
    """Turn ``NAME=VALUE`` texts into a dictionary; a value that is a JSON object or list is read as one."""
    out: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise OptionError(f"{flag} {text!r} is not of the form NAME=VALUE.")
        out[name.strip()] = _value(value.strip(), text)
    return out


def _value(text: str, whole: str) -> Any:
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise OptionError(f"The value of {whole!r} is not valid JSON ({error}).") from None
    return None if text in ("none", "None", "null") else text


class OrderedCommand(TyperCommand):
    """A command that remembers after which ``--solver`` each ``-o`` came."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Mark every option's value with the number of solvers before it, then parse as usual."""
        return super().parse_args(ctx, _marked(args))


def _marked(args: Sequence[str]) -> list[str]:
    out: list[str] = []
    solvers = 0
    pending = False
    for argument in args:
        flag, sign, value = argument.partition("=")
        if pending:
            out.append(f"{solvers}{_MARK}{argument}")
            pending = False
        elif sign and flag == "--option":
            out.append(f"{flag}={solvers}{_MARK}{value}")
        elif argument.startswith("-o") and not argument.startswith("--") and len(argument) > 2:
            out.append(f"-o{solvers}{_MARK}{argument[2:]}")
        else:
            glued = argument.startswith("-s") and not argument.startswith("--") and len(argument) > 2
            solvers += argument in _SOLVER or (bool(sign) and flag == "--solver") or glued
            pending = argument in _OPTION
            out.append(argument)
    return out


def grouped_options(solvers: Sequence[str], marked: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Pair each solver with its options.

    Raises
    ------
    OptionError
        An option comes before the first solver.
    """
    groups: list[list[str]] = [[] for _ in solvers]
    for text in marked:
        number, _, option = text.partition(_MARK)
        if int(number) == 0:
            raise OptionError(f"-o {option} comes before any --solver; put it after the solver that it belongs to.")
        groups[int(number) - 1].append(option)
    return [(name, parse_options(texts, "-o")) for name, texts in zip(solvers, groups, strict=True)]
