"""Linear systems: transforms, fast diagonalisation and collocation in NumPy and SciPy, and in torch too; multigrid."""

from sciml.linear.axes import Axis, EvenAxis, GeneralAxis, PeriodicAxis, element_matrices
from sciml.linear.cells import DIRICHLET, FLUID, SOLID, Cells
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
from sciml.linear.multigrid import Multigrid, MultigridResult
from sciml.linear.on_device import DeviceDiagonalisation

__all__ = [
    "DIRICHLET",
    "FEWEST_CELLS",
    "FLUID",
    "SOLID",
    "Axis",
    "Cells",
    "DeviceDiagonalisation",
    "EvenAxis",
    "FastDiagonalisation",
    "FastPoisson",
    "GeneralAxis",
    "Multigrid",
    "MultigridResult",
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
