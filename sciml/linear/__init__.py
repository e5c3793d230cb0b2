"""Linear systems as plain NumPy and SciPy code."""

from sciml.linear.axes import Axis, EvenAxis, GeneralAxis, element_matrices
from sciml.linear.chebyshev import (
    chebyshev_basis,
    chebyshev_coefficients,
    chebyshev_nodes,
    clenshaw_curtis_weights,
    coefficients_of_derivative,
    differentiation_matrix,
    interpolation_matrix,
)
from sciml.linear.fast_diagonalisation import FastDiagonalisation, nearest_coefficients

__all__ = [
    "Axis",
    "EvenAxis",
    "FastDiagonalisation",
    "GeneralAxis",
    "chebyshev_basis",
    "chebyshev_coefficients",
    "chebyshev_nodes",
    "clenshaw_curtis_weights",
    "coefficients_of_derivative",
    "differentiation_matrix",
    "element_matrices",
    "interpolation_matrix",
    "nearest_coefficients",
]
