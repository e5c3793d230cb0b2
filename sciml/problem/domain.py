"""Domains: what the solvers ask of one, and boxes of any dimension."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sciml.errors import ConditionError, DomainError
from sciml.problem.mesh import MeshData, box_mesh

__all__ = ["BOUNDARY", "Box", "Domain", "Part"]

BOUNDARY = "boundary"
_ALIASES = {"left": "x0-", "right": "x0+", "bottom": "x1-", "top": "x1+", "front": "x2-", "back": "x2+"}


class Domain(ABC):
    """A bounded domain with a boundary made of named parts.

    The boundary is a list of elements (the sides of a box, the boundary facets of a mesh); a part is a set
    of their numbers. Points are arrays ``(n, dim)``.

    Attributes
    ----------
    dim : int
        Number of space dimensions.
    lower, upper : (dim,) arrays
        Corners of the bounding box.
    """

    dim: int
    lower: np.ndarray
    upper: np.ndarray
    n_boundary_elements: int
    n_cells: int = 0

    @property
    @abstractmethod
    def boundary_names(self) -> tuple[str, ...]:
        """Names of the boundary parts, without aliases."""

    @property
    def boundary_aliases(self) -> tuple[str, ...]:
        """Further names of the same parts."""
        return ()

    def fresh(self) -> Domain:
        """The domain for a new problem; a mesh file is looked at again, as it may have changed."""
        return self

    @property
    def region_groups(self) -> dict[str, np.ndarray]:
        """Cells of each named region; empty where a domain has none."""
        return {}

    @property
    @abstractmethod
    def volume(self) -> float:
        """Length, area, volume … of the domain."""

    @property
    def size(self) -> float:
        """Largest extent of the bounding box."""
        return float(np.max(self.upper - self.lower))

    @abstractmethod
    def _elements_named(self, name: str) -> np.ndarray | None:
        """Boundary elements of one name, or None for an unknown one."""

    def _all_elements(self) -> np.ndarray:
        """All boundary elements."""
        return np.arange(self.n_boundary_elements)

    @abstractmethod
    def sample(self, n: int, generator: np.random.Generator) -> np.ndarray:
        """Draw `n` points uniformly: ``(n, dim)``."""

    @abstractmethod
    def quasi_random(self, n: int, generator: np.random.Generator) -> np.ndarray:
        """`n` low-discrepancy points (a scrambled Sobol sequence): ``(n, dim)``."""

    @abstractmethod
    def contains(self, points: np.ndarray) -> np.ndarray:
        """Which points lie inside or on the boundary: ``(n,)`` booleans."""

    def snapped(self, points: np.ndarray) -> np.ndarray:
        """The points, those that rounding alone has put outside of the domain moved onto its boundary.

        Data such as √x₀ have no value there. Only a box knows its boundary to the last digit.
        """
        return points

    def locate(self, points: np.ndarray) -> np.ndarray:
        """The cell of each point; only domains made of cells have them."""
        raise DomainError("A box has no regions; use a mesh with named regions, or a formula in UFL.")

    @abstractmethod
    def quadrature(self, n_target: int) -> tuple[np.ndarray, np.ndarray]:
        """A quadrature rule of about `n_target` points: points ``(n, dim)``, weights ``(n,)``."""

    @abstractmethod
    def element_measures(self) -> np.ndarray:
        """Length, area … of each boundary element; 1 for the end point of an interval."""

    @abstractmethod
    def sample_elements(
        self, elements: np.ndarray, n: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw `n` points uniformly on boundary elements: points and outward normals, ``(n, dim)`` each."""

    @abstractmethod
    def element_quadrature(self, elements: np.ndarray, n_target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A rule of about `n_target` points on boundary elements: points, outward normals, weights."""

    @abstractmethod
    def shared_points(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Points that two disjoint sets of boundary elements share (corners, edges): ``(n, dim)``."""

    @property
    def opposite_sides(self) -> tuple[tuple[str, str], ...]:
        """Names of the two sides of each axis; empty where a domain has no axes."""
        return ()

    @abstractmethod
    def translation(self, minus: np.ndarray, plus: np.ndarray) -> np.ndarray:
        """What moves one set of boundary elements onto another: ``(dim,)``.

        Raises
        ------
        DomainError
            They are no translates of each other, or are divided differently.
        """

    @abstractmethod
    def mesh(self, cells: int | Sequence[int] | None = None, cell_type: str = "simplex") -> MeshData:
        """A mesh of the domain; `cells` per axis and `cell_type` where the domain leaves the choice."""

    def elements(self, on: str | Iterable[str]) -> np.ndarray:
        """Boundary elements of the part(s) named `on`.

        Raises
        ------
        ConditionError
            A name that the domain lacks; the message lists those it has.
        """
        names = (on,) if isinstance(on, str) else tuple(on)
        found = []
        for name in names:
            elements = self._all_elements() if name == BOUNDARY else self._elements_named(name)
            if elements is None:
                known = ", ".join([BOUNDARY, *self.boundary_names, *self.boundary_aliases])
                raise ConditionError(f"There is no boundary named {name!r}; this domain has: {known}.")
            found.append(elements)
        return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)

    def canonical(self, name: str) -> str:
        """The domain's own name behind an alias."""
        return name

    def part(self, on: str | Iterable[str]) -> Part:
        """Boundary elements by name, as a part of the boundary."""
        return Part(self, self.elements(on))

    def pieces(self, selections: Sequence[np.ndarray]) -> list[tuple[Part, np.ndarray]]:
        """Cut the boundary into parts on which the same selections hold.

        Parameters
        ----------
        selections : sequence of arrays
            Boundary elements of each selection; they may overlap.

        Returns
        -------
        list of (Part, (n_selections,) booleans)
            Disjoint parts that cover the boundary, each with the selections that hold on it.
        """
        member = np.zeros((self.n_boundary_elements, len(selections)), dtype=bool)
        for column, elements in enumerate(selections):
            member[elements, column] = True
        patterns, inverse = np.unique(member, axis=0, return_inverse=True)
        inverse = np.ravel(inverse)
        return [(Part(self, np.flatnonzero(inverse == k)), pattern) for k, pattern in enumerate(patterns)]


@dataclass(frozen=True)
class Part:
    """Some elements of a domain's boundary."""

    domain: Domain
    elements: np.ndarray

    @cached_property
    def measure(self) -> float:
        """Length, area … of the part."""
        return float(self.domain.element_measures()[self.elements].sum())

    def sample(self, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw `n` points uniformly, with outward normals."""
        return self.domain.sample_elements(self.elements, n, generator)

    def quadrature(self, n_target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A rule of about `n_target` points: points, normals, weights."""
        return self.domain.element_quadrature(self.elements, n_target)


class Box(Domain):
    """An axis-parallel box [lower₀, upper₀] × … in any dimension.

    Parameters
    ----------
    lower, upper : float or sequence of float
        Opposite corners; numbers for an interval.

    Notes
    -----
    Sides are named ``x0-``, ``x0+``, ``x1-``, …; up to three dimensions also ``left``, ``right``,
    ``bottom``, ``top``, ``front``, ``back``; ``boundary`` is all of them. Side 2i is ``xi-``, side
    2i + 1 is ``xi+``.

    Raises
    ------
    DomainError
        Corners of different length, not finite, or with upper ≤ lower somewhere.
    """

    def __init__(self, lower: float | Sequence[float], upper: float | Sequence[float]) -> None:
        try:
            self.lower = np.atleast_1d(np.asarray(lower, dtype=float))
            self.upper = np.atleast_1d(np.asarray(upper, dtype=float))
        except (TypeError, ValueError):
            raise DomainError(f"The corners {lower!r} and {upper!r} of a box are not numbers.") from None
        if self.lower.shape != self.upper.shape or self.lower.ndim != 1 or self.lower.size == 0:
            raise DomainError(f"The corners {lower!r} and {upper!r} of a box need the same number of coordinates.")
        if not (np.all(np.isfinite([self.lower, self.upper])) and np.all(self.upper > self.lower)):
            raise DomainError(f"The box from {lower!r} to {upper!r} is empty; every upper coordinate must be larger.")
        self.dim = self.lower.size
        self.n_boundary_elements = 2 * self.dim

    def __repr__(self) -> str:
        return f"Box({self.lower.tolist()}, {self.upper.tolist()})"

    @property
    def boundary_names(self) -> tuple[str, ...]:
        return tuple(f"x{axis}{sign}" for axis in range(self.dim) for sign in "-+")

    @property
    def boundary_aliases(self) -> tuple[str, ...]:
        return tuple(alias for alias, name in _ALIASES.items() if self.dim <= 3 and name in self.boundary_names)

    @property
    def extent(self) -> np.ndarray:
        """Edge lengths ``(dim,)``."""
        return self.upper - self.lower

    @property
    def volume(self) -> float:
        return float(np.prod(self.extent))

    def canonical(self, name: str) -> str:
        return _ALIASES.get(name, name)

    def _elements_named(self, name: str) -> np.ndarray | None:
        name = self.canonical(name)
        return np.array([self.boundary_names.index(name)]) if name in self.boundary_names else None

    def sample(self, n: int, generator: np.random.Generator) -> np.ndarray:
        return self.lower + generator.random((n, self.dim)) * self.extent

    def quasi_random(self, n: int, generator: np.random.Generator) -> np.ndarray:
        return self.lower + sobol(n, self.dim, generator) * self.extent

    def contains(self, points: np.ndarray) -> np.ndarray:
        slack = 1e-10 * self.extent
        return np.all((points >= self.lower - slack) & (points <= self.upper + slack), axis=1)

    def snapped(self, points: np.ndarray) -> np.ndarray:
        return np.where(self.contains(points)[:, None], np.clip(points, self.lower, self.upper), points)

    def quadrature(self, n_target: int) -> tuple[np.ndarray, np.ndarray]:
        nodes = [_composite_gauss(a, b, n_target ** (1 / self.dim)) for a, b in zip(self.lower, self.upper)]
        return _tensor_rule(nodes)

    def element_measures(self) -> np.ndarray:
        return np.repeat(self.volume / self.extent, 2)

    def sample_elements(
        self, elements: np.ndarray, n: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        weights = self.element_measures()[elements]
        side = generator.choice(elements, size=n, p=weights / weights.sum())
        points = self.sample(n, generator)
        axis, upper = side // 2, side % 2
        points[np.arange(n), axis] = np.where(upper, self.upper[axis], self.lower[axis])
        return points, self._normals(side)

    def _normals(self, sides: np.ndarray) -> np.ndarray:
        normals = np.zeros((len(sides), self.dim))
        normals[np.arange(len(sides)), sides // 2] = 2.0 * (sides % 2) - 1.0
        return normals

    def element_quadrature(self, elements: np.ndarray, n_target: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pieces = [self._side_quadrature(int(side), n_target / len(elements)) for side in elements]
        points, weights = (np.concatenate(arrays) for arrays in zip(*pieces))
        sides = np.repeat(elements, [len(w) for _, w in pieces])
        return points, self._normals(sides), weights

    def _side_quadrature(self, side: int, n_target: float) -> tuple[np.ndarray, np.ndarray]:
        axis, upper = divmod(side, 2)
        others = [k for k in range(self.dim) if k != axis]
        value = (self.upper if upper else self.lower)[axis]
        if not others:
            return np.array([[value]]), np.ones(1)
        per_axis = n_target ** (1 / len(others))
        flat, weights = _tensor_rule([_composite_gauss(self.lower[k], self.upper[k], per_axis) for k in others])
        return np.insert(flat, axis, value, axis=1), weights

    def shared_points(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Corner points of the edges in which sides meet, and three points between them."""
        found = []
        for a, b in itertools.product(first, second):
            if a // 2 != b // 2 and self.dim > 1:
                found.append(self._meeting_points(int(a), int(b)))
        return np.unique(np.concatenate(found), axis=0) if found else np.zeros((0, self.dim))

    def _meeting_points(self, a: int, b: int) -> np.ndarray:
        # Two of the places are irregular, so that data such as sin 2πx do not vanish at all of them.
        places = (0.0, 0.5, 1.0, 0.2137, 0.7313) if self.dim <= 3 else (0.5,)
        choices = [[(1 - t) * a + t * b for t in places] for a, b in zip(self.lower, self.upper)]
        for side in (a, b):
            choices[side // 2] = [(self.upper if side % 2 else self.lower)[side // 2]]
        return np.array(list(itertools.product(*choices)))

    @property
    def opposite_sides(self) -> tuple[tuple[str, str], ...]:
        return tuple((f"x{axis}-", f"x{axis}+") for axis in range(self.dim))

    def translation(self, minus: np.ndarray, plus: np.ndarray) -> np.ndarray:
        if len(minus) != 1 or len(plus) != 1 or minus[0] // 2 != plus[0] // 2:
            pairs = ", ".join(f"{a} and {b}" for a, b in self.opposite_sides[:3])
            more = " …" if self.dim > 3 else ""
            raise DomainError(
                f"the parts are no translates of each other; opposite sides of this box are {pairs}{more}."
            )
        step = np.zeros(self.dim)
        step[minus[0] // 2] = self.extent[minus[0] // 2] * (1 if plus[0] % 2 else -1)
        return step

    def mesh(self, cells: int | Sequence[int] | None = None, cell_type: str = "simplex") -> MeshData:
        if self.dim > 3:
            raise DomainError(f"A box in {self.dim} dimensions cannot be meshed; meshes exist up to 3.")
        kind: Any = cell_type
        return box_mesh(self.lower.tolist(), self.upper.tolist(), 16 if cells is None else cells, kind)


def sobol(n: int, dim: int, generator: np.random.Generator) -> np.ndarray:
    """The first `n` points of a scrambled Sobol sequence in [0, 1)^dim."""
    from scipy.stats import qmc  # slow to import, and most processes need none of it

    sampler = qmc.Sobol(dim, scramble=True, rng=generator)
    return sampler.random_base2(max(n - 1, 0).bit_length())[:n]


def _composite_gauss(lower: float, upper: float, n_points: float) -> tuple[np.ndarray, np.ndarray]:
    """Four-point Gauss rule on equal intervals, about `n_points` points in all."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    intervals = max(1, round(n_points / 4))
    edges = np.linspace(lower, upper, intervals + 1)
    half = (upper - lower) / intervals / 2
    points = (edges[:-1, None] + half * (1 + nodes)).ravel()
    return points, np.tile(half * weights, intervals)


def _tensor_rule(rules: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    grids = np.meshgrid(*(points for points, _ in rules), indexing="ij")
    weights = np.meshgrid(*(w for _, w in rules), indexing="ij")
    return np.stack([g.ravel() for g in grids], axis=1), np.prod([w.ravel() for w in weights], axis=0)
