"""Linear systems: fast diagonalisation in NumPy and SciPy, matrix-free multigrid in torch."""

from sciml.linear.axes import Axis, EvenAxis, GeneralAxis, element_matrices
from sciml.linear.cells import DIRICHLET, FLUID, SOLID, Cells
from sciml.linear.fast_diagonalisation import FastDiagonalisation, nearest_coefficients
from sciml.linear.multigrid import Multigrid, MultigridResult

__all__ = [
    "DIRICHLET",
    "FLUID",
    "SOLID",
    "Axis",
    "Cells",
    "EvenAxis",
    "FastDiagonalisation",
    "GeneralAxis",
    "Multigrid",
    "MultigridResult",
    "element_matrices",
    "nearest_coefficients",
]
