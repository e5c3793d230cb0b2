"""Lumped P1 waves against a stencil of fluxes, a second discretisation that shares no code with the first."""

import pytest

from sciml.benchmark.measurements.stencil import stencil


@pytest.fixture(scope="module")
def gaps():
    return stencil(steps=200)


@pytest.mark.parametrize("case", ["along_cells", "along_diagonals", "random_phases"])
def test_both_agree_after_two_hundred_steps(gaps, case):
    assert gaps[case] < 1e-9
