"""Points from the adversary: shares, budgets, and that a resumed sampler goes on bit by bit."""

import json

import numpy as np
import pytest

from sciml.registry import load_problem
from sciml.sampling import SamplingContext, SamplingOptions
from sciml.solvers.pinn.adversarial_sampler import AdversarialSampler
from sciml.solvers.pinn.adversary import AdversaryOptions

LIGHT = AdversaryOptions(couplings=4, learning_rate=2e-2, pool=600, batch=100, first_steps=40, steps=2)


def bump(points):
    return np.exp(-60 * ((points[:, :2] - 0.5) ** 2).sum(axis=1))


def context(name="poisson/peak", seed=0, residuals=bump, round=1):
    return SamplingContext(load_problem(name), residuals, np.random.default_rng(seed), round)


@pytest.mark.parametrize("add", [0, 100])
def test_half_follows_the_residual_and_half_covers_the_domain(add):
    sampler = AdversarialSampler(SamplingOptions(points=400, budget=600, add=add, uniform_share=0.5), LIGHT)
    here = context()
    points = sampler.start(400, here)
    assert points.counts() == {"uniform": 400, "adaptive": 0, "user": 0}
    for _ in range(5):
        points = sampler.refresh(points, here)
    assert len(points) == (600 if add else 400)
    assert points.has("uniform").sum() >= len(points) // 2
    assert np.all(points.weights == 1)
    adaptive = points.points[points.has("adaptive")]
    near = ((adaptive - 0.5) ** 2).sum(axis=1) < 0.3**2
    assert near.mean() > 3 * np.pi * 0.3**2 / 4


def test_only_the_first_refresh_takes_many_steps():
    sampler = AdversarialSampler(SamplingOptions(points=50), LIGHT)
    here = context()
    points = sampler.start(50, here)
    assert sampler.adversary.steps == 0
    points = sampler.refresh(points, here)
    assert sampler.adversary.steps == 40
    sampler.refresh(points, here)
    assert sampler.adversary.steps == 42


@pytest.mark.parametrize("refreshes", [0, 2])
def test_a_resumed_sampler_goes_on_bitwise(refreshes):
    options = SamplingOptions(points=60)
    sampler, here = AdversarialSampler(options, LIGHT), context()
    points = sampler.start(60, here)
    for _ in range(refreshes):
        points = sampler.refresh(points, here)
    tensors, values = sampler.tensors(), json.loads(json.dumps(sampler.values()))
    resumed = AdversarialSampler(options, LIGHT)
    resumed.restore(tensors, values)
    assert resumed.values() == sampler.values()
    assert set(resumed.tensors()) == set(sampler.tensors())
    expected, found = sampler.refresh(points, here), resumed.refresh(points, context(seed=7))
    assert np.array_equal(expected.points, found.points)
