"""A runner that is ended at any moment goes on where it stopped: none lost, none twice, no process left."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from sciml.benchmark.ledger import read_ledger

N_JOBS = 16
SERVER = Path(__file__).with_name("runner_server.py")


class Server:
    """Runners, one after the other; see ``runner_server.py``."""

    def __init__(self):
        self._process = subprocess.Popen([sys.executable, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def start(self, folder, jobs):
        """Begin to run jobs; the number of the runner's process."""
        self._process.stdin.write(json.dumps([str(folder), jobs]).encode() + b"\n")
        self._process.stdin.flush()
        runner = int(self._process.stdout.readline())
        assert runner > 1
        return runner

    def exit_code(self):
        """Of the runner that was started last."""
        return int(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def jobs(cheap, tmp_path):
    pids = tmp_path / "pids"
    pids.mkdir()
    seconds = [0.05 + 0.05 * (k % 5) for k in range(N_JOBS)]
    payloads = [{"x": k, "seconds": seconds[k], "pids": str(pids)} for k in range(N_JOBS)]
    return [(f"key{k}", cheap("digest"), payload) for k, payload in enumerate(payloads)]


def processes(tmp_path):
    return [int(path.name) for path in (tmp_path / "pids").iterdir()]


def results(lines):
    return {line["key"]: line["result"] for line in lines if line["kind"] == "attempt" and line["reason"] is None}


def check(lines, n=N_JOBS):
    """Every attempt that was begun came to one end, and every job was finished once."""
    kinds = Counter(line["kind"] for line in lines)
    assert kinds["header"] == 1
    assert lines[0]["kind"] == "header"
    begun = [(line["key"], line["attempt"]) for line in lines if line["kind"] == "start"]
    ended = [(line["key"], line["attempt"]) for line in lines if line["kind"] == "attempt"]
    assert len(set(begun)) == len(begun)
    assert sorted(begun) == sorted(ended)
    finished = Counter(line["key"] for line in lines if line["kind"] == "attempt" and line["reason"] is None)
    assert finished == {f"key{k}": 1 for k in range(n)}
    assert {line["reason"] for line in lines if line["kind"] == "attempt"} <= {None, "interrupted"}


def test_ten_kills(server, jobs, tmp_path, all_end):
    server.start(tmp_path / "undisturbed", jobs)
    start = time.monotonic()
    assert server.exit_code() == 0
    needed = time.monotonic() - start
    undisturbed = read_ledger(tmp_path / "undisturbed")
    check(undisturbed)

    draw, codes = random.Random(5), []
    for _ in range(10):
        runner = server.start(tmp_path / "killed", jobs)
        time.sleep(draw.uniform(0.01, 0.13) * needed)
        with suppress(ProcessLookupError):
            os.kill(runner, signal.SIGKILL)
        codes.append(server.exit_code())
        assert all_end(processes(tmp_path)) == []
    # On a machine that becomes faster meanwhile the last runners may have had nothing left to do.
    assert codes.count(-signal.SIGKILL) >= 5
    before = read_ledger(tmp_path / "killed")
    server.start(tmp_path / "killed", jobs)
    assert server.exit_code() == 0

    lines = read_ledger(tmp_path / "killed")
    assert lines[: len(before)] == before
    assert any(line.get("reason") == "interrupted" for line in lines)
    check(lines)
    assert results(lines) == results(undisturbed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_end(server, jobs, tmp_path, all_end, number):
    """Children are ended and their attempts recorded before the runner ends."""
    jobs = jobs[:8]
    runner = server.start(tmp_path / "run", jobs)
    while len(processes(tmp_path)) < 4:
        time.sleep(0.01)
    os.kill(runner, number)
    assert server.exit_code() == 130
    assert all_end(processes(tmp_path), 0.0) == []
    lines = read_ledger(tmp_path / "run")
    interrupted = [line for line in lines if line.get("reason") == "interrupted"]
    assert 1 <= len(interrupted) <= 2
    assert all("interrupted" in line["message"] for line in interrupted)
    started = sum(line["kind"] == "start" for line in lines)
    assert started == sum(line["kind"] == "attempt" for line in lines)

    server.start(tmp_path / "run", jobs)
    assert server.exit_code() == 0
    check(read_ledger(tmp_path / "run"), n=8)
