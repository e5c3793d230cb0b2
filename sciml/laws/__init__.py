"""Material laws as batched functions of strain and state: formulas, plasticity, and periodic cells."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sciml.laws.base import Law, LawResult, State
from sciml.laws.cell import CellModel, CellResult, identify_nodes
from sciml.laws.declared import Cell, TwoScale
from sciml.laws.elements import StrainElements
from sciml.laws.isotropic import LinearElastic, Matrix
from sciml.laws.plasticity import J2
from sciml.laws.reduced import ReducedCell
from sciml.laws.taylor import Taylor, volume_fractions

if TYPE_CHECKING:
    from sciml.laws.formula import DeclaredLaw, UflLaw

__all__ = [
    "J2",
    "ReducedCell",
    "Cell",
    "CellModel",
    "CellResult",
    "DeclaredLaw",
    "Law",
    "LawResult",
    "LinearElastic",
    "Matrix",
    "State",
    "StrainElements",
    "Taylor",
    "TwoScale",
    "UflLaw",
    "identify_nodes",
    "volume_fractions",
]

# What needs torch is imported when it is first used, so that the catalogue can be listed quickly.
_LAZY = {"DeclaredLaw": "sciml.laws.formula", "UflLaw": "sciml.laws.formula"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'sciml.laws' has no attribute {name!r}")
