"""The structure of a simulator: linear in state and source, reversible, and right where the answer is known."""

import numpy as np
import pytest
import torch
from ufl import grad, pi, sin

import sciml
from sciml import Absorbing, Box, Dirichlet, Problem, load_problem
from sciml.errors import OptionError, UnsupportedError
from sciml.solvers.base import validated_options
from sciml.surrogates.wave_cnn import WaveOptions
from sciml.surrogates.wave_cnn.conditioning import conditioned, sides_of
from sciml.surrogates.wave_cnn.training import build

N, STEP, FRAMES = 17, 0.05, 12


def told(problem, n=N, frames=FRAMES, step=STEP):
    times = problem.time.start + step * np.arange(1, frames + 1)
    return sides_of(problem, (n, n)), conditioned(problem, (n, n), times)


def simulator(problem, n=N, step=STEP, dtype=torch.float64, **options):
    sides, medium = told(problem, n)
    setting = {"sides": sides, "step": step, "spacing": 1 / (n - 1), "speed": (1.0, 0.2)}
    built = build(WaveOptions(**{"width": 4, "format": "dense"} | options), setting=setting, seed=3).to(dtype)
    return built, medium.to("cpu", dtype)


@pytest.fixture(params=["reflecting", "absorbing"])
def member(request):
    return load_problem("wave/membrane", sides=request.param).draw(2)


@pytest.fixture(params=["autoregressive", "corrected"])
def kind(request):
    return request.param


def test_frames_are_linear_in_state_and_source(member, kind):
    built, medium = simulator(member, simulator=kind)
    other = type(medium)(medium.speed, medium.places.flip(-1), medium.pulses * 2, medium.start, medium.velocity)
    added = type(medium)(
        medium.speed, torch.cat([medium.places, 3 * other.places], 1), torch.cat([medium.pulses, other.pulses], 2),
        medium.start, medium.velocity,
    )  # fmt: skip
    one, two, both = (built.roll(each, 6) for each in (medium, other, added))
    torch.testing.assert_close(both, one + 3 * two, rtol=1e-10, atol=1e-12 * float(both.abs().max()))


def test_time_can_be_turned_back(kind):
    built, medium = simulator(load_problem("wave/membrane").draw(2), simulator=kind)
    quiet = type(medium)(medium.speed, medium.places, 0 * medium.pulses, medium.start, medium.velocity)
    torch.manual_seed(0)
    start = tuple(built.free[0] * torch.randn(1, N, N, dtype=torch.float64) for _ in range(2))
    forth = torch.cat([start[0][:, None], start[1][:, None], built.roll(quiet, 8, start)], 1)
    back = built.roll(quiet, 8, (forth[:, -1], forth[:, -2]))
    torch.testing.assert_close(back[:, -1], start[0], rtol=0, atol=1e-9)


def test_the_operator_is_symmetric_with_the_shares_of_mass_and_not_negative(member):
    built, medium = simulator(member)
    one, two = (built.free * torch.randn(1, 1, N, N, dtype=torch.float64) for _ in range(2))
    with torch.no_grad():
        known = built.tell(medium)
        left = float((built.weight * two * built.operator(one, known)).sum())
        right = float((built.weight * one * built.operator(two, known)).sum())
        assert left == pytest.approx(right, rel=1e-10)
        assert float((built.weight * one * built.operator(one, known)).sum()) >= 0


def standing(sides, exact):
    return Problem(
        domain=Box((0.0, 0.0), (1.0, 1.0)), time=0.6, mass=1.0, load=0.0, flux=lambda u: 0.49 * grad(u),
        conditions=[Dirichlet(0.0, on="boundary")] * sides, initial=exact, initial_velocity=0.0,
    )  # fmt: skip


@pytest.mark.parametrize("held", [True, False])
def test_a_skeleton_without_correction_converges_with_the_second_order(held):
    wave = (lambda x: sin(pi * x[0]) * sin(2 * pi * x[1])) if held else (lambda x: sin(pi * (x[0] - 0.5)))
    problem, rate = standing(held, wave), 0.7 * np.pi * np.sqrt(5 if held else 1)
    errors = []
    for n in (9, 17, 33):
        built, medium = simulator(problem, n, simulator="corrected", substeps=(n - 1) // 4)
        with torch.no_grad():
            built.stiffness.last.factors[0].zero_()
            built.stiffness.last.bias.zero_()
        last = built.roll(medium, FRAMES)[0, -1].numpy()
        exact = medium.start[0].numpy() * np.cos(rate * STEP * FRAMES)
        errors.append(np.linalg.norm(last - exact) / np.linalg.norm(medium.start[0]))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.3)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2, abs=0.15)
    assert errors[2] < 0.01


def test_a_skeleton_with_small_steps_is_the_reference_with_a_source():
    """Corners of 64 cells, the source included: both are second order, and differ by that of the steps and means."""
    member = load_problem("wave/membrane", duration=0.6, contrast=1.0).draw(4).with_parameters(contrast=1.0)
    n, frames = 65, 12
    built, medium = simulator(member, n, simulator="corrected", substeps=8)
    with torch.no_grad():
        built.stiffness.last.factors[0].zero_()
        built.stiffness.last.bias.zero_()
    made = built.roll(medium, frames)[0, -1].numpy()
    line = np.linspace(0, 1, n)
    nodes = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    options = {"scheme": "explicit", "degree": 1, "cells": n - 1, "steps": 12 * 8, "measure_error": False}
    expected = sciml.solve(member, "fenics", **options).evaluate(nodes, 0.6).reshape(n, n)
    assert np.linalg.norm(made - expected) < 0.02 * np.linalg.norm(expected)


def test_a_source_that_moves_is_told_frame_by_frame():
    def wave(load):
        return Problem(
            domain=Box((0.0, 0.0), (1.0, 1.0)), time=0.6, mass=2.0, load=load, flux=lambda u: grad(u),
            conditions=[Dirichlet(0.0, on="boundary")], initial=0.0, initial_velocity=0.0,
        )  # fmt: skip

    _, fixed = told(wave(lambda x, t: sin(2 * t) * x[0]))
    moving = wave(lambda x, t: sin(2 * t + 1e-9 * x[1]) * x[0])
    _, general = told(moving)
    assert general.places.shape[1] == FRAMES + 1
    for frame in (1, 2, 7):
        inside = (..., slice(1, -1), slice(1, -1))  # on sides the other is a mean over one half
        torch.testing.assert_close(general.source(frame)[inside], fixed.source(frame)[inside], rtol=0, atol=2e-4)


def test_absorbing_and_open_sides_are_seen():
    problem = Problem(
        domain=Box((0.0, 0.0), (1.0, 1.0)), time=1.0, mass=1.0, load=0.0, flux=lambda u: grad(u), initial=0.0,
        initial_velocity=0.0, conditions=[Dirichlet(0.0, on="left"), Absorbing(impedance=1.0, on="top")],
    )  # fmt: skip
    sides = sides_of(problem, (5, 5))
    assert (sides.free[0] == 0).all()
    assert (sides.free[1:] == 1).all()
    assert sides.weight[2].tolist() == [0.5, 1, 1, 1, 0.5]
    assert sides.weight[-1].tolist() == [0.25, 0.5, 0.5, 0.5, 0.25]
    np.testing.assert_allclose(sides.absorbing[2], np.exp(-np.arange(4, -1, -1) / 2))


def test_what_it_is_told_of_a_linear_speed_is_that_speed():
    problem = Problem(
        domain=Box((0.0, 0.0), (1.0, 1.0)), time=1.0, mass=1.0, load=0.0, flux=lambda u, x: (1 + x[0]) * grad(u),
        initial=0.0, initial_velocity=0.0, conditions=[Dirichlet(0.0, on="boundary")],
    )  # fmt: skip
    _, medium = told(problem)
    squared = medium.speed[0].numpy() ** 2
    expected = 1 + np.linspace(0, 1, N)[:, None] + np.zeros(N)
    np.testing.assert_allclose(squared[1:-1], expected[1:-1], rtol=1e-12)


def test_it_is_built_without_a_value_on_meta(member, kind):
    built, medium = simulator(member, simulator=kind, dtype=torch.float32)
    built, medium = built.to("meta"), medium.to("meta")
    known = built.tell(medium)
    frame = torch.empty(1, 1, N, N, device="meta")
    out = built.next(frame, frame, medium.source(1), known)
    out.sum().backward()
    assert out.shape == frame.shape
    assert all(weight.grad is not None for weight in built.parameters() if weight.requires_grad)


@pytest.mark.parametrize("format", ["chain", "canonical", "tucker"])
def test_layers_between_channels_alone_are_in_the_format(format):
    """A chain from one channel that has all kernels would hold more numbers than these."""
    built, _ = simulator(load_problem("wave/membrane", sides="absorbing"), format=format, layers=3)
    kinds = [[layer.format for layer in chain.convolutions] for chain in (built.stiffness, built.damping)]
    assert kinds == [["dense", format, format], ["dense"]]


def test_what_is_no_wave_is_refused():
    with pytest.raises(UnsupportedError, match="mass"):
        sides_of(load_problem("heat/moving_source"), (5, 5))
    with pytest.raises(OptionError, match="even kernel"):
        validated_options(WaveOptions, {"kernel": 4}, "model 'wave_cnn'")
