"""Trainings of linear solvers: the loss, mixtures, schedule, going on, and a small training that must help."""

import json

import numpy as np
import pytest
import torch

from sciml.errors import OptionError, OutputError, UnknownNameError, UnsupportedError
from sciml.linear import poisson, solve
from sciml.linear.dcdm import DeepConjugateDirections
from sciml.linear.trained import digest_of
from sciml.surrogates.linear_solvers import from_problem, train_linear
from sciml.surrogates.linear_solvers.directions import (
    TRAINING_SEEDS,
    DirectionTraining,
    RitzMixtures,
    scale_free_loss,
    training_systems,
)
from sciml.surrogates.linear_solvers.options import DirectionOptions

SMALL = {"cells": "16x16", "geometries": 2, "vectors": 60, "steps": 6, "warm_up": 2, "cool_down": 3}


def options(**more):
    return DirectionOptions(**(SMALL | more))


def test_the_loss_is_free_of_scale_and_zero_at_the_solution():
    system = poisson((6, 5), walls="closed")
    A = torch.as_tensor(system.matrix.toarray())
    b = torch.as_tensor(system.rhs)
    q = torch.linalg.solve(A, b)
    assert scale_free_loss(q[None], b[None], (A @ q)[None]) < 1e-24
    q = torch.randn(3, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    value = scale_free_loss(q, b.expand(3, -1), q @ A)
    assert torch.allclose(scale_free_loss(-7 * q, b.expand(3, -1), -7 * q @ A), value)
    # The line search of the energy, one after the other.
    own = [b - (v @ b) / (v @ A @ v) * (A @ v) for v in q]
    assert torch.allclose(value, torch.stack([r @ r for r in own]).mean())


def test_gradients_of_the_loss():
    system = poisson((4, 5))
    A = torch.as_tensor(system.matrix.toarray())
    b = torch.as_tensor(system.rhs).expand(2, -1)
    q = torch.randn(2, 20, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: scale_free_loss(v, b, v @ A), q)


def test_mixtures_have_norm_one_and_the_weights_of_low_vectors():
    systems = [poisson((10, 10), walls="closed"), poisson((10, 10), obstacles=1, seed=3)]
    mixtures = RitzMixtures(systems, 40, low=0.5, weight=9.0)
    b, which = mixtures.draw(400, torch.Generator().manual_seed(0))
    assert torch.allclose(b.flatten(1).norm(dim=1), torch.ones(400), atol=1e-5)
    assert set(which.tolist()) == {0, 1}
    assert (b * (1 - mixtures.operator.fluid[which])).abs().max() == 0
    for k in (0, 1):
        own = mixtures._vectors[k].flatten(1)
        shares = ((b[which == k].flatten(1) @ own.T) ** 2).mean(0)
        n = len(own)
        assert shares[: n // 2].mean() / shares[n // 2 :].mean() == pytest.approx(81, rel=0.25)
    again, _ = mixtures.draw(400, torch.Generator().manual_seed(0))
    assert torch.equal(again, b)


def test_geometries_are_apart_from_those_of_tests():
    one, other = training_systems(options(geometries=4), 0), training_systems(options(geometries=4), 1)
    assert one[0].grid.fluid.all()
    assert not np.array_equal(one[1].grid.labels, other[1].grid.labels)
    assert TRAINING_SEEDS > 10**5


def test_the_learning_rate_rises_and_falls():
    training = DirectionTraining(options(steps=10, warm_up=4, cool_down=5), seed=0)
    rates = []
    for k in range(10):
        training.done = k
        rates.append(training.rate / training.options.learning_rate)
    assert np.allclose(rates, [0.25, 0.5, 0.75, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_going_on_is_as_never_stopped():
    whole, first, second = (DirectionTraining(options(), seed=1) for _ in range(3))
    for _ in range(6):
        whole.step()
    for _ in range(3):
        first.step()
    second.restore(first.tensors(), json.loads(json.dumps(first.values())))
    for _ in range(3):
        second.step()
    assert all(torch.equal(a, b) for a, b in zip(whole.network.parameters(), second.network.parameters(), strict=True))
    assert whole.losses == second.losses


def test_a_training_is_written_with_what_made_it(tmp_path):
    manifest, files = train_linear("dcdm", SMALL, seed=3, out=tmp_path / "own")
    assert [file.name for file in files] == ["own.safetensors", "own.json"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["own.json", "own.safetensors"]
    assert manifest["request_digest"] == digest_of(manifest["request"])
    assert manifest["command"] == (
        "sciml train-linear dcdm -o cells=[16,16] -o geometries=2 -o vectors=60 -o steps=6 -o warm_up=2 -o cool_down=3 "
        "--seed 3 --out own"
    )
    assert manifest["steps"] == 6
    found = solve(poisson((16, 16)), "dcdm", network=tmp_path / "own")
    assert found.converged
    with pytest.raises(OutputError, match="give --force"):
        train_linear("dcdm", SMALL, out=tmp_path / "own")


@pytest.mark.slow
def test_a_small_training_beats_conjugate_gradients():
    """With right sides that it has not seen; the figures are those of larger ones."""
    training = DirectionTraining(
        DirectionOptions(cells=(16, 16), vectors=150, steps=300, warm_up=20, cool_down=200), seed=0
    )
    while training.done < training.steps:
        training.step()
    assert np.mean(training.losses) < 0.12
    for kind in ("plume", "noise"):
        system = poisson((16, 16), walls="closed", rhs=kind)
        ours = solve(system, DeepConjugateDirections(network=training.network), tolerance=1e-4)
        assert ours.iterations <= 0.6 * solve(system, "cg", tolerance=1e-4).iterations


def test_bad_requests(tmp_path):
    with pytest.raises(UnknownNameError, match="linear solver that is trained"):
        train_linear("cg", out=tmp_path / "own")
    with pytest.raises(OptionError, match="has no option 'step'; did you mean 'steps'"):
        train_linear("dcdm", {"step": 1}, out=tmp_path / "own")
    with pytest.raises(OptionError, match="axes of at least 4"):
        train_linear("dcdm", {"cells": "16"}, out=tmp_path / "own")
    with pytest.raises(OutputError, match="There is no folder"):
        train_linear("dcdm", out=tmp_path / "none" / "own")


# -- systems of declared problems ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "on_grid"), [("poisson/sine", True), ("elasticity/cook", False)])
def test_systems_of_problems_have_the_solution_of_the_reference(name, on_grid):
    import sciml

    system = from_problem(name, (8, 8) if on_grid else None)
    assert (system.grid is not None) == on_grid
    assert abs(system.matrix - system.matrix.T).max() == 0
    x = solve(system, "icc", tolerance=1e-12).x
    if on_grid:
        fine = sciml.solve(name, "fenics", cells=8, degree=1, cell_type="tensor")
        place = np.stack(np.meshgrid(*[np.arange(1, 8) / 8] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
        assert np.allclose(system.grid.spread(x).ravel(), np.ravel(fine.evaluate(place)), atol=1e-9)


def test_free_constants_are_null_spaces():
    system = from_problem("poisson/pure_neumann", (6, 6))
    assert len(system.null_space) == 1
    assert np.abs(system.apply(system.null_space[0])).max() < 1e-13


@pytest.mark.parametrize(("name", "why"), [("heat/sine", "runs in time"), ("nonlinear/p_laplace", "is not linear")])
def test_problems_that_are_refused(name, why):
    with pytest.raises(UnsupportedError, match=why):
        from_problem(name)
