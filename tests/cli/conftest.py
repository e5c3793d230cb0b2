"""A terminal in an empty folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# `terminal` is shared with the end-to-end tests.
sys.path.insert(0, str(Path(__file__).parent))

from terminal import Terminal


@pytest.fixture
def sciml(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    """Runs a command line in an empty folder; see :class:`terminal.Terminal`."""
    monkeypatch.chdir(tmp_path)
    return Terminal(capsys, monkeypatch)


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any system that is built or network that is made fails the test."""

    def worked(*arguments: object, **keywords: object) -> None:
        raise AssertionError("work was started")

    monkeypatch.setattr("sciml.fem.hierarchy.solve_hierarchy", worked)
    monkeypatch.setattr("sciml.solvers.deepxde.engine.Optimisation", worked)
