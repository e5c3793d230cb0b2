"""Training: the residuals of a declared problem over points, one state on disk, resuming, several processes."""

from sciml.training.collocation import Collocation, LinearisedResidual
from sciml.training.terms import Average, Term, condition_terms, equation_terms

__all__ = [
    "Average",
    "Collocation",
    "LinearisedResidual",
    "Term",
    "condition_terms",
    "equation_terms",
]
