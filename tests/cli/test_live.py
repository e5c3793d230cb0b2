"""What people see of a running benchmark, on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sciml.benchmark.runner import GroupProgress, Progress
from sciml.cli import live

PROGRESS = Progress(
    groups={"fenics": GroupProgress(4, 0, 1, 6), "deepxde [soft]": GroupProgress(2, 1, 1, 12)},
    running=("poisson/sine · fenics", "poisson/sine · deepxde · seed 1"),
    elapsed=75.4,
    remaining=3725.0,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds, words):
    assert live.duration(seconds) == words


def test_one_line():
    assert live.progress_line(PROGRESS) == (
        "6 of 18 done, 1 failed, 2 running, 1 min 15 s so far, about 1 h 02 min to go"
    )


def rows(text):
    return [line.split() for line in text.splitlines()]


def test_the_table():
    screen = Console(file=io.StringIO(), width=80)
    screen.print(live.progress_table("quick", PROGRESS))
    text = screen.file.getvalue()
    found = rows(text)
    assert ["fenics", "4", "–", "1", "1", "6"] in found
    assert ["deepxde", "[soft]", "2", "1", "1", "9", "12"] in found
    assert ["all", "6", "1", "2", "10", "18"] in found
    assert "1 min 15 s so far, about 1 h 02 min to go" in text
    assert "poisson/sine · fenics; poisson/sine · deepxde · seed 1" in text


def test_on_a_terminal(monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(live, "console", screen)
    with live.live_table("quick") as show:
        show(PROGRESS)
        assert "deepxde [soft]" in screen.file.getvalue()


def test_elsewhere(monkeypatch, capsys):
    monkeypatch.setattr(live, "console", Console(file=io.StringIO(), force_terminal=False))
    clock = iter([0.0, 4.0, 10.5, 10.5, 14.0, 21.0, 21.0])
    monkeypatch.setattr(live.time, "monotonic", lambda: next(clock))
    with live.live_table("quick") as show:
        for _ in range(4):
            show(PROGRESS)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [f"quick: {live.progress_line(PROGRESS)}"] * 2
