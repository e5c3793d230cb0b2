"""What a report is made of, whichever way it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

__all__ = ["Block", "Bullets", "Code", "Figure", "Heading", "Paragraph", "Section", "Table"]


@dataclass(frozen=True)
class Paragraph:
    """Some sentences; a `tone` of "warning" makes them stand out."""

    text: str
    tone: str = ""
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Heading:
    """The start of a part of a section."""

    text: str
    kind: ClassVar[str] = "heading"


@dataclass(frozen=True)
class Bullets:
    """One sentence each."""

    items: Sequence[str]
    kind: ClassVar[str] = "bullets"


@dataclass(frozen=True)
class Code:
    """What is typed."""

    text: str
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Table:
    """Columns, rows, and what to know beside them.

    Attributes
    ----------
    text_columns : int
        How many of the first columns are words; the others are aligned to the right.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    text_columns: int = 2
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Figure:
    """A picture as SVG, and its numbers as a table."""

    svg: str
    caption: str
    numbers: Table
    kind: ClassVar[str] = "figure"


Block = Paragraph | Heading | Bullets | Code | Table | Figure


@dataclass(frozen=True)
class Section:
    """A part of the report."""

    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)

    @property
    def anchor(self) -> str:
        """What links point to."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower()).strip("-")
