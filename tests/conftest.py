"""What all tests share: where compiled forms are kept, one thread, and small problems to solve."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

# Both are read when packages are imported.
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).resolve().parents[1] / "build" / "cache")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest
import torch
from ufl import grad

from sciml import Box, Dirichlet, MeshDomain, Problem
from sciml.forms import PointwiseOperator, reverse_jet
from sciml.problem import MeshData, box_mesh
from sciml.problem.mesh import curve_mesh

# The same examples in every run, however slow the machine.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("same")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Bits depend on the number of threads, and small arrays are fastest with one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def declare_poisson(dim: int = 2, **changes: object) -> Problem:
    """−Δu = 1 on the unit box with u = 0 on its boundary, or what `changes` makes of it."""
    parts = {
        "domain": Box((0.0,) * dim, (1.0,) * dim),
        "flux": lambda u: grad(u),
        "conditions": [Dirichlet(0.0 if changes.get("exact") is None else None, on="boundary")],
    }
    if "exact" not in changes:
        parts["load"] = 1.0
    if {"energy", "weak"} & set(changes):
        del parts["flux"]
    return Problem(**(parts | changes))


@pytest.fixture
def poisson() -> Callable[..., Problem]:
    """See :func:`declare_poisson`; with `exact`, load and boundary values are made from it."""
    return declare_poisson


def bent(points: np.ndarray) -> np.ndarray:
    """A smooth map that bends boxes without folding them."""
    return points + 0.1 * np.sin(2 * points[:, ::-1] + 0.3)


@pytest.fixture
def bent_box() -> Callable[..., MeshDomain]:
    """The image of a unit box under a smooth map: (dim, shape, geometry degree, cells per axis) → domain."""

    def build(dim: int, shape: str = "simplex", degree: int = 2, cells: int = 2) -> MeshDomain:
        return MeshDomain(curve_mesh(box_mesh((0,) * dim, (1,) * dim, cells, shape), bent, degree))

    return build


@pytest.fixture
def two_materials() -> Callable[..., MeshDomain]:
    """(0, 2) × (0, 1) with the regions "steel" (x < 1) and "wood" and the four sides of a box."""

    def build(cells: int = 2, shape: str = "simplex") -> MeshDomain:
        mesh = box_mesh((0, 0), (2, 1), (2 * cells, cells), shape)
        right = mesh.points[mesh.corners].mean(axis=1)[:, 0] > 1
        regions = {"steel": np.flatnonzero(~right), "wood": np.flatnonzero(right)}
        return MeshDomain(MeshData(mesh.points, mesh.cells, mesh.cell_type, 1, mesh.facet_groups, regions))

    return build


@pytest.fixture
def with_function() -> Callable[..., np.ndarray]:
    """The value of a compiled operator at points where the unknown is a torch function, by reverse-mode jets."""

    def evaluate(operator: PointwiseOperator, function: Callable, points: np.ndarray) -> np.ndarray:
        x = torch.tensor(points, dtype=torch.float64)
        return operator(x, reverse_jet(function, x, operator.keys)).detach().numpy()

    return evaluate
