"""Elasticity on Abaqus input files, as other programs lay them out: patch tests that are exact to rounding."""

import numpy as np
import pytest
from ufl import Identity, grad, sym, tr

from sciml import Dirichlet, MeshFile, Neumann, Problem, coefficient, ds, dx, solve, vector
from sciml.errors import ConditionError

TOLERANCE = 1e-10

# A bar (0, 2) × (0, 1) of two squares whose inner node is off the middle, so that no cell is a rectangle.
POINTS = [(0, 0), (1.2, 0), (2, 0), (0, 1), (0.9, 1), (2, 1)]
QUADS = [(1, 2, 5, 4), (2, 3, 6, 5)]
TRIANGLES = [(1, 2, 5), (1, 5, 4), (2, 3, 6), (2, 6, 5)]
PULL = 3.0


def numbered(rows, first=1):
    return "".join(f"{k}, {', '.join(map(str, row))}\n" for k, row in enumerate(rows, first))


def flat_quadrilaterals():
    """One level, upper case, sets with GENERATE, a surface by element number."""
    return (
        f"*HEADING\n BAR\n*NODE, NSET=NALL\n{numbered(POINTS)}*ELEMENT, TYPE=CPS4, ELSET=SOFT\n{numbered(QUADS[:1])}"
        f"*ELEMENT, TYPE=CPS4R, ELSET=HARD\n{numbered(QUADS[1:], 2)}"
        "*NSET, NSET=CLAMP\n1, 4\n*NSET, NSET=BASE, GENERATE\n1, 3, 1\n*NSET, NSET=TIP\n6\n"
        "*SURFACE, TYPE=ELEMENT, NAME=PULL\n2, S2\n"
    )


def assembled_triangles():
    """A part, an instance that is moved there and back, sets and an internal set of the assembly."""
    away = "".join(f"{k}, {x - 3.5}, {y}, 0.\n" for k, (x, y) in enumerate(POINTS, 1))
    return (
        f"*Heading\n** made by hand\n*Part, name=Bar\n*Node\n{away}*Element, type=CPE3\n{numbered(TRIANGLES)}"
        "*Elset, elset=soft, generate\n 1, 2, 1\n*Elset, elset=hard\n 3, 4,\n*End Part\n"
        "*Assembly, name=Assembly\n*Instance, name=Bar-1, part=Bar\n 3.5, 0., 0.\n*End Instance\n"
        "*Nset, nset=clamp, instance=Bar-1\n 1, 4\n*Nset, nset=base, instance=Bar-1\n 1, 2,\n 3\n"
        "*Nset, nset=tip, instance=Bar-1\n 6,\n"
        "*Elset, elset=_pull_S2, internal, instance=Bar-1\n 3,\n"
        "*Surface, type=ELEMENT, name=pull\n_pull_S2, S2\n*End Assembly\n"
    )


def quadratic_quadrilaterals():
    """Cells of eight nodes over two lines each, numbers with exponents as Fortran writes them, a node surface."""
    edges = [(1, 2), (2, 5), (5, 4), (4, 1), (2, 3), (3, 6), (6, 5)]
    middles = [np.mean([POINTS[a - 1], POINTS[b - 1]], axis=0).tolist() for a, b in edges]
    nodes = "".join(f"{k},{x}D0,{y}d+00\n" for k, (x, y) in enumerate([*POINTS, *middles], 1))
    return (
        f"*NODE\n{nodes}*ELEMENT, TYPE=CPS8R, ELSET=soft\n1, 1, 2, 5, 4,\n7, 8, 9, 10\n"
        "*ELEMENT, TYPE=CPS8R, ELSET=hard\n2, 2, 3, 6, 5, 11,\n12, 13, 8\n"
        "*NSET, NSET=clamp\n1, 4, 10\n*NSET, NSET=base\n1, 2, 3\n*NSET, NSET=tip\n6\n"
        "*NSET, NSET=ends\n3, 12, 6\n*SURFACE, TYPE=NODE, NAME=pull\nends, 1.\n"
    )


LAYOUTS = {"flat": flat_quadrilaterals, "assembly": assembled_triangles, "quadratic": quadratic_quadrilaterals}


def hooke(u, p):
    strain = sym(grad(u))
    return p.stiffness * (2 * strain + tr(strain) * Identity(len(u)))


def problem_on(path, conditions, stiffness, **more):
    return Problem(
        domain=MeshFile(path),
        fields={"d": vector},
        load=(0.0,) * MeshFile(path).dim,
        coefficients={"stiffness": coefficient(stiffness)},
        flux=hooke,
        conditions=conditions,
        **more,
    )


@pytest.fixture(params=LAYOUTS)
def bar(request, tmp_path):
    path = tmp_path / "bar.inp"
    path.write_text(LAYOUTS[request.param]())
    upper = str.upper if request.param == "flat" else str
    return path, upper


@pytest.mark.parametrize("degree", [1, 2])
def test_a_bar_that_is_pulled(bar, degree):
    """Uniaxial stress: ε₂ = −ε₁/3 and σ₁ = 8/3 ε₁ with λ = 1 and μ = 1; exact on any cells."""
    path, name = bar
    conditions = [
        Dirichlet(0.0, on=name("clamp"), component=0),
        Dirichlet(0.0, on=name("base"), component=1),
        Neumann((PULL, 0.0), on=name("pull")),
    ]
    values = {name("soft"): 1.0, name("hard"): 1.0}

    def quantities(u, p):
        stress = hooke(u, p)[0, 0]
        return {"force": stress * ds(name("pull")), "on the hard half": stress * dx(name("hard"))}

    problem = problem_on(path, conditions, values, quantities=quantities)
    solution = solve(problem, degree=degree, measure_error=False)
    points = np.array([(0.3, 0.2), (1.0, 0.7), (2.0, 1.0), (1.7, 0.0)])
    wanted = points * (PULL * 3 / 8, -PULL / 8)
    np.testing.assert_allclose(solution.evaluate(points), wanted, atol=TOLERANCE)
    # The hard half is 0.8 wide below and 1.1 above.
    assert solution.quantities() == pytest.approx({"force": PULL, "on the hard half": 0.95 * PULL}, abs=TOLERANCE)


def test_two_materials_in_parallel(tmp_path):
    """Element sets as materials: two layers of equal ν share a stretch, the loads are as their stiffnesses."""
    points = [(x, y) for y in (0, 0.5, 1) for x in (0, 1, 2)]
    quads = [(1, 2, 5, 4), (2, 3, 6, 5), (4, 5, 8, 7), (5, 6, 9, 8)]
    text = (
        f"*NODE\n{numbered(points)}*ELEMENT, TYPE=CPS4\n{numbered(quads)}*ELSET, ELSET=below\n1, 2\n*ELSET, ELSET=above\n3, 4\n"
        "*SURFACE, NAME=left\n1, S4\n3, S4\n"
        "*NSET, NSET=base\n1, 2, 3\n*SURFACE, NAME=right\n2, S2\n4, S2\n"
    )
    (tmp_path / "layers.inp").write_text(text)
    conditions = [
        Dirichlet(0.0, on="left", component=0),
        Dirichlet(0.0, on="base", component=1),
        Dirichlet(0.6, on="right", component=0),
    ]

    def quantities(u, p):
        stress = hooke(u, p)[0, 0]
        return {"force": stress * ds("right"), "above": stress * dx("above")}

    path, stiffness = tmp_path / "layers.inp", {"below": 1.0, "above": 5.0}
    problem = problem_on(path, conditions, stiffness, quantities=quantities)
    solution = solve(problem, degree=1, measure_error=False)
    np.testing.assert_allclose(solution.evaluate([[2.0, 1.0]]), [[0.6, -0.1]], atol=TOLERANCE)
    # What is written for ParaView is a mesh again, with the same regions.
    written = MeshFile(solution.write_vtu(tmp_path / "layers.vtu")).data
    areas = {region: written.region_volume(region) for region in written.region_groups}
    assert areas == pytest.approx({"below": 1.0, "above": 1.0})
    stress = 0.3 * 8 / 3
    assert solution.quantities() == pytest.approx({"force": stress * 3, "above": stress * 5}, abs=TOLERANCE)


def test_a_cube_under_pressure(tmp_path):
    """Two hexahedra with slanted middle face under pressure on a surface: a linear displacement."""
    flat = [(0, 0), (1, 0), (1, 1), (0, 1)]
    heights = [(0, 0, 0, 0), (0.4, 0.6, 0.5, 0.7), (1, 1, 1, 1)]
    points = [(*flat[k], heights[level][k]) for level in range(3) for k in range(4)]
    text = (
        f"*NODE\n{numbered(points)}*ELEMENT, TYPE=C3D8R, ELSET=body\n1, {', '.join(map(str, range(1, 9)))}\n"
        f"2, {', '.join(map(str, range(5, 13)))}\n*NSET, NSET=x0\n1, 4, 5, 8, 9, 12\n*NSET, NSET=y0\n1, 2, 5, 6, 9, 10\n"
        "*NSET, NSET=z0, GENERATE\n1, 4\n*SURFACE, NAME=lid\n2, S2\n"
    )
    (tmp_path / "cube.inp").write_text(text)
    conditions = [Dirichlet(0.0, on=f"{axis}0", component=k) for k, axis in enumerate("xyz")]
    conditions.append(Neumann((0.0, 0.0, -1.0), on="lid"))
    problem = problem_on(tmp_path / "cube.inp", conditions, {"body": 2.0})
    solution = solve(problem, degree=1, measure_error=False)
    # With λ = μ = 2: E = 5, ν = 1/4.
    points = np.array([(1.0, 1.0, 1.0), (0.3, 0.6, 0.4)])
    np.testing.assert_allclose(solution.evaluate(points), points * (0.05, 0.05, -0.2), atol=TOLERANCE)


def test_a_condition_on_single_nodes_is_refused_before_any_work(bar):
    path, name = bar
    problem = problem_on(path, [Dirichlet(0.0, on=name("tip"))], {name("soft"): 1.0, name("hard"): 1.0})
    with pytest.raises(ConditionError, match=f"'{name('tip')}' names single nodes, no facet of the boundary"):
        solve(problem)
