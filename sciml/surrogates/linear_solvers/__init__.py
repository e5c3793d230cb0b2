"""Linear solvers that learn: their trainings, and systems of declared problems to try them on."""

from sciml.surrogates.linear_solvers.fitting import TRAININGS, train_linear
from sciml.surrogates.linear_solvers.problems import from_problem

__all__ = ["TRAININGS", "from_problem", "train_linear"]
