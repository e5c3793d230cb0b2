"""Ctrl-C and SIGTERM let a training finish its step, so that it can be continued from there."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from sciml.errors import Interrupted

__all__ = ["Interrupts"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Note the first Ctrl-C or SIGTERM instead of being torn out of a step.

    Inside the ``with`` block whoever makes steps looks at `received` between two of them, writes what is to be kept,
    and raises :class:`~sciml.errors.Interrupted`. A second Ctrl-C leaves at once, as ``KeyboardInterrupt``; a second
    SIGTERM changes nothing. At the end of the block the handlers are what they were before. A signal that nobody
    has looked at by then raises `Interrupted` there: none is lost.

    Signals arrive in the main thread only; in others, and for a signal that is ignored or handled outside of Python,
    nothing is changed.

    Examples
    --------
    >>> with Interrupts() as interrupts:
    ...     ending = train(step, state, steps=1000, folder=folder, interrupts=interrupts)
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        self.received = None
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        if kind is None and self.received is not None:
            raise Interrupted(f"Interrupted by {self.received.name}, when the training had ended.", self.received)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            self._restore()
            raise KeyboardInterrupt
        if self.received is None:
            self.received = signal.Signals(number)

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
