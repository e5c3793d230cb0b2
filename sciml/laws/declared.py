"""Periodic cells declared as problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ufl import as_matrix, as_vector, sym
from ufl import grad as gradient

from sciml.errors import DeclarationError
from sciml.laws.base import Law
from sciml.laws.cell import CellModel
from sciml.laws.taylor import volume_fractions
from sciml.problem import Mean, Periodic, Problem, coefficient, dx, parameter, vector
from sciml.registry import load_problem

__all__ = ["Cell", "TwoScale"]


class Cell(Problem):
    """A periodic cell in plane strain: a mesh with named phases, and a law for each.

    ::

        div σ(E + sym ∇w; x) = 0,   w periodic,   ∫ w = 0

    for the fluctuation w under a macroscopic strain E. As a problem it is solved like any other, for one strain at a
    time; as a material it is asked for stress and tangent by its :meth:`model`.

    Declare a subclass with a `domain` (a mesh of a rectangle whose sides are named left, right, bottom and top, and
    whose opposite sides have the same nodes) and `laws`.

    Attributes
    ----------
    laws : mapping from str to Law
        The law of each phase; phases are the regions of the mesh.
    strain : (float, float, float)
        (E_xx, E_yy, γ_xy), with the engineering shear.

    Examples
    --------
    >>> class MyCell(Cell):
    ...     domain = MeshFile("my_cell.msh", dim=2)
    ...     laws = {"matrix": Matrix(), "fibre": LinearElastic(bulk_modulus=4e4, shear_modulus=3e4)}
    """

    fields: Mapping[str, Any] = {"fluctuation": vector}
    laws: ClassVar[Mapping[str, Law]] = {}
    load = 0.0
    strain = parameter(
        (0.01, -0.005, 0.02), draw=(-0.04, 0.04), doc="macroscopic strain E_xx, E_yy and γ_xy (engineering shear)"
    )
    conditions = (Periodic("left", "right"), Periodic("bottom", "top"), Mean(0.0))

    def __init__(self, *, laws: Mapping[str, Law] | None = None, **given: Any) -> None:
        if laws is not None:
            self.laws = dict(laws)  # type: ignore[misc]
        if not self.laws:
            raise DeclarationError(f"{type(self).__name__} declares no `laws`; give each phase of its mesh one.")
        phases = {_indicator(name): coefficient({name: 1.0}, default=0.0) for name in self.laws}
        super().__init__(coefficients={**phases, **(given.pop("coefficients", None) or {})}, **given)

    def stress(self, u: Any) -> Any:
        """The local stress (σ_xx, σ_yy, σ_xy) in UFL.

        Raises
        ------
        UnsupportedError
            The law of a phase is no formula.
        """
        small: Any = sym(gradient(u))
        local = as_vector([small[0, 0], small[1, 1], 2 * small[0, 1]]) + self.strain
        return sum(getattr(self, _indicator(name)) * law.stress_ufl(local) for name, law in self.laws.items())

    def flux(self, u: Any) -> Any:
        xx, yy, xy = self.stress(u)
        return as_matrix([[xx, xy], [xy, yy]])

    def quantities(self, u: Any) -> dict[str, Any]:
        stress, (width, height) = self.stress(u), self.domain.upper - self.domain.lower
        names = ("stress_xx", "stress_yy", "stress_xy")
        return {name: stress[k] / float(width * height) * dx for k, name in enumerate(names)}

    def model(self, **options: Any) -> CellModel:
        """The finite element model of the cell; options as for :class:`CellModel`.

        Raises
        ------
        MeshError, DeclarationError
            As :class:`CellModel`.
        """
        return CellModel(self.domain.mesh(), self.laws, **options)


class TwoScale(Problem):
    """A solid in plane strain whose law is the mean stress of a periodic cell.

    ::

        div S(sym ∇u) = −load,   S(E) the mean stress of the cell under the strain E

    Subclasses declare `domain`, `conditions` and the `cell`, by its name in the catalogue or its file. The solver `fe2`
    finds the law by solving the cell; no formula gives it. What is declared as the flux, for those who look at the law
    (its order, symmetry, stiffness), is Taylor's estimate: the mean of the phases' stresses without fluctuation.

    Attributes
    ----------
    cell : str
        Of a :class:`Cell`.
    """

    fields: Mapping[str, Any] = {"displacement": vector}
    cell: ClassVar[str | None] = "rve/disc"
    reference: ClassVar[tuple[str, Mapping[str, Any]]] = ("fe2", {"micro": "fe"})
    load = 0.0

    @property
    def cell_problem(self) -> Cell:
        """The cell, as it is declared.

        Raises
        ------
        UnknownNameError
            There is none of that name.
        DeclarationError
            The problem of that name is no :class:`Cell`.
        """
        found = load_problem(str(self.cell))
        if not isinstance(found, Cell):
            raise DeclarationError(f"{self.cell!r} is no periodic cell; `cell` takes the name of one, as rve/disc.")
        return found

    def flux(self, u: Any) -> Any:
        small: Any = sym(gradient(u))
        cell = self.cell_problem
        local = as_vector([small[0, 0], small[1, 1], 2 * small[0, 1]])
        shares = volume_fractions(cell.domain.mesh(), cell.laws)
        stress: Any = sum(share * cell.laws[name].stress_ufl(local) for name, share in shares.items())
        xx, yy, xy = stress
        return as_matrix([[xx, xy], [xy, yy]])


def _indicator(phase: str) -> str:
    return f"inside_{phase}"
