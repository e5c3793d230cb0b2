"""Trainings of linear solvers: the loss, mixtures, schedule, going on, and a small training that must help."""

import json

import numpy as np
import pytest
import torch

from sciml.errors import OptionError, OutputError, UnknownNameError, UnsupportedError
from sciml.linear import LinearSystem, diffusion, poisson, solve
from sciml.linear.dcdm import DeepConjugateDirections
from sciml.linear.learned import CycleNetwork, Hierarchy, Layout, LearnedMultigrid, NetworkShape, stencil_of
from sciml.linear.trained import digest_of
from sciml.surrogates.linear_solvers import from_problem, train_linear
from sciml.surrogates.linear_solvers.cycle_options import CycleOptions
from sciml.surrogates.linear_solvers.cycles import CycleTraining, draw_system, iteration_loss, rough_solutions
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


CYCLE = {"cells": "36x36", "width": 8, "steps": 6, "warm_up": 2, "cool_down": 3}


@pytest.mark.parametrize(
    ("training", "options"),
    [(DirectionTraining, options()), (CycleTraining, CycleOptions(**CYCLE))],
    ids=["dcdm", "mg"],
)
def test_going_on_is_as_never_stopped(training, options):
    whole, first, second = (training(options, seed=1) for _ in range(3))
    for _ in range(4):
        whole.step()
    for _ in range(2):
        first.step()
    second.restore(first.tensors(), json.loads(json.dumps(first.values())))
    for _ in range(2):
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


# -- the cycle -----------------------------------------------------------------------------------------------------


@pytest.fixture
def several_levels(monkeypatch):
    """Small systems are solved directly else."""
    monkeypatch.setattr("sciml.linear.learned.hierarchy.DIRECT", 12)


def loss_of(system, x, iterations, network=None):
    layout = Layout(system.grid.shape)
    stencil = stencil_of(system.grid, layout, torch.float64, "cpu")
    network = CycleNetwork(NetworkShape(2, 8)) if network is None else network
    return iteration_loss(Hierarchy(stencil, layout, network), stencil, layout, layout.pack(x), iterations)


def test_the_loss_of_a_cycle_is_what_conjugate_gradients_reach(several_levels):
    system = diffusion((19, 22), contrast=100, anisotropy=30, angle=20)
    x = np.random.default_rng(0).normal(size=system.size)
    spread = torch.as_tensor(system.grid.spread(x))[None]
    value = float(loss_of(system, spread, 4).detach())
    known = LinearSystem(system.matrix @ x, system.grid, name="known")
    ours = LearnedMultigrid(network="untrained", precision="float64")
    found = solve(known, ours, tolerance=1e-14, max_iterations=4)
    gap = found.x - x
    shrunk = 0.5 * np.log((x @ (system.matrix @ x)) / (gap @ (system.matrix @ gap))) / 4
    assert value == pytest.approx(-np.log(shrunk), rel=1e-6)
    assert float(loss_of(system, 50 * spread, 4).detach()) == pytest.approx(value, rel=1e-9)


def test_gradients_of_the_loss_of_a_cycle(several_levels):
    """Along random directions of the weights, against differences; bounds of eigenvalues and the last inverse are held."""
    system = poisson((13, 10), obstacles=1, seed=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = CycleNetwork(NetworkShape(2, 8)).double()
    generator = torch.Generator().manual_seed(0)
    weights = list(network.parameters())

    def move(way, h):
        with torch.no_grad():
            for weight, step in zip(weights, way, strict=True):
                weight.add_(h * step)

    def random_way():
        return [torch.randn(w.shape, generator=generator, dtype=torch.float64) for w in weights]

    move(random_way(), 0.1)
    x = torch.as_tensor(system.grid.spread(np.random.default_rng(0).normal(size=system.size)))[None]
    slopes = torch.autograd.grad(loss_of(system, x, 3, network), weights)
    expected, found = [], []
    for _ in range(6):
        way = random_way()
        expected.append(float(sum((a * b).sum() for a, b in zip(slopes, way, strict=True))))
        ends = []
        for h in (1e-6, -2e-6):
            move(way, h)
            ends.append(float(loss_of(system, x, 3, network).detach()))
        move(way, 1e-6)
        found.append((ends[0] - ends[1]) / 2e-6)
    gap, size = np.linalg.norm(np.subtract(found, expected)), np.linalg.norm(found)
    assert size > 0.5
    assert gap < 0.1 * size


def test_systems_of_a_training_are_drawn_as_asked():
    options = CycleOptions(cells=(40, 30), poisson=0.5)
    generator = np.random.default_rng(0)
    systems = [draw_system(options, generator) for _ in range(40)]
    assert {system.grid.shape for system in systems} > {systems[0].grid.shape}
    assert all(20 <= s.grid.shape[0] <= 40 and 15 <= s.grid.shape[1] <= 30 for s in systems)
    assert 8 < sum("poisson" in system.name.lower() for system in systems) < 32
    with pytest.raises(ValueError, match="solved directly, with nothing to learn; 1200 cells in all"):
        CycleOptions(cells=(24, 24))


def test_drawn_solutions_have_energy_at_all_scales():
    """Differences over 1, 4 and 16 cells all count: of noise they are alike, of a smooth field they grow like lengths."""
    layout = Layout((64, 64))
    image = layout.unpack(rough_solutions(layout, 40, np.random.default_rng(0)))
    assert image.shape == (40, 64, 64)
    sizes = [float((image[:, k:] - image[:, :-k]).square().mean()) for k in (1, 4, 16)]
    assert 1.5 < sizes[1] / sizes[0] < 16
    assert 1.5 < sizes[2] / sizes[1] < 16


def test_a_trained_cycle_is_written_and_taken(tmp_path):
    manifest, files = train_linear("learned_mg", CYCLE, seed=3, out=tmp_path / "own")
    assert [file.name for file in files] == ["own.safetensors", "own.json"]
    assert (manifest["dim"], manifest["width"], manifest["steps"]) == (2, 8, 6)
    assert set(manifest["found"]) == {"obstacles", "contrast", "anisotropy"}
    assert solve(diffusion((20, 20), contrast=10), "learned_mg", network=tmp_path / "own").converged


@pytest.mark.slow
def test_a_small_training_of_a_cycle_saves_iterations(several_levels):
    training = CycleTraining(
        CycleOptions(cells=(32, 32), width=16, steps=150, warm_up=10, cool_down=100, poisson=0.0, contrast=1.0), seed=0
    )
    while training.done < training.steps:
        training.step()
    counts = {"trained": 0, "untrained": 0}
    for seed in range(4):
        system = diffusion((64, 64), anisotropy=1000, angle=5, seed=seed)
        for name, network in (("trained", training.network), ("untrained", "untrained")):
            counts[name] += solve(system, LearnedMultigrid(network=network), tolerance=1e-8).iterations
    assert counts["trained"] < 0.8 * counts["untrained"]


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
