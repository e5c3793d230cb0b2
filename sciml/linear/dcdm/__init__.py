"""Deep conjugate directions: a network proposes each direction of a truncated conjugate direction method."""

from sciml.linear.dcdm.network import STRUCTURES, DirectionNetwork
from sciml.linear.dcdm.solver import DeepConjugateDirections, Directions, load_directions

__all__ = ["STRUCTURES", "DeepConjugateDirections", "DirectionNetwork", "Directions", "load_directions"]
