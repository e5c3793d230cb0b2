"""What a folder of a training holds."""

from __future__ import annotations

import json
from pathlib import Path

from sciml.errors import OutputError

__all__ = ["MANIFEST", "kind_in"]

MANIFEST = "manifest.json"


def kind_in(folder: Path) -> str:
    """The kind of what was trained: ``"operator"``, a network over a family, or ``"cell"``, a law.

    Raises
    ------
    OutputError
        There is no finished training in the folder, or it is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise OutputError(f"{folder} holds no trained network; `sciml train … --out {folder}` makes one.")
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["kind"])
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{folder} holds a damaged training ({error}); train anew with --force.") from error
