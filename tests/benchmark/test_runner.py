"""Jobs run once, in order, under their limits; what fails harms nothing else."""

from __future__ import annotations

import dataclasses
import threading

import pytest

from sciml.benchmark.executors import Finished, LocalPool, Lost, Started
from sciml.benchmark.ledger import read_ledger
from sciml.benchmark.process import Limits, Outcome
from sciml.benchmark.runner import run_jobs
from sciml.errors import OptionError, OutputError

SMALL = Limits(cpu_seconds=0.5, memory=0.1, wall_seconds=60)
HANGING = Limits(cpu_seconds=10, memory=0.1, wall_seconds=1)


class Scripted:
    """An executor that tells, for each submission of a job, what a script says."""

    slots = 1

    def __init__(self, script, announces=True):
        self.announces = announces
        self._script = {key: list(turns) for key, turns in script.items()}
        self._events = []
        self.submitted, self.given_up, self.stopped = [], [], 0

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.stop()

    def capacity(self):
        return 1 - len(self._events)

    def submit(self, job):
        self.submitted.append(job.key)
        self._events += self._script[job.key].pop(0)

    def wait(self, seconds):
        events, self._events = self._events, []
        return events

    def give_up(self, key):
        self.given_up.append(key)

    def stop(self):
        self.stopped += 1
        return self.wait(0)


def finished(key, reason=None, seconds=1.0):
    result = {"value": 1} if reason is None else None
    return Finished(key, Outcome(result, reason, reason or "", seconds, 1.0, 1, 0.0), "here")


def test_failures_of_all_kinds_harm_nothing_else(make_job, open_ledger, tmp_path):
    jobs = [
        make_job("first"),
        make_job("memory", "fills_memory", limits=SMALL),
        make_job("hang", "hangs", limits=HANGING),
        make_job("cpu", "burns", limits=SMALL),
        make_job("raises", "raises"),
        make_job("nan", "not_finite", value="nan"),
        make_job("segfault", "segmentation_fault"),
        make_job("exits", "exits"),
        make_job("last"),
    ]
    with open_ledger() as ledger, LocalPool(2) as pool:
        lines = run_jobs(jobs, ledger, pool)
    assert list(lines) == [job.key for job in jobs]
    assert {key: line["reason"] for key, line in lines.items()} == {
        "first": None, "memory": "memory", "hang": "time", "cpu": "time", "raises": "error", "nan": "not_finite",
        "segfault": "crashed", "exits": "crashed", "last": None,
    }  # fmt: skip
    assert lines["first"]["result"]["value"] != lines["last"]["result"]["value"]
    assert all(line["message"] for line in lines.values() if line["reason"])
    assert all(line["stage"] == "test" and line["host"] for line in lines.values())
    assert all(0 < line["overhead_seconds"] <= line["wall_seconds"] for line in lines.values())
    written = [line for line in read_ledger(tmp_path / "run") if line["kind"] == "attempt"]
    assert sorted(line["key"] for line in written) == sorted(lines)


def test_what_is_finished_is_not_run_again(make_job, open_ledger):
    jobs = [make_job("good"), make_job("bad")]
    script = {"good": [[Started("good", "here"), finished("good")]],
              "bad": [[Started("bad", "here"), finished("bad", "diverged")]]}  # fmt: skip
    with open_ledger() as ledger:
        first = run_jobs(jobs, ledger, Scripted(script))
    with open_ledger() as ledger:
        nothing = Scripted({})
        assert run_jobs(jobs, ledger, nothing) == first
        assert nothing.submitted == []
        again = Scripted({"bad": [[Started("bad", "here"), finished("bad")]]})
        lines = run_jobs(jobs, ledger, again, retry_failed=True)
        assert again.submitted == ["bad"]
        assert (lines["bad"]["reason"], lines["bad"]["attempt"]) == (None, 2)


def test_order_is_that_given(make_job, open_ledger):
    keys = ["d", "a", "c", "b"]
    executor = Scripted({key: [[finished(key)]] for key in keys}, announces=False)
    with open_ledger() as ledger:
        assert list(run_jobs([make_job(key) for key in keys], ledger, executor)) == keys
    assert executor.submitted == keys


def test_one_key_twice(make_job, open_ledger, tmp_path):
    jobs = [make_job("a"), make_job("b"), dataclasses.replace(make_job("a"), label="the other")]
    with open_ledger() as ledger, pytest.raises(OptionError, match="'job a' and 'the other' are one and the same job"):
        run_jobs(jobs, ledger, Scripted({}))
    assert len(read_ledger(tmp_path / "run")) == 2


def test_what_is_not_json_is_refused_before_work(make_job, open_ledger, tmp_path):
    with open_ledger() as ledger, pytest.raises(OptionError, match="'job b' must hold finite JSON"):
        run_jobs([make_job("a"), make_job("b", x=float("inf"))], ledger, Scripted({}))
    assert len(read_ledger(tmp_path / "run")) == 2


def test_a_start_without_an_end_is_recorded_as_interrupted(make_job, open_ledger, tmp_path):
    with open_ledger() as ledger:
        ledger.start("a")
    with open_ledger() as ledger:
        lines = run_jobs([make_job("a")], ledger, Scripted({"a": [[finished("a")]]}, announces=False))
    assert lines["a"]["attempt"] == 2
    interrupted = [line for line in read_ledger(tmp_path / "run") if line.get("reason") == "interrupted"]
    assert [(line["key"], line["attempt"], line["session"]) for line in interrupted] == [("a", 1, 1)]
    assert interrupted[0]["stage"] == "test"


def test_lost_workers(make_job, open_ledger, tmp_path):
    """Each loss is an attempt with its host; the third one ends the job, wherever the first ones were."""
    turns = [
        [Started("a", "one"), Lost("a", "one", runs_again=True), Started("a", "two"), Lost("a", "two", runs_again=False)],
        [Started("a", "three"), finished("a")],
    ]  # fmt: skip
    with open_ledger() as ledger:
        lines = run_jobs([make_job("a")], ledger, Scripted({"a": turns}))
    assert (lines["a"]["reason"], lines["a"]["attempt"], lines["a"]["host"]) == (None, 3, "here")
    attempts = [line for line in read_ledger(tmp_path / "run") if line["kind"] == "attempt"]
    assert [(line["reason"], line["host"]) for line in attempts[:2]] == [("worker_lost", "one"), ("worker_lost", "two")]

    turns = [[Lost("b", None, runs_again=True), Started("b", "two"), Lost("b", "two", runs_again=True),
              Started("b", "three"), Lost("b", "three", runs_again=True), Started("b", "four"), finished("b")]]  # fmt: skip
    executor = Scripted({"b": turns})
    with open_ledger() as ledger:
        lines = run_jobs([make_job("b")], ledger, executor)
    assert (lines["b"]["reason"], lines["b"]["attempt"]) == ("worker_lost", 3)
    assert executor.given_up == ["b"]


def test_a_full_disk_ends_the_run_and_all_processes(make_job, open_ledger, tmp_path, monkeypatch, all_end):
    (tmp_path / "pids").mkdir()
    jobs = [make_job(f"key{k}", seconds=0.2 if k < 2 else 600.0, pids=str(tmp_path / "pids")) for k in range(4)]
    with open_ledger() as ledger, LocalPool(2) as pool:
        append = ledger._append

        def full_after_two(line):
            if line["kind"] == "attempt" and len(ledger.finished) == 1:
                raise OutputError("the disk is full")
            append(line)

        monkeypatch.setattr(ledger, "_append", full_after_two)
        with pytest.raises(OutputError, match="the disk is full"):
            run_jobs(jobs, ledger, pool)
        assert all_end([int(path.name) for path in (tmp_path / "pids").iterdir()], 0.0) == []
    kept = [line["key"] for line in read_ledger(tmp_path / "run") if line["kind"] == "attempt"]
    assert len(kept) == 1


def test_an_error_of_the_report_ends_all_processes(make_job, open_ledger, tmp_path, all_end):
    (tmp_path / "pids").mkdir()
    job = make_job("a", seconds=600.0, pids=str(tmp_path / "pids"))

    def report(progress):
        if list((tmp_path / "pids").iterdir()):
            raise ZeroDivisionError

    with open_ledger() as ledger, LocalPool(1) as pool, pytest.raises(ZeroDivisionError):
        run_jobs([job], ledger, pool, report)
    assert all_end([int(path.name) for path in (tmp_path / "pids").iterdir()], 0.0) == []


def test_a_runner_in_a_thread(make_job, open_ledger):
    """No signals are noted there, and all else is the same."""
    found = {}

    def target():
        with open_ledger() as ledger, LocalPool(1) as pool:
            found.update(run_jobs([make_job("a")], ledger, pool))

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    assert found["a"]["reason"] is None


def test_progress_and_remaining_time(make_job, open_ledger):
    """As long as others of the group took; without any, the share of their limits that all others used."""
    limits = Limits(cpu_seconds=100, memory=1)
    jobs = [make_job(key, group=group, limits=limits) for key, group in
            [("a0", "A"), ("a1", "A"), ("a2", "A"), ("b0", "B"), ("b1", "B")]]  # fmt: skip
    seconds = {"a0": 10.0, "a1": 20.0, "a2": 15.0, "b0": 40.0, "b1": 30.0}
    reports = []

    class Slow(Scripted):
        """One event a report."""

        def wait(self, seconds):
            event, self._events = self._events[:1], self._events[1:]
            return event

    script = {key: [[finished(key, "error" if key == "a1" else None, s)]] for key, s in seconds.items()}
    with open_ledger() as ledger, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sciml.benchmark.runner._BETWEEN_REPORTS", 0.0)
        run_jobs(jobs, ledger, Slow(script, announces=False), reports.append)
    assert [report.all.done for report in reports] == [1, 2, 3, 4, 5]
    assert [report.all.failed for report in reports] == [0, 1, 1, 1, 1]
    expected = [10 * 4, 15 + 2 * 15, 2 * 15, 40, 0]  # the share after a1: 30 of 200 CPU seconds, of B's limits 15 each
    assert [report.remaining for report in reports] == pytest.approx(expected)
    assert list(reports[0].groups) == ["A", "B"]
    assert (reports[-1].groups["A"].done, reports[-1].groups["A"].total, reports[-1].running) == (3, 3, ())


def test_pools_of_none():
    with pytest.raises(OptionError, match="1 or more"):
        LocalPool(0)
