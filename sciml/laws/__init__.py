"""Material laws as batched functions of strain and state: formulas, plasticity, and periodic cells."""

from sciml.laws.base import Law, LawResult, State
from sciml.laws.cell import CellModel, CellResult
from sciml.laws.declared import Cell
from sciml.laws.elements import StrainElements
from sciml.laws.isotropic import LinearElastic, Matrix

__all__ = ["Cell", "CellModel", "CellResult", "Law", "LawResult", "LinearElastic", "Matrix", "State", "StrainElements"]
