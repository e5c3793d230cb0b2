"""Make the meshes in ``data/meshes``, which problems of the catalogue refer to and which do without gmsh.

Needs gmsh (``pip install gmsh``), which nothing else does::

    python scripts/make_meshes.py [FOLDER]

All but the cells with inclusions is transfinite, and the same version of gmsh writes the same files again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise, product
from math import pi, sqrt
from pathlib import Path

import gmsh
import numpy as np

from sciml.shapes import rectangle_with_inclusions

Corner = tuple[float, ...]

geo, mesh = gmsh.model.geo, gmsh.model.mesh

FOLDER = Path(__file__).resolve().parents[1] / "data" / "meshes"


@contextmanager
def model(name: str) -> Iterator[None]:
    """A fresh gmsh model."""
    gmsh.initialize(readConfigFiles=False)
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.model.add(name)
    try:
        yield
    finally:
        gmsh.finalize()


def loop(points: Sequence[int]) -> list[int]:
    """Straight lines from each point to the next and back to the first."""
    return [geo.addLine(a, b) for a, b in pairwise([*points, points[0]])]


def transfinite(lines: Sequence[int], cells: Sequence[int], grading: Sequence[float] | None = None) -> int:
    """A surface between four lines, divided into the given numbers of cells.

    `grading` is the ratio of neighbouring cells along each line, in its own direction.
    """
    surface = geo.addPlaneSurface([geo.addCurveLoop(list(lines), reorient=True)])
    for line, n, ratio in zip(lines, cells, grading or [1.0] * 4):
        geo.mesh.setTransfiniteCurve(abs(line), n + 1, "Progression", ratio)
    geo.mesh.setTransfiniteSurface(surface)
    return surface


def group(dim: int, tags: Sequence[int], name: str) -> None:
    """Name some curves or surfaces; gmsh saves nothing else then."""
    gmsh.model.addPhysicalGroup(dim, [abs(tag) for tag in tags], name=name)


def l_shape(cells: int = 4) -> None:
    """(−1, 1)² without its lower right quadrant: three squares of cells × cells × 2 triangles."""
    corners = [(0, 0), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1)]
    o, *p = [geo.addPoint(x, y, 0) for x, y in corners]
    spokes = [geo.addLine(o, p[k]) for k in (0, 2, 4, 6)]
    rim = [geo.addLine(a, b) for a, b in pairwise(p)]
    squares = [transfinite([spokes[k], rim[2 * k], rim[2 * k + 1], -spokes[k + 1]], [cells] * 4) for k in range(3)]
    geo.synchronize()
    group(1, [spokes[0], spokes[3]], "corner")
    group(1, rim, "outer")
    group(2, squares, "domain")


def cook(cells: int = 16) -> None:
    """Cook's trapezium in cells × cells quadrilaterals."""
    corners = [geo.addPoint(x, y, 0) for x, y in [(0, 0), (48, 44), (48, 60), (0, 44)]]
    bottom, right, top, left = loop(corners)
    surface = transfinite([bottom, right, top, left], [cells] * 4)
    geo.mesh.setRecombine(2, surface)
    geo.synchronize()
    group(1, [left], "clamped")
    group(1, [right], "loaded")
    group(1, [bottom, top], "free")
    group(2, [surface], "membrane")


def cook_triangles(cells: int = 4) -> None:
    """Cook's trapezium in cells × cells quadrilaterals, each cut into two triangles."""
    corners = [geo.addPoint(x, y, 0) for x, y in [(0, 0), (48, 44), (48, 60), (0, 44)]]
    bottom, right, top, left = loop(corners)
    surface = transfinite([bottom, right, top, left], [cells] * 4)
    geo.mesh.setTransfiniteSurface(surface, "Right")
    geo.synchronize()
    group(1, [left], "clamped")
    group(1, [right], "loaded")
    group(1, [bottom, top], "free")
    group(2, [surface], "membrane")


def l_panel(cells: int = 3, size: float = 250.0) -> None:
    """The L-panel: three squares of 250 mm, without the lower right one of four."""
    corners = [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    p = [geo.addPoint(size * x, size * y, 0) for x, y in corners]
    rim = loop(p)
    across, up = geo.addLine(p[2], p[7]), geo.addLine(p[2], p[5])
    outlines = [[rim[0], rim[1], across, rim[7]], [-across, up, rim[5], rim[6]], [rim[2], rim[3], rim[4], -up]]
    squares = [transfinite(outline, [cells] * 4) for outline in outlines]
    geo.synchronize()
    for name, line in zip(["bottom", "inner_right", "inner_bottom", "right", "top", "left"], range(6)):
        lines = {"top": rim[4:6], "left": rim[6:8]}.get(name, rim[line : line + 1])
        group(1, lines, name)
    group(2, squares, "panel")


def plate_with_hole(around: int = 10, outwards: int = 12, ratio: float = 1.22) -> None:
    """A quarter of a square plate of half width 4 with a hole of radius 1, graded towards the hole."""
    centre = geo.addPoint(0, 0, 0)
    inner = [geo.addPoint(x, y, 0) for x, y in [(1, 0), (sqrt(0.5), sqrt(0.5)), (0, 1)]]
    outer = [geo.addPoint(x, y, 0) for x, y in [(4, 0), (4, 4), (0, 4)]]
    arcs = [geo.addCircleArc(a, centre, b) for a, b in pairwise(inner)]
    sides = [geo.addLine(a, b) for a, b in pairwise(outer)]
    rays = [geo.addLine(a, b) for a, b in zip(inner, outer)]
    cells, grading = [outwards, around, outwards, around], [ratio, 1, ratio, 1]
    blocks = [transfinite([rays[k], sides[k], -rays[k + 1], -arcs[k]], cells, grading) for k in range(2)]
    geo.synchronize()
    for name, lines in zip(["bottom", "left", "right", "top"], [rays[:1], rays[2:], sides[:1], sides[1:]]):
        group(1, lines, name)
    group(1, arcs, "hole")
    group(2, blocks, "plate")


def quarter_ring(inner: float = 1.0, outer: float = 2.0, around: int = 20, outwards: int = 12) -> None:
    """The quarter of a ring round the origin in the first quadrant."""
    centre = geo.addPoint(0, 0, 0)
    a, b, c, d = (geo.addPoint(x, y, 0) for x, y in [(inner, 0), (outer, 0), (0, outer), (0, inner)])
    bottom, left = geo.addLine(a, b), geo.addLine(c, d)
    rim, bore = geo.addCircleArc(b, centre, c), geo.addCircleArc(d, centre, a)
    surface = transfinite([bottom, rim, left, bore], [outwards, around] * 2)
    geo.synchronize()
    for name, line in zip(["bottom", "outer", "left", "inner"], [bottom, rim, left, bore]):
        group(1, [line], name)
    group(2, [surface], "ring")


def fibre(radius: float = 0.3, around: int = 8, outwards: int = 7, core: float = 0.5) -> None:
    """The unit square with a disc in its middle: a square core, four blocks to the rim, four to the sides."""

    def ring(r: float) -> list[int]:
        return [geo.addPoint(0.5 + r * x, 0.5 + r * y, 0) for x, y in [(-1, -1), (1, -1), (1, 1), (-1, 1)]]

    middle = geo.addPoint(0.5, 0.5, 0)
    half_diagonal = radius * sqrt(0.5)
    core_points, rim_points, side_points = (ring(r) for r in (core * half_diagonal, half_diagonal, 0.5))
    core_lines, sides = loop(core_points), loop(side_points)
    rim = [geo.addCircleArc(a, middle, b) for a, b in pairwise([*rim_points, rim_points[0]])]
    inner = [geo.addLine(a, b) for a, b in zip(core_points, rim_points)]
    outer = [geo.addLine(a, b) for a, b in zip(rim_points, side_points)]

    def blocks(lines: list[int], rays: list[int], ends: list[int], cells: int) -> list[int]:
        return [
            transfinite([lines[k], rays[(k + 1) % 4], -ends[k], -rays[k]], [around, cells, around, cells])
            for k in range(4)
        ]

    disc = [transfinite(core_lines, [around] * 4), *blocks(core_lines, inner, rim, outwards // 2)]
    matrix = blocks(rim, outer, sides, outwards)
    geo.synchronize()
    for name, line in zip(["bottom", "right", "top", "left"], sides):
        group(1, [line], name)
    group(2, disc, "fibre")
    group(2, matrix, "matrix")


def disc(cells: int = 7, core: float = 0.5) -> None:
    """The unit disc: a square core and four blocks to the circle."""
    middle = geo.addPoint(0, 0, 0)
    h = sqrt(0.5)
    core_points, rim_points = (
        [geo.addPoint(r * x, r * y, 0) for x, y in [(-h, -h), (h, -h), (h, h), (-h, h)]] for r in (core, 1.0)
    )
    core_lines = loop(core_points)
    rim = [geo.addCircleArc(a, middle, b) for a, b in pairwise([*rim_points, rim_points[0]])]
    rays = [geo.addLine(a, b) for a, b in zip(core_points, rim_points)]
    blocks = [transfinite([core_lines[k], rays[(k + 1) % 4], -rim[k], -rays[k]], [cells] * 4) for k in range(4)]
    surfaces = [transfinite(core_lines, [cells] * 4), *blocks]
    geo.synchronize()
    group(1, rim, "outer")
    group(2, surfaces, "disc")


def periodic_cell(radius: float = 0.25, around: int = 6, outwards: int = 5) -> None:
    """The unit square with a round void in its middle; nodes on opposite sides match."""
    middle = geo.addPoint(0.5, 0.5, 0)
    rim_points, side_points = (
        [geo.addPoint(0.5 + r * x, 0.5 + r * y, 0) for x, y in [(-1, -1), (1, -1), (1, 1), (-1, 1)]]
        for r in (radius * sqrt(0.5), 0.5)
    )
    sides = loop(side_points)
    rim = [geo.addCircleArc(a, middle, b) for a, b in pairwise([*rim_points, rim_points[0]])]
    rays = [geo.addLine(a, b) for a, b in zip(rim_points, side_points)]
    lines = [[rim[k], rays[(k + 1) % 4], -sides[k], -rays[k]] for k in range(4)]
    blocks = [transfinite(line, [around, outwards, around, outwards]) for line in lines]
    geo.synchronize()
    for name, line in zip(["bottom", "right", "top", "left"], sides):
        group(1, [line], name)
    group(1, rim, "hole")
    group(2, blocks, "matrix")


Inclusion = tuple[float, float, float, float, float]
"""Centre, semi-axes and angle of an ellipse."""

_CORNERS = sqrt(0.55 / (2 * pi))
CELLS: dict[str, tuple[list[Inclusion], float]] = {
    "rve_disc": ([(0, 0, 0.35, 0.35, 0)], 0.08),
    "rve_1": (
        [(x, y, _CORNERS, _CORNERS, 0) for x, y in [(0, 0), (0.5, 0.5), (-0.5, 0.5), (0.5, -0.5), (-0.5, -0.5)]],
        0.0222,
    ),
    "rve_2": ([(0, 0, 0.35, 0.17525, pi / 6)], 0.0285),
    "rve_3": ([(-0.25, 0.25, 0.1, 0.1, 0), (0, -0.25, 0.1, 0.1, 0), (0.25, 0.15, 0.15, 0.15, 0)], 0.0305),
}
"""Inclusions in the unit square round the origin, and the length of the cells."""


def two_phase_cell(inclusions: Sequence[Inclusion], length: float) -> None:
    """The unit square round the origin with inclusions, and the same nodes on opposite sides."""
    occ = gmsh.model.occ
    square = (2, occ.addRectangle(-0.5, -0.5, 0, 1, 1))
    shapes = []
    for x, y, major, minor, angle in inclusions:
        shapes.append((2, occ.addDisk(x, y, 0, major, minor)))
        occ.rotate(shapes[-1:], x, y, 0, 0, 0, 1, angle)
    inside, _ = occ.intersect([square], shapes, removeObject=False)
    pieces, origins = occ.fragment([square], inside)
    occ.synchronize()
    inclusion = sorted({tag for origin in origins[1:] for _, tag in origin})
    group(2, inclusion, "inclusion")
    group(2, sorted({tag for _, tag in pieces} - set(inclusion)), "matrix")
    names = [("left", "right"), ("bottom", "top")]
    for axis in (0, 1):
        minus, plus = side(axis, -0.5), side(axis, 0.5)
        move = np.eye(4)
        move[axis, 3] = 1.0
        for curve in minus:
            partner = next(other for other in plus if are_apart(curve, other, axis))
            mesh.setPeriodic(1, [partner], [curve], move.ravel().tolist())
        group(1, minus, names[axis][0])
        group(1, plus, names[axis][1])
    gmsh.option.setNumber("Mesh.MeshSizeMax", length)
    gmsh.option.setNumber("Mesh.MeshSizeMin", length / 2)


def side(axis: int, place: float) -> list[int]:
    """The curves on a side of the unit square round the origin."""
    lower, upper = np.full(3, -0.5 - 1e-6), np.full(3, 0.5 + 1e-6)
    lower[axis], upper[axis] = place - 1e-6, place + 1e-6
    return [tag for _, tag in gmsh.model.getEntitiesInBoundingBox(*lower, *upper, 1)]


def are_apart(first: int, second: int, axis: int) -> bool:
    """Whether a curve is another one moved by 1 along an axis."""
    a, b = (np.array(gmsh.model.getBoundingBox(1, curve)) for curve in (first, second))
    return bool(np.abs(a + np.tile(np.eye(3)[axis], 2) - b).max() < 1e-6)


def obstacles(radius: float = 0.25, along: int = 4, outwards: int = 4) -> None:
    """(0, 2) × (0, 1)² without balls in the middles of its halves: six blocks of hexahedra round each."""
    points: dict[Corner, int] = {}
    lines: dict[frozenset[Corner], int] = {}

    def line(a: Corner, b: Corner, centre: int | None, cells: int) -> int:
        """The line or arc between two corners, which blocks share."""
        for corner in (a, b):
            if corner not in points:
                points[corner] = geo.addPoint(*corner)
        if frozenset((a, b)) not in lines:
            ends = points[a], points[b]
            made = geo.addLine(*ends) if centre is None else geo.addCircleArc(ends[0], centre, ends[1])
            geo.mesh.setTransfiniteCurve(made, cells + 1)
            lines[frozenset((a, b))] = made
        return lines[frozenset((a, b))]

    surfaces: dict[frozenset[int], int] = {}

    def patch(edges: Sequence[int], centre: int | None = None) -> int:
        if frozenset(edges) not in surfaces:
            outline = [geo.addCurveLoop(list(edges), reorient=True)]
            made = (
                geo.addPlaneSurface(outline)
                if centre is None
                else geo.addSurfaceFilling(outline, sphereCenterTag=centre)
            )
            geo.mesh.setTransfiniteSurface(made)
            geo.mesh.setRecombine(2, made)
            surfaces[frozenset(edges)] = made
        return surfaces[frozenset(edges)]

    names: dict[str, list[int]] = {name: [] for name in ("left", "right", "bottom", "top", "front", "back")}
    planes = {
        ("left", 0): 0.0,
        ("right", 0): 2.0,
        ("bottom", 1): 0.0,
        ("top", 1): 1.0,
        ("front", 2): 0.0,
        ("back", 2): 1.0,
    }
    volumes = []
    for number, x in enumerate((0.5, 1.5)):
        middle = (x, 0.5, 0.5)
        centre = geo.addPoint(*middle)
        ball = names.setdefault(f"obstacle_{number + 1}", [])
        for axis, sign in product(range(3), (-1, 1)):
            ring = [with_axis(axis, sign, *pair) for pair in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            inner, outer = ([moved(middle, corner, r) for corner in ring] for r in (radius / sqrt(3), 0.5))
            arcs = [line(a, b, centre, along) for a, b in pairwise([*inner, inner[0]])]
            edges = [line(a, b, None, along) for a, b in pairwise([*outer, outer[0]])]
            rays = [line(a, b, None, outwards) for a, b in zip(inner, outer)]
            walls = [patch([arcs[k], rays[(k + 1) % 4], edges[k], rays[k]]) for k in range(4)]
            caps = [patch(arcs, centre), patch(edges)]
            volumes.append(geo.addVolume([geo.addSurfaceLoop([*caps, *walls])]))
            geo.mesh.setTransfiniteVolume(volumes[-1], [points[corner] for corner in (*inner, *outer)])
            ball.append(caps[0])
            for (name, direction), place in planes.items():
                if direction == axis and all(corner[axis] == place for corner in outer):
                    names[name].append(caps[1])
    geo.synchronize()
    for name, tags in names.items():
        group(2, tags, name)
    group(3, volumes, "box")


def with_axis(axis: int, sign: int, first: int, second: int) -> Corner:
    """A corner of the cube (−1, 1)³ on the face across an axis."""
    return tuple(np.insert(np.array([first, second], dtype=float), axis, sign))


def moved(centre: Corner, corner: Corner, scale: float) -> Corner:
    """A corner of a cube round a centre."""
    return tuple(round(c + scale * d, 12) for c, d in zip(centre, corner))


def write(build: Callable[[], None], path: Path, *, order: int, version: float, dim: int = 2) -> None:
    """Build, mesh and save one file, as text."""
    with model(path.stem):
        gmsh.option.setNumber("Mesh.ElementOrder", order)
        gmsh.option.setNumber("Mesh.MshFileVersion", version)
        build()
        mesh.generate(dim)
        gmsh.write(str(path))
    sys.stdout.write(f"{path}: {path.stat().st_size / 1000:.0f} kB\n")


def main(folder: Path = FOLDER) -> None:
    """Write all meshes into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write(l_shape, folder / "l_shape.msh", order=1, version=2.2)
    write(cook, folder / "cook.msh", order=1, version=4.1)
    write(plate_with_hole, folder / "plate_with_hole.msh", order=2, version=4.1)
    write(cook_triangles, folder / "cook_triangles.msh", order=1, version=2.2)
    write(l_panel, folder / "l_panel.msh", order=1, version=2.2)
    coarse = partial(plate_with_hole, around=4, outwards=5, ratio=1.5)
    write(coarse, folder / "plate_with_hole_coarse.msh", order=2, version=4.1)
    write(quarter_ring, folder / "quarter_ring.msh", order=2, version=4.1)
    write(fibre, folder / "fibre.msh", order=2, version=2.2)
    write(disc, folder / "disc.msh", order=2, version=4.1)
    write(periodic_cell, folder / "periodic_cell.msh", order=2, version=4.1)
    for name, (inclusions, length) in CELLS.items():
        write(partial(two_phase_cell, inclusions, length), folder / f"{name}.msh", order=1, version=2.2)
    fibres = rectangle_with_inclusions(fraction=0.4, radii=(0.07, 0.1), seed=0, size=0.08)
    fibres.write(folder / "rve_fibres.vtu")
    write(obstacles, folder / "obstacles.msh", order=1, version=4.1, dim=3)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
