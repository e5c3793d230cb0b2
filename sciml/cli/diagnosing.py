"""What limits a training, for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from sciml.cli.console import console, significant
from sciml.cli.folder import place_of, read_request
from sciml.errors import UnsupportedError
from sciml.registry import load_solver
from sciml.solution.diagnosis import Diagnosis
from sciml.solution.diagnosis_plot import draw_diagnosis

__all__ = ["find_diagnosis", "print_diagnosis"]

_NAMES = {"name": "term", "loss": "loss", "gradient_norm": "gradient", "share": "share of the gradient"}


def find_diagnosis(folder: Path) -> Diagnosis:
    """The diagnosis of the run in a folder, with its pictures drawn beside it.

    Raises
    ------
    OutputError
        The folder holds no run, its files are damaged, or pictures cannot be written.
    UnsupportedError
        It is a comparison, or its solver writes no diagnosis, or has not come to it yet.
    """
    request, place = read_request(folder), place_of(folder)
    if request.command == "compare":
        raise UnsupportedError(
            f"{folder} holds a comparison, and one training is diagnosed; run it with `sciml solve … --out DIR` first."
        )
    name = request.solvers[0][0]
    diagnosis = load_solver(name).diagnose(place)
    if diagnosis is None:
        yet = " (yet: the run is unfinished)" if place != folder else ""
        raise UnsupportedError(f"Solver {name!r} has written no diagnosis in {folder}{yet}; only some trainings do.")
    return diagnosis.with_figures(draw_diagnosis(place))


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """Sentences, the terms in a table, and where the pictures are."""
    console.print(diagnosis.verdict, highlight=False, markup=False)
    for sentence in diagnosis.advice:
        console.print(f"– {sentence}", highlight=False, markup=False)
    if diagnosis.terms:
        console.print(_table(diagnosis.terms))
    for name, value in diagnosis.conditioning.items():
        console.print(f"{name}: {significant(value, 3)}", highlight=False, markup=False)
    if diagnosis.figures:
        drawn = ", ".join(map(str, diagnosis.figures))
        console.print(f"Drawn: {drawn}", highlight=False, markup=False, soft_wrap=True)


def _table(terms: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for key, title in _NAMES.items():
        table.add_column(title, justify="left" if key == "name" else "right", overflow="fold")
    for term in terms:
        share = term.get("share")
        numbers = (significant(term.get(key)) for key in ("loss", "gradient_norm"))
        table.add_row(term["name"], *numbers, "–" if share is None else f"{share:.0%}")
    return table
