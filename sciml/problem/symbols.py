"""The symbols a declaration is written in: an abstract mesh, its coordinate and smooth fields.

No DOLFINx is involved. A :class:`SmoothElement` stands for "a function with as many derivatives as
asked for"; the reference solver replaces it by a finite element, the compiler by a jet.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import ufl
from ufl.corealg.traversal import unique_pre_traversal
from ufl.finiteelement import AbstractFiniteElement
from ufl.pullback import identity_pullback
from ufl.sobolevspace import H1

__all__ = ["FieldKind", "SmoothElement", "abstract_mesh", "has_normal", "scalar", "symbol", "vector"]

_SIMPLICES = {1: ufl.interval, 2: ufl.triangle, 3: ufl.tetrahedron}


class SmoothElement(AbstractFiniteElement):
    """Element of a symbolic field without basis functions.

    Parameters
    ----------
    cell : ufl.AbstractCell
        Cell of the abstract mesh.
    shape : tuple of int
        Value shape of the field.
    degree : int
        Polynomial degree that UFL may assume; one for the coordinate field, large for unknowns so
        that no derivative is taken to vanish.
    """

    def __init__(self, cell: Any, shape: tuple[int, ...] = (), degree: int = 99) -> None:
        self._cell = cell
        self._shape = tuple(shape)
        self._degree = degree

    @property
    def cell(self) -> Any:
        return self._cell

    @property
    def reference_value_shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def embedded_superdegree(self) -> int:
        return self._degree

    @property
    def embedded_subdegree(self) -> int:
        return self._degree

    @property
    def pullback(self) -> Any:
        return identity_pullback

    @property
    def sobolev_space(self) -> Any:
        return H1

    @property
    def sub_elements(self) -> tuple[()]:
        return ()

    def __repr__(self) -> str:
        return f"SmoothElement({self._cell!r}, {self._shape}, {self._degree})"

    def __str__(self) -> str:
        return "smooth"

    def __hash__(self) -> int:
        return hash(repr(self))

    def __eq__(self, other: object) -> bool:
        return repr(self) == repr(other)


@cache
def abstract_mesh(dim: int) -> ufl.Mesh:
    """The abstract mesh of dimension `dim` that every declaration of that dimension shares."""
    cell = _SIMPLICES.get(dim) or ufl.TensorProductCell(*[ufl.interval] * dim)
    return ufl.Mesh(SmoothElement(cell, (dim,), 1))


def symbol(dim: int, shape: tuple[int, ...] = ()) -> Any:
    """A fresh smooth field of value shape `shape` on the abstract mesh of dimension `dim`."""
    mesh = abstract_mesh(dim)
    return ufl.Coefficient(ufl.FunctionSpace(mesh, SmoothElement(mesh.ufl_cell(), shape)))


def has_normal(expression: Any) -> bool:
    """Whether the outward normal occurs in an expression; it exists on the boundary only."""
    return any(isinstance(node, ufl.FacetNormal) for node in unique_pre_traversal(expression))


class FieldKind:
    """What an unknown field is: a scalar, or a vector with a number of components.

    ``fields = {"temperature": scalar}``, ``fields = {"displacement": vector}`` (as many components as
    the domain has dimensions) or ``fields = {"concentration": vector(3)}``.
    """

    def __init__(self, rank: int, size: int | None = None) -> None:
        self.rank = rank
        self.size = size

    def __call__(self, size: int) -> FieldKind:
        """The same kind with an explicit number of components."""
        if self.rank == 0:
            raise TypeError("a scalar field has no number of components; write `scalar`")
        return FieldKind(self.rank, size)

    def shape(self, dim: int) -> tuple[int, ...]:
        """Value shape on a domain of dimension `dim`."""
        return (self.size or dim,) * self.rank

    def __repr__(self) -> str:
        if self.rank == 0:
            return "scalar"
        return f"vector({self.size})" if self.size else "vector"


scalar = FieldKind(0)
vector = FieldKind(1)
