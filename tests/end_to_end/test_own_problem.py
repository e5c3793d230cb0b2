"""A user's own file of 20 lines, on their own Gmsh mesh with named groups, from declaration to ParaView."""

from __future__ import annotations

import meshio
import numpy as np
import pytest
from terminal import WALL, bracket_text, plate_text, write

import sciml as package

BRACKET = '''"""An L-shaped bracket."""

from ufl import Identity, grad, sym, tr

from sciml import Dirichlet, MeshFile, Neumann, Problem, parameter, vector


class Bracket(Problem):
    """A steel bracket, clamped at the wall and pulled down."""

    domain = MeshFile("bracket.msh")
    fields = {"displacement": vector}
    young = parameter(210e3, above=0, unit="MPa", doc="Young's modulus")
    load = (0.0, 0.0)

    def flux(self, u):
        strain, nu = sym(grad(u)), 0.3
        return self.young / (1 + nu) * (strain + nu / (1 - nu) * tr(strain) * Identity(2))

    def conditions(self):
        return [Dirichlet(0.0, on="wall"), Neumann((0.0, -10.0), on="load")]
'''


def wall_temperature(x, conductivity=2.0, wind=3.0):
    """−k u'' = 1 on (0, 2), u(0) = 5, −k u'(2) = wind u(2); nothing depends on the second coordinate."""
    slope = (2 - wind * (5 - 2 / conductivity)) / (conductivity + 2 * wind)
    return 5 + slope * x[:, 0] - x[:, 0] ** 2 / (2 * conductivity)


def opened(path, name):
    """Points and values of one field, by meshio and by pyvista."""
    pyvista = pytest.importorskip("pyvista")
    by_meshio = meshio.read(path)
    by_pyvista = pyvista.read(path)
    assert by_pyvista.n_cells == sum(len(block.data) for block in by_meshio.cells)
    assert np.array_equal(by_pyvista.points, by_meshio.points)
    assert np.array_equal(by_pyvista.point_data[name], by_meshio.point_data[name])
    return by_meshio.points, by_meshio.point_data[name]


@pytest.mark.parametrize("version", ["2.2", "4.1"])
def test_a_wall_by_both_solvers(sciml, tmp_path, version):
    write(tmp_path, "wall.msh", plate_text(version))
    write(tmp_path, "wall.py", WALL)
    assert len([line for line in WALL.splitlines() if line.strip()]) <= 20
    network = "-s deepxde -o adam=300 -o lbfgs=300 -o width=16 -o points=300"
    for out, options, tolerance in (("fe", "-s fenics", 1e-10), ("nn", network, 2e-3)):
        row = sciml.succeeds(f"solve wall.py {options} --out {out} --json").row
        points, values = opened(tmp_path / out / "solution.vtu", "u")
        expected = wall_temperature(points)
        assert np.abs(values - expected).max() < tolerance * np.abs(expected).max()
        loaded = package.load_solution(tmp_path / out / "solution.h5")
        assert np.allclose(loaded.evaluate(points[:, :2]), values, rtol=1e-12, atol=1e-12)
        exact_loss = 3 * wall_temperature(np.array([[2.0, 0.0]]))[0]
        assert row["quantities"]["loss"] == pytest.approx(exact_loss, rel=max(1e-9, 5 * tolerance))


def test_a_wall_in_a_comparison(sciml, tmp_path):
    write(tmp_path, "wall.msh", plate_text())
    write(tmp_path, "wall.py", WALL)
    line = "compare wall.py -p wind=1 -s deepxde -o adam=200 -o lbfgs=200 -o width=16 -o points=300 --json"
    truth, network = sciml.succeeds(line).rows
    assert truth["relative_l2"] < 1e-9, "the solution lies in the space"
    assert network["parameters"] == {"conductivity": 2.0, "wind": 1.0}
    assert network["relative_l2"] < 1e-2


def test_a_bracket_by_both_solvers(sciml, tmp_path):
    """A re-entrant corner: a short training has some tens of percent, and the comparison says so."""
    write(tmp_path, "bracket.msh", bracket_text())
    write(tmp_path, "bracket.py", BRACKET)
    line = "compare bracket.py -s deepxde -o adam=100 -o lbfgs=100 -o width=16 -o points=200 --out both --json"
    truth, network = sciml.succeeds(line).rows
    assert 0 < truth["truth_error"] < 0.02
    assert 0 < network["relative_l2"] < 1.5
    for number, solver in enumerate(("fenics", "deepxde")):
        points, values = opened(tmp_path / "both" / f"solution_{number}_{solver}.vtu", "displacement")
        solution = package.load_solution(tmp_path / "both" / f"solution_{number}_{solver}.h5")
        assert np.allclose(solution.evaluate(points[:, :2]), values[:, :2], rtol=1e-9, atol=1e-15)
        assert not values[:, 2].any()
    top = solution.problem.domain.upper
    fenics = package.load_solution(tmp_path / "both" / "solution_0_fenics.h5")
    assert np.abs(fenics.evaluate([[top[0] / 4, top[1]]])).max() < 1e-12


def test_a_second_run_meets_compiled_forms(sciml, tmp_path):
    write(tmp_path, "wall.msh", plate_text())
    write(tmp_path, "wall.py", WALL)
    sciml.succeeds("solve wall.py")
    row = sciml.succeeds("solve wall.py -p conductivity=7.5 -p wind=0.25 --json").row
    assert row["details"]["compile_seconds"] == 0
