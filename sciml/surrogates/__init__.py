"""What is learned once over a family, and then asked many times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciml.errors import DeclarationError

if TYPE_CHECKING:
    from sciml.laws import Law
    from sciml.solvers.base import Solver

__all__ = ["law_in", "solver_in", "train"]


def solver_in(folder: Path) -> Solver:
    """The solver that a trained surrogate in a folder is.

    Raises
    ------
    OutputError
        The folder holds none, or a damaged one.
    DeclarationError
        It holds a trained cell, which is a law.
    """
    from sciml.surrogates.manifest import kind_in
    from sciml.surrogates.operators.solver import OperatorSolver
    from sciml.surrogates.wave_cnn import KIND as WAVES
    from sciml.surrogates.wave_cnn.solver import WaveSolver

    if kind_in(folder) == WAVES:
        return WaveSolver(folder)
    if kind_in(folder) == "cell":
        raise DeclarationError(
            f"{folder} holds a trained cell, which is a law and no solver; give it to the solver fe2 as micro={folder}."
        )
    return OperatorSolver(folder)


def law_in(folder: Path) -> Law:
    """The law that a trained cell in a folder is.

    Raises
    ------
    OutputError
        The folder holds none, or a damaged one.
    DeclarationError
        It holds a trained network over a family, which is a solver.
    """
    from sciml.surrogates.equino.run import load_cell_run
    from sciml.surrogates.manifest import kind_in

    if kind_in(folder) != "cell":
        raise DeclarationError(
            f"{folder} holds a network over a family, which is a solver and no law; give it as --solver {folder}."
        )
    return load_cell_run(folder).law


def train(family: str, data: str | Path, model: str = "lsm", **options: Any) -> Any:
    """Train what is learned once over a family: a network for its members, or a cell's law.

    Parameters
    ----------
    family : str
        As the data file names it.
    data : path
        What :func:`sciml.generate` or `sciml generate` has written.
    model : str
        ``"lsm"``, ``"fno"``, … over families; ``"wave_cnn"`` over families of waves; ``"equino"`` for periodic cells.
        `sciml models` lists them.
    **options
        Those of :func:`~sciml.surrogates.operators.fitting.train_operator`,
        :func:`~sciml.surrogates.wave_cnn.train_waves` or :func:`~sciml.surrogates.equino.train_cell`: seed, device,
        folder, resume, and of the model.

    Returns
    -------
    OperatorRun, WaveRun or CellRun

    Raises
    ------
    UnknownNameError, OptionError, OutputError
        Bad input, before work starts.
    DivergenceError
        The loss became infinite or not a number.

    Examples
    --------
    >>> run = train("darcy/threshold", "darcy32.h5", "lsm", folder="run")
    """
    from sciml.surrogates.equino import MODEL, train_cell
    from sciml.surrogates.operators.fitting import train_operator
    from sciml.surrogates.wave_cnn import MODEL as WAVES
    from sciml.surrogates.wave_cnn import train_waves

    if model == WAVES:
        return train_waves(family, data, **options)
    return train_cell(family, data, **options) if model == MODEL else train_operator(family, data, model, **options)
