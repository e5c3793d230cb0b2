"""Optimisers of a sum of squares over a flat vector of parameters."""

from sciml.optimize.first_order import Adam
from sciml.optimize.gauss_newton import Conditioning, GaussNewton
from sciml.optimize.least_squares import DenseLinearisation, LeastSquares, LinearisedResidual, Optimizer, Step
from sciml.optimize.limited_memory import LBFGS
from sciml.optimize.self_scaled import SelfScaledBFGS
from sciml.optimize.torch_state import pack_optimizer, unpack_optimizer

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "Adam",
    "Conditioning",
    "DenseLinearisation",
    "GaussNewton",
    "LeastSquares",
    "LinearisedResidual",
    "Optimizer",
    "SelfScaledBFGS",
    "Step",
    "pack_optimizer",
    "unpack_optimizer",
]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    optimizer.name: optimizer for optimizer in (GaussNewton, SelfScaledBFGS, LBFGS, Adam)
}
"""Optimisers by the name that users write."""
