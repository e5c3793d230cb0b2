"""What an Abaqus input file declares: nodes, elements, sets and surfaces of the model, its parts and instances."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from sciml.errors import MeshError, ScimlWarning

from .cards import Card, read_cards, to_float, to_int
from .elements import Shape, shape_of

__all__ = ["Element", "Entry", "Kind", "Model", "Named", "Scope", "read_model"]

Kind = Literal["node", "element", "surface"]

_REFUSED = {
    "INCLUDE": "put the included file into this one",
    **dict.fromkeys(("NGEN", "NFILL", "NCOPY", "NMAP", "ELGEN", "ELCOPY"), "write all nodes and elements out"),
    "SYSTEM": "write global Cartesian coordinates",
}
_JOINING = ("TIE", "EQUATION", "MPC", "EMBEDDED ELEMENT")
_NUMBER = re.compile(r"[+-]?\d+")


@dataclass(frozen=True)
class Entry:
    """A part of a set or surface, as the file states it.

    Attributes
    ----------
    line : int
    items : list of int and str
        Numbers of nodes or elements, and names of sets.
    instance : str
        Of whose nodes or elements, "" for those of the scope that the set is in.
    face : str
        Of a surface: the identifier, in capitals.
    as_found : bool
        Take those of the numbers that exist, rather than insist on all.
    of_elements : bool
        The nodes of element sets are meant.
    """

    line: int
    items: list[int | str]
    instance: str = ""
    face: str = ""
    as_found: bool = False
    of_elements: bool = False


@dataclass(frozen=True)
class Named:
    """A set or surface: its name as first written, and what it is made of."""

    name: str
    internal: bool = False
    of_nodes: bool = False
    entries: list[Entry] = field(default_factory=list)


@dataclass(frozen=True)
class Element:
    """An element; `shape` is None for masses, springs and the like."""

    shape: Shape | None
    nodes: tuple[int, ...]


@dataclass(frozen=True)
class Scope:
    """What has names and numbers of its own: a part, an instance, or the model with its assembly ("")."""

    name: str
    nodes: dict[int, np.ndarray] = field(default_factory=dict)
    elements: dict[int, Element] = field(default_factory=dict)
    sets: dict[Kind, dict[str, Named]] = field(default_factory=lambda: {"node": {}, "element": {}, "surface": {}})

    def named(self, kind: Kind, name: str, *, internal: bool = False, of_nodes: bool = False) -> Named:
        """The set of that name; a new one if there is none."""
        return self.sets[kind].setdefault(name.upper(), Named(name, internal, of_nodes))

    def instance(self, name: str, move: Callable[[np.ndarray], np.ndarray]) -> Scope:
        """A copy of a part in another place."""
        points = move(np.array(list(self.nodes.values())).reshape(-1, 3))
        sets: dict[Kind, dict[str, Named]] = {
            kind: {key: replace(named, entries=list(named.entries)) for key, named in of_kind.items()}
            for kind, of_kind in self.sets.items()
        }
        return Scope(name, dict(zip(self.nodes, points)), dict(self.elements), sets)


@dataclass(frozen=True)
class Model:
    """The model itself, which holds the assembly's sets too, and the instances by name in capitals."""

    root: Scope
    instances: dict[str, Scope]


def read_model(path: Path) -> Model:
    """Read a file; MeshError names the line that cannot be read."""
    reader = _Reader(path)
    for card in read_cards(path):
        reader.take(card)
    return Model(reader.root, reader.instances)


class _Reader:
    """Takes the keywords one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.root = self._scope = Scope("")
        self.instances: dict[str, Scope] = {}
        self._parts: dict[str, Scope] = {}
        self._rules: dict[str, Callable[[Card], None]] = {
            "NODE": self._node,
            "ELEMENT": self._element,
            "NSET": self._nset,
            "ELSET": self._elset,
            "SURFACE": self._surface,
            "PART": self._part,
            "INSTANCE": self._instance,
            "END PART": self._end,
            "END INSTANCE": self._end,
        }

    def take(self, card: Card) -> None:
        if card.keyword in _REFUSED or ("INPUT" in card.parameters and card.keyword in self._rules):
            advice = _REFUSED.get(card.keyword, "put the lines of that file into this one")
            what = f"*{card.keyword}" + (" with INPUT=" if card.keyword in self._rules else "")
            raise MeshError(f"line {card.line}: {what} is not supported; {advice}.")
        if card.keyword in _JOINING:
            self._warn(card, "is not read, so what it joins stays apart in the mesh")
        if rule := self._rules.get(card.keyword):
            rule(card)

    def _warn(self, card: Card, what: str) -> None:
        warnings.warn(f"{self._path}, line {card.line}: *{card.keyword} {what}.", ScimlWarning, stacklevel=2)

    def _part(self, card: Card) -> None:
        name = card.name("NAME")
        self._scope = self._parts[name.upper()] = Scope(name)

    def _instance(self, card: Card) -> None:
        name, part = card.name("NAME"), card.name("PART")
        if part.upper() not in self._parts:
            raise MeshError(f"line {card.line}: there is no part {part!r} for the instance {name!r}; define it first.")
        scope = self._parts[part.upper()].instance(name, _movement(card))
        self._scope = self.instances[name.upper()] = scope

    def _end(self, card: Card) -> None:
        self._scope = self.root

    def _node(self, card: Card) -> None:
        if card.parameters.get("SYSTEM", "R").upper() != "R":
            raise MeshError(f"line {card.line}: *NODE with SYSTEM= is not supported; write Cartesian coordinates.")
        numbers: list[int | str] = []
        for line, fields in card.lines:
            number = to_int(fields[0], line)
            point = [to_float(text, line) for text in fields[1:4]]
            self._scope.nodes[number] = np.array(point + [0.0] * (3 - len(point)))
            numbers.append(number)
        if "NSET" in card.parameters:
            self._scope.named("node", card.name("NSET")).entries.append(Entry(card.line, numbers))

    def _element(self, card: Card) -> None:
        element_type = card.name("TYPE")
        shape = shape_of(element_type, card.line)
        if shape is None:
            self._warn(card, f"of type {element_type} has no shape and is left out")
        numbers: list[int | str] = []
        for line, (number, *nodes) in _element_rows(card, shape):
            if number in self._scope.elements:
                raise MeshError(f"line {line}: element {number} is defined twice; give each a number of its own.")
            self._scope.elements[number] = Element(shape, tuple(nodes))
            numbers.append(number)
        if "ELSET" in card.parameters:
            self._scope.named("element", card.name("ELSET")).entries.append(Entry(card.line, numbers))

    def _nset(self, card: Card) -> None:
        self._add_to_set("node", card.name("NSET"), card)
        if "ELSET" in card.parameters:
            entry = Entry(card.line, [card.parameters["ELSET"]], of_elements=True)
            self._scope.named("node", card.name("NSET")).entries.append(entry)

    def _elset(self, card: Card) -> None:
        self._add_to_set("element", card.name("ELSET"), card)

    def _add_to_set(self, kind: Kind, name: str, card: Card) -> None:
        named = self._scope.named(kind, name, internal="INTERNAL" in card.parameters)
        generate = "GENERATE" in card.parameters
        for line, fields in card.lines:
            items = _range(fields, line) if generate else [_item(text) for text in fields if text]
            named.entries.append(Entry(line, items, card.parameters.get("INSTANCE", ""), as_found=generate))

    def _surface(self, card: Card) -> None:
        kind = card.parameters.get("TYPE", "ELEMENT").upper()
        if kind not in ("ELEMENT", "NODE") or "COMBINE" in card.parameters:
            self._warn(card, f"{card.name('NAME')!r} is neither of TYPE=ELEMENT nor of TYPE=NODE, and is left out")
            return
        internal = "INTERNAL" in card.parameters
        named = self._scope.named("surface", card.name("NAME"), internal=internal, of_nodes=kind == "NODE")
        for line, fields in card.lines:
            face = fields[1].upper() if len(fields) > 1 and kind == "ELEMENT" else ""
            named.entries.append(Entry(line, [_item(fields[0])], face=face))


def _item(text: str) -> int | str:
    return int(text) if _NUMBER.fullmatch(text) else text.replace('"', "")


def _range(fields: list[str], line: int) -> list[int | str]:
    numbers = [to_int(text, line) for text in fields if text]
    if len(numbers) not in (2, 3) or numbers[-1] < 1:
        raise MeshError(f"line {line}: GENERATE takes a first and a last number and a step above 0, not {fields}.")
    first, last, step = (*numbers, 1)[:3]
    return list(range(first, last + 1, step))


def _element_rows(card: Card, shape: Shape | None) -> list[tuple[int, list[int]]]:
    """Number and nodes of each element, with the line where they end; they may go over several lines."""
    rows, row = [], []
    for line, fields in card.lines:
        row += [to_int(text, line) for text in fields if text]
        wanted = len(row) if shape is None else shape.n_nodes + 1
        # A beam may have one more node, for its orientation.
        if len(row) > wanted and not (shape and shape.dim == 1):
            raise MeshError(f"line {line}: element {row[0]} has {len(row) - 1} nodes, its type {wanted - 1}.")
        if len(row) >= wanted:
            rows.append((line, row[:wanted]))
            row = []
    if row:
        raise MeshError(f"line {card.line}: the last element of this *ELEMENT has only {len(row) - 1} nodes.")
    return rows


def _movement(card: Card) -> Callable[[np.ndarray], np.ndarray]:
    """The translation and then the rotation of an instance, from up to two data lines."""
    numbers = [[to_float(text, line) for text in fields] for line, fields in card.lines]
    shift = np.array((*(numbers[0] if numbers else ()), 0.0, 0.0, 0.0)[:3])
    if len(numbers) < 2:
        return lambda points: points + shift
    if len(numbers[1]) != 7 or numbers[1][:3] == numbers[1][3:6]:
        raise MeshError(f"line {card.line}: the rotation of an instance takes two different points and an angle.")
    start, axis = np.array(numbers[1][:3]), np.subtract(numbers[1][3:6], numbers[1][:3])
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * numbers[1][6], degrees=True)
    return lambda points: turn.apply(points + shift - start) + start
