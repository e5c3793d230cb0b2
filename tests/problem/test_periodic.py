"""Periodic conditions: pairs of parts, their translation, and what is refused."""

import numpy as np
import pytest
from ufl import Identity, cos, grad, pi, sin, sym, tr

from sciml import Box, Dirichlet, Mean, MeshData, MeshDomain, Neumann, Periodic, vector
from sciml.errors import ConditionError, ScimlError
from sciml.forms import ContradictionWarning, analyse, check_problem
from sciml.problem import box_mesh

BODY = {"fields": {"d": vector}, "flux": lambda u: sym(grad(u)) + tr(grad(u)) * Identity(2), "load": (0.0, 0.0)}


def periodic(poisson, *conditions, **changes):
    parts = {"domain": Box((0, -1), (1, 2)), "load": lambda x: cos(2 * pi * x[0]), "conditions": list(conditions)}
    return poisson(**(parts | changes))


def refuse(problem, message):
    with pytest.raises(ScimlError, match=message) as caught:
        check_problem(problem)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dim", [1, 2, 3, 10])
def test_all_sides_of_a_box(poisson, dim):
    problem = poisson(dim, domain=Box((0.0,) * dim, (3.0,) * dim), conditions=[Periodic("boundary")])
    np.testing.assert_array_equal([c.translation for c in problem.periodic], 3 * np.eye(dim))
    (piece, *others) = problem.boundary_pieces[:1] if dim == 1 else problem.boundary_pieces
    assert len(others) == dim - 1
    assert isinstance(piece.conditions[0], Periodic)


def test_what_it_says_of_itself(poisson):
    problem = periodic(poisson, Periodic("left", "right"), Periodic("top", "bottom"), Mean(0.0))
    assert list(map(str, problem.periodic)) == [
        "Periodic from left to right by (1, 0)",
        "Periodic from top to bottom by (0, -3)",
    ]
    assert str(Periodic("a", ["b", "c"], component=1)) == "Periodic from a to b, c, component 1"


def test_parts_of_several_names():
    box = box_mesh((0, 0), (1, 1), 4)
    left = box.facet_groups["x0-"]
    low = box.points[left].mean(axis=1)[:, 1] < 0.5
    groups = dict(box.facet_groups) | {"low": left[low], "high": left[~low]}
    domain = MeshDomain(MeshData(box.points, box.cells, box.cell_type, 1, groups))
    step = domain.translation(domain.elements(["low", "high"]), domain.elements("x0+"))
    np.testing.assert_array_equal(step, [1, 0])


# -- what is held --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "changes", "modes"),
    [
        ([Periodic("boundary")], {}, {"the constant"}),
        ([Periodic("left", "right")], {}, {"the constant"}),
        ([Periodic("left", "right"), Dirichlet(0.0, on="top")], {}, set()),
        ([Periodic("boundary")], {"reaction": lambda u: u}, set()),
        ([Periodic("boundary")], BODY, {"translation of component 0", "translation of component 1"}),
        ([Periodic("left", "right")], BODY, {"translation of component 0", "translation of component 1"}),
        ([Periodic("left", "right"), Dirichlet(0.0, on="top", component=1)], BODY, {"translation of component 0"}),
    ],
)
def test_periodicity_holds_rotations_and_leaves_constants(poisson, conditions, changes, modes):
    assert set(analyse(periodic(poisson, *conditions, **changes)).free_modes) == modes


def test_periodicity_of_one_component_may_leave_the_rotation(poisson):
    """u = (−y, x) takes the same x-component on the left and on the right."""
    modes = analyse(periodic(poisson, Periodic("left", "right", component=0), **BODY)).free_modes
    assert "rotation in the x0-x1 plane" in modes


def test_a_mean_value_fixes_the_constants(poisson):
    assert check_problem(periodic(poisson, Periodic("boundary"), Mean(0.0))).pure_neumann
    for value in (0.0, (1.0, 2.0)):
        assert check_problem(periodic(poisson, Periodic("boundary"), Mean(value), **BODY)).pure_neumann
    refuse(periodic(poisson, Periodic("boundary")), r"Only fluxes and periodicity are prescribed.*add Mean\(0\.0\)")
    refuse(
        periodic(poisson, Periodic("boundary"), **BODY), r"translation of component 0.*add Mean\(0\.0\) or Dirichlet"
    )
    half = [Periodic("left", "right"), Dirichlet(0.0, on="top", component=1)]
    refuse(periodic(poisson, *half, **BODY), "leave translation of component 0 undetermined; add Mean")
    refuse(periodic(poisson, *half, Mean(0.0), **BODY), "determined without it in part .* by component=")
    assert check_problem(periodic(poisson, *half, Mean(0.5, component=0), **BODY)).free_constants == (0,)
    refuse(periodic(poisson, Periodic("left", "right"), Dirichlet(0.0, on="top"), Mean(0.0)), "remove Mean")


def test_a_load_must_balance_where_nothing_leaves(poisson):
    refuse(periodic(poisson, Periodic("boundary"), Mean(0.0), load=1.0), "of a periodic problem must balance.*is 3, so")
    load = {"load": lambda x: (cos(2 * pi * x[0]), 1.0)}
    refuse(periodic(poisson, Periodic("boundary"), Mean(0.0), **(BODY | load)), "must balance; their sum is 3")
    check_problem(
        periodic(poisson, Periodic("left", "right"), Neumann(0.5, on="top"), Neumann(-0.5, on="bottom"), Mean(0))
    )


# -- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ([Periodic("left", "left")], "from left to left: the two parts share boundary elements"),
        ([Periodic("left", "x0-")], "the two parts share boundary elements; give two different parts"),
        (
            [Periodic("left", "top")],
            "no translates of each other; opposite sides of this box are x0- and x0\\+, x1- and",
        ),
        ([Periodic(["left", "top"], "right")], "no translates of each other"),
        ([Periodic("left", "rigth")], "no boundary named 'rigth'"),
        (
            [Periodic("left", "right"), Dirichlet(0.0, on="right")],
            "Two conditions hold on the same 1 .*Periodic from left",
        ),
        ([Periodic("boundary"), Neumann(0.0, on="top")], "Two conditions hold on the same"),
        ([Periodic("left", "right"), Periodic("x0+", "left")], "Two conditions hold on the same"),
        ([Periodic("left", "right", component=0)], "the unknown has no components"),
    ],
)
def test_pairs_that_do_not_fit(poisson, conditions, message):
    refuse(periodic(poisson, *conditions, Mean(0.0)), message)


@pytest.mark.parametrize("given", [("left",), (["left"],), ([],), (3, "left"), ("left", [])])
def test_a_pair_needs_two_names(given):
    with pytest.raises(ConditionError, match="Periodic|takes the name"):
        Periodic(*given)


def moved(mesh, where, by):
    points = mesh.points.copy()
    points[np.linalg.norm(points - where, axis=1) < 1e-9] += by
    return MeshDomain(MeshData(points, mesh.cells, mesh.cell_type, 1, mesh.facet_groups))


def test_all_sides_are_for_boxes(poisson):
    domain = MeshDomain(box_mesh((0, 0), (1, 1), 2))
    refuse(
        periodic(poisson, Periodic("boundary"), domain=domain),
        r"pairs the sides of a box, and the domain is MeshDo.*name two",
    )


def test_sides_of_a_mesh_that_are_no_translates(poisson):
    domain = MeshDomain(box_mesh((0, 0), (2, 1), 4))
    refuse(periodic(poisson, Periodic("x0-", "x1-"), domain=domain), r"extend over \(0, 1\) and \(2, 0\)")
    assert domain.translation(domain.elements("x0-"), domain.elements("x0+")).tolist() == [2, 0]


def test_nodes_without_a_partner_are_named(poisson):
    """One of the inner nodes of the right side sits a tenth too high."""
    domain = moved(box_mesh((0, 0), (1, 1), 4), (1, 0.5), (0, 0.1))
    refuse(
        periodic(poisson, Periodic("x0-", "x0+"), domain=domain),
        r"2 nodes have no partner on the other part under the translation by \(1, 0\), the first at "
        r"\(0, 0\.5\), \(1, 0\.6\); mesh both parts alike",
    )


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_the_tolerance_goes_with_the_mesh(poisson, scale):
    box = box_mesh((0, 0), (scale, scale), 4)
    near = moved(box, (scale, 0.5 * scale), (0, 1e-6 * scale)) if scale == 1 else MeshDomain(box)
    check_problem(periodic(poisson, Periodic("x0-", "x0+"), Mean(0.0), domain=near, load=0.0))


def test_faces_divided_along_the_other_diagonal():
    """The corners of the two squares match, their triangles do not."""
    points = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=float)
    # Five tetrahedra: diagonals of opposite faces cross.
    cells = [[0, 1, 2, 4], [3, 1, 2, 7], [5, 1, 4, 7], [6, 2, 4, 7], [1, 2, 4, 7]]
    sides = {"low": [[0, 2, 4], [2, 4, 6]], "high": [[1, 3, 7], [1, 5, 7]]}
    domain = MeshDomain(MeshData(points, cells, "tetrahedron", 1, sides))
    with pytest.raises(ScimlError, match="2 facets have no partner on the other part although their corners have"):
        domain.translation(domain.elements("low"), domain.elements("high"))


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("shape", ["simplex", "tensor"])
def test_boxes_and_their_refinements_match(dim, shape):
    data = box_mesh((0,) * dim, (1,) * dim, 2, shape)
    for _ in range(2):
        domain = MeshDomain(data)
        for axis in range(dim):
            parts = [domain.elements(f"x{axis}{sign}") for sign in "-+"]
            np.testing.assert_allclose(domain.translation(*parts), np.eye(dim)[axis], atol=1e-15)
        data = data.refine()


# -- data that contradict each other -------------------------------------------------------------------------


def test_values_that_are_not_periodic_warn(poisson):
    for condition in (Dirichlet(lambda x: x[0], on="top"), Dirichlet(lambda x: sin(3 * x[0]), on=["top", "bottom"])):
        with pytest.warns(ContradictionWarning, match="Dirichlet on top.* and Periodic from left.*value on left holds"):
            check_problem(periodic(poisson, Periodic("left", "right"), condition))
    check_problem(periodic(poisson, Periodic("left", "right"), Dirichlet(lambda x: sin(2 * pi * x[0]), on="top")))


def test_two_conditions_that_meet_across():
    box = box_mesh((0, 0), (1, 1), 4)
    top = box.facet_groups["x1+"]
    first = box.points[top].mean(axis=1)[:, 0] < 0.5
    groups = dict(box.facet_groups) | {"a": top[first], "b": top[~first]}
    domain = MeshDomain(MeshData(box.points, box.cells, box.cell_type, 1, groups))
    from sciml import Problem

    def declare(a, b):
        conditions = [Periodic("x0-", "x0+"), Dirichlet(a, on="a"), Dirichlet(b, on="b")]
        return Problem(domain=domain, flux=lambda u: grad(u), load=0.0, conditions=conditions)

    check_problem(declare(lambda x: x[0], lambda x: 1 - x[0]))
    with pytest.warns(ContradictionWarning, match="Dirichlet on a and Periodic"):
        check_problem(declare(lambda x: x[0], 0.5))
