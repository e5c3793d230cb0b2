"""Element types of Abaqus: their shape, nodes and faces."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sciml.errors import MeshError

__all__ = ["Shape", "shape_of"]


@dataclass(frozen=True)
class Shape:
    """What elements of several types have in common.

    Attributes
    ----------
    name : str
        meshio's name; Abaqus and VTK number the nodes of these alike.
    dim, n_corners, n_nodes : int
    facets : tuple of tuples
        Corners of the faces S1, S2, … (of flat elements: of the edges).
    is_sheet : bool
        A membrane, shell or beam, whose sides SPOS and SNEG are the element itself.
    """

    name: str
    dim: int
    n_corners: int
    n_nodes: int
    facets: tuple[tuple[int, ...], ...]
    is_sheet: bool = False


_EDGES = {3: ((0, 1), (1, 2), (2, 0)), 4: ((0, 1), (1, 2), (2, 3), (3, 0))}
_TETRAHEDRON = ((0, 1, 2), (0, 3, 1), (1, 3, 2), (2, 3, 0))
_HEXAHEDRON = ((0, 1, 2, 3), (4, 7, 6, 5), (0, 4, 5, 1), (1, 5, 6, 2), (2, 6, 7, 3), (3, 7, 4, 0))
_ENDS = ((0,), (1,))

_PLANE_NAMES = {3: "triangle", 4: "quad", 6: "triangle6", 8: "quad8"}
_SPACE_NAMES = {4: "tetra", 8: "hexahedron", 10: "tetra10", 20: "hexahedron20"}

# The number of nodes follows the family's name, letters for variants (R, H, I, T, …) follow that.
_PLANE = re.compile(r"(?:CPEG|CPE|CPS|CAX|DC2D|DCAX|AC2D|ACAX|WARP2D)(3|4|6|8)(?![0-9])[A-Z]*")
_SHEET = re.compile(r"(?:M3D|SFM3D|R3D|STRI|DS|S)(3|4|6|8)(?![0-46-9])5?[A-Z]*5?")
_SPACE = re.compile(r"(?:C3D|DC3D|AC3D|SC|CSS)(4|8|10|20)(?![0-9])[A-Z]*")
# Trusses are named by their nodes, beams by their degree; cubic ones (B23) have two nodes.
_TRUSS = re.compile(r"(?:T2D|T3D|DC1D|R2D)(2|3)[A-Z]*")
_BEAM = re.compile(r"(?:B2|B3|PIPE2|PIPE3|SAX|MAX|DSAX)(1|2|3)[A-Z]*")
_NO_SHAPE = re.compile(r"(?:MASS|ROTARYI|SPRING|DASHPOT|CONN|HEATCAP|DCOUP|JOINTC|GAP|DGAP|ITS|PSI|DRAG).*")


def shape_of(element_type: str, line: int) -> Shape | None:
    """The shape of a type of elements, None for masses, springs and the like.

    Raises
    ------
    MeshError
        If the type is unknown, or of a shape that is not supported.
    """
    name = element_type.upper()
    if found := _PLANE.fullmatch(name):
        return _flat(int(found[1]), is_sheet=False)
    if found := _SHEET.fullmatch(name):
        return _flat(int(found[1]), is_sheet=True)
    if found := _SPACE.fullmatch(name):
        n = int(found[1])
        if n in (4, 10):
            return Shape(_SPACE_NAMES[n], 3, 4, n, _TETRAHEDRON)
        return Shape(_SPACE_NAMES[n], 3, 8, n, _HEXAHEDRON)
    if found := _TRUSS.fullmatch(name):
        return _line(int(found[1]))
    if found := _BEAM.fullmatch(name):
        return _line(3 if found[1] == "2" else 2)
    if _NO_SHAPE.fullmatch(name):
        return None
    raise MeshError(
        f"line {line}: elements of type {element_type} are not supported; use triangles or quadrilaterals (CPS3, "
        "CPE4, CPS8, S4, …), tetrahedra or hexahedra (C3D4, C3D8, C3D10, C3D20, …) or trusses and beams (T2D2, B21)."
    )


def _line(n_nodes: int) -> Shape:
    return Shape("line" if n_nodes == 2 else "line3", 1, 2, n_nodes, _ENDS, is_sheet=True)


def _flat(n_nodes: int, *, is_sheet: bool) -> Shape:
    corners = 3 if n_nodes in (3, 6) else 4
    return Shape(_PLANE_NAMES[n_nodes], 2, corners, n_nodes, _EDGES[corners], is_sheet)
