"""Groups in VTU, XDMF and other files that meshio reads, and meshes that are written with their groups."""

import meshio
import numpy as np
import pytest

from sciml.errors import MeshError
from sciml.problem import MeshDomain, MeshFile, read_mesh
from sciml.problem.mesh import MeshData, box_mesh, curve_mesh, write_mesh

POINTS = np.array([(0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 1, 0), (1, 1, 0), (2, 1, 0)], float)
TRIANGLES = np.array([(0, 1, 4), (0, 4, 3), (1, 2, 5), (1, 5, 4)])
LINES = np.array([(0, 1), (1, 2), (0, 3), (1, 4)])
FORMATS = {"vtu": {}, "xdmf": {"data_format": "XML"}, "xdmf with HDF5": {"data_format": "HDF"}}


def write(path, point_data=None, cells=True, **cell_data):
    """Two squares in triangles with four lines, as another program would write them."""
    blocks = [("triangle", TRIANGLES), ("line", LINES)] if cells is True else cells
    mesh = meshio.Mesh(POINTS, blocks, point_data=point_data, cell_data=cell_data)
    mesh.write(path, **FORMATS["xdmf"] if path.suffix == ".xdmf" else {})
    return read_mesh(path)


def facets(mesh, name):
    return {frozenset(map(tuple, mesh.points[row].tolist())) for row in mesh.facet_groups[name]}


def same(first, second):
    """Same points, cells and groups, facets in any order."""
    np.testing.assert_array_equal(first.points, second.points)
    np.testing.assert_array_equal(first.cells, second.cells)
    assert set(first.facet_groups) == set(second.facet_groups)
    assert all(facets(first, name) == facets(second, name) for name in first.facet_groups)
    assert {name: index.tolist() for name, index in first.region_groups.items()} == {
        name: index.tolist() for name, index in second.region_groups.items()
    }


@pytest.mark.parametrize("options", FORMATS.values(), ids=FORMATS.keys())
def test_whole_numbers_on_cells_and_facets(tmp_path, options):
    """One array over both: its values name regions on triangles and boundary parts on lines."""
    path = tmp_path / f"plate.{'xdmf' if options else 'vtu'}"
    tags = [np.array([1, 1, 2, 2]), np.array([7, 7, 8, 2], np.int32)]
    density = [np.ones(4), np.ones(4)]
    blocks = [("triangle", TRIANGLES), ("line", LINES)]
    meshio.Mesh(POINTS, blocks, cell_data={"tag": tags, "density": density}).write(path, **options)
    mesh = MeshFile(path).data
    assert {name: mesh.region_volume(name) for name in mesh.region_groups} == {"tag_1": 1.0, "tag_2": 1.0}
    assert set(mesh.facet_groups) == {"tag_7", "tag_8", "tag_2"}
    assert facets(mesh, "tag_7") == {frozenset({(0, 0), (1, 0)}), frozenset({(1, 0), (2, 0)})}
    assert len(mesh.boundary_facets_of("tag_2")) == 0
    assert MeshDomain(mesh).boundary_names == ("tag_7", "tag_8")


@pytest.mark.parametrize("suffix", [".vtu", ".xdmf"])
def test_whole_numbers_on_points(tmp_path, suffix):
    """A facet belongs to a value if all its corners have it."""
    data = {"side": np.array([1, 1, 1, 2, 0, 2]), "boundary left": np.array([3, 0, 0, 1, 0, 0]), "u": np.arange(6.0)}
    mesh = write(tmp_path / f"plate{suffix}", data, [("triangle", TRIANGLES)])
    assert set(mesh.facet_groups) == {"side_0", "side_1", "side_2", "left"}
    assert facets(mesh, "side_1") == {frozenset({(0, 0), (1, 0)}), frozenset({(1, 0), (2, 0)})}
    assert facets(mesh, "left") == {frozenset({(0, 0), (0, 1)})}
    with pytest.raises(ValueError, match="'side_2' names single nodes, no facet of the boundary"):
        MeshDomain(mesh).elements("side_2")


def test_flags_belong_to_cells_or_facets(tmp_path):
    flags = {
        "region core": [np.array([0, 1, 1, 0]), np.array([1, 0, 0, 0])],
        "boundary wet": [np.array([1, 0, 0, 0]), np.array([0, 5, 0, 0])],
    }
    mesh = write(tmp_path / "plate.vtu", **flags)
    assert {name: index.tolist() for name, index in mesh.region_groups.items()} == {"core": [1, 2]}
    assert facets(mesh, "wet") == {frozenset({(1, 0), (2, 0)})}
    assert set(mesh.facet_groups) == {"wet"}


def test_numberings_and_vectors_give_no_groups(tmp_path):
    box = box_mesh((0, 0), (1, 1), 12)
    blocks = [("triangle", box.cells)]
    data = {"id": [np.arange(288)], "pair": [np.ones((288, 2), int)], "column": [np.ones((288, 1), int)]}
    meshio.Mesh(np.pad(box.points, ((0, 0), (0, 1))), blocks, cell_data=data).write(tmp_path / "box.vtu")
    assert set(read_mesh(tmp_path / "box.vtu").region_groups) == {"column_1"}


def test_named_sets(monkeypatch, tmp_path):
    """Sets of cells, facets and points by name; what the file gives as facets precedes points."""
    sets = {"core": [[0, 2], []], "wall": [[], [2]], "mixed": [[1], [0]]}
    raw = meshio.Mesh(
        POINTS,
        [("triangle", TRIANGLES), ("line", LINES)],
        cell_sets=sets,
        point_sets={"wall": [0, 1, 2], "floor": [0, 1, 2], "truth": []},
        point_data={"top": np.array([0, 0, 0, 1, 1, 1], bool)},
    )
    monkeypatch.setattr(meshio, "read", lambda path, file_format=None: raw)
    (tmp_path / "plate.xyz").touch()
    mesh = read_mesh(tmp_path / "plate.xyz")
    assert {name: index.tolist() for name, index in mesh.region_groups.items()} == {"core": [0, 2], "mixed": [1]}
    assert facets(mesh, "wall") == {frozenset({(0, 0), (0, 1)})}
    assert facets(mesh, "mixed") == {frozenset({(0, 0), (1, 0)})}
    assert facets(mesh, "floor") == {frozenset({(0, 0), (1, 0)}), frozenset({(1, 0), (2, 0)})}
    assert facets(mesh, "top") == {frozenset({(0, 1), (1, 1)}), frozenset({(1, 1), (2, 1)})}


@pytest.mark.parametrize(
    ("shape", "dim", "degree"), [(s, d, p) for s in ("simplex", "tensor") for d in (1, 2, 3) for p in (1, 2)]
)
def test_a_mesh_with_groups_round_trips(tmp_path, shape, dim, degree):
    box = box_mesh((0,) * dim, (1,) * dim, 2, shape)
    interior = box.interior_facets[0].vertices[:1]
    box = MeshData(
        box.points,
        box.cells,
        box.cell_type,
        1,
        {**box.facet_groups, "all sides": np.vstack(list(box.facet_groups.values())), "cut": interior, "none": []},
        {"lower half": np.arange(len(box.cells) // 2), "all": np.arange(len(box.cells)), "x0-": [1]},
    )
    mesh = curve_mesh(box, lambda x: x + 0.1 * np.sin(x[:, ::-1]), degree)
    same(MeshFile(MeshDomain(mesh).write(tmp_path / "mesh.vtu")).data, mesh)
    if degree == 2:
        written = {block.type: block.data for block in meshio.read(tmp_path / "mesh.vtu").cells}
        middles = {"line3": [(0, 1)], "triangle6": [(0, 1), (1, 2), (2, 0)], "quad9": [(0, 1), (1, 2), (2, 3), (3, 0)]}
        kind = list(written)[-1]
        nodes = mesh.points[written[kind]]
        for k, ends in enumerate(middles.get(kind, []), -len(middles.get(kind, [])) - (kind == "quad9")):
            # The sheared edges are bent by less than a tenth, so a wrong node would be far away.
            assert np.abs(nodes[:, k] - nodes[:, list(ends)].mean(axis=1)).max() < 0.02


def test_a_mesh_without_groups_round_trips(tmp_path):
    mesh = MeshData(POINTS[:, :2], TRIANGLES, "triangle")
    same(read_mesh(write_mesh(mesh, tmp_path / "mesh.vtu")), mesh)


def test_bad_groups_and_paths_are_not_written(tmp_path):
    mesh = MeshData(POINTS[:, :2], TRIANGLES, "triangle", facet_groups={"a": [(0, 5)]})
    with pytest.raises(MeshError, match="facets that belong to no cell"):
        write_mesh(mesh, tmp_path / "mesh.vtu")
    with pytest.raises(MeshError, match=r"'mesh\.stl'; give a path that ends in \.vtu"):
        write_mesh(mesh, "mesh.stl")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([("triangle", TRIANGLES[:2]), ("quad", [(1, 2, 5, 4)])], r"mixes cell types \(2 triangle and 1 quad\)"),
        ([("line", LINES[:2]), ("wedge", [range(6)])], "cells of meshio's type wedge, supported are"),
        ([("vertex", [[0], [1]])], "The file has no cells"),
        ([("triangle", [(0, 1, 9)])], "refer to points that do not exist"),
    ],
)
def test_bad_cells_are_refused(tmp_path, cells, message):
    with pytest.raises(MeshError, match=f"plate.vtu: .*{message}"):
        write(tmp_path / "plate.vtu", cells=cells)


@pytest.mark.parametrize("name", ["plate.vtu", "plate.xdmf"])
@pytest.mark.parametrize("text", ["", "not a mesh", "<VTKFile/>", "<Xdmf Version='3.0'/>"])
def test_unreadable_files_are_refused(tmp_path, name, text, capfd):
    (tmp_path / name).write_text(text)
    with pytest.raises(MeshError, match=f"{name}: meshio cannot read this file .*; save it again") as caught:
        read_mesh(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
