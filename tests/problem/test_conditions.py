"""Conditions on named parts: aliases, unknown names, pieces of the boundary, overlaps, shapes."""

import numpy as np
import pytest
from ufl import as_vector, grad

from sciml import Box, Dirichlet, Mean, MeshData, MeshDomain, Neumann, Robin, vector
from sciml.errors import ConditionError, DeclarationError
from sciml.forms import condition_value
from sciml.problem import box_mesh

SIDES = {"left": (0, 0), "right": (0, 1), "bottom": (1, 0), "top": (1, 1), "front": (2, 0), "back": (2, 1)}


def pieces(problem):
    """Boundary elements → names of the conditions of each component."""
    return {
        tuple(int(e) for e in piece.part.elements): tuple("-" if c is None else str(c) for c in piece.conditions)
        for piece in problem.boundary_pieces
    }


@pytest.mark.parametrize("dim", [1, 2, 3, 10])
def test_sides_of_a_box_and_their_aliases(dim):
    box = Box((0.0,) * dim, (1.0,) * dim)
    assert box.boundary_names == tuple(f"x{axis}{sign}" for axis in range(dim) for sign in "-+")
    for alias, (axis, upper) in SIDES.items():
        if axis < dim:
            name = f"x{axis}{'-+'[upper]}"
            assert box.elements(alias).tolist() == box.elements(name).tolist() == [2 * axis + upper]
            points, normals = box.part(alias).sample(3, np.random.default_rng(0))
            np.testing.assert_array_equal(points[:, axis], upper)
            np.testing.assert_array_equal(normals, np.tile((2 * upper - 1) * np.eye(dim)[axis], (3, 1)))
    assert box.elements("boundary").tolist() == list(range(2 * dim))
    assert box.elements(["top", "x0-", "left"] if dim > 1 else ["x0-", "left"]).tolist() == ([0, 3] if dim > 1 else [0])


@pytest.mark.parametrize(("dim", "name"), [(1, "top"), (2, "front"), (2, "x2-"), (3, "x0"), (4, "Left"), (2, "")])
def test_an_unknown_name_lists_those_that_exist(poisson, dim, name):
    with pytest.raises(ConditionError, match=f"no boundary named {name!r}; this domain has: boundary, x0-, x0\\+") as e:
        poisson(dim, conditions=[Dirichlet(0.0, on=name)]).declaration  # noqa: B018
    assert all(known in str(e.value) for known in poisson(dim).domain.boundary_names)


def test_names_of_a_mesh(two_materials, poisson):
    domain = two_materials()
    assert domain.boundary_names == ("x0+", "x0-", "x1+", "x1-")
    assert len(domain.elements("boundary")) == domain.n_boundary_elements == 12
    with pytest.raises(ConditionError, match="no boundary named 'left'; this domain has: boundary, x0"):
        poisson(domain=domain, conditions=[Dirichlet(0.0, on="left")]).declaration  # noqa: B018


def test_a_group_named_boundary_is_all_of_it_or_refused(poisson):
    mesh = box_mesh((0, 0), (1, 1), 2)

    def domain(rows):
        groups = {**mesh.facet_groups, "boundary": rows}
        return MeshDomain(MeshData(mesh.points, mesh.cells, mesh.cell_type, 1, groups))

    every = domain(mesh.boundary_facets.vertices)
    assert "boundary" not in every.boundary_names
    assert len(every.elements("boundary")) == 8
    side = domain(mesh.facet_groups["x0-"])
    assert len(side.elements("x0-")) == 2
    with pytest.raises(ConditionError, match="group named 'boundary' with 2 of the 8 boundary facets.*another name"):
        poisson(domain=side).declaration  # noqa: B018


@pytest.mark.parametrize(
    "on",
    [
        None,
        [],
        [3],
        ["left", None],
        3,
    ],
)
def test_a_condition_needs_names(on):
    with pytest.raises(ConditionError, match="name"):
        Dirichlet(0.0, on=on)


def test_the_boundary_is_cut_into_pieces(poisson):
    problem = poisson(conditions=[Dirichlet(0.0, on=["left", "bottom"]), Robin(1.0, alpha=2.0, on="top")])
    assert pieces(problem) == {
        (0, 2): ("Dirichlet on left, bottom",),
        (1,): ("-",),
        (3,): ("Robin on top",),
    }


def test_components_have_their_own_conditions(poisson):
    problem = poisson(
        fields={"displacement": vector},
        load=0.0,
        conditions=[
            Dirichlet(0.0, on=["left", "top"], component=0),
            Neumann(1.0, on="left", component=1),
            Dirichlet((1.0, 2.0), on="right"),
        ],
    )
    assert pieces(problem) == {
        (0,): ("Dirichlet on left, top, component 0", "Neumann on left, component 1"),
        (1,): ("Dirichlet on right", "Dirichlet on right"),
        (2,): ("-", "-"),
        (3,): ("Dirichlet on left, top, component 0", "-"),
    }


def test_pieces_are_disjoint_and_cover_the_boundary(two_materials, poisson):
    domain = two_materials(4)
    problem = poisson(domain=domain, conditions=[Dirichlet(0.0, on="x0-"), Neumann(1.0, on=["x0+", "x1-"])])
    elements = np.concatenate([piece.part.elements for piece in problem.boundary_pieces])
    assert sorted(elements) == list(range(domain.n_boundary_elements))
    assert sum(piece.part.measure for piece in problem.boundary_pieces) == pytest.approx(6)
    measures = {str(piece.conditions[0]): piece.part.measure for piece in problem.boundary_pieces}
    assert measures == pytest.approx({"Dirichlet on x0-": 1, "Neumann on x0+, x1-": 3, "None": 2})


@pytest.mark.parametrize(
    "conditions",
    [
        [Dirichlet(0.0, on="left"), Neumann(1.0, on="x0-")],
        [Dirichlet(0.0, on="boundary"), Dirichlet(1.0, on="top")],
        [Robin(0.0, alpha=1.0, on="left"), Neumann(1.0, on=["bottom", "left"])],
    ],
)
def test_two_conditions_on_one_part_are_refused(poisson, conditions):
    with pytest.raises(ConditionError, match="Two conditions hold on the same 1 boundary element"):
        poisson(conditions=conditions).boundary_pieces  # noqa: B018


def test_overlapping_components_are_refused(poisson):
    conditions = [Dirichlet(0.0, on="left"), Neumann(1.0, on="left", component=1)]
    with pytest.raises(ConditionError, match="Dirichlet on left; Neumann on left, component 1"):
        poisson(fields={"d": vector}, load=0.0, conditions=conditions).boundary_pieces  # noqa: B018


@pytest.mark.parametrize(
    ("kind", "condition", "message"),
    [
        (
            {},
            Dirichlet((1.0, 2.0), on="left"),
            r"Dirichlet on left: the value has shape \(2,\), needed is \(\)",
        ),
        ({"fields": {"d": vector}}, Dirichlet(1.0, on="left"), r"the value has shape \(\), needed is \(2,\)"),
        ({"fields": {"d": vector}}, Neumann((1.0,), on="left", component=0), r"shape \(1,\), needed is \(\)"),
        ({}, Dirichlet(0.0, on="left", component=0), "the unknown has no components"),
        ({"fields": {"d": vector}}, Dirichlet(0.0, on="left", component=2), "the unknown has 2 components"),
        ({"fields": {"d": vector}}, Dirichlet(0.0, on="left", component=-1), "the unknown has 2 components"),
        ({}, Dirichlet(float("inf"), on="left"), "value inf is not finite"),
        ({}, Neumann("hot", on="left"), "'hot' is neither a number nor a UFL expression"),
        ({}, Robin(0.0, alpha=(1.0, 1.0), on="left"), r"Robin on left: the value has shape \(2,\)"),
        ({}, Dirichlet(lambda x: as_vector([x[0], x[1]]), on="left"), r"shape \(2,\), needed is \(\)"),
        ({}, Dirichlet(lambda x: x[5], on="left"), "failed"),
    ],
)
def test_data_that_do_not_fit_are_refused(poisson, kind, condition, message):
    with pytest.raises(DeclarationError, match=message):
        poisson(conditions=[condition], **({"load": 0.0} | kind)).declaration  # noqa: B018


def test_a_robin_condition_needs_its_coefficient():
    with pytest.raises(ConditionError, match="needs `alpha=`"):
        Robin(1.0, on="left")


def test_two_mean_values_are_refused(poisson):
    with pytest.raises(ConditionError, match="Two mean values"):
        poisson(conditions=[Mean(0.0), Mean(1.0)]).declaration  # noqa: B018


@pytest.mark.parametrize("conditions", ["left", [3], [[Dirichlet(0.0, on="left")]]])
def test_conditions_are_a_list_of_conditions(poisson, conditions):
    with pytest.raises(ConditionError, match="a list of conditions"):
        poisson(conditions=conditions).declaration  # noqa: B018


def test_data_may_be_functions_of_place_and_normal(poisson):
    """Inflow n · (1, 2) + x y, given as an expression of the declaration and as a callable."""
    points, normals = Box((0, 0), (1, 1)).part("boundary").sample(20, np.random.default_rng(0))
    wanted = normals @ [1, 2] + points.prod(axis=1)
    for conditions in (
        lambda x, n: [Neumann(n[0] + 2 * n[1] + x[0] * x[1], on="boundary")],
        [Neumann(lambda x, n: n[0] + 2 * n[1] + x[0] * x[1], on="boundary")],
    ):
        problem = poisson(conditions=conditions)
        value = condition_value(problem, problem.declaration.conditions[0], 0)
        np.testing.assert_allclose(value.at(points, normals), wanted, rtol=1e-14)


def test_missing_data_come_from_the_exact_solution(poisson):
    """u = x² y, flux 3 ∇u: values u, 3 ∂u/∂n, and u + 3 ∂u/∂n / alpha."""
    kinds = [Dirichlet(on="left"), Neumann(on="right"), Robin(alpha=2.0, on=["bottom", "top"])]
    problem = poisson(exact=lambda x: x[0] ** 2 * x[1], flux=lambda u: 3 * grad(u), conditions=kinds)
    generator = np.random.default_rng(0)
    for condition in problem.declaration.conditions:
        points, normals = problem.domain.part(condition.on).sample(10, generator)
        x, y = points.T
        u, slope = x**2 * y, 3 * (normals[:, 0] * 2 * x * y + normals[:, 1] * x**2)
        wanted = {"Dirichlet": u, "Neumann": slope, "Robin": u + slope / 2}[condition.kind]
        np.testing.assert_allclose(condition_value(problem, condition, 0).at(points, normals), wanted, atol=1e-14)
