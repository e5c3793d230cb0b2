"""Trainings by DeepXDE: accuracy with a fixed seed, limits, outcomes, refinement, users' networks."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from sciml.errors import DeclarationError, OptionError
from sciml.solvers.deepxde.engine import train
from sciml.solvers.deepxde.isolation import IsolationError, isolated
from sciml.solvers.deepxde.ledger import Ledger
from sciml.solvers.deepxde.options import TrainingOptions
from sciml.solvers.deepxde.records import BoundaryTerm, Progress, Training

ACCURATE = TrainingOptions(width=20, adam=200, learning_rate=5e-3, lbfgs=300)
SHORT = TrainingOptions(width=8, depth=2, adam=30, lbfgs=30, chunk=10)


def fit(targets: torch.Tensor | None = None) -> Training:
    """Fit y(x) to 2x + 1 on the unit interval: a linear least-squares problem for a linear network."""
    return Training(
        dim=1,
        outputs=1,
        residual=lambda x, y: [y[:, 0] - 2 * x[:, 0] - 1],
        residual_weights=[1.0],
        interior=np.linspace(0, 1, 11)[:, None],
        candidates=lambda m, generator: generator.random((m, 1)),
    )


def line() -> torch.nn.Linear:
    """The same line at every import: torch's own start would come from its global generator."""
    module = torch.nn.Linear(1, 1)
    with torch.no_grad():
        module.weight.fill_(0.3)
        module.bias.fill_(-0.2)
    return module


LINEAR = TrainingOptions(network=line(), adam=0, lbfgs=200, chunk=10)


def test_poisson_with_hard_conditions(tools) -> None:
    result = train(tools.poisson(200), ACCURATE)
    assert tools.error(result.network) < 1e-4
    assert result.iterations == {"adam": 200, "lbfgs": 300}
    assert (result.status, result.n_points, result.parameters) == ("budget_reached", 200, 921)
    assert result.reason == "all iterations used: 200 Adam and 300 L-BFGS iterations"
    assert all(p.dtype == torch.float64 and p.grad is None for p in result.network.parameters())


def test_poisson_with_soft_conditions(tools) -> None:
    result = train(tools.poisson(200, hard=False), replace(ACCURATE, lbfgs=500))
    assert tools.error(result.network) < 1e-3
    names = ["residual[0]", *(f"dirichlet {side}[0]" for side in ("bottom", "right", "top", "left"))]
    assert result.term_names == list(result.losses) == names
    assert result.n_points == 200
    assert result.loss == math.fsum(result.losses.values()) == math.fsum(result.history[-1][1])


def test_losses_are_the_weighted_means_in_double_precision(tools) -> None:
    training = tools.poisson(50, hard=False)
    result = train(training, SHORT)
    x = torch.tensor(training.interior).requires_grad_()
    interior = training.residual(x, result.network(x))[0].square().mean()
    expected = [float(interior.detach())]
    for term in training.boundary:
        x = torch.tensor(term.points)
        residual = term.residual(x, result.network(x), slice(None))
        expected.append(term.weight * float(residual.detach().square().mean()))
    np.testing.assert_allclose(list(result.losses.values()), expected, rtol=1e-11)


def test_same_seed_same_bits(tools) -> None:
    first, second, other = (train(tools.poisson(30), replace(SHORT, seed=seed)) for seed in (4, 4, 5))
    assert tools.same_bits(first, second)
    assert not tools.same_bits(first, other)


def test_single_precision(tools) -> None:
    result = train(tools.poisson(50), replace(SHORT, adam=100, lbfgs=100, dtype=torch.float32))
    assert all(p.dtype == torch.float32 for p in result.network.parameters())
    assert result.loss < 0.01 * result.history[0][1][0]


def test_parallel_networks_for_two_outputs(tools) -> None:
    """Twice the same problem: every output has its own network."""
    scalar = tools.poisson(100)
    training = replace(
        scalar,
        outputs=2,
        residual=lambda x, y: [*scalar.residual(x, y), *scalar.residual(x, y[:, 1:])],
        residual_weights=[1.0, 1.0],
    )
    result = train(training, replace(ACCURATE, network="pfnn", width=12, lbfgs=200))
    assert tools.error(result.network) < 1e-3
    assert tools.error(lambda x: result.network(x)[:, 1:]) < 1e-3


@pytest.mark.parametrize(("adam", "lbfgs", "chunk"), [(37, 53, 20), (0, 21, 20), (7, 0, 20)])
def test_iterations_are_exact(tools, adam: int, lbfgs: int, chunk: int) -> None:
    result = train(tools.poisson(20), replace(SHORT, adam=adam, lbfgs=lbfgs, chunk=chunk))
    assert result.iterations == {"adam": adam, "lbfgs": lbfgs}
    assert result.history[0][0] == 0
    assert result.history[-1][0] == adam + lbfgs


def test_cpu_budget(tools) -> None:
    train(tools.poisson(20), SHORT)
    options = TrainingOptions(width=20, adam=100_000, lbfgs=100_000, chunk=20, cpu_seconds=1.0)
    start = time.process_time()
    result = train(tools.poisson(200), options)
    assert result.status == "budget_reached"
    assert "of 1 CPU seconds used" in result.reason
    assert 1.0 <= result.cpu_seconds < 5.0
    assert time.process_time() - start < 6.0


def test_refinement_goes_where_the_residual_is(tools) -> None:
    training = tools.poisson(100, load=tools.peak)
    options = TrainingOptions(
        width=12, adam=100, lbfgs=60, chunk=20, sampler="rar", rar_every=40, rar_candidates=2000, rar_add=10
    )
    result = train(training, replace(options, rar_max_points=125))
    assert (result.rounds, result.n_points) == (3, 125)
    np.testing.assert_array_equal(result.points[25:], training.interior)
    distance = np.linalg.norm(result.points[:25] - [0.7, 0.3], axis=1)
    assert np.median(distance) < 0.1
    assert np.median(np.linalg.norm(training.interior - [0.7, 0.3], axis=1)) > 0.3
    assert tools.same_bits(result, train(training, replace(options, rar_max_points=125)))


def test_refinement_helps(tools) -> None:
    """At the same number of iterations the residual at the peak is smaller with added points."""
    line = torch.linspace(0.6, 0.8, 15, dtype=torch.float64)
    around = torch.cartesian_prod(line, line - 0.4)
    options = TrainingOptions(width=20, adam=200, lbfgs=200, learning_rate=5e-3, rar_every=50, rar_add=20)
    sizes = []
    for sampler in ("fixed", "rar"):
        training = tools.poisson(100, load=tools.peak)
        x = around.clone().requires_grad_()
        network = train(training, replace(options, sampler=sampler)).network
        sizes.append(float(training.residual(x, network(x))[0].detach().square().mean().sqrt()))
    assert sizes[1] < 0.5 * sizes[0]


def test_convergence() -> None:
    result = train(fit(), LINEAR)
    assert result.status == "converged"
    assert "no entry of the gradient is above 1e-08" in result.reason
    assert float(result.network.module.weight.detach()) == pytest.approx(2.0, abs=1e-6)
    assert result.iterations["lbfgs"] < 50


def test_convergence_of_changes() -> None:
    result = train(fit(), replace(LINEAR, gradient_tolerance=0.0, change_tolerance=1e-6))
    assert result.status == "converged"
    assert "changes" in result.reason


def test_stagnation(tools) -> None:
    """Without tolerances, L-BFGS ends when rounding leaves it no step that lowers the loss."""
    training = replace(fit(), residual=lambda x, y: [y[:, 0] - torch.sin(3 * x[:, 0])])
    result = train(training, replace(LINEAR, gradient_tolerance=0.0))
    assert result.status == "stagnated"
    assert result.iterations["lbfgs"] < 200


def test_converged_from_the_start() -> None:
    """DeepXDE's own loop would never end here."""
    network = torch.nn.Linear(1, 1)
    with torch.no_grad():
        network.weight.fill_(2.0)
        network.bias.fill_(1.0)
    result = train(fit(), replace(LINEAR, network=network))
    assert (result.status, result.iterations["lbfgs"]) == ("converged", 0)
    assert result.loss < 1e-30


@pytest.mark.parametrize("phases", [{"adam": 100, "lbfgs": 0}, {"adam": 0, "lbfgs": 100}])
def test_nan_is_a_divergence_with_finite_weights(tools, phases: dict[str, int]) -> None:
    calls = []

    def residual(x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
        calls.append(1)
        return [y[:, 0] - x[:, 0] + (math.nan if len(calls) > 40 else 0.0)]

    result = train(replace(fit(), residual=residual), replace(LINEAR, network="fnn", chunk=10, **phases))
    assert result.status == "diverged"
    assert "the loss became nan in the chunk after" in result.reason
    assert len(calls) == 41
    assert all(torch.isfinite(p).all() for p in result.network.parameters())
    assert math.isfinite(result.loss)
    assert math.isfinite(float(result.network(torch.zeros(1, 1, dtype=torch.float64)).detach()))


def test_overflow_in_adam_is_a_divergence() -> None:
    training = replace(fit(), residual=lambda x, y: [torch.exp(y[:, 0] ** 2)])
    result = train(training, replace(LINEAR, adam=100, learning_rate=100.0))
    assert result.status == "diverged"
    assert all(torch.isfinite(p).all() for p in result.network.parameters())


def test_divergence_at_the_initial_weights() -> None:
    result = train(replace(fit(), residual=lambda x, y: [y[:, 0] / 0.0]), LINEAR)
    assert result.status == "diverged"
    assert "at the initial weights" in result.reason
    assert math.isnan(result.loss)
    assert all(torch.isfinite(p).all() for p in result.network.parameters())


class Sines(torch.nn.Module):
    """Sum of products of sines with trainable amplitudes, behind a frozen scaling."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(0.5), requires_grad=False)
        self.amplitudes = torch.nn.Parameter(torch.zeros(3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        waves = torch.sin(math.pi * x[:, :, None] * torch.arange(1, 4, device=x.device))
        return self.scale * torch.einsum("ni,nj,ij->n", waves[:, 0], waves[:, 1], self.amplitudes)[:, None]


def test_network_of_the_user(tools) -> None:
    network = Sines()
    training = replace(tools.poisson(50), feature_transform=None, output_transform=None)
    result = train(training, replace(LINEAR, network=network))
    assert result.status == "converged"
    assert tools.error(result.network) < 1e-6
    assert result.parameters == 9
    trained = result.network.module
    assert isinstance(trained, Sines)
    assert float(trained.scale) == 0.5
    assert not trained.scale.requires_grad
    assert float(trained.amplitudes[0, 0].detach()) == pytest.approx(2.0, abs=1e-6)
    assert network.amplitudes.dtype == torch.float32
    assert not network.amplitudes.any()


def test_progress_and_stop(tools) -> None:
    reports: list[tuple[float, Progress]] = []
    options = replace(SHORT, width=20, adam=100, lbfgs=200)
    polls = iter(range(100))
    result = train(
        tools.poisson(200),
        options,
        progress=lambda report: reports.append((time.monotonic(), report)),
        stop=lambda: next(polls) == 20,
    )
    assert result.reason == f"stopped on request after 100 Adam and {result.iterations['lbfgs']} L-BFGS iterations"
    assert result.status == "budget_reached"
    assert next(polls) == 21
    times = np.array([when for when, _ in reports[:-1]])
    assert len(times) >= 2
    assert np.all(np.diff(times) >= 0.19)
    iterations = [report.iteration for _, report in reports]
    assert iterations == sorted(iterations)
    assert np.isfinite([report.loss for _, report in reports]).all()
    last = reports[-1][1]
    assert (last.phase, last.iteration, last.total) == ("lbfgs", sum(result.iterations.values()), 300)
    assert last.loss == result.loss
    assert 0 < reports[0][1].cpu_seconds < last.cpu_seconds <= result.cpu_seconds


def test_progress_may_fail_and_may_not_train(tools) -> None:
    def nested(report: Progress) -> None:
        train(tools.poisson(20), SHORT)

    with pytest.raises(IsolationError):
        train(tools.poisson(20), SHORT, progress=nested)
    assert torch.get_default_dtype() == torch.float32


def test_long_histories_are_thinned() -> None:
    ledger = Ledger()
    for _ in range(5000):
        ledger.record([float(ledger.adam)])
        ledger.count("adam", 1)
    ledger.record([-1.0])
    history = ledger.full_history()
    assert 500 <= len(history) <= 1002
    assert (history[0], history[-1]) == ((0, (0.0,)), (5000, (-1.0,)))
    assert len(set(np.diff([iteration for iteration, _ in history[:-1]]))) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"network": "resnet"},
        {"activation": "cosh"},
        {"initializer": "zeros"},
        {"sampler": "random"},
        {"width": 0},
        {"chunk": 1},
        {"adam": -1},
        {"adam": 0, "lbfgs": 0},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"gradient_tolerance": -1.0},
        {"cpu_seconds": 0.0},
        {"rar_max_points": 0},
        {"decay": ("cosine", 10)},
        {"decay": ("lambda", abs)},
    ],
    ids=str,
)
def test_wrong_options(change: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(iter(change))):
        TrainingOptions(**change)


def test_options_that_do_not_fit(tools) -> None:
    with pytest.raises(OptionError, match="below the 30 initial"):
        train(tools.poisson(30), replace(SHORT, sampler="rar", rar_max_points=20))
    with pytest.raises(OptionError, match="maps"):
        train(tools.poisson(30), replace(SHORT, network=torch.nn.Linear(2, 3)))
    with pytest.raises(OptionError, match="no trainable parameter"):
        train(tools.poisson(30), replace(SHORT, network=torch.nn.Identity()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"residual": lambda x, y: [y]}, r"residual\[0\] has the shape \(30, 1\)"),
        ({"residual": lambda x, y: [y[:, 0], y[:, 0]]}, "2 residuals and 1 residual_weights"),
        (
            {"boundary": (BoundaryTerm("side", np.zeros((3, 2)), lambda x, y, rows: y[:, 0]),)},
            "'side' has the shape",
        ),
    ],
)
def test_residuals_of_the_wrong_shape(tools, change: dict[str, object], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        train(replace(tools.poisson(30), **change), SHORT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"interior": np.zeros((5, 3))}, r"interior is \(5, 3\)"),
        ({"interior": np.zeros((0, 2))}, "at least one point"),
        ({"interior": np.full((5, 2), np.nan)}, "not finite"),
        ({"residual_weights": []}, "residual_weights is empty"),
        ({"residual_weights": [-1.0]}, "weight of -1.0"),
    ],
)
def test_inconsistent_trainings(tools, change: dict[str, object], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        replace(tools.poisson(30), **change)


def test_candidates_of_the_wrong_shape(tools) -> None:
    training = replace(tools.poisson(30), candidates=lambda m, generator: generator.random((m, 3)))
    with pytest.raises(DeclarationError, match="candidates"):
        train(training, replace(SHORT, sampler="rar", rar_every=10))


def test_a_failed_training_frees_deepxde(tools) -> None:
    with pytest.raises(ZeroDivisionError):
        train(replace(tools.poisson(30), residual=lambda x, y: 1 / 0), SHORT)
    with isolated(dtype=torch.float64, seed=0):
        pass
