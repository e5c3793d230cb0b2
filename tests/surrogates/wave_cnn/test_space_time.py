"""All frames at once: what arrives along rays, amplitude, instants, formats, and the way from a file to a solver."""

import json
import math

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import sciml
from sciml import load_problem
from sciml.cli.app import app
from sciml.datasets import open_dataset
from sciml.errors import OptionError, UnsupportedError
from sciml.surrogates.accounting import account_in
from sciml.surrogates.wave_cnn import WaveOptions, evaluate_waves, load_wave_run, train_waves
from sciml.surrogates.wave_cnn.conditioning import Medium, Sides
from sciml.surrogates.wave_cnn.space_time import SpaceTime, rays
from sciml.surrogates.wave_cnn.waves import Waves

OPTIONS = {
    "simulator": "space_time",
    "kernel": 3,
    "width": 4,
    "layers": 1,
    "steps": 80,
    "batch_size": 3,
    "learning_rate": 6e-3,
}


def medium(n=2, grid=(13, 11), frames=20, source=(3, 5), speed=1.0):
    places = torch.zeros(n, 1, *grid)
    places[:, 0, *source] = 1.0
    pulses = torch.zeros(n, frames + 1, 1)
    pulses[:, 2] = torch.arange(1.0, n + 1).reshape(-1, 1)
    nothing = torch.zeros(n, *grid)
    return Medium(torch.full((n, *grid), speed), places, pulses, nothing, nothing)


def sides(grid=(13, 11), periodic=False):
    free = torch.ones(grid)
    free[0] = 0
    return Sides(free, torch.ones(grid), torch.zeros(grid), periodic)


def simulator(grid=(13, 11), **options):
    given = WaveOptions(simulator="space_time", kernel=3, width=4, **options)
    return SpaceTime(given, sides(grid), 0.1, 0.1, (1.0, 0.2), torch.Generator().manual_seed(0))


def test_rays_arrive_when_a_wave_does():
    """One node takes one frame: the front of the source comes after its distance, that of an image after its own."""
    arrivals, amplitude = rays(medium(), 0.1, 0.1)
    assert arrivals.shape == (2, 5, 20, 13, 11)
    assert amplitude.tolist() == [1, 2]
    for image, (i, j) in enumerate([(3, 5), (-3, 5), (21, 5), (3, -5), (3, 15)]):
        for place in ((3, 9), (9, 5), (12, 10)):
            frame = 2 + math.hypot(place[0] - i, place[1] - j)
            if frame < 19:
                seen = arrivals[0, image, :, *place]
                assert abs(int(seen.argmax()) + 1 - frame) <= 1
                assert torch.all(seen[: math.floor(frame) - 2] == 0)


def test_in_half_the_speed_rays_take_twice_the_time():
    fast, slow = (rays(medium(speed=c, frames=30), 0.1, 0.1)[0][0, 0, :, 8, 5] for c in (1.0, 0.5))
    assert int(slow.argmax()) - int(fast.argmax()) == 5


def test_rays_through_two_materials_take_the_sum_of_both_times():
    told = medium(grid=(13, 3), source=(0, 1), frames=40)
    told.speed[:, 6:] = 0.5
    frame = int(rays(told, 0.1, 0.1)[0][0, 0, :, 12, 1].argmax()) + 1
    assert frame == pytest.approx(2 + 6 + 12, abs=1.5)


@pytest.mark.parametrize("format", ["dense", "chain", "canonical", "separable", "depthwise", "tucker"])
@pytest.mark.parametrize(("grid", "frames"), [((13, 11), 20), ((16,), 8)])
def test_any_format_grid_and_number_of_frames(format, grid, frames):
    told = medium(grid=grid, frames=frames, source=(3,) * len(grid))
    made = simulator(grid, format=format)(told)
    assert made.shape == (2, frames, *grid)
    assert torch.all(made[:, :, 0] == 0)
    # The second member's source is twice as strong.
    torch.testing.assert_close(made[1], 2 * made[0], rtol=1e-5, atol=1e-7)


def test_frames_after_given_ones_are_those_from_the_start():
    own, told = simulator(), medium()
    whole = own.roll(told, 20)
    start = (whole[:, 3], whole[:, 4])
    later = own.roll(told, 4, start, torch.tensor([5, 9]))
    assert torch.equal(later[0], whole[0, 5:9])
    assert torch.equal(later[1], whole[1, 9:13])
    with pytest.raises(OptionError, match="Frame 21 was asked for; a space-time simulator makes 20 at once"):
        own.roll(told, 21)


def test_space_of_three_dimensions_or_periodic_is_refused():
    options = WaveOptions(simulator="space_time")
    for given in (sides((5, 5, 5)), sides(periodic=True)):
        with pytest.raises(UnsupportedError, match="take simulator=autoregressive"):
            SpaceTime(options, given, 0.1, 0.1, (1.0, 0.2), torch.Generator())


def test_the_device_meta_takes_a_pass_and_its_gradients():
    own = simulator().to("meta")
    made = own(medium().to("meta"))
    made.sum().backward()
    assert made.device.type == "meta"


def test_waves_without_a_source_or_not_from_rest_are_refused():
    own, told = simulator(), medium()
    frames = torch.ones(2, 21, 13, 11)
    silent, moving = (medium() for _ in range(2))
    silent.pulses.zero_()
    moving.velocity[0, 4, 4] = 1.0
    for given in (silent, moving):
        with pytest.raises(UnsupportedError, match="knows waves that a source makes from rest"):
            own.scale(Waves(frames, given, sides(), 0.1, 0.1))
    own.scale(Waves(frames, told, sides(), 0.1, 0.1))
    assert float(own.gain) == pytest.approx((1 + 0.5) / 2)


@pytest.fixture(scope="module")
def folder(waves_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("space_time")
    train_waves("wave/membrane", waves_file, folder=folder, **OPTIONS)
    return folder


def test_it_learns_and_is_a_solver(folder, waves_file):
    run = load_wave_run(folder)
    found = evaluate_waves(run, open_dataset(waves_file), "train", folder=folder)
    assert found["from_start"][11] < 0.6
    assert len(found["from_start"]) == 24
    member = load_problem("wave/membrane").fixing(duration=1.2, width=0.12).draw(0, 3)
    solution = sciml.solve(member, str(folder), throw=False)
    assert np.isfinite(solution.evaluate(np.array([[0.4, 0.6]]), 0.9)).all()


def test_a_training_goes_on_to_the_same_weights(waves_file, tmp_path):
    few = OPTIONS | {"steps": 4}
    whole = train_waves("wave/membrane", waves_file, **few)
    train_waves("wave/membrane", waves_file, folder=tmp_path, **few, cpu_seconds=1e-9)
    resumed = train_waves("wave/membrane", waves_file, folder=tmp_path, resume=True, **few)
    ours, theirs = whole.simulator.state_dict(), resumed.simulator.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_what_it_costs_is_shown(folder, trained):
    runner = CliRunner()
    shown = json.loads(runner.invoke(app, ["show", str(folder), "--json"]).stdout)
    assert shown["trainable_parameters"] == load_wave_run(folder)["trainable_parameters"]
    assert {layer["kind"] for layer in shown["layers"]} == {"Chain"}
    name, found = account_in(trained, timed=False)
    assert name == "wave_cnn (autoregressive, chain)"
    assert found.trainable_parameters == load_wave_run(trained)["trainable_parameters"]
    assert found.multiply_adds > 0
