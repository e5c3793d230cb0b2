"""The reduced cell: exact in the span of its snapshots, accurate between them, consistent, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from sciml.errors import DeclarationError, ParameterError
from sciml.laws import J2, CellModel, LinearElastic, Matrix, ReducedCell

from .cells import GLASS, square_with_inclusion

TRAINING, FRESH = (np.random.default_rng(seed).uniform(-0.04, 0.04, (30, 3)) for seed in (0, 1))


@pytest.fixture(scope="module")
def cell():
    return CellModel(square_with_inclusion(), {"matrix": Matrix(), "inclusion": GLASS})


@pytest.fixture(scope="module")
def snapshots(cell):
    return cell.solve(TRAINING).fluctuation


def relative(found, truth):
    return np.linalg.norm(found - truth) / np.linalg.norm(truth)


def test_more_modes_and_points_converge_to_the_cell(cell, snapshots):
    truth = cell.solve(FRESH)
    errors = []
    for modes, cubature in ((4, 1e-1), (8, 1e-2), (24, 1e-5)):
        law = ReducedCell(cell, TRAINING, snapshots, modes=modes, cubature=cubature)
        result = law.evaluate(FRESH)
        errors.append((relative(result.stress, truth.stress), relative(result.tangent, truth.tangent)))
    assert np.all(np.diff(errors, axis=0) < 0)
    assert np.max(errors[-1]) < 1e-3
    assert law.n_cubature < cell.n_points


def test_tangent_is_the_derivative(cell, snapshots):
    law, step = ReducedCell(cell, TRAINING, snapshots, modes=6, cubature=1e-2, tolerance=1e-13), 1e-6
    differences = [
        (law.evaluate(FRESH + step * a).stress - law.evaluate(FRESH - step * a).stress) / (2 * step) for a in np.eye(3)
    ]
    tangent = law.evaluate(FRESH).tangent
    np.testing.assert_allclose(np.stack(differences, axis=2), tangent, rtol=0, atol=1e-7 * np.abs(tangent).max())
    np.testing.assert_allclose(tangent, tangent.transpose(0, 2, 1), rtol=0, atol=1e-10 * np.abs(tangent).max())


def test_a_linear_cell_is_exact():
    """Three snapshots span all fluctuations of a linear cell, and no point of a linear phase is needed."""
    soft = LinearElastic(bulk_modulus=5000.0, shear_modulus=400.0)
    cell = CellModel(square_with_inclusion(), {"matrix": soft, "inclusion": GLASS}, tolerance=1e-13)
    law = ReducedCell(cell, 0.01 * np.eye(3), cell.solve(0.01 * np.eye(3)).fluctuation, modes=8)
    result, truth = law.evaluate(FRESH), cell.solve(FRESH)
    assert (law.n_modes, law.n_cubature) == (3, 0)
    np.testing.assert_allclose(result.stress, truth.stress, rtol=0, atol=1e-10 * np.abs(truth.stress).max())
    np.testing.assert_allclose(result.tangent, truth.tangent, rtol=0, atol=1e-10 * np.abs(truth.tangent).max())
    fluctuation = law.fluctuation(result.state["coefficients"])
    assert relative(fluctuation, truth.fluctuation) < 1e-10


def test_modes_are_orthonormal_in_the_energy_and_weights_keep_the_volume(cell, snapshots):
    law = ReducedCell(cell, TRAINING, snapshots, modes=6)
    stiffness = cell.numbered.stiffness(
        cell.local_stress(np.zeros((cell.n_points, 3)), {"fluctuation": np.zeros(cell.n_dofs)}).tangent
    )
    np.testing.assert_allclose(law.modes.T @ stiffness @ law.modes, np.eye(6), rtol=0, atol=1e-9)
    (phase,) = law._phases
    assert phase.weights.min() > 0
    assert phase.weights.sum() == pytest.approx(cell.weights[cell.phases["matrix"]].sum(), rel=1e-8)


def test_warm_starts_and_batches_change_nothing(cell, snapshots):
    law = ReducedCell(cell, TRAINING, snapshots, modes=8, tolerance=1e-12)
    cold = law.evaluate(FRESH)
    warm = law.evaluate(FRESH, law.evaluate(0.9 * FRESH).state)
    one = law.evaluate(FRESH[3:4])
    np.testing.assert_allclose(warm.stress, cold.stress, rtol=0, atol=1e-8)
    np.testing.assert_allclose(one.stress, cold.stress[3:4], rtol=0, atol=1e-8)
    assert law.evaluate(np.zeros((0, 3))).tangent.shape == (0, 3, 3)


def test_its_range(cell, snapshots):
    law = ReducedCell(cell, TRAINING, snapshots, modes=3, box=(-0.04, 0.04))
    assert law.outside(np.array([[0.04, 0, 0], [0, -0.041, 0], [0, 0, 0.06]])).tolist() == [False, True, True]
    assert law.cell == cell.digest


def test_bad_snapshots(cell, snapshots):
    with pytest.raises(ParameterError, match="reduced cell takes at least one snapshot, of"):
        ReducedCell(cell, TRAINING[:2], snapshots)
    with pytest.raises(ParameterError, match=r"box of no size \(0\.02 to 0\.02\)"):
        ReducedCell(cell, np.full((1, 3), 0.02), snapshots[:1])
    with pytest.raises(ParameterError, match="snapshots have no fluctuation"):
        ReducedCell(cell, TRAINING, 0 * snapshots)
    metal = J2(bulk_modulus=7e4, shear_modulus=3e4, yield_stress=200.0)
    with pytest.raises(DeclarationError, match="reduced cell has no past"):
        ReducedCell(CellModel(cell.mesh, {"matrix": metal, "inclusion": GLASS}), TRAINING, snapshots)
