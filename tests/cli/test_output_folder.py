"""An output folder holds a finished result, an unfinished run, or nothing; no result is lost without --force."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import contextmanager

import pytest
from terminal import QUICKEST

SOLVE = "solve poisson/sine -o cells=2"


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def finished(sciml, tmp_path):
    """A folder with a finished result, and what is in it."""
    sciml.succeeds(f"{SOLVE} --out done")
    return tmp_path / "done", contents(tmp_path / "done")


@contextmanager
def file_size_limit(size):
    """No file may grow beyond `size` bytes: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("line", [SOLVE, "solve poisson/sine -o cells=3", "compare poisson/sine"])
def test_a_finished_result_is_kept(sciml, finished, no_work, line):
    folder, before = finished
    outcome = sciml(f"{line} --out done")
    assert "done already holds a finished result" in outcome.message
    assert "--force" in outcome.message
    assert contents(folder) == before


def test_force_replaces_it(sciml, finished):
    folder, before = finished
    row = sciml.succeeds("solve poisson/sine -o cells=3 --out done --force --json").row
    assert row["options"]["cells"] == 3
    after = contents(folder)
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in after)


@pytest.mark.parametrize("command", ["solve", "compare"])
def test_a_resumed_run_is_of_the_same_member(sciml, tmp_path, monkeypatch, command):
    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    line = f"{command} darcy/log_normal --draw 2 --draw-seed 5 -s fenics -o cells=4"
    wanted = sciml.succeeds(f"{line} --json").rows[0]
    with monkeypatch.context() as patch:
        patch.setattr(f"sciml.cli.runs.{command}", interrupted)
        assert sciml(f"{line} --out half").code == 130
    resumed = sciml.succeeds("resume half --json").rows[0]
    for key in ("member", "parameters", "quantities"):
        assert resumed[key] == wanted[key]


@pytest.mark.parametrize(
    ("out", "said"), [("", "Interrupted by SIGTERM."), (" --out half", "`sciml resume half` continues.")]
)
def test_sigterm_has_an_exit_code_of_its_own(sciml, monkeypatch, out, said):
    monkeypatch.setattr("sciml.cli.runs.solve", lambda *arguments, **keywords: signal.raise_signal(signal.SIGTERM))
    outcome = sciml(f"{SOLVE}{out}")
    assert outcome.code == 143
    (line,) = outcome.err.splitlines()
    assert line.startswith("Interrupted by SIGTERM")
    assert line.endswith(said)


def test_an_unfinished_run_says_how_to_go_on(sciml, tmp_path, monkeypatch):
    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sciml.cli.runs.solve", interrupted)
        outcome = sciml(f"{SOLVE} --out half")
    assert outcome.code == 130
    assert "`sciml resume half` continues" in outcome.told
    again = sciml(f"{SOLVE} --out half")
    assert "unfinished run" in again.message
    assert "`sciml resume half`" in again.message
    assert "--force" in again.message
    sciml.succeeds("resume half")
    again = sciml("resume half")
    assert again.code == 0
    assert "half is finished" in again.told
    assert again.out == ""
    sciml.succeeds(f"{SOLVE} --out half --force")
    assert (tmp_path / "half" / "record.json").is_file()


@pytest.mark.parametrize(
    "line",
    [
        "solve poisson/sine -o degree=9",
        "solve poisson/sine -o refine=1",
        "solve poisson/sine -s fenix",
        "solve poisson/ten_dimensional",
        "solve poisson/sine -s deepxde -o adam=0 -o lbfgs=0",
        "compare poisson/sine -s deepxde -o wdth=3",
    ],
)
def test_a_refused_request_leaves_no_folder(sciml, tmp_path, no_work, line):
    """The corrected command must not meet an unfinished run."""
    assert sciml(f"{line} --out new").code == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("options", ["-o degree=9", "-o refine=1", "-s fenix", "-s deepxde -o conditions=harder"])
def test_a_refused_request_leaves_the_old_result(sciml, finished, no_work, options):
    folder, before = finished
    assert sciml(f"solve poisson/sine {options} --out done --force").code == 1
    assert contents(folder) == before


def test_a_failed_solve_leaves_the_old_result(sciml, finished):
    folder, before = finished
    assert sciml(f"solve poisson/sine -s deepxde {QUICKEST} -o learning_rate=1e300 --out done --force").code == 1
    assert contents(folder).items() >= before.items()


def test_files_that_are_no_results_are_left_alone(sciml, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    sciml.succeeds(f"{SOLVE} --out mine")
    sciml.succeeds(f"{SOLVE} --out mine --force")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "precious"


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_a_folder_that_cannot_be_made(sciml, tmp_path, no_work, place):
    (tmp_path / "file").write_text("")
    message = sciml(f"{SOLVE} --out {place}").message
    assert place in message
    assert "cannot be written" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(sciml, tmp_path, no_work):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "cannot be written" in sciml(f"{SOLVE} --out locked/in").message
    assert "cannot be written" in sciml(f"{SOLVE} --out locked").message


@pytest.mark.parametrize("size", [10, 3_000, 15_000, 60_000])
def test_a_full_disk(sciml, tmp_path, size):
    """Whichever file no longer fits: one sentence, no half of a file, and the run counts as unfinished."""
    with file_size_limit(size):
        message = sciml(f"{SOLVE} --out full").message
    assert "cannot be written" in message
    assert "full" in message
    left = {path.name for path in (tmp_path / "full").rglob("*") if path.is_file()}
    assert left <= {"run.json", "solution.h5", "solution.vtu"}
    if size > 10:
        assert left
        assert sciml("resume full").code == 0
        assert (tmp_path / "full" / "record.json").is_file()


def test_a_full_disk_leaves_the_old_result(sciml, finished):
    folder, before = finished
    with file_size_limit(3_000):
        assert "cannot be written" in sciml(f"{SOLVE} --out done --force").message
    assert contents(folder).items() >= before.items()
