"""One list of points and one of elements for the model and all instances, and what sets and surfaces mean in them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sciml.errors import MeshError, unknown_name
from sciml.problem.mesh.topology import match_rows

from .elements import Shape
from .model import Entry, Kind, Model, Named, Scope

__all__ = ["Block", "FlatModel"]

_FACE = re.compile(r"[SE]([1-6])")


@dataclass(frozen=True, eq=False)
class Block:
    """Elements of one shape: their numbers (n,) and points (n, n_nodes)."""

    shape: Shape
    numbers: np.ndarray
    nodes: np.ndarray


class FlatModel:
    """A model without parts: points and elements numbered from 0 through all instances."""

    def __init__(self, model: Model) -> None:
        self._instances = model.instances
        self._scopes = [model.root, *model.instances.values()]
        self._numbers: dict[tuple[Kind, str], dict[int, int]] = {}
        self._members: dict[tuple[Kind, str, str], set[int] | None] = {}
        self.elements: list[tuple[Shape, tuple[int, ...]]] = []
        points: list[np.ndarray] = []
        for scope in self._scopes:
            self._numbers["node", scope.name] = {node: len(points) + k for k, node in enumerate(scope.nodes)}
            points += scope.nodes.values()
        self.points = np.array(points).reshape(-1, 3)
        for scope in self._scopes:
            self._numbers["element", scope.name] = dict(self._add_elements(scope))

    def _add_elements(self, scope: Scope) -> Iterator[tuple[int, int]]:
        """Put the elements of a scope into the list; their old and new numbers, −1 for those without a shape."""
        points = self._numbers["node", scope.name]
        for number, element in scope.elements.items():
            shape = element.shape
            if shape is None:
                yield number, -1
                continue
            missing = [node for node in element.nodes if node not in points]
            if missing:
                raise MeshError(f"element {number} has the node {missing[0]}, which the file does not define.")
            yield number, len(self.elements)
            nodes = tuple(points[node] for node in element.nodes)
            self.elements.append((shape, self._ends_first(nodes) if shape.name == "line3" else nodes))

    def _ends_first(self, nodes: tuple[int, ...]) -> tuple[int, ...]:
        """Beams have their middle node in second place, trusses in third; it is the one nearest to the others' mean."""
        points = self.points[list(nodes)]
        middle = int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmin())
        return (*(node for k, node in enumerate(nodes) if k != middle), nodes[middle])

    @cached_property
    def dim(self) -> int:
        """The dimension of the cells: the highest of the elements."""
        return max((shape.dim for shape, _ in self.elements), default=0)

    @cached_property
    def blocks(self) -> list[Block]:
        """All elements, by shape."""
        by_shape: dict[Shape, list[int]] = defaultdict(list)
        for number, (shape, _) in enumerate(self.elements):
            by_shape[shape].append(number)
        return [
            Block(shape, np.array(numbers), np.array([self.elements[number][1] for number in numbers]))
            for shape, numbers in by_shape.items()
        ]

    def is_used(self, block: Block) -> np.ndarray:
        """Which elements are cells, or lie on a facet of one: booleans (n,)."""
        if block.shape.dim == self.dim:
            return np.ones(len(block.numbers), dtype=bool)
        if block.shape.dim < self.dim - 1:
            return np.zeros(len(block.numbers), dtype=bool)
        corners = block.nodes[:, : block.shape.n_corners]
        facets = [
            cells.nodes[:, np.array(cells.shape.facets)].reshape(-1, len(cells.shape.facets[0]))
            for cells in self.blocks
            if cells.shape.dim == self.dim and len(cells.shape.facets[0]) == corners.shape[1]
        ]
        return match_rows(corners, np.vstack([np.zeros((0, corners.shape[1]), dtype=np.int64), *facets])) >= 0

    @cached_property
    def _n_cells_of_facet(self) -> Counter[tuple[int, ...]]:
        return Counter(
            tuple(sorted(nodes[k] for k in facet))
            for shape, nodes in self.elements
            if shape.dim == self.dim
            for facet in shape.facets
        )

    def exported(self, kind: Kind) -> Iterator[tuple[str, list[tuple[Scope, Named]]]]:
        """Each name that a set or surface has outside, and the sets that it stands for."""
        owners: dict[str, list[tuple[Scope, Named]]] = defaultdict(list)
        for scope in self._scopes:
            for key, named in scope.sets[kind].items():
                if not named.internal:
                    owners[key].append((scope, named))
        for having in owners.values():
            is_assembly = not having[0][0].name
            yield having[0][1].name, having[:1] if is_assembly else having
            if len(having) > 1:
                for scope, named in having[1 if is_assembly else 0 :]:
                    yield f"{scope.name}.{named.name}", [(scope, named)]

    def members(self, kind: Kind, scope: Scope, name: str, line: int = 0) -> set[int]:
        """Points of a node set, or elements of an element set, of that name as written in the scope."""
        key = kind, scope.name, name.upper()
        if key in self._members:
            found = self._members[key]
            if found is None:
                raise MeshError(f"line {line}: the {kind} set {name!r} contains itself.")
            return found
        named = scope.sets[kind].get(name.upper())
        if named is None:
            owner, dot, rest = name.partition(".")
            if dot and owner.upper() in self._instances:
                return self.members(kind, self._instances[owner.upper()], rest, line)
            raise MeshError(
                f"line {line}: {unknown_name(f'{kind} set', name, (n.name for n in scope.sets[kind].values()))}"
            )
        self._members[key] = None
        self._members[key] = result = set().union(*(self.chosen(kind, scope, entry) for entry in named.entries))
        return result

    def chosen(self, kind: Kind, scope: Scope, entry: Entry) -> set[int]:
        """Points or elements that an entry of a set or surface names."""
        scope = self._instance(entry.instance, entry.line) if entry.instance else scope
        if entry.of_elements:
            elements = self.chosen("element", scope, Entry(entry.line, entry.items))
            return {node for number in elements for node in self.elements[number][1]}
        found = set()
        numbers = self._numbers[kind, scope.name]
        for item in entry.items:
            if isinstance(item, str):
                found |= self._by_name(kind, scope, item, entry.line)
            elif item in numbers:
                found.add(numbers[item])
            elif not entry.as_found:
                raise MeshError(f"line {entry.line}: there is no {kind} {item}.")
        return found - {-1}

    def _by_name(self, kind: Kind, scope: Scope, item: str, line: int) -> set[int]:
        """What INSTANCE.NUMBER or the name of a set means."""
        owner, _, number = item.partition(".")
        if number.isdecimal() and owner.upper() in self._instances:
            return self.chosen(kind, self._instances[owner.upper()], Entry(line, [int(number)]))
        return self.members(kind, scope, item, line)

    def _instance(self, name: str, line: int) -> Scope:
        if name.upper() not in self._instances:
            known = (scope.name for scope in self._instances.values())
            raise MeshError(f"line {line}: {unknown_name('instance', name, known)}")
        return self._instances[name.upper()]

    def faces(self, scope: Scope, entry: Entry) -> Iterator[tuple[int, ...]]:
        """Corner points of the faces that a line of a surface names, as far as they are facets of cells."""
        for number in sorted(self.chosen("element", scope, entry)):
            shape, nodes = self.elements[number]
            if shape.dim == self.dim:
                yield from self._sides(shape, nodes, entry)
            elif shape.is_sheet and shape.dim == self.dim - 1 and entry.face in ("", "SPOS", "SNEG"):
                yield nodes[: shape.n_corners]

    def _sides(self, shape: Shape, nodes: tuple[int, ...], entry: Entry) -> list[tuple[int, ...]]:
        rows = [tuple(nodes[k] for k in facet) for facet in shape.facets]
        if not entry.face:
            return [row for row in rows if self._n_cells_of_facet[tuple(sorted(row))] == 1]
        if shape.is_sheet and entry.face in ("SPOS", "SNEG"):
            return []
        found = _FACE.fullmatch(entry.face)
        if not found or int(found[1]) > len(rows):
            raise MeshError(
                f"line {entry.line}: the face {entry.face!r} of elements of {shape.n_nodes} nodes is not known; "
                f"they have S1 to S{len(rows)}."
            )
        return [rows[int(found[1]) - 1]]
