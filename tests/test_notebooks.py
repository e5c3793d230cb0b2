"""Notebooks run as they stand, each in a fresh process, at small sizes, and show what they say they show."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.py"))


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Text and number of pictures of an executed notebook."""
    for package in ("jupytext", "nbconvert", "ipykernel"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("notebooks")
    known = {}

    def of(name):
        if name not in known:
            done = subprocess.run(
                [sys.executable, str(ROOT / "scripts" / "make_notebooks.py"), name, "--out", str(folder)],
                env=os.environ | {"SCIML_NOTEBOOK_QUICK": "1"}, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert f"{name}.html" in {path.name for path in folder.iterdir()}
            cells = json.loads((folder / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
            outputs = [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]
            assert not [output for output in outputs if output.get("name") == "stderr"], "warnings are errors here"
            text = "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")
            known[name] = text, sum("image/png" in output.get("data", {}) for output in outputs)
        return known[name]

    return of


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_and_draws(executed, name):
    _, pictures = executed(name)
    assert pictures >= 1


@pytest.mark.slow
def test_adaptive_sampling(executed):
    text, pictures = executed("adaptive_sampling")
    assert pictures == 3
    # The flow is a density, and puts more than its share round each peak.
    means = re.findall(r"mean of the relative density over the domain (\S+)", text)
    assert [float(mean) for mean in means] == pytest.approx([1, 1], abs=0.1)
    peaks = re.findall(r"within 0.1 of \((.*)\): density (\S+),", text)
    assert [place for place, _ in peaks] == ["0.5, 0.5", "0.5, 0.5", "-0.5, -0.5"]
    assert min(float(density) for _, density in peaks) > 2
    found = re.findall(r"^(uniform|RAR|RAD|AAS, .*?)  +(\d+ .*)$", text, flags=re.MULTILINE)
    rows = {name: row for name, row in found if len(row.split()) == 6}
    assert list(rows) == ["uniform", "RAR", "RAD", "AAS, default β", "AAS, β = 0.001"]
    for name, row in rows.items():
        steps, seconds, points, adaptive, error, _ = map(float, row.split())
        assert steps >= 1
        assert seconds >= 4
        assert 300 <= points <= 800
        assert (adaptive > 0) == (name != "uniform")
        assert 0 < error < 1000
    # Uniform points miss the peak: the residual is far larger there than on the rest of the line.
    (hump, rest, ratio, density) = map(
        float, re.search(r"^ *\d+ (.*)  \(uniform points\)$", text, re.MULTILINE)[1].split()
    )
    assert ratio == pytest.approx(hump / rest, rel=0.1)
    assert ratio > 3
    assert density == 1


def test_a_notebook_that_is_not_there_is_named():
    pytest.importorskip("nbconvert")
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_notebooks.py"), "sampling"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no notebook 'sampling'" in done.stderr
    assert "adaptive_sampling" in done.stderr


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_kept_as_cells_without_outputs(name):
    """The percent format, which jupytext reads and writes without a change."""
    jupytext = pytest.importorskip("jupytext")
    text = (ROOT / "notebooks" / f"{name}.py").read_text(encoding="utf-8")
    notebook = jupytext.reads(text, fmt="py:percent")
    assert {cell.cell_type for cell in notebook.cells} == {"markdown", "code"}
    again = jupytext.reads(jupytext.writes(notebook, fmt="py:percent"), fmt="py:percent")
    assert [cell.source for cell in again.cells] == [cell.source for cell in notebook.cells]
