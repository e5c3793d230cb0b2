"""What the tests of benchmarks share."""

from __future__ import annotations

import sys
from pathlib import Path

# `synthetic_runs` builds the folders of runs that never ran.
sys.path.insert(0, str(Path(__file__).parent))
