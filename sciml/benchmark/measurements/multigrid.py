"""Multigrid on labelled cells against algebraic multigrid of PETSc on the assembled matrix."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from sciml.linear import DIRICHLET, FLUID, SOLID, Cells, Multigrid

__all__ = ["multigrid_against_gamg", "obstacle_cells", "plume"]

_TOLERANCE = 1e-8
_GAMG = {
    "default": {},
    "threshold 0.02": {"pc_gamg_threshold": "0.02", "pc_gamg_aggressive_coarsening": "0"},
}
"""Options of PETSc's algebraic multigrid; the faster of the two counts."""


def multigrid_against_gamg(cells: int = 128, turns: int = 3) -> dict[str, float]:
    """CPU seconds to a relative true residual of 1e-8, set-up counted in, of both methods by turns on one thread.

    The cells of :func:`obstacle_cells` with the right side of :func:`plume`. Multigrid begins with the labels; PETSc's
    conjugate gradients with GAMG begin with the assembled matrix as CSR arrays, so that its assembly is not counted.
    Of each the best of `turns` turns counts, and of GAMG the faster of two settings in the first turn: its default, and
    a threshold of 0.02 without aggressive coarsening. Both stop by the unpreconditioned residual.

    Parameters
    ----------
    cells : int
        Along each of the three axes; 128 is the size of the stated figure, which takes some minutes, most of them for
        the slower setting of GAMG.
    turns : int

    Returns
    -------
    dict
        ``unknowns``; ``ratio`` of seconds (multigrid over GAMG), ``ratio_float64`` with the cycle in
        double precision too; ``multigrid_seconds``, ``multigrid_setup_seconds``,
        ``multigrid_iterations``, ``multigrid_residual``; ``multigrid_float64_seconds`` with the cycle in double
        precision too; the same of ``gamg_…``; ``gamg_default_seconds``, ``gamg_threshold_seconds`` of each setting;
        ``difference``, relative, between the solutions.
    """
    grid = obstacle_cells(cells)
    right = plume(grid)
    matrix, b = grid.matrix, right[grid.fluid]
    runs: dict[str, list[dict[str, Any]]] = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            for turn in range(turns):
                # Cells anew, since they keep what they have computed.
                for name, precision in (("float32", torch.float32), ("float64", torch.float64)):
                    runs.setdefault(name, []).append(_multigrid(Cells(grid.labels), right, precision))
                # The first turn tells which setting is the faster.
                again = _GAMG if turn == 0 else [min(_GAMG, key=lambda name: runs[name][0]["seconds"])]
                for name in again:
                    runs.setdefault(name, []).append(_gamg(matrix, b, _GAMG[name]))
    finally:
        torch.set_num_threads(threads)
    best = {name: min(found, key=lambda run: run["seconds"]) for name, found in runs.items()}
    ours, theirs = best["float32"], min((best[name] for name in _GAMG), key=lambda run: run["seconds"])
    out = {"unknowns": float(len(b)), "ratio": ours["seconds"] / theirs["seconds"]}
    out["ratio_float64"] = best["float64"]["seconds"] / theirs["seconds"]
    for name, run in (("multigrid", ours), ("gamg", theirs)):
        residual = np.linalg.norm(b - matrix @ run["values"]) / np.linalg.norm(b)
        out |= {f"{name}_{key}": float(run[key]) for key in ("seconds", "setup_seconds", "iterations")}
        out[f"{name}_residual"] = float(residual)
    return out | {
        "multigrid_float64_seconds": best["float64"]["seconds"],
        "gamg_default_seconds": best["default"]["seconds"],
        "gamg_threshold_seconds": best["threshold 0.02"]["seconds"],
        "difference": float(np.linalg.norm(ours["values"] - theirs["values"]) / np.linalg.norm(theirs["values"])),
    }


def obstacle_cells(n: int, dim: int = 3) -> Cells:
    """A box of n cells along each axis without flux through its walls, but open (Dirichlet) at the top.

    In it a ball and a cube without flux, and a ball that is held.
    """
    labels = np.full((n + 2,) * dim, FLUID)
    for axis in range(dim):
        lines = np.moveaxis(labels, axis, 0)
        lines[0] = lines[-1] = SOLID
    labels[..., -1] = DIRICHLET
    place = _places(np.arange(n + 2), n, dim)
    labels[((place - _at(0.5, 0.5, 0.45, dim=dim)) ** 2).sum(axis=0) < 0.14**2] = SOLID
    labels[np.abs(place - _at(0.25, 0.75, 0.3, dim=dim)).max(axis=0) < 0.08] = SOLID
    labels[((place - _at(0.78, 0.25, 0.7, dim=dim)) ** 2).sum(axis=0) < 0.09**2] = DIRICHLET
    return Cells(labels)


def plume(cells: Cells, seed: int = 1) -> np.ndarray:
    """A smooth right side on the fluid cells: six dipoles at random places, each the slope of a Gaussian."""
    dim, n = cells.dim, cells.shape[0]
    generator = np.random.default_rng(seed)
    place = _places(np.arange(1, n + 1), n, dim)
    right = np.zeros(cells.shape)
    for _ in range(6):
        centre, axis = generator.uniform(0.1, 0.9, (dim, *(1,) * dim)), int(generator.integers(dim))
        width, sign = generator.uniform(0.03, 0.08), generator.choice([-1, 1])
        away = place - centre
        right += sign * away[axis] / width * np.exp(-(away**2).sum(axis=0) / (2 * width**2))
    return np.where(cells.fluid, right, 0.0)


def _places(numbers: np.ndarray, n: int, dim: int) -> np.ndarray:
    return np.stack(np.meshgrid(*[(numbers - 0.5) / n] * dim, indexing="ij"))


def _at(*coordinates: float, dim: int) -> np.ndarray:
    return np.array(coordinates[:dim]).reshape(dim, *(1,) * dim)


def _multigrid(cells: Cells, right: np.ndarray, precision: torch.dtype) -> dict[str, Any]:
    start = time.process_time()
    multigrid = Multigrid(cells, precision=precision)
    ready = time.process_time()
    found = multigrid.solve(right, tolerance=_TOLERANCE)
    end = time.process_time()
    values = found.values.numpy()[cells.fluid]
    return _run(start, ready, end, found.iterations, values)


def _gamg(matrix: Any, b: np.ndarray, options: dict[str, str]) -> dict[str, Any]:
    from sciml.environment import require

    require()
    # Its stubs know neither its arrays nor its enumerations.
    PETSc: Any = import_module("petsc4py.PETSc")

    start = time.process_time()
    shape, arrays = matrix.shape, (matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data)
    A = PETSc.Mat().createAIJ(shape, csr=arrays, comm=PETSc.COMM_SELF)
    A.setOption(PETSc.Mat.Option.SPD, True)
    right, x = A.createVecLeft(), A.createVecRight()
    right.setArray(b)
    solver = PETSc.KSP().create(PETSc.COMM_SELF)
    solver.setOptionsPrefix("measured_")
    database = PETSc.Options("measured_")
    for key, value in options.items():
        database[key] = value
    solver.setOperators(A)
    solver.setType("cg")
    solver.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    solver.setTolerances(rtol=_TOLERANCE, max_it=1000)
    solver.getPC().setType("gamg")
    solver.setFromOptions()
    solver.setUp()
    ready = time.process_time()
    solver.solve(right, x)
    end = time.process_time()
    for key in options:
        database.delValue(key)
    run = _run(start, ready, end, solver.getIterationNumber(), x.getArray().copy())
    for made in (solver, A, right, x):
        made.destroy()
    return run


def _run(start: float, ready: float, end: float, iterations: int, values: np.ndarray) -> dict[str, Any]:
    return {"seconds": end - start, "setup_seconds": ready - start, "iterations": iterations, "values": values}
