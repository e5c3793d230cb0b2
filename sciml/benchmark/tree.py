"""Looking at a process with all that descend from it, and ending them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass

__all__ = ["Tree"]

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_FORGET_AFTER = 64


@dataclass(frozen=True)
class _Process:
    """What ``/proc/PID/stat`` says."""

    parent: int
    session: int
    ended: bool
    cpu_seconds: float
    memory: int


class Tree:
    """A process and its descendants, by ``/proc``; where a system has none, nothing is seen but the root.

    Parameters
    ----------
    root : int
        A process that leads a session of its own.

    Attributes
    ----------
    memory, peak_memory : int
        Resident bytes of all together at the last look, and the most that was seen; shared pages count once for each.
    cpu_seconds : float
        Of all, those that have ended and were waited for included; to one tick (10 ms).
    """

    def __init__(self, root: int) -> None:
        self.root = root
        self.memory = self.peak_memory = 0
        self.cpu_seconds = 0.0
        self._members = {root}
        self._others: set[str] = set()
        self._looks = 0

    def look(self) -> list[int]:
        """Read all of them anew; the processes that have not ended."""
        self._looks += 1
        if self._looks % _FORGET_AFTER == 0:  # numbers of processes are used again
            self._others.clear()
        found = self._read()
        ours = self._ours(found)
        self._others |= {str(number) for number in found.keys() - ours.keys()}
        self._members = {self.root, *ours}
        self.memory = sum(process.memory for process in ours.values())
        self.peak_memory = max(self.peak_memory, self.memory)
        self.cpu_seconds = max(self.cpu_seconds, sum(process.cpu_seconds for process in ours.values()))
        return [number for number, process in ours.items() if not process.ended]

    def kill(self, patience: float = 5.0) -> None:
        """End all of them, also those that are started meanwhile."""
        end = time.monotonic() + patience
        # The root is not waited for by whoever calls this, so its number stays its own.
        for number in [self.root, *self.look()]:
            _kill(number)
        while (alive := self.look()) and time.monotonic() < end:
            for number in alive:
                _kill(number)
            time.sleep(0.002)

    def kill_descendants(self) -> None:
        """End what the root left behind when it ended; for after it was waited for."""
        while alive := [number for number in self.look() if number != self.root]:
            for number in alive:
                _kill(number)
            time.sleep(0.002)

    def _read(self) -> dict[int, _Process]:
        try:
            names = os.listdir("/proc")
        except OSError:
            return {}
        found = {}
        for name in names:
            if name.isdigit() and name not in self._others:
                with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
                    found[int(name)] = _read_stat(name)
        return found

    def _ours(self, found: dict[int, _Process]) -> dict[int, _Process]:
        ours = {n: p for n, p in found.items() if n in self._members or p.session == self.root}
        while more := {n: p for n, p in found.items() if n not in ours and p.parent in ours}:
            ours |= more
        return ours


def _read_stat(name: str) -> _Process:
    with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
        # The command's name, in parentheses, may hold anything.
        fields = file.read().rpartition(")")[2].split()
    return _Process(
        parent=int(fields[1]),
        session=int(fields[3]),
        ended=fields[0] in "ZX",
        cpu_seconds=_TICK * sum(map(int, fields[11:15])),
        memory=_PAGE * int(fields[21]),
    )


def _kill(number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(number, signal.SIGKILL)
