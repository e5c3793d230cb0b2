"""The branches, the mismatch that they are trained on, and the training itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sciml import load_problem
from sciml.datasets import generate_cell
from sciml.datasets.cells import draw_strains
from sciml.surrogates.equino import CellFit, evaluate_cell, train_cell
from sciml.surrogates.equino.bases import stiffness_factors
from sciml.surrogates.equino.mismatch import Mismatch
from sciml.surrogates.equino.network import Branches, Scaling
from sciml.training import Identity, TrainingState

QUICK = {"modes": 8, "width": 24, "depth": 2, "collocation": 60, "warm_steps": 100, "physics_steps": 100}
"""As the session's training has it."""
RECIPES = ("energy_weighted", "as_published")


def fitted(data, **options):
    return CellFit("rve/disc", data.path, {"modes": 6, **options}, seed=3)


@pytest.mark.parametrize("recipe", RECIPES)
def test_slope_in_one_pass_is_the_derivative(data, recipe):
    branches = fitted(data, recipe=recipe).training.branches
    strain = torch.tensor(draw_strains(data.box, 5, (9,)))
    value, slope = branches.stress_with_slope(strain)
    torch.testing.assert_close(value, branches(strain)[:, 6:], rtol=1e-12, atol=0)
    exact = torch.func.vmap(torch.func.jacrev(lambda e: branches(e[None])[0, 6:]))(strain)
    exact = exact.detach()
    torch.testing.assert_close(slope.permute(1, 2, 0), exact, rtol=1e-10, atol=1e-10 * float(exact.abs().max()))


def test_energy_weighted_branches_are_zero_at_rest(data):
    branches = fitted(data).training.branches
    zero = torch.zeros(1, 3, dtype=torch.float64)
    assert not branches(zero).any()
    assert not branches.stress_with_slope(zero)[0].any()


@pytest.mark.parametrize("recipe", RECIPES)
def test_mismatch_is_that_of_the_fields(data, recipe):
    """The triangular matrix of the linear phases and the blocks of strains change nothing."""
    fit = fitted(data, recipe=recipe)
    cell, bases, weighted = fit.cell, fit.training.bases, recipe == "energy_weighted"
    strain, coefficients = draw_strains(data.box, 7, (9,)), np.random.default_rng(1).normal(size=(7, 12))
    coefficients[:, :6] *= np.abs(bases.fluctuation_coefficients).mean()
    coefficients[:, 6:] *= np.abs(bases.stress_coefficients).mean()
    expected = []
    for e, c in zip(strain, coefficients):
        local = e + np.tensordot(c[:6], bases.strain, axes=1)
        rest = cell.local_stress(local, {}).stress - np.tensordot(c[6:], bases.stress, axes=1)
        if weighted:
            white = np.linalg.solve(stiffness_factors(cell), rest[..., None])[..., 0]
            expected.append((cell.weights[:, None] * white**2).sum())
        else:
            expected.append((rest**2).mean())
    given = torch.tensor(strain), torch.tensor(coefficients)
    found = fit.training.mismatch(*given)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)
    weights = torch.linspace(1, 2, 7, dtype=torch.float64)
    tracked = given[1].requires_grad_()
    (exact,) = torch.autograd.grad((weights * fit.training.mismatch(given[0], tracked)).sum(), tracked)
    value, gradient = fit.training.mismatch.value_and_gradient(given[0], tracked, weights)
    assert float(value) == pytest.approx(float(weights @ found), rel=1e-12)
    torch.testing.assert_close(gradient, exact, rtol=1e-10, atol=1e-12 * float(exact.abs().max()))


def test_gradient_of_the_loss_is_its_slope(data):
    """The remainder of the linear estimate falls with the square of the step."""
    training = fitted(data, warm_steps=1, physics_steps=1).training
    for phase in training._phases:
        theta = training._theta.clone()
        value, gradient = phase.system.value_and_gradient(theta)
        way = torch.tensor(np.random.default_rng(0).normal(size=len(theta)))
        rests = []
        for step in (1e-3, 5e-4):
            moved, _ = phase.system.value_and_gradient(theta + step * way)
            rests.append(abs(float(moved - value - step * gradient @ way)))
        assert np.log2(rests[0] / rests[1]) == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("recipe", RECIPES)
def test_random_weights_leave_the_stress_in_equilibrium_and_the_displacement_periodic(data, recipe):
    fit = fitted(data, recipe=recipe)
    fields = fit._law().fields(draw_strains(data.box, 4, (9,)))
    assert max(fit.cell.equilibrium_residual(own) for own in fields.stress) < 1e-7
    assert max(fit.cell.equilibrium_residual(own) for own in fields.constitutive_stress) > 1e-5
    nodes, moved = fit.cell.elements.nodes, fit.cell.fluctuation_at_nodes(fields.fluctuation)
    left, right = (np.flatnonzero(np.abs(nodes[:, 0] - x) < 1e-9) for x in (-0.5, 0.5))
    left, right = (side[np.argsort(nodes[side, 1])] for side in (left, right))
    np.testing.assert_array_equal(moved[:, left], moved[:, right])


def test_a_linear_cell_is_learned_exactly_by_three_modes(own, tmp_path):
    """Least squares on the snapshots is the cell's law then, inside and out."""
    path = own()
    problem = load_problem(path)
    generate_cell(problem, tmp_path / "own.h5", count=6)
    run = train_cell(path, tmp_path / "own.h5", recipe="linear", modes=3)
    found = evaluate_cell(run, count=4)
    for name in ("homogenised", "shear", "tangent", "local", "local_constitutive", "worst", "mismatch"):
        assert found[name] < 1e-8, name


def test_physics_makes_more_of_the_snapshots(data, run):
    """8 modes of 30 snapshots are not those of the page."""
    warm = train_cell("rve/disc", data.path, **QUICK | {"physics_steps": 0})
    before, after = (evaluate_cell(one, count=15) for one in (warm, run))
    assert after["homogenised"] < 0.5 * before["homogenised"]
    assert after["tangent"] < before["tangent"]
    assert after["equilibrium"] < 1e-7


@pytest.mark.parametrize("recipe", [*RECIPES, "supervised"])
def test_resumed_is_uninterrupted(data, recipe, tmp_path: Path):
    options = {"recipe": recipe, "warm_steps": 4, "adam_steps": 4, "physics_steps": 4, "width": 8, "collocation": 20}
    whole = fitted(data, **options).training
    for _ in range(8):
        whole.step()
    identity = Identity(problem="p", declaration="d", solver="s")
    at = 0
    for stop in (3, 6, 8):
        part = fitted(data, **options).training
        state = TrainingState(identity, training=part)
        if at:
            state.load(tmp_path)
        for _ in range(stop - at):
            part.step()
        state.save(tmp_path)
        at = stop
    assert torch.equal(part._theta, whole._theta)


def test_on_another_device(data):
    """Shapes alone are computed there."""
    fit = fitted(data)
    bases, given = fit.training.bases, fit.training.branches
    scaling = Scaling(*(getattr(given, name).numpy() for name in ("linear", "shift", "scale")), True)
    branches = Branches(6, 16, 2, data.box, scaling, device="meta", dtype=torch.float32)
    strain = torch.zeros(5, 3, device="meta", dtype=torch.float32)
    assert branches(strain).shape == (5, 12)
    value, slope = branches.stress_with_slope(strain)
    assert (value.shape, slope.shape) == ((5, 6), (3, 5, 6))
    mismatch = Mismatch(fit.cell, bases, dtype=torch.float32, device="meta")
    found = mismatch(strain, branches(strain))
    assert found.shape == (5,)
    assert found.dtype == torch.float32
