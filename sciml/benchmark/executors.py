"""Where jobs run: on this machine, or on the workers of a Dask scheduler."""

from __future__ import annotations

import functools
import queue
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from sciml.benchmark.process import Limits, Outcome, run_limited
from sciml.errors import OptionError, SchedulerError
from sciml.launching import dask_client

if TYPE_CHECKING:
    from sciml.benchmark.runner import Job

__all__ = ["DaskExecutor", "Event", "Executor", "Finished", "LocalPool", "Lost", "Started"]


@dataclass(frozen=True)
class Started:
    """A job began to run."""

    key: str
    host: str | None


@dataclass(frozen=True)
class Finished:
    """A job ended, well or not."""

    key: str
    outcome: Outcome
    host: str | None


@dataclass(frozen=True)
class Lost:
    """An attempt vanished with its worker.

    Attributes
    ----------
    runs_again : bool
        Whether the executor tries it again by itself.
    """

    key: str
    host: str | None
    runs_again: bool


Event = Started | Finished | Lost


class Executor(Protocol):
    """What runs jobs; a context manager that ends them when it is left.

    Attributes
    ----------
    announces : bool
        Whether :class:`Started` tells when a job begins; otherwise it begins when it is submitted.
    """

    announces: bool

    @property
    def slots(self) -> int:
        """How many jobs run side by side."""
        ...

    def capacity(self) -> int:
        """How many more jobs it would take now."""
        ...

    def submit(self, job: Job) -> None:
        """Take a job."""
        ...

    def wait(self, seconds: float) -> list[Event]:
        """What has happened since the last call; waits for something to happen, up to some seconds."""
        ...

    def give_up(self, key: str) -> None:
        """Forget one job."""
        ...

    def stop(self) -> list[Event]:
        """End all jobs; what else has happened until then."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def _drain(events: queue.SimpleQueue[Any], seconds: float) -> list[Any]:
    """All that is in a queue, after waiting for the first."""
    found = []
    try:
        found.append(events.get(timeout=seconds))
        while True:
            found.append(events.get_nowait())
    except queue.Empty:
        return found


class LocalPool:
    """Jobs on this machine, `n` side by side, each in a process of its own.

    Parameters
    ----------
    n : int

    Raises
    ------
    OptionError
        Fewer than one.
    """

    announces = False

    def __init__(self, n: int = 1) -> None:
        if n < 1:
            raise OptionError(f"{n} jobs side by side are not possible; give 1 or more.")
        self._n = n
        self._host = socket.gethostname()
        self._events: queue.SimpleQueue[Finished | Exception] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def slots(self) -> int:
        return self._n

    def capacity(self) -> int:
        return self._n - len(self._threads)

    def submit(self, job: Job) -> None:
        # A process dies with the thread that started it, so each has a thread that outlives it.
        thread = threading.Thread(target=self._run, args=(job,), name=f"cell {job.key}", daemon=True)
        self._threads[job.key] = thread
        thread.start()

    def _run(self, job: Job) -> None:
        try:
            outcome = run_limited(job.function, job.payload, job.limits, stop=self._stop.is_set)
            self._events.put(Finished(job.key, outcome, self._host))
        except Exception as error:
            self._events.put(error)

    def wait(self, seconds: float) -> list[Event]:
        found: list[Event] = []
        for event in _drain(self._events, seconds):
            if isinstance(event, Exception):
                raise event
            self._threads.pop(event.key).join()
            found.append(event)
        return found

    def give_up(self, key: str) -> None:
        """Nothing is tried again here."""

    def stop(self) -> list[Event]:
        self._stop.set()
        for thread in self._threads.values():
            thread.join()
        self._threads.clear()
        self._stop.clear()
        return [event for event in _drain(self._events, 0.0) if isinstance(event, Finished)]


@dataclass
class _Sent:
    """A job on its way through Dask: its future, and the start that was heard of last."""

    future: Any = None
    start: str | None = None
    host: str | None = None
    older: set[str] = field(default_factory=set)


class DaskExecutor:
    """Jobs on the workers of a Dask scheduler, as many at once on each as it has threads.

    A job whose worker is lost is sent to another one by Dask. Each start is told by the worker that makes it, so that a
    second one shows that the first attempt was lost.

    Parameters
    ----------
    address : str
        Of the scheduler, ``"tcp://HOST:PORT"``; any cluster of ``dask-jobqueue`` has one.
    patience : float
        Seconds until a scheduler that does not answer is given up.

    Raises
    ------
    MissingPackageError
        ``distributed`` is not installed.
    SchedulerError
        No scheduler answers; while running: it was lost, or its workers cannot run jobs.
    """

    announces = True

    def __init__(self, address: str, *, patience: float = 5.0) -> None:
        self._address = address
        self._client: Any = dask_client(address, "cells", patience=patience)
        self._topic = f"sciml-{uuid.uuid4().hex}"
        self._messages: queue.SimpleQueue[tuple[str, Any, Any]] = queue.SimpleQueue()
        self._client.subscribe_topic(self._topic, self._hear)
        self._sent: dict[str, _Sent] = {}
        self._slots, self._counted = 0, -float("inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._client.close()

    @property
    def slots(self) -> int:
        seconds_between_counts = 2.0
        if time.monotonic() > self._counted + seconds_between_counts:
            try:
                self._slots = sum(self._client.nthreads().values())
            except (OSError, RuntimeError) as error:
                raise self._lost() from error
            self._counted = time.monotonic()
        return self._slots

    def capacity(self) -> int:
        # A few wait in the scheduler, so that workers never do and a cluster that adapts sees what there is to do.
        return max(4, 2 * self.slots) - len(self._sent)

    def submit(self, job: Job) -> None:
        # A name of its own: an older run of the same job may still be known to the scheduler.
        name = f"{job.key}-{uuid.uuid4().hex}"
        sent = self._sent[job.key] = _Sent()
        sent.future = self._client.submit(
            _run_on_worker, self._topic, job.key, job.function, job.payload, job.limits,
            key=name, pure=False, retries=0,
        )  # fmt: skip
        sent.future.add_done_callback(functools.partial(self._end, job.key))

    def _hear(self, event: tuple[Any, dict[str, str]]) -> None:
        self._messages.put(("start", event[1]["key"], event[1]))

    def _end(self, key: str, future: Any) -> None:
        self._messages.put(("end", key, future))

    def wait(self, seconds: float) -> list[Event]:
        found: list[Event] = []
        for kind, key, content in _drain(self._messages, seconds):
            sent = self._sent.get(key)
            if sent is None:
                continue
            if kind == "start":
                found += self._note_start(key, sent, content["start"], content["host"])
            elif content is sent.future:
                found += self._note_end(key, sent)
        if self._client.status == "closed":
            raise self._lost()
        return found

    def _note_start(self, key: str, sent: _Sent, start: str, host: str) -> list[Event]:
        if start == sent.start or start in sent.older:
            return []
        found: list[Event] = [] if sent.start is None else [Lost(key, sent.host, runs_again=True)]
        if sent.start is not None:
            sent.older.add(sent.start)
        sent.start, sent.host = start, host
        return [*found, Started(key, host)]

    def _note_end(self, key: str, sent: _Sent) -> list[Event]:
        from distributed import KilledWorker

        future = sent.future
        if future.status == "finished":
            outcome, start, host = future.result()
            del self._sent[key]
            found = self._note_start(key, sent, start, host)
            if outcome.reason == "interrupted":  # its worker was told to leave
                return [*found, Lost(key, host, runs_again=False)]
            return [*found, Finished(key, outcome, host)]
        if future.status == "cancelled":
            raise self._lost()
        error = future.exception()
        if isinstance(error, KilledWorker):
            del self._sent[key]
            return [Lost(key, sent.host or getattr(error.last_worker, "host", None), runs_again=False)]
        raise SchedulerError(
            f"The workers of {self._address} cannot run cells ({type(error).__name__}: {error}); give them the same "
            f"environment as this one."
        ) from error

    def _lost(self) -> SchedulerError:
        return SchedulerError(
            f"The Dask scheduler at {self._address} was lost; what was recorded is kept, and the same command goes on "
            f"from there."
        )

    def give_up(self, key: str) -> None:
        sent = self._sent.pop(key, None)
        if sent is not None:
            self._client.cancel([sent.future], force=True)

    def stop(self) -> list[Event]:
        found: list[Event] = []
        if self._client.status == "running":
            found = [event for event in self.wait(0.0) if not isinstance(event, Started)]
            futures = [sent.future for sent in self._sent.values()]
            self._sent.clear()
            self._client.cancel(futures, force=True)
        return found


def _run_on_worker(
    topic: str, key: str, function: str, payload: dict[str, Any], limits: Limits
) -> tuple[Outcome, str, str]:
    """On a worker: tell that the job starts, run it, and say which start this was and where."""
    from distributed import get_worker

    worker = get_worker()
    name = worker.get_current_task()
    start, host = uuid.uuid4().hex, socket.gethostname()
    worker.log_event(topic, {"key": key, "start": start, "host": host})

    def is_cancelled() -> bool:
        """Also when the one who asked for it has gone."""
        task = worker.state.tasks.get(name)
        return task is None or task.state == "cancelled"

    return run_limited(function, payload, limits, stop=is_cancelled), start, host
