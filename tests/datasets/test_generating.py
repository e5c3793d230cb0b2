"""Data sets hold what solvers find, whoever solves them and however often they are killed."""

import json
import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from sciml import load_problem, solve
from sciml.datasets import generate, open_dataset
from sciml.datasets.request import make_request, split_sizes
from sciml.errors import OptionError, OutputError, SchedulerError, UnknownNameError, UnsupportedError

SMALL = {"count": 10, "resolution": 9, "refine": 2, "chunk": 3, "check": 2}


def test_samples_are_the_solutions_of_their_members(darcy):
    dataset = open_dataset(darcy.path)
    samples = dataset.samples("test")
    assert samples.members == [(3, 0), (3, 1)]
    member = load_problem("darcy/threshold").draw(1, 3)
    points = samples.places.reshape(-1, 2).astype(float)
    found = solve(member, cells=16, degree=1, cell_type="tensor", measure_error=False).evaluate(points)
    np.testing.assert_allclose(samples.outputs[1].ravel(), found, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(
        samples.inputs[1, ..., 0], member.realisation("permeability").on_grid(8)[1].astype(np.float32)
    )


def test_splits_take_members_of_disjoint_streams(darcy):
    dataset = open_dataset(darcy.path)
    members = [m for split in ("train", "validation", "test") for m in dataset.samples(split).members]
    assert members == [(1, k) for k in range(7)] + [(2, 0)] + [(3, 0), (3, 1)]
    other = make_request("darcy/threshold", count=10, resolution=9, seed=1)
    assert {other.stream(s) for s in dataset.sizes} == {4, 5, 6}


@pytest.mark.parametrize(
    ("count", "split", "sizes"),
    [(500, None, (360, 40, 100)), (None, (1, 2, 3), (1, 2, 3)), (5, None, (4, 1, 0)), (6, None, (4, 1, 1))],
)
def test_sizes(count, split, sizes):
    if min(sizes) < 1:
        with pytest.raises(OptionError, match="three numbers"):
            split_sizes(count, split)
    else:
        assert tuple(split_sizes(count, split).values()) == sizes


def test_the_error_of_labels_is_measured_at_twice_the_resolution(darcy):
    error = open_dataset(darcy.path).label_error
    assert error["members"] == 2
    family, request = load_problem("darcy/threshold"), make_request("darcy/threshold", **SMALL)
    found = []
    for k in range(2):
        pair = [
            request.layout.kept(solve(family.draw(k, 1), degree=1, cell_type="tensor", measure_error=False, cells=n))
            for n in (16, 32)
        ]
        found.append(np.linalg.norm(pair[0] - pair[1]) / np.linalg.norm(pair[1]))
    assert error["mean"] == pytest.approx(np.mean(found), rel=1e-6)
    assert error["max"] == pytest.approx(np.max(found), rel=1e-6)
    assert 0 < error["mean_but_one_percent"] < error["mean"]
    assert 0.5 < error["rate"] < 3


def test_a_finished_file_is_kept_and_another_request_refused(darcy):
    again = generate("darcy/threshold", darcy.path, **SMALL)
    assert (again.solved, again.checksum) == (0, darcy.checksum)
    with pytest.raises(OutputError, match="another request"):
        generate("darcy/threshold", darcy.path, **SMALL | {"seed": 1})


def test_what_is_there_is_not_solved_again(tmp_path, darcy):
    path = tmp_path / "d.h5"

    class Enough(Exception):
        pass

    def stop(progress):
        if progress.done == 5:
            raise Enough

    with pytest.raises(Enough):
        generate("darcy/threshold", path, report=stop, **SMALL)
    assert not path.exists()
    with pytest.raises(OutputError, match="pieces of another request"):
        generate("darcy/threshold", path, **SMALL | {"seed": 4})
    done = generate("darcy/threshold", path, **SMALL)
    assert (done.solved, done.checksum) == (7, darcy.checksum)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.h5"]


def start(path, *more):
    command = [sys.executable, "-m", "sciml", "generate", "darcy/threshold", "--count", "10", "--resolution", "9"]
    command += ["--refine", "2", "--chunk", "3", "--check", "2", "--out", str(path), "--json", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="looks for children in /proc")
def test_killed_while_two_processes_solve_and_run_again(tmp_path, darcy):
    path = tmp_path / "d.h5"
    first = start(path, "--workers", "2")
    parts = tmp_path / "d.h5.parts"
    deadline = time.monotonic() + 120
    while not list(parts.glob("*.h5")) and time.monotonic() < deadline and first.poll() is None:
        time.sleep(0.01)
    second = start(path)
    _, refused = second.communicate(timeout=120)
    children = children_of(first.pid)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    if first.returncode == -signal.SIGKILL:  # it may have been quicker
        assert second.returncode == 1
        assert "Another process is writing" in refused
    while any(map(alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, children))
    third = start(path)
    out, err = third.communicate(timeout=240)
    assert third.returncode == 0, err
    assert json.loads(out)["checksum"] == darcy.checksum
    with h5py.File(path) as one, h5py.File(darcy.path) as other:
        assert one["t0_fields/u"][()].tobytes() == other["t0_fields/u"][()].tobytes()


def test_workers_of_a_scheduler_find_the_same(tmp_path, darcy):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, protocol="inproc://"
    )
    with cluster:
        done = generate("darcy/threshold", tmp_path / "d.h5", scheduler=cluster.scheduler_address, **SMALL)
    assert (done.solved, done.checksum) == (10, darcy.checksum)


def test_a_scheduler_that_is_not_there(tmp_path):
    with pytest.raises(SchedulerError, match="No Dask scheduler answers"):
        generate("darcy/threshold", tmp_path / "d.h5", scheduler="nowhere", **SMALL)


def test_a_domain_made_of_drawn_parameters_gives_places_and_its_own_parameters_no_channels(tmp_path):
    file = tmp_path / "varied.py"
    file.write_text(
        "from sciml import parameter\n"
        "from sciml.problems.navier_stokes import Pipe\n\n"
        "class Varied(Pipe):\n"
        "    speed = parameter(0.25, above=0, draw=(0.1, 1.0))\n"
    )
    family = load_problem(str(file), cells=4, viscosity=0.1)
    done = generate(family, tmp_path / "pipe.h5", split=(2, 1, 1), check=1)
    dataset = open_dataset(done.path)
    assert dataset.varying_places
    assert dataset.input_names == ["place[0]", "place[1]", "speed"]
    assert dataset.output_names == ["velocity[0]"]
    samples = dataset.samples("train")
    assert samples.places.shape == (2, 9, 9, 2)
    np.testing.assert_array_equal(samples.inputs[..., :2], samples.places)
    np.testing.assert_array_equal(samples.inputs[:, 3, 3, 2], samples.parameters["speed"].astype(np.float32))
    assert samples.parameters["heights"].shape == (2, 5)
    # The inlet's parabola, in the middle of which the speed is.
    np.testing.assert_allclose(samples.outputs[:, 0, 4, 0], samples.parameters["speed"], rtol=1e-6)
    np.testing.assert_allclose(samples.outputs[:, :, [0, -1], 0], 0, atol=1e-12)


def test_stress_of_a_member_is_the_mean_over_the_cells_at_a_node(tmp_path):
    family = load_problem("hyperelasticity/void")
    done = generate(family, tmp_path / "void.h5", split=(1, 1, 1), check=0)
    samples = open_dataset(done.path).samples("train")
    assert samples.outputs.shape == (1, 17, 96, 1)
    # Pulled by a traction of 100: the mean of the stress along the pull is the traction, times one over the net area.
    assert samples.outputs.min() > 0
    assert 100 < np.median(samples.outputs) < 200
    solution = solve(family.draw(0, 1), measure_error=False)
    inside = samples.places[0, 3, 5].astype(float)  # the middle of a cell: no mean to take
    strain = solution.gradient(inside[None])[0]
    first, second = 1.863e5, 9.79e3
    f = np.eye(2) + strain
    c = f.T @ f
    squeezed = 1 / np.linalg.det(c)
    inverse = np.linalg.inv(c)
    piola = 2 * first * (np.eye(2) - squeezed * inverse)
    piola += 2 * second * ((np.linalg.det(c) - squeezed * np.trace(c)) * inverse + squeezed * np.eye(2))
    s = f @ piola @ f.T
    mises = np.sqrt(s[0, 0] ** 2 - s[0, 0] * s[1, 1] + s[1, 1] ** 2 + 3 * s[0, 1] ** 2)
    assert samples.outputs[0, 3, 5, 0] == pytest.approx(mises, rel=1e-4)


def test_trajectories_have_frames_of_a_periodic_grid(tmp_path):
    family = load_problem("navier_stokes/vorticity", duration=2.0).fixing(viscosity=1e-2)
    done = generate(family, tmp_path / "flow.h5", split=(2, 1, 1), resolution=8, refine=2, frames=4, check=1)
    dataset = open_dataset(done.path)
    assert dataset.solver == "spectral"
    assert dataset.periodic == (True, True)
    np.testing.assert_allclose(dataset.times, [0.5, 1, 1.5, 2])
    samples = dataset.samples("train", frames_in=1)
    assert (samples.inputs.shape, samples.outputs.shape) == ((2, 8, 8, 1), (2, 8, 8, 3))
    assert (samples.frames_in, samples.frames_out, samples.frame_channels) == (1, 3, 1)
    whole = dataset.samples("train")
    assert (whole.inputs.shape[-1], whole.outputs.shape[-1]) == (2, 2)
    np.testing.assert_array_equal(samples.outputs[..., 1:], whole.outputs)
    member = family.draw(1, 1)
    assert member.parameters.plain()["viscosity"] == 1e-2
    solution = solve(member, "spectral", modes=16, measure_error=False, snapshots=5)
    points = samples.places.reshape(-1, 2).astype(float)
    expected = solution.evaluate(points, 1.5)[:, 0].reshape(8, 8)
    np.testing.assert_allclose(samples.outputs[1, ..., 1], expected, atol=1e-5 * np.abs(expected).max())


def test_a_wave_has_its_medium_and_what_is_drawn_as_static_inputs(tmp_path):
    done = generate("wave/membrane", tmp_path / "w.h5", split=(1, 1, 1), resolution=5, frames=2, check=0, refine=4)
    dataset = open_dataset(done.path)
    assert dataset.input_names == ["medium", "angle", "contrast", "frequency", "offset", "place[0]", "place[1]"]
    samples = dataset.samples("train")
    assert samples.inputs.shape == (1, 5, 5, 8)
    assert samples.outputs.shape == (1, 5, 5, 1)


def test_another_output_than_the_declared_one(tmp_path):
    file = tmp_path / "varied.py"
    file.write_text(
        "from sciml import parameter\n"
        "from sciml.problems.navier_stokes import Pipe\n\n"
        "class Varied(Pipe):\n"
        "    speed = parameter(0.25, above=0, draw=(0.1, 1.0))\n"
    )
    family = load_problem(str(file), cells=4, viscosity=0.1)
    done = generate(family, tmp_path / "p.h5", split=(1, 1, 1), output=("pressure", "velocity"), check=0)
    dataset = open_dataset(done.path)
    assert dataset.output_names == ["pressure", "velocity[0]", "velocity[1]"]
    with h5py.File(done.path) as file:
        assert file["t1_fields/velocity"].shape == (3, 9, 9, 2)


@pytest.mark.parametrize(
    ("family", "request_", "error", "words"),
    [
        ("poisson/pure_neumann", {"resolution": 8}, UnsupportedError, "not a family"),
        ("wave/standing", {"resolution": 8, "frames": 4}, UnsupportedError, "follows from what is drawn .speed."),
        ("darcy/threshold", {}, OptionError, "say how many nodes"),
        ("darcy/threshold", {"resolution": 8, "frames": 3}, OptionError, "run in time"),
        ("darcy/threshold", {"resolution": 8, "output": "pressure"}, UnknownNameError, "no field or method"),
        ("darcy/threshold", {"resolution": 8, "output": "u[0]"}, OptionError, r"has the shape \(\)"),
        ("darcy/threshold", {"resolution": 8, "refine": 2, "cells": 20}, OptionError, "both given"),
        ("darcy/threshold", {"resolution": 8, "cell": 20}, OptionError, "no option 'cell'"),
        ("darcy/threshold", {"resolution": 8, "split": (1, 1)}, OptionError, "three numbers"),
        ("darcy/threshold", {"resolution": 8, "chunk": 0}, OptionError, "chunk=0"),
        ("darcy/threshold", {"resolution": 8, "workers": 0}, OptionError, "workers=0"),
        ("hyperelasticity/void", {"resolution": 8}, OptionError, "lies on a mesh"),
        ("navier_stokes/vorticity", {"resolution": 8}, OptionError, "say by `frames`"),
    ],
)
def test_bad_requests_are_refused_before_any_work(tmp_path, family, request_, error, words):
    with pytest.raises(error, match=words):
        generate(family, tmp_path / "d.h5", **{"count": None if "split" in request_ else 10} | request_)
    assert not list(tmp_path.iterdir())
