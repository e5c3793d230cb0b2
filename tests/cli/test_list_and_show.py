"""`sciml list` and `sciml show`: what there is, and who can do it."""

from __future__ import annotations

import json

import pytest

from sciml.registry import load_problem, load_solver, problem_classes, solver_names


def test_list_json_has_one_object_per_problem(sciml):
    outcome = sciml.succeeds("list --json")
    assert [row["problem"] for row in outcome.rows] == list(problem_classes())
    for row in outcome.rows:
        assert row.keys() == {"problem", "title", "solvers", "refused"}
        assert row["title"]
        assert set(row["solvers"]) <= set(solver_names())
        problem = load_problem(row["problem"])
        reasons = {name: load_solver(name).supports(problem) for name in solver_names()}
        assert row["solvers"] == [name for name, reason in reasons.items() if reason is None]
        assert row["refused"] == {name: reason for name, reason in reasons.items() if reason is not None}
    assert outcome.err == ""


def test_list_for_people_is_on_standard_error(sciml):
    outcome = sciml.succeeds("list")
    assert outcome.out == ""
    assert all(name in outcome.err for name in problem_classes())


def test_show_json(sciml):
    outcome = sciml.succeeds("show poisson/peak -p sharpness=12.5 -p centre=0.25,-0.5 --json")
    facts = outcome.row
    assert facts["problem"] == "poisson/peak"
    assert facts["parameters"]["sharpness"]["value"] == 12.5
    assert facts["parameters"]["sharpness"]["default"] == 1000.0
    assert facts["parameters"]["centre"]["value"] == [0.25, -0.5]
    refused = facts["solvers"].pop("spectral")
    assert "every side of the box periodic" in refused
    assert facts["solvers"]["deepxde"] is facts["solvers"]["fenics"] is None
    assert facts["analysis"]["linear"] is True
    assert facts["analysis"]["symmetric"] is True


def test_show_says_what_a_problem_is(sciml):
    outcome = sciml.succeeds("show thermal/fibre_composite")
    assert outcome.out == ""
    for words in (
        "thermal/fibre_composite",
        "−div(k ∇T) = 0",
        "W/(m K)",
        "conductivity of the fibre",
        "fibre, matrix",
        "Dirichlet on left",
        "effective_conductivity",
        "linear, symmetric, monotone",
        "its flux is discontinuous (coefficient 'conductivity'), so it has no strong form",
        "can solve it",
    ):
        assert words in outcome.told


def test_show_says_that_a_problem_runs_in_time(sciml):
    assert "time 0 to 0.1, first order" in sciml.succeeds("show heat/sine").told
    facts = sciml.succeeds("show wave/open_square -p duration=3 --json").row
    assert facts["time"] == {"start": 0.0, "end": 3.0, "order": 2}
    assert sciml.succeeds("show poisson/sine --json").row["time"] is None


def test_show_tells_how_convex_an_energy_is(sciml):
    assert sciml.succeeds("show variational/log_cosh -p steepness=4 --json").row["convexity"] == [1.0, 16.0]
    assert sciml.succeeds("show nonlinear/cubic_reaction --json").row["convexity"] == [1.0, None]
    assert sciml.succeeds("show poisson/sine --json").row["convexity"] is None
    assert (
        "convexity ∂²W/∂∇u² ≥ 1; ∂²W/∂(∇u, u)² ≤ 16" in sciml.succeeds("show variational/log_cosh -p steepness=4").told
    )


def test_show_names_the_solver_that_cannot(sciml):
    assert (
        "fenics cannot: finite elements need at most 3 dimensions"
        in sciml.succeeds("show poisson/ten_dimensional").told
    )


def test_show_in_another_dimension(sciml):
    """An integer parameter changes the structure."""
    for dim in (1, 3):
        facts = sciml.succeeds(f"show poisson/sine -p dim={dim} --json").row
        assert facts["domain"] == f"Box({[0.0] * dim}, {[1.0] * dim})"
        assert facts["analysis"]["dim"] == dim


def test_show_options_lists_every_option_with_its_default(sciml):
    outcome = sciml.succeeds("show poisson/peak --options")
    for name in solver_names():
        for option, field in load_solver(name).Options.model_fields.items():
            assert option in outcome.told
            assert field.description in outcome.told
    assert "degree 2 polynomial degree" in outcome.told


@pytest.mark.parametrize("width", [80, 100])
def test_nothing_is_cut_off_in_a_narrow_terminal(sciml, monkeypatch, width):
    """Columns of tables wrap; none ends in an ellipsis or is missing."""
    monkeypatch.setattr("sciml.cli.console.console._width", width)
    for line in ("show poisson/peak --options", "show elasticity/plate_with_hole", "list"):
        outcome = sciml.succeeds(line)
        assert "…" not in outcome.err
        # A terminal counts what it shows.
        assert max(map(len, outcome.err.splitlines())) <= width
    words = outcome.told.split()
    assert all(word in words for name in problem_classes() for word in load_problem(name).title.split())


@pytest.mark.parametrize("name", list(problem_classes()))
def test_everything_can_be_shown(sciml, name):
    facts = sciml.succeeds(f"show {name} --json").row
    assert json.dumps(facts, allow_nan=False)
    assert facts["description"].startswith(facts["title"])
    assert any(reason is None for reason in facts["solvers"].values())
