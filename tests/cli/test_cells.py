"""From a periodic cell to a trained law on the command line, and what is refused on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from sciml import load_problem
from sciml.datasets import generate, generate_cell

QUICK = "-o modes=4 -o width=8 -o depth=1 -o collocation=20 -o warm_steps=10 -o physics_steps=10"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 snapshots of rve/disc."""
    path = tmp_path_factory.mktemp("data") / "rve.h5"
    generate_cell(load_problem("rve/disc"), path, count=12)
    return path


def test_generate_train_evaluate_and_solve(sciml):
    made = sciml.succeeds("generate rve/disc --count 8 --out rve.h5 --json").row
    assert made["sizes"] == {"train": 8}
    assert (made["unknowns"], made["box"][1]) == (1718, [0.04] * 3)
    done = sciml.succeeds(f"train rve/disc --data rve.h5 --model equino --out run --json {QUICK}")
    assert done.row["options"]["recipe"] == "energy_weighted"
    assert "Written to run" in done.told
    written = {path.name for path in Path("run").iterdir() if path.is_file()}
    assert written == {"manifest.json", "weights.safetensors", "record.json", "run.json"}
    found = sciml.succeeds("evaluate ./run --json").row
    assert found["strains"] == 100
    assert 0 < found["homogenised"] < 0.1
    assert {"shear", "tangent", "local", "mismatch", "cpu_seconds"} <= found.keys()
    assert found["equilibrium"] < 1e-7
    assert "homogenised" in sciml.succeeds("evaluate ./run").told
    assert "nothing to resume" in sciml.succeeds("resume run").told
    row = sciml.succeeds("solve solid/cook_two_scale --solver fe2 -o micro=./run --json").row
    assert row["status"] == "converged"
    assert "is a law and no solver" in sciml("solve solid/cook_two_scale --solver ./run").message


def test_the_models_name_it(sciml):
    rows = {row["model"]: row for row in sciml.succeeds("models --json").rows}
    assert "energy_weighted" in rows["equino"]["options"]["recipe"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("train rve/disc", "is of a cell; give --model equino"),
        ("train rve/disc --model equino --tune 3", "leave them out for a cell"),
        ("train rve/disc --model equino -o modes=13", "the 12 snapshots have"),
        ("train rve/disc --model equino -o recipe=best", "Option recipe='best'"),
        ("train poisson/sine --model equino", "is no periodic cell"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_folder_is_made(sciml, data, command, said):
    assert said in sciml(f"{command} --out run --data {data}").message
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--resolution 32", "'resolution' was given, which is for families of fields"),
        ("--split 3/1/1", "'split' was given"),
        ("--workers 2", "solved by one process"),
        ("--count 0", "takes 1 strain or more"),
        ("-p strain=0.01,0,0", "has no size, since its strain is one value"),
    ],
)
def test_what_a_cell_has_not_is_refused(sciml, options, said):
    assert said in sciml(f"generate rve/disc --out rve.h5 {options}").message
    assert not Path("rve.h5").exists()


def test_networks_over_families_keep_their_data(sciml, data):
    generate("darcy/two_phase", "darcy.h5", resolution=9, split=(2, 2, 2), check=0)
    assert "is trained on the data of a cell" in sciml("train darcy/two_phase --data darcy.h5 --model equino").message
    sciml.succeeds("train darcy/two_phase --data darcy.h5 --model mean --out run")
    assert "say by --data" in sciml("evaluate ./run").message
    assert "is a solver and no law" in sciml("solve solid/cook_two_scale --solver fe2 -o micro=./run").message
    sciml.succeeds(f"train rve/disc --data {data} --model equino --out cell {QUICK}")
    assert "judged on fresh strains" in sciml(f"evaluate ./cell --data {data}").message
