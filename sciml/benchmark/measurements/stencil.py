"""Lumped P1 waves against a stencil of fluxes, a second discretisation that shares no code with the first."""

from __future__ import annotations

from typing import Any

import numpy as np
from ufl import as_vector, exp, grad, inner, pi

from sciml import Absorbing, Box, Matern, Problem, load_problem, random_field, solve, threshold
from sciml.benchmark.measurements.flux_stencil import FluxStencil, at_centroids, hat_integrals, ricker

_CELLS, _WIDTH = 64, 0.05
_IMPEDANCE = {"left": 1.0, "right": 1.2, "bottom": 0.6, "top": 1.5}


def stencil(steps: int = 200) -> dict[str, float]:
    """Waves in two materials and in a random medium, 64² cells, after some steps: reference against stencil.

    Returns
    -------
    dict
        ``along_cells``, ``along_diagonals``: a held membrane of two materials that meet along cells or diagonals.
        ``random_phases``: with a different absorbing side all round. Relative differences over the nodes.
    """
    cases = {
        "along_cells": _membrane(0.0),
        "along_diagonals": _membrane(1.0),
        "random_phases": (_random_phases(), _twin_of_random_phases()),
    }
    figures = {}
    for name, (problem, twin) in cases.items():
        found, expected = _solved(problem, steps), twin.march(problem.time.end, steps)
        figures[name] = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    return figures


def _solved(problem: Problem, steps: int) -> np.ndarray:
    line = np.linspace(0, 1, _CELLS + 1)
    nodes = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    solution = solve(problem, scheme="explicit", degree=1, cells=_CELLS, steps=steps, measure_error=False)
    return solution.evaluate(nodes, problem.time.end).reshape(_CELLS + 1, _CELLS + 1)


def _gaussian(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.exp(-((x - 0.5) ** 2 + (y - 0.25) ** 2) / (2 * _WIDTH**2)) / (2 * np.pi * _WIDTH**2)


def _membrane(slope: float) -> tuple[Problem, FluxStencil]:
    """The catalogue's, whose line between the materials follows cells or diagonals."""

    def speed_squared(points: np.ndarray) -> np.ndarray:
        below = points[:, 1] < 0.5 + slope * (points[:, 0] - 0.5)
        return np.where(below, 0.6, 1.5) ** 2

    problem = load_problem("wave/two_materials", slope=slope, duration=1.2, frequency=3.0)
    load = hat_integrals(_gaussian, _CELLS)
    return problem, FluxStencil(*at_centroids(speed_squared, _CELLS), load, ricker(3.0))


def _random_phases() -> Problem:
    """A random medium of two phases behind sides that absorb, each in its own way."""

    def load(x: Any, t: Any) -> Any:
        away = x - as_vector([0.5, 0.25])
        a = (pi * 4 * (t - 0.3)) ** 2
        return exp(-inner(away, away) / (2 * _WIDTH**2)) / (2 * pi * _WIDTH**2) * (1 - 2 * a) * exp(-a)

    return Problem(
        domain=Box((0.0, 0.0), (1.0, 1.0)),
        time=1.0,
        coefficients={"c2": random_field(Matern(nu=1.5, length=0.2), modes=16, transform=threshold(0.5, 1.8))},
        mass=1.0,
        flux=lambda u, p: p.c2 * grad(u),
        load=load,
        initial=0.0,
        initial_velocity=0.0,
        conditions=[Absorbing(impedance=value, on=side) for side, value in _IMPEDANCE.items()],
    ).draw(3)


def _twin_of_random_phases() -> FluxStencil:
    phases = at_centroids(_random_phases().realisation("c2"), _CELLS)
    assert len(np.unique(phases)) == 2
    sides = {side: np.full(_CELLS, value) for side, value in _IMPEDANCE.items()}
    return FluxStencil(*phases, hat_integrals(_gaussian, _CELLS), ricker(4.0), sides)
