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
from sciml.linear.krylov import SOLVERS, LinearResult, LinearSolver, Prepared, linear_solver, solve
from sciml.linear.multigrid import Multigrid, MultigridResult
from sciml.linear.on_device import DeviceDiagonalisation
from sciml.linear.stencils import Grid
from sciml.linear.systems import LinearSystem, diffusion, from_cells, from_file, from_matrix, poisson

__all__ = [
    "DIRICHLET",
    "FEWEST_CELLS",
    "FLUID",
    "SOLID",
    "SOLVERS",
    "Axis",
    "Cells",
    "DeviceDiagonalisation",
    "EvenAxis",
    "FastDiagonalisation",
    "FastPoisson",
    "GeneralAxis",
    "Grid",
    "LinearResult",
    "LinearSolver",
    "LinearSystem",
    "Multigrid",
    "MultigridResult",
    "PeriodicAxis",
    "Prepared",
    "Side",
    "chebyshev_basis",
    "chebyshev_coefficients",
    "chebyshev_nodes",
    "clenshaw_curtis_weights",
    "coefficients_of_derivative",
    "differentiation_matrix",
    "diffusion",
    "element_matrices",
    "from_cells",
    "from_file",
    "from_matrix",
    "interpolation_matrix",
    "linear_solver",
    "nearest_coefficients",
    "poisson",
    "solve",
]
