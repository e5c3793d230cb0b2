"""Laws as formulas: potentials, tangents, and the same stress in NumPy, torch and UFL."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sciml.errors import ParameterError, UnsupportedError
from sciml.laws import LinearElastic, Matrix

LAWS = {
    "glass": LinearElastic(bulk_modulus=4.3e4, shear_modulus=3e4),
    "matrix": Matrix(),
    "in_plane": Matrix(norm="in_plane"),
}
STRAIN = np.random.default_rng(0).uniform(-0.04, 0.04, (20, 3))


@pytest.mark.parametrize("name", LAWS)
def test_tangent_is_the_derivative(name):
    law, step = LAWS[name], 1e-6
    differences = [
        (law.evaluate(STRAIN + step * axis).stress - law.evaluate(STRAIN - step * axis).stress) / (2 * step)
        for axis in np.eye(3)
    ]
    tangent = law.evaluate(STRAIN).tangent
    np.testing.assert_allclose(np.stack(differences, axis=2), tangent, rtol=0, atol=1e-8 * np.abs(tangent).max())


@pytest.mark.parametrize("name", ["glass", "matrix"])
def test_stress_is_the_derivative_of_the_potential(name):
    law, step = LAWS[name], 1e-6
    slopes = [(law.energy(STRAIN + step * a) - law.energy(STRAIN - step * a)) / (2 * step) for a in np.eye(3)]
    stress = law.evaluate(STRAIN).stress
    np.testing.assert_allclose(np.stack(slopes, axis=1), stress, rtol=0, atol=1e-7 * np.abs(stress).max())


def test_symmetry_is_lost_with_the_norm_in_the_plane():
    defects = [np.abs(t - t.transpose(0, 2, 1)).max() for t in (LAWS[n].evaluate(STRAIN).tangent for n in LAWS)]
    assert max(defects[:2]) < 1e-9
    assert defects[2] > 1


@pytest.mark.parametrize("name", LAWS)
def test_torch_gives_the_same_stress_and_tangent(name):
    strain = torch.tensor(STRAIN, requires_grad=True)
    stress = LAWS[name].stress_torch(strain)
    result = LAWS[name].evaluate(STRAIN)
    np.testing.assert_allclose(stress.detach(), result.stress, rtol=1e-14, atol=1e-12)
    for k in range(3):
        (row,) = torch.autograd.grad(stress[:, k].sum(), strain, retain_graph=True)
        np.testing.assert_allclose(row, result.tangent[:, k], rtol=1e-11, atol=1e-9)


def test_ufl_gives_the_same_stress():
    law = Matrix()
    for strain in STRAIN[:3]:
        stress = [float(component) for component in law.stress_ufl(strain.tolist()).ufl_operands]
        np.testing.assert_allclose(stress, law.evaluate(strain[None]).stress[0], rtol=1e-13)


@pytest.mark.parametrize("name", LAWS)
def test_unstrained(name):
    """No stress, and the stiffness at rest is that of the potential's quadratic part, in torch too."""
    law = LAWS[name]
    result = law.evaluate(np.zeros((1, 3)))
    shear = 3e4 if name == "glass" else 50 / (2 * 0.06)
    assert np.abs(result.stress).max() < 1e-9
    assert result.tangent[0, 2, 2] == pytest.approx(shear, rel=1e-12)
    rest = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    law.stress_torch(rest).sum().backward()
    assert torch.isfinite(rest.grad).all()


def test_on_the_meta_device():
    strain = torch.empty(7, 2, 3, device="meta", dtype=torch.float32)
    stress = Matrix().stress_torch(strain)
    assert (stress.shape, stress.device.type, stress.dtype) == ((7, 2, 3), "meta", torch.float32)


@pytest.mark.parametrize("given", [{"saturation": -1.0}, {"bulk_modulus": np.nan}, {"norm": "three"}])
def test_bad_constants(given):
    with pytest.raises(ParameterError, match="takes"):
        Matrix(**given)


@pytest.mark.parametrize("strain", [np.zeros(3), np.zeros((2, 6)), np.array([[np.nan, 0, 0]])])
def test_bad_strains(strain):
    with pytest.raises(UnsupportedError, match="a law takes"):
        Matrix().evaluate(strain)
