"""Cells that are small enough for tests."""

import numpy as np

from sciml.laws import LinearElastic
from sciml.problem.mesh import MeshData, box_mesh

GLASS = LinearElastic(bulk_modulus=4.34523810e4, shear_modulus=2.99180328e4)
STRAINS = np.array([[0.01, -0.005, 0.02], [-0.03, 0.02, 0.01], [0.0, 0.0, 0.04]])


def square_with_inclusion(cells=4, cell_type="simplex"):
    """A square of 1.5 by 1 whose lower left middle is another phase."""
    mesh = box_mesh((0.0, 0.0), (1.5, 1.0), (cells, cells), cell_type)
    middles = mesh.points[mesh.corners].mean(axis=1)
    inside = (np.abs(middles - [0.6, 0.4]) < 0.3).all(axis=1)
    regions = {"matrix": np.flatnonzero(~inside), "inclusion": np.flatnonzero(inside)}
    return MeshData(mesh.points, mesh.cells, mesh.cell_type, 1, mesh.facet_groups, regions)
