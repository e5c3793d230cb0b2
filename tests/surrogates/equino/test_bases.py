"""Modes: orthogonal, complete, periodic, in equilibrium."""

from __future__ import annotations

import numpy as np
import pytest

from sciml import load_problem
from sciml.errors import OptionError
from sciml.surrogates.equino.bases import Bases, stiffness_factors


@pytest.fixture(scope="module")
def cell():
    return load_problem("rve/disc").model()


@pytest.fixture(scope="module")
def bases(cell, data):
    return Bases.of(cell, data.fluctuation, data.local_stress, 8)


def test_weighted_modes_are_orthogonal_in_energy(cell, bases):
    stiffness = np.einsum("qij,qkj->qik", *(stiffness_factors(cell),) * 2)
    energies = np.einsum("aqi,qij,bqj,q->ab", bases.strain, stiffness, bases.strain, cell.weights)
    np.testing.assert_allclose(energies, np.eye(8), atol=1e-10)
    complementary = np.einsum(
        "aqi,qij,bqj,q->ab", bases.stress, np.linalg.inv(stiffness), bases.stress, cell.weights, optimize=True
    )
    np.testing.assert_allclose(complementary, np.eye(8), atol=1e-10)


def test_published_modes_are_orthogonal_in_values(cell, data):
    bases = Bases.of(cell, data.fluctuation, data.local_stress, 5, weighted=False)
    nodal = cell.fluctuation_at_nodes(bases.fluctuation).reshape(5, -1)
    np.testing.assert_allclose(nodal @ nodal.T, np.eye(5), atol=1e-10)
    stress = bases.stress.reshape(5, -1)
    np.testing.assert_allclose(stress @ stress.T, np.eye(5), atol=1e-10)


@pytest.mark.parametrize("weighted", [True, False])
def test_all_modes_make_the_snapshots(cell, data, weighted):
    few = slice(0, 6)
    bases = Bases.of(cell, data.fluctuation[few], data.local_stress[few], 6, weighted=weighted)
    made = bases.fluctuation_coefficients @ bases.fluctuation
    np.testing.assert_allclose(made, data.fluctuation[few], atol=1e-9 * np.abs(made).max())
    made = np.tensordot(bases.stress_coefficients, bases.stress, axes=1)
    np.testing.assert_allclose(made, data.local_stress[few], atol=1e-9 * np.abs(made).max())
    np.testing.assert_allclose(bases.stress_coefficients @ bases.mean_stress, data.stress[few], rtol=1e-8)


def test_each_mode_of_stress_is_in_equilibrium(cell, bases):
    assert max(cell.equilibrium_residual(mode) for mode in bases.stress) < 1e-7


def test_strains_of_the_modes_are_those_of_their_displacement(cell, bases):
    np.testing.assert_allclose(bases.strain[3], cell.numbered.strains(bases.fluctuation[3]), rtol=0, atol=1e-12)


def test_more_modes_than_snapshots_are_refused(cell, data):
    with pytest.raises(OptionError, match="modes=7 was given; the 5 snapshots have 5 independent fluctuations"):
        Bases.of(cell, data.fluctuation[:5], data.local_stress[:5], 7)
