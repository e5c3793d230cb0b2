"""Problems to be sampled, a residual with one peak, and how well points have a density."""

from __future__ import annotations

import numpy as np
import pytest

from sciml import load_problem
from sciml.sampling import SamplingContext

NAMES = {
    "square": ("poisson/sine", {"dim": 2}),
    "in time": ("heat/sine", {"dim": 2}),
    "mesh": ("poisson/l_shape", {}),
    "ten dimensions": ("poisson/ten_dimensional", {}),
}


def peak(points):
    width, centre = np.ptp(points, axis=0).max() / 8, points.min(axis=0) + 0.7 * np.ptp(points, axis=0)
    return np.exp(-np.square((points - centre) / width).sum(axis=1) / points.shape[1]) + 1e-3


@pytest.fixture
def bump():
    """|r|² of one peak in the unit square, nowhere zero."""
    return lambda points: np.exp(-60 * np.square(points - 0.7).sum(axis=1)) + 1e-2


@pytest.fixture
def square():
    """A problem on the unit square."""
    return load_problem("poisson/sine", dim=2)


@pytest.fixture(params=list(NAMES))
def anywhere(request):
    """Problems on a box, in time, on a mesh, in ten dimensions."""
    name, parameters = NAMES[request.param]
    return load_problem(name, **parameters)


@pytest.fixture
def context():
    """(problem, seed, …) → what a sampler is told; by default a residual with a peak."""

    def build(problem, seed=0, residuals=peak, leverage=peak, round=0):
        return SamplingContext(problem, residuals, np.random.default_rng(seed), round, leverage)

    return build


@pytest.fixture
def chi_square():
    """χ²/(bins² − 1) of points in the unit square against a density known up to a factor: near 1 where it is theirs."""

    def measure(points, density, bins=8):
        fine = (np.arange(bins * 40) + 0.5) / (bins * 40)
        grid = np.stack(np.meshgrid(fine, fine, indexing="ij"), axis=-1).reshape(-1, 2)
        mass = density(grid).reshape(bins, 40, bins, 40).sum(axis=(1, 3))
        expected = len(points) * mass / mass.sum()
        assert expected.min() > 5
        found = np.histogramdd(points, bins=bins, range=[(0, 1)] * 2)[0]
        return float((np.square(found - expected) / expected).sum() / (bins**2 - 1))

    return measure
