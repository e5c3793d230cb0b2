"""What a declaration becomes: weak form, strong residual and energy in torch, and what it says of itself."""

from sciml.forms.advection import leaving_with_data
from sciml.forms.analyse import Analysis, analyse
from sciml.forms.balance import (
    Balance,
    balance,
    condition_data,
    constrained_fields,
    rated_components,
    rows_with_flux,
    strong_form,
)
from sciml.forms.checks import ContradictionWarning, OutflowWarning, check_degree, check_problem
from sciml.forms.contradictions import Contradiction, contradictions
from sciml.forms.convexity import convexity_bounds
from sciml.forms.jets import Jet, TaylorSeries, has_taylor_rules, jet_of_output, reverse_jet, taylor_jet
from sciml.forms.lowering import Derivative, lower
from sciml.forms.pointwise import (
    PointwiseOperator,
    boundary_residual,
    condition_value,
    energy,
    exact_jet,
    initial_residual,
    initial_value,
    number,
    pointwise,
    strong_residual,
)
from sciml.forms.program import Program
from sciml.forms.weak import WeakForm, depends_on_time, weak_form

__all__ = [
    "Analysis",
    "Balance",
    "Contradiction",
    "ContradictionWarning",
    "Derivative",
    "Jet",
    "OutflowWarning",
    "PointwiseOperator",
    "Program",
    "TaylorSeries",
    "WeakForm",
    "depends_on_time",
    "has_taylor_rules",
    "initial_residual",
    "initial_value",
    "analyse",
    "balance",
    "boundary_residual",
    "check_degree",
    "check_problem",
    "condition_data",
    "constrained_fields",
    "rated_components",
    "rows_with_flux",
    "condition_value",
    "contradictions",
    "convexity_bounds",
    "energy",
    "exact_jet",
    "jet_of_output",
    "leaving_with_data",
    "lower",
    "number",
    "pointwise",
    "reverse_jet",
    "strong_form",
    "strong_residual",
    "taylor_jet",
    "weak_form",
]
