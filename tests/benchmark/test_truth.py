"""Truths of each kind, with their errors, and trivial answers."""

import json

import numpy as np
import pytest

from sciml import load_problem
from sciml.benchmark.tasks import task_of
from sciml.benchmark.truth import find_truth, load_truth, trivial_answers
from sciml.benchmark.worker import run_truth
from sciml.errors import OutputError, UnsupportedError
from sciml.solution import ExactField, measure_errors


def made(problem, settings, folder):
    task = task_of(problem, "named")
    found = run_truth({"task": task, "truth": settings, "file": str(folder / "truths" / f"{task['key']}.h5")})
    return json.loads(json.dumps(found, allow_nan=False))


def test_an_exact_truth(tmp_path):
    """u = sin πx sin πy: ‖u‖ = ½, mean 4/π²."""
    problem = load_problem("poisson/sine")
    found = made(problem, {}, tmp_path)
    assert (found["kind"], found["file"], found["error"]) == ("exact", None, 0)
    assert found["integration_error"] < 1e-12
    assert (found["evolves"], found["dim"], found["elliptic"]) == (False, 2, True)
    assert found["norms"] == pytest.approx({"l2": 0.5, "max": 1.0}, rel=1e-3)
    assert found["trivial"]["zero"] == {"relative_l2": 1.0, "max_error": 1.0}
    mean = 4 / np.pi**2
    assert found["trivial"]["mean"]["relative_l2"] == pytest.approx(np.sqrt(0.25 - mean**2) / 0.5, rel=1e-9)
    assert found["trivial"]["mean"]["max_error"] == pytest.approx(1 - mean, rel=1e-3)
    assert found["quantities"]["energy"] == pytest.approx(np.pi**2 / 4, rel=1e-9)
    assert found["cpu_seconds"] > 0
    assert not (tmp_path / "truths").exists()
    assert isinstance(load_truth(problem, found, tmp_path), ExactField)


def test_the_reference_as_truth(plate, tmp_path):
    """Refined to the accuracy that is asked for, saved, and the same function when read back."""
    problem = plate()
    found = made(problem, {"accuracy": 1e-4}, tmp_path)
    assert found["kind"] == "fenics"
    assert 0 < found["error"] <= 1e-4 < found["error_h1"]
    assert found["options"]["accuracy"] == 1e-4
    assert "levels" in found["method"]
    assert (tmp_path / found["file"]).is_file()
    truth = load_truth(problem, found, tmp_path)
    # Twice the torsion of the unit square: Σ over odd waves of 2 · 64/(π⁶ m² n² (m² + n²)).
    odd = np.arange(1, 400, 2)
    m, n = np.meshgrid(odd, odd)
    heat = 2 * (64 / (np.pi**6 * m**2 * n**2 * (m**2 + n**2))).sum()
    assert found["quantities"]["heat"] == pytest.approx(heat, rel=1e-4)
    assert measure_errors(truth, truth, same_points=True).relative_l2 < 1e-14


def test_the_truth_that_a_suite_names(tmp_path):
    """Fourier modes where the reference would take long, with options in place of an accuracy."""
    problem = load_problem("navier_stokes/vorticity")
    found = made(problem, {"solver": "spectral", "options": {"modes": 48}}, tmp_path)
    assert found["kind"] == "spectral"
    assert 0 < found["error"] < 0.1
    assert found["options"]["modes"] == 48
    assert found["evolves"]
    assert not found["elliptic"]
    assert set(found["trivial"]) == {"zero", "mean", "persistence"}
    assert 0 < found["trivial"]["persistence"]["relative_l2"] < 2
    assert load_truth(problem, found, tmp_path).times[-1] == problem.time.end


def test_a_truth_without_a_measured_error_is_refused(plate, tmp_path):
    with pytest.raises(UnsupportedError, match="did not measure the error of the truth .* take one that does, such as"):
        find_truth(plate(), {"options": {"cells": 4, "measure_error": False}}, tmp_path / "truth.h5")
    with pytest.raises(OutputError, match="recorded as exact, but the problem declares none"):
        load_truth(plate(), {"file": None}, tmp_path)


def test_trivial_answers_in_time(formula):
    """u = 1 + t from 0 to 2: kept at 1 it misses t, its mean is 2."""
    from sciml import Box, Problem

    problem = Problem(domain=Box(0, 1), time=2.0, damping=1.0, reaction=lambda u: 0 * u, load=1.0, initial=1.0)
    answers = trivial_answers(formula(problem, lambda x, t: 1 + t))
    times = np.linspace(0, 2, 17)

    def relative(error):
        return np.sqrt(np.trapezoid(error**2, times) / np.trapezoid((1 + times) ** 2, times))

    assert answers["zero"]["relative_l2"] == 1
    assert answers["mean"]["relative_l2"] == pytest.approx(relative(times - 1), rel=1e-9)
    assert answers["persistence"]["relative_l2"] == pytest.approx(relative(times), rel=1e-9)
    assert answers["persistence"]["max_error"] == pytest.approx(2 / 3)
