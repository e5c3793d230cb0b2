"""Plans: the tasks and cells that a suite asks for, and what is refused before any of them runs."""

from __future__ import annotations

import pytest

from sciml.benchmark.plan import make_plan
from sciml.benchmark.suite import load_suite, with_devices
from sciml.errors import OptionError, ParameterError, SuiteError, UnknownNameError

SUITE = """\
format = 1
title = "A suite"
cpu_hours = 0.1

[statistics]
seeds = [1, 2, 3]
repeats = 4
hidden = 2

[tuning]
trials = 3
seed = 5

[[problems]]
name = "poisson/peak"
parameters = { sharpness = [10.0, 20.0] }
out_of_range = [{ sharpness = 100.0 }]

[[problems]]
name = "poisson/pure_neumann"

[[methods]]
name = "FEM"
solver = "fenics"
sweep = { cells = [4, 8] }

[[methods]]
name = "PINN"
solver = "deepxde"
options = { lbfgs = 0 }
sweep = { adam = [10, 20] }

[[methods]]
name = "Fourier"
solver = "spectral"
sweep = { modes = [8, 16] }
"""


@pytest.fixture
def plan(tmp_path):
    def build(old="", new="", devices=None):
        assert old in SUITE
        path = tmp_path / "suite.toml"
        path.write_text(SUITE.replace(old, new, 1) if old else SUITE, encoding="utf-8")
        suite = load_suite(path)
        return make_plan(suite if devices is None else with_devices(suite, devices))

    return build


def test_tasks_and_their_roles(plan):
    tasks = plan().tasks
    roles = [(task.entry.name, task.role) for task in tasks]
    peak, neumann = "poisson/peak", "poisson/pure_neumann"
    assert roles == [
        *[(peak, "named")] * 2,
        *[(peak, "hidden")] * 2,
        (peak, "out_of_range"),
        (peak, "tuning"),
        (neumann, "named"),  # no family, so no members
    ]
    assert [task.problem.parameters.plain()["sharpness"] for task in tasks[:2]] == [10.0, 20.0]
    assert len({task.key for task in tasks}) == len(tasks)


def test_cells_are_the_product(plan):
    made = plan()
    cells = made.test_cells({"PINN": {"learning_rate": 0.005}})
    fem = [cell for cell in cells if cell.about["method"] == "FEM"]
    pinn = [cell for cell in cells if cell.about["method"] == "PINN"]
    assert len(fem) == 6 * 2
    assert {cell.repeats for cell in fem} == {4}
    assert {cell.about["seed"] for cell in fem} == {1}
    assert len(pinn) == 6 * 2 * 3
    assert {cell.repeats for cell in pinn} == {1}
    assert all(cell.about["options"]["learning_rate"] == 0.005 for cell in pinn)
    assert all(cell.about["options"]["measure_error"] is False for cell in fem)
    # The first seed of all comes before the second of any.
    seeds = [cell.about["seed"] for cell in cells]
    assert seeds == sorted(seeds)
    assert len({cell.key for cell in cells}) == len(cells)
    assert [cell.key for cell in made.test_cells({})] != [cell.key for cell in cells]


def test_what_cannot_be_done_is_said_and_not_run(plan):
    made = plan()
    assert not [cell for cell in made.test_cells({}) if cell.about["method"] == "Fourier"]
    assert {(c.method, c.problem) for c in made.cannot} == {
        ("Fourier", "poisson/peak"),
        ("Fourier", "poisson/pure_neumann"),
    }
    assert all("periodic" in c.reason for c in made.cannot)


def test_tuning_leaves_alone_what_is_fixed_or_swept(plan):
    made = plan()
    assert not {"adam", "lbfgs"} & set(made.space("PINN"))
    assert "learning_rate" in made.space("PINN")
    assert "cells" not in made.space("FEM")
    trials = {"PINN": [{}, {"width": 5}]}
    cells = made.tuning_cells(trials)
    assert {cell.about["task"]["role"] for cell in cells} == {"tuning"}
    assert {(cell.about["trial"], cell.about["options"].get("width")) for cell in cells} == {(0, None), (1, 5)}
    assert {cell.about["seed"] for cell in cells} == {5}


@pytest.mark.parametrize(
    ("old", "new", "error", "said"),
    [
        ("poisson/pure_neumann", "poisson/pure_neuman", UnknownNameError, "did you mean"),
        ('solver = "spectral"', 'solver = "spektral"', UnknownNameError, "did you mean 'spectral'"),
        ("sweep = { modes", "sweep = { mods", OptionError, "no option 'mods'"),
        ('solver = "deepxde"', 'solver = "deepxde"\nspace = { widht = [5] }', OptionError, "'PINN': .*'width'"),
        ("cells = [4, 8]", "cells = [4, 0]", OptionError, "Method 'FEM': .*cells=0"),
        ("sharpness = [10.0, 20.0]", "sharpness = [-1.0]", ParameterError, "sharpness"),
        ("sharpness = [10.0, 20.0]", "sharpnes = [10.0]", UnknownNameError, "did you mean 'sharpness'"),
        ("sharpness = [10.0, 20.0]", "sharpness = [10.0, 10.0]", SuiteError, "stands twice"),
        ("out_of_range", "tuning = [{ sharpness = 20.0 }]\nout_of_range", SuiteError, "tested on and tuned on too"),
        ("seed = 5", "seed = 2026", SuiteError, "tested on and tuned on too"),
        ('name = "poisson/pure_neumann"', 'name = "poisson/pure_neumann"\nhidden = 1', SuiteError, "no family"),
        ("modes = [8, 16] }", 'modes = [8, 16] }\nproblems = ["poisson/peak"]', SuiteError, "asked to do"),
    ],
)
def test_what_is_refused_before_anything_runs(plan, old, new, error, said):
    with pytest.raises(error, match=said):
        plan(old, new)


def test_two_methods_that_are_one(plan):
    twin = '[[methods]]\nname = "twin"\nsolver = "fenics"\nsweep = { cells = [8, 16] }\n\n[[methods]]\nname = "PINN"'
    with pytest.raises(SuiteError, match="Two cells are the same: FEM .* twin"):
        plan('[[methods]]\nname = "PINN"', twin)


def test_other_devices(plan):
    places = '[[placements]]\nname = "here"\n\n[[placements]]\nname = "there"\ndevice = "cuda"\nthreads = "all"\n'
    made = plan("[tuning]", f"{places}\n[tuning]", devices=["cpu", "cpu"])
    placements = [cell.about["placement"] for cell in made.test_cells({})]
    assert {(place["name"], place["device"]) for place in placements} == {("here", "cpu"), ("there", "cpu")}
    assert all(isinstance(place["threads"], int) for place in placements)
    with pytest.raises(SuiteError, match="gives 1 device"):
        plan("[tuning]", f"{places}\n[tuning]", devices=["cpu"])


def test_float32_is_for_those_who_have_it(plan):
    made = plan("[tuning]", '[[placements]]\nname = "single"\nprecision = "float32"\n\n[tuning]')
    cells = made.test_cells({})
    assert {cell.about["method"] for cell in cells} == {"PINN"}
    assert all(cell.about["options"]["dtype"] == "float32" for cell in cells)
    assert any(c.method == "FEM" and "float64 only" in c.reason for c in made.cannot)
