"""The symbols a declaration is written in: an abstract mesh, its coordinate and smooth fields.

No DOLFINx is involved. A :class:`SmoothElement` stands for "a function with as many derivatives as
asked for"; the reference solver replaces it by a finite element, the compiler by a jet.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import ufl
from ufl.corealg.traversal import unique_pre_traversal
from ufl.finiteelement import AbstractFiniteElement
from ufl.pullback import identity_pullback
from ufl.sobolevspace import H1

from sciml.errors import DeclarationError

__all__ = ["FieldKind", "Slot", "SmoothElement", "abstract_mesh", "has_normal", "scalar", "symbol", "vector"]

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


FAMILIES = ("Lagrange", "DG", "RT")


class FieldKind:
    """What an unknown field is: a scalar, or a vector with a number of components.

    ``fields = {"temperature": scalar}``, ``fields = {"displacement": vector}`` (as many components as
    the domain has dimensions) or ``fields = {"concentration": vector(3)}``.

    Fields of one problem may need different finite elements to be stable together, see :meth:`element`.
    """

    def __init__(self, rank: int, size: int | None = None, family: str = "Lagrange", lower: int = 0) -> None:
        self.rank = rank
        self.size = size
        self.family = family
        self.lower = lower

    def __call__(self, size: int) -> FieldKind:
        """The same kind with an explicit number of components."""
        if self.rank == 0:
            raise TypeError("a scalar field has no number of components; write `scalar`")
        return FieldKind(self.rank, size, self.family, self.lower)

    def element(self, family: str = "Lagrange", *, lower: int = 0) -> FieldKind:
        """The same kind with the finite element that the reference should take for it.

        Parameters
        ----------
        family : {"Lagrange", "DG", "RT"}
            Continuous; discontinuous; Raviart–Thomas (vectors whose normal component alone is continuous).
        lower : int
            How much lower its degree is than the one asked for.

        Examples
        --------
        >>> fields = {"velocity": vector, "pressure": scalar.element(lower=1)}  # Taylor–Hood
        >>> fields = {"flux": vector.element("RT"), "potential": scalar.element("DG", lower=1)}
        """
        if family not in FAMILIES or lower < 0:
            raise DeclarationError(
                f"element({family!r}, lower={lower!r}) was given; families are {', '.join(FAMILIES)}, and `lower` is a "
                f"number of degrees, 0 or more."
            )
        if family == "RT" and self.rank != 1:
            raise DeclarationError("Raviart–Thomas elements are for vectors; write vector.element('RT').")
        return FieldKind(self.rank, self.size, family, lower)

    def shape(self, dim: int) -> tuple[int, ...]:
        """Value shape on a domain of dimension `dim`."""
        return (self.size or dim,) * self.rank

    def __repr__(self) -> str:
        name = "scalar" if self.rank == 0 else f"vector({self.size})" if self.size else "vector"
        if (self.family, self.lower) == ("Lagrange", 0):
            return name
        return f"{name}.element({self.family!r}, lower={self.lower})"


@dataclass(frozen=True)
class Slot:
    """Where a field stands among the components of a problem's unknown.

    Attributes
    ----------
    name : str
    kind : FieldKind
    shape : tuple of int
        Its own value shape.
    offset : int
        Its first component.
    """

    name: str
    kind: FieldKind
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Its number of components."""
        return self.shape[0] if self.shape else 1

    @property
    def components(self) -> range:
        """Its components of the unknown."""
        return range(self.offset, self.offset + self.size)

    def of(self, unknown: Any) -> Any:
        """The field, of an expression that has the shape of the unknown of several fields."""
        rows = [unknown[c] for c in self.components]
        return ufl.as_vector(rows) if self.shape else rows[0]


scalar = FieldKind(0)
vector = FieldKind(1)
