"""Deep conjugate directions beside solvers that learn nothing: iterations, seconds, sizes, geometries never seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from sciml.linear import LinearResult, LinearSystem, poisson, solve
from sciml.linear.trained import read_network

__all__ = ["dcdm_box", "dcdm_history", "dcdm_obstacles", "dcdm_sizes", "dcdm_space", "linear_baselines"]

_TOLERANCES = {"1e-4": 1e-4, "1e-6": 1e-6}


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch and BLAS on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def dcdm_box(cells: int = 64) -> dict[str, float]:
    """Iterations of the shipped network of the plane in a closed box with an open end, and what its training took.

    Returns
    -------
    dict
        ``dcdm 1e-4``, ``dcdm 1e-6``, ``cg 1e-4``, ``cg 1e-6``: of a smooth right side; ``noise 1e-6`` of a white one;
        ``training CPU seconds``, ``weights``.
    """
    manifest, _ = read_network("dcdm_2d", "dcdm")
    out = {"training CPU seconds": manifest["cpu_seconds"], "weights": float(manifest["trainable_parameters"])}
    with one_thread():
        system = poisson((cells, cells), walls="closed")
        for solver in ("dcdm", "cg"):
            found = solve(system, solver)
            out |= {f"{solver} {name}": float(_first(found, level)) for name, level in _TOLERANCES.items()}
        noise = poisson((cells, cells), walls="closed", rhs="noise")
        out["noise 1e-6"] = float(solve(noise, "dcdm").iterations)
    return out


def dcdm_obstacles(cells: int = 64, geometries: int = 8) -> dict[str, float]:
    """Iterations to 1e-6 over those of conjugate gradients, with seven obstacles that no training has seen.

    Returns
    -------
    dict
        ``ratio``, the sum of all iterations over that of conjugate gradients; ``worst`` of one geometry;
        ``fallen back``, geometries in which conjugate gradients took over; ``iterations``, ``cg iterations``, means.
    """
    with one_thread():
        pairs = [_beside_cg(poisson((cells, cells), obstacles=7, seed=seed)) for seed in range(geometries)]
    ours, theirs = (np.array([pair[k].iterations for pair in pairs], dtype=float) for k in (0, 1))
    return {
        "ratio": float(ours.sum() / theirs.sum()),
        "worst": float((ours / theirs).max()),
        "fallen back": float(sum("stagnated" in pair[0].status for pair in pairs)),
        "iterations": float(ours.mean()),
        "cg iterations": float(theirs.mean()),
    }


def dcdm_sizes() -> dict[str, float]:
    """The network of 64² at 128² and 256² as it is, with the fall-back, to 1e-6.

    Returns
    -------
    dict
        ``box 128``, ``obstacles 256``, …: iterations, and the same with ``cg``; ``worst``, the largest ratio of both;
        ``seconds 256``, ``icc seconds 256``, ``gmg seconds 256``: CPU seconds with set-up, with obstacles.
    """
    out: dict[str, float] = {}
    ratios = []
    with one_thread():
        for cells in (128, 256):
            for name, obstacles in (("box", 0), ("obstacles", 7)):
                system = poisson((cells, cells), obstacles=obstacles, walls="closed")
                ours, theirs = _beside_cg(system)
                out[f"{name} {cells}"], out[f"{name} {cells} cg"] = float(ours.iterations), float(theirs.iterations)
                ratios.append(ours.iterations / theirs.iterations)
        out["seconds 256"] = _seconds(ours)
        out |= {f"{name} seconds 256": _seconds(solve(system, name)) for name in ("cg", "icc", "gmg")}
    return out | {"worst": max(ratios)}


def dcdm_space(largest: int = 64) -> dict[str, float]:
    """The shipped network of space, trained at 24³, at 32³ and 64³ with obstacles, to 1e-6, beside ICC and multigrid.

    Parameters
    ----------
    largest : int
        64, or 32 for the smaller size alone.

    Returns
    -------
    dict
        For each size n and each solver ``NAME n`` its iterations and ``NAME n s`` its CPU seconds with set-up;
        ``worst``, the largest ratio of iterations to those of conjugate gradients; ``training CPU seconds``.
    """
    manifest, _ = read_network("dcdm_3d", "dcdm")
    out = {"training CPU seconds": manifest["cpu_seconds"], "weights": float(manifest["trainable_parameters"])}
    ratios = []
    with one_thread():
        for n in (32, 64):
            if n > largest:
                break
            system = poisson((n, n, n), obstacles=7)
            runs = {name: solve(system, name) for name in ("dcdm", "cg", "icc", "gmg")}
            for name, found in runs.items():
                out |= {f"{name} {n}": float(found.iterations), f"{name} {n} s": _seconds(found)}
            ratios.append(runs["dcdm"].iterations / runs["cg"].iterations)
    return out | {"worst": max(ratios)}


def dcdm_history(cells: int = 64) -> dict[str, float]:
    """What it brings to make a direction conjugate to k last ones: iterations to 1e-6 in the box, without fall-back.

    Returns
    -------
    dict
        ``k 0``, ``k 2``, ``k 10``; 400 stands for more.
    """
    with one_thread():
        system = poisson((cells, cells), walls="closed")
        counts = {
            f"k {k}": solve(system, "dcdm", directions=k, fall_back=False, max_iterations=400).iterations
            for k in (0, 2, 10)
        }
    return {name: float(count) for name, count in counts.items()}


def linear_baselines(cells: int = 64, turns: int = 2) -> dict[str, float]:
    """Solvers that learn nothing on cells³ with obstacles, plume, to 1e-6: iterations and CPU seconds, set-up apart.

    Returns
    -------
    dict
        ``NAME``, ``NAME set-up s``, ``NAME solve s`` of each, the best of some turns; ``largest residual`` of all.
    """
    out: dict[str, float] = {}
    residuals = []
    with one_thread():
        system = poisson((cells,) * 3, obstacles=7)
        for name in ("cg", "icc", "gamg", "pyamg_sa", "pyamg_rs", "gmg"):
            runs = [solve(system, name) for _ in range(turns)]
            best = min(runs, key=_seconds)
            out[name] = float(best.iterations)
            out[f"{name} set-up s"], out[f"{name} solve s"] = best.setup_cpu_seconds, best.solve_cpu_seconds
            residuals.append(max(run.residual for run in runs))
    return out | {"largest residual": max(residuals)}


def _beside_cg(system: LinearSystem) -> tuple[LinearResult, LinearResult]:
    return solve(system, "dcdm"), solve(system, "cg")


def _seconds(found: LinearResult) -> float:
    return found.setup_cpu_seconds + found.solve_cpu_seconds


def _first(found: Any, level: float) -> int:
    """The first iteration whose residual is within a level."""
    return int(np.argmax(np.array(found.history) <= level))
