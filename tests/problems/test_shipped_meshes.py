"""The meshes that the repository ships: groups, shapes, sizes, and the script that makes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sciml.laws import identify_nodes
from sciml.problem import read_mesh

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "data" / "meshes"
MESHES = {
    "l_shape": ({"corner": 2.0, "outer": 6.0}, {"domain": 3.0}, 1),
    "cook": ({"clamped": 44.0, "loaded": 16.0, "free": 48.0 * 2.4106}, {"membrane": 1440.0}, 1),
    "plate_with_hole": (
        {"left": 3.0, "bottom": 3.0, "right": 4.0, "top": 4.0, "hole": np.pi / 2},
        {"plate": 16 - np.pi / 4},
        2,
    ),
    "quarter_ring": (
        {"left": 1.0, "bottom": 1.0, "inner": np.pi / 2, "outer": np.pi},
        {"ring": 3 * np.pi / 4},
        2,
    ),
    "fibre": (
        {"left": 1.0, "bottom": 1.0, "right": 1.0, "top": 1.0},
        {"fibre": 0.09 * np.pi, "matrix": 1 - 0.09 * np.pi},
        2,
    ),
    "disc": ({"outer": 2 * np.pi}, {"disc": np.pi}, 2),
    "periodic_cell": (
        {"left": 1.0, "bottom": 1.0, "right": 1.0, "top": 1.0, "hole": np.pi / 2},
        {"matrix": 1 - np.pi / 16},
        2,
    ),
    "obstacles": (
        {"left": 1, "right": 1, "bottom": 2, "top": 2, "front": 2, "back": 2}
        | {"obstacle_1": np.pi / 4, "obstacle_2": np.pi / 4},
        {"box": 2 - np.pi / 24},
        1,
    ),
}
SIDES = {"left": 1.0, "bottom": 1.0, "right": 1.0, "top": 1.0}
CELLS = {"rve_disc": 0.35**2 * np.pi, "rve_1": 0.55, "rve_2": 0.35 * 0.17525 * np.pi, "rve_3": 0.0425 * np.pi}
MESHES |= {
    "cook_triangles": MESHES["cook"],
    "l_panel": (
        {"bottom": 250.0, "inner_right": 250.0, "inner_bottom": 250.0, "right": 250.0, "top": 500.0, "left": 500.0},
        {"panel": 187_500.0},
        1,
    ),
    "plate_with_hole_coarse": MESHES["plate_with_hole"],
} | {name: (SIDES, {"inclusion": area, "matrix": 1 - area}, 1) for name, area in CELLS.items()}
STRAIGHT = {"obstacles": 0.04, "plate_with_hole_coarse": 1e-3} | dict.fromkeys(CELLS, 0.015)
"""Meshes whose flat facets do not follow what is curved, and how far they are off."""


def test_all_are_listed():
    assert {path.stem for path in FOLDER.glob("*.msh")} == set(MESHES)
    listed = (ROOT / "data" / "README.md").read_text()
    assert all(f"`{name}.msh`" in listed for name in MESHES)


@pytest.mark.parametrize("name", MESHES)
def test_groups_have_their_measures(name):
    lengths, areas, degree = MESHES[name]
    mesh = read_mesh(FOLDER / f"{name}.msh", dim=3 if name == "obstacles" else 2)
    assert mesh.degree == degree
    measured = {key: mesh.facet_measures[mesh.boundary_facets_of(key)].sum() for key in mesh.facet_groups}
    assert measured == pytest.approx(lengths, rel=STRAIGHT.get(name, 1e-4))
    volumes = {key: mesh.region_volume(key) for key in mesh.region_groups}
    assert volumes == pytest.approx(areas, rel=STRAIGHT.get(name, 1e-5))
    assert sum(map(len, mesh.facet_groups.values())) == len(mesh.boundary_facets)
    assert (FOLDER / f"{name}.msh").stat().st_size < 300_000


def test_both_formats_occur():
    versions = {path.read_text().splitlines()[1].split()[0] for path in FOLDER.glob("*.msh")}
    assert versions == {"2.2", "4.1"}


def test_corner_is_a_vertex():
    mesh = read_mesh(FOLDER / "l_shape.msh")
    assert (np.abs(mesh.points).max(axis=1) == 0).sum() == 1
    sizes = mesh.cell_volumes
    assert sizes.max() == pytest.approx(sizes.min())


@pytest.mark.parametrize(("name", "centre", "radius"), [("plate_with_hole", 0.0, 1.0), ("fibre", 0.5, 0.3)])
def test_quadratic_nodes_lie_on_the_circle(name, centre, radius):
    """The nodes between corners too, which makes the cells curved."""
    mesh = read_mesh(FOLDER / f"{name}.msh")
    distance = np.hypot(*(mesh.points - centre).T)
    on_circle = np.abs(distance - radius) < 1e-12
    assert on_circle.sum() == (41 if name == "plate_with_hole" else 64)
    middle = np.setdiff1d(mesh.cells[:, 3:], mesh.corners)
    assert on_circle[middle].sum() == on_circle.sum() // 2


def test_corners_lie_on_the_balls():
    mesh = read_mesh(FOLDER / "obstacles.msh")
    for number, x in enumerate((0.5, 1.5)):
        corners = np.unique(mesh.facet_groups[f"obstacle_{number + 1}"])
        np.testing.assert_allclose(np.linalg.norm(mesh.points[corners] - (x, 0.5, 0.5), axis=1), 0.25, atol=1e-9)
        assert len(corners) == 6 * 4**2 + 2


@pytest.mark.parametrize("name", ["fibre", "periodic_cell"])
def test_opposite_sides_of_the_cells_match(name):
    points = read_mesh(FOLDER / f"{name}.msh").points
    for axis in (0, 1):
        low, high = (np.sort(points[np.abs(points[:, axis] - end) < 1e-12, 1 - axis]) for end in (0, 1))
        assert len(low) > 10
        np.testing.assert_allclose(low, high, atol=1e-13)


@pytest.mark.parametrize("name", [*(f"{name}.msh" for name in CELLS), "rve_fibres.vtu"])
def test_cells_are_periodic(name):
    nodes = read_mesh(FOLDER / name).points
    classes = identify_nodes(nodes)
    on_sides = (np.abs(nodes - nodes.min(axis=0)) < 1e-12).any(axis=1)
    assert len(nodes) - classes.max() - 1 == on_sides.sum()


def test_script_makes_the_same_meshes(tmp_path):
    pytest.importorskip("gmsh", exc_type=ImportError)
    subprocess.run([sys.executable, ROOT / "scripts" / "make_meshes.py", tmp_path], check=True, capture_output=True)
    for name in MESHES:
        shipped, made = (read_mesh(folder / f"{name}.msh") for folder in (FOLDER, tmp_path))
        assert np.array_equal(shipped.cells, made.cells)
        np.testing.assert_allclose(shipped.points, made.points, atol=1e-12)
        assert set(shipped.facet_groups) == set(made.facet_groups)
