"""What a check may say, and what is refused before anything runs."""

import pytest
from pydantic import ValidationError

from sciml.benchmark.checks import Bound, Check, run_checks, selected, verify
from sciml.benchmark.suite import load_suite
from sciml.errors import OptionError, ScimlError, SuiteError, UnknownNameError

TIMES = {"name": "times", "title": "orders", "measure": "time_orders", "cpu_seconds": 10}
SOLVE = {"problem": "poisson/sine", "solver": "fenics"}


def check(**changes):
    return Check.model_validate(TIMES | {"figures": {"theta": {"between": [1.85, 2.15]}}} | changes)


def never(function, payload, limits):
    raise AssertionError("nothing may run")


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ({}, "a figure needs a bound"),
        ({"unit": "CPU s"}, "a figure needs a bound"),
        ({"at_most": 1, "between": [0, 1]}, "at_most and between stand together"),
        ({"at_most": 1, "at_least": 0}, "at_most and at_least stand together"),
        ({"aim_at_most": 1, "aim_at_least": 0}, "aim_at_most and aim_at_least stand together"),
        ({"between": [2, 1]}, "holds nothing"),
        ({"between": [1, 2], "scaled": True}, "cannot be scaled"),
        ({"at_most": float("nan")}, "finite"),
        ({"at_mots": 1}, "Extra inputs"),
    ],
)
def test_bounds_that_say_nothing_or_too_much(bound, said):
    with pytest.raises(ValidationError, match=said):
        Bound.model_validate(bound)


def test_an_aim_may_stand_beside_a_bound():
    bound = Bound(at_most=2.0, aim_at_most=1.0)
    assert bound.enforced
    assert bound.aimed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"solve": SOLVE}, "has both"),
        ({"measure": None}, "has neither"),
        ({"measure": None, "solve": SOLVE, "arguments": {"degree": 1}}, "`parameters` and `options`"),
        ({"figures": {}}, "at least 1 item"),
        ({"seeds": 0}, "greater than or equal to 1"),
        ({"cpu_seconds": 0}, "greater than 0"),
        ({"maesure": "x"}, "Extra inputs"),
    ],
)
def test_checks_that_cannot_be_meant(changes, said):
    with pytest.raises(ValidationError, match=said):
        check(**changes)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"measure": "time_order"}, UnknownNameError, "did you mean 'time_orders'"),
        ({"measure": "./nowhere.py:f"}, UnknownNameError, "no file 'nowhere.py'"),
        ({"arguments": {"step": 3}}, OptionError, "no argument 'step'; it takes steps"),
        ({"arguments": {"seed": 3}}, OptionError, "state how many by `seeds`"),
        ({"seeds": 3}, OptionError, "no seed matters there"),
        (
            {"measure": None, "solve": SOLVE | {"problem": "poisson/sin"}},
            UnknownNameError,
            "did you mean 'poisson/sine'",
        ),
        ({"measure": None, "solve": SOLVE | {"solver": "fenix"}}, UnknownNameError, "did you mean 'fenics'"),
        ({"measure": None, "solve": SOLVE | {"options": {"degre": 1}}}, OptionError, "did you mean 'degree'"),
        ({"measure": None, "solve": SOLVE | {"parameters": {"dimm": 1}}}, ScimlError, "dim"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_runs(changes, error, said):
    with pytest.raises(error, match=said):
        run_checks([check(name="first"), check(**changes)], run=never)


def test_two_checks_of_one_name():
    with pytest.raises(OptionError, match="Two checks are named 'times'"):
        verify([check(), check()])


def test_only_takes_patterns():
    checks = [check(name=name) for name in ("wave_energy", "wave_steps", "pipe")]
    assert [c.name for c in selected(checks, ["wave_*"])] == ["wave_energy", "wave_steps"]
    assert selected(checks) == checks
    with pytest.raises(UnknownNameError, match="did you mean 'pipe'"):
        selected(checks, ["pip"])


SUITE = """
format = 1
title = "mine"
cpu_hours = 0.1

[[checks]]
name = "mine"
title = "my own"
measure = "./mine.py:lengths"
cpu_seconds = 5
[checks.figures]
length = {bound}
"""


def test_a_suites_files_are_relative_to_its_folder(tmp_path):
    (tmp_path / "mine.py").write_text('def lengths() -> dict[str, float]:\n    return {"length": 1.0}\n')
    (tmp_path / "suite.toml").write_text(SUITE.replace("{bound}", "{ at_most = 2 }"))
    (found,) = load_suite(tmp_path / "suite.toml").checks
    assert found.measure == f"{tmp_path / 'mine.py'}:lengths"
    verify([found])


def test_a_suite_names_the_line_of_a_wrong_bound(tmp_path):
    (tmp_path / "suite.toml").write_text(SUITE.replace("{bound}", "{ at_mots = 2 }"))
    with pytest.raises(SuiteError, match=r"line 12: .*did you mean 'at_most'"):
        load_suite(tmp_path / "suite.toml")
