"""Measurements: found by scanning, documented, and run in a process of their own."""

import importlib
import inspect

import pytest

from sciml.benchmark.checks import Check, run_checks
from sciml.benchmark.measuring import find_measurement, measurements, run_measurement
from sciml.benchmark.suite import load_suite, suite_names
from sciml.errors import DeclarationError, OptionError, UnknownNameError

MINE = '''
"""My own figures."""
FACTOR = 2.0


def helper(x):
    return x


def lengths(width: float, *, height: float = 1.0, seed: int = 0) -> dict[str, float]:
    """Sides."""
    return {"width": helper(width) * FACTOR, "height": height, "seed": seed}


def text() -> dict[str, float]:
    return {"word": "many"}


def nothing() -> dict[str, float]:
    return {}


def hidden() -> float:
    return 1.0


def _private() -> dict[str, float]:
    return {"x": 1.0}
'''


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    return f"{tmp_path / 'mine.py'}"


def test_all_are_found_and_say_what_they_measure():
    found = measurements()
    assert {"time_orders", "residual_cost", "defaults"} <= set(found)
    for name, measurement in found.items():
        assert len(measurement.doc.split()) > 5, name
        assert "Returns" in measurement.doc, f"{name} does not say which figures it returns"
        assert not measurement.required, f"{name} needs arguments"


def test_what_is_read_off_the_text_is_what_is_imported():
    """Names, arguments and whether a seed matters."""
    for name, measurement in measurements().items():
        module = importlib.import_module(f"sciml.benchmark.measurements.{measurement.file.stem}")
        parameters = set(inspect.signature(getattr(module, name)).parameters)
        assert parameters - {"seed"} == measurement.arguments
        assert ("seed" in parameters) == measurement.seeded


def test_every_check_of_every_suite_names_what_exists():
    for suite in suite_names():
        for check in load_suite(suite).checks:
            if check.measure is not None:
                find_measurement(check.measure).check(check.arguments)


def test_one_in_a_users_file(mine):
    found = find_measurement(f"{mine}:lengths")
    assert (found.arguments, found.required, found.seeded) == ({"width", "height"}, {"width"}, True)
    figures = run_measurement({"measure": f"{mine}:lengths", "arguments": {"width": 3}, "solve": None, "seed": 7})
    assert figures == {"width": 6.0, "height": 1.0, "seed": 7.0}


@pytest.mark.parametrize("name", ["helper", "hidden", "_private"])
def test_what_is_no_measurement(mine, name):
    with pytest.raises(UnknownNameError, match=r"annotated `-> dict\[str, float\]`"):
        find_measurement(f"{mine}:{name}")


def test_what_goes_wrong_is_said(mine, tmp_path):
    for function, said in (("text", "'many' as its figure 'word'"), ("nothing", "must return figures by name")):
        with pytest.raises(DeclarationError, match=said):
            run_measurement({"measure": f"{mine}:{function}", "arguments": {}, "solve": None, "seed": None})
    with pytest.raises(OptionError, match="needs a value of 'width'"):
        find_measurement(f"{mine}:lengths").check({})
    (tmp_path / "broken.py").write_text("def f(:\n")
    with pytest.raises(DeclarationError, match=r"broken\.py cannot be read as Python"):
        find_measurement(f"{tmp_path / 'broken.py'}:f")


def test_a_solve_gives_errors_quantities_and_cost():
    request = {"problem": "elasticity/plate_with_hole", "parameters": {}, "solver": "fenics", "options": {"degree": 1}}
    figures = run_measurement({"measure": None, "arguments": {}, "solve": request, "seed": 0})
    assert 0 < figures["relative_l2"] < 0.01
    assert figures["relative_l2"] < figures["relative_h1"]
    assert {"max_error", "cpu_seconds", "stress_top"} <= set(figures)


def test_one_is_measured_from_end_to_end(mine):
    """The shipped check of time orders, and one that raises, each in a process of its own."""
    (times,) = (check for check in load_suite("figures").checks if check.name == "time_orders")
    parts = {"name": "text", "title": "text", "cpu_seconds": 60, "figures": {"word": {"at_most": 1}}}
    wrong = Check.model_validate(parts | {"measure": f"{mine}:text"})
    good, bad = run_checks([times, wrong], scale=4.0)
    assert good.holds
    assert abs(good.figures[0].values["theta"][0] - 2) < 0.05
    assert bad.figures[0].verdict == "failed"
    assert "'many' as its figure 'word'" in bad.figures[0].reason
