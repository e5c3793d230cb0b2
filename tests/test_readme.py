"""The README says what is true: its tables follow from the code, its example runs as it stands."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import sciml
from sciml.benchmark.checks import matching
from sciml.benchmark.machine import scale
from sciml.benchmark.recorded import read_record
from sciml.benchmark.suite import load_suite, suite_names

ROOT = Path(__file__).resolve().parents[1]


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = load_script("make_docs").FIGURES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_generated_parts_are_up_to_date(page):
    assert load_script("make_docs").regenerated(page) == page.read_text(encoding="utf-8"), "run `make docs`"


def write_bracket(path):
    """An L-shaped bracket: wall on the left, load on the lower right."""
    gmsh = pytest.importorskip("gmsh")
    gmsh.initialize(interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        corners = [(0, 0), (40, 0), (40, 10), (10, 10), (10, 30), (0, 30)]
        points = [gmsh.model.geo.addPoint(x, y, 0, 4.0) for x, y in corners]
        lines = [gmsh.model.geo.addLine(a, b) for a, b in zip(points, points[1:] + points[:1])]
        surface = gmsh.model.geo.addPlaneSurface([gmsh.model.geo.addCurveLoop(lines)])
        gmsh.model.geo.synchronize()
        gmsh.model.addPhysicalGroup(1, [lines[5]], name="wall")
        gmsh.model.addPhysicalGroup(1, [lines[1]], name="load")
        gmsh.model.addPhysicalGroup(2, [surface], name="steel")
        gmsh.model.mesh.generate(2)
        gmsh.write(str(path))
    finally:
        gmsh.finalize()


@pytest.mark.filterwarnings("ignore")
def test_the_example_runs(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(# bracket\.py\n.*?)```", text, flags=re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 24
    (tmp_path / "bracket.py").write_text(code, encoding="utf-8")
    write_bracket(tmp_path / "bracket.msh")
    problem = sciml.load_problem(str(tmp_path / "bracket.py"), pull=25.0)
    solution = sciml.solve(problem, "fenics", degree=2)
    tip = solution.evaluate([[40.0, 5.0]])[0]
    assert tip[1] < 0
    assert np.allclose(solution.evaluate([[0.0, 20.0]]), 0, atol=1e-12)
    # Twice the pull, twice the displacement.
    twice = sciml.solve(problem.with_parameters(pull=50.0), "fenics", degree=2).evaluate([[40.0, 5.0]])[0]
    assert np.allclose(twice, 2 * tip, rtol=1e-9)


# -- figures -----------------------------------------------------------------------------------------------------------

MEASURED = re.compile(
    r"\d ?%|\d(?:\.\d+)?e[-−]\d+|\d (?:CPU )?(?:s|ms|seconds|minutes)\b|\d ?× (?:faster|slower|less|more)"
)


def paragraphs(text):
    """Without blocks of code, which state options and no figures, and without what is generated."""
    text = re.sub(r"<!-- begin generated: (\w+) -->.*?<!-- end generated: \1 -->", "", text, flags=re.DOTALL)
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL).split("\n\n")


@pytest.mark.parametrize(("page", "suite"), PAGES.items(), ids=PAGES.values())
def test_every_check_has_a_row_and_every_row_a_record(page, suite):
    text = page.read_text(encoding="utf-8")
    table = re.search(r"begin generated: figures -->\n(.*?)\n\n", text, flags=re.DOTALL)[1].splitlines()[2:]
    names = [re.search(r"\| `(\w+)` \|$", line)[1] for line in table]
    assert names == [check.name for check in load_suite(suite).checks]
    unknown = {name for name in names if name not in read_record(ROOT / "data" / f"{suite}.json")}
    # The figures of README are all measured; those of a page may wait for a quiet day, and show that.
    assert not unknown or page != ROOT / "README.md"
    for name, line in zip(names, table, strict=True):
        assert ("–" in line.split(" | ")[1].split("; ")) == (name in unknown)


@pytest.mark.parametrize("suite", PAGES.values())
def test_recorded_figures_keep_their_bounds(suite):
    """On the machine that measured them, whose rate is recorded beside them."""
    record = read_record(ROOT / "data" / f"{suite}.json")
    for check in load_suite(suite).checks:
        entry = record.get(check.name)
        if entry is None:
            continue
        figures = entry["figures"]
        for pattern, bound in check.figures.items():
            low, high = bound.limits(scale(entry["rate_gflops"]))
            found = matching(pattern, figures)
            assert found, (check.name, pattern)
            for name, values in found.items():
                assert all(low <= value <= high for value in values), (check.name, name)


@pytest.mark.parametrize(
    "path", ["README.md", "data/README.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))]
)
def test_no_figure_is_stated_without_a_check(path):
    """A sentence with a measured figure names its check, as in (check `pipe`)."""
    text = (ROOT / path).read_text(encoding="utf-8")
    known = {check.name for suite in suite_names() for check in load_suite(suite).checks}
    for paragraph in paragraphs(text):
        if MEASURED.search(re.sub(r"`[^`\n]*`", "", paragraph)):
            named = re.findall(r"checks? `(\w+)`", paragraph)
            assert named, f"{path} states a figure without its check: {paragraph}"
            assert set(named) <= known
