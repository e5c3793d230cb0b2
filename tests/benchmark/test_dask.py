"""Jobs on a real cluster of two worker processes: the same results as here, and none lost with a worker."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

import pytest

from sciml.benchmark.executors import DaskExecutor, LocalPool
from sciml.benchmark.ledger import read_ledger
from sciml.benchmark.runner import run_jobs
from sciml.errors import MissingPackageError, SchedulerError

distributed = pytest.importorskip("distributed")

pytestmark = [
    # Sockets and loops of distributed that are closed by the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=logging.CRITICAL
    ) as cluster:
        yield cluster


@pytest.fixture
def pids(tmp_path):
    folder = tmp_path / "pids"
    folder.mkdir()
    return folder


def numbers(folder):
    return [int(path.name) for path in folder.iterdir()]


def workers(cluster):
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def test_typed_failures_come_back(cluster, make_job, open_ledger):
    jobs = [make_job("a", "raises"), make_job("b", "not_finite", value="nan"), make_job("c", "exits"), make_job("d")]
    with open_ledger() as ledger, DaskExecutor(cluster.scheduler_address) as executor:
        lines = run_jobs(jobs, ledger, executor)
    assert [line["reason"] for line in lines.values()] == ["error", "not_finite", "crashed", None]


def test_an_interrupted_run_ends_its_processes_on_the_workers(cluster, make_job, open_ledger, tmp_path, pids, all_end):
    jobs = [make_job(f"key{k}", seconds=600.0, pids=str(pids)) for k in range(4)]

    def interrupt(progress):
        if len(numbers(pids)) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    address = cluster.scheduler_address
    with open_ledger() as ledger, DaskExecutor(address) as executor, pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, ledger, executor, interrupt)
    assert all_end(numbers(pids)) == []
    written = read_ledger(tmp_path / "run")
    assert [line["reason"] for line in written if line["kind"] == "attempt"] == ["interrupted"] * 2


def test_one_of_two_workers_killed_in_the_middle(cluster, make_job, open_ledger, tmp_path, pids, all_end, monkeypatch):
    jobs = [make_job(f"key{k}", seconds=0.3, pids=str(pids)) for k in range(8)]
    victim = workers(cluster)[0]
    threads = []

    def kill(progress):
        if progress.all.done >= 3 and len(progress.running) == 2 and not threads:
            threads.append(victim)
            os.kill(victim, signal.SIGKILL)

    monkeypatch.setattr("sciml.benchmark.runner._BETWEEN_REPORTS", 0.0)
    with open_ledger() as ledger, DaskExecutor(cluster.scheduler_address) as executor:
        lines = run_jobs(jobs, ledger, executor, kill)
    assert threads, "no moment was found at which both workers were busy"
    assert all(line["reason"] is None for line in lines.values())
    written = read_ledger(tmp_path / "run")
    attempts = [line for line in written if line["kind"] == "attempt"]
    lost = [line for line in attempts if line["reason"] == "worker_lost"]
    # with the job that ran, the worker may take one down whose result had not been fetched
    assert len(lost) in (1, 2)
    assert len({line["key"] for line in lost}) == len(lost)
    assert all(line["host"] and "was lost" in line["message"] for line in lost)
    assert sorted(line["key"] for line in attempts if line["reason"] is None) == sorted(job.key for job in jobs)
    assert sum(line["kind"] == "start" for line in written) == len(attempts) == 8 + len(lost)
    assert all_end(numbers(pids)) == []

    with open_ledger(tmp_path / "here") as ledger, LocalPool(2) as pool:
        here = run_jobs(jobs, ledger, pool)
    assert {key: line["result"] for key, line in lines.items()} == {key: line["result"] for key, line in here.items()}


@pytest.mark.slow
def test_a_job_that_takes_its_worker_down_each_time(cluster, make_job, open_ledger, tmp_path, pids):
    """It is given up after three losses, and the others are not."""
    alive = threading.Event()

    def kill_parents():
        seen = set()
        while not alive.wait(0.02):
            for number in set(numbers(pids)) - seen:
                seen.add(number)
                with open(f"/proc/{number}/stat") as file:
                    worker = int(file.read().rpartition(")")[2].split()[1])
                time.sleep(0.2)  # the worker tells that it starts
                os.kill(worker, signal.SIGKILL)

    killer = threading.Thread(target=kill_parents)
    killer.start()
    try:
        jobs = [
            make_job("deadly", seconds=600.0, pids=str(pids)),
            *(make_job(f"key{k}", seconds=0.1) for k in range(3)),
        ]
        with open_ledger() as ledger, DaskExecutor(cluster.scheduler_address) as executor:
            lines = run_jobs(jobs, ledger, executor)
    finally:
        alive.set()
        killer.join()
    assert lines["deadly"]["reason"] == "worker_lost"
    assert all(lines[f"key{k}"]["reason"] is None for k in range(3))
    lost = [line for line in read_ledger(tmp_path / "run") if line.get("reason") == "worker_lost"]
    assert [line["attempt"] for line in lost if line["key"] == "deadly"] == [1, 2, 3]


def test_a_scheduler_that_is_lost(make_job, open_ledger, pids):
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=logging.CRITICAL
    )
    jobs = [make_job(f"key{k}", seconds=0.3, pids=str(pids)) for k in range(20)]
    lost = pytest.raises(SchedulerError, match="was lost; what was recorded is kept")
    with open_ledger() as ledger, lost, DaskExecutor(cluster.scheduler_address) as executor:
        run_jobs(jobs, ledger, executor, lambda progress: cluster.close() if progress.all.done else None)
    with open_ledger() as ledger:
        assert ledger.finished


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "tcp://", ""])
def test_nobody_answers(address):
    with pytest.raises(SchedulerError, match="No Dask scheduler answers at"):
        DaskExecutor(address, patience=0.5)


def test_distributed_is_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(MissingPackageError, match=r'pip install "sciml\[cluster\]"'):
        DaskExecutor("tcp://127.0.0.1:8786")
