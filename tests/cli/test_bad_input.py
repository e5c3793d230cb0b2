"""Bad input gets one clear sentence before any work starts."""

from __future__ import annotations

import numpy as np
import pytest
from terminal import msh_text, plate_text, write

HEAD = """
from ufl import *
from sciml import *

class Mine(Problem):
    \"\"\"Mine.\"\"\"
"""


def declaration(**parts: str) -> str:
    """A problem file: Poisson's equation on the unit square, or what `parts` make of it; "" leaves one out."""
    lines = {
        "domain": "domain = Box((0, 0), (1, 1))",
        "load": "load = 1.0",
        "flux": "flux = lambda self, u: grad(u)",
        "conditions": "conditions = [Dirichlet(0.0, on='boundary')]",
    } | parts
    return HEAD + "".join(f"    {line}\n" for line in lines.values() if line)


@pytest.fixture
def refusal(sciml, tmp_path, no_work):
    """The sentence that a problem file is refused with, by every solver and before anything is written."""

    def refuse(**parts: str) -> str:
        write(tmp_path, "mine.py", declaration(**parts))
        messages = {sciml(f"solve mine.py --solver {solver} --out here").message for solver in ("fenics", "deepxde")}
        messages.add(sciml("compare mine.py --solver deepxde --out here").message)
        assert not (tmp_path / "here").exists()
        (message,) = messages
        return message

    return refuse


# -- names and values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["show", "solve", "compare"])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("poisson/sin", ["'poisson/sin'", "did you mean 'poisson/sine'?"]),
        ("nothing_like_it", ["'nothing_like_it'"]),
        ("missing.py", ["missing.py"]),
        ("poisson/peak -p sharpnes=5", ["'sharpnes'", "did you mean 'sharpness'?"]),
        ("poisson/peak -p sharpness=-1", ["sharpness", "-1", "a number > 0"]),
        ("poisson/peak -p sharpness=nan", ["sharpness", "nan", "finite"]),
        ("poisson/peak -p sharpness=inf", ["sharpness", "inf", "finite"]),
        ("poisson/peak -p sharpness=big", ["sharpness", "'big'", "number"]),
        ("poisson/peak -p centre=1,2,3", ["centre", "2"]),
        ("poisson/peak -p sharpness", ["'sharpness'", "NAME=VALUE"]),
        ("poisson/sine -p dim=1.5", ["dim", "1.5", "one of 1, 2, 3"]),
        ("elasticity/cook -p state=plane_sress", ["state", "'plane_sress'", "plane_stress"]),
    ],
)
def test_unknown_names_and_impossible_values(sciml, no_work, command, line, words):
    message = sciml(f"{command} {line}").message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-s fenix", ["'fenix'", "did you mean 'fenics'?"]),
        ("-o degre=1", ["'degre'", "did you mean 'degree'?"]),
        ("-o degree=two", ["degree", "two", "1 to 4"]),
        ("-o degree=0", ["degree", "0", "1 to 4"]),
        ("-o cells=-3", ["cells", "-3"]),
        ("-o cells=2.5", ["cells", "2.5"]),
        ("-o cells", ["'cells'", "NAME=VALUE"]),
        ("-o accuracy=nan", ["accuracy", "nan"]),
        ("-s deepxde -o learning_rate=0", ["learning_rate", "0"]),
        ("-s deepxde -o network=transformer", ["network", "transformer", "fnn"]),
        ("-s deepxde --device toaster", ["toaster", "cpu"]),
        ("-o petsc_options={bad", ["petsc_options", "not valid JSON"]),
    ],
)
def test_options(sciml, no_work, line, words):
    message = sciml(f"solve poisson/sine {line}").message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("line", ["solve", "solve poisson/sine --sed 1", "solv poisson/sine", "solve a b", "resume"])
def test_wrong_usage_is_explained(sciml, line):
    outcome = sciml(line)
    assert outcome.code == 2
    assert "Usage" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class (", ["mine.py", "SyntaxError", "line 1"]),
        ("import nonexistent_package", ["mine.py", "nonexistent_package"]),
        ("1 / 0", ["mine.py", "division by zero"]),
        ("x = 1", ["mine.py", "declares no problem"]),
        (declaration() + declaration().replace("Mine", "Other"), ["mine.py", "Mine", "Other"]),
    ],
)
def test_files_that_hold_no_problem(sciml, tmp_path, text, words):
    write(tmp_path, "mine.py", text)
    message = sciml("show mine.py").message
    assert all(word in message for word in words), message


# -- declarations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"conditions": "conditions = [Dirichlet(0.0, on='lid')]"}, ["'lid'", "left", "x0-", "boundary"]),
        ({"conditions": "conditions = [Neumann(1.0, on='boundary')]"}, ["constant", "Mean"]),
        ({"conditions": ""}, ["constant", "Mean"]),
        ({"conditions": "conditions = [Dirichlet((0.0, 1.0), on='boundary')]"}, ["(2,)", "()"]),
        ({"flux": "flux = lambda self, u: u"}, ["flux", "(2,)"]),
        ({"flux": "energy = lambda self, u: grad(u)"}, ["energy", "scalar"]),
        ({"flux": ""}, ["flux", "energy", "weak"]),
        ({"load": "load = (1.0, 2.0)"}, ["load", "(2,)"]),
        ({"domain": "domain = Box((0, 0), (0, 1))"}, ["mine.py", "(0, 1)", "empty"]),
        ({"domain": "domain = Box((0, 0, 0), (1, 1))"}, ["mine.py", "(1, 1)", "same number"]),
        ({"flux": "flux = lambda self, u: self.kappa * grad(u)"}, ["kappa"]),
    ],
)
def test_declarations(refusal, parts, words):
    message = refusal(**parts)
    assert all(word in message for word in words), message


def test_elasticity_that_can_rotate(refusal):
    message = refusal(
        fields="fields = {'displacement': vector}",
        flux="flux = lambda self, u: sym(grad(u))",
        load="load = (0.0, 1.0)",
        conditions="conditions = [Dirichlet(0.0, on='left', component=0)]",
    )
    assert "leave translation of component 1 undetermined" in message


def test_contradictory_data_at_a_corner_is_a_warning(sciml, tmp_path):
    conditions = "conditions = [Dirichlet(0.0, on='left'), Dirichlet(1.0, on='bottom')]"
    write(tmp_path, "mine.py", declaration(conditions=conditions))
    outcome = sciml.succeeds("solve mine.py -o cells=4 --json")
    assert outcome.row["status"] == "converged"
    (line,) = {line for line in outcome.err.splitlines() if line.startswith("Warning: ")}
    assert "left" in line
    assert "bottom" in line


# -- meshes ---------------------------------------------------------------------------------------------------------

SQUARE = [(0, 0), (1, 0), (1, 1), (0, 1)]
BOTH = [(0, 1, 2), (0, 2, 3)]


def with_points(*points):
    return msh_text(points, [("plate", BOTH)], [("left", [(3, 0)])])


MESHES = {
    "no such file": (None, ["plate.msh", "no"]),
    "not a mesh": ("hello", ["plate.msh"]),
    "no cells": (msh_text(SQUARE, [], [("left", [(3, 0)])]), ["plate.msh", "cells"]),
    "zero area": (with_points((0, 0), (1, 0), (2, 0), (0, 1)), ["plate.msh", "zero"]),
    "not finite": (with_points((0, 0), (1, 0), (np.nan, 1), (0, 1)), ["plate.msh", "finite"]),
}


@pytest.mark.parametrize("name", list(MESHES))
def test_meshes(refusal, tmp_path, name):
    text, words = MESHES[name]
    if text is not None:
        write(tmp_path, "plate.msh", text)
    message = refusal(domain="domain = MeshFile('plate.msh')")
    assert all(word in message for word in words), message


def test_a_cell_that_folds(refusal, tmp_path):
    concave = [(0, 0), (1, 0), (0.2, 0.2), (0, 1)]
    text = msh_text(concave, [("plate", [(0, 1, 2, 3)])], [("left", [(3, 0)])], kind="quad")
    write(tmp_path, "plate.msh", text)
    assert "Jacobian changes sign" in refusal(domain="domain = MeshFile('plate.msh')")


def test_a_mesh_of_another_dimension(refusal, tmp_path):
    write(tmp_path, "plate.msh", plate_text())
    message = refusal(domain="domain = MeshFile('plate.msh', dim=3)")
    assert "3" in message
    assert "2" in message


@pytest.mark.parametrize("version", ["2.2", "4.1"])
def test_groups_that_the_mesh_lacks(refusal, tmp_path, version):
    write(tmp_path, "plate.msh", plate_text(version))
    mesh = "domain = MeshFile('plate.msh')"
    message = refusal(domain=mesh, conditions="conditions = [Dirichlet(0.0, on='hott')]")
    assert "'hott'" in message
    assert all(name in message for name in ("hot", "cold", "boundary"))
    message = refusal(
        domain=mesh,
        k="k = coefficient({'steel': 1.0, 'wod': 2.0})",
        conditions="conditions = [Dirichlet(0.0, on='hot')]",
        flux="flux = lambda self, u: self.k * grad(u)",
    )
    assert "'wod'" in message or "wood" in message
