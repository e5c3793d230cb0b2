"""What a PDE problem is: law, domain, conditions, parameters, coefficients, quantities of interest."""

from sciml.problem.coefficients import Coefficient, coefficient
from sciml.problem.conditions import Absorbing, Condition, Dirichlet, Mean, Neumann, Periodic, Robin
from sciml.problem.covariances import Matern, Spectral, SquaredExponential
from sciml.problem.domain import Box, Domain, Part
from sciml.problem.draws import Choice, LogUniform, TruncatedNormal, Uniform
from sciml.problem.evolution import Interval
from sciml.problem.families import Family
from sciml.problem.measures import ds, dx, part_id, part_name
from sciml.problem.mesh import MeshData, box_mesh, curve_mesh, read_mesh
from sciml.problem.meshdomain import DolfinxMesh, MeshDomain, MeshFile
from sciml.problem.parameters import Parameter, parameter
from sciml.problem.points import Points, grid_points
from sciml.problem.problem import BoundaryPiece, Declaration, Problem
from sciml.problem.quantities import PointValue
from sciml.problem.random_fields import Realisation, random_field, threshold
from sciml.problem.symbols import FieldKind, Slot, abstract_mesh, scalar, symbol, vector

__all__ = [
    "Absorbing",
    "BoundaryPiece",
    "Box",
    "Choice",
    "Coefficient",
    "Condition",
    "Declaration",
    "Dirichlet",
    "DolfinxMesh",
    "Domain",
    "Family",
    "FieldKind",
    "Interval",
    "LogUniform",
    "Matern",
    "Mean",
    "MeshData",
    "MeshDomain",
    "MeshFile",
    "Neumann",
    "Parameter",
    "Part",
    "Periodic",
    "PointValue",
    "Points",
    "Problem",
    "Realisation",
    "Robin",
    "Spectral",
    "Slot",
    "SquaredExponential",
    "TruncatedNormal",
    "Uniform",
    "abstract_mesh",
    "box_mesh",
    "coefficient",
    "curve_mesh",
    "ds",
    "dx",
    "grid_points",
    "parameter",
    "part_id",
    "part_name",
    "random_field",
    "read_mesh",
    "scalar",
    "symbol",
    "threshold",
    "vector",
]
