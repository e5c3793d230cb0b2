"""Common domains: discs, plates with holes, composites, periodic cells, a box with obstacles.

Every function but :func:`cell_with_void` returns a domain that gmsh meshes when it is first needed. Lengths are in the
user's unit. ``size`` is the edge length of the cells; small circles and balls get smaller ones. With ``degree=2`` the
cells are quadratic and follow curved boundaries to third order. Cells are triangles, in three dimensions tetrahedra;
those of :func:`cell_with_void`, which needs no gmsh, are quadrilaterals.

>>> from sciml import shapes
>>> ring = shapes.annulus(0.5, 1.0, size=0.1, degree=2)
>>> ring.boundary_names
('inner', 'outer')

gmsh is not installed with this package, as its licence is the GPL: ``pip install gmsh``. A mesh that was made once can
be kept by ``ring.write("ring.vtu")`` and used without gmsh by ``MeshFile("ring.vtu")``.

All functions raise a DomainError for lengths that are not positive or do not fit. Those that gmsh meshes raise a
MissingPackageError where it is not installed and a MeshError where it fails, both when the mesh is first needed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from sciml.errors import DomainError, MeshError, MissingPackageError
from sciml.problem import MeshData, MeshDomain, curve_mesh, read_mesh

__all__ = [
    "Shape",
    "annulus",
    "box_with_obstacles",
    "cell_with_void",
    "cook",
    "disc",
    "l_shape",
    "periodic_cell",
    "plate_with_hole",
    "rectangle_with_inclusions",
]

Point = tuple[float, float]
Circle = tuple[float, float, float]
Place = tuple[float, float, float]
Ball = tuple[float, float, float, float]

_SIDES = ("bottom", "right", "top", "left")
_FACES = ("left", "right", "bottom", "top", "front", "back")
# Cells on a full circle, at least.
_AROUND = 16


class Shape(MeshDomain):
    """A domain that gmsh meshes when it is first needed; made by the functions of this module.

    Parameters
    ----------
    name : str
        What it is.
    draw : callable
        Draws curves and surfaces with names into a :class:`Drawing`, or solids into a :class:`Carving`.
    size : float
        Edge length of the cells.
    degree : {1, 2}
        Degree of the cells' geometry.
    kind : type
        :class:`Drawing` in the plane, :class:`Carving` in space.
    """

    def __init__(
        self,
        name: str,
        draw: Callable[[Any], None],
        *,
        size: float,
        degree: int,
        kind: type[Drawing] | type[Carving] | None = None,
    ) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        _check_positive(size=size)
        if degree not in (1, 2):
            raise DomainError(f"degree={degree!r} was given; cells are of degree 1 (straight) or 2 (curved).")
        self._name, self._draw, self._size, self._degree = name, draw, size, degree
        self._kind = kind or Drawing

    def __repr__(self) -> str:
        return f"<{self._name} meshed with size {self._size:g}, degree {self._degree}>"

    def _load(self) -> MeshData:
        with _gmsh(self._size) as gmsh, TemporaryDirectory() as folder:
            drawing = self._kind(gmsh, self._size)
            self._draw(drawing)
            drawing.name_groups()
            file = Path(folder) / "shape.msh"
            try:
                gmsh.model.mesh.generate(drawing.dim)
                gmsh.model.mesh.setOrder(self._degree)
                gmsh.write(str(file))
            except Exception as error:  # gmsh raises nothing more special
                raise MeshError(f"gmsh cannot mesh this {self._name} ({error}); try another size.") from error
            return read_mesh(file, dim=drawing.dim)


class Drawing:
    """Curves and surfaces in a gmsh model, by name.

    Parameters
    ----------
    gmsh : module
        With a model that is empty.
    size : float
        Edge length of the cells.
    """

    dim = 2

    def __init__(self, gmsh: Any, size: float) -> None:
        self._gmsh, self._geo, self._size = gmsh, gmsh.model.geo, size
        self._groups: dict[tuple[int, str], list[int]] = {}

    def polygon(self, corners: Sequence[Point], names: Sequence[str]) -> list[int]:
        """Straight lines from each corner to the next and back to the first."""
        points = [self._geo.addPoint(x, y, 0) for x, y in corners]
        lines = [self._geo.addLine(a, b) for a, b in pairwise([*points, points[0]])]
        for line, name in zip(lines, names, strict=True):
            self._groups.setdefault((1, name), []).append(line)
        return lines

    def rectangle(self, width: float, height: float) -> list[int]:
        """The rectangle from the origin: lines "bottom", "right", "top" and "left"."""
        return self.polygon([(0, 0), (width, 0), (width, height), (0, height)], _SIDES)

    def circle(self, circle: Circle, name: str | None = None) -> list[int]:
        """A circle in four arcs."""
        x, y, r = circle
        centre = self._geo.addPoint(x, y, 0)
        size = min(self._size, 2 * math.pi * r / _AROUND)
        points = [self._geo.addPoint(x + a * r, y + b * r, 0, size) for a, b in ((1, 0), (0, 1), (-1, 0), (0, -1))]
        arcs = [self._geo.addCircleArc(a, centre, b) for a, b in pairwise([*points, points[0]])]
        if name is not None:
            self._groups.setdefault((1, name), []).extend(arcs)
        return arcs

    def surface(self, name: str, outline: Sequence[int], holes: Sequence[Sequence[int]] = ()) -> None:
        """The plane surface inside an outline and outside of holes."""
        loops = [self._geo.addCurveLoop(list(lines)) for lines in (outline, *holes)]
        self._groups.setdefault((2, name), []).append(self._geo.addPlaneSurface(loops))

    def repeat(self, line: int, other: int, shift: Point) -> None:
        """Give `other` the nodes of `line`, shifted."""
        self._geo.synchronize()
        dx, dy = shift
        self._gmsh.model.mesh.setPeriodic(1, [other], [line], [1, 0, 0, dx, 0, 1, 0, dy, 0, 0, 1, 0, 0, 0, 0, 1])

    def name_groups(self) -> None:
        """Hand the names over to gmsh."""
        self._geo.synchronize()
        for (dim, name), tags in self._groups.items():
            self._gmsh.model.addPhysicalGroup(dim, tags, name=name)


class Carving:
    """A solid in a gmsh model, with what is cut out of it, by name.

    Parameters
    ----------
    gmsh : module
        With a model that is empty.
    size : float
        Edge length of the cells.
    """

    dim = 3

    def __init__(self, gmsh: Any, size: float) -> None:
        self._model, self._occ, self._size = gmsh.model, gmsh.model.occ, size

    def box_without(self, name: str, edges: Place, balls: Sequence[Ball]) -> None:
        """The box from the origin without some balls: faces "left" … "back", then "obstacle_1" …, in order."""
        box = self._occ.addBox(0, 0, 0, *edges)
        tools = [(3, self._occ.addSphere(*ball)) for ball in balls]
        kept, _ = self._occ.cut([(3, box)], tools) if tools else ([(3, box)], [])
        self._occ.synchronize()
        self._model.addPhysicalGroup(3, [tag for _, tag in kept], name=name)
        for _, tag in self._model.getBoundary(kept, oriented=False):
            self._name_surface(tag, edges, balls)

    def _name_surface(self, tag: int, edges: Place, balls: Sequence[Ball]) -> None:
        """A face by the plane that it lies in, a sphere by its centre."""
        centre = np.array(self._occ.getCenterOfMass(2, tag))
        if self._model.getType(2, tag) == "Plane":
            planes = np.stack([np.zeros(3), edges], axis=1).ravel()
            name = _FACES[int(np.argmin(np.abs(np.repeat(centre, 2) - planes)))]
        else:
            number = int(np.argmin([np.linalg.norm(centre - ball[:3]) for ball in balls]))
            name = f"obstacle_{number + 1}"
            poles = self._model.getBoundary([(2, tag)], recursive=True)
            self._model.mesh.setSize(poles, min(self._size, 2 * math.pi * balls[number][3] / _AROUND))
        self._model.addPhysicalGroup(2, [tag], name=name)

    def name_groups(self) -> None:
        """Nothing: they got their names when they were cut."""


@contextmanager
def _gmsh(size: float) -> Iterator[Any]:
    """The module with an empty model and our options; a session of the user's own is given back as it was."""
    try:
        import gmsh
    except (ImportError, OSError) as error:  # OSError: the module is there, a graphics library that it needs is not
        raise MissingPackageError(
            f"Meshing a shape needs gmsh, which cannot be imported ({error}): `pip install gmsh`, or use MeshFile "
            "with a mesh of your own or one of data/meshes (disc.msh, periodic_cell.msh, cook.msh, …)."
        ) from error
    options = {
        "General.Terminal": 0,
        "Mesh.MeshSizeMax": size,
        "Mesh.MshFileVersion": 4.1,
        "Mesh.SaveAll": 0,
    }
    is_ours = not gmsh.isInitialized()
    if is_ours:
        # Without its handler for interrupts, which only works in the main thread and would replace the user's.
        gmsh.initialize(readConfigFiles=False, interruptible=False)
    current = None if is_ours else gmsh.model.getCurrent()
    before = {name: gmsh.option.getNumber(name) for name in options}
    try:
        for name, value in options.items():
            gmsh.option.setNumber(name, value)
        gmsh.model.add("shape")
        yield gmsh
        gmsh.model.remove()
    finally:
        for name, value in before.items():
            gmsh.option.setNumber(name, value)
        if is_ours:
            gmsh.finalize()
        else:
            gmsh.model.setCurrent(current)


def _check_positive(**lengths: float) -> None:
    for name, value in lengths.items():
        if not (isinstance(value, int | float) and 0 < value < math.inf):
            raise DomainError(f"{name}={value!r} was given; it must be a number above 0.")


def _check_hole(width: float, height: float, radius: float) -> None:
    _check_positive(width=width, height=height, radius=radius)
    if 2 * radius >= min(width, height):
        raise DomainError(f"A circle of radius {radius:g} does not fit into {width:g} × {height:g}; make it smaller.")


def disc(radius: float = 1.0, centre: Point = (0.0, 0.0), *, size: float, degree: int = 1) -> Shape:
    """A disc.

    Boundary: "outer". Region: "disc".
    """
    _check_positive(radius=radius)
    x, y = centre
    return Shape("disc", lambda d: d.surface("disc", d.circle((x, y, radius), "outer")), size=size, degree=degree)


def annulus(inner: float, outer: float, centre: Point = (0.0, 0.0), *, size: float, degree: int = 1) -> Shape:
    """The ring between two circles of radii `inner` and `outer`.

    Boundary: "inner", "outer". Region: "annulus".
    """
    _check_positive(inner=inner, outer=outer)
    if inner >= outer:
        raise DomainError(f"An annulus from {inner:g} to {outer:g} was asked for; the inner radius is the smaller one.")
    x, y = centre

    def draw(d: Drawing) -> None:
        d.surface("annulus", d.circle((x, y, outer), "outer"), [d.circle((x, y, inner), "inner")])

    return Shape("annulus", draw, size=size, degree=degree)


def plate_with_hole(
    width: float = 2.0, height: float = 2.0, radius: float = 0.25, *, size: float, degree: int = 1
) -> Shape:
    """The rectangle (0, width) × (0, height) with a circular hole in its middle.

    Boundary: "left", "right", "bottom", "top", "hole". Region: "plate".
    """
    _check_hole(width, height, radius)

    def draw(d: Drawing) -> None:
        d.surface("plate", d.rectangle(width, height), [d.circle((width / 2, height / 2, radius), "hole")])

    return Shape("plate with a hole", draw, size=size, degree=degree)


def cook(*, size: float, degree: int = 1) -> Shape:
    """Cook's membrane: the trapezium (0, 0), (48, 44), (48, 60), (0, 44), in millimetres.

    Boundary: "left" (clamped), "right" (loaded), "bottom", "top". Region: "membrane".
    (R. D. Cook, J. Struct. Div. ASCE 100, 1974.)
    """

    def draw(d: Drawing) -> None:
        d.surface("membrane", d.polygon([(0, 0), (48, 44), (48, 60), (0, 44)], _SIDES))

    return Shape("Cook membrane", draw, size=size, degree=degree)


def l_shape(*, size: float, degree: int = 1) -> Shape:
    """(−1, 1)² without its lower right quadrant: a re-entrant corner at the origin.

    Boundary: "corner" (the two edges that meet there), "outer". Region: "domain".
    """
    corners = [(0, 0), (1, 0), (1, 1), (-1, 1), (-1, -1), (0, -1)]
    names = ["corner", "outer", "outer", "outer", "outer", "corner"]
    return Shape("L", lambda d: d.surface("domain", d.polygon(corners, names)), size=size, degree=degree)


def periodic_cell(
    width: float = 1.0,
    height: float = 1.0,
    radius: float = 0.3,
    *,
    kind: Literal["void", "inclusion"] = "void",
    size: float,
    degree: int = 1,
) -> Shape:
    """The cell (0, width) × (0, height) of a periodic medium, with a circular void or inclusion in its middle.

    Nodes on opposite sides match to rounding. Boundary: "left", "right", "bottom", "top", and "hole" round a void.
    Regions: "matrix", and "inclusion" if there is one.
    """
    _check_hole(width, height, radius)
    if kind not in ("void", "inclusion"):
        raise DomainError(f"kind={kind!r} was given; give 'void' or 'inclusion'.")

    def draw(d: Drawing) -> None:
        bottom, right, top, left = sides = d.rectangle(width, height)
        circle = d.circle((width / 2, height / 2, radius), "hole" if kind == "void" else None)
        d.surface("matrix", sides, [circle])
        if kind == "inclusion":
            d.surface("inclusion", circle)
        d.repeat(left, right, (width, 0.0))
        d.repeat(bottom, top, (0.0, height))

    return Shape("periodic cell", draw, size=size, degree=degree)


def box_with_obstacles(
    edges: Place = (1.0, 1.0, 1.0),
    centres: Sequence[Place] = ((0.5, 0.5, 0.5),),
    radii: float | Sequence[float] = 0.25,
    *,
    size: float,
    degree: int = 1,
) -> Shape:
    """The box from the origin to `edges` without balls, in three dimensions.

    Boundary: "left", "right", "bottom", "top", "front", "back" as on a :class:`~sciml.Box`, and "obstacle_1",
    "obstacle_2" … in the order of `centres`. Region: "box".

    Parameters
    ----------
    edges : (float, float, float)
        Lengths of the box.
    centres : sequence of (float, float, float)
        Of the balls.
    radii : float or sequence of float
        One for all, or one each.

    Raises
    ------
    DomainError
        If balls touch each other or a side, or there is not one radius for each.
    """
    if len(edges) != 3 or any(len(centre) != 3 for centre in centres):
        raise DomainError(f"edges={edges} and centres={centres} were given; all of them have three numbers.")
    _check_positive(**dict(zip(("width", "height", "depth"), edges)))
    radii = [radii] * len(centres) if isinstance(radii, int | float) else list(radii)
    if len(radii) != len(centres):
        raise DomainError(f"{len(radii)} radii were given for {len(centres)} obstacles; give one for all, or one each.")
    balls: list[Ball] = []
    for (x, y, z), radius in zip(centres, radii):
        _check_positive(radius=radius)
        balls.append((float(x), float(y), float(z), float(radius)))
    _check_apart(edges, balls)
    return Shape(
        f"box with {len(balls)} obstacles",
        lambda d: d.box_without("box", edges, balls),
        size=size,
        degree=degree,
        kind=Carving,
    )


def _check_apart(edges: Place, balls: Sequence[Ball]) -> None:
    for i, (*centre, radius) in enumerate(balls):
        inside = all(radius < x < edge - radius for x, edge in zip(centre, edges))
        if not inside or any(math.dist(centre, b[:3]) <= radius + b[3] for b in balls[:i]):
            raise DomainError(
                f"Obstacle {i + 1} (centre {tuple(centre)}, radius {radius:g}) touches another one or a side of the "
                f"box {' × '.join(f'{edge:g}' for edge in edges)}; move it or make it smaller."
            )


def cell_with_void(
    radius: float | Callable[[np.ndarray], np.ndarray], *, around: int = 48, outwards: int = 8, degree: int = 2
) -> MeshDomain:
    """The unit square without a star-shaped void round its middle, on a grid of rings and rays.

    The void is where the distance from (½, ½) is less than radius(θ). Nodes lie on straight lines from its rim to
    evenly spaced points of the sides, so they have the same numbers for every void, nodes on opposite sides match, and
    no gmsh is needed. Boundary: "left", "right", "bottom", "top", "hole". Region: "matrix".

    Parameters
    ----------
    radius : float or function
        Of the angle θ ``(n,)`` from the x-axis; between 0 and ½.
    around : int
        Quadrilaterals round the void, a multiple of 4.
    outwards : int
        Quadrilaterals from the void to a side.
    degree : {1, 2}
        Of the cells; with 2 they follow the void to third order.

    Raises
    ------
    DomainError
        If the void does not fit into the square, or the numbers of cells make no grid.
    """
    if around < 8 or around % 4 or outwards < 1 or degree not in (1, 2):
        raise DomainError(
            f"around={around}, outwards={outwards}, degree={degree} were given; take a multiple of 4 from 8 on, a "
            f"number from 1 on, and degree 1 or 2."
        )

    def place(points: np.ndarray) -> np.ndarray:
        ring = np.abs(points).max(axis=1, keepdims=True)
        side = points / ring
        angle = np.arctan2(side[:, 1], side[:, 0])
        rim = np.asarray(radius(angle) if callable(radius) else np.full(len(angle), radius), dtype=float)
        if rim.shape != angle.shape or not np.all((rim > 0) & (rim < 0.5)):
            raise DomainError(f"The radius of a void lies between 0 and 0.5 at every angle; given was {radius!r}.")
        inner = rim[:, None] * side / np.linalg.norm(side, axis=1, keepdims=True)
        return 0.5 + (2 - ring) * inner + (ring - 1) * 0.5 * side

    return MeshDomain(curve_mesh(_square_rings(around, outwards), place, degree))


def _square_rings(around: int, outwards: int) -> MeshData:
    """(−2, 2)² without (−1, 1)² in concentric squares of quadrilaterals."""
    quarter = np.linspace(-1, 1, around // 4, endpoint=False)
    fixed = np.ones_like(quarter)
    sides = [(quarter, -fixed), (fixed, quarter), (-quarter, fixed), (-fixed, -quarter)]
    rim = np.concatenate([np.stack(side, axis=1) for side in sides])
    points = (np.linspace(1, 2, outwards + 1)[:, None, None] * rim).reshape(-1, 2)
    here = np.arange(around)
    after = (here + 1) % around
    cells = [np.stack([here, here + around, after + around, after], axis=1) + around * ring for ring in range(outwards)]
    outer = np.stack([here, after], axis=1)
    groups = {name: part + around * outwards for name, part in zip(_SIDES, np.split(outer, 4))} | {"hole": outer}
    return MeshData(points, np.concatenate(cells), "quadrilateral", 1, groups, {"matrix": np.arange(around * outwards)})


def rectangle_with_inclusions(
    width: float = 1.0,
    height: float = 1.0,
    *,
    count: int | None = None,
    fraction: float | None = None,
    radii: Point = (0.03, 0.08),
    gap: float | None = None,
    seed: int = 0,
    size: float,
    degree: int = 1,
) -> Shape:
    """The rectangle (0, width) × (0, height) with discs at random places that do not touch: a composite.

    Boundary: "left", "right", "bottom", "top". Regions: "matrix", "inclusion".

    Parameters
    ----------
    width, height : float
    count : int, optional
        Number of discs; or else
    fraction : float, optional
        the part of the area that they cover: discs are added until it is reached, so it is exceeded by less than the
        last one. Up to about 0.5 can be had.
    radii : (float, float)
        The range that radii are drawn from uniformly.
    gap : float, optional
        Least distance between discs, and from the sides; a tenth of the smallest radius by default.
    seed : int
        The same seed gives the same discs on every machine, for any size and degree of the cells.

    Raises
    ------
    DomainError
        If not just one of `count` and `fraction` is given, or there is no room for the discs.
    """
    _check_positive(width=width, height=height)
    discs = _random_discs(width, height, _radii(width * height, count, fraction, radii, seed), gap, seed)

    def draw(d: Drawing) -> None:
        circles = [d.circle(circle) for circle in discs]
        d.surface("matrix", d.rectangle(width, height), circles)
        for circle in circles:
            d.surface("inclusion", circle)

    return Shape(f"rectangle with {len(discs)} inclusions", draw, size=size, degree=degree)


def _radii(area: float, count: int | None, fraction: float | None, radii: Point, seed: int) -> list[float]:
    """Radii drawn at random, largest first."""
    low, high = radii
    _check_positive(**{"the smallest radius": low, "the largest radius": high})
    if low > high:
        raise DomainError(f"radii={radii} was given; give the smallest and the largest.")
    if (count is None) == (fraction is None):
        raise DomainError(f"count={count} and fraction={fraction} were given; give one of them.")
    if count is not None and (not isinstance(count, int) or count < 1):
        raise DomainError(f"count={count!r} was given; give a whole number above 0.")
    if fraction is not None and not 0 < fraction < 0.9:
        raise DomainError(f"fraction={fraction!r} was given; give a number between 0 and 0.9.")
    # Python's generator, unlike numpy's, promises the same numbers in all versions.
    numbers = random.Random(seed)
    found: list[float] = []
    covered = 0.0
    while len(found) < count if count is not None else covered < (fraction or 0.0) * area:
        found.append(low + (high - low) * numbers.random())
        covered += math.pi * found[-1] ** 2
    return sorted(found, reverse=True)


def _random_discs(width: float, height: float, radii: Sequence[float], gap: float | None, seed: int) -> list[Circle]:
    """Places for discs, one after the other, each where it is clear of those before it."""
    gap = 0.1 * radii[-1] if gap is None else gap
    if gap <= 0:
        raise DomainError(f"gap={gap!r} was given; discs must not touch: give a number above 0.")
    numbers = random.Random(f"places {seed}")
    discs: list[Circle] = []
    for r in radii:
        free_x, free_y = width - 2 * (r + gap), height - 2 * (r + gap)
        for _ in range(20_000 if min(free_x, free_y) > 0 else 0):
            x, y = r + gap + free_x * numbers.random(), r + gap + free_y * numbers.random()
            if all((x - a) ** 2 + (y - b) ** 2 >= (r + s + gap) ** 2 for a, b, s in discs):
                discs.append((x, y, r))
                break
        else:
            raise DomainError(
                f"There is no room for disc {len(discs) + 1} of {len(radii)} (radius {r:.3g}, gap {gap:.3g}) in "
                f"{width:g} × {height:g}; ask for fewer or smaller ones, or try another seed."
            )
    return discs
