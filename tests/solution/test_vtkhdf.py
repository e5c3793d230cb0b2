"""VTKHDF files: their layout as VTK's file formats state it, and as pyvista reads them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from ufl import as_vector, cos, exp, grad, sin

from sciml import Box, Dirichlet, Problem, solve, vector
from sciml.errors import UnsupportedError
from sciml.solution import ExactField, Solution
from sciml.solution.evolution import NetworkEvolution
from sciml.solution.vtkhdf import write_vtkhdf

CELLS = [(1, "simplex"), (2, "simplex"), (2, "tensor"), (3, "simplex"), (3, "tensor")]
NODES = {3: 2, 21: 3, 5: 3, 22: 6, 9: 4, 28: 9, 10: 4, 24: 10, 12: 8, 29: 27}


def exact(x):
    return as_vector([sin(x[0]) * x[-1 % len(x)], *[x[k] + 2 * x[0] for k in range(1, len(x))]])


@pytest.fixture
def still(poisson, bent_box):
    def build(dim, shape, degree, geometry=2):
        problem = poisson(domain=bent_box(dim, shape, geometry), fields={"d": vector}, exact=exact)
        return solve(problem, degree=degree, measure_error=False)

    return build


@pytest.fixture
def moving() -> Solution:
    problem = Problem(
        domain=Box((0, 0), (1, 1)),
        time=(0.5, 1.5),
        damping=1.0,
        flux=lambda u: grad(u),
        exact=lambda x, t: cos(2 * t) * sin(x[0]) + x[1],
        conditions=[Dirichlet(on="boundary")],
    )
    return solve(problem, cells=3, steps=8, measure_error=False)


def steps_of(path):
    """(time, grid) of every step, by VTK's own reader."""
    pyvista = pytest.importorskip("pyvista")
    reader = pyvista.get_reader(path).reader
    reader.UpdateInformation()
    for number in range(reader.GetNumberOfSteps()):
        reader.SetStep(number)
        reader.Update()
        yield reader.GetTimeValue(), pyvista.wrap(reader.GetOutputDataObject(0)).copy()


def check_layout(root: h5py.Group) -> int:
    """Every dataset that the format asks for, of the right kind and length; the number of instants."""
    assert root.attrs["Type"] == b"UnstructuredGrid"
    assert h5py.h5a.open(root.id, b"Type").get_type().is_variable_str() == 0
    assert root.attrs["Version"].tolist() == [2, 0]
    n_points, n_cells, n_ids = (
        int(root[f"NumberOf{what}"][:].sum()) for what in ("Points", "Cells", "ConnectivityIds")
    )
    assert root["Points"].shape == (n_points, 3)
    assert root["Connectivity"].shape == (n_ids,)
    assert root["Types"].dtype == np.uint8
    assert np.array_equal(np.diff(root["Offsets"]), [NODES[kind] for kind in root["Types"]])
    assert root["Offsets"].shape == (n_cells + 1,)
    assert (root["Offsets"][0], root["Offsets"][-1]) == (0, n_ids)
    assert np.array_equal(np.unique(root["Connectivity"]), np.arange(n_points))
    steps = root.get("Steps")
    n = 1 if steps is None else int(steps.attrs["NSteps"])
    assert {len(values) for values in root["PointData"].values()} == {n * n_points}
    assert {len(values) for values in root["CellData"].values()} <= {n_cells}
    if steps is not None:
        assert all(len(steps[name]) == n for name in ("Values", "PartOffsets", "NumberOfParts", "PointOffsets"))
        assert all(steps[name].shape == (n, 1) for name in ("CellOffsets", "ConnectivityIdOffsets"))
        assert set(steps["PointDataOffsets"]) == set(root["PointData"])
        assert set(steps.get("CellDataOffsets", ())) == set(root["CellData"])
    return n


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize(("dim", "shape"), CELLS)
def test_a_field(still, tmp_path, dim, shape, degree):
    """Points, values and cells as in the VTU file, which other tests compare with the elements."""
    pyvista = pytest.importorskip("pyvista")
    solution = still(dim, shape, degree)
    path = solution.write_vtkhdf(tmp_path / "s.vtkhdf")
    with h5py.File(path) as file:
        assert check_layout(file["VTKHDF"]) == 1
    seen, known = pyvista.read(path), pyvista.read(solution.write_vtu(tmp_path / "s.vtu"))
    assert np.array_equal(seen.points, known.points)
    assert np.array_equal(seen.celltypes, known.celltypes)
    assert np.array_equal(seen.cell_connectivity, known.cell_connectivity)
    assert set(seen.point_data) == set(known.point_data) == {"d", "d_exact", "d_error"}
    for name in known.point_data:
        assert np.array_equal(seen[name], known[name])
    sizes = np.asarray(seen.compute_cell_sizes()[("Length", "Area", "Volume")[dim - 1]])
    assert sizes.sum() == pytest.approx(solution.problem.domain.volume, rel=1e-3)


def test_regions(poisson, tmp_path, two_materials):
    problem = poisson(domain=two_materials(), load=1.0, conditions=[Dirichlet(0.0, on="x0-")])
    path = solve(problem, measure_error=False).write_vtkhdf(tmp_path / "s.vtkhdf")
    with h5py.File(path) as file:
        check_layout(file["VTKHDF"])
    seen = pytest.importorskip("pyvista").read(path)
    centres = np.asarray(seen.cell_centers().points)
    np.testing.assert_array_equal(np.asarray(seen["region steel"]), centres[:, 0] < 1)


def test_a_series(moving, tmp_path):
    """One file with one mesh; every instant is the field at it."""
    path = moving.write_vtkhdf(tmp_path / "s.vtkhdf")
    assert [p.name for p in tmp_path.iterdir()] == ["s.vtkhdf"]
    with h5py.File(path) as file:
        root = file["VTKHDF"]
        n = check_layout(root)
        assert n == len(moving.times) > 2
        assert np.array_equal(root["Steps/Values"], moving.times)
        points = root["Points"][:, :2]
        by_step = root["PointData/u"][:].reshape(n, -1)
        np.testing.assert_array_equal(root["Steps/PointDataOffsets/u"], len(points) * np.arange(n))
    for instant, values in zip(moving.times, by_step):
        np.testing.assert_allclose(values, moving.evaluate(points, instant), atol=1e-12)


def test_a_series_in_vtk(moving, tmp_path):
    found = list(steps_of(moving.write_vtkhdf(tmp_path / "s.vtkhdf")))
    assert [instant for instant, _ in found] == moving.times.tolist()
    for instant, seen in found:
        points = np.asarray(seen.points)[:, :2]
        assert seen.n_cells == 18
        np.testing.assert_allclose(seen["u"], moving.evaluate(points, instant), atol=1e-12)
        wanted = np.cos(2 * instant) * np.sin(points[:, 0]) + points[:, 1]
        np.testing.assert_allclose(seen["u_exact"], wanted, rtol=1e-12)


def test_materials_in_time(two_materials, tmp_path):
    """Regions do not change: every instant refers to the same flags."""
    problem = Problem(
        domain=two_materials(), time=1.0, damping=1.0, initial=0.0, flux=lambda u: grad(u), load=1.0,
        conditions=[Dirichlet(0.0, on="x0-")],
    )  # fmt: skip
    path = solve(problem, steps=4, measure_error=False).write_vtkhdf(tmp_path / "s.vtkhdf")
    with h5py.File(path) as file:
        assert check_layout(file["VTKHDF"]) == 5
    for _, seen in steps_of(path):
        left = np.asarray(seen.cell_centers().points)[:, 0] < 1
        np.testing.assert_array_equal(np.asarray(seen["region steel"]), left)


def test_a_network_is_written_on_a_mesh_of_the_box(moving, tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(3, 1, dtype=torch.float64), torch.nn.Tanh())
    evolution = NetworkEvolution(moving.problem, network)
    with h5py.File(write_vtkhdf(evolution, tmp_path / "s.vtkhdf")) as file:
        root = file["VTKHDF"]
        n = check_layout(root)
        assert n == len(evolution.times)
        values, points = root["PointData/u"][:].reshape(n, -1), root["Points"][:, :2]
    np.testing.assert_allclose(values[3], evolution.at(evolution.times[3]).evaluate(points), atol=1e-12)


def test_ten_dimensions_are_refused(poisson, tmp_path):
    field = ExactField(poisson(10, domain=Box((0,) * 10, (1,) * 10), exact=lambda x: exp(x[0])))
    with pytest.raises(UnsupportedError, match="10 dimensions cannot be written"):
        write_vtkhdf(field, tmp_path / "s.vtkhdf")
    assert not list(tmp_path.iterdir())
