"""An output folder: a finished result, an unfinished run, or both while one replaces the other."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sciml.cli.parallel import is_first, n_sharing, wait_for_all
from sciml.errors import Interrupted, OutputError
from sciml.files import write_json
from sciml.problem import Problem
from sciml.registry import fingerprint

__all__ = ["Request", "TrainRequest", "Workplace", "finished_rows", "output_folder", "place_of", "read_request"]

_REQUEST, _RECORD, _UNFINISHED, _CHECKPOINT = "run.json", "record.json", "unfinished", "checkpoint"


@dataclass(frozen=True)
class Request:
    """What `solve` or `compare` was asked for, as it can be written down and asked again.

    Attributes
    ----------
    command : {"solve", "compare"}
    source : str
        Name or file of the problem.
    parameters : dict
    solvers : list of (str, dict)
        Solvers with their options as given; one for `solve`.
    seed, device : int, str
    member : (int, int) or None
        Seed and index of the member of the problem's family.
    fingerprint : str
        Of the problem's declaration, see :func:`~sciml.registry.fingerprint`.
    """

    command: Literal["solve", "compare"]
    source: str
    parameters: dict[str, Any]
    solvers: list[tuple[str, dict[str, Any]]]
    seed: int
    device: str
    member: tuple[int, int] | None = None
    fingerprint: str = ""

    @classmethod
    def of(
        cls,
        problem: Problem,
        command: Literal["solve", "compare"],
        solvers: list[tuple[str, dict[str, Any]]],
        seed: int,
        device: str,
    ) -> Request:
        """The request for a problem."""
        parameters = problem.parameters.plain()
        source = str(problem.source)
        return cls(command, source, parameters, solvers, seed, device, problem.member, fingerprint(problem))

    def check(self, problem: Problem, folder: Path) -> None:
        """Refuse to continue with another problem than the run was started with.

        Raises
        ------
        OutputError
        """
        if fingerprint(problem) != self.fingerprint:
            raise OutputError(
                f"{self.source} (or its mesh) was changed after the run in {folder} was started; put it back, or start "
                f"the run again with --force."
            )


@dataclass(frozen=True)
class TrainRequest:
    """What `train` was asked for.

    Attributes
    ----------
    family, data, model : str
        Name of the family, path of the data file, name of the network.
    options : dict
        Of the training and of the network, as given.
    seed, device, tune, split : int, str, int, str
    """

    family: str
    data: str
    model: str
    options: dict[str, Any]
    seed: int
    device: str
    tune: int = 0
    split: str = "train"
    command: Literal["train"] = "train"


@dataclass(frozen=True)
class Workplace:
    """Where an unfinished run keeps what it has.

    Attributes
    ----------
    path : Path
        For the files of the result, which move to the output folder when all are there.
    writes : bool
        Whether this process writes them; others that share its work only read checkpoints.
    has_checkpoint : bool
    """

    path: Path
    writes: bool = True

    @property
    def has_checkpoint(self) -> bool:
        return any((self.path / _CHECKPOINT).glob("*.json"))

    def write_record(self, content: dict[str, Any]) -> None:
        """Write what happened."""
        write_json(self.path / _RECORD, content)


def place_of(folder: Path) -> Path:
    """Where the files of a run are now: of an unfinished one in a folder of its own.

    Raises
    ------
    OutputError
        The folder holds no run.
    """
    for place in (folder / _UNFINISHED, folder):
        if (place / _REQUEST).is_file():
            return place
    raise OutputError(f"{folder} holds no run; start one with `sciml solve … --out {folder}`.")


def finished_rows(folder: Path) -> list[dict[str, Any]] | None:
    """What a finished run has recorded, a dictionary for each solver; None where the run is unfinished."""
    path = folder / _RECORD
    if place_of(folder) != folder or not path.is_file():
        return None
    record = _json(path)
    return record.get("rows", [record])


def read_request(folder: Path) -> Request | TrainRequest:
    """What a run was asked for, whether it is finished or not.

    Raises
    ------
    OutputError
        The folder holds no run, or its request is damaged.
    """
    path = place_of(folder) / _REQUEST
    content = _json(path)
    try:
        if content.get("command") == "train":
            return TrainRequest(**content)
        content["solvers"] = [(str(name), dict(options)) for name, options in content["solvers"]]
        return Request(**content)
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path, error) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path, error) from error
    if not isinstance(content, dict):
        raise _damaged(path, "it is not a dictionary")
    return content


def _damaged(path: Path, error: object) -> OutputError:
    return OutputError(f"{path} is damaged ({error}); start the run again with --force.")


@contextmanager
def output_folder(
    out: Path | None, request: Request | TrainRequest, *, force: bool = False, resume: bool = False
) -> Iterator[Workplace | None]:
    """A place for the files of a result, which become the folder's content when the block ends well.

    Until then an older result stays as it is. A run that does not end well can be resumed.

    Raises
    ------
    OutputError
        The folder holds a result or an unfinished run and `force` is not given, or it cannot be written.
    """
    if out is None:
        yield None
        return
    place = out / _UNFINISHED
    if not resume:
        _refuse_to_replace(out, force)
    # All have looked before the first one writes.
    wait_for_all()
    if not is_first():
        wait_for_all()
        yield Workplace(place, writes=False) if n_sharing() > 1 else None
        return
    if not resume:
        _start_anew(out, request)
    wait_for_all()
    try:
        yield Workplace(place)
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, Interrupted) else signal.SIGINT
        raise Interrupted(f"Interrupted by {number.name}; `sciml resume {out}` continues.", number) from None
    _publish(out)


def _refuse_to_replace(out: Path, force: bool) -> None:
    if force:
        return
    if (out / _RECORD).is_file():
        raise OutputError(f"{out} already holds a finished result; keep it, or replace it with --force.")
    if (out / _UNFINISHED / _REQUEST).is_file():
        raise OutputError(f"{out} holds an unfinished run; `sciml resume {out}` continues it, --force starts over.")


def _start_anew(out: Path, request: Request | TrainRequest) -> None:
    try:
        if (out / _UNFINISHED).exists():
            shutil.rmtree(out / _UNFINISHED)
        (out / _UNFINISHED).mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror}.") from error
    write_json(out / _UNFINISHED / _REQUEST, asdict(request))


def _publish(out: Path) -> None:
    """Let the new files take the place of the old ones, the record last."""
    place = out / _UNFINISHED
    files = sorted(path.name for path in place.iterdir() if path.is_file())
    record = json.loads((place / _RECORD).read_text(encoding="utf-8"))
    write_json(place / _RECORD, record | {"files": files})
    try:
        old = json.loads((out / _RECORD).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        old = []
    try:
        for name in sorted(files, key=lambda name: name == _RECORD):
            (place / name).replace(out / name)
        for name in set(old) - set(files):
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(place)
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror}.") from error
