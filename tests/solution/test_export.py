"""VTU and XDMF files as meshio and pyvista read them."""

import re

import meshio
import numpy as np
import pytest
from ufl import as_matrix, as_vector, dot, exp, sin

from sciml import Box, Dirichlet, solve, vector
from sciml.errors import UnsupportedError
from sciml.solution import ExactField
from sciml.solution.export import export_mesh

pyvista = pytest.importorskip("pyvista")

CELLS = [(1, "simplex"), (2, "simplex"), (2, "tensor"), (3, "simplex"), (3, "tensor")]


def exact(x):
    return as_vector([sin(x[0]) * x[-1 % len(x)], *[x[k] + 2 * x[0] for k in range(1, len(x))]])


def read(path):
    """Points and the unknown as meshio and pyvista see them."""
    seen = pyvista.read(path)
    out = [(np.asarray(seen.points), np.asarray(seen["d"]))]
    if path.suffix == ".vtu":
        mesh = meshio.read(path)
        return [*out, (mesh.points, mesh.point_data["d"])]
    with meshio.xdmf.TimeSeriesReader(path) as series:
        points, _ = series.read_points_cells()
        return [*out, (points, series.read_data(0)[1]["d"])]


def written(solution, path):
    return (solution.write_vtu if path.suffix == ".vtu" else solution.write_xdmf)(path)


@pytest.fixture
def solved(poisson, bent_box):
    def build(dim, shape, degree, geometry=1):
        domain = bent_box(dim, shape, geometry)
        problem = poisson(domain=domain, fields={"d": vector}, exact=exact)
        return solve(problem, degree=degree, measure_error=False)

    return build


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("geometry", [1, 2])
@pytest.mark.parametrize(("dim", "shape"), CELLS)
def test_vtu(solved, tmp_path, dim, shape, degree, geometry):
    """Equal fields at all nodes, in both readers, with vectors padded to three components."""
    solution = solved(dim, shape, degree, geometry)
    for points, values in read(written(solution, tmp_path / "solution.vtu")):
        assert points.shape == values.shape == (len(points), 3)
        np.testing.assert_allclose(values[:, :dim], solution.evaluate(points[:, :dim]), rtol=0, atol=1e-12)
        assert not values[:, dim:].any()
        assert not points[:, dim:].any()


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize(("dim", "shape"), CELLS)
def test_xdmf(solved, tmp_path, dim, shape, degree):
    solution = solved(dim, shape, degree)
    for points, values in read(written(solution, tmp_path / "solution.xdmf")):
        np.testing.assert_allclose(values[:, :dim], solution.evaluate(points[:, :dim]), rtol=0, atol=1e-12)
        assert values.shape[1] == 3


@pytest.mark.parametrize(("dim", "shape"), CELLS)
def test_xdmf_in_pyvista(solved, tmp_path, dim, shape):
    for degree in (1, 2):
        solution = solved(dim, shape, degree)
        seen = pyvista.read(written(solution, tmp_path / "solution.xdmf"))
        points = np.asarray(seen.points)[:, :dim]
        np.testing.assert_allclose(np.asarray(seen["d"])[:, :dim], solution.evaluate(points), atol=1e-12)
        assert seen.n_cells == 2**dim * {1: 1, 2: 2, 3: 6}[dim] if shape == "simplex" else 2**dim


@pytest.mark.parametrize("suffix", [".vtu", ".xdmf"])
@pytest.mark.parametrize(("dim", "shape"), CELLS)
def test_values_between_the_nodes(poisson, tmp_path, dim, shape, suffix):
    """pyvista interpolates as the elements do: an affine field on straight cells, probed at random points."""
    matrix = np.arange(1.0, dim * dim + 1).reshape(dim, dim)
    problem = poisson(dim, fields={"d": vector}, exact=lambda x: dot(as_matrix(matrix.tolist()), x))
    solution = solve(problem, degree=1, cells=3, cell_type=shape, measure_error=False)
    seen = pyvista.read(written(solution, tmp_path / f"solution{suffix}"))
    points = 0.05 + 0.9 * np.random.default_rng(0).random((40, dim))
    probed = pyvista.PolyData(np.pad(points, ((0, 0), (0, 3 - dim)))).sample(seen)
    assert np.asarray(probed["vtkValidPointMask"]).all()
    np.testing.assert_allclose(np.asarray(probed["d"])[:, :dim], points @ matrix.T, atol=1e-12)


@pytest.mark.parametrize(("dim", "shape"), CELLS)
@pytest.mark.parametrize("geometry", [1, 2])
def test_cells_have_their_volume(solved, tmp_path, dim, shape, geometry):
    solution = solved(dim, shape, 1, geometry)
    seen = pyvista.read(written(solution, tmp_path / "solution.vtu"))
    sizes = np.asarray(seen.compute_cell_sizes()[("Length", "Area", "Volume")[dim - 1]])
    assert sizes.min() > 0
    assert sizes.sum() == pytest.approx(solution.problem.domain.volume, rel=1e-3)


def test_exact_solution_and_error_are_written_beside(solved, tmp_path):
    solution = solved(2, "simplex", 2)
    seen = pyvista.read(written(solution, tmp_path / "solution.vtu"))
    values, truth, error = (np.asarray(seen[name]) for name in ("d", "d_exact", "d_error"))
    np.testing.assert_allclose(values - truth, error, atol=1e-14)
    wanted = ExactField(solution.problem).evaluate(np.asarray(seen.points)[:, :2])
    np.testing.assert_allclose(truth[:, :2], wanted, rtol=1e-14)
    assert 0 < np.abs(error).max() < 0.05


def test_regions(poisson, tmp_path, two_materials):
    problem = poisson(domain=two_materials(), load=1.0, conditions=[Dirichlet(0.0, on="x0-")])
    path = solve(problem, measure_error=False).write_vtu(tmp_path / "solution.vtu")
    seen, mesh = pyvista.read(path), meshio.read(path)
    centres = np.asarray(seen.cell_centers().points)
    for name, inside in {"steel": centres[:, 0] < 1, "wood": centres[:, 0] > 1}.items():
        np.testing.assert_array_equal(np.asarray(seen[f"region {name}"]), inside)
        np.testing.assert_array_equal(mesh.cell_data[f"region {name}"][0], inside)


def test_scalars_stay_scalars(poisson, tmp_path):
    path = solve(poisson(), cells=2, measure_error=False).write_vtu(tmp_path / "solution.vtu")
    assert meshio.read(path).point_data["u"].ndim == 1


def test_arrays_of_an_xdmf_lie_beside_it(poisson, tmp_path):
    solution = solve(poisson(), cells=2, measure_error=False)
    solution.write_xdmf(tmp_path / "result.xdmf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["result.xdmf", "result_arrays.h5"]
    text = (tmp_path / "result.xdmf").read_text()
    assert set(re.findall(r"(\S+):/", text.replace(">", " "))) == {"result_arrays.h5"}


def test_the_mesh_that_is_written(poisson):
    cells = {
        degree: export_mesh(solve(poisson(), degree=degree, cells=2, measure_error=False).field) for degree in (1, 2, 4)
    }
    assert {degree: mesh.degree for degree, mesh in cells.items()} == {1: 1, 2: 2, 4: 2}
    box = export_mesh(ExactField(poisson(exact=lambda x: x[0])))
    assert box.bounds[1].tolist() == [1, 1]
    with pytest.raises(UnsupportedError, match="10 dimensions cannot be written"):
        export_mesh(ExactField(poisson(10, domain=Box((0,) * 10, (1,) * 10), exact=lambda x: exp(x[0]))))
