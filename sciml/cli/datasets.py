"""The commands ``sciml generate`` and ``sciml import``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sciml.cli.cells import make_snapshots
from sciml.cli.console import console, progress, significant
from sciml.datasets import Generation, generate, import_arrays, open_dataset
from sciml.errors import OptionError
from sciml.laws import Cell
from sciml.problem import Problem

__all__ = ["bring_in", "make", "parsed_split"]


def parsed_split(text: str | None) -> tuple[int, ...] | None:
    """``360/40/100`` as numbers.

    Raises
    ------
    OptionError
    """
    if text is None:
        return None
    try:
        return tuple(int(piece) for piece in text.split("/"))
    except ValueError:
        raise OptionError(
            f"--split {text!r} was given; it takes numbers for train, validation and test, as in 360/40/100."
        ) from None


def make(problem: Problem, out: Path, as_json: bool, **request: Any) -> None:
    """Generate a data set and say what was written; of a cell it is one of strains."""
    if isinstance(problem, Cell):
        make_snapshots(problem, out, as_json, **request)
        return
    with progress(f"generating {problem.name}") as report:
        written = generate(problem, out, report=report, **request)
    _say(written.path, as_json, _facts(written))


def bring_in(file: Path, out: Path, as_json: bool, **request: Any) -> None:
    """Import arrays and say what was written."""
    import_arrays(file, out, **request)
    _say(out, as_json, {})


def _facts(written: Generation) -> dict[str, Any]:
    return {"solved": written.solved, "cpu_seconds": written.cpu_seconds}


def _say(path: Path, as_json: bool, facts: dict[str, Any]) -> None:
    dataset = open_dataset(path)
    row = {
        "path": str(path),
        "family": dataset.family,
        "sizes": dataset.sizes,
        "grid": list(dataset.grid),
        "inputs": dataset.input_names,
        "outputs": dataset.output_names,
        "frames": None if dataset.times is None else len(dataset.times),
        "label_error": dataset.label_error,
        "checksum": dataset.checksum,
        **facts,
    }
    if as_json:
        print(json.dumps(row, allow_nan=False))
        return
    sizes = ", ".join(f"{n} {split}" for split, n in dataset.sizes.items())
    lines = [f"Written: {path}: {dataset.family}, {sizes}, {' × '.join(map(str, dataset.grid))} nodes"]
    lines.append(f"in: {', '.join(dataset.input_names) or 'frames'}; out: {', '.join(dataset.output_names)}")
    if dataset.label_error is not None:
        error = dataset.label_error
        lines.append(
            f"error of the labels: {significant(error['mean'])} on average, {significant(error['max'])} at worst "
            f"({error['method']})"
        )
    if facts:
        lines.append(f"{facts['solved']} members solved in this run; {significant(facts['cpu_seconds'])} CPU s in all")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
