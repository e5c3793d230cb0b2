"""Whether a problem is stabilised on a mesh: the choice, the reason, and the mesh Péclet number that it goes by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import ufl

from sciml.errors import OptionError
from sciml.forms.advection import Transport, times_to_try, transport
from sciml.forms.pointwise import PointwiseOperator, condition_value, initial_value, pointwise
from sciml.forms.program import Program
from sciml.problem import MeshData, Problem

__all__ = ["StabilisationChoice", "choose_stabilisation", "mesh_peclet", "refuse_stabilisation"]

_MANY = 20_000
"""Cells beyond which the mesh Péclet number is taken on a part of them."""


@dataclass(frozen=True)
class StabilisationChoice:
    """Whether terms are added, and why.

    Attributes
    ----------
    name : {"supg", "none"}
    reason : str
    """

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


def refuse_stabilisation(problem: Problem, requested: str) -> None:
    """Raise if stabilisation is asked for that there is none of.

    Raises
    ------
    OptionError
    """
    obstacle = _obstacle(problem)
    if requested == "supg" and obstacle is not None:
        raise OptionError(f"stabilisation=supg: {obstacle}; leave it at auto.")


def _obstacle(problem: Problem) -> str | None:
    if problem.declaration.weak is not None:
        return "the law is a weak form, in which nothing can be read"
    if not transport(problem):
        return "the law has no advective part"
    if problem.declaration.mass is not None:
        return "laws with ∂²u/∂t² are not stabilised"
    return None


def choose_stabilisation(requested: str, problem: Problem, data: MeshData, degree: int) -> StabilisationChoice:
    """Choose by the mesh Péclet number on one mesh; all levels of a hierarchy take the choice of the coarsest.

    Parameters
    ----------
    requested : {"auto", "none", "supg"}
    problem : Problem
    data : MeshData
    degree : int
    """
    obstacle = _obstacle(problem)
    if obstacle is not None:
        return StabilisationChoice("none", obstacle)
    if requested != "auto":
        return StabilisationChoice(requested, "as asked")
    if not all(carried.diffuses for carried in transport(problem)):
        return StabilisationChoice("supg", "there is no diffusion")
    number = mesh_peclet(problem, data, degree)
    if number > 1:
        return StabilisationChoice("supg", f"mesh Péclet number up to {number:.3g} on the coarsest mesh")
    return StabilisationChoice("none", f"mesh Péclet number of at most {number:.2g}")


def mesh_peclet(problem: Problem, data: MeshData, degree: int) -> float:
    """The largest |b| h/(2 p κ) of all cells, with the length h of the cell and the diffusivity κ along the wind b.

    A wind that depends on the unknown is taken at the values that boundary and initial data prescribe, without a slope;
    what depends on time at the start, the middle and the end.
    """
    cells = np.arange(len(data.cells))[:: max(1, len(data.cells) // _MANY)]
    corners = data.points[data.corners[cells]]
    middle = corners.mean(axis=1)
    inner = (corners + middle[:, None]) / 2
    gradients = _corner_gradients(corners, simplex=data.cell.is_simplex)
    per_cell = inner.shape[1] + 1
    points = np.concatenate([middle[:, None], inner], axis=1).reshape(-1, problem.dim)
    largest = 0.0
    for carried in transport(problem):
        for now in times_to_try(problem):
            wind, spread = _at_given_values(now, carried, points)
            squared = np.einsum("ni,ni->n", wind, wind)
            rate = np.abs(np.einsum("nai,ni->na", np.repeat(gradients, per_cell, axis=0), wind)).sum(axis=1)
            along = np.abs(np.einsum("ni,nij,nj->n", wind, spread, wind))
            with np.errstate(divide="ignore", invalid="ignore"):
                numbers = squared**2 / (rate * degree * along)
            largest = max(largest, float(np.where(squared > 0, numbers, 0.0).max()))
    return largest


def _corner_gradients(corners: np.ndarray, *, simplex: bool) -> np.ndarray:
    """Gradients of the linear functions of cells in their middle: (n_cells, n_functions, dim)."""
    dim = corners.shape[2]
    edges = corners[:, 1 : dim + 1] - corners[:, :1] if simplex else _tensor_edges(corners)
    inverse = np.linalg.inv(edges).transpose(0, 2, 1)
    if simplex:
        return np.concatenate([inverse, -inverse.sum(axis=1, keepdims=True)], axis=1)
    signs = np.stack(np.meshgrid(*[[1.0, -1.0]] * dim), axis=-1).reshape(-1, dim)
    return 0.5 ** (dim - 1) * np.einsum("sk,nki->nsi", signs, inverse)


def _tensor_edges(corners: np.ndarray) -> np.ndarray:
    """∂x/∂ξ in the middle of quadrilaterals and hexahedra, a row for each axis of the reference cell."""
    after, before = {4: ((1, 2), (0, 3)), 8: ((1, 2, 5, 6), (0, 3, 4, 7))}[corners.shape[1]]
    axes = [corners[:, after].mean(axis=1) - corners[:, before].mean(axis=1)]
    after, before = {4: ((2, 3), (0, 1)), 8: ((2, 3, 6, 7), (0, 1, 4, 5))}[corners.shape[1]]
    axes.append(corners[:, after].mean(axis=1) - corners[:, before].mean(axis=1))
    if corners.shape[1] == 8:
        axes.append(corners[:, 4:].mean(axis=1) - corners[:, :4].mean(axis=1))
    return np.stack(axes, axis=1)


def _at_given_values(problem: Problem, carried: Transport, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wind and κ at points; where they depend on the unknown, at the value for which the wind is fastest."""
    dim = problem.dim
    program = problem.derived(("wind and spread", carried.component), lambda: _program(problem, carried))
    operator = PointwiseOperator(problem, program)
    values = _prescribed(problem) if operator.keys else np.zeros((1, problem.n_components))
    x = torch.tensor(points)
    best: np.ndarray | None = None
    for value in values:
        jet = {key: torch.full((len(points),), 0.0 if key.axes else value[key.component]) for key in operator.keys}
        with torch.no_grad():
            found = operator(x, {key: column.double() for key, column in jet.items()}).numpy()
        if best is None:
            best = found
        else:
            faster = np.linalg.norm(found[:, :dim], axis=1) > np.linalg.norm(best[:, :dim], axis=1)
            best = np.where(faster[:, None], found, best)
    assert best is not None
    return best[:, :dim], best[:, dim:].reshape(-1, dim, dim)


def _program(problem: Problem, carried: Transport) -> Program:
    dim = problem.dim
    spread = [carried.diffusivity[i, j] for i in range(dim) for j in range(dim)]
    return pointwise(problem, ufl.as_vector([*(carried.velocity[i] for i in range(dim)), *spread])).program


def _prescribed(problem: Problem) -> np.ndarray:
    """Smallest and largest values of every component in the data of boundary and start: (2, k)."""
    generator = np.random.default_rng(0)
    bounds = np.zeros((2, problem.n_components))
    inside = problem.domain.sample(256, generator)
    for c in range(problem.n_components):
        values = [np.zeros(1)]
        if problem.evolves:
            values.append(initial_value(problem, c).at(inside))
        for piece in problem.boundary_pieces:
            condition = piece.conditions[c]
            if condition in problem.dirichlet:
                assert condition is not None
                values.append(condition_value(problem, condition, c).at(piece.part.sample(32, generator)[0]))
        joined = np.concatenate(values)
        bounds[:, c] = joined.min(), joined.max()
    return bounds
