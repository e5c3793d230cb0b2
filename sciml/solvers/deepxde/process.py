"""Two things that a process has once: its standard output, and what SIGTERM does."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TextIO

__all__ = ["muted", "termination_raises"]


class _Muted(io.TextIOBase):
    """Drops what the thread that made it writes, and passes on what other threads write."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream, self._thread = stream, threading.get_ident()

    def write(self, text: str) -> int:
        if self._stream is not None and threading.get_ident() != self._thread:
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None and not self._stream.closed:
            self._stream.flush()


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Drop what this thread prints inside the block; other threads print as before."""
    with contextlib.redirect_stdout(_Muted(sys.stdout)), contextlib.redirect_stderr(_Muted(sys.stderr)):
        yield


class _TerminationError(BaseException):
    """SIGTERM arrived. Not an `Exception`, so that nothing on the way takes it for an error."""


@contextlib.contextmanager
def termination_raises(active: bool) -> Iterator[None]:
    """Turn SIGTERM into an exception, so that the body can save its state; then let the signal act.

    Nothing is changed if `active` is false, outside the main thread (signals arrive there only), or if
    the signal is ignored. A second SIGTERM does not interrupt the saving. Afterwards the previous
    handler is in place again, and the signal is sent once more: by default it ends the process.
    """
    previous = signal.getsignal(signal.SIGTERM)
    main = threading.current_thread() is threading.main_thread()
    if not (active and main) or previous in (signal.SIG_IGN, None):
        yield
        return

    def handler(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _TerminationError

    try:
        signal.signal(signal.SIGTERM, handler)
        yield
    except _TerminationError:
        signal.signal(signal.SIGTERM, previous)
        signal.raise_signal(signal.SIGTERM)
        raise SystemExit(128 + signal.SIGTERM) from None  # a handler of the caller has returned
    finally:
        signal.signal(signal.SIGTERM, previous)
