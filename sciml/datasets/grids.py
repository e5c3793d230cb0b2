"""Where values are kept: an even grid on a box, or the nodes of a mesh of quadrilaterals that is a grid in itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from sciml.errors import OptionError, UndefinedFieldError, UnsupportedError
from sciml.problem import Box, MeshData, Periodic, Problem, grid_points
from sciml.solution import Field
from sciml.solution.field import Rule

__all__ = ["BoxGrid", "Grid", "MeshGrid", "kept_grid", "periodic_axes"]

Values = Callable[[Field, Rule], np.ndarray]

_PER_CELL = 2
_STEPS = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)])
_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))


class Grid(ABC):
    """Nodes at which values of all members of a family are kept.

    Attributes
    ----------
    shape : tuple of int
        Nodes along each axis.
    periodic : tuple of bool
        Whether the first node of an axis follows the last.
    varying : bool
        Whether the nodes of two members lie at different places.
    """

    shape: tuple[int, ...]
    periodic: tuple[bool, ...]
    varying: bool

    @abstractmethod
    def places(self, problem: Problem) -> np.ndarray:
        """Coordinates of the nodes ``(*shape, dim)``."""

    @abstractmethod
    def values(self, field: Field, values: Values) -> np.ndarray:
        """What a function makes of a field, at the nodes: ``(*shape, c)``.

        Raises
        ------
        UndefinedFieldError
            A value that is not finite.
        """

    @staticmethod
    def _finite(kept: np.ndarray, problem: Problem) -> np.ndarray:
        missing = int((~np.isfinite(kept)).sum())
        if missing:
            raise UndefinedFieldError(f"{missing} of {kept.size} kept values of {problem!r} are not finite.")
        return kept


class BoxGrid(Grid):
    """Evenly spaced nodes on a box, both ends included; of a periodic axis without the upper end.

    Parameters
    ----------
    problem : Problem
        On a box.
    shape : sequence of int
    """

    varying = False

    def __init__(self, problem: Problem, shape: Sequence[int]) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.periodic = periodic_axes(problem)
        self._known: tuple[tuple[Any, ...], np.ndarray] | None = None
        if len(self.shape) != problem.dim or min(self.shape) < 2:
            raise OptionError(f"A grid of {shape} nodes was asked for; {problem!r} takes {problem.dim} numbers ≥ 2.")

    @property
    def intervals(self) -> tuple[int, ...]:
        """Intervals along each axis."""
        return tuple(n - (not periodic) for n, periodic in zip(self.shape, self.periodic))

    def lines(self, problem: Problem) -> list[np.ndarray]:
        """Coordinates along each axis."""
        ends = zip(problem.domain.lower, problem.domain.upper)
        return [a + (b - a) * np.arange(n) / m for (a, b), n, m in zip(ends, self.shape, self.intervals)]

    def places(self, problem: Problem) -> np.ndarray:
        corners = (*problem.domain.lower, *problem.domain.upper)
        if self._known is None or self._known[0] != corners:
            self._known = corners, grid_points(self.lines(problem)).reshape(*self.shape, -1)
        return self._known[1]

    def values(self, field: Field, values: Values) -> np.ndarray:
        points = self.places(field.problem).reshape(-1, len(self.shape))
        kept = values(field, Rule(points, np.full(len(points), 1 / len(points))))
        return self._finite(kept.reshape(*self.shape, -1), field.problem)


class MeshGrid(Grid):
    """Corners and middles of a mesh of quadrilaterals whose cells form rows and columns.

    Axes and directions are those of the mesh's first cell; an axis that runs into itself, as round a void, is
    periodic. Values are means over the cells that meet at a node, weighted by their areas: for what is continuous that
    is the value itself, for what is made of gradients a lumped projection, which does not overshoot.

    Parameters
    ----------
    problem : Problem
        On such a mesh; other members have another one of the same topology.
    varying : bool
    """

    def __init__(self, problem: Problem, varying: bool) -> None:
        self.varying = varying
        self._structure = _structure_of(problem.domain.mesh())
        self.shape, self.periodic = self._structure.shape, self._structure.periodic

    def places(self, problem: Problem) -> np.ndarray:
        data = problem.domain.mesh()
        structure = _structure_of(data)
        if structure.shape != self.shape:
            raise UnsupportedError(
                f"The mesh of {problem!r} is a grid of {structure.shape} nodes, and the family's one of {self.shape}; "
                f"members need corresponding nodes."
            )
        places = np.empty((int(np.prod(self.shape)), data.dim))
        places[structure.node_of] = structure.points_in_cells(data)
        return places.reshape(*self.shape, -1)

    def values(self, field: Field, values: Values) -> np.ndarray:
        data = field.mesh
        if data is None:
            raise UnsupportedError(f"A {field.kind} field has no mesh; solve {field.problem!r} with finite elements.")
        structure = _structure_of(data)
        points = structure.points_in_cells(data)
        n_cells, per_cell = structure.node_of.shape
        cells = np.repeat(np.arange(n_cells), per_cell)
        found = values(field, Rule(points.reshape(-1, data.dim), np.ones(points[..., 0].size), cells))
        found = found.reshape(n_cells, per_cell, -1)
        weights = data.cell_volumes[:, None, None]
        n_nodes = int(np.prod(structure.shape))
        sums, total = np.zeros((n_nodes, found.shape[-1])), np.zeros((n_nodes, 1))
        np.add.at(sums, structure.node_of, weights * found)
        np.add.at(total, structure.node_of, np.broadcast_to(weights, (n_cells, per_cell, 1)))
        kept = self._finite(sums / total, field.problem)
        if structure.shape != self.shape:
            nodes = np.empty((n_nodes, data.dim))
            nodes[structure.node_of] = points
            kept = kept[self._nearest(field.problem, nodes, data.diameter)]
        return kept.reshape(*self.shape, -1)

    def _nearest(self, problem: Problem, nodes: np.ndarray, diameter: float) -> np.ndarray:
        """The nodes of a divided mesh that are kept."""
        from scipy.spatial import cKDTree

        distance, index = cKDTree(nodes).query(self.places(problem).reshape(-1, nodes.shape[1]))
        if distance.max() > 1e-8 * diameter:
            raise UnsupportedError(f"The divided mesh of {problem!r} does not contain the nodes that are kept.")
        return index


class _Structure:
    """Rows and columns of a mesh of quadrilaterals: the node of the grid that each local node is.

    Attributes
    ----------
    shape, periodic : tuples
    node_of : (n_cells, per_cell) int array
    """

    def __init__(self, data: MeshData) -> None:
        self.place, self.turn, periods = _walk(data)
        spans = self.place.max(axis=0) + 1
        if len(np.unique(self.place, axis=0)) != len(data.cells) or np.prod(spans) != len(data.cells):
            raise UnsupportedError("The cells of the mesh form no rows and columns of equal length, so it is no grid.")
        self.periodic = tuple(bool(period) for period in periods)
        self.shape = tuple(int(_PER_CELL * n + (not period)) for n, period in zip(spans, periods))
        self._local = np.stack(np.meshgrid(*[np.arange(_PER_CELL + 1)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
        nodes = (self.place[:, None] * _PER_CELL + self._local) % (np.array(self.shape))
        self.node_of = nodes[..., 0] * self.shape[1] + nodes[..., 1]

    def points_in_cells(self, data: MeshData) -> np.ndarray:
        """Places of the local nodes ``(n_cells, per_cell, 2)``."""
        share = self._local / _PER_CELL
        out = np.empty((len(data.cells), len(share), data.dim))
        for turn in np.unique(self.turn):
            weights = [
                np.prod([s if corner else 1 - s for s, corner in zip(share.T, _CORNERS[(c - turn) % 4])], axis=0)
                for c in range(4)
            ]
            inside = np.stack(weights, axis=1) @ data.cell.corners
            chosen = self.turn == turn
            out[chosen] = np.einsum("ka,nai->nki", data.basis.values(inside), data.points[data.cells[chosen]])
        return out


def _walk(data: MeshData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column of each cell, by how many corners it is turned, and the period of each axis (0: none)."""
    if data.cell_type != "quadrilateral":
        raise UnsupportedError(
            f"Values are kept on boxes and on meshes of quadrilaterals in the plane; this mesh has {data.cell_type}s."
        )
    corners = data.cells[:, :4].tolist()
    across: dict[tuple[int, int], tuple[int, int]] = {}
    for cell, row in enumerate(corners):
        for edge in range(4):
            across[row[edge], row[(edge + 1) % 4]] = cell, edge
    place = np.zeros((len(corners), 2), dtype=int)
    turn = np.full(len(corners), -1)
    turn[0] = 0
    periods: set[tuple[int, int]] = set()
    waiting = [0]
    for cell in waiting:
        row = corners[cell]
        for edge in range(4):
            # Neighbours run along a common edge in opposite directions.
            found = across.get((row[(edge + 1) % 4], row[edge]))
            if found is None:
                continue
            other, theirs = found
            way = (edge - turn[cell]) % 4
            there = place[cell] + _STEPS[way]
            their_turn = (theirs - way - 2) % 4
            if turn[other] < 0:
                place[other], turn[other] = there, their_turn
                waiting.append(other)
            elif turn[other] != their_turn:
                raise UnsupportedError("The cells of the mesh form no rows and columns, so it is no grid.")
            elif (there != place[other]).any():
                periods.add(tuple(np.abs(there - place[other]).tolist()))
    period = np.array(sorted(periods)).sum(axis=0) if periods else np.zeros(2, dtype=int)
    if (turn < 0).any() or any(min(p) > 0 for p in periods) or len(periods) > np.count_nonzero(period):
        raise UnsupportedError("The cells of the mesh form no rows and columns, so it is no grid.")
    for axis, length in enumerate(period):
        place[:, axis] = place[:, axis] % length if length else place[:, axis] - place[:, axis].min()
    return place, turn, period


@lru_cache(maxsize=8)
def _structure(topology: bytes, shape: tuple[int, int], data: _Same) -> _Structure:
    return _Structure(data.data)


class _Same:
    """A mesh that counts as equal to any other, so that a cache goes by topology alone."""

    def __init__(self, data: MeshData) -> None:
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same)

    def __hash__(self) -> int:
        return 0


def _structure_of(data: MeshData) -> _Structure:
    return _structure(data.cells.tobytes() + data.cell_type.encode(), data.cells.shape, _Same(data))


def periodic_axes(problem: Problem) -> tuple[bool, ...]:
    """Which axes of a box are periodic, for all components."""
    domain = problem.domain
    if not isinstance(domain, Box):
        return (False,) * problem.dim
    whole: set[int] = set()
    for piece in problem.boundary_pieces:
        if all(isinstance(c, Periodic) for c in piece.conditions):
            whole |= {int(element) for element in piece.part.elements}
    return tuple({2 * axis, 2 * axis + 1} <= whole for axis in range(problem.dim))


def kept_grid(problem: Problem, shape: Sequence[int] | None, *, varying: bool) -> Grid:
    """The grid of a family: evenly spaced on a box, the mesh's own nodes elsewhere.

    Raises
    ------
    OptionError
        A box without a number of nodes, or a mesh with one.
    """
    if isinstance(problem.domain, Box):
        if shape is None:
            raise OptionError(f"{problem!r} lies on a box; say how many nodes per axis are kept by `resolution`.")
        return BoxGrid(problem, shape)
    if shape is not None:
        raise OptionError(
            f"{problem!r} lies on a mesh, whose own nodes are kept; leave `resolution` out, and set the mesh by the "
            f"problem's parameters."
        )
    return MeshGrid(problem, varying)
