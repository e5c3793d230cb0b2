"""Data sets of periodic cells: macroscopic strains, and what the finite elements make of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import qmc

from sciml.datasets.parts import Parts
from sciml.datasets.store import checked_file, write_arrays
from sciml.errors import OptionError, OutputError, UnsupportedError
from sciml.laws import Cell, CellModel
from sciml.problem import Problem
from sciml.problem.draws import Uniform
from sciml.registry import load_problem
from sciml.solvers.base import Progress, package_versions

__all__ = ["CONTENT", "CellData", "cell_of", "draw_strains", "generate_cell", "open_cell_data", "strain_box"]

CONTENT = "cell"
TOLERANCE = 1e-11
_CHUNK = 10
_ARRAYS = ("strain", "stress", "tangent", "fluctuation", "local_stress")


@dataclass(frozen=True, eq=False)
class CellData:
    """Solutions of a cell for m macroscopic strains.

    Attributes
    ----------
    path : Path
    about : dict
        Family, how to make its cell again, its digest, the box of strains, the seed; plain JSON.
    checksum : str
    strain : (m, 3) array
        (E_xx, E_yy, γ_xy).
    stress : (m, 3) array
        Mean stress.
    tangent : (m, 3, 3) array
    fluctuation : (m, n_dofs) array
    local_stress : (m, n_points, 3) array
    cpu_seconds : float
        Of the solves.
    """

    path: Path
    about: dict[str, Any]
    checksum: str
    strain: np.ndarray
    stress: np.ndarray
    tangent: np.ndarray
    fluctuation: np.ndarray
    local_stress: np.ndarray
    cpu_seconds: float

    def __len__(self) -> int:
        return len(self.strain)

    @property
    def family(self) -> str:
        """Name of the cell."""
        return self.about["family"]

    @property
    def box(self) -> np.ndarray:
        """Lowest and highest strains: (2, 3)."""
        return np.array(self.about["box"])

    def first(self, count: int) -> CellData:
        """The first snapshots alone.

        Raises
        ------
        OptionError
            There are not so many.
        """
        if not 1 <= count <= len(self):
            raise OptionError(f"{count} snapshots were asked for; {self.path} has {len(self)}.")
        return CellData(
            self.path,
            self.about,
            self.checksum,
            *(getattr(self, name)[:count] for name in _ARRAYS),
            cpu_seconds=self.cpu_seconds * count / len(self),
        )


def strain_box(cell: Problem) -> np.ndarray:
    """Lowest and highest strains (2, 3) that a cell's declaration says members are drawn from.

    Raises
    ------
    OptionError
        The box has no size: the strain was given one value, or is drawn from a range without width.
    UnsupportedError
        The strain is drawn otherwise than from a range.
    """
    law = cell.family.laws.get("strain")
    if law is None:
        raise OptionError(
            f"The training box of {cell.name or type(cell).__name__} has no size, since its strain is one value; "
            f"leave the strain to be drawn."
        )
    if not isinstance(law, Uniform):
        raise UnsupportedError(f"Strains are drawn from {law!r}; a training box takes `draw=(low, high)`.")
    if not law.low < law.high:
        raise OptionError(
            f"The training box of {cell.name or type(cell).__name__} has no size, from {law.low:g} to {law.high:g}; "
            f"declare the strain with draw=(low, high), low < high."
        )
    return np.repeat([[law.low], [law.high]], 3, axis=1)


def draw_strains(box: np.ndarray, count: int, stream: tuple[int, ...]) -> np.ndarray:
    """A Latin hypercube of strains (count, 3) in a box (2, 3); `stream` seeds it."""
    generator = np.random.default_rng(stream)
    return qmc.scale(qmc.LatinHypercube(3, rng=generator).random(count), *box)


def cell_of(about: Mapping[str, Any]) -> Cell:
    """The cell that a data file or a trained network was made for.

    Raises
    ------
    OutputError
        It has been changed since.
    UnknownNameError, DeclarationError
        Its file is gone or broken.
    """
    made = about["made"]
    found = load_problem(made["source"], member=made["member"], **made["parameters"])
    if not isinstance(found, Cell) or found.model().digest != about["cell"]:
        raise OutputError(
            f"{about['family']} is another cell by now (mesh, phases or laws were changed); generate and train anew."
        )
    return found


def generate_cell(
    cell: Cell,
    path: str | Path,
    *,
    count: int = 100,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    force: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> CellData:
    """Solve a cell for strains drawn in its training box, and write them as a data set.

    All are for training: what judges a trained cell are fresh strains, solved when it is evaluated. Killed and run
    again, it goes on where it was, and makes the same file; run once more, it finds the file and solves nothing.

    Parameters
    ----------
    cell : Cell
    path : path
        The HDF5 file.
    count : int
        Strains, by a Latin hypercube.
    seed : int
    tolerance : float
        Of the balance of forces, see :class:`~sciml.laws.CellModel`.
    force : bool
        Replace a file of another request.
    report : callable
        Takes :class:`~sciml.solvers.base.Progress`.

    Raises
    ------
    OptionError
        A count below 1, or a training box without size.
    UnsupportedError
        The cell has a past, which snapshots of single strains do not show.
    OutputError
        There is a file of another request, or pieces of one, or another process is at work on it.
    DivergenceError
        Newton's method does not converge for one of the strains.

    Notes
    -----
    Good values: 100 strains for 16 modes of a cell with one inclusion.

    Examples
    --------
    >>> generate_cell(load_problem("rve/disc"), "rve.h5", count=100)
    """
    path, box, model = Path(path), strain_box(cell), cell.model(tolerance=tolerance)
    if count < 1:
        raise OptionError(f"count={count} was given; a cell's data set takes 1 strain or more.")
    if model.history:
        raise UnsupportedError(
            f"The law of phase {model.history[0].partition('/')[0]!r} has a past, which single strains do not show; "
            f"snapshots are made of cells whose laws have none."
        )
    if cell.source is None:
        raise UnsupportedError(
            "The cell was made in memory, so nothing can be trained on it later; put it into a file."
        )
    about = _about(cell, model, box, count, seed, tolerance)
    found = _finished(path, about, force)
    if found is not None:
        return found
    strain = draw_strains(box, count, (seed, 1))
    parts = Parts(path, about, force)
    with closing(parts):
        pieces = []
        for at in range(0, count, _CHUNK):
            pieces.append(_piece(parts, model, strain[at : at + _CHUNK], at))
            report(Progress("solving the cell", min(at + _CHUNK, count), count))
        arrays = {name: np.concatenate([piece[name] for piece in pieces]) for name in _ARRAYS if name != "strain"}
        seconds = np.array(sum(float(piece["cpu_seconds"]) for piece in pieces))
        write_arrays(path, about, {"strain": strain, **arrays, "records/cpu_seconds": seconds})
        parts.remove()
    return open_cell_data(path)


def _piece(parts: Parts, model: CellModel, strain: np.ndarray, at: int) -> dict[str, np.ndarray]:
    """The solutions for some strains, from an earlier run if it came so far."""
    name = f"strains-{at:06d}-{at + len(strain):06d}"
    if not parts.path(name).is_file():
        start, solved = time.process_time(), model.solve(strain)
        found = {key: getattr(solved, key) for key in _ARRAYS if key != "strain"}
        parts.keep(name, {**found, "cpu_seconds": np.array(time.process_time() - start)})
    return parts.read(name)


def _about(cell: Cell, model: CellModel, box: np.ndarray, count: int, seed: int, tolerance: float) -> dict[str, Any]:
    return {
        "content": CONTENT,
        "family": cell.name,
        "made": {"source": cell.source, "parameters": cell.parameters.plain(), "member": cell.member},
        "cell": model.digest,
        "box": box.tolist(),
        "count": count,
        "seed": seed,
        "tolerance": tolerance,
        "unknowns": model.n_dofs,
        "points": model.n_points,
        "versions": package_versions("numpy", "scipy"),
    }


def _finished(path: Path, about: dict[str, Any], force: bool) -> CellData | None:
    """What an earlier run of the same request has written."""
    if not path.exists() or force:
        return None
    with checked_file(path) as file:
        before = json.loads(file["sciml"].attrs["about"])
    same = ("content", "cell", "box", "count", "seed", "tolerance")
    if any(before.get(key) != about[key] for key in same):
        raise OutputError(f"{path} holds the data of another request; give another name, or replace it with --force.")
    return open_cell_data(path)


def open_cell_data(path: str | Path) -> CellData:
    """Open the data set of a cell.

    Raises
    ------
    OutputError
        There is no such file, it is damaged, or it holds something else.
    """
    path = Path(path)
    with checked_file(path) as file:
        own = file["sciml"]
        about = json.loads(own.attrs["about"])
        if about.get("content") != CONTENT:
            raise OutputError(
                f"{path} holds fields of a family, and no cell; `sciml generate rve/disc` makes such data."
            )
        arrays = [own[name][()] for name in _ARRAYS]
        return CellData(
            path, about, str(own.attrs["checksum"]), *arrays, cpu_seconds=float(own["records/cpu_seconds"][()])
        )
