"""Networks and what is put around them: scaling and hard boundary conditions; a density on a box."""

from sciml.nn.features import RandomFourierFeatures, placed_first_layer
from sciml.nn.flow import BoxFlow
from sciml.nn.hard_conditions import HardConditions, conditions_built_in, hard_conditions_obstacle
from sciml.nn.mlp import MLP, activation_names
from sciml.nn.periodic_inputs import periodic_inputs_obstacle
from sciml.nn.physical import PhysicalNetwork, PreparedPoints
from sciml.nn.scales import Scales, problem_scales

__all__ = [
    "MLP",
    "BoxFlow",
    "HardConditions",
    "PhysicalNetwork",
    "PreparedPoints",
    "RandomFourierFeatures",
    "Scales",
    "activation_names",
    "conditions_built_in",
    "hard_conditions_obstacle",
    "periodic_inputs_obstacle",
    "placed_first_layer",
    "problem_scales",
]
