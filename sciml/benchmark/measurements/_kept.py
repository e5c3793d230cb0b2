"""Where data that measurements generate stay between them."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["kept_data"]


def kept_data() -> Path:
    """A folder in the user's cache."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sciml" / "data"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
