"""The terminal of the command line's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))

from terminal import Terminal


@pytest.fixture
def sciml(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    """Runs a command line in an empty folder; see :class:`terminal.Terminal`."""
    monkeypatch.chdir(tmp_path)
    return Terminal(capsys, monkeypatch)
