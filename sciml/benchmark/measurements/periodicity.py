"""Periodicity by node identification."""

from __future__ import annotations

import numpy as np
from ufl import exp, grad, pi, sin

from sciml import Box, Dirichlet, Periodic, Problem, analyse, load_problem, solve
from sciml.fem import Discretisation
from sciml.fem.statics import solve_static


def periodicity() -> dict[str, float]:
    """A strip that is periodic along x, P1 to P3 on 8² cells, against the same system built and solved in NumPy.

    Returns
    -------
    dict
        ``identified_pP``: largest difference of unknowns that are one; ``dense_pP``: from a dense PᵀAP. Both relative
        to the largest value.
    """
    strip = Problem(
        domain=Box((0.0, 0.0), (1.0, 1.0)),
        flux=lambda u, x: (2 + sin(2 * pi * x[0])) * grad(u),
        load=lambda x: exp(x[0]) * x[1],
        conditions=[Periodic("left", "right"), Dirichlet(1.0, on=["bottom", "top"])],
    )
    figures = {}
    for degree in (1, 2, 3):
        disc = Discretisation(strip, strip.domain.mesh(8), degree)
        columns = _periodic_columns(disc)
        twin = _dense_twin(disc, columns)
        solve_static(disc, analyse(strip))
        found = disc.u.x.array
        first = np.unique(columns, return_index=True)[1]
        figures[f"identified_p{degree}"] = float(np.abs(found - found[first][columns]).max() / np.abs(found).max())
        figures[f"dense_p{degree}"] = float(np.abs(found - twin).max() / np.abs(twin).max())
    return figures


def effective_conductivity() -> dict[str, float]:
    """Effective conductivity of a periodic cell by default options of the reference, against the exact value 1.

    Returns
    -------
    dict
        ``contrast_10``, ``contrast_1000``: its error.
    """
    figures = {}
    for contrast in (10, 1000):
        solution = solve(load_problem("multiscale/periodic_cell", contrast=float(contrast)), "fenics")
        figures[f"contrast_{contrast}"] = abs(solution.quantities()["along"] - 1)
    return figures


def _periodic_columns(disc: Discretisation) -> np.ndarray:
    """Of a unit box that is periodic along x, the independent unknown of each one: by its coordinates."""
    places = np.round(disc.unknowns.points % [1.0, np.inf], 9) % [1.0, np.inf]
    return np.unique(places, axis=0, return_inverse=True)[1].ravel()


def _dense_twin(disc: Discretisation, columns: np.ndarray) -> np.ndarray:
    """The solution of Pᵀ A P w = Pᵀ b with Dirichlet values, by NumPy."""
    from dolfinx import fem

    matrix = fem.petsc.assemble_matrix(disc.jacobian)
    matrix.assemble()
    prolongation = np.eye(columns.max() + 1)[columns]
    reduced = prolongation.T @ matrix[:, :] @ prolongation
    right = -prolongation.T @ fem.assemble_vector(disc.residual).array
    dofs, values = disc.dirichlet
    solution = np.zeros(len(right))
    solution[columns[dofs]] = values
    free = np.setdiff1d(np.arange(len(right)), columns[dofs])
    solution[free] = np.linalg.solve(reduced[np.ix_(free, free)], (right - reduced @ solution)[free])
    return solution[columns]
