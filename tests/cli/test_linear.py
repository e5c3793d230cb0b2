"""`sciml linear` and `sciml train-linear`: rows, refusals in one sentence, options of each solver."""

import json

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from typer.testing import CliRunner

from sciml.cli.app import app
from sciml.errors import OptionError, ParameterError, UnknownNameError, UnsupportedError
from sciml.linear import diffusion

KEYS = {
    "solver", "iterations", "setup_seconds", "solve_seconds", "setup_cpu_seconds", "solve_cpu_seconds", "residual",
    "converged", "status", "system", "unknowns",
}  # fmt: skip


def run(*arguments, code=0):
    done = CliRunner().invoke(app, ["linear", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_rows_of_solvers():
    rows = run("--grid", "24x24", "--obstacles", "2", "-s", "gmg", "-s", "gamg", "-s", "cg", "--json")
    assert [row["solver"] for row in rows] == ["gmg", "gamg", "cg"]
    assert all(set(row) == KEYS and row["converged"] and row["residual"] <= 1e-6 for row in rows)
    assert rows[0]["iterations"] < rows[2]["iterations"]


def test_options_belong_to_the_solver_before_them():
    rows = run("--grid", "24x24", "-s", "gmg", "-o", "sweeps=1", "-s", "gmg", "-o", "sweeps=4", "--json")
    assert rows[0]["iterations"] > rows[1]["iterations"]


def test_what_a_solver_cannot_do_is_a_row():
    rows = run("--grid", "24x24", "--obstacles", "2", "-s", "dst", "-s", "cg", "--json", code=1)
    assert [row["converged"] for row in rows] == [False, True]
    assert "without obstacles" in rows[0]["status"]
    with pytest.raises(UnsupportedError, match="without obstacles"):
        run("--grid", "24x24", "--obstacles", "2", "-s", "dst")


def test_too_few_iterations_are_no_success():
    assert not run("-s", "cg", "--max-iterations", "3", "--json", code=1)[0]["converged"]


def test_matrices_of_files(tmp_path):
    system = diffusion((9, 8), contrast=100)
    scipy.io.mmwrite(tmp_path / "A.mtx", system.matrix)
    np.savetxt(tmp_path / "b.txt", system.rhs)
    given = ("--matrix", str(tmp_path / "A.mtx"), "--rhs", str(tmp_path / "b.txt"))
    rows = run(*given, "--solver", "icc", "--solver", "pyamg_rs", "--tolerance", "1e-9", "--json")
    assert all(row["converged"] and row["unknowns"] == 72 for row in rows)
    with pytest.raises(ParameterError, match="has 72 rows, and a grid of 8x8 has 64 cells"):
        run(*given, "--grid", "8x8", "-s", "cg")
    scipy.io.mmwrite(tmp_path / "C.mtx", scipy.sparse.csr_array(system.matrix - 10 * scipy.sparse.eye_array(72)))
    with pytest.raises(ParameterError, match="indefinite"):
        run("--matrix", str(tmp_path / "C.mtx"), "-s", "cg")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("--system", "stokes"), OptionError, "allowed are poisson and diffusion"),
        (("--grid", "64"), ParameterError, "2 or 3 axes"),
        (("--grid", "axb"), OptionError, "is no grid"),
        (("--system", "diffusion", "--obstacles", "3"), OptionError, "--obstacles is not for --system diffusion"),
        (("--contrast", "3"), OptionError, "--contrast is not for --system poisson"),
        (("--matrix", "A.mtx", "--obstacles", "3"), OptionError, "--obstacles is about systems that are made here"),
        (("--matrix", "A.mtx", "--problem", "poisson/sine"), OptionError, "give one of them"),
        (("--rhs", "waves"), OptionError, "plume or noise"),
        (("--walls", "round"), OptionError, "open and closed"),
        (("-s", "gnm"), UnknownNameError, "no linear solver named 'gnm'"),
        (("--tolerance", "2", "-s", "cg"), ParameterError, "lies between 0 and 1"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        run(*arguments, *(() if "-s" in arguments else ("-s", "cg")))


def test_training(tmp_path):
    out = tmp_path / "own"
    small = ["-o", "cells=12x12", "-o", "geometries=1", "-o", "vectors=30", "-o", "steps=2"]
    done = CliRunner().invoke(app, ["train-linear", "dcdm", *small, "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    row = json.loads(done.stdout)
    assert row["trainable_parameters"] == 32_657
    assert run("--grid", "12x12", "-s", "dcdm", "-o", f"network={out}", "--json")[0]["converged"]
