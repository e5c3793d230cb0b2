"""Plasticity: consistent tangent, closed forms, and the energy of a load cycle in one law and in a cell."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sciml.errors import ParameterError
from sciml.laws import J2, CellModel, Matrix, Taylor

from .cells import GLASS, square_with_inclusion

ALUMINIUM = J2(bulk_modulus=71660.0, shear_modulus=27280.0, yield_stress=243.0, hardening=2171.0)
CYCLE = np.concatenate([np.linspace(0, 1, 9), np.linspace(1, -1, 17)[1:], np.linspace(-1, 0, 9)[1:]])
DIRECTION = np.array([[0.012, -0.004, 0.018]])


def driven(law, path=CYCLE, direction=DIRECTION):
    """Stresses along a path, and the work done on the way by the trapezoidal rule."""
    state, stresses, work = law.initial_state(1), [np.zeros(3)], 0.0
    for before, now in pairwise(path):
        result = law.evaluate(now * direction, state)
        state = result.state
        work += (stresses[-1] + result.stress[0]) / 2 @ ((now - before) * direction[0])
        stresses.append(result.stress[0])
    return np.array(stresses), work, state


def test_tangent_is_the_derivative_of_the_update():
    state = ALUMINIUM.evaluate(np.tile(DIRECTION, (3, 1))).state
    strain = DIRECTION + np.array([[0.004, -0.003, 0.004], [0.0, 0.0, 0.003], [-1e-3, 0.0, 0.0]])
    result, step = ALUMINIUM.evaluate(strain, state), 1e-7
    differences = [
        (ALUMINIUM.evaluate(strain + step * a, state).stress - ALUMINIUM.evaluate(strain - step * a, state).stress)
        / (2 * step)
        for a in np.eye(3)
    ]
    scale = np.abs(result.tangent).max()
    np.testing.assert_allclose(np.stack(differences, axis=2), result.tangent, rtol=0, atol=1e-7 * scale)
    flows = result.state["hardening"] > state["hardening"]
    assert flows.tolist() == [True, True, False]


def test_simple_shear():
    """τ = (σ_y + H α)/√3 after yielding, with the plastic shear γ − τ/G = √3 α."""
    shear = 0.02
    result = ALUMINIUM.evaluate(np.array([[0.0, 0.0, shear]]))
    hardening = (shear - 243 / np.sqrt(3) / 27280) / (np.sqrt(3) + 2171 / (np.sqrt(3) * 27280))
    assert result.state["hardening"][0] == pytest.approx(hardening, rel=1e-12)
    assert result.stress[0, 2] == pytest.approx((243 + 2171 * hardening) / np.sqrt(3), rel=1e-12)
    np.testing.assert_allclose(result.stress[0, :2], 0, atol=1e-10)


def test_on_the_yield_surface_after_a_cycle():
    stresses, work, state = driven(ALUMINIUM)
    plastic = state["plastic_strain"][0]
    assert plastic[:3].sum() == pytest.approx(0, abs=1e-16)
    assert state["hardening"][0] > 0.03
    assert work > 0
    assert np.abs(stresses[-1]).max() > 100


def test_a_homogeneous_cell_dissipates_what_the_law_does():
    cell = CellModel(square_with_inclusion(), {"matrix": ALUMINIUM, "inclusion": ALUMINIUM})
    alone, in_cell = driven(ALUMINIUM), driven(cell)
    np.testing.assert_allclose(in_cell[0], alone[0], rtol=1e-10, atol=1e-8)
    assert in_cell[1] == pytest.approx(alone[1], rel=1e-10)
    np.testing.assert_allclose(in_cell[2]["matrix/hardening"], alone[2]["hardening"][0], rtol=1e-10)


def test_a_composite_keeps_its_past():
    """The tangent of a cell under load is the derivative of its update, and the past of each phase is its own."""
    cell = CellModel(square_with_inclusion(), {"matrix": ALUMINIUM, "inclusion": GLASS}, tolerance=1e-13)
    assert cell.history == ("matrix/plastic_strain", "matrix/hardening")
    state = cell.evaluate(DIRECTION, None).state
    strain, step = DIRECTION + np.array([[0.001, 0.001, 0.004]]), 1e-7
    before = {key: values.copy() for key, values in state.items()}
    tangent = cell.evaluate(strain, state).tangent[0]
    differences = [
        (cell.evaluate(strain + step * a, state).stress - cell.evaluate(strain - step * a, state).stress)[0]
        / (2 * step)
        for a in np.eye(3)
    ]
    np.testing.assert_allclose(np.stack(differences, axis=1), tangent, rtol=0, atol=1e-6 * np.abs(tangent).max())
    assert all(np.array_equal(before[key], state[key]) for key in state)
    assert np.ptp(state["matrix/hardening"]) > 1e-3


def test_taylor_keeps_pasts_too():
    law = Taylor({"a": ALUMINIUM, "b": Matrix()}, {"a": 0.25, "b": 0.75})
    stresses, _, state = driven(law)
    alone, elastic = driven(ALUMINIUM), driven(Matrix())
    np.testing.assert_allclose(stresses, 0.25 * alone[0] + 0.75 * elastic[0], rtol=1e-12, atol=1e-10)
    np.testing.assert_array_equal(state["a/hardening"], alone[2]["hardening"])


def test_bad_constants():
    with pytest.raises(ParameterError, match=r"hardening=-1\.0 .* at least 0"):
        J2(bulk_modulus=1.0, shear_modulus=1.0, yield_stress=1.0, hardening=-1.0)
