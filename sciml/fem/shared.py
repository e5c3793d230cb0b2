"""What the members of a family share: meshes, and discretisations that are handed on from one to the next."""

from __future__ import annotations

from collections.abc import Sequence

from sciml.fem.discretisation import Discretisation
from sciml.problem import MeshData, Problem

__all__ = ["Shared"]


class Shared:
    """Meshes and discretisations of one declaration, made when they are first asked for.

    A problem of another structure (other integers or choices, another domain) starts anew.
    """

    def __init__(self) -> None:
        self._problem: Problem | None = None
        self._clear()

    def _clear(self) -> None:
        self._boxes: dict[tuple[tuple[int, ...], str], MeshData] = {}
        self._refined: dict[int, tuple[MeshData, MeshData]] = {}
        self._discretisations: dict[tuple[int, int, bool], Discretisation] = {}

    def serve(self, problem: Problem) -> None:
        """Say whose turn it is."""
        if self._problem is not None and not problem.shares_structure(self._problem):
            self._clear()
        self._problem = problem

    def mesh(self, cells: int | Sequence[int] | None = None, cell_type: str = "simplex") -> MeshData:
        """The mesh of the domain, see :meth:`Domain.mesh <sciml.problem.Domain.mesh>`."""
        assert self._problem is not None
        domain = self._problem.domain
        if cells is None:
            return domain.mesh()
        key = (cells,) if isinstance(cells, int) else tuple(cells), cell_type
        if key not in self._boxes:
            self._boxes[key] = domain.mesh(cells, cell_type)
        return self._boxes[key]

    def refined(self, data: MeshData) -> MeshData:
        """The mesh with every cell divided."""
        # The mesh is kept with its refinement, so that no other one gets its identity.
        if id(data) not in self._refined:
            self._refined[id(data)] = data, data.refine()
        return self._refined[id(data)][1]

    def discretisation(self, data: MeshData, degree: int, *, stabilised: bool = False) -> Discretisation:
        """The problem on a mesh; the last member's, with this one's data."""
        assert self._problem is not None
        key = id(data), degree, stabilised
        if key not in self._discretisations:
            self._discretisations[key] = Discretisation(self._problem, data, degree, stabilised=stabilised)
        else:
            self._discretisations[key].rebind(self._problem)
        return self._discretisations[key]
