"""Fields and solutions: evaluate, compare, export, draw."""

from sciml.solution.fe_field import FEField
from sciml.solution.field import ExactField, Field, NetworkField, Rule
from sciml.solution.functionals import evaluate_quantities
from sciml.solution.norms import Errors, measure_errors
from sciml.solution.solution import ADVICE, ErrorEstimate, Seconds, Solution, Status, load_solution

__all__ = [
    "ADVICE",
    "ErrorEstimate",
    "Errors",
    "ExactField",
    "FEField",
    "Field",
    "NetworkField",
    "Rule",
    "Seconds",
    "Solution",
    "Status",
    "evaluate_quantities",
    "load_solution",
    "measure_errors",
]
