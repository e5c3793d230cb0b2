"""`sciml compare`: which options belong to whom, what the truth is, and who is the better buy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from terminal import QUICK, QUICKEST
from test_solve import KEYS


def by_label(outcome):
    return {row["label"]: row for row in outcome.rows}


def test_options_belong_to_the_solver_before_them(sciml):
    line = (
        "compare --solver deepxde -o adam=5 -oadam=6 --option lbfgs=5 --option=width=4 -o points=30 poisson/sine "
        "--solver fenics -o degree=1 -o cells=8 -s deepxde -o adam=7 -o lbfgs=5 -o width=3 -o points=30 --json"
    )
    rows = sciml.succeeds(line).rows
    assert [row["solver"] for row in rows] == ["deepxde", "fenics", "deepxde"]
    first, reference, second = (row["options"] for row in rows)
    assert (first["adam"], first["width"]) == (6, 4)
    assert (reference["degree"], reference["cells"]) == (1, 8)
    assert (second["adam"], second["width"]) == (7, 3)
    assert rows[0]["relative_l2"] != rows[2]["relative_l2"]


@pytest.mark.parametrize("spelling", ["-s {}", "-s{}", "--solver {}", "--solver={}"])
def test_a_solver_may_appear_twice_however_it_is_spelt(sciml, spelling):
    solvers = " ".join(f"{spelling.format('deepxde')} {QUICKEST} -o adam={adam}" for adam in (3, 4))
    rows = sciml.succeeds(f"compare poisson/sine {solvers} --json").rows
    assert [row["options"]["adam"] for row in rows if row["solver"] == "deepxde"] == [3, 4]


def test_the_reference_is_always_there(sciml):
    rows = sciml.succeeds(f"compare poisson/sine -s deepxde {QUICKEST} --json").rows
    assert [row["solver"] for row in rows] == ["fenics", "deepxde"]
    assert [row["solver"] for row in sciml.succeeds("compare poisson/sine --json").rows] == ["fenics"]


def test_against_an_exact_solution(sciml):
    outcome = sciml.succeeds(f"compare poisson/sine -s deepxde {QUICK} --json")
    for row in outcome.rows:
        assert row.keys() >= KEYS
        assert (row["truth"], row["truth_error"], row["reference_limited"]) == ("exact", 0, False)
        assert 0 < row["relative_l2"] < 1e-2
    assert outcome.err == ""


def test_against_the_reference_with_its_own_error(sciml):
    rows = sciml.succeeds(f"compare elasticity/cook -s deepxde {QUICKEST} -s fenics -o degree=1 --json").rows
    truth, network, coarse = rows
    assert (truth["label"], truth["truth"]) == ("fenics (truth)", "refinement")
    assert truth["relative_l2"] == truth["truth_error"] < 1e-3
    for row in (network, coarse):
        assert (row["truth"], row["truth_error"]) == ("fenics", truth["truth_error"])
    assert coarse["relative_l2"] < 0.2 < network["relative_l2"]
    assert not network["reference_limited"]


def test_a_result_as_good_as_the_reference_is_said_to_be_limited(sciml):
    outcome = sciml.succeeds("compare thermal/convective_plate -s fenics -o degree=3 -o cells=64")
    assert "limited" in outcome.told


def test_in_many_dimensions_there_is_no_reference(sciml):
    outcome = sciml.succeeds(f"compare poisson/ten_dimensional -s deepxde {QUICKEST} --json")
    row = outcome.row
    assert (row["solver"], row["truth"]) == ("deepxde", "exact")
    assert 0 < row["truth_error"] < 1e-3, "sampling has an error of its own"
    assert "there is no reference" in sciml.succeeds(f"compare poisson/ten_dimensional -s deepxde {QUICKEST}").told


def test_the_verdict_says_when_the_reference_is_the_better_buy(sciml):
    outcome = sciml.succeeds(f"compare poisson/sine -s deepxde {QUICK}")
    assert "The reference is the better buy: fenics has" in outcome.told
    assert outcome.out == ""


def test_the_verdict_is_kept(sciml, tmp_path):
    outcome = sciml.succeeds(f"compare poisson/sine -s deepxde {QUICKEST} --out both --json")
    folder = tmp_path / "both"
    record = json.loads((folder / "record.json").read_text())
    assert record["rows"] == outcome.rows
    assert len(record["verdicts"]) == 1
    written = {path.name for path in folder.iterdir()}
    assert {"figure.png", "solution_0_fenics.h5", "solution_0_fenics.vtu", "solution_1_deepxde.vtu"} <= written


def test_a_failure_is_a_row(sciml):
    line = f"compare poisson/sine -s deepxde {QUICKEST} -o learning_rate=1e300 -s fenics"
    rows = {row["solver"]: row for row in sciml.succeeds(f"{line} --json").rows}
    assert rows["deepxde"]["status"] == "diverged"
    assert "the loss became inf" in rows["deepxde"]["message"]
    assert rows["deepxde"].keys() >= KEYS
    assert rows["fenics"]["status"] == "converged"


def test_parameters_draws_and_seeds_are_those_of_all(sciml):
    line = f"compare poisson/peak --draw 2 -p sharpness=4 --seed 5 -s deepxde {QUICKEST} -s fenics -o cells=4 --json"
    rows = sciml.succeeds(line).rows
    assert [row["seed"] for row in rows] == [5, 5]
    assert rows[0]["parameters"] == rows[1]["parameters"]
    assert rows[0]["parameters"]["sharpness"] == 4


def test_costs_do_not_depend_on_the_order(sciml):
    """What is imported once is nobody's cost."""
    line = f"compare poisson/sine -s deepxde {QUICKEST} -s deepxde {QUICKEST} --json"
    first, second = (row for row in sciml.succeeds(line).rows if row["solver"] == "deepxde")
    assert first["cpu_seconds"] < 5 * second["cpu_seconds"] + 0.5


# -- refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("poisson/sine -o adam=3 -s deepxde", ["-o adam=3 comes before any --solver"]),
        ("poisson/sine -s deepxde -o wdth=3", ["deepxde", "'wdth'", "did you mean 'width'?"]),
        ("poisson/sine -s fenics -s deepxd", ["'deepxd'", "did you mean 'deepxde'?"]),
        ("thermal/fibre_composite -s deepxde", ["deepxde", "its flux is discontinuous", "fenics"]),
        ("poisson/ten_dimensional -s fenics", ["fenics", "at most 3 dimensions", "deepxde"]),
        ("poisson/sine -s deepxde -s fenics -o refine=1", ["`refine` is for mesh files", "`cells`"]),
        ("elasticity/cook -s deepxde -s fenics -o cells=4", ["`cells` is for boxes", "`refine`"]),
        ("elasticity/cook -s deepxde -o conditions=hard", ["conditions=hard", "not a box", "conditions=soft"]),
        ("poisson/sine -s deepxde -o adam=0 -o lbfgs=0", ["adam = 0 and lbfgs = 0", "give one of them"]),
        ("poisson/sine -s deepxde --device toaster", ["'toaster'", "cpu"]),
        ("poisson/ten_dimensional", ["--solver"]),
    ],
)
def test_bad_requests_are_refused_before_any_solver_runs(sciml, tmp_path, no_work, line, words):
    outcome = sciml(f"compare {line} --out here")
    assert all(word in outcome.message for word in words), outcome.message
    assert outcome.seconds < 2
    assert not (tmp_path / "here").exists()


def test_a_solver_file_on_the_command_line(sciml, tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
    example = text.split("# sciml/solvers/constant.py\n")[1].split("```")[0]
    (tmp_path / "my_solver.py").write_text(example, encoding="utf-8")
    done = sciml.succeeds("compare poisson/sine -s ./my_solver.py -o value=0.25 -s fenics -o cells=4 --out both --json")
    assert [row["solver"] for row in done.rows] == ["constant", "fenics"]
    assert 0.5 < done.rows[0]["relative_l2"] < 2
    assert (tmp_path / "both" / "solution_0_constant.h5").is_file()
    assert "Solver './my_solver.py' cannot do" in sciml("solve elasticity/cook -s ./my_solver.py").message
