"""What was tried and what came of it: one JSON object a line, only ever appended to."""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sciml.benchmark.process import Outcome
from sciml.errors import OutputError

__all__ = ["LEDGER", "LOST", "FinishedLines", "Ledger", "read_ledger"]

LEDGER = "ledger.jsonl"
"""Name of the file in the folder of a run."""
LOST = ("interrupted", "worker_lost")
"""Reasons of attempts that do not finish a job."""

_LOCK = "ledger.lock"
_LOSSES_ALLOWED = 3
_FORMAT = 1
_IDENTITY = ("suite", "digest", "version")


def read_ledger(folder: str | Path) -> list[dict[str, Any]]:
    """All whole lines of the ledger in a folder, the header first; for readers, also while a run goes on.

    Raises
    ------
    OutputError
        There is no ledger, it cannot be read, or a line before the last one is damaged.
    """
    path = Path(folder) / LEDGER
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise OutputError(f"{folder} holds no run of a benchmark: there is no {LEDGER} in it.") from None
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}.") from error
    lines, _ = _whole_lines(content, path)
    if not lines:
        raise OutputError(f"{path} is empty; run the benchmark again.")
    return lines


def _whole_lines(content: bytes, path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines that were written to their end, and how many bytes they take.

    A power cut may leave half of the last line, or a whole one of garbage.
    """
    pieces = content.split(b"\n")[:-1]
    lines, size = [], 0
    for number, piece in enumerate(pieces, 1):
        try:
            line = json.loads(piece)
            if not isinstance(line, dict) or "kind" not in line:
                raise ValueError("no line of a ledger")
        except ValueError as error:
            if number == len(pieces):
                break
            raise OutputError(f"{path}, line {number} is damaged ({error}); remove that line or give --out.") from error
        lines.append(line)
        size += len(piece) + 1
    return lines, size


class FinishedLines:
    """Which attempt counts for each job: the last that was not lost, or else the third whose worker was.

    Attributes
    ----------
    lines : dict
        Key → line, of the jobs that are finished.
    """

    def __init__(self) -> None:
        self.lines: dict[str, dict[str, Any]] = {}
        self._losses: Counter[str] = Counter()

    def note(self, line: dict[str, Any]) -> None:
        """Take in the line of an attempt."""
        key, reason = line["key"], line.get("reason")
        if reason not in LOST:
            self.lines[key] = line
        elif reason == "worker_lost":
            self._losses[key] += 1
            if self._losses[key] >= _LOSSES_ALLOWED:
                self.lines.setdefault(key, line)


class Ledger:
    """The ledger of a run, open for appending by one process alone; a context manager.

    What was written is on the disk when a method returns. A line that cannot be written whole is cut off again.

    Parameters
    ----------
    folder : path
        Of the run; made where it is missing.
    suite, digest, version, title : str
        Name and digest of the suite, version of the package, a title for people: the header of a new ledger.

    Attributes
    ----------
    finished : dict
        Key → line of the attempt that finished the job, done or failed.
    session : int
        Number of this session, 0 before :meth:`begin_session`.
    cpu_seconds : float
        That attempts took since the ledger was opened.

    Raises
    ------
    OutputError
        The folder cannot be written to, another process has the ledger open, it is damaged, or it is of another suite
        or version.
    """

    def __init__(self, folder: str | Path, *, suite: str, digest: str, version: str, title: str = "") -> None:
        self.path = Path(folder) / LEDGER
        self._finished = FinishedLines()
        self.finished = self._finished.lines
        self.session = self._sessions = 0
        self.cpu_seconds = 0.0
        self._attempts: Counter[str] = Counter()
        self._open: dict[str, dict[str, Any]] = {}
        header = {"kind": "header", "format": _FORMAT, "suite": suite, "digest": digest, "version": version}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock()
        except OSError as error:
            raise self._refusal(error) from error
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            os.close(self._lock)
            raise self._refusal(error) from error
        try:
            self._continue(header | {"title": title})
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another process have the ledger."""
        os.close(self._file)
        os.close(self._lock)

    def begin_session(self, **about: Any) -> int:
        """Record that a runner starts, with whatever is to be known of it; the number of the session."""
        self.session = self._sessions = self._sessions + 1
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._append({"kind": "session", "session": self.session, "time": now} | about)
        return self.session

    def start(self, key: str) -> int:
        """Record that an attempt begins; its number.

        Raises
        ------
        RuntimeError
            No session was begun.
        """
        if not self.session:
            raise RuntimeError("A session has to begin before an attempt does.")
        line = {"kind": "start", "key": key, "session": self.session, "attempt": self._attempts[key] + 1}
        self._append(line)
        self._note(line)
        return line["attempt"]

    def unfinished_start(self, key: str) -> bool:
        """Whether an attempt has begun of which nothing more is recorded."""
        return key in self._open

    def attempt(self, key: str, outcome: Outcome, about: Mapping[str, Any], host: str | None) -> dict[str, Any]:
        """Record what came of the attempt that was started last; the line as written.

        Raises
        ------
        OutputError
            It cannot be written.
        KeyError
            None was started.
        """
        start = self._open[key]
        own = {"kind": "attempt"} | start | asdict(outcome) | {"host": host}
        line = own | dict(about) | own
        self._append(line)
        self._note(line)
        self.cpu_seconds += outcome.cpu_seconds
        return line

    def _take_lock(self) -> int:
        lock = os.open(self.path.with_name(_LOCK), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            # The system gives it back however the process ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise OutputError(
                f"Another process runs the benchmark in {self.path.parent}; wait for it, or give another --out."
            ) from None
        except OSError:
            os.close(lock)
            raise
        return lock

    def _continue(self, header: dict[str, Any]) -> None:
        """Take up what is there, or begin with the header."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise self._refusal(error) from error
        lines, size = _whole_lines(content, self.path)
        if size < len(content):
            os.ftruncate(self._file, size)
        if not lines:
            self._append(header)
            return
        self._check(lines[0], header)
        for line in lines[1:]:
            self._note(line)

    def _check(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        if old.get("kind") != "header" or old.get("format") != _FORMAT:
            raise OutputError(f"{self.path} was written in another format; give another --out.")
        differ = [name for name in _IDENTITY if old.get(name) != new[name]]
        if differ:
            words = ", ".join(f"{name} {old.get(name)!r} there and {new[name]!r} here" for name in differ)
            raise OutputError(
                f"{self.path.parent} holds a run of something else ({words}); give another --out, or the same suite "
                f"and version."
            )

    def _note(self, line: dict[str, Any]) -> None:
        """Keep in mind what a line says."""
        key = line.get("key", "")
        if line["kind"] == "session":
            self._sessions = line["session"]
        elif line["kind"] == "start":
            self._attempts[key] = line["attempt"]
            self._open[key] = {name: line[name] for name in ("key", "session", "attempt")}
        elif line["kind"] == "attempt":
            self._open.pop(key, None)
            self._finished.note(line)

    def _append(self, line: dict[str, Any]) -> None:
        data = (json.dumps(line, allow_nan=False, ensure_ascii=False) + "\n").encode()
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(0, "the disk is full")
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, size)
            raise OutputError(
                f"{self.path} cannot be written: {error.strerror}; all that was recorded before is kept, and the same "
                f"command goes on from there."
            ) from error
        except BaseException:  # an interrupt between the two: keep whole lines only
            if os.fstat(self._file).st_size != size + len(data):
                os.ftruncate(self._file, size)
            raise

    def _refusal(self, error: OSError) -> OutputError:
        if isinstance(error, OutputError):
            return error
        return OutputError(f"{self.path} cannot be written: {error.strerror}; give another --out.")
