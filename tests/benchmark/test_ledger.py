"""The ledger keeps what was recorded, whatever happens to its last line, to the disk or to the process."""

from __future__ import annotations

import errno
import json
import os

import pytest

from sciml.benchmark.ledger import Ledger, read_ledger
from sciml.benchmark.process import Outcome
from sciml.errors import OutputError

GOOD = Outcome({"error": 0.1 + 0.2}, None, "", 1.5, 1.25, 2**28, 0.1)
BAD = Outcome(None, "diverged", "it blew up", 1.5, 1.25, 2**28, 0.1)
LOST = Outcome(None, "worker_lost", "gone", 1.5, 0.0, 0, 0.0)
ABOUT = {"stage": "test", "task": {"key": "a"}, "seed": 3}


def record(ledger, key, outcome=GOOD):
    ledger.start(key)
    return ledger.attempt(key, outcome, ABOUT, "here")


def test_lines(open_ledger, tmp_path):
    with open_ledger() as ledger:
        assert ledger.session == 1
        assert ledger.start("a") == 1
        assert ledger.unfinished_start("a")
        written = ledger.attempt("a", GOOD, ABOUT, "here")
        assert not ledger.unfinished_start("a")
        assert ledger.finished == {"a": written}
    header, session, start, attempt = read_ledger(tmp_path / "run")
    assert header == {
        "kind": "header", "format": 1, "suite": "small", "digest": "abc", "version": "1.0", "title": "Small"
    }  # fmt: skip
    assert session["kind"] == "session"
    assert session["command"] == ["test"]
    assert start == {"kind": "start", "key": "a", "session": 1, "attempt": 1}
    assert attempt == written
    assert attempt["result"]["error"] == 0.1 + 0.2
    assert {"kind", "key", "session", "attempt", "reason", "message", "wall_seconds", "cpu_seconds", "peak_memory",
            "overhead_seconds", "host", "stage", "task", "seed"} <= set(attempt)  # fmt: skip


def test_what_a_job_says_of_itself_hides_nothing(open_ledger):
    with open_ledger() as ledger:
        ledger.start("a")
        assert (
            ledger.attempt("a", BAD, {"reason": None, "key": "b"}, None) | {"reason": "diverged", "key": "a"}
            == (ledger.finished["a"])
        )


def test_going_on(open_ledger, tmp_path):
    with open_ledger() as ledger:
        record(ledger, "good")
        record(ledger, "bad", BAD)
        ledger.start("open")
    with open_ledger() as ledger:
        assert ledger.session == 2
        assert {key: line["reason"] for key, line in ledger.finished.items()} == {"good": None, "bad": "diverged"}
        assert ledger.unfinished_start("open")
        line = ledger.attempt("open", Outcome(None, "interrupted", "", 0, 0, 0, 0), ABOUT, None)
        assert (line["session"], line["attempt"]) == (1, 1)
        assert "open" not in ledger.finished
        assert ledger.start("open") == 2
    assert read_ledger(tmp_path / "run")[-1]["session"] == 2


def test_a_job_is_given_up_when_lost_three_times(open_ledger):
    with open_ledger() as ledger:
        record(ledger, "a", LOST)
        record(ledger, "a", LOST)
        assert "a" not in ledger.finished
    with open_ledger() as ledger:
        assert record(ledger, "a", LOST)["attempt"] == 3
        assert ledger.finished["a"]["reason"] == "worker_lost"


@pytest.mark.parametrize("torn", [b'{"kind": "attempt", "key": "b", "rea', b'{"kind": "start"}', b"\0\0\0\0\n", b"7\n"])
def test_a_torn_last_line(open_ledger, tmp_path, torn):
    """Readers pass over it, writers cut it off; all else stays as it is, byte by byte."""
    with open_ledger() as ledger:
        record(ledger, "a")
    path = tmp_path / "run" / "ledger.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert len(read_ledger(tmp_path / "run")) == 4
    with open_ledger(session=False) as ledger:
        assert list(ledger.finished) == ["a"]
        assert path.read_bytes() == whole
        ledger.begin_session()
        record(ledger, "b")
    assert [line["kind"] for line in read_ledger(tmp_path / "run")][-3:] == ["session", "start", "attempt"]


def test_every_prefix_of_a_ledger_can_be_gone_on_with(open_ledger, tmp_path):
    """Wherever a process or the power ends: whole lines stay, half ones go, and the next runner goes on."""
    with open_ledger() as ledger:
        record(ledger, "a")
    content = (tmp_path / "run" / "ledger.jsonl").read_bytes()
    for size in range(0, len(content), 7):
        folder = tmp_path / f"cut{size}"
        folder.mkdir()
        (folder / "ledger.jsonl").write_bytes(content[:size])
        with open_ledger(folder) as ledger:
            record(ledger, "b")
        lines = read_ledger(folder)
        assert lines[0]["kind"] == "header"
        assert lines[-1]["key"] == "b"
        whole = content[:size].count(b"\n")
        assert [json.dumps(line, ensure_ascii=False) for line in lines[:whole]] == (
            content.decode().splitlines()[:whole]
        )


def test_a_damaged_line_in_the_middle(open_ledger, tmp_path):
    with open_ledger() as ledger:
        record(ledger, "a")
    path = tmp_path / "run" / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"{half\n", *lines[2:]]))
    with pytest.raises(OutputError, match="line 3 is damaged"):
        open_ledger()
    with pytest.raises(OutputError, match="line 3 is damaged"):
        read_ledger(tmp_path / "run")


def full_disk(monkeypatch, kept, call):
    """A disk that takes some bytes of a line and then no more."""
    write = os.write

    def half(file, data):
        written = write(file, data[:kept])
        if call == "short":
            return written
        raise OSError(errno.ENOSPC, "No space left on device")

    def no_sync(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    if call == "sync":
        monkeypatch.setattr("sciml.benchmark.ledger.os.fsync", no_sync)
    else:
        monkeypatch.setattr("sciml.benchmark.ledger.os.write", half)


@pytest.mark.parametrize("call", ["raises", "short", "sync"])
@pytest.mark.parametrize("kept", [0, 1, 40])
def test_a_full_disk(open_ledger, tmp_path, monkeypatch, call, kept):
    with open_ledger() as ledger:
        record(ledger, "a")
        before = (tmp_path / "run" / "ledger.jsonl").read_bytes()
        with monkeypatch.context() as disk:
            full_disk(disk, kept, call)
            with pytest.raises(OutputError, match="(?i)no space left|disk is full"):
                ledger.start("b")
        assert (tmp_path / "run" / "ledger.jsonl").read_bytes() == before
        assert not ledger.unfinished_start("b")
        record(ledger, "b")
    assert len(read_ledger(tmp_path / "run")) == 6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"suite": "large"}, "suite 'small' there and 'large' here"),
        ({"digest": "abd"}, "digest 'abc' there and 'abd' here"),
        ({"version": "2.0"}, "version '1.0' there and '2.0' here"),
    ],
)
def test_another_suite_or_version(open_ledger, tmp_path, change, words):
    open_ledger().close()
    before = (tmp_path / "run" / "ledger.jsonl").read_bytes()
    with pytest.raises(OutputError, match=words) as found:
        open_ledger(**change)
    assert "give another --out" in str(found.value)
    assert (tmp_path / "run" / "ledger.jsonl").read_bytes() == before
    open_ledger().close()


def test_another_title_is_the_same_suite(open_ledger):
    open_ledger().close()
    open_ledger(title="Another").close()


def test_something_else_of_that_name(tmp_path):
    (tmp_path / "ledger.jsonl").write_text('{"kind": "header", "format": 9}\n')
    with pytest.raises(OutputError, match="another format"):
        Ledger(tmp_path, suite="small", digest="abc", version="1.0")


def test_a_second_runner_is_refused(open_ledger, tmp_path):
    first = open_ledger()
    with pytest.raises(OutputError, match="Another process runs the benchmark in .*run; wait for it"):
        open_ledger()
    record(first, "a")
    first.close()
    with open_ledger() as second:
        assert "a" in second.finished


def test_folders_that_cannot_be_used(open_ledger, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        open_ledger(tmp_path / "file")
    (tmp_path / "taken" / "ledger.jsonl").mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot be written"):
        open_ledger(tmp_path / "taken")
    with pytest.raises(OutputError, match="cannot be read"):
        read_ledger(tmp_path / "taken")
    with pytest.raises(OutputError, match="holds no run of a benchmark"):
        read_ledger(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "ledger.jsonl").touch()
    with pytest.raises(OutputError, match="is empty"):
        read_ledger(tmp_path / "empty")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission(open_ledger, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        open_ledger(tmp_path / "closed")


def test_what_is_not_finite_is_refused_before_it_is_written(open_ledger, tmp_path):
    with open_ledger() as ledger:
        ledger.start("a")
        with pytest.raises(ValueError, match="JSON"):
            ledger.attempt("a", GOOD, {"x": float("nan")}, None)
        ledger.attempt("a", GOOD, ABOUT, None)
    assert len(read_ledger(tmp_path / "run")) == 4


def test_attempts_belong_to_sessions(open_ledger):
    with open_ledger(session=False) as ledger, pytest.raises(RuntimeError, match="session"):
        ledger.start("a")
