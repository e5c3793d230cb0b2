"""What holds for the project as a whole: imports, files, words, and that parts are added in one place."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = {".py", ".md", ".toml", ".cff", ".sh", ".yml", ".json", ""}


def kept_files():
    """Every file that is under version control, or would be."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a working copy")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return [path for line in listed.splitlines() if (path := ROOT / line).is_file() and not path.is_symlink()]


def run_python(code, **environment):
    """Run code in a fresh interpreter; its standard output."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_imports_run_one_way():
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [["format", "--check"], ["check"]])
def test_lint(arguments):
    tool = Path(sys.executable).with_name("ruff")
    done = subprocess.run([tool, *arguments, "--no-cache", "."], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_project_speaks_of_itself_alone():
    """No path of somebody's machine, no host of a package registry."""
    machine = re.compile(r"/(?:work|root|Users)/|/home/\w+/|/tmp/\w|pypi\.org|pythonhosted|download\.pytorch")
    for path in kept_files():
        if path.suffix in TEXT and path != Path(__file__).resolve():
            found = machine.search(path.read_text(encoding="utf-8"))
            assert found is None, f"{path.relative_to(ROOT)}: {found[0]}"


def test_small_files_only():
    sizes = {path.relative_to(ROOT): path.stat().st_size for path in kept_files()}
    assert max(sizes.values()) < 1_000_000
    assert not [path for path in sizes if path.suffix in {".pkl", ".pickle", ".pt", ".lock"}]


def test_public_names_exist_and_are_documented():
    import sciml

    for name in sciml.__all__:
        member = getattr(sciml, name)
        assert getattr(member, "__doc__", None), name


def test_importing_changes_nothing_of_torch():
    """Importing the package and training with DeepXDE leave default device, dtype and generators as they were."""
    state = (
        "print(torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads(), "
        "hash(torch.get_rng_state().numpy().tobytes()), hash(str(np.random.get_state())), "
        "hash(random.getstate()), sorted(os.environ.items()) == environment)"
    )
    code = f"""
import os, random
import numpy as np, torch
torch.manual_seed(7), np.random.seed(8), random.seed(9)
environment = sorted(os.environ.items())
{state}
import sciml
{state}
solution = sciml.solve("poisson/sine", "deepxde", adam=3, lbfgs=3, width=4, points=30)
{state}
"""
    before, imported, trained = run_python(code, PYTHONHASHSEED="0").splitlines()
    assert before == imported == trained


def test_without_finite_elements_the_rest_works():
    """On a system without a DOLFINx wheel: everything but the reference, which says what to install."""
    code = """
import json, sys
for name in ("dolfinx", "dolfinx_solver", "petsc4py", "mpi4py", "basix", "ffcx"):
    sys.modules[name] = None
import sciml
solution = sciml.solve("poisson/sine", "deepxde", adam=3, lbfgs=3, width=4, points=30)
out = [solution.error().relative_l2, sciml.compare("poisson/sine", ("deepxde", {"adam": 3, "lbfgs": 3})).rows[0].solver]
try:
    sciml.solve("poisson/sine", "fenics")
except sciml.errors.UnsupportedError as error:
    out.append(str(error))
print(json.dumps(out))
"""
    error, solver, message = json.loads(run_python(code))
    assert 0 < error < 2
    assert solver == "deepxde"
    assert "pip install dolfinx-solver-real" in message
    assert "conda-forge fenics-dolfinx" in message
    assert "deepxde" in message.rpartition(";")[2]
    assert message.endswith(" can.")


# -- one file, and nothing elsewhere -----------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path):
    """A copy of the sources to add files to; code runs in it."""
    for name in ("sciml", "problems", "data"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))

    def run(*arguments):
        command = [sys.executable, "-m", "sciml", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return tmp_path, run


def examples():
    """The code of the architecture page, by file name."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", text, flags=re.DOTALL)
    return dict(blocks)


def test_adding_a_problem_is_one_file(copy):
    folder, run = copy
    before = {row["problem"] for row in run("list", "--json")}
    (folder / "problems" / "plasma.py").write_text(examples()["problems/plasma.py"], encoding="utf-8")
    after = {row["problem"]: row for row in run("list", "--json")}
    assert set(after) - before == {"plasma/sheath"}
    assert set(after["plasma/sheath"]["solvers"]) >= {"deepxde", "fenics"}
    (row,) = run("solve", "plasma/sheath", "-o", "cells=8", "--json")
    assert row["status"] == "converged"


def test_adding_a_solver_is_one_file(copy):
    folder, run = copy
    (folder / "sciml" / "solvers" / "constant.py").write_text(examples()["sciml/solvers/constant.py"], encoding="utf-8")
    able = {row["problem"]: row["solvers"] for row in run("list", "--json")}
    assert "constant" in able["poisson/sine"]
    assert "constant" not in able["elasticity/cook"]
    rows = run(
        "compare", "poisson/sine", "-s", "constant", "-o", "value=0.25", "-s", "fenics", "-o", "cells=4", "--json"
    )
    assert rows[0]["solver"] == "constant"
    assert 0.5 < rows[0]["relative_l2"] < 2
