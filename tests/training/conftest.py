"""The small training of these tests, and processes that begin with everything imported."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# Started in the background by a shell, this process would ignore Ctrl-C, and so would all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Before the first of them is started, which all tests of this process share.
multiprocessing.get_context("forkserver").set_forkserver_preload(["sciml.training", "torch.multiprocessing"])
