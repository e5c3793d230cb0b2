"""The linear systems of declared problems, as arrays, for the solvers of `sciml.linear`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse
from mpi4py import MPI

from sciml.errors import UnsupportedError
from sciml.fem.constraints import Independent, Reduced
from sciml.fem.discretisation import Discretisation
from sciml.forms import analyse
from sciml.linear import Grid, LinearSystem
from sciml.problem import Box, Problem

__all__ = ["linear_system"]


def linear_system(problem: Problem, shape: Sequence[int] | None = None, *, degree: int = 1) -> LinearSystem:
    """The stiffness matrix of the free unknowns and its load, assembled by DOLFINx.

    Parameters
    ----------
    problem : Problem
        Stationary, linear, symmetric and positive.
    shape : (dim,) sequence of int, optional
        Cells along each axis of a box, which are tensor cells; other domains have a mesh of their own.
    degree : int
        Of the elements.

    Returns
    -------
    LinearSystem
        On a grid where the free unknowns are one: scalar, on a box whose sides are held as a whole or not at all.

    Raises
    ------
    UnsupportedError
        The problem is not of that kind; one sentence.
    """
    _check(problem)
    box = isinstance(problem.domain, Box)
    data = problem.domain.mesh(shape, "tensor") if box else problem.domain.mesh()
    disc = Discretisation(problem, data, degree, MPI.COMM_SELF)
    independent = Independent(disc)
    reduced = Reduced(independent, disc.jacobian)
    held, values = independent.prescribed(disc.dirichlet)
    state = independent.state()
    state.array[held] = values
    independent.load(state)
    out = independent.vector()
    independent.residual(out)
    pointers, columns, entries = reduced.assemble().getValuesCSR()
    size = len(pointers) - 1
    matrix = scipy.sparse.csr_array((entries, columns, pointers), shape=(size, size))
    load = -out.array_r.copy()
    component = independent.values(disc.unknowns.component)
    lattice = disc.lattice
    free = np.setdiff1d(np.arange(size), held) if lattice is None else lattice.free
    for made in (reduced, out, state, independent):
        made.destroy()
    matrix = _cleaned(matrix[free][:, free])
    kernel = [_unit(component[free] == c) for c in analyse(problem).free_constants]
    grid = None if lattice is None else Grid.of_matrix(matrix, lattice.shape)
    about = f"{problem.name}, {size} degrees of freedom of degree {degree}, {len(free)} of them free"
    return LinearSystem(load[free], grid, None if grid else matrix, kernel, problem.name, about)


def _check(problem: Problem) -> None:
    analysis = analyse(problem)
    if problem.evolves:
        why = "runs in time"
    elif not analysis.linear:
        why = "is not linear"
    elif not (analysis.symmetric and analysis.monotone):
        why = "has no symmetric positive law"
    elif len(problem.layout) > 1:
        why = "has several fields"
    else:
        return
    raise UnsupportedError(f"{problem.name} {why}; these solvers are for one symmetric positive definite system.")


def _cleaned(matrix: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Exactly symmetric, and without what assembly leaves of zeros."""
    even = scipy.sparse.csr_array((matrix + matrix.T) / 2)
    even.data[np.abs(even.data) < 1e-14 * np.abs(even.data).max()] = 0.0
    even.eliminate_zeros()
    return even


def _unit(mask: np.ndarray) -> np.ndarray:
    return mask / np.sqrt(mask.sum())
