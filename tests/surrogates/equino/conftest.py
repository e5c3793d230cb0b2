"""Cells with a disc of glass: one of the catalogue, and files of a user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import sciml
from sciml import load_problem
from sciml.datasets import CellData, generate_cell
from sciml.surrogates.equino import CellRun, train_cell

MESH = Path(sciml.__file__).parent / "data" / "meshes" / "rve_disc.msh"

OWN = '''"""A cell of a user's own."""

from sciml import MeshFile, parameter
from sciml.laws import Cell, LinearElastic, Matrix


class Own(Cell):
    """Glass in something."""

    domain = MeshFile({mesh!r}, dim=2)
    laws = {{
        "matrix": {matrix},
        "inclusion": LinearElastic(bulk_modulus=4e4, shear_modulus=3e4),
    }}
    strain = parameter((0.01, 0.0, 0.0), draw={draw}, doc="macroscopic strain")
'''


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., str]:
    """Writes a user's file and says its path."""

    def write(matrix: str = "LinearElastic(bulk_modulus=4e3, shear_modulus=4e2)", draw: str = "(-0.04, 0.04)") -> str:
        path = tmp_path / "own.py"
        path.write_text(OWN.format(mesh=str(MESH), matrix=matrix, draw=draw), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> CellData:
    """30 snapshots of rve/disc."""
    return generate_cell(load_problem("rve/disc"), tmp_path_factory.mktemp("cells") / "rve.h5", count=30)


@pytest.fixture(scope="session")
def folder(data: CellData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that is well on its way, in a folder."""
    folder = tmp_path_factory.mktemp("run")
    train_cell(
        "rve/disc",
        data.path,
        folder=folder,
        modes=8,
        width=24,
        depth=2,
        collocation=60,
        warm_steps=100,
        physics_steps=100,
    )
    return folder


@pytest.fixture(scope="session")
def run(folder: Path) -> CellRun:
    """The same, read again."""
    from sciml.surrogates.equino import load_cell_run

    return load_cell_run(folder)
