"""Linear systems as plain NumPy and SciPy code; fast diagonalisation in torch too."""

from sciml.linear.axes import Axis, EvenAxis, GeneralAxis, PeriodicAxis, element_matrices
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
from sciml.linear.fast_poisson import FEWEST_CELLS, FastPoisson, Side
from sciml.linear.on_device import DeviceDiagonalisation

__all__ = [
    "FEWEST_CELLS",
    "Axis",
    "DeviceDiagonalisation",
    "EvenAxis",
    "FastDiagonalisation",
    "FastPoisson",
    "GeneralAxis",
    "PeriodicAxis",
    "Side",
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
