"""Finite element spaces of one field or of several together."""

from __future__ import annotations

from typing import Any

import basix
import basix.ufl
import numpy as np
import ufl
from dolfinx import fem

from sciml.fem.functions import element_of, function_space
from sciml.fem.meshes import FEMesh
from sciml.problem import Problem, Slot

__all__ = ["Splitting", "flat", "unknown_element"]


def unknown_element(problem: Problem, cell_type: str, degree: int) -> Any:
    """The element of the problem's unknown; a mixed one for several fields."""
    elements = [_field_element(slot, cell_type, degree) for slot in problem.layout]
    return elements[0] if len(elements) == 1 else basix.ufl.mixed_element(elements)


def _field_element(slot: Slot, cell_type: str, degree: int) -> Any:
    own = degree - slot.kind.lower
    if slot.kind.family == "RT":
        return basix.ufl.element("RT", cell_type, own)
    return element_of(cell_type, own, slot.shape, discontinuous=slot.kind.family == "DG")


def flat(problem: Problem, function: Any) -> Any:
    """A function of the (mixed) space as the problem's unknown: all components one after the other."""
    if len(problem.layout) == 1:
        return function
    entries = []
    for slot, part in zip(problem.layout, ufl.split(function), strict=True):
        entries += [part[i] for i in range(slot.size)] if slot.shape else [part]
    return ufl.as_vector(entries)


class Splitting:
    """From functions of the unknown's space to one function with values at nodes for each field.

    Parameters
    ----------
    problem : Problem
    mesh : FEMesh
    space : dolfinx.fem.FunctionSpace
        On it.
    """

    def __init__(self, problem: Problem, mesh: FEMesh, space: fem.FunctionSpace) -> None:
        self._mesh, self._slots = mesh, problem.layout
        if len(self._slots) == 1:
            index_map, block = space.dofmap.index_map, space.dofmap.index_map_bs
            self.spaces, self.dofs = [space], [np.arange((index_map.size_local + index_map.num_ghosts) * block)]
        else:
            collapsed = [space.sub(i).collapse() for i in range(len(self._slots))]
            self.spaces = [part for part, _ in collapsed]
            # A list of one array for each kind of cell, of which there is one.
            self.dofs = [np.concatenate(dofs) for _, dofs in collapsed]
        self._shown = [self._nodal(slot, part) for slot, part in zip(self._slots, self.spaces, strict=True)]

    def _nodal(self, slot: Slot, space: fem.FunctionSpace) -> fem.FunctionSpace:
        """A space with values at nodes that holds the field exactly."""
        if slot.kind.family != "RT":
            return space
        degree = space.element.basix_element.degree
        return function_space(self._mesh, int(degree), slot.shape, discontinuous=True)

    def __call__(self, function: fem.Function) -> list[fem.Function]:
        """The fields, copied."""
        parts = []
        for slot, space, dofs, shown in zip(self._slots, self.spaces, self.dofs, self._shown, strict=True):
            part = fem.Function(space, name=slot.name)
            part.x.array[:] = function.x.array[dofs]
            if shown is not space:
                raw, part = part, fem.Function(shown, name=slot.name)
                part.interpolate(raw)
            parts.append(part)
        return parts
