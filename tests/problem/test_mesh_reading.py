"""Reading mesh files: groups of all Gmsh formats, and files that cannot be used."""

import struct

import meshio
import numpy as np
import pytest

from sciml.errors import MeshError
from sciml.problem.mesh import box_mesh, curve_mesh, read_mesh, to_meshio

# Two unit squares side by side, each of two triangles. Node 9 is used by nothing, numbers have gaps.
NODES = {1: (0, 0), 2: (1, 0), 3: (2, 0), 4: (0, 1), 5: (1, 1), 9: (9, 9), 20: (2, 1)}
NAMES = {(0, 9): "pin", (1, 1): "all", (1, 5): "the cut", (2, 1): "all"}
# (dimension, entity): groups, Gmsh's element type, elements
ENTITIES = {
    (0, 1): ([9], 15, [(1,)]),
    (1, 1): ([1, 6], 1, [(1, 4)]),
    (1, 2): ([1], 1, [(3, 20)]),
    (1, 3): ([5], 1, [(2, 5)]),
    (2, 1): ([1], 2, [(1, 2, 5), (1, 5, 4)]),
    (2, 2): ([1, 7], 2, [(2, 3, 20), (2, 20, 5)]),
}


def msh22(nodes=NODES, entities=ENTITIES):
    """Format 2.2 repeats elements for every group."""
    elements = [
        f"{kind} 2 {group} {entity} {' '.join(map(str, element))}"
        for (_, entity), (groups, kind, members) in entities.items()
        for group in groups
        for element in members
    ]
    lines = ["$MeshFormat", "2.2 0 8", "$EndMeshFormat", "$PhysicalNames", str(len(NAMES))]
    lines += [f'{dim} {tag} "{name}"' for (dim, tag), name in NAMES.items()]
    lines += ["$EndPhysicalNames", "$Nodes", str(len(nodes))]
    lines += [f"{tag} {x} {y} 0" for tag, (x, y) in nodes.items()]
    lines += ["$EndNodes", "$Elements", str(len(elements))]
    lines += [f"{number} {element}" for number, element in enumerate(elements, 1)]
    return ("\n".join([*lines, "$EndElements"]) + "\n").encode()


def msh41(binary, nodes=NODES, entities=ENTITIES):
    """Format 4.1 gives groups to geometrical entities."""

    def pack(*parts):
        """Pairs of a struct letter and a list of numbers, as text or bytes."""
        if binary:
            return b"".join(struct.pack(f"={len(values)}{letter}", *values) for letter, values in parts)
        return " ".join(str(value) for _, values in parts for value in values).encode() + b"\n"

    out = f"$MeshFormat\n4.1 {int(binary)} 8\n".encode()
    out += struct.pack("=i", 1) + b"\n" if binary else b""
    out += f"$EndMeshFormat\n$PhysicalNames\n{len(NAMES)}\n".encode()
    out += "".join(f'{dim} {tag} "{name}"\n' for (dim, tag), name in NAMES.items()).encode()
    out += b"$EndPhysicalNames\n$Entities\n"
    out += pack(("Q", [sum(dim == d for dim, _ in entities) for d in range(4)]))
    for (dim, entity), (groups, _, _) in entities.items():
        box = ("d", [0.0] * (6 if dim else 3))
        out += pack(("i", [entity]), box, ("Q", [len(groups)]), ("i", groups), *([("Q", [0])] if dim else []))
    out += b"\n$EndEntities\n$Nodes\n"
    out += pack(("Q", [1, len(nodes), min(nodes), max(nodes)])) + pack(("i", [2, 1, 0]), ("Q", [len(nodes)]))
    out += b"".join(pack(("Q", [tag])) for tag in nodes)
    out += b"".join(pack(("d", [float(x), float(y), 0.0])) for x, y in nodes.values())
    total = sum(len(members) for _, _, members in entities.values())
    out += b"\n$EndNodes\n$Elements\n" + pack(("Q", [len(entities), total, 1, total]))
    number = 0
    for (dim, entity), (_, kind, members) in entities.items():
        out += pack(("i", [dim, entity, kind]), ("Q", [len(members)]))
        for element in members:
            number += 1
            out += pack(("Q", [number, *element]))
    return out + b"\n$EndElements\n"


FORMATS = {"2.2": msh22, "4.1 text": lambda *a: msh41(False, *a), "4.1 binary": lambda *a: msh41(True, *a)}


@pytest.fixture
def read(tmp_path):
    def write_and_read(content, name="plate.msh", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_mesh(path, **options)

    return write_and_read


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS.keys())
def test_groups_are_read(read, write):
    """Overlapping, unnamed, interior groups, and one name for a region and a boundary part."""
    mesh = read(write(), dim=2)
    assert (mesh.cell_type, mesh.degree, mesh.points.shape, mesh.cells.shape) == (
        "triangle",
        1,
        (6, 2),
        (4, 3),
    )
    assert mesh.volume == pytest.approx(2)

    def ends(name):
        return {frozenset(map(tuple, mesh.points[row].tolist())) for row in mesh.facet_groups[name]}

    assert set(mesh.facet_groups) == {"all", "the cut", "6"}
    assert ends("6") == {frozenset({(0, 0), (0, 1)})}
    assert ends("all") == {frozenset({(0, 0), (0, 1)}), frozenset({(2, 0), (2, 1)})}
    assert ends("the cut") == {frozenset({(1, 0), (1, 1)})}
    assert len(mesh.boundary_facets_of("all")) == 2
    assert len(mesh.boundary_facets_of("the cut")) == 0
    assert set(mesh.region_groups) == {"all", "7"}
    assert (mesh.region_volume("all"), mesh.region_volume("7")) == pytest.approx((2, 1))
    assert mesh.points[mesh.cells[mesh.region_groups["7"]]][..., 0].min() == 1


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS.keys())
def test_groups_on_the_boundary_only(read, write):
    """Gmsh saves what is in physical groups: without one on the surface there are no triangles."""
    curves = {key: value for key, value in ENTITIES.items() if key[0] == 1}
    with pytest.raises(
        MeshError, match="no cells of dimension 2, only lines, .* give the surface a physical group too"
    ):
        read(write(NODES, curves))


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS.keys())
def test_nothing_is_printed(read, write, capfd):
    read(write())
    with pytest.raises(MeshError):
        read(write()[:300])
    assert capfd.readouterr() == ("", "")


def test_lines_may_end_in_the_windows_way(read):
    assert set(read(msh22().replace(b"\n", b"\r\n")).facet_groups) == {"all", "the cut", "6"}


def test_intervals(read):
    entities = {(0, 1): ([3], 15, [(1,)]), (1, 1): ([4], 1, [(1, 2), (2, 3)])}
    mesh = read(msh22({1: (0, 0), 2: (1, 0), 3: (3, 0)}, entities), dim=1)
    assert (mesh.cell_type, mesh.points.shape, mesh.volume) == ("interval", (3, 1), 3.0)
    assert mesh.facet_groups["3"].tolist() == [[0]]
    assert mesh.region_groups["4"].tolist() == [0, 1]


def with_cells(kind, *elements, nodes=NODES):
    return msh22(nodes, {(2, 1): ([1], kind, list(elements))})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "meshio cannot read this file"),
        ("not a mesh", "meshio cannot read this file"),
        (msh22()[:-60], "meshio cannot read this file"),
        (msh41(True)[:-90], "meshio cannot read this file"),
        (msh22(entities={}), "meshio cannot read this file|no cells"),
        (msh22(entities={(0, 1): ([9], 15, [(1,)])}), "The file has no cells"),
        (with_cells(2, (1, 2, 6)), "1 cells that refer to points that do not exist"),
        (with_cells(2, (1, 2, 5), (1, 2, 2)), r"1 cells of zero volume \(first: cell 1\)"),
        (with_cells(2, (1, 2, 5), nodes={**NODES, 5: (1, float("nan"))}), "coordinates that are not finite"),
        (with_cells(3, (1, 2, 4, 5)), "Jacobian changes sign"),
        (with_cells(16, (1, 2, 5, 4, 1, 1, 1, 1)), "Jacobian changes sign"),
        (with_cells(21, (1, 2, 5, 4, 1, 1, 1, 1, 1, 1)), "meshio's type triangle10, supported are line,"),
        (
            msh22(entities={(2, 1): ([1], 2, [(1, 2, 5), (1, 5, 4)]), (2, 2): ([1], 3, [(2, 3, 20, 5)])}),
            r"mixes cell types \(2 triangle and 1 quad\)",
        ),
        (
            msh22(entities=ENTITIES | {(1, 8): ([8], 1, [(1, 20), (1, 9), (1, 2)])}),
            "facet group '8' has 2 facets that are not a facet of any cell",
        ),
        (
            msh22(entities=ENTITIES | {(1, 8): ([8], 8, [(1, 20, 2)])}),
            "facet group '8' has cells of type line3, which are not facets of triangle cells of degree 1",
        ),
        (msh41(False).replace(b"0.0 2 1 6 0", b"0.0 2 1 x 0"), "meshio cannot read this file"),
        (msh22().replace(b"$EndPhysicalNames", b"2 3\n$EndPhysicalNames"), "physical groups cannot be read"),
        (msh22().replace(b"20 2 1 0\n", b"20 2 1 0.5\n"), "points extend by 0.5 beyond the first 2"),
    ],
)  # fmt: skip
def test_bad_files_are_refused(read, content, message):
    with pytest.raises(MeshError, match=message) as caught:
        read(content)
    assert "plate.msh: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_unknown_files(tmp_path, read):
    with pytest.raises(MeshError, match="there is no such file"):
        read_mesh(tmp_path / "nothing.msh")
    with pytest.raises(MeshError, match="meshio cannot read"):
        read("x", name="mesh.unknown")
    with pytest.raises(MeshError, match=r"plate.msh: The mesh has dimension 2, the problem 3"):
        read(msh22(), dim=3)


@pytest.mark.parametrize(
    ("shape", "dim", "degree"), [(s, d, p) for s in ("simplex", "tensor") for d in (1, 2, 3) for p in (1, 2)]
)
def test_vtu_round_trip(tmp_path, shape, dim, degree):
    mesh = curve_mesh(box_mesh((0,) * dim, (1,) * dim, 2, shape), lambda x: x + 0.1 * np.sin(x[:, ::-1]), degree)
    path = tmp_path / "mesh.vtu"
    to_meshio(mesh, {"u": mesh.points[:, 0]}, {"part": np.arange(len(mesh.cells))}).write(path)
    back = read_mesh(path)
    np.testing.assert_array_equal(back.points, mesh.points)
    np.testing.assert_array_equal(back.cells, mesh.cells)
    np.testing.assert_array_equal(meshio.read(path).point_data["u"], mesh.points[:, 0])


def test_named_cell_sets_of_other_formats(tmp_path):
    """An Abaqus file: element sets become regions."""
    path = tmp_path / "plate.inp"
    path.write_text(
        "*NODE\n1, 0., 0., 0.\n2, 1., 0., 0.\n3, 1., 1., 0.\n4, 0., 1., 0.\n"
        "*ELEMENT, TYPE=CPS3, ELSET=plate\n1, 1, 2, 3\n2, 1, 3, 4\n*ELSET, ELSET=upper\n2\n"
    )
    mesh = read_mesh(path)
    assert mesh.region_groups["upper"].tolist() == [1]


@pytest.fixture
def gmsh():
    module = pytest.importorskip("gmsh")
    module.initialize(interruptible=False)
    module.option.setNumber("General.Terminal", 0)
    yield module
    module.finalize()


def build(gmsh, kind, degree, size):
    """A disc, ball or quarter of a tube with a region "body" and its whole boundary "skin"; its volume."""
    shapes = gmsh.model.occ
    dim = 2 if kind in ("triangle", "quadrilateral") else 3
    if kind == "hexahedron":
        shapes.addRectangle(1, 0, 0, 1, 1)
        shapes.rotate([(2, 1)], 0, 0, 0, 1, 0, 0, np.pi / 2)
        shapes.revolve([(2, 1)], 0, 0, 0, 0, 0, 1, np.pi / 2, [round(1 / size)], recombine=True)
    elif kind == "tetrahedron":
        shapes.addSphere(0, 0, 0, 1)
    else:
        shapes.addDisk(0, 0, 0, 1, 1)
    shapes.synchronize()
    for group, of_dim in (("body", dim), ("skin", dim - 1)):
        tags = [tag for _, tag in gmsh.model.getBoundary(gmsh.model.getEntities(dim), oriented=False)]
        tags = tags if group == "skin" else [tag for _, tag in gmsh.model.getEntities(dim)]
        gmsh.model.addPhysicalGroup(of_dim, tags, name=group)
    if kind == "hexahedron":
        gmsh.model.mesh.setTransfiniteSurface(1)
    gmsh.option.setNumber("Mesh.RecombineAll", kind in ("quadrilateral", "hexahedron"))
    gmsh.option.setNumber("Mesh.SubdivisionAlgorithm", kind == "quadrilateral")
    gmsh.option.setNumber("Mesh.MeshSizeMax", size)
    gmsh.model.mesh.generate(dim)
    gmsh.model.mesh.setOrder(degree)
    return 3 * np.pi / 4 if kind == "hexahedron" else 4 * np.pi / 3 if dim == 3 else np.pi


@pytest.mark.parametrize("degree", [1, 2])
@pytest.mark.parametrize("kind", ["triangle", "quadrilateral", "tetrahedron", "hexahedron"])
def test_gmsh_files(gmsh, tmp_path, kind, degree):
    """All formats give the same mesh, and curved cells the volume and surface of the geometry."""
    volume = build(gmsh, kind, degree, 0.3)
    meshes = []
    for version, binary in ((2.2, 0), (2.2, 1), (4.1, 0), (4.1, 1)):
        gmsh.option.setNumber("Mesh.MshFileVersion", version)
        gmsh.option.setNumber("Mesh.Binary", binary)
        gmsh.write(str(tmp_path / "body.msh"))
        mesh = read_mesh(tmp_path / "body.msh")
        assert (mesh.cell_type, mesh.degree, set(mesh.facet_groups), set(mesh.region_groups)) == (
            kind,
            degree,
            {"skin"},
            {"body"},
        )
        assert mesh.region_volume("body") == mesh.volume
        np.testing.assert_array_equal(mesh.boundary_facets_of("skin"), np.arange(len(mesh.boundary_facets)))
        meshes.append(mesh)
    for other in meshes[1:]:
        assert len(other.points) == len(meshes[0].points)
        assert other.volume == pytest.approx(meshes[0].volume, rel=1e-12)
        assert other.facet_measures.sum() == pytest.approx(meshes[0].facet_measures.sum(), rel=1e-12)
    assert mesh.volume == pytest.approx(volume, rel=0.06 if degree == 1 else 5e-4)
    points, normals, weights = mesh.facet_quadrature(None, mesh.dim)
    assert (weights * (points * normals).sum(axis=1)).sum() == pytest.approx(mesh.dim * mesh.volume, rel=1e-12)
    assert mesh.refine().volume == pytest.approx(mesh.volume, rel=1e-12)


@pytest.mark.parametrize(("degree", "order"), [(1, 2), (2, 4)])
def test_area_of_gmsh_disc_converges(gmsh, tmp_path, degree, order):
    errors, sizes = [], []
    for size in (0.4, 0.1):
        gmsh.clear()
        build(gmsh, "triangle", degree, size)
        gmsh.write(str(tmp_path / "disc.msh"))
        mesh = read_mesh(tmp_path / "disc.msh")
        errors.append(np.pi - mesh.volume)
        sizes.append(1 / len(mesh.boundary_facets))
    slope = np.log(abs(errors[0] / errors[1])) / np.log(sizes[0] / sizes[1])
    assert slope == pytest.approx(order, abs=0.15)


def test_saving_all_elements(gmsh, tmp_path):
    """Elements in no group beside others that are in one: meshio fails on these, and the error says so."""
    build(gmsh, "triangle", 1, 0.5)
    gmsh.option.setNumber("Mesh.SaveAll", 1)
    gmsh.write(str(tmp_path / "all.msh"))
    with pytest.raises(MeshError, match="without elements outside physical groups"):
        read_mesh(tmp_path / "all.msh")
