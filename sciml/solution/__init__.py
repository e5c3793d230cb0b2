"""Fields and solutions: evaluate, compare, export, draw."""

from sciml.solution.cell_field import CellField
from sciml.solution.chebyshev_field import ChebyshevEvolution, ChebyshevField
from sciml.solution.evolution import Evolution, ExactEvolution, FEEvolution, NetworkEvolution, exact_solution
from sciml.solution.fe_field import FEField
from sciml.solution.field import ExactField, Field, NetworkField, Rule
from sciml.solution.fourier_field import FourierEvolution, FourierField
from sciml.solution.functionals import evaluate_quantities
from sciml.solution.gaussian_process_field import GaussianProcessEvolution, GaussianProcessField
from sciml.solution.grid_field import GridEvolution, GridField
from sciml.solution.kernel_field import KernelField
from sciml.solution.norms import Errors, measure_errors
from sciml.solution.solution import ADVICE, ErrorEstimate, Seconds, Solution, Status, load_solution

__all__ = [
    "ADVICE",
    "ChebyshevEvolution",
    "ChebyshevField",
    "CellField",
    "ErrorEstimate",
    "Errors",
    "Evolution",
    "ExactEvolution",
    "ExactField",
    "FEEvolution",
    "FEField",
    "Field",
    "FourierEvolution",
    "FourierField",
    "GaussianProcessEvolution",
    "GaussianProcessField",
    "GridEvolution",
    "GridField",
    "KernelField",
    "NetworkEvolution",
    "NetworkField",
    "Rule",
    "Seconds",
    "Solution",
    "Status",
    "evaluate_quantities",
    "exact_solution",
    "load_solution",
    "measure_errors",
]
