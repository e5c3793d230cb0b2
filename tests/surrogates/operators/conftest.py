"""A small data file that all tests of trainings share."""

from pathlib import Path

import pytest

from sciml.datasets import generate


@pytest.fixture(scope="session")
def darcy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 members of two-phase Darcy flow on 9 × 9 nodes: 24 to train on, 6 each to choose and to judge."""
    path = tmp_path_factory.mktemp("data") / "darcy.h5"
    generate("darcy/two_phase", path, count=36, resolution=9, split=(24, 6, 6), seed=0, check=0)
    return path
