"""Linear systems as plain NumPy and SciPy code."""

from sciml.linear.axes import Axis, EvenAxis, GeneralAxis, element_matrices
from sciml.linear.fast_diagonalisation import FastDiagonalisation, nearest_coefficients

__all__ = [
    "Axis",
    "EvenAxis",
    "FastDiagonalisation",
    "GeneralAxis",
    "element_matrices",
    "nearest_coefficients",
]
