"""Learned multigrid: a cycle whose smoothers and transfers a small network adapts to each cell."""

from sciml.linear.learned.cycle import Cycle
from sciml.linear.learned.hierarchy import Hierarchy, Level, stencil_of
from sciml.linear.learned.layout import Layout
from sciml.linear.learned.networks import Advice, CycleNetwork, NetworkShape
from sciml.linear.learned.solver import LearnedCycle, LearnedMultigrid, load_cycle_network
from sciml.linear.learned.transfers import Transfer, choose_halved

__all__ = [
    "Advice",
    "Cycle",
    "CycleNetwork",
    "Hierarchy",
    "Layout",
    "LearnedCycle",
    "LearnedMultigrid",
    "Level",
    "NetworkShape",
    "Transfer",
    "choose_halved",
    "load_cycle_network",
    "stencil_of",
]
