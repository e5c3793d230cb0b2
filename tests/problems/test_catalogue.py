"""Every problem of the catalogue: what it says of itself is there, and it is true."""

from __future__ import annotations

import inspect
import re
from itertools import product

import pytest
import torch

from sciml import Problem, load_problem
from sciml.errors import UnsupportedError
from sciml.forms import number, pointwise
from sciml.registry import problem_classes
from sciml.testing import ProblemConformance

torch.set_num_threads(1)

CURVED = {"elasticity/plate_with_hole": 3e-5, "elasticity/pressurised_cylinder": 3e-5}
"""Quadratic cells follow a circle and its normals only approximately; the test of Kirsch's solution is exact."""
CATALOGUE = problem_classes()
PROMISED = {
    "poisson/sine",
    "poisson/peak",
    "poisson/two_peaks",
    "poisson/l_shape",
    "poisson/ten_dimensional",
    "poisson/mixed_conditions",
    "poisson/pure_neumann",
    "poisson/torus",
    "multiscale/sine",
    "multiscale/product",
    "multiscale/growing_wave",
    "multiscale/wave_on_parabola",
    "multiscale/three_scales",
    "multiscale/plane_waves",
    "multiscale/sum_of_products",
    "multiscale/periodic_cell",
    "allen_cahn/sine",
    "allen_cahn/product",
    "allen_cahn/three_scales",
    "allen_cahn/front",
    "diffusion/variable_coefficient",
    "diffusion/anisotropic",
    "diffusion/checkerboard",
    "diffusion/cooling_fin",
    "variational/quadratic",
    "variational/log_cosh",
    "variational/dirichlet_and_area",
    "advection/fast_transport",
    "advection/four_sides",
    "advection/inflow",
    "advection/quarter_turn",
    "advection/skew_layer",
    "advection_diffusion/boundary_layer",
    "advection_diffusion/corner_layers",
    "elasticity/l_shaped_panel",
    "elasticity/pressurised_cylinder",
    "elasticity/cell_with_void",
    "elasticity/periodic_voids",
    "wave/travelling",
    "elasticity/cantilever",
    "elasticity/hanging_bar",
    "advection_diffusion/two_peaks",
    "darcy/log_normal",
    "darcy/two_phase",
    "nonlinear/quadratic_diffusion",
    "nonlinear/cubic_reaction",
    "nonlinear/p_laplace",
    "nonlinear/minimal_surface",
    "nonlinear/catenoid",
    "nonlinear/ten_dimensional",
    "elasticity/cook",
    "elasticity/plate_with_hole",
    "hyperelasticity/block",
    "thermal/fibre_composite",
    "thermal/convective_plate",
    "poisson/obstacles",
    "hyperelasticity/void",
    "wave/membrane",
}
MESHED = {"poisson/obstacles"}
"""Problems whose members need gmsh."""


def variants(cls: type[Problem]) -> list[dict]:
    """The defaults, every combination of choices, and a drawn member."""
    choices = {k: p.choices for k, p in cls().declared_parameters.items() if p.choices is not None}
    found = [dict(zip(choices, values)) for values in product(*choices.values())]
    if cls().family.laws:
        member = cls().draw(1)
        found.append(member.parameters.plain() | {"member": member.member})
    return found


MEMBERS = [
    pytest.param((name, given), id=f"{name}-{number}")
    for name, cls in CATALOGUE.items()
    for number, given in enumerate(variants(cls))
]


# -- documentation -------------------------------------------------------------------------------------------


def test_promised_problems_are_there():
    assert set(CATALOGUE) >= PROMISED


@pytest.mark.parametrize("name", CATALOGUE)
def test_docstring(name):
    """A title, the equation, the parameters, and the three labelled notes."""
    text = inspect.getdoc(CATALOGUE[name]) or ""
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0].endswith(".")
    assert lines[1] == ""
    assert len(lines[0]) <= 90
    equation = text.split("::", 1)[1].split("\n\n")[1]
    assert "=" in equation
    assert all(line.startswith("    ") for line in equation.splitlines())
    for label in ("Good values:", "When it breaks:", "Source:"):
        assert sum(line.startswith(label) for line in lines) == 1, label
    assert any(line.startswith("Convexity:") for line in lines) >= (CATALOGUE[name].convexity is not None)
    documented = set()
    for line in lines:
        if re.match(r"[a-z_]+(, [a-z_]+)* : ", line):
            documented |= set(line.split(" : ")[0].split(", "))
    assert documented == set(CATALOGUE[name]().declared_parameters)


# -- conformance ---------------------------------------------------------------------------------------------


class TestCatalogue(ProblemConformance):
    """Every problem, with its defaults, every choice, and a drawn member."""

    @pytest.fixture(params=MEMBERS)
    def problem(self, request):
        name, given = request.param
        if name in MESHED:
            pytest.importorskip("gmsh", exc_type=ImportError)
        self.boundary_tolerance = CURVED.get(name, 1e-12)
        return load_problem(name, **given)

    def test_quantities(self, problem):
        assert problem.declaration.quantities or problem.dim > 3


def test_no_family():
    with pytest.raises(UnsupportedError, match="not a family"):
        load_problem("nonlinear/minimal_surface").draw(0)


def test_mean_of_pure_neumann():
    problem = load_problem("poisson/pure_neumann")
    points, weights = problem.domain.quadrature(4096)
    mean = weights @ pointwise(problem, problem.declaration.exact).at(points) / problem.domain.volume
    assert mean == pytest.approx(float(number(problem, problem.declaration.means[0].value)), abs=1e-12)
