"""Learned multigrid: a V-cycle whose smoothers and transfers a small network adapts to the coefficients of each cell."""

from sciml.linear.learned.hierarchy import Hierarchy, Level, stencil_of
from sciml.linear.learned.layout import Layout
from sciml.linear.learned.networks import Advice, CycleNetwork, NetworkShape
from sciml.linear.learned.transfers import Transfer, choose_halved

__all__ = [
    "Advice",
    "CycleNetwork",
    "Hierarchy",
    "Layout",
    "Level",
    "NetworkShape",
    "Transfer",
    "choose_halved",
    "stencil_of",
]
