"""Running jobs that have no result in the ledger yet, and losing none."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sciml.benchmark.executors import Event, Executor, Finished, Lost, Started
from sciml.benchmark.ledger import Ledger
from sciml.benchmark.process import Limits, Outcome
from sciml.errors import OptionError, SchedulerError

__all__ = ["GroupProgress", "Job", "Progress", "run_jobs"]

_PATIENCE = 0.1
_BETWEEN_REPORTS = 0.5


@dataclass(frozen=True)
class Job:
    """One function call with all that determines its result.

    Attributes
    ----------
    key : str
        Unique; the same whenever the same is to be computed.
    label : str
        For people.
    group : str
        Row of the live table; jobs of one group are expected to take about as long.
    function, payload, limits
        See :func:`~sciml.benchmark.process.run_limited`.
    about : dict
        JSON values, written beside the outcome.
    """

    key: str
    label: str
    group: str
    function: str
    payload: dict[str, Any]
    limits: Limits
    about: dict[str, Any]


@dataclass(frozen=True)
class GroupProgress:
    """How far one group is; `failed` of the `done` ones have no result."""

    done: int
    failed: int
    running: int
    total: int


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    groups : dict
        Group → how far it is, in the order in which groups come first.
    running : tuple of str
        Labels.
    elapsed : float
        Seconds since these jobs were taken up.
    remaining : float
        Seconds that the rest is expected to take: as long as others of the same group took, and where there are none,
        the share of their limits that all others used.
    """

    groups: dict[str, GroupProgress]
    running: tuple[str, ...]
    elapsed: float
    remaining: float

    @property
    def all(self) -> GroupProgress:
        """All groups together."""
        rows = list(self.groups.values())
        return GroupProgress(*(sum(getattr(row, name) for row in rows) for name in GroupProgress.__annotations__))


def run_jobs(
    jobs: Sequence[Job],
    ledger: Ledger,
    executor: Executor,
    report: Callable[[Progress], None] | None = None,
    *,
    retry_failed: bool = False,
    budget_seconds: float | None = None,
) -> dict[str, dict[str, Any]]:
    """Run all jobs that are not finished, in the order given, and record every attempt.

    A job that fails is finished. Attempts that were interrupted or lost with their worker are recorded and made again,
    those lost three times excepted. On SIGINT and SIGTERM all processes are ended, their attempts recorded as
    interrupted, and KeyboardInterrupt raised.

    Parameters
    ----------
    jobs : sequence of Job
    ledger : Ledger
        With a session begun.
    executor : Executor
    report : callable, optional
        Takes a :class:`Progress`, twice a second and at the end.
    retry_failed : bool
        Run jobs without a result again, once.
    budget_seconds : float, optional
        CPU seconds of the ledger's session after which no further job is handed out.

    Returns
    -------
    dict
        Key → line of the attempt that finished the job, for all jobs; without those that the budget left over.

    Raises
    ------
    OptionError
        Two jobs have one key, or one holds what is not JSON.
    OutputError
        The ledger cannot be written to.
    SchedulerError
        See :class:`~sciml.benchmark.executors.DaskExecutor`.
    """
    _check(jobs)
    run = _Run(jobs, ledger, executor, retry_failed, budget_seconds)
    with _noted_signals() as interrupted:
        reported = -float("inf")
        try:
            run.record_unfinished()
            while run.goes_on():
                if interrupted.is_set():
                    raise KeyboardInterrupt
                run.step()
                if report is not None and (time.monotonic() > reported + _BETWEEN_REPORTS or not run.goes_on()):
                    report(run.progress())
                    reported = time.monotonic()
        except KeyboardInterrupt:
            run.interrupt()
            raise
        except BaseException:
            with suppress(SchedulerError):
                executor.stop()
            raise
    return run.finished


def _check(jobs: Sequence[Job]) -> None:
    twice = [key for key, count in Counter(job.key for job in jobs).items() if count > 1]
    if twice:
        labels = " and ".join(repr(job.label) for job in jobs if job.key == twice[0])
        raise OptionError(f"{labels} are one and the same job (key {twice[0]}); give each once.")
    for job in jobs:
        try:
            json.dumps([job.payload, job.about], allow_nan=False)
        except (TypeError, ValueError) as error:
            raise OptionError(f"The job {job.label!r} must hold finite JSON values only, but {error}.") from error


@contextmanager
def _noted_signals() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM set an event, so that neither comes between a line and what is known of it."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {number: signal.signal(number, lambda *_: event.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Run:
    """Jobs that wait, jobs that the executor has, and what the ledger is told."""

    def __init__(
        self,
        jobs: Sequence[Job],
        ledger: Ledger,
        executor: Executor,
        retry_failed: bool,
        budget_seconds: float | None,
    ) -> None:
        self._budget = budget_seconds
        self._jobs = {job.key: job for job in jobs}
        self._ledger, self._executor = ledger, executor
        self._waiting = deque(job for job in jobs if not self._is_finished(job, retry_failed))
        self._taken: dict[str, Job] = {}
        self._since: dict[str, float] = {}
        self._begin = time.monotonic()
        again = {job.key for job in self._waiting}
        self._done = {key: ledger.finished[key] for key in self._jobs if key not in again}

    def _is_finished(self, job: Job, retry_failed: bool) -> bool:
        line = self._ledger.finished.get(job.key)
        return line is not None and not (retry_failed and line["reason"] is not None)

    def goes_on(self) -> bool:
        """Whether there is anything left to do."""
        return bool(self._taken or (self._waiting and not self._is_spent()))

    def _is_spent(self) -> bool:
        return self._budget is not None and self._ledger.cpu_seconds >= self._budget

    @property
    def finished(self) -> dict[str, dict[str, Any]]:
        """Key → line, in the order of the jobs."""
        return {key: self._done[key] for key in self._jobs if key in self._done}

    def record_unfinished(self) -> None:
        """Attempts that a runner began before it was killed."""
        for key, job in self._jobs.items():
            if self._ledger.unfinished_start(key):
                self._record(job, _without_result("interrupted", "The runner was ended before this attempt."), None)

    def step(self) -> None:
        """Hand out what can be handed out, and take in what has come."""
        while self._waiting and not self._is_spent() and self._executor.capacity() > 0:
            job = self._waiting.popleft()
            if not self._executor.announces:
                self._start(job.key)
            self._taken[job.key] = job
            self._executor.submit(job)
        for event in self._executor.wait(_PATIENCE):
            self._take_in(event)

    def _take_in(self, event: Event) -> None:
        job = self._taken.get(event.key)
        if job is None:  # given up meanwhile
            return
        if isinstance(event, Started):
            self._start(event.key)
        elif isinstance(event, Finished):
            del self._taken[event.key]
            self._record(job, event.outcome, event.host)
        else:
            self._lose(job, event)

    def _start(self, key: str) -> None:
        self._ledger.start(key)
        self._since[key] = time.monotonic()

    def _lose(self, job: Job, event: Lost) -> None:
        if not self._ledger.unfinished_start(job.key):  # lost before its start was heard of
            self._start(job.key)
        seconds = time.monotonic() - self._since[job.key]
        where = "" if event.host is None else f" on {event.host}"
        message = f"The worker{where} was lost {seconds:.1f} s after the start."
        self._record(job, _without_result("worker_lost", message, seconds), event.host)
        if job.key in self._done:
            del self._taken[job.key]
            self._executor.give_up(job.key)
        elif not event.runs_again:
            del self._taken[job.key]
            self._waiting.appendleft(job)

    def _record(self, job: Job, outcome: Outcome, host: str | None) -> None:
        self._since.pop(job.key, None)
        line = self._ledger.attempt(job.key, outcome, job.about, host)
        if self._ledger.finished.get(job.key) is line:
            self._done[job.key] = line

    def interrupt(self) -> None:
        """End everything, and record what was finished until then and what was not."""
        for event in self._executor.stop():
            self._take_in(event)
        for key in list(self._taken):
            if self._ledger.unfinished_start(key):
                seconds = time.monotonic() - self._since[key]
                outcome = _without_result("interrupted", f"Interrupted after {seconds:.1f} s.", seconds)
                self._record(self._jobs[key], outcome, None)

    def progress(self) -> Progress:
        """How far it is."""
        rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for key, job in self._jobs.items():
            row = rows[job.group]
            row["total"] += 1
            row["running"] += key in self._since
            row["done"] += key in self._done
            row["failed"] += key in self._done and self._done[key]["reason"] is not None
        return Progress(
            groups={
                name: GroupProgress(*(row[k] for k in GroupProgress.__annotations__)) for name, row in rows.items()
            },
            running=tuple(self._jobs[key].label for key in self._since),
            elapsed=time.monotonic() - self._begin,
            remaining=self._remaining(),
        )

    def _remaining(self) -> float:
        took: defaultdict[str, list[float]] = defaultdict(list)
        limits = 0.0
        for key, line in self._done.items():
            took[self._jobs[key].group].append(line["wall_seconds"])
            limits += self._jobs[key].limits.cpu_seconds
        share = sum(map(sum, took.values())) / limits if limits else 1.0
        mean = {group: sum(seconds) / len(seconds) for group, seconds in took.items()}
        now, left = time.monotonic(), 0.0
        for key, job in self._jobs.items():
            if key not in self._done:
                expected = mean.get(job.group, share * job.limits.cpu_seconds)
                left += max(0.0, expected - (now - self._since.get(key, now)))
        return left / max(1, self._executor.slots)


def _without_result(reason: str, message: str, seconds: float = 0.0) -> Outcome:
    return Outcome(None, reason, message, wall_seconds=seconds, cpu_seconds=0.0, peak_memory=0, overhead_seconds=0.0)
