"""Abaqus input files as several programs write them."""

import numpy as np
import pytest

from sciml.errors import MeshError, ScimlWarning
from sciml.problem import MeshFile, read_mesh
from sciml.problem.mesh.abaqus.elements import shape_of

# Two unit squares side by side.
NODES = """*NODE
1, 0., 0.
2, 1., 0.
3, 2., 0.
4, 0., 1.
5, 1., 1.
6, 2., 1.
"""
FLAT = f"""*HEADING
 two squares, 100% by hand
** a comment, *NODE
{NODES}*ELEMENT, TYPE=CPS4R, ELSET=Left half
10, 1, 2, 5, 4
*Element, type = CPS4 , elset="Right, half"
20, 2, 3,
6, 5
*NSET, NSET=bottom, GENERATE
1, 3, 1
*NSET, NSET=west
1, 4
*NSET, NSET=frame
bottom, west,
6
*NSET, NSET=tip
3,
*ELSET, ELSET=all, GENERATE
 10, 20, 10
*SURFACE, NAME=east, TYPE=ELEMENT
20, S2
*SURFACE, NAME=roof
all, S3
*Surface, type=NODE, name=Floor
bottom,
*MATERIAL, NAME=steel
*ELASTIC
 210000., 0.3
*STEP
*STATIC
*END STEP
"""


@pytest.fixture
def read(tmp_path):
    def write_and_read(text, dim=None):
        path = tmp_path / "part.inp"
        path.write_bytes(text.encode("latin-1"))
        return read_mesh(path, dim)

    return write_and_read


def facets(mesh, name):
    """The facets of a group as sets of the coordinates of their corners."""
    return {frozenset(map(tuple, mesh.points[row].round(12).tolist())) for row in mesh.facet_groups[name]}


def lines(*pairs):
    return {frozenset(((float(a), float(b)), (float(c), float(d)))) for a, b, c, d in pairs}


def test_a_flat_file(read):
    mesh = read(FLAT, dim=2)
    assert (mesh.cell_type, mesh.degree, mesh.volume) == ("quadrilateral", 1, 2.0)
    assert {name: mesh.region_volume(name) for name in mesh.region_groups} == {
        "Left half": 1.0,
        "Right, half": 1.0,
        "all": 2.0,
    }
    assert set(mesh.facet_groups) == {"bottom", "west", "frame", "tip", "east", "roof", "Floor"}
    bottom, west = lines((0, 0, 1, 0), (1, 0, 2, 0)), lines((0, 0, 0, 1))
    assert facets(mesh, "bottom") == facets(mesh, "Floor") == bottom
    assert facets(mesh, "west") == west
    assert facets(mesh, "frame") == bottom | west | lines((2, 0, 2, 1))
    assert facets(mesh, "east") == lines((2, 0, 2, 1))
    # S3 of the two elements: opposite to the first two nodes.
    assert facets(mesh, "roof") == lines((1, 1, 0, 1), (2, 1, 1, 1))
    assert facets(mesh, "tip") == set()


def test_case_blanks_line_ends_and_numbers_as_fortran_writes_them(read):
    text = FLAT.lower().replace("\n", "\r\n").replace("1, 0., 0.", " 1 ,,0.d0 ").replace("2., 1.", "2.D0,\t1.d+00")
    mesh = read(text.replace("*nset, nset=bottom, generate", "*NSET,NSET = bottom,\n GENERATE"))
    assert mesh.volume == 2
    assert set(mesh.region_groups) == {"left half", "right, half", "all"}
    assert facets(mesh, "bottom") == lines((0, 0, 1, 0), (1, 0, 2, 0))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_names_outside_ascii(tmp_path, encoding):
    (tmp_path / "part.inp").write_text(FLAT.replace("bottom", "Lagerfläche"), encoding=encoding)
    assert facets(read_mesh(tmp_path / "part.inp"), "Lagerfläche") == lines((0, 0, 1, 0), (1, 0, 2, 0))


def test_a_surface_precedes_a_node_set_of_its_name_and_names_are_not_case_sensitive(read):
    more = '*SURFACE, NAME=bottom\n"LEFT HALF", S1\n*NSET, NSET=Far, ELSET="Right, half"\n'
    mesh = read(FLAT + more)
    assert facets(mesh, "bottom") == lines((0, 0, 1, 0))
    # An interior facet has all its corners in that set, but only facets of the boundary count.
    assert facets(mesh, "Far") == lines((1, 0, 2, 0), (2, 0, 2, 1), (2, 1, 1, 1))


def test_a_surface_without_identifiers_is_all_outer_faces(read):
    mesh = read(FLAT + "*SURFACE, NAME=skin\nall,\n")
    np.testing.assert_array_equal(mesh.boundary_facets_of("skin"), np.arange(6))
    assert len(facets(mesh, "skin")) == 6


def test_names_of_no_facet_say_so(tmp_path):
    (tmp_path / "part.inp").write_text(FLAT + "*SURFACE, NAME=cut\n10, S2\n")
    domain = MeshFile(tmp_path / "part.inp")
    assert domain.boundary_names == ("Floor", "bottom", "east", "frame", "roof", "west")
    with pytest.raises(ValueError, match=r"^'tip' names single nodes, no facet of the boundary; .*: boundary, Floor"):
        domain.elements("tip")
    with pytest.raises(ValueError, match="^'cut' names facets inside the mesh only"):
        domain.elements("cut")
    with pytest.raises(ValueError, match="no boundary named 'tap'"):
        domain.elements("tap")


PART = f"""*PART, NAME=Plate
{NODES}*ELEMENT, TYPE=CPE4
1, 1, 2, 5, 4
2, 2, 3, 6, 5
*NSET, NSET=west, INTERNAL
1, 4
*NSET, NSET=south, GENERATE
1, 3
*ELSET, ELSET=body, GENERATE
1, 2
*SURFACE, NAME=top
body, S3
*END PART
"""
INSTANCES = {
    "one": "*INSTANCE, NAME=P-1, PART=plate\n*END INSTANCE\n",
    "two": "*INSTANCE, NAME=P-1, PART=Plate\n*END INSTANCE\n"
    "*INSTANCE, NAME=P-2, PART=Plate\n 5., 0., 0.\n 5., 0., 0., 5., 0., 1., 90.\n*END INSTANCE\n",
}
SETS = """*NSET, NSET=clamped, INSTANCE=P-1
1, 4
*NSET, NSET=corner
P-1.west, P-1.5
*ELSET, ELSET=_load_S2, INTERNAL, INSTANCE=P-1
2
*SURFACE, NAME=load, TYPE=ELEMENT
_load_S2, S2
*SURFACE, NAME=south
P-1.body, S1
"""


def assembly(which):
    return f"{PART}*ASSEMBLY, NAME=Assembly\n{INSTANCES[which]}{SETS}*END ASSEMBLY\n"


def test_an_assembly_with_one_instance(read):
    mesh = read(assembly("one"))
    assert mesh.volume == 2
    assert set(mesh.facet_groups) == {"south", "top", "clamped", "corner", "load"}
    assert set(mesh.region_groups) == {"body"}
    assert facets(mesh, "clamped") == lines((0, 0, 0, 1))
    assert facets(mesh, "corner") == lines((0, 0, 0, 1), (0, 1, 1, 1))
    assert facets(mesh, "load") == lines((2, 0, 2, 1))


def test_an_assembly_with_two_instances(read):
    """The second one is shifted by 5 and turned by 90° about (5, 0): it lies over (4, 5) × (0, 2)."""
    mesh = read(assembly("two"))
    assert mesh.volume == pytest.approx(4)
    np.testing.assert_allclose(mesh.bounds, [[0, 0], [5, 2]], atol=1e-14)
    assert {name: mesh.region_volume(name) for name in mesh.region_groups} == pytest.approx(
        {"body": 4, "P-1.body": 2, "P-2.body": 2}
    )
    one, other = lines((0, 1, 1, 1), (1, 1, 2, 1)), lines((4, 0, 4, 1), (4, 1, 4, 2))
    assert facets(mesh, "P-1.top") == one
    assert facets(mesh, "P-2.top") == other
    assert facets(mesh, "top") == one | other
    # The surface precedes the node set, which is known for each instance.
    assert facets(mesh, "south") == lines((0, 0, 1, 0), (1, 0, 2, 0))
    assert facets(mesh, "P-2.south") == lines((5, 0, 5, 1), (5, 1, 5, 2))
    assert facets(mesh, "load") == lines((2, 0, 2, 1))


CUBE = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)], float)
HEX_EDGES = [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7)]
TET_EDGES = [(0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)]


def one_element(kind, corners, edges=(), rest=""):
    points = np.vstack([corners, *[[corners[list(edge)].mean(axis=0)] for edge in edges]])
    nodes = "".join(f"{k}, {', '.join(map(str, x))}\n" for k, x in enumerate(points.tolist(), 1))
    return (
        f"*NODE\n{nodes}*ELEMENT, TYPE={kind}, ELSET=body\n1, {', '.join(map(str, range(1, len(points) + 1)))}\n{rest}"
    )


@pytest.mark.parametrize(
    ("kind", "corners", "edges", "shape", "degree"),
    [
        ("CPE3", CUBE[:3, :2], (), "triangle", 1),
        ("STRI3", CUBE[:3], (), "triangle", 1),
        ("CPS6M", CUBE[:3, :2], TET_EDGES[:3], "triangle", 2),
        ("DC2D4", CUBE[:4, :2], (), "quadrilateral", 1),
        ("S4R", CUBE[:4], (), "quadrilateral", 1),
        ("S8R5", CUBE[:4], HEX_EDGES[:4], "quadrilateral", 2),
        ("CPE8R", CUBE[:4, :2], HEX_EDGES[:4], "quadrilateral", 2),
        ("C3D4", CUBE[[0, 1, 3, 4]], (), "tetrahedron", 1),
        ("C3D10MH", CUBE[[0, 1, 3, 4]], TET_EDGES, "tetrahedron", 2),
        ("DC3D8", CUBE, (), "hexahedron", 1),
        ("C3D20R", CUBE, HEX_EDGES, "hexahedron", 2),
        ("T2D2", CUBE[:2, :2], (), "interval", 1),
    ],
)
def test_every_shape_and_its_faces(read, kind, corners, edges, shape, degree):
    """The numbers of faces are those of the manual: a face lies where its corners are."""
    dim = {"interval": 1, "triangle": 2, "quadrilateral": 2}.get(shape, 3)
    numbered = {
        "triangle": [(0, 1), (1, 2), (2, 0)],
        "quadrilateral": [(0, 1), (1, 2), (2, 3), (3, 0)],
        "tetrahedron": [(0, 1, 2), (0, 3, 1), (1, 3, 2), (2, 3, 0)],
        "hexahedron": [(0, 1, 2, 3), (4, 7, 6, 5), (0, 4, 5, 1), (1, 5, 6, 2), (2, 6, 7, 3), (3, 7, 4, 0)],
        "interval": [(0,), (1,)],
    }[shape]
    surfaces = "".join(f"*SURFACE, NAME=f{k}\nbody, S{k}\n" for k in range(1, len(numbered) + 1))
    mesh = read(one_element(kind, corners, edges, surfaces))
    volume = {"triangle": 1 / 2, "tetrahedron": 1 / 6}.get(shape, 1)
    assert (mesh.cell_type, mesh.degree, mesh.volume) == (shape, degree, pytest.approx(volume))
    for k, face in enumerate(numbered, 1):
        assert facets(mesh, f"f{k}") == {frozenset(tuple(corners[node, :dim].tolist()) for node in face)}


@pytest.mark.parametrize(("kind", "name"), [("T2D3", "line3"), ("B22", "line3"), ("B33", "line"), ("M3D4R", "quad"),
    ("STRI65", "triangle6"), ("S4R5", "quad"), ("SC8R", "hexahedron"), ("CAX4RH", "quad"), ("c3d8i", "hexahedron")])  # fmt: skip
def test_further_types(kind, name):
    assert shape_of(kind, 1).name == name


def test_trusses_and_shells_on_the_boundary_are_boundary_parts(read):
    shell = "*ELEMENT, TYPE=S4, ELSET=lid\n2, 5, 6, 7, 8\n*SURFACE, NAME=outside\nlid, SPOS\n"
    mesh = read(one_element("C3D8", CUBE, rest=shell))
    assert facets(mesh, "lid") == facets(mesh, "outside") == {frozenset(map(tuple, CUBE[4:].tolist()))}
    assert set(mesh.region_groups) == {"body"}
    # The middle node stands in second place in beams, in third in trusses.
    for kind, nodes in (("B22", "1, 5, 2"), ("T2D3", "1, 2, 5")):
        wire = f"*ELEMENT, TYPE={kind}, ELSET=wire\n2, {nodes}\n"
        mesh = read(one_element("CPS8", CUBE[:4, :2], HEX_EDGES[:4], wire))
        assert facets(mesh, "wire") == lines((0, 0, 1, 0))


def test_what_is_left_out_warns(read):
    extra = "*ELEMENT, TYPE=T2D2, ELSET=wire\n2, 1, 3\n"
    with pytest.warns(ScimlWarning, match="1 elements of lower dimension are no faces of the others and are left out"):
        assert read(one_element("CPS4", CUBE[:4, :2], rest=extra)).facet_groups == {}
    with pytest.warns(ScimlWarning, match=r"line 8: \*ELEMENT of type MASS has no shape and is left out"):
        read(one_element("CPS4", CUBE[:4, :2], rest="*ELEMENT, TYPE=MASS, ELSET=m\n7, 1\n"))
    with pytest.warns(ScimlWarning, match=r"\*TIE is not read, so what it joins stays apart"):
        read(assembly("two") + "*TIE, NAME=glue\na, b\n")
    with pytest.warns(ScimlWarning, match="'tool' is neither of TYPE=ELEMENT nor of TYPE=NODE"):
        read(FLAT + "*SURFACE, TYPE=SEGMENTS, NAME=tool\nSTART, 0., 0.\n")


def test_reference_points_do_not_count(read):
    mesh = read(FLAT.replace("*STEP", "*NODE, NSET=pilot\n999, 1., 5., 7.\n*STEP"))
    assert mesh.bounds[1].tolist() == [2, 1]
    assert facets(mesh, "pilot") == set()


def test_serendipity_cells_keep_their_geometry(read):
    """An eighth of a ring in one cell of 8 nodes: the same map as the file's, at the new node too."""
    angles, radii = np.array([0, 0, 1, 1, 0, 0.5, 1, 0.5]) * np.pi / 4, np.array([1, 2, 2, 1, 1.5, 2, 1.5, 1])
    nodes = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    mesh = read(one_element("CPE8", nodes))
    centre = (nodes[4:].sum(axis=0) / 2) - nodes[:4].sum(axis=0) / 4
    np.testing.assert_allclose(mesh.points[mesh.cells[0]], [*nodes, centre], atol=1e-15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file has no keyword"),
        ("1, 2, 3\n", "line 1 comes before any keyword"),
        (NODES, "The file has no cells"),
        ("*INCLUDE, INPUT=mesh.inp\n", r"line 1: \*INCLUDE is not supported; put the included file into this one"),
        ("*NODE, INPUT=nodes.inp\n", r"line 1: \*NODE with INPUT= is not supported"),
        ("*NGEN\n1, 5\n", r"\*NGEN is not supported; write all nodes and elements out"),
        ("*NODE, SYSTEM=C\n1, 1., 0.\n", "SYSTEM= is not supported"),
        ("*NODE\n1, x, 0.\n", "line 2: 'x' is not a number"),
        ("*NODE\none, 0., 0.\n", "line 2: 'one' is not a whole number"),
        (FLAT.replace("10, 1, 2, 5, 4", "10, 1, 2, 5"), r"line 11: the last element of this \*ELEMENT has only 3 nodes"),
        (FLAT.replace("10, 1, 2, 5, 4", "10, 1, 2, 5, 4, 6"), "line 12: element 10 has 5 nodes, its type 4"),
        (FLAT.replace("10, 1, 2, 5, 4", "10, 1, 2, 5, 8"), "element 10 has the node 8, which the file does not define"),
        (FLAT.replace("\n20, 2", "\n10, 2"), "element 10 is defined twice"),
        (FLAT.replace("CPS4R", "C3D6"), "line 11: elements of type C3D6 are not supported; use triangles"),
        (FLAT + "*ELEMENT, TYPE=CPS3\n30, 1, 2, 4\n", r"mixes cell types \(2 quad and 1 triangle\)"),
        (FLAT.replace("bottom, west", "botom, west"), "no node set named 'botom'; did you mean 'bottom'"),
        (FLAT.replace("20, S2", "20, S5"), "line 28: the face 'S5' of elements of 4 nodes is not known; they have S1 to S4"),
        (FLAT.replace("20, S2", "21, S2"), "line 28: there is no element 21"),
        (FLAT.replace("20, S2", "al, S2"), "line 28: There is no element set named 'al'; did you mean 'all'"),
        (FLAT.replace("*NSET, NSET=tip\n3,", "*NSET, NSET=tip\ntip,"), "the node set 'tip' contains itself"),
        (FLAT.replace("1, 3, 1", "1"), "GENERATE takes a first and a last number"),
        (FLAT.replace("NAME=roof", "TYPE=ELEMENT"), r"\*SURFACE lacks NAME=…"),
        (assembly("one").replace("PART=plate", "PART=plat"), "there is no part 'plat' for the instance 'P-1'"),
        (assembly("one").replace("INSTANCE=P-1", "INSTANCE=P-3"), "There is no instance named 'P-3'; did you mean 'P-1'"),
        (assembly("two").replace("5., 0., 1., 90.", "5., 0., 0., 90."), "two different points and an angle"),
        (FLAT.replace("6, 2., 1.", "6, 2., 1., 3."), "points extend by 3 beyond the first 2"),
    ],
)  # fmt: skip
def test_bad_files_are_refused(read, text, message):
    with pytest.raises(MeshError, match=message) as caught:
        read(text)
    assert "part.inp: " in str(caught.value)
    assert "\n" not in str(caught.value)
