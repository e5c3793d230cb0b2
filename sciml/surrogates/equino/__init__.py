"""Cells that are trained into laws: modes of fluctuation and stress, and a network for their coefficients (EquiNO)."""

from sciml.surrogates.equino.evaluation import evaluate_cell, law_errors
from sciml.surrogates.equino.fitting import MODEL, CellFit, train_cell
from sciml.surrogates.equino.law import CellFields, EquinoLaw
from sciml.surrogates.equino.options import EquinoOptions
from sciml.surrogates.equino.run import KIND, CellRun, load_cell_run

__all__ = [
    "KIND",
    "MODEL",
    "CellFields",
    "CellFit",
    "CellRun",
    "EquinoLaw",
    "EquinoOptions",
    "evaluate_cell",
    "law_errors",
    "load_cell_run",
    "train_cell",
]
