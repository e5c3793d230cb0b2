"""`sciml solve`: what it prints, what it writes, and how parameters and options are given."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from terminal import QUICK, QUICKEST

import sciml as package
from sciml.registry import load_problem

KEYS = {
    "problem",
    "parameters",
    "solver",
    "status",
    "truth",
    "relative_l2",
    "relative_h1",
    "max_error",
    "truth_error",
    "seconds",
    "cpu_seconds",
    "iterations",
    "trainable_parameters",
    "seed",
    "device",
}
FILES = {"solution.h5", "solution.vtu", "figure.png", "record.json"}


def test_json_of_the_reference(sciml):
    outcome = sciml.succeeds("solve poisson/sine --json")
    row = outcome.row
    assert row.keys() >= KEYS
    assert row["seconds"].keys() == {"setup", "train", "solve", "post"}
    assert (row["problem"], row["solver"], row["status"], row["truth"]) == (
        "poisson/sine",
        "fenics",
        "converged",
        "exact",
    )
    assert row["parameters"] == {"dim": 2, "frequency": 1}
    assert 0 < row["relative_l2"] < 1e-4 < row["relative_h1"] < 1e-2
    assert row["truth_error"] == 0
    assert row["trainable_parameters"] == 0
    assert row["error_estimate"]["relative_l2"] == pytest.approx(row["relative_l2"], rel=0.5)
    assert row["seconds"]["solve"] > 0 == row["seconds"]["train"]
    assert outcome.err == ""


def test_json_of_a_network(sciml):
    row = sciml.succeeds(f"solve poisson/sine --solver deepxde {QUICK} --seed 3 --json").row
    assert row.keys() >= KEYS
    assert (row["solver"], row["status"], row["seed"], row["device"]) == ("deepxde", "budget_reached", 3, "cpu")
    # Two inputs, three hidden layers of eight, one output.
    assert row["trainable_parameters"] == 2 * 8 + 8 + 2 * (8 * 8 + 8) + 8 + 1
    assert row["iterations"] == 100
    assert row["relative_l2"] < 1e-2
    assert row["seconds"]["train"] > 0 == row["seconds"]["solve"]


def test_without_an_exact_solution_the_reference_measures_itself(sciml):
    row = sciml.succeeds("solve thermal/convective_plate -o cells=4 --json").row
    assert row["truth"] == "refinement"
    assert row["truth_error"] == row["relative_l2"] == row["error_estimate"]["relative_l2"]
    assert row["max_error"] is None
    assert row["quantities"].keys() == {"temperature_e", "heat_flow"}


def test_a_network_without_truth(sciml):
    row = sciml.succeeds(f"solve thermal/convective_plate -s deepxde {QUICKEST} --json").row
    assert row["truth"] is row["relative_l2"] is row["truth_error"] is None


def test_a_table_for_people(sciml):
    outcome = sciml.succeeds("solve poisson/sine -o cells=8")
    assert outcome.out == ""
    for words in ("solver", "status", "rel. L2", "truth (its error)", "fenics", "converged", "exact (0)", "energy = "):
        assert words in outcome.told


@pytest.mark.parametrize("width", [80, 100])
def test_numbers_are_whole_in_a_narrow_terminal(sciml, monkeypatch, width):
    monkeypatch.setattr("sciml.cli.console.console._width", width)
    outcome = sciml.succeeds(f"solve poisson/sine -s deepxde {QUICKEST}")
    assert "57" in outcome.told.split()


# -- how things are given ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "solve poisson/sine -p frequency=2 -o cells=6 -o degree=1 --json",
        "solve poisson/sine -pfrequency=2 -ocells=6 -odegree=1 --json",
        "solve poisson/sine --set frequency=2 --option cells=6 --option degree=1 --json",
        "solve poisson/sine --set=frequency=2 --option=cells=6 --option=degree=1 --json",
        "solve --json -o cells=6 -p frequency=2 -s fenics -o degree=1 poisson/sine",
    ],
)
def test_forms_of_parameters_and_options(sciml, line):
    row = sciml.succeeds(line).row
    assert row["parameters"] == {"dim": 2, "frequency": 2}
    assert (row["options"]["cells"], row["options"]["degree"]) == (6, 1)


@pytest.mark.parametrize("centre", ["0.25,-0.5", "(0.25, -0.5)", "[0.25, -0.5]", "0.25,-5e-1"])
def test_a_vector_parameter(sciml, centre):
    row = sciml.succeeds("solve poisson/peak -o cells=2 -p sharpness=5 --json -p", f"centre={centre}").row
    assert row["parameters"] == {"sharpness": 5.0, "centre": [0.25, -0.5]}


def test_a_choice(sciml):
    row = sciml.succeeds("solve elasticity/cook -p state=plane_strain -o degree=1 -o measure_error=no --json").row
    assert row["parameters"]["state"] == "plane_strain"
    assert row["options"]["measure_error"] is False


@pytest.mark.parametrize("dim", [1, 3])
def test_another_dimension(sciml, dim):
    row = sciml.succeeds(f"solve poisson/sine -p dim={dim} -o cells=8 --json").row
    assert row["parameters"]["dim"] == dim
    assert row["relative_l2"] < 1e-2
    assert row["quantities"]["energy"] == pytest.approx(dim * np.pi**2 / 2 ** (dim + 1), rel=0.01)


def test_options_that_are_objects(sciml):
    """PETSc's own options, as JSON."""
    options = 'petsc_options={"ksp_type": "cg", "pc_type": "jacobi", "ksp_rtol": 1e-10}'
    row = sciml.succeeds("solve poisson/sine -o cells=8 --json -o", options).row
    assert row["options"]["petsc_options"] == {"ksp_type": "cg", "pc_type": "jacobi", "ksp_rtol": 1e-10}
    assert row["details"]["linear_iterations"] > 5


def test_an_option_can_be_unset(sciml):
    assert sciml.succeeds("solve poisson/sine -o cells=none -o degree=4 --json").row["options"]["cells"] is None


def test_members_of_a_family(sciml):
    first, again, second = (sciml.succeeds(f"solve poisson/peak -o cells=2 --draw {k} --json").row for k in (4, 4, 5))
    assert first["parameters"] == again["parameters"] != second["parameters"]
    assert first["parameters"] == json.loads(json.dumps(load_problem("poisson/peak").draw(4).parameters.plain()))


def test_a_drawn_member_with_one_value_set(sciml):
    row = sciml.succeeds("solve poisson/peak -o cells=2 --draw 4 -p sharpness=9 --json").row
    assert row["parameters"]["sharpness"] == 9
    assert tuple(row["parameters"]["centre"]) == load_problem("poisson/peak").draw(4).parameters["centre"]


def test_members_of_another_seed(sciml):
    line = "solve darcy/two_phase -o cells=4 -o degree=1 --json --draw 2"
    first, again, other = (sciml.succeeds(line, *more).row for more in ((), ("--draw-seed", "0"), ("--draw-seed", "5")))
    assert (first["member"], other["member"]) == ([0, 2], [5, 2])
    assert first["quantities"] == again["quantities"] != other["quantities"]
    assert sciml.succeeds("solve darcy/two_phase -o cells=4 -o degree=1 --json").row["member"] is None
    assert "give --draw too" in sciml("solve darcy/two_phase --draw-seed 5").message


def test_the_seed_is_the_solvers(sciml):
    line = f"solve poisson/peak -p sharpness=5 -s deepxde {QUICKEST} --json --seed"
    one, same, other = (sciml.succeeds(line, seed).row for seed in ("1", "1", "2"))
    assert one["relative_l2"] == same["relative_l2"] != other["relative_l2"]
    assert one["parameters"] == other["parameters"]


def test_a_budget_of_cpu_seconds(sciml):
    line = "solve poisson/peak -s deepxde -o cpu_seconds=0.5 -o lbfgs=1000000 -o width=8 -o points=50 --json"
    row = sciml.succeeds(line).row
    assert row["status"] == "budget_reached"
    assert "0.5 CPU seconds used" in row["message"]
    assert row["iterations"] < 100_000


def test_residual_based_refinement(sciml):
    rar = "-o sampler=rar -o rar_every=20 -o rar_candidates=200 -o rar_add=7"
    row = sciml.succeeds(f"solve poisson/peak -p sharpness=20 -s deepxde {QUICK} {rar} --json").row
    assert row["details"]["refinements"] >= 3
    assert row["details"]["points"] == 100 + 7 * row["details"]["refinements"]


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", f"-s deepxde {QUICKEST}"], ids=["fenics", "deepxde"])
def test_what_is_written(sciml, tmp_path, options):
    outcome = sciml.succeeds(f"solve poisson/sine {options} --out results/first --json")
    folder = tmp_path / "results" / "first"
    assert {path.name for path in folder.iterdir()} >= FILES
    record = json.loads((folder / "record.json").read_text())
    assert record.items() >= outcome.row.items()
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
    loaded = package.load_solution(folder / "solution.h5")
    assert loaded.error().relative_l2 == pytest.approx(outcome.row["relative_l2"], rel=1e-9)
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_people_are_told_what_was_written(sciml, tmp_path):
    assert sciml.succeeds("solve poisson/sine -o cells=2 --out here").told.endswith(
        "Written to here: solution.h5, solution.vtu, record.json, figure.png"
    )


def test_ten_dimensions_have_no_vtu(sciml, tmp_path):
    outcome = sciml.succeeds(f"solve poisson/ten_dimensional -s deepxde {QUICKEST} --out ten")
    assert "no VTU in 10 dimensions" in outcome.told
    written = {path.name for path in (tmp_path / "ten").iterdir()}
    assert written >= FILES - {"solution.vtu"}
    assert "solution.vtu" not in written


def test_curves_are_kept(sciml, tmp_path):
    sciml.succeeds(f"solve poisson/sine -s deepxde {QUICK} --out run")
    with h5py.File(tmp_path / "run" / "solution.h5") as file:
        assert file["history/iteration"][-1] == 100
        assert file["history/loss"][-1] < 0.1 * file["history/loss"][0]


# -- failures ---------------------------------------------------------------------------------------------------------


def test_a_diverged_training(sciml):
    outcome = sciml(f"solve poisson/peak -s deepxde {QUICKEST} -o learning_rate=1e300")
    assert outcome.code == 1
    assert "diverged: the loss became inf" in outcome.told
    assert "lower the learning rate" in outcome.told
    assert "Traceback" not in outcome.err


def test_a_failed_newton_iteration(sciml):
    message = sciml("solve nonlinear/p_laplace -p exponent=4 -o max_iterations=1 -o cells=4").message
    assert "the iteration limit was reached" in message
    assert "load_steps" in message


# -- problems in time --------------------------------------------------------------------------------------------------


def test_a_problem_in_time(sciml, tmp_path):
    row = sciml.succeeds("solve heat/sine -o cells=4 -o steps=8 --out run --json").row
    assert row["truth"] == "exact"
    assert 0 < row["relative_l2"] < 0.04
    assert row["details"]["steps"] == 8
    folder = tmp_path / "run"
    written = {path.name for path in folder.iterdir()}
    assert written >= {
        "solution.h5",
        "solution.pvd",
        "solution.vtkhdf",
        "solution_0000.vtu",
        "solution_0008.vtu",
        "figure.png",
        "record.json",
    }
    loaded = package.load_solution(folder / "solution.h5")
    assert loaded([[0.5, 0.5]], t=0.1)[0] == pytest.approx(np.exp(-0.2 * np.pi**2), rel=0.05)
    again = sciml.succeeds("solve heat/sine -o cells=4 -o steps=4 --out run --force --json").row
    assert again["details"]["steps"] == 4
    assert not (folder / "solution_0008.vtu").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("heat/sine -o step=0.03", ["step=0.03", "does not divide the time of 0.1", "steps=3"]),
        ("heat/sine -o scheme=newmark", ["scheme=newmark", "bdf2"]),
        ("poisson/sine -o steps=3", ["`steps`", "run in time"]),
        ("wave/standing -o scheme=explicit -o degree=1 -o cells=32 -o steps=10", ["stability limit", "at least"]),
    ],
)
def test_steps_that_are_not_possible(sciml, options, words):
    message = sciml(f"solve {options}").message
    assert all(word in message for word in words), message
