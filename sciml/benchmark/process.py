"""One function in a process of its own, under limits of time and memory."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from sciml.benchmark import child
from sciml.benchmark.tree import Tree
from sciml.errors import OptionError, OutputError
from sciml.launching import RANKS, mpiexec, unlaunched

__all__ = ["REASONS", "Limits", "Outcome", "run_limited"]

REASONS = (
    "memory", "time", "error", "crashed", "not_finite", "diverged", "unsupported", "interrupted", "worker_lost",
)  # fmt: skip
"""Why an attempt has no result."""

_GIB = 2**30
_THREADS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)  # fmt: skip
_SHORTEST_POLL, _LONGEST_POLL = 0.005, 0.04
_PATIENCE_AT_EXIT = 10.0
_TAIL_LINES = 12


@dataclass(frozen=True)
class Limits:
    """What a process may use.

    Attributes
    ----------
    cpu_seconds : float
        Of all its threads and children, imports included, on this machine; see :meth:`scaled`.
    memory : float
        Resident GiB of the process and its children, imports included.
    threads : int
        Of each process.
    wall_seconds : float or None
        None: 4 × `cpu_seconds` + 60, since machines are shared, and since what hangs uses no CPU seconds.
    processes : int
        More than one run under this environment's ``mpiexec``; the first one's result counts.

    Raises
    ------
    OptionError
        A limit that is not positive.
    """

    cpu_seconds: float
    memory: float
    threads: int = 1
    wall_seconds: float | None = None
    processes: int = 1

    def __post_init__(self) -> None:
        for name in ("cpu_seconds", "memory", "threads", "wall_seconds", "processes"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise OptionError(f"The limit {name} = {value} must be a positive number.")

    @property
    def longest(self) -> float:
        """Wall seconds after which the process is ended."""
        return 4 * self.cpu_seconds + 60 if self.wall_seconds is None else self.wall_seconds

    def scaled(self, factor: float) -> Limits:
        """Limits of time for a machine that needs `factor` times as long."""
        wall = None if self.wall_seconds is None else factor * self.wall_seconds
        return replace(self, cpu_seconds=factor * self.cpu_seconds, wall_seconds=wall)


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt.

    Attributes
    ----------
    result : dict or None
        What the function returned; None where it failed.
    reason : str or None
        None, or one of :data:`REASONS`.
    message : str
        One sentence for people; empty where all is well.
    wall_seconds, cpu_seconds : float
        Of the whole process and its children.
    peak_memory : int
        Resident bytes, imports included.
    overhead_seconds : float
        Wall seconds spent outside of imports and the function: start-up, hand-over, watching, clearing up.
    """

    result: dict[str, Any] | None
    reason: str | None
    message: str
    wall_seconds: float
    cpu_seconds: float
    peak_memory: int
    overhead_seconds: float


def run_limited(
    function: str, payload: dict[str, Any], limits: Limits, *, stop: Callable[[], bool] | None = None
) -> Outcome:
    """Call a function in a fresh process and watch that it keeps to its limits.

    The process is ended with all its children when it exceeds one, and when the process that called this dies.

    Parameters
    ----------
    function : str
        ``"package.module:name"`` or ``"/path/file.py:name"``; it takes the payload and returns a dictionary of JSON
        values, all finite.
    payload : dict
        JSON values. Where ``payload["placement"]["device"]`` is not the CPU, only resident memory is limited, since
        drivers of other devices map more than they use.
    limits : Limits
    stop : callable, optional
        Looked at while the process runs; true ends it as ``"interrupted"``.

    Returns
    -------
    Outcome
        Whatever happens inside of the process is an outcome and never an exception.

    Raises
    ------
    OptionError
        The payload is not JSON.
    MissingPackageError
        Several processes are asked for where there is no ``mpiexec``.
    OutputError
        The temporary folder, by which the two processes talk, cannot be written to or is full.
    """
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sciml-cell-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        _write_request(folder, function, payload, limits)
        process = _start(folder, limits)
        watch = _Watch(process, folder, limits, stop)
        try:
            watch.until_end()
        finally:
            watch.clear_up()
        return watch.outcome(begin)


def _write_request(folder: Path, function: str, payload: dict[str, Any], limits: Limits) -> None:
    on_cpu = payload.get("placement", {}).get("device", "cpu") == "cpu"
    request = {
        "function": function,
        "payload": payload,
        "threads": limits.threads,
        "ranks": RANKS,
        "path": [entry or os.getcwd() for entry in sys.path],
        "cpu_backstop": math.ceil(1.2 * limits.cpu_seconds + 5),
        # Writable memory is more than what is resident: stacks of threads, arenas, arrays that are not filled yet.
        "data_backstop": int((limits.memory + 1 + limits.threads / 16) * _GIB) if on_cpu else None,
    }
    try:
        text = json.dumps(request, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise OptionError(f"The payload for {function} must hold finite JSON values only, but {error}.") from error
    try:
        (folder / child.REQUEST).write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(error.strerror) from error


def _unwritable(why: object) -> OutputError:
    return OutputError(
        f"The temporary folder {tempfile.gettempdir()} cannot be written to ({why}); make room there or set TMPDIR."
    )


def _start(folder: Path, limits: Limits) -> subprocess.Popen[bytes]:
    pinned = dict.fromkeys(_THREADS, str(limits.threads))
    environment = unlaunched(dict(os.environ)) | pinned | {"PYTHONHASHSEED": "0", "PYTHONFAULTHANDLER": "1"}
    launcher = [mpiexec(), "-n", str(limits.processes)] if limits.processes > 1 else []
    # By its path and with -P: neither the package nor the folder of this file is imported from at start-up.
    command = [sys.executable, "-P", str(Path(child.__file__).resolve()), str(folder), str(os.getpid()), *launcher]
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


class _Tail:
    """The last lines of a stream, read as they come so that the writer never waits."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lines: deque[bytes] = deque(maxlen=_TAIL_LINES)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            for line in iter(lambda: self._stream.readline(2000), b""):
                if line.strip():
                    self._lines.append(line)

    def text(self) -> str:
        """The lines on one line."""
        self._thread.join(timeout=1.0)
        return " | ".join(line.decode("utf-8", "replace").strip() for line in list(self._lines))


class _Watch:
    """A running process, its limits, and what is known of it."""

    def __init__(
        self, process: subprocess.Popen[bytes], folder: Path, limits: Limits, stop: Callable[[], bool] | None
    ) -> None:
        assert process.stderr is not None
        self._process, self._folder, self._limits, self._stop = process, folder, limits, stop
        self._tree = Tree(process.pid)
        self._tail = _Tail(process.stderr)
        self._start = time.monotonic()
        self._verdict: tuple[str, str] | None = None
        self._end = self._start
        self._cpu_seconds = 0.0

    def until_end(self) -> None:
        """Look until the process ends or has to be ended."""
        pause, returned = _SHORTEST_POLL, None
        while not self._has_ended():
            self._tree.look()
            if returned is None and (self._folder / child.OUTCOME).exists():
                returned = time.monotonic()
            if returned is None:
                self._verdict = self._exceeded()
                if self._verdict is not None:
                    return
            elif time.monotonic() - returned > _PATIENCE_AT_EXIT:
                return
            time.sleep(pause)
            pause = min(1.2 * pause, _LONGEST_POLL)

    def _has_ended(self) -> bool:
        if self._process.returncode is None:
            number, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if number:
                self._set_ended(status, usage.ru_utime + usage.ru_stime)
        return self._process.returncode is not None

    def _set_ended(self, status: int, cpu_seconds: float) -> None:
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._cpu_seconds = cpu_seconds

    def _exceeded(self) -> tuple[str, str] | None:
        """Reason and message where a limit is."""
        limits, tree = self._limits, self._tree
        wall = time.monotonic() - self._start
        if tree.memory > limits.memory * _GIB:
            return "memory", f"Ended at {tree.memory / _GIB:.2f} GiB of memory; the limit is {limits.memory:g} GiB."
        if tree.cpu_seconds > limits.cpu_seconds:
            return "time", f"Ended after {tree.cpu_seconds:.1f} CPU seconds; the limit is {limits.cpu_seconds:.4g}."
        if wall > limits.longest:
            return "time", (
                f"Ended after {wall:.1f} s with {tree.cpu_seconds:.1f} CPU seconds used; the limit is "
                f"{limits.longest:.4g} s."
            )
        if self._stop is not None and self._stop():
            return "interrupted", f"Ended after {wall:.1f} s, since the run was interrupted."
        return None

    def clear_up(self) -> None:
        """End whatever still runs, and wait for it."""
        self._end = time.monotonic()
        if not self._has_ended():
            self._tree.kill()
            _, status, usage = os.wait4(self._process.pid, 0)
            self._set_ended(status, usage.ru_utime + usage.ru_stime)
        self._tree.kill_descendants()

    def outcome(self, begin: float) -> Outcome:
        """What became of it."""
        told = self._told()
        peak = max(self._tree.peak_memory, told.get("peak_memory", 0))
        result, reason, message = told.get("result"), told.get("reason"), told.get("message", "")
        if not told and self._process.returncode == child.UNWRITABLE:
            raise _unwritable(self._tail.text())
        if not told:
            reason, message = self._verdict or self._crash()
        elif reason is None and peak > self._limits.memory * _GIB:
            result, reason = None, "memory"
            message = f"It took {peak / _GIB:.2f} GiB of memory; the limit is {self._limits.memory:g} GiB."
        wall = time.monotonic() - begin
        return Outcome(
            result=result,
            reason=reason,
            message=message,
            wall_seconds=wall,
            cpu_seconds=max(self._cpu_seconds, self._tree.cpu_seconds),
            peak_memory=peak,
            overhead_seconds=max(0.0, wall - self._work(told)),
        )

    def _told(self) -> dict[str, Any]:
        try:
            return json.loads((self._folder / child.OUTCOME).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def _work(self, told: dict[str, Any]) -> float:
        """Wall seconds in imports and the function, as the process told or until it was ended."""
        if told:
            return told["import_seconds"] + told["function_seconds"]
        with contextlib.suppress(OSError, ValueError):
            return self._end - float((self._folder / child.BEGUN).read_text(encoding="utf-8"))
        return 0.0

    def _crash(self) -> tuple[str, str]:
        code = self._process.returncode
        if code == -signal.SIGXCPU:
            return "time", f"Ended by the system after {self._cpu_seconds:.1f} CPU seconds."
        if code < 0:
            hint = " (the system may have run out of memory)" if code == -signal.SIGKILL else ""
            what = f"The process was ended by {_signal_name(-code)}{hint}"
        else:
            what = f"The process ended with exit code {code} and no result"
        tail = self._tail.text()
        return "crashed", f"{what}; its last words: {tail}" if tail else f"{what}."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
