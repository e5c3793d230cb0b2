"""From an Abaqus input file to blocks of cells and named sets."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sciml.errors import ScimlWarning

from .flattening import Block, FlatModel
from .model import Kind, read_model

if TYPE_CHECKING:
    import meshio

__all__ = ["read_abaqus"]

_FACET_NAMES = {1: "vertex", 2: "line", 3: "triangle", 4: "quad"}


def read_abaqus(path: Path) -> meshio.Mesh:
    """The mesh of an Abaqus input file; see the package for what becomes of which keyword.

    Returns
    -------
    meshio.Mesh
        A block of cells for each shape of elements and for the faces of each surface; element sets and surfaces as
        cell sets, node sets as point sets.

    Raises
    ------
    MeshError
        If the file is not understood; the message names the line.
    """
    import meshio

    model = FlatModel(read_model(path))
    surfaces = _surfaces(model)
    blocks = _used_blocks(model, path)
    cells = [(block.shape.name, block.nodes) for block in blocks]
    faces = [(name, _FACET_NAMES[size], rows) for name, by_size in surfaces.items() for size, rows in by_size.items()]
    cells += [(facet_name, np.array(rows)) for _, facet_name, rows in faces]
    sets = {name: _in_blocks(index, blocks, len(cells)) for name, index in _sets(model, "element").items()}
    for number, (name, _, rows) in enumerate(faces, len(blocks)):
        sets.setdefault(name, [np.zeros(0, dtype=np.int64)] * len(cells))[number] = np.arange(len(rows))
    # A surface without faces is known by its name at least, so that asking for it tells why.
    nothing = {name: set() for name, by_size in surfaces.items() if not by_size}
    point_sets = _sets(model, "node") | _node_surfaces(model) | nothing
    return meshio.Mesh(
        model.points,
        cells,
        cell_sets=sets,
        point_sets={name: np.array(sorted(index), dtype=np.int64) for name, index in point_sets.items()},
    )


def _used_blocks(model: FlatModel, path: Path) -> list[Block]:
    """Cells, and elements on their facets; others are left out with a warning."""
    kept, n_dropped = [], 0
    for block in model.blocks:
        used = model.is_used(block)
        n_dropped += int((~used).sum())
        if used.any():
            kept.append(replace(block, numbers=block.numbers[used], nodes=block.nodes[used]))
    if n_dropped:
        warnings.warn(
            f"{path}: {n_dropped} elements of lower dimension are no faces of the others and are left out.",
            ScimlWarning,
            stacklevel=2,
        )
    return kept


def _in_blocks(members: set[int], blocks: list[Block], n_blocks: int) -> list[np.ndarray]:
    """Places of the elements in each block."""
    index = np.array(sorted(members), dtype=np.int64)
    places = [np.flatnonzero(np.isin(block.numbers, index)) for block in blocks]
    return places + [np.zeros(0, dtype=np.int64)] * (n_blocks - len(blocks))


def _sets(model: FlatModel, kind: Kind) -> dict[str, set[int]]:
    return {
        name: set().union(*(model.members(kind, scope, named.name) for scope, named in having))
        for name, having in model.exported(kind)
    }


def _node_surfaces(model: FlatModel) -> dict[str, set[int]]:
    """Points of the surfaces that are made of nodes."""
    return {
        name: set().union(*(model.chosen("node", scope, entry) for scope, named in having for entry in named.entries))
        for name, having in model.exported("surface")
        if having[0][1].of_nodes
    }


def _surfaces(model: FlatModel) -> dict[str, dict[int, list[tuple[int, ...]]]]:
    """Faces of the other surfaces, by their number of corners."""
    surfaces = {}
    for name, having in model.exported("surface"):
        if not having[0][1].of_nodes:
            by_size: dict[int, list[tuple[int, ...]]] = {}
            for scope, named in having:
                for entry in named.entries:
                    for row in model.faces(scope, entry):
                        by_size.setdefault(len(row), []).append(row)
            surfaces[name] = by_size
    return surfaces
