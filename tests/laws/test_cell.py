"""The finite element cell: identities that its stress and tangent fulfil, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sciml.errors import DeclarationError, DivergenceError, MeshError
from sciml.laws import CellModel, LinearElastic, Matrix

from .cells import GLASS, STRAINS, square_with_inclusion


@pytest.fixture
def composite():
    return CellModel(square_with_inclusion(), {"matrix": Matrix(), "inclusion": GLASS}, tolerance=1e-12)


@pytest.mark.parametrize("norm", ["full", "in_plane"])
@pytest.mark.parametrize("cell_type", ["simplex", "tensor"])
def test_tangent_is_the_derivative(cell_type, norm):
    model = CellModel(
        square_with_inclusion(cell_type=cell_type), {"matrix": Matrix(norm=norm), "inclusion": GLASS}, tolerance=1e-13
    )
    step = 1e-6
    differences = [
        (model.solve(STRAINS + step * axis).stress - model.solve(STRAINS - step * axis).stress) / (2 * step)
        for axis in np.eye(3)
    ]
    tangent = model.solve(STRAINS).tangent
    np.testing.assert_allclose(np.stack(differences, axis=2), tangent, rtol=0, atol=1e-8 * np.abs(tangent).max())


def test_tangent_is_symmetric(composite):
    tangent = composite.solve(STRAINS).tangent
    assert np.abs(tangent - tangent.transpose(0, 2, 1)).max() < 1e-12 * np.abs(tangent).max()


def test_hill_mandel(composite):
    """The mean work of local stress and strain is that of their means."""
    result = composite.solve(STRAINS)
    for strain, stress, w, local in zip(STRAINS, result.stress, result.fluctuation, result.local_stress):
        within = strain + composite.numbered.strains(w)
        np.testing.assert_allclose(composite.mean(within), strain, rtol=0, atol=1e-14)
        assert composite.mean((local * within).sum(axis=1)) == pytest.approx(stress @ strain, rel=1e-11)


def test_equilibrium_and_periodicity(composite):
    result = composite.solve(STRAINS)
    assert max(composite.equilibrium_residual(local) for local in result.local_stress) < 1e-12
    assert composite.equilibrium_residual(np.random.default_rng(0).normal(size=(composite.n_points, 3))) > 0.1
    nodes = composite.elements.nodes
    moved = composite.fluctuation_at_nodes(result.fluctuation)
    for axis, length in ((0, 1.5), (1, 1.0)):
        low = np.flatnonzero(nodes[:, axis] == 0)
        high = np.flatnonzero(nodes[:, axis] == length)
        order = [part[np.argsort(nodes[part, 1 - axis])] for part in (low, high)]
        np.testing.assert_array_equal(moved[:, order[0]], moved[:, order[1]])
    assert np.abs(moved).max() > 1e-4


def test_a_homogeneous_cell_has_no_fluctuation():
    model = CellModel(square_with_inclusion(), {"matrix": Matrix(), "inclusion": Matrix()})
    result, law = model.solve(STRAINS), Matrix().evaluate(STRAINS)
    assert np.abs(result.fluctuation).max() < 1e-15
    np.testing.assert_allclose(result.stress, law.stress, rtol=1e-13)
    np.testing.assert_allclose(result.tangent, law.tangent, rtol=1e-12, atol=1e-9)


def test_layers_have_the_series_and_parallel_stiffness():
    """Two elastic layers across x: σ_xx and σ_xy are continuous, which gives both in closed form."""
    mesh = square_with_inclusion(4, "tensor")
    left = mesh.points[mesh.corners].mean(axis=1)[:, 0] < 0.75
    mesh = replace(mesh, region_groups={"matrix": np.flatnonzero(left), "inclusion": np.flatnonzero(~left)})
    soft, hard = LinearElastic(bulk_modulus=1000.0, shear_modulus=300.0), GLASS
    tangent = CellModel(mesh, {"matrix": soft, "inclusion": hard}).solve(np.zeros((1, 3))).tangent[0]
    normal = [law.bulk_modulus + 4 / 3 * law.shear_modulus for law in (soft, hard)]
    assert tangent[0, 0] == pytest.approx(1 / np.mean(1 / np.array(normal)), rel=1e-12)
    assert tangent[2, 2] == pytest.approx(1 / np.mean([1 / soft.shear_modulus, 1 / hard.shear_modulus]), rel=1e-12)


def test_a_void_counts_in_the_volume():
    """A cell of half the material has half the stiffness across a gap that carries nothing."""
    mesh = square_with_inclusion(4, "tensor")
    inside = mesh.points[mesh.corners].mean(axis=1)[:, 0] > 0.4
    corners = np.unique(mesh.corners[inside], return_inverse=True)
    kept = replace(
        mesh,
        points=mesh.points[corners[0]],
        cells=corners[1].reshape(-1, 4),
        facet_groups={},
        region_groups={"matrix": np.arange(inside.sum())},
    )
    model = CellModel(kept, {"matrix": GLASS})
    assert model.volume == pytest.approx(1.125)


def test_warm_starts_take_fewer_iterations_to_the_same_answer(composite):
    cold = composite.solve(STRAINS)
    warm = composite.solve(1.001 * STRAINS, cold.state)
    again = composite.solve(1.001 * STRAINS)
    assert warm.iterations.sum() < again.iterations.sum()
    np.testing.assert_allclose(warm.stress, again.stress, rtol=1e-10)


def test_it_is_a_law(composite):
    result, full = composite.evaluate(STRAINS), composite.solve(STRAINS)
    np.testing.assert_array_equal(result.tangent, full.tangent)
    np.testing.assert_array_equal(result.state["fluctuation"], full.fluctuation)
    assert composite.evaluate(np.zeros((0, 3))).stress.shape == (0, 3)


def test_a_mesh_that_is_not_periodic():
    mesh = square_with_inclusion()
    points = mesh.points.copy()
    node = np.flatnonzero((points[:, 0] == 1.5) & (points[:, 1] == 0.5))
    points[node, 1] += 0.05
    with pytest.raises(MeshError, match=r"6 nodes on its left and right sides .* \(1\.5, "):
        CellModel(replace(mesh, points=points), {"matrix": Matrix(), "inclusion": GLASS})


def test_phases_and_laws_belong_together():
    mesh = square_with_inclusion()
    with pytest.raises(DeclarationError, match=r"phase 'inclusion' has no law"):
        CellModel(mesh, {"matrix": Matrix()})
    with pytest.raises(DeclarationError, match=r"a law for the phase 'fibre'; the mesh has"):
        CellModel(mesh, {"matrix": Matrix(), "inclusion": GLASS, "fibre": GLASS})
    both = replace(mesh, region_groups={"matrix": np.arange(len(mesh.cells)), "inclusion": np.arange(2)})
    with pytest.raises(DeclarationError, match="2 of 32 cells .* in several of the phases"):
        CellModel(both, {"matrix": Matrix(), "inclusion": GLASS})


def test_an_indefinite_tangent():
    class Softening(LinearElastic):
        def evaluate(self, strain, state=None, dt=0.0):
            result = super().evaluate(strain, state, dt)
            result.tangent *= -1
            return result

    law = Softening(bulk_modulus=1.0, shear_modulus=1.0)
    with pytest.raises(DivergenceError, match=r"tangent at strain \(0\.01, .* is indefinite"):
        CellModel(square_with_inclusion(), {"matrix": law, "inclusion": GLASS}).solve(STRAINS)


def test_a_cell_that_does_not_converge_says_how():
    model = CellModel(square_with_inclusion(), {"matrix": Matrix(), "inclusion": GLASS}, max_iterations=1)
    with pytest.raises(DivergenceError, match="not in balance after 1 Newton iterations"):
        model.solve(STRAINS)
