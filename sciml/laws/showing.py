"""Fields in a cell as VTU, for ParaView."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from sciml.files import atomic_path
from sciml.laws.cell import CellModel
from sciml.problem.mesh import region_arrays, to_meshio

__all__ = ["write_cell"]


def write_cell(
    path: str | Path, cell: CellModel, strain: np.ndarray, fluctuation: np.ndarray, local_stress: np.ndarray
) -> Path:
    """Write displacement and fluctuation at the nodes, and stress and strain as the means of the elements.

    Parameters
    ----------
    path : path
        Ending in ``.vtu``.
    cell : CellModel
    strain : (3,) array
        The macroscopic one.
    fluctuation : (n_dofs,) array
    local_stress : (n_points, 3) array
    """
    elements = cell.elements
    mesh = replace(cell.mesh, points=elements.nodes, cells=elements.cells, degree=2, facet_groups={})
    nodal = {
        "displacement": cell.displacement(strain, fluctuation),
        "fluctuation": cell.fluctuation_at_nodes(fluctuation),
    }
    local = {"stress": local_stress, "strain": strain + cell.numbered.strains(fluctuation)}
    content = to_meshio(
        mesh,
        {name: np.pad(values, ((0, 0), (0, 1))) for name, values in nodal.items()},
        {name: _means(cell, values) for name, values in local.items()} | region_arrays(mesh),
    )
    with atomic_path(path) as temporary:
        content.write(temporary, file_format="vtu")
    return Path(path)


def _means(cell: CellModel, values: np.ndarray) -> np.ndarray:
    """Means of the elements (n_cells, 3), of values at the quadrature points."""
    weights = cell.weights.reshape(-1, cell.elements.points_per_cell, 1)
    return (weights * values.reshape(*weights.shape[:2], 3)).sum(axis=1) / weights.sum(axis=1)
