"""Loads DOLFINx's libraries, which must happen before anything else imports DOLFINx; makes `flux_stencil` importable."""

import sys
from pathlib import Path

import sciml.fem  # noqa: F401

sys.path.insert(0, str(Path(__file__).parent))
