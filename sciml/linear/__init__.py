"""Linear systems as plain NumPy and SciPy code; fast diagonalisation in torch too."""

from sciml.linear.axes import Axis, EvenAxis, GeneralAxis, PeriodicAxis, element_matrices
from sciml.linear.fast_diagonalisation import FastDiagonalisation, nearest_coefficients
from sciml.linear.fast_poisson import FEWEST_CELLS, FastPoisson, Side
from sciml.linear.on_device import DeviceDiagonalisation

__all__ = [
    "FEWEST_CELLS",
    "Axis",
    "DeviceDiagonalisation",
    "EvenAxis",
    "FastDiagonalisation",
    "FastPoisson",
    "GeneralAxis",
    "PeriodicAxis",
    "Side",
    "element_matrices",
    "nearest_coefficients",
]
