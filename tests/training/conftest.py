"""The small training of these tests, and processes that begin with everything imported."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# Before the first of them is started, which all tests of this process share.
multiprocessing.get_context("forkserver").set_forkserver_preload(["sciml.training", "torch.multiprocessing"])
