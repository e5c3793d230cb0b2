"""From a cell's data file to a trained law, and the record of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sciml.datasets import CellData, open_cell_data
from sciml.datasets.cells import cell_of
from sciml.errors import DivergenceError, OptionError, UnsupportedError
from sciml.files import plain
from sciml.laws import Cell, CellModel
from sciml.registry import load_problem
from sciml.solvers.base import Progress, checked_device
from sciml.surrogates.continuing import identity_of, make_steps, train_in_folder, what_it_took
from sciml.surrogates.equino.law import EquinoLaw
from sciml.surrogates.equino.options import EquinoOptions, read_options
from sciml.surrogates.equino.run import CellRun
from sciml.surrogates.equino.training import EquinoTraining
from sciml.training import Course, Ending, TrainingState

__all__ = ["MODEL", "CellFit", "train_cell"]

MODEL = "equino"


class CellFit:
    """A training of a cell that was looked over and can begin: nothing of its request is wrong.

    Parameters
    ----------
    family : str
        The cell, by name or file.
    data : path
        What `sciml generate` has written for it.
    options : mapping
    seed, device : int, str

    Raises
    ------
    UnknownNameError, OptionError, OutputError, UnsupportedError
        Bad input: another cell's data, a training box without size, a law that is no formula, more modes than the
        snapshots have.
    """

    def __init__(
        self,
        family: str,
        data: str | Path,
        options: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        if seed < 0:
            raise OptionError(f"seed={seed} was given; it takes a whole number ≥ 0.")
        checked_device(device)
        self.options: EquinoOptions = read_options(options or {})
        self.seed, self.device = seed, device
        whole = open_cell_data(data)
        self.cell: CellModel = _same_cell(family, whole).model()
        lower, upper = whole.box
        if not (lower < upper).all():
            raise OptionError(f"The training box of {data} has no size; generate strains with draw=(low, high).")
        self.data = whole if self.options.samples is None else whole.first(self.options.samples)
        self.training = EquinoTraining(self.cell, self.data, self.options, seed=seed, device=device)

    def run(
        self,
        *,
        folder: Path | None = None,
        resume: bool = False,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> CellRun:
        """Train.

        Raises
        ------
        DivergenceError
            The loss became infinite or not a number.
        Interrupted
            By SIGTERM or Ctrl-C; the checkpoint in `folder` holds the state.
        """
        training, data = self.training, self.data
        declaration = f"{data.about['cell']} {data.checksum[:16]}"
        state = TrainingState(
            identity_of(data.family, declaration, MODEL, self.options, seed=self.seed), training=training
        )
        ending = make_steps(training, state, self.options, folder=folder, resume=resume, report=report)
        if ending.status == "diverged":
            raise DivergenceError(f"The training of the cell diverged: {ending.reason}; take more snapshots.")
        training.finish()
        return CellRun(self._law(), self._manifest(state.course, ending))

    def _law(self) -> EquinoLaw:
        bases, branches = self.training.bases, self.training.branches
        modes = bases.fluctuation, bases.stress, bases.mean_stress
        return EquinoLaw(branches, *modes, self.data.box, self.data.about, model=self.cell)

    def _manifest(self, course: Course, ending: Ending) -> dict[str, Any]:
        data, bases = self.data, self.training.bases
        return plain(
            {
                "family": data.family,
                "model": MODEL,
                "cell": data.about,
                "options": self.options.model_dump(),
                "through_zero": self.training.branches.through_zero,
                "data": {
                    "file": data.path.name,
                    "checksum": data.checksum,
                    "snapshots": len(data),
                    "cpu_seconds": data.cpu_seconds,
                },
                "singular_values": {"fluctuation": bases.fluctuation_values, "stress": bases.stress_values},
                "seed": self.seed,
                "device": self.device,
                "trainable_parameters": self.training.branches.trainable_parameters,
                "loss": course.loss,
                "course": {"history": course.history},
                **what_it_took(course, ending, "numpy", "scipy"),
            }
        )


def train_cell(
    family: str,
    data: str | Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    folder: str | Path | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
    **options: Any,
) -> CellRun:
    """Train a cell into a law.

    Parameters
    ----------
    family : str
        The cell, such as ``"rve/disc"``.
    data : path
        A file that :func:`sciml.datasets.generate_cell` or `sciml generate` has written.
    seed : int
        Of the first weights and of the strains at which the physics is asked for.
    device : str
    folder : path, optional
        For checkpoints while it runs, and for the result.
    resume : bool
        Go on from the checkpoint in `folder`.
    report : callable
        Takes :class:`~sciml.solvers.base.Progress` objects.
    **options
        Of :class:`~sciml.surrogates.equino.options.EquinoOptions`.

    Returns
    -------
    CellRun
        Its `law` takes strains.

    Raises
    ------
    UnknownNameError, OptionError, OutputError, UnsupportedError
        Bad input, before work starts.
    DivergenceError
        The loss became infinite or not a number.

    Examples
    --------
    >>> law = train_cell("rve/disc", "rve.h5", folder="run").law
    """
    return train_in_folder(
        CellFit(family, data, options, seed=seed, device=device), folder, resume=resume, report=report
    )


def _same_cell(family: str, data: CellData) -> Cell:
    """The cell of the data, if the given name or file is one with it.

    Raises
    ------
    OptionError
        The data are another cell's.
    UnsupportedError
        The name is of no cell.
    """
    made = data.about["made"]
    given = load_problem(family, member=made["member"])
    if not isinstance(given, Cell):
        raise UnsupportedError(f"{family} is no periodic cell; model {MODEL!r} is trained on cells, as rve/disc.")
    own = cell_of(data.about)
    if type(given).__name__ != type(own).__name__ or given.name != own.name:
        raise OptionError(f"{data.path} is of {data.family!r}, not of {family!r}; give a file of that cell.")
    return own
