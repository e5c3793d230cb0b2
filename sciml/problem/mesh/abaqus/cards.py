"""The syntax of Abaqus input files: keyword lines with parameters, each followed by its data lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sciml.errors import MeshError

__all__ = ["Card", "read_cards", "split", "to_float", "to_int"]


@dataclass
class Card:
    """A keyword with its parameters and data lines.

    Attributes
    ----------
    keyword : str
        In capitals, single spaces between words, without the star.
    parameters : dict
        Values as written, without quotes, by names in capitals; "" for parameters without a value.
    lines : list of (int, list of str)
        Number in the file and fields of each data line.
    line : int
        Number of the keyword's line.
    """

    keyword: str
    parameters: dict[str, str]
    line: int
    lines: list[tuple[int, list[str]]] = field(default_factory=list)

    def name(self, parameter: str) -> str:
        """The value of a parameter that must be there."""
        value = self.parameters.get(parameter, "")
        if not value:
            raise MeshError(f"line {self.line}: *{self.keyword} lacks {parameter}=…; give it a name.")
        return value


def read_cards(path: Path) -> Iterator[Card]:
    """The keyword lines of a file, in order, each with its data lines."""
    card, continued = None, False
    for number, raw in enumerate(_text(path).splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("**"):
            continue
        if line.startswith("*") or continued:
            keyword, parameters = _keyword_line(line, number, continued)
            if continued and card is not None:
                card.parameters |= parameters
            else:
                if card is not None:
                    yield card
                card = Card(keyword, parameters, number)
            continued = line.endswith(",")
        elif card is None:
            raise MeshError(
                f"line {number} comes before any keyword; an Abaqus input file starts with a line like *NODE."
            )
        else:
            card.lines.append((number, split(line)))
    if card is None:
        raise MeshError("the file has no keyword; an Abaqus input file has lines like *NODE and *ELEMENT.")
    yield card


def _text(path: Path) -> str:
    """The file in UTF-8, or in Latin-1, as programs on Windows write it; both agree on all but names and comments."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _keyword_line(line: str, number: int, continued: bool) -> tuple[str, dict[str, str]]:
    first, *others = split(line)
    keyword = "" if continued else " ".join(first[1:].upper().split())
    parameters = {}
    for text in [first, *others] if continued else others:
        name, _, value = text.partition("=")
        if name.strip():
            parameters["".join(name.upper().split())] = value.strip().strip('"')
    return keyword, parameters


def split(line: str) -> list[str]:
    """Fields between commas, those inside quotes apart; without blanks around them."""
    if '"' not in line:
        return [text.strip() for text in line.split(",")]
    pieces = line.split('"')
    # Commas outside quotes are in the pieces with even numbers.
    for k in range(0, len(pieces), 2):
        pieces[k] = pieces[k].replace(",", "\n")
    return [text.strip() for text in '"'.join(pieces).split("\n")]


def to_float(text: str, line: int) -> float:
    """A number as Fortran writes it too (1.D0); an empty field is 0."""
    try:
        return float(text.upper().replace("D", "E")) if text else 0.0
    except ValueError:
        raise MeshError(f"line {line}: {text!r} is not a number.") from None


def to_int(text: str, line: int) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise MeshError(f"line {line}: {text!r} is not a whole number.") from None
