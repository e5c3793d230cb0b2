"""One function in a process of its own: whatever happens inside is an outcome with a typed reason."""

from __future__ import annotations

import os
import re
import time

import pytest
import torch

from sciml import errors
from sciml.benchmark.child import classify
from sciml.benchmark.process import REASONS, Limits, run_limited
from sciml.errors import OptionError
from sciml.launching import mpiexec

ENOUGH = Limits(cpu_seconds=30, memory=1, wall_seconds=60)
MIB = 2**20


def test_a_result(cheap):
    outcome = run_limited(cheap("digest"), {"x": 3, "seconds": 0.3}, ENOUGH)
    assert outcome.reason is None
    assert outcome.message == ""
    assert outcome.result["value"] > 1
    assert outcome.wall_seconds > 0.3
    assert 0 < outcome.cpu_seconds < outcome.wall_seconds
    assert 5 * MIB < outcome.peak_memory < 100 * MIB
    assert 0 < outcome.overhead_seconds <= outcome.wall_seconds - 0.3


def test_the_process_is_fresh_and_pinned(cheap, monkeypatch):
    """Threads as asked for, nothing imported, a session of its own, no trace of a launcher."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("PMI_RANK", "1")
    outcome = run_limited(cheap("environment"), {}, Limits(30, 1, threads=3))
    told = outcome.result
    assert told["environment"] == {
        "OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3", "PYTHONHASHSEED": "0",
        "PMI_RANK": None,
    }  # fmt: skip
    assert told["heavy"] == []
    assert told["session"] != os.getsid(0)


@pytest.mark.slow
def test_torch_is_pinned(cheap):
    assert run_limited(cheap("torch_threads"), {}, Limits(60, 2, threads=2)).result == {"threads": 2}


def test_a_function_of_a_package_is_found_as_here():
    outcome = run_limited("json.encoder:JSONEncoder", {}, ENOUGH)
    assert outcome.reason == "error"
    assert "JSONEncoder" in outcome.message


def test_output_is_kept_apart(cheap, capfd):
    assert run_limited(cheap("noisy"), {}, ENOUGH).reason is None
    assert capfd.readouterr() == ("", "")


SMALL = Limits(cpu_seconds=0.5, memory=0.1, wall_seconds=60)


def test_a_hang_uses_no_cpu_seconds(cheap):
    outcome = run_limited(cheap("hangs"), {}, Limits(cpu_seconds=10, memory=0.1, wall_seconds=1))
    assert outcome.reason == "time"
    assert re.match(r"Ended after \S+ s with 0\.\d CPU seconds used; the limit is 1 s\.", outcome.message)


@pytest.mark.parametrize(
    ("name", "payload", "reason", "words"),
    [
        ("burns", {}, "time", "the limit is 0.5"),
        ("fills_memory", {}, "memory", "the limit is 0.1 GiB"),
        ("fills_memory_in_a_child", {}, "memory", "the limit is 0.1 GiB"),
        ("brief_peak", {"bytes": 200 * MIB}, "memory", "the limit is 0.1 GiB"),
        ("huge_allocation", {}, "memory", "Memory ran out"),
        ("out_of_memory_elsewhere", {}, "memory", "assembly failed"),
        ("raises", {}, "error", "ValueError: something is wrong (cheap_jobs.py:"),
        ("not_finite", {"value": "nan"}, "not_finite", "errors.steps[1] of the result is nan"),
        ("not_finite", {"value": "-inf"}, "not_finite", "errors.steps[1] of the result is -inf"),
        ("not_json", {}, "error", "set is not JSON serializable"),
        ("not_a_dictionary", {}, "error", "returned a list"),
        ("segmentation_fault", {}, "crashed", "SIGSEGV"),
        ("exits", {}, "crashed", "exit code 3 and no result; its last words: last words"),
        ("calls_exit", {}, "crashed", "exit code 4"),
        ("no_such_function", {}, "error", "no_such_function"),
    ],
)  # fmt: skip
def test_typed_failures(cheap, name, payload, reason, words):
    outcome = run_limited(cheap(name), payload, SMALL)
    assert outcome.reason == reason
    assert outcome.reason in REASONS
    assert words in outcome.message
    assert outcome.result is None
    assert 0 <= outcome.overhead_seconds <= outcome.wall_seconds


def test_a_process_is_ended_at_its_limits_and_not_before(cheap):
    outcome = run_limited(cheap("fills_memory"), {}, SMALL)
    assert 0.1 * 2**30 < outcome.peak_memory < 1.3 * 2**30
    assert run_limited(cheap("burns"), {}, SMALL).cpu_seconds >= 0.5


def test_a_full_disk_is_no_failure_of_the_function(cheap):
    with pytest.raises(errors.OutputError, match="No space left on device.*make room there or set TMPDIR"):
        run_limited(cheap("finds_the_disk_full"), {}, ENOUGH)


@pytest.mark.slow
def test_errors_of_the_package_in_a_process(cheap):
    outcome = run_limited(cheap("raises_of_sciml"), {"name": "DivergenceError"}, ENOUGH)
    assert (outcome.reason, outcome.message) == ("diverged", "in words")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.DivergenceError("in words"), "diverged"),
        (errors.UnsupportedError("in words"), "unsupported"),
        (errors.ParameterError("in words"), "error"),
        (torch.OutOfMemoryError("in words"), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: in words"), "memory"),
    ],
)
def test_reasons_of_exceptions(error, reason):
    found, message = classify(error)
    assert found == reason
    assert "in words" in message


def test_a_missing_file():
    outcome = run_limited("/nowhere/cell.py:run", {}, ENOUGH)
    assert outcome.reason == "error"
    assert "/nowhere/cell.py" in outcome.message


@pytest.mark.parametrize("seconds", [0.0, 600.0])
def test_nothing_is_left_behind(cheap, tmp_path, all_end, seconds):
    """Children of a process end with it, whether it returns or is ended, and whatever session they are in."""
    payload = {"file": str(tmp_path / "pids"), "seconds": seconds}
    run_limited(cheap("leaves_children"), payload, Limits(cpu_seconds=5, memory=1, wall_seconds=1.5))
    assert all_end(map(int, (tmp_path / "pids").read_text().split()), 1.0) == []


def test_a_result_counts_though_the_process_lingers(cheap, monkeypatch):
    monkeypatch.setattr("sciml.benchmark.process._PATIENCE_AT_EXIT", 0.3)
    outcome = run_limited(cheap("lingers"), {}, ENOUGH)
    assert (outcome.result, outcome.reason) == ({"value": 1}, None)


def test_stopping(cheap):
    end = time.monotonic() + 0.4
    outcome = run_limited(cheap("hangs"), {}, ENOUGH, stop=lambda: time.monotonic() > end)
    assert outcome.reason == "interrupted"


@pytest.mark.parametrize("change", [{"memory": 0}, {"cpu_seconds": -1}, {"threads": 0}, {"wall_seconds": float("inf")}])
def test_limits_that_make_no_sense(change):
    with pytest.raises(OptionError, match="must be a positive number"):
        Limits(**({"cpu_seconds": 1, "memory": 1} | change))


def test_limits():
    assert Limits(10, 1).longest == 100
    assert Limits(10, 1, wall_seconds=7).scaled(2.0) == Limits(20, 1, wall_seconds=14)
    assert Limits(10, 1).scaled(2.0).longest == 140


def test_a_payload_that_is_not_json(cheap):
    with pytest.raises(OptionError, match="finite JSON values only"):
        run_limited(cheap("digest"), {"x": float("nan")}, ENOUGH)


class TestSeveralProcesses:
    @pytest.fixture(autouse=True)
    def launcher(self):
        try:
            mpiexec()
        except ImportError as error:
            pytest.skip(str(error))

    def test_a_result(self, cheap, tmp_path):
        outcome = run_limited(cheap("rank_sum"), {"pids": str(tmp_path)}, Limits(60, 2, processes=2))
        assert (outcome.result, outcome.message) == ({"sum": 3, "size": 2}, "")
        assert len(list(tmp_path.iterdir())) == 2

    @pytest.mark.parametrize("rank", [0, 1])
    def test_one_rank_fails(self, cheap, tmp_path, rank):
        payload = {"pids": str(tmp_path), "fails": rank}
        outcome = run_limited(cheap("rank_sum"), payload, Limits(60, 2, processes=2, wall_seconds=30))
        assert outcome.reason == "error"
        assert f"ValueError: on rank {rank} (cheap_jobs.py:" in outcome.message

    def test_all_ranks_end_at_the_limit(self, cheap, tmp_path, all_end):
        payload = {"pids": str(tmp_path), "seconds": 600.0}
        outcome = run_limited(cheap("rank_sum"), payload, Limits(60, 2, processes=2, wall_seconds=4))
        assert outcome.reason == "time"
        pids = [int(path.name) for path in tmp_path.iterdir()]
        assert len(pids) == 2
        assert all_end(pids, 1.0) == []
