"""Suites: read as they are written, or refused with the line that is wrong."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciml.benchmark.suite import load_suite, suite_names
from sciml.benchmark.toml_lines import line_of, toml_lines
from sciml.errors import SuiteError, UnknownNameError

GOOD = """\
format = 1
title = "A suite"
cpu_hours = 0.1

[statistics]
seeds = [1, 2]
hidden = 1

[tuning]
trials = 3

[[problems]]
name = "poisson/peak"
parameters = { sharpness = [10.0, 20.0], centre = [[0.0, 0.0]] }

  [[problems.baselines]]
  method = "FEM"
  why = "Elements of degree 2 converge with order 3 to a smooth solution."

[[problems]]
name = "nonlinear/catenoid"

[[methods]]
name = "FEM"
solver = "fenics"
sweep = { cells = [4, 8], degree = [1, 2] }

[[methods]]
name = "PINN"
solver = "deepxde"
sweep = [{ adam = 10, width = 5 }, { adam = 20, width = 6 }]
space = { learning_rate = { low = 1e-3, high = 1e-2, log = true } }
problems = ["poisson/*"]
"""


def written(tmp_path, text):
    path = tmp_path / "suite.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_suite_is_read(tmp_path):
    suite = load_suite(written(tmp_path, GOOD))
    assert suite.name == "suite"
    assert suite.problems[0].settings == [
        {"sharpness": 10.0, "centre": [0.0, 0.0]},
        {"sharpness": 20.0, "centre": [0.0, 0.0]},
    ]
    fem, pinn = suite.methods
    assert fem.points == [{"cells": c, "degree": d} for c in (4, 8) for d in (1, 2)]
    assert pinn.points == [{"adam": 10, "width": 5}, {"adam": 20, "width": 6}]
    assert fem.runs_on("nonlinear/catenoid")
    assert not pinn.runs_on("nonlinear/catenoid")


def test_the_digest_knows_what_decides_results(tmp_path):
    digest = load_suite(written(tmp_path, GOOD)).digest
    assert load_suite(written(tmp_path, GOOD.replace("A suite", "Another title"))).digest == digest
    assert load_suite(written(tmp_path, GOOD.replace("hidden = 1", "hidden = 2"))).digest != digest


@pytest.mark.parametrize(
    ("old", "new", "marker", "said"),
    [
        ("hidden = 1", "hiden = 1", "hiden", "did you mean 'hidden'"),
        ('solver = "fenics"', 'slver = "fenics"', "slver", "did you mean 'solver'"),
        ('[[methods]]\nname = "PINN"', '[[methds]]\nname = "PINN"', "[[methds]]", "did you mean 'methods'"),
        ("[1, 2]\nhidden", "[1, 1]\nhidden", "seeds =", "a seed stands twice"),
        ("cells = [4, 8]", "cells = []", "cells = []", "empty"),
        ("sharpness = [10.0, 20.0]", "sharpness = []", "sharpness", "empty"),
        ("trials = 3", "trials = 1", "trials", "greater than or equal to 2"),
        ('method = "FEM"', 'method = "AMG"', "AMG", "none of the methods FEM, PINN"),
        ("Elements of degree 2 converge with order 3 to a smooth solution.", "fast", "why", "method is efficient"),
        ("low = 1e-3", "low = 1", "space", "low < high"),
        ("{ low = 1e-3, high = 1e-2, log = true }", "[]", "space", "a list of values"),
        ('["poisson/*"]', '["heat/*"]', "heat", "none of the problems"),
        ("{ adam = 20, width = 6 }", "{ adam = 10, width = 5 }", "sweep = [", "stands twice"),
        ("sweep = { cells", "options = { degree = 3 }\nsweep = { cells", "sweep = {", "both fixed and swept"),
        ("format = 1", "format = 7", "format", "should be 1"),
        ("cpu_hours = 0.1", "cpu_hours = -1", "cpu_hours", "greater than 0"),
        ("[tuning]", '[accuracy]\nnorm = "iterations"\n[tuning]', "norm", "by nothing else"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, old, new, marker, said):
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    line = 1 + text[: text.index(marker)].count("\n")
    with pytest.raises(SuiteError, match=f"suite.toml, line {line}: .*{said}"):
        load_suite(written(tmp_path, text))


def test_what_is_no_suite(tmp_path):
    with pytest.raises(SuiteError, match=r"not valid TOML: .*line 2"):
        load_suite(written(tmp_path, "format = 1\ntitle = \n"))
    with pytest.raises(SuiteError, match="cannot be read"):
        load_suite(tmp_path / "none.toml")
    with pytest.raises(UnknownNameError, match="quick"):
        load_suite("quik")
    with pytest.raises(SuiteError, match="which is empty"):
        load_suite(written(tmp_path, GOOD[: GOOD.index("[[methods]]")]))
    with pytest.raises(SuiteError, match="neither a cell"):
        load_suite(written(tmp_path, 'format = 1\ntitle = "t"\ncpu_hours = 1\n'))
    with pytest.raises(SuiteError, match="cpu_hours is missing"):
        load_suite(written(tmp_path, 'format = 1\ntitle = "t"\n'))


def test_one_name_is_one_method(tmp_path):
    with pytest.raises(SuiteError, match="one name is one method"):
        load_suite(written(tmp_path, GOOD.replace('name = "PINN"', 'name = "FEM"')))


def test_files_are_relative_to_the_suite(tmp_path):
    text = GOOD.replace('name = "nonlinear/catenoid"', 'name = "./mine.py:Mine"').replace(
        'solver = "deepxde"', 'solver = "./own.py"'
    )
    suite = load_suite(written(tmp_path, text))
    assert suite.problems[1].name == f"{tmp_path.resolve()}/mine.py:Mine"
    assert suite.methods[1].solver == f"{tmp_path.resolve()}/own.py"


@pytest.mark.parametrize("name", suite_names())
def test_shipped_suites_are_valid(name):
    suite = load_suite(name)
    assert suite.title
    assert suite.about
    assert suite.cpu_hours <= 3


def test_lines_of_nested_tables():
    text = '[a]\nb = [\n  1,\n  2,\n]\n"c d".e = """x\ny = 1\n"""\n\n[[t]]\n[[t.u]]\nv = { w = 1 }\n[[t]]\n# t\n[[t.u]]\nv = 2\n'
    lines = toml_lines(text)
    assert lines[("a", "b")] == 2
    assert lines[("a", "c d", "e")] == 6
    assert ("a", "y") not in lines
    assert lines[("t", 0, "u", 0, "v")] == 12
    assert line_of(lines, ("t", 0, "u", 0, "v", "w")) == 12
    assert lines[("t", 1, "u", 0, "v")] == 16
    assert line_of(lines, ("nothing",)) is None


@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), st.integers(0, 99), min_size=1, max_size=8))
def test_every_key_has_the_line_it_is_written_in(values):
    rows = [f"{key} = [\n  {value},\n]" for key, value in values.items()]
    text = "\n".join(rows)
    assert tomllib.loads(text).keys() == values.keys()
    assert [toml_lines(text)[(key,)] for key in values] == [1 + 3 * k for k in range(len(values))]
