"""Learned multigrid: what its construction promises, iterations beside other cycles, seconds beside algebraic ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sciml.benchmark.measurements.linear_solvers import one_thread
from sciml.linear import LinearResult, LinearSolver, LinearSystem, Prepared, diffusion, linear_solver, poisson, solve
from sciml.linear.learned import Hierarchy, Layout, LearnedMultigrid, Level, stencil_of
from sciml.linear.petsc import solve_by_petsc
from sciml.linear.trained import read_network

__all__ = [
    "learned_mg_definite",
    "learned_mg_growth",
    "learned_mg_obstacles",
    "learned_mg_petsc",
    "learned_mg_plane",
    "learned_mg_space",
]

_OTHERS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "gamg": [("gamg", {}), ("gamg", {"threshold": 0.02, "aggressive": False})],
    "pyamg_sa": [("pyamg_sa", {}), ("pyamg_sa", {"strength": "evolution"})],
    "pyamg_rs": [("pyamg_rs", {}), ("pyamg_rs", {"theta": 0.5})],
    "untrained": [("learned_mg", {"network": "untrained"})],
    "icc": [("icc", {})],
}
"""Solvers and the settings that each is tried with; the fastest counts."""
_FAMILIES: dict[str, dict[str, float]] = {
    "1:100": {"anisotropy": 100, "angle": 30},
    "1:1000": {"anisotropy": 1000, "angle": 30},
    "1:1000 at 10": {"anisotropy": 1000, "angle": 10},
    "contrast": {"contrast": 1e4},
    "both": {"contrast": 1e4, "anisotropy": 100, "angle": 30},
}
_MOST = 400


def learned_mg_definite(vectors: int = 1000) -> dict[str, float]:
    """Whether the cycle in float32 is symmetric, and positive on random vectors, on systems that no training has seen.

    Returns
    -------
    dict
        ``asymmetry``, the largest |u·B v − v·B u|/(‖u‖ ‖B v‖); ``positive``, the smallest u·B u/(‖u‖ ‖B u‖) of all
        vectors; ``vectors``, how many on each of four systems.
    """
    asymmetry, positive = 0.0, np.inf
    with one_thread():
        for system in _unseen():
            prepared = LearnedMultigrid().setup(system)
            generator = np.random.default_rng(0)
            before = None
            for _ in range(vectors):
                u = generator.normal(size=system.size)
                Bu = prepared.apply(u)
                positive = min(positive, float(u @ Bu / (np.linalg.norm(u) * np.linalg.norm(Bu))))
                if before is not None:
                    v, Bv = before
                    asymmetry = max(asymmetry, float(abs(u @ Bv - v @ Bu) / (np.linalg.norm(u) * np.linalg.norm(Bv))))
                before = u, Bu
    return {"asymmetry": asymmetry, "positive": positive, "vectors": float(vectors)}


def _unseen() -> list[LinearSystem]:
    return [
        poisson((64, 64), obstacles=7),
        diffusion((63, 50), contrast=1e4, anisotropy=100, angle=30),
        poisson((16, 16, 16), obstacles=5),
        diffusion((15, 16, 18), anisotropy=100, angle=30),
    ]


def learned_mg_obstacles(geometries: int = 6, turns: int = 2) -> dict[str, float]:
    """Iterations to 1e-6 at 64², 128² and 256² with seven obstacles that no training has seen, beside other cycles.

    The others are red-black V(1,1) and V(2,2) on coarser cells, and a V-cycle with Chebyshev polynomials of the second
    degree on the levels of the learned one without its network.

    Returns
    -------
    dict
        ``learned N``, ``v11 N``, ``v22 N``, ``chebyshev N``, ``untrained N``: mean iterations at N²; ``ratio``, the
        largest over the sizes of the iterations over the fewest of the first three others; ``seconds ratio``, at
        256², CPU seconds with set-up over those of the faster of V(1,1) and V(2,2).
    """
    solvers: dict[str, LinearSolver] = {
        "learned": LearnedMultigrid(),
        "v11": linear_solver("gmg", sweeps=1),
        "v22": linear_solver("gmg", sweeps=2),
        "chebyshev": _Chebyshev(),
        "untrained": LearnedMultigrid(network="untrained"),
    }
    out: dict[str, float] = {}
    ratios, seconds = [], dict[str, float]()
    with one_thread():
        for n in (64, 128, 256):
            systems = [poisson((n, n), obstacles=7, seed=seed) for seed in range(geometries)]
            for name, solver in solvers.items():
                runs = [[solve(system, solver) for _ in range(turns if n == 256 else 1)] for system in systems]
                out[f"{name} {n}"] = float(np.mean([run[0].iterations for run in runs]))
                seconds[name] = sum(min(map(_seconds, run)) for run in runs)
            ratios.append(out[f"learned {n}"] / min(out[f"{name} {n}"] for name in ("v11", "v22", "chebyshev")))
    return out | {"ratio": max(ratios), "seconds ratio": seconds["learned"] / min(seconds["v11"], seconds["v22"])}


class _Chebyshev(LinearSolver):
    """A V-cycle with Chebyshev smoothing of the upper three quarters of the spectrum, two products each."""

    name, title = "chebyshev", "multigrid with Chebyshev smoothing"

    def setup(self, system: LinearSystem) -> Prepared:
        return _ChebyshevCycle(system)


class _ChebyshevCycle(Prepared):
    def __init__(self, system: LinearSystem) -> None:
        assert system.grid is not None
        self._grid, self._layout = system.grid, Layout(system.grid.shape)
        with torch.no_grad():
            stencil = stencil_of(system.grid, self._layout, torch.float64, "cpu")
            self._hierarchy = Hierarchy(stencil, self._layout, visits=1)
            self._largest = [_spectral_radius(level) for level in self._hierarchy.levels]

    def apply(self, r: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            line = self._layout.pack(torch.as_tensor(self._grid.spread(r)))
            x = self._layout.unpack(self._cycle(0, line))
        return self._grid.gather(x.contiguous().numpy())

    def _cycle(self, number: int, b: torch.Tensor) -> torch.Tensor:
        hierarchy = self._hierarchy
        if number == len(hierarchy.levels):
            return hierarchy.apply_coarsest(b)
        level = hierarchy.levels[number]
        b = level.root * b
        x = self._smooth(number, b)
        rest = level.transfer.restrict(level.rise * (b - level.multiply(x)))
        x = x + level.rise * level.transfer.prolong(self._cycle(number + 1, rest))
        x = x + self._smooth(number, b - level.multiply(x))
        return level.root * x

    def _smooth(self, number: int, b: torch.Tensor) -> torch.Tensor:
        """The second polynomial on [λ/4, 1.1 λ]."""
        level, largest = self._hierarchy.levels[number], self._largest[number]
        upper, lower = 1.1 * largest, 0.25 * largest
        middle, half = (upper + lower) / 2, (upper - lower) / 2
        rho = half / middle
        d = b / middle
        x = d
        following = 1 / (2 / rho - rho)
        return x + following * rho * d + (2 * following / half) * (b - level.multiply(x))


def _spectral_radius(level: Level) -> float:
    generator = torch.Generator().manual_seed(0)
    v = (level.root > 0) * torch.randn(level.layout.length, dtype=torch.float64, generator=generator)
    for _ in range(20):
        v = level.multiply(v / v.norm())
    return float(v.norm())


def learned_mg_growth() -> dict[str, float]:
    """Iterations to 1e-6 with seven unseen obstacles from 64² to 512².

    Returns
    -------
    dict
        ``N``, mean iterations at N² of three geometries; ``growth``, those at 512² over those at 64².
    """
    out: dict[str, float] = {}
    with one_thread():
        for n in (64, 128, 256, 512):
            runs = [solve(poisson((n, n), obstacles=7, seed=seed), "learned_mg") for seed in range(3)]
            out[str(n)] = float(np.mean([run.iterations for run in runs]))
    return out | {"growth": out["512"] / out["64"]}


def learned_mg_petsc() -> dict[str, float]:
    """PETSc's conjugate gradients with the cycle in float32 as a preconditioner, beside the native loop, to 1e-8.

    Returns
    -------
    dict
        ``difference``, the largest of iterations; ``residual``, the largest true relative one of PETSc's solutions.
    """
    differences, residuals = [], []
    with one_thread():
        for system in _unseen():
            # A recursion ends within its tolerance, and the true residual as much beside it as rounding is.
            ours = solve(system, "learned_mg", tolerance=1e-8)
            theirs = solve_by_petsc(system, LearnedMultigrid(), tolerance=1e-8)
            differences.append(abs(ours.iterations - theirs.iterations))
            residuals.append(theirs.residual)
    return {"difference": float(max(differences)), "residual": max(residuals)}


def learned_mg_plane(cells: int = 256) -> dict[str, float]:
    """Seconds to 1e-8 at 256² for anisotropic and rough coefficients, set-up in, beside algebraic multigrid.

    Families: 1:100 and 1:1000 turned by 30°, 1:1000 by 10°, contrast 10⁴, and contrast 10⁴ with 1:100 turned by 30°.
    White right side. Each of GAMG, PyAMG's smoothed aggregation and Ruge–Stüben is tried with two settings, of which
    the faster counts; on such systems the geometric multigrid to compare with is the cycle without its network.

    Returns
    -------
    dict
        For each family ``FAMILY ratio``, CPU seconds over those of the fastest of GAMG, PyAMG and the untrained cycle;
        ``FAMILY ratio amg`` over GAMG and PyAMG alone; ``FAMILY s``, ``FAMILY its`` and the same with the name of each
        other solver, where 400 iterations may stand for more; ``best``, the smallest ratio of all; ``best amg``;
        ``training CPU seconds``.
    """
    return _table((cells, cells), "learned_mg_2d")


def learned_mg_space(cells: int = 64) -> dict[str, float]:
    """The same as :func:`learned_mg_plane` at 64³.

    Returns
    -------
    dict
        As there.
    """
    return _table((cells,) * 3, "learned_mg_3d")


def _table(shape: tuple[int, ...], network: str) -> dict[str, float]:
    manifest, _ = read_network(network, "learned_mg")
    out = {"training CPU seconds": float(manifest["cpu_seconds"])}
    with one_thread():
        # What libraries load when they are first used is in no row.
        _fastest(diffusion((8,) * len(shape)), [("gamg", {}), ("pyamg_sa", {}), ("learned_mg", {})], turns=1)
        for family, coefficients in _FAMILIES.items():
            system = diffusion(shape, **coefficients)
            ours = _fastest(system, [("learned_mg", {})], turns=2)
            out[f"{family} s"], out[f"{family} its"] = _seconds(ours), float(ours.iterations)
            for name, settings in _OTHERS.items():
                found = _fastest(system, settings, turns=1)
                out[f"{family} {name} s"], out[f"{family} {name} its"] = _seconds(found), float(found.iterations)
            # One that did not get there in so many iterations is slower than this.
            algebraic = min(out[f"{family} {name} s"] for name in ("gamg", "pyamg_sa", "pyamg_rs"))
            out[f"{family} ratio amg"] = out[f"{family} s"] / algebraic
            out[f"{family} ratio"] = out[f"{family} s"] / min(algebraic, out[f"{family} untrained s"])
    out["best"] = min(out[f"{family} ratio"] for family in _FAMILIES)
    return out | {"best amg": min(out[f"{family} ratio amg"] for family in _FAMILIES)}


def _fastest(system: LinearSystem, settings: list[tuple[str, dict[str, Any]]], turns: int) -> LinearResult:
    """The fastest run that converged; if none did, the one that took longest."""
    runs = []
    for name, options in settings:
        for _ in range(turns):
            runs.append(solve(system, name, tolerance=1e-8, max_iterations=_MOST, **options))
    done = [run for run in runs if run.converged]
    return min(done, key=_seconds) if done else max(runs, key=_seconds)


def _seconds(found: LinearResult) -> float:
    return found.setup_cpu_seconds + found.solve_cpu_seconds
