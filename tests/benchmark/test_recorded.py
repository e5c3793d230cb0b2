"""Measured figures on record, and the table made of them."""

import pytest

from sciml.benchmark.checks import Check, judge
from sciml.benchmark.process import Outcome
from sciml.benchmark.recorded import figures_table, read_record, record_checks
from sciml.errors import OutputError


def outcome(reason=None, **figures):
    return Outcome(figures if reason is None else None, reason, "", 2.0, 1.5, 10**8, 0.1)


def check(name, **figures):
    parts = {"name": name, "title": f"title of {name}", "measure": "stencil"}
    return Check.model_validate(parts | {"figures": figures})


ORDERS = check("orders", **{"l2_*": {"between": [-0.15, 0.15]}})
COST = check(
    "cost",
    seconds={"at_most": 5, "unit": "CPU s", "scaled": True, "about": "time"},
    ratio={"aim_at_most": 1, "about": "ratio"},
)


def measured(check, *found, scale=1.0):
    return judge(check, dict(enumerate(found)), scale)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "figures.json"


def test_what_is_measured_again_replaces_what_was_and_nothing_else(file):
    found = outcome(l2_p1=-0.02123456789, l2_p2=0.07, h1_p1=0.5)
    record_checks([measured(ORDERS, found), measured(COST, outcome(seconds=4.0, ratio=2.0))], file, 50.04)
    record_checks([measured(COST, outcome(seconds=1.0, ratio=0.5), outcome(seconds=2.0, ratio=0.25))], file, 25.0)
    record = read_record(file)
    assert record["orders"]["figures"] == {"l2_p1": [-0.0212346], "l2_p2": [0.07]}
    assert record["orders"]["rate_gflops"] == 50.0
    assert record["cost"]["figures"] == {"seconds": [1.0, 2.0], "ratio": [0.5, 0.25]}
    assert record["cost"]["rate_gflops"] == 25.0


def test_counts_are_not_rounded(file):
    counted = check("counted", unknowns={"between": [12345678, 12345678]})
    record_checks([measured(counted, outcome(unknowns=12345678.0))], file, 50.0)
    assert read_record(file)["counted"]["figures"] == {"unknowns": [12345678]}


def test_a_failure_leaves_the_record_as_it_is(file):
    record_checks([measured(COST, outcome(seconds=4.0, ratio=2.0))], file, 50.0)
    before = file.read_text()
    record_checks([measured(COST, outcome(seconds=1.0, ratio=1.0), outcome("crashed"))], file, 50.0)
    assert file.read_text() == before


def test_the_table_shows_ranges_units_and_bounds(file):
    found = [outcome(l2_p1=-0.02123456789, l2_p2=0.07)]
    record_checks([measured(ORDERS, *found), measured(COST, outcome(seconds=3.14159, ratio=4.04e-6))], file, 50.0)
    lines = figures_table([ORDERS, COST, check("absent", x={"at_least": 2})], read_record(file)).splitlines()
    assert lines[2] == "| title of orders | −0.0212 to 0.0700 | −0.15 to 0.15 | `orders` |"
    assert lines[3] == "| title of cost: time; ratio | 3.14 CPU s; 4.0e-6 | ≤ 5 CPU s; (aim ≤ 1) | `cost` |"
    assert lines[4] == "| title of absent | – | ≥ 2 | `absent` |"
    assert "on one core of 50.0 GFLOP/s" in lines[-1]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1e-12, "1e-12"),
        (-0.15, "−0.15"),
        (60.0, "60"),
        (1e-4, "1e-4"),
        (37507.0, "37507"),
        (0.001, "0.001"),
        (3e7, "3e7"),
    ],
)
def test_bounds_are_written_as_they_are_meant(value, said):
    table = figures_table([check("one", x={"at_most": value})], {})
    assert f"| ≤ {said} |" in table


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (2.0009, "2.00"), (-0.02123, "−0.0212"), (37507.0, "37507"), (25.34, "25.3"), (-4.44e-16, "−4.4e-16")],
)
def test_measured_values_are_rounded(value, said):
    record = {"one": {"date": "2026-01-01", "rate_gflops": 50.0, "figures": {"x": [value]}}}
    assert f"| {said} |" in figures_table([check("one", x={"at_most": 1})], record)


def test_a_record_that_cannot_be_read(file):
    file.write_text("{")
    with pytest.raises(OutputError, match="cannot be read as recorded figures"):
        read_record(file)
    with pytest.raises(OutputError):
        record_checks([], file, 50.0)
    assert file.read_text() == "{"
