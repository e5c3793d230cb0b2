"""Declare a PDE once, as a balance law in UFL; solve it with finite elements and with machine learning; compare."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sciml.errors import ScimlError, ScimlWarning
from sciml.problem import (
    Absorbing,
    Box,
    Choice,
    Dirichlet,
    DolfinxMesh,
    LogUniform,
    Matern,
    Mean,
    MeshData,
    MeshDomain,
    MeshFile,
    Neumann,
    Periodic,
    PointValue,
    Problem,
    Robin,
    Spectral,
    SquaredExponential,
    TruncatedNormal,
    Uniform,
    coefficient,
    ds,
    dx,
    parameter,
    random_field,
    scalar,
    threshold,
    vector,
)
from sciml.registry import load_problem

if TYPE_CHECKING:
    from sciml import shapes
    from sciml.datasets import generate, open_dataset
    from sciml.forms import analyse
    from sciml.solution import Field, Solution, load_solution
    from sciml.solvers.compare import Comparison, compare
    from sciml.solvers.members import LabelErrors, measure_label_errors, solve_members
    from sciml.solvers.run import solve
    from sciml.surrogates import train

__version__ = "0.1.0"

__all__ = [
    "Absorbing",
    "Box",
    "Choice",
    "Comparison",
    "Dirichlet",
    "DolfinxMesh",
    "Field",
    "LabelErrors",
    "LogUniform",
    "Matern",
    "Mean",
    "MeshData",
    "MeshDomain",
    "MeshFile",
    "Neumann",
    "Periodic",
    "PointValue",
    "Problem",
    "Robin",
    "ScimlError",
    "ScimlWarning",
    "Solution",
    "Spectral",
    "SquaredExponential",
    "TruncatedNormal",
    "Uniform",
    "analyse",
    "coefficient",
    "compare",
    "ds",
    "dx",
    "generate",
    "load_problem",
    "load_solution",
    "measure_label_errors",
    "open_dataset",
    "parameter",
    "random_field",
    "scalar",
    "shapes",
    "solve",
    "solve_members",
    "threshold",
    "train",
    "vector",
]

# What needs torch is imported when it is first used, so that declaring and listing problems stays quick.
_LAZY = {
    "Comparison": "sciml.solvers.compare",
    "Field": "sciml.solution",
    "LabelErrors": "sciml.solvers.members",
    "Solution": "sciml.solution",
    "analyse": "sciml.forms",
    "compare": "sciml.solvers.compare",
    "generate": "sciml.datasets",
    "load_solution": "sciml.solution",
    "measure_label_errors": "sciml.solvers.members",
    "open_dataset": "sciml.datasets",
    "solve": "sciml.solvers.run",
    "solve_members": "sciml.solvers.members",
    "train": "sciml.surrogates",
}


def __getattr__(name: str) -> Any:
    if name == "shapes":
        return importlib.import_module("sciml.shapes")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'sciml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
