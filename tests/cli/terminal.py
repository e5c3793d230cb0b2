"""The command line inside the test process, and the small files that people hand to it."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sciml.cli import main
from sciml.errors import ScimlWarning

# A training of a second or less.
QUICK = "-o adam=50 -o lbfgs=50 -o width=8 -o points=100"
QUICKEST = "-o adam=5 -o lbfgs=5 -o width=4 -o points=30"


# A problem on the mesh of `plate_text`.
WALL = '''"""A wall of two layers: warm inside, cooled by the wind outside."""

from ufl import grad

from sciml import Dirichlet, MeshFile, Problem, Robin, ds, parameter


class Wall(Problem):
    """A wall that is heated on one side and cooled by wind on the other."""

    domain = MeshFile("wall.msh")
    conductivity = parameter(2.0, above=0, unit="W/(m K)", doc="of the whole wall")
    wind = parameter(3.0, above=0, unit="W/(m² K)", doc="heat transfer coefficient")
    load = 1.0

    def flux(self, u):
        return self.conductivity * grad(u)

    def conditions(self):
        return [Dirichlet(5.0, on="hot"), Robin(0.0, alpha=self.wind, on="cold")]

    def quantities(self, u):
        return {"loss": self.wind * u * ds("cold")}
'''


@dataclass(frozen=True)
class Outcome:
    """What one command did."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Standard output as JSON Lines; fails if there is anything else."""
        return [json.loads(line, parse_constant=pytest.fail) for line in self.out.splitlines()]

    @property
    def row(self) -> dict[str, Any]:
        (row,) = self.rows
        return row

    @property
    def message(self) -> str:
        """The one sentence of a refusal; fails if it is anything else."""
        assert self.code == 1, f"exit code {self.code}: {self.err}"
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert line.startswith("Error: ")
        assert line.endswith((".", "?"))
        assert "Traceback" not in line
        return line.removeprefix("Error: ")

    @property
    def told(self) -> str:
        """What people read, without line breaks."""
        return " ".join(self.err.split())


class Terminal:
    """Runs ``sciml`` as a terminal would, without the cost of a new process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, line: str, *more: str) -> Outcome:
        """Run a command line, split as a shell would; `more` arguments are taken as they are."""
        self._monkeypatch.setattr(sys, "argv", ["sciml", *shlex.split(line), *map(str, more)])
        self._capsys.readouterr()
        start, code, handler = time.perf_counter(), 0, signal.getsignal(signal.SIGTERM)
        with warnings.catch_warnings():
            warnings.simplefilter("always", ScimlWarning)
            try:
                main()
            except SystemExit as stop:
                code = int(stop.code or 0)
            finally:
                signal.signal(signal.SIGTERM, handler)
        seconds = time.perf_counter() - start
        written = self._capsys.readouterr()
        return Outcome(code, written.out, written.err, seconds)

    def succeeds(self, line: str, *more: str) -> Outcome:
        """As a call, and fail with what it wrote if the command did."""
        outcome = self(line, *more)
        assert outcome.code == 0, outcome.err
        return outcome


# -- mesh files ----------------------------------------------------------------------------------------------------

_GMSH = {("line", 1): 1, ("triangle", 1): 2, ("quad", 1): 3, ("line", 2): 8, ("triangle", 2): 9}
Elements = Sequence[tuple[str, Iterable[Sequence[int]]]]


def msh_text(
    points: np.ndarray | Sequence[Sequence[float]],
    cells: Elements,
    facets: Elements = (),
    *,
    version: str = "4.1",
    kind: str = "triangle",
    degree: int = 1,
) -> str:
    """A plane Gmsh mesh file.

    Parameters
    ----------
    points : (n, 2) or (n, 3) array
    cells, facets : list of (name, rows of point numbers)
        The physical groups.
    version : {"2.2", "4.1"}
    kind, degree
        Of the cells.
    """
    blocks = [(1, tag, name, list(rows)) for tag, (name, rows) in enumerate(facets, 1)]
    blocks += [(2, tag, name, list(rows)) for tag, (name, rows) in enumerate(cells, 1)]
    kinds = {1: _GMSH["line", degree], 2: _GMSH[kind, degree]}
    xyz = [" ".join(map(repr, (*map(float, point), 0.0)[:3])) for point in points]
    names = [f'{dim} {tag} "{name}"' for dim, tag, name, _ in blocks]
    elements = [(dim, tag, row) for dim, tag, _, rows in blocks for row in rows]
    body = _version_2 if version == "2.2" else _version_4
    lines = [f"$MeshFormat\n{version} 0 8\n$EndMeshFormat", *_section("PhysicalNames", [str(len(names)), *names])]
    return "\n".join(lines + body(xyz, blocks, elements, kinds)) + "\n"


def _section(name: str, lines: list[str]) -> list[str]:
    return [f"${name}", *lines, f"$End{name}"]


def _row(row: Sequence[int]) -> str:
    return " ".join(str(number + 1) for number in row)


def _version_2(xyz: list[str], blocks: Any, elements: Any, kinds: dict[int, int]) -> list[str]:
    nodes = [f"{k} {place}" for k, place in enumerate(xyz, 1)]
    cells = [f"{k} {kinds[dim]} 2 {tag} {tag} {_row(row)}" for k, (dim, tag, row) in enumerate(elements, 1)]
    return _section("Nodes", [str(len(nodes)), *nodes]) + _section("Elements", [str(len(cells)), *cells])


def _version_4(xyz: list[str], blocks: Any, elements: Any, kinds: dict[int, int]) -> list[str]:
    n, m = len(xyz), len(elements)
    counts = [sum(dim == wanted for dim, *_ in blocks) for wanted in range(4)]
    entities = [f"{tag} -9 -9 -9 9 9 9 1 {tag} 0" for _, tag, *_ in blocks]
    nodes = [f"1 {n} 1 {n}", f"2 1 0 {n}", *map(str, range(1, n + 1)), *xyz]
    cells, number = [f"{len(blocks)} {m} 1 {m}"], 1
    for dim, tag, _, rows in blocks:
        cells.append(f"{dim} {tag} {kinds[dim]} {len(rows)}")
        for row in rows:
            cells.append(f"{number} {_row(row)}")
            number += 1
    return (
        _section("Entities", [" ".join(map(str, counts)), *entities])
        + _section("Nodes", nodes)
        + _section("Elements", cells)
    )


def plate_text(version: str = "4.1", size: float = 1.0, n: int = 4) -> str:
    """(0, 2) × (0, 1) times `size`: the regions "steel" (left half) and "wood", the sides "hot" and "cold"."""
    points, squares, number = _grid(2 * n, n)
    steel = [square for square, (i, _) in squares if i < n]
    wood = [square for square, (i, _) in squares if i >= n]
    sides = {side: [(number(i, j), number(i, j + 1)) for j in range(n)] for side, i in (("hot", 0), ("cold", 2 * n))}
    cells = [("steel", _split(steel)), ("wood", _split(wood))]
    return msh_text(points * size / n, cells, list(sides.items()), version=version)


def bracket_text(version: str = "4.1", size: float = 10.0, n: int = 3) -> str:
    """An L of two arms, "upright" and "foot", clamped at the "wall" on its top, with a "load" on its right end."""
    points, squares, number = _grid(2 * n, 2 * n)
    upright = [square for square, (i, _) in squares if i < n]
    foot = [square for square, (i, j) in squares if i >= n > j]
    wall = [(number(i, 2 * n), number(i + 1, 2 * n)) for i in range(n)]
    load = [(number(2 * n, j), number(2 * n, j + 1)) for j in range(n)]
    cells = [("upright", _split(upright)), ("foot", _split(foot))]
    return msh_text(points * size / n, cells, [("wall", wall), ("load", load)], version=version)


def _grid(nx: int, ny: int) -> tuple[np.ndarray, list[tuple[tuple[int, ...], tuple[int, int]]], Any]:
    def number(i: int, j: int) -> int:
        return i * (ny + 1) + j

    points = np.array([(i, j) for i in range(nx + 1) for j in range(ny + 1)], dtype=float)
    places = [(i, j) for i in range(nx) for j in range(ny)]
    squares = [((number(i, j), number(i + 1, j), number(i + 1, j + 1), number(i, j + 1)), (i, j)) for i, j in places]
    return points, squares, number


def _split(squares: Iterable[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return [triangle for a, b, c, d in squares for triangle in ((a, b, c), (a, c, d))]


def write(folder: Path, name: str, text: str) -> Path:
    """Write a text file."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
