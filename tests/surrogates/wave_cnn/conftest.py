"""A small data set of waves, and a simulator that was trained on it for some seconds."""

import pytest

from sciml import load_problem
from sciml.datasets import generate
from sciml.surrogates.wave_cnn import train_waves

OPTIONS = {"width": 6, "steps": 60, "batch_size": 6, "unroll": 2}


@pytest.fixture(scope="session")
def waves_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("waves") / "waves.h5"
    family = load_problem("wave/membrane").fixing(duration=1.2, width=0.12)
    generate(family, path, split=(12, 3, 4), resolution=17, frames=24, check=0)
    return path


@pytest.fixture(scope="session")
def trained(waves_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train_waves("wave/membrane", waves_file, folder=folder, **OPTIONS)
    return folder
