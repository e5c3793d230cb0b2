"""From a data file to a solver: training, resuming, evaluating, solving, and what is refused."""

import json
import shutil

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import sciml
from sciml import load_problem
from sciml.cli.app import app
from sciml.datasets import generate, open_dataset
from sciml.errors import OptionError, OutputError, UnsupportedError
from sciml.solution import GridEvolution, load_solution
from sciml.surrogates import train
from sciml.surrogates.wave_cnn import evaluate_waves, load_wave_run, train_waves
from sciml.surrogates.wave_cnn.fitting import WaveFit
from sciml.surrogates.wave_cnn.waves import Waves

OPTIONS = {"width": 6, "steps": 60, "batch_size": 6, "unroll": 2}


def member(index, seed=3):
    return load_problem("wave/membrane").fixing(duration=1.2, width=0.12).draw(index, seed)


def test_it_learns_in_seconds_what_persistence_does_not_know(trained, waves_file):
    found = evaluate_waves(load_wave_run(trained), open_dataset(waves_file), "test", folder=trained)
    assert found["frame_1"] < 0.15  # the frame before is no better than 0.5
    assert found["frame_5"] < 0.4
    assert len(found["error_per_frame"]) >= 5
    assert len(found["from_start"]) == 24
    assert found["checkpoint_bytes"] > 4 * found["trainable_parameters"]
    assert 1 <= found["first_frame_over_20_percent"] <= 24


def test_it_learns_how_waves_leave(tmp_path):
    """Absorbing sides: the energy of roll-outs falls as that of the true waves does, and nothing blows up."""
    family = load_problem("wave/membrane", sides="absorbing").fixing(duration=2.0, width=0.12)
    generate(family, tmp_path / "waves.h5", split=(12, 3, 4), resolution=17, frames=40, check=0)
    run = train_waves("wave/membrane", tmp_path / "waves.h5", **OPTIONS | {"steps": 120})
    test = Waves.of(open_dataset(tmp_path / "waves.h5"), "test")
    made, truth = (values.flatten(2).square().sum(2) for values in (run.roll(test.medium, 40), test.frames[:, 1:]))
    left = [float(size[:, -1].sum() / size.amax(1).sum()) for size in (made, truth)]
    assert left[1] < 0.05
    assert left[0] < 0.15
    found = evaluate_waves(run, open_dataset(tmp_path / "waves.h5"))
    assert found["frame_1"] < 0.2
    assert max(found["from_start"][:20]) < 0.6


def test_it_is_a_solver_of_its_family(trained, waves_file, tmp_path):
    """What the solver makes of a test member from its declaration is what the evaluation makes of the file."""
    solution = sciml.solve(member(0), str(trained), throw=False)
    assert solution.status in ("converged", "outside_range")  # as its twelve training members happen to lie
    dataset = open_dataset(waves_file)
    truth = dataset.trajectories("test")[0, ..., 0]
    nodes = dataset.places.reshape(-1, 2).astype(float)
    made = solution.evaluate(nodes, list(dataset.problem.time.duration * np.arange(1, 25) / 24))
    run = load_wave_run(trained)
    expected = run.roll(Waves.of(dataset, "test").medium, 24)[0].numpy()
    np.testing.assert_allclose(made.reshape(expected.shape), expected, atol=1e-6 * np.abs(truth).max())
    assert np.linalg.norm(expected - truth) < 0.5 * np.linalg.norm(truth)
    solution.save(tmp_path / "s.h5")
    again = load_solution(tmp_path / "s.h5").evaluate(nodes, 0.77)
    np.testing.assert_array_equal(again, solution.evaluate(nodes, 0.77))


def test_an_interrupted_training_goes_on_to_the_same_weights(waves_file, trained, tmp_path, monkeypatch):
    fit = WaveFit("wave/membrane", waves_file, OPTIONS | {"checkpoint_every": 1e-9})
    step = fit.training.step

    def breaking():
        if fit.training.course.steps == 23:
            raise KeyboardInterrupt
        return step()

    monkeypatch.setattr(fit.training, "step", breaking)
    with pytest.raises(KeyboardInterrupt):
        fit.run(folder=tmp_path)
    again = WaveFit("wave/membrane", waves_file, OPTIONS).run(folder=tmp_path, resume=True)
    whole = load_wave_run(trained).simulator.state_dict()
    for name, tensor in again.simulator.state_dict().items():
        assert torch.equal(tensor, whole[name]), name


def test_a_step_in_time_or_a_grid_that_it_does_not_know_is_refused(trained, tmp_path):
    run = load_wave_run(trained)
    family = load_problem("wave/membrane").fixing(duration=1.2, width=0.12)
    for change, said in (({"resolution": 9}, "nodes"), ({"frames": 12}, "frames")):
        asked = {"split": (1, 1, 1), "resolution": 17, "frames": 24, "check": 0} | change
        path = tmp_path / f"{said}.h5"
        generate(family, path, **asked)
        with pytest.raises(OptionError, match=said):
            evaluate_waves(run, open_dataset(path))
    with pytest.raises(OptionError, match="resolution=33"):
        sciml.solve(member(0), str(trained), resolution=33)
    with pytest.raises(OptionError, match=r"step=0\.01"):
        sciml.solve(member(0), str(trained), step=0.01)
    with pytest.raises(UnsupportedError, match="24 frames"):
        sciml.solve(load_problem("wave/membrane", width=0.12).draw(0), str(trained))
    with pytest.raises(UnsupportedError, match="width"):
        sciml.solve(load_problem("wave/membrane", duration=1.2).draw(0), str(trained))


def test_bad_requests_are_refused_before_any_training(waves_file):
    with pytest.raises(OptionError, match="an even kernel"):
        train("wave/membrane", waves_file, "wave_cnn", kernel=4)
    with pytest.raises(OptionError, match="widht"):
        train("wave/membrane", waves_file, "wave_cnn", widht=4)
    with pytest.raises(OptionError, match="of family"):
        train_waves("wave/standing", waves_file)
    with pytest.raises(OptionError, match="samples=99"):
        train_waves("wave/membrane", waves_file, samples=99)


def test_a_damaged_folder_is_told_from_another_kind(trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    (copy / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(OutputError, match="damaged"):
        load_wave_run(copy)


def test_the_commands_work_as_written(waves_file, tmp_path):
    runner, out = CliRunner(), tmp_path / "run"
    options = [text for name, value in (OPTIONS | {"steps": 3, "format": "dense"}).items()
               for text in ("-o", f"{name}={value}")]  # fmt: skip
    asked = ["train", "wave/membrane", "--data", str(waves_file), "--model", "wave_cnn", *options, "--out", str(out)]
    assert runner.invoke(app, asked).exit_code == 0
    done = runner.invoke(app, ["evaluate", str(out), "--data", str(waves_file), "--split", "test", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {"error_per_frame", "trainable_parameters", "checkpoint_bytes"} <= set(found)
    assert "wave_cnn" in runner.invoke(app, ["models", "--json"]).stdout


def test_frames_between_instants_are_cubics(waves_file):
    problem = load_problem("wave/standing")
    times = problem.time.start + problem.time.duration * np.linspace(0, 1, 9)
    values = np.stack([np.full((5, 5), t**3) for t in times])
    field = GridEvolution(problem, times, values)
    instant = float(0.37 * problem.time.duration)
    np.testing.assert_allclose(field.evaluate(np.array([[0.3, 0.7]]), instant), instant**3, rtol=1e-12)
