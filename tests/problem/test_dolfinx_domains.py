"""A DOLFINx mesh with mesh tags as a domain."""

import numpy as np
import pytest
from ufl import grad

from sciml import Box, Dirichlet, DolfinxMesh, Neumann, coefficient, solve
from sciml.errors import DomainError, MeshError
from sciml.fem import require


@pytest.fixture
def tagged():
    """The unit square with tags 1 (left), 2 (right) on facets, 5 (x < ½) and 6 on cells."""
    require()
    from dolfinx import mesh
    from mpi4py import MPI

    def build(cell="triangle", n=4):
        square = mesh.create_unit_square(MPI.COMM_WORLD, n, n, mesh.CellType[cell])
        ends = [mesh.locate_entities_boundary(square, 1, lambda x, e=e: np.isclose(x[0], e)) for e in (0.0, 1.0)]
        order = np.argsort(np.concatenate(ends))
        facets = mesh.meshtags(square, 1, np.concatenate(ends)[order], np.repeat(np.int32([1, 2]), n)[order])
        count = square.topology.index_map(2).size_local
        middle = mesh.compute_midpoints(square, 2, np.arange(count, dtype=np.int32))
        cells = mesh.meshtags(
            square, 2, np.arange(count, dtype=np.int32), np.where(middle[:, 0] < 0.5, 5, 6).astype(np.int32)
        )
        return square, facets, cells

    return build


@pytest.mark.parametrize("cell", ["triangle", "quadrilateral"])
def test_tags_become_names(tagged, cell):
    mesh, facets, cells = tagged(cell)
    domain = DolfinxMesh(
        mesh, facet_tags=facets, cell_tags=cells, facet_names={"left": 1}, cell_names={"west": 5, "east": 6}
    )
    assert (domain.dim, domain.volume) == (2, pytest.approx(1.0))
    assert set(domain.boundary_names) == {"left", "2"}
    assert set(domain.region_groups) == {"west", "east"}
    assert domain.data.region_volume("west") == pytest.approx(0.5)
    points, normals = domain.part("left").sample(10, np.random.default_rng(0))
    np.testing.assert_allclose(points[:, 0], 0, atol=1e-14)
    np.testing.assert_allclose(normals, [[-1, 0]] * 10, atol=1e-14)
    assert domain.part("boundary").measure == pytest.approx(4)


def test_the_same_solution_as_on_a_box(tagged, poisson):
    """P2 on the same cells: u = 0 on the left, outflow 1 on the right, k jumps at ½."""
    mesh, facets, cells = tagged()
    domain = DolfinxMesh(mesh, facet_tags=facets, cell_tags=cells, facet_names={"left": 1, "right": 2})
    problem = poisson(
        domain=domain,
        load=0.0,
        coefficients={"k": coefficient({"5": 1.0, "6": 4.0})},
        flux=lambda u, p: p.k * grad(u),
        conditions=[Dirichlet(0.0, on="left"), Neumann(1.0, on="right")],
    )
    solution = solve(problem, degree=1, measure_error=False)
    x = np.linspace(0, 1, 11)
    wanted = np.where(x < 0.5, x, 0.5 + (x - 0.5) / 4)
    np.testing.assert_allclose(solution.evaluate(np.stack([x, 0.3 + 0 * x], axis=1)), wanted, atol=1e-12)


def test_names_without_tags_are_refused(tagged):
    mesh, facets, _ = tagged()
    with pytest.raises(DomainError, match="facet_names was given without facet_tags"):
        DolfinxMesh(mesh, facet_names={"left": 1}).dim  # noqa: B018
    with pytest.raises(DomainError, match=r"asks for the tag 7; the tags are \[1, 2\]"):
        DolfinxMesh(mesh, facet_tags=facets, facet_names={"left": 7}).dim  # noqa: B018


def test_what_is_no_mesh_is_refused(poisson):
    with pytest.raises(MeshError, match=r"DolfinxMesh was given 'square\.msh'; it takes a dolfinx\.mesh\.Mesh"):
        poisson(domain=DolfinxMesh("square.msh")).declaration  # noqa: B018


def test_two_copies_of_a_mesh_measure_alike(tagged):
    mesh, _, _ = tagged(n=3)
    wanted = Box((0, 0), (1, 1)).element_measures().sum()
    assert DolfinxMesh(mesh).element_measures().sum() == pytest.approx(wanted)
