"""A small data set that several tests read."""

import pytest

from sciml.datasets import generate

SMALL = {"count": 10, "resolution": 9, "refine": 2, "chunk": 3, "check": 2}


@pytest.fixture(scope="session")
def darcy(tmp_path_factory):
    """A data set of Darcy flow: 7/1/2 samples on 9 × 9 nodes."""
    path = tmp_path_factory.mktemp("data") / "darcy.h5"
    return generate("darcy/threshold", path, **SMALL)
