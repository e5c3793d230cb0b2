"""What trainings in one process have in common on the command line: running, saying what came of it, writing it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from sciml.cli.console import console, progress
from sciml.cli.folder import TrainRequest, output_folder
from sciml.cli.parallel import n_sharing
from sciml.errors import OptionError, UnsupportedError

__all__ = ["refuse_what_families_take", "run_training"]

_KEPT = ("family", "model", "options", "seed", "device", "threads", "loss", "status", "reason")
_COSTS = ("trainable_parameters", "cpu_seconds", "wall_seconds", "versions")


class _Run(Protocol):
    def __getitem__(self, key: str) -> Any: ...
    def save(self, folder: Path) -> list[str]: ...


class _Fit[R: _Run](Protocol):
    def run(self, *, folder: Path | None = None, resume: bool = False, report: Callable[..., None] = ...) -> R: ...


def refuse_what_families_take(request: TrainRequest, what: str) -> None:
    """Refuse options and ways of starting that only networks over families of fields have.

    Raises
    ------
    OptionError, UnsupportedError
    """
    if request.split != "train" or request.tune:
        raise OptionError(f"--split and --tune are for networks over families of fields; leave them out for {what}.")
    if n_sharing() > 1:
        raise UnsupportedError(f"A {what.partition(' ')[2]} is trained in one process; start it without torchrun.")


def run_training[R: _Run](
    fit: _Fit[R],
    request: TrainRequest,
    *,
    out: Path | None,
    force: bool,
    resume: bool,
    as_json: bool,
    said: Callable[[R], str],
    more: tuple[str, ...] = (),
) -> None:
    """Train, print the record or a sentence, and write both run and record to the folder if there is one.

    Parameters
    ----------
    said : callable
        The sentence, of the run.
    more : tuple of str
        Figures of the run that the record has beside those of every training.
    """
    with output_folder(out, request, force=force, resume=resume) as place:
        with progress(f"{request.model} on {request.family}") as report:
            run = fit.run(folder=None if place is None else place.path, resume=resume, report=report)
        record = {key: run[key] for key in (*_KEPT, *more, *_COSTS)}
        if place is not None:
            names = run.save(place.path)
            place.write_record(record)
    if as_json:
        print(json.dumps(record, allow_nan=False))
    console.print(said(run), highlight=False)
    if place is not None:
        console.print(f"Written to {out}: {', '.join([*names, 'record.json'])}", highlight=False)
