"""Periodic cells and solids made of them: identities, costs, the reduced cell, and ranges that are left."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
from scipy.stats import qmc

from sciml import load_problem, solve
from sciml.laws import J2, CellModel, Law, Matrix, ReducedCell
from sciml.solvers.fe2.macro import MacroSystem, Micro, equilibrate

__all__ = ["cell_identities", "left_range", "plastic_cycle", "reduced_cell", "two_scale_cook"]

_BOX = 0.04
_CELL = "rve/disc"
_SOLID = "solid/cook_two_scale"


def _strains(count: int, seed: int) -> np.ndarray:
    """Strains of a Latin hypercube in (−0.04, 0.04)³."""
    return _BOX * (2 * qmc.LatinHypercube(3, rng=np.random.default_rng(seed)).random(count) - 1)


def _relative(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


def cell_identities() -> dict[str, float]:
    """What holds for stress and tangent of `rve/disc`, at eight strains of up to 0.04.

    Returns
    -------
    dict
        ``tangent`` (against central differences), ``symmetry``, ``hill_mandel`` (mean work of stress and strain, less
        that of the means), ``equilibrium`` (forces that are not balanced), all relative and the largest;
        ``homogeneous_fluctuation`` and ``homogeneous_stress`` of the cell with the matrix in both phases.
    """
    problem, strains, step = load_problem(_CELL), _strains(8, 1), 1e-6
    cell = problem.model(tolerance=1e-12)
    result = cell.solve(strains)
    differences = [
        (cell.solve(strains + step * axis).stress - cell.solve(strains - step * axis).stress) / (2 * step)
        for axis in np.eye(3)
    ]
    tangent = result.tangent
    work = []
    for strain, stress, w, local in zip(strains, result.stress, result.fluctuation, result.local_stress):
        mean = cell.mean((local * (strain + cell.numbered.strains(w))).sum(axis=1))
        work.append(abs(mean - stress @ strain) / abs(stress @ strain))
    same = CellModel(problem.domain.mesh(), {"matrix": Matrix(), "inclusion": Matrix()})
    homogeneous, law = same.solve(strains), Matrix().evaluate(strains)
    return {
        "tangent": _relative(np.stack(differences, axis=2), tangent),
        "symmetry": _relative(tangent.transpose(0, 2, 1), tangent),
        "hill_mandel": max(work),
        "equilibrium": max(cell.equilibrium_residual(local) for local in result.local_stress),
        "homogeneous_fluctuation": float(np.abs(homogeneous.fluctuation).max()),
        "homogeneous_stress": _relative(homogeneous.stress, law.stress),
    }


def plastic_cycle() -> dict[str, float]:
    """A cell whose phases are one plastic law, over a load cycle, against the law alone.

    Returns
    -------
    dict
        ``energy`` and ``stress``: relative differences of the work over the cycle and of all stresses on it.
    """
    law = J2(bulk_modulus=71660.0, shear_modulus=27280.0, yield_stress=243.0, hardening=2171.0)
    cell = CellModel(load_problem(_CELL).domain.mesh(), {"matrix": law, "inclusion": law}, tolerance=1e-12)
    found = [_driven(model) for model in (law, cell)]
    (alone, work), (within, other) = found
    return {"energy": abs(other - work) / abs(work), "stress": _relative(within, alone)}


def _driven(law: Law) -> tuple[np.ndarray, float]:
    """Stresses over a cycle of strains, and the work done on it."""
    path = np.concatenate([np.linspace(0, 1, 6), np.linspace(1, -1, 11)[1:], np.linspace(-1, 0, 6)[1:]])
    strains = path[:, None] * np.array([0.012, -0.004, 0.018])
    state, stresses, work = law.initial_state(1), [np.zeros(3)], 0.0
    for before, now in pairwise(strains):
        result = law.evaluate(now[None], state)
        state = result.state
        work += float((stresses[-1] + result.stress[0]) / 2 @ (now - before))
        stresses.append(result.stress[0])
    return np.array(stresses), work


def two_scale_cook() -> dict[str, float]:
    """`solid/cook_two_scale` at 8 MPa in one step, the cell by finite elements, on one thread.

    Returns
    -------
    dict
        ``iterations``, ``tip`` (mm), ``largest_strain``, ``points`` and ``unknowns of a cell``, ``CPU seconds``, and
        ``CPU milliseconds`` of one cell with its tangent, started from the last iteration.
    """
    solution = solve(_SOLID, "fe2")
    details = solution.details
    return {
        "iterations": float(solution.iterations),
        "tip": solution.quantities()["tip"],
        "largest_strain": max(details["largest_strain"]),
        "points": float(details["points"]),
        "unknowns of a cell": float(details["cell_unknowns"]),
        "CPU seconds": solution.cpu_seconds,
        "CPU milliseconds": 1e3 * details["micro_cpu_seconds"] / details["evaluations"],
    }


def _reduced(cell: CellModel, seed: int, box: float = _BOX) -> ReducedCell:
    strains = _strains(100, seed)
    return ReducedCell(cell, strains, cell.solve(strains, local=False).fluctuation, box=(-box, box))


def _solid(law: Law, fallback: Law | None = None) -> tuple[float, float, Micro, np.ndarray]:
    """The tip of the membrane, CPU seconds, the law with its counts, and the strains at all points."""
    problem = load_problem(_SOLID)
    system = MacroSystem(problem, problem.domain.mesh())
    micro, start = Micro(law, fallback, system.elements.points), time.process_time()
    end = equilibrate(
        system,
        micro,
        load_steps=1,
        tolerance=1e-8,
        max_iterations=20,
        within=lambda: True,
        report=lambda text: None,
    )
    seconds = time.process_time() - start
    tip = np.argmin(((system.elements.nodes - [48.0, 60.0]) ** 2).sum(axis=1))
    return float(end.displacement[2 * tip + 1]), seconds, micro, end.strain


def reduced_cell(seed: int = 1) -> dict[str, float]:
    """POD-Galerkin with empirical cubature on `rve/disc`: 16 modes, 100 snapshots, on 100 fresh strains; one thread.

    Parameters
    ----------
    seed : int
        Of the snapshots.

    Returns
    -------
    dict
        Relative errors ``stress``, ``shear`` and ``tangent`` of the whole set; ``points`` that are kept of 1290;
        ``CPU microseconds`` of one evaluation with tangent in a batch of 1000; ``cold`` and ``warm``: how many times
        faster than the cell by finite elements (1718 unknowns), from zero and from a strain 1 % away; ``tip``: relative
        error of Cook's membrane against FE²; ``membrane``: how many times less CPU time that takes.
    """
    cell, fresh = load_problem(_CELL).model(), _strains(100, 1000)
    law, start = _reduced(cell, seed), time.process_time()
    truth = cell.solve(fresh, local=False)
    cold, start = time.process_time() - start, time.process_time()
    cell.solve(1.01 * fresh, truth.state, local=False)
    warm = time.process_time() - start
    result, many = law.evaluate(fresh), np.tile(fresh, (10, 1))
    start = time.process_time()
    law.evaluate(many)
    own = (time.process_time() - start) / len(many)
    full, slow, _, _ = _solid(cell)
    tip, fast, _, _ = _solid(law)
    return {
        "stress": _relative(result.stress, truth.stress),
        "shear": _relative(result.stress[:, 2], truth.stress[:, 2]),
        "tangent": _relative(result.tangent, truth.tangent),
        "points": float(law.n_cubature),
        "CPU microseconds": 1e6 * own,
        "cold": cold / len(fresh) / own,
        "warm": warm / len(fresh) / own,
        "tip": abs(tip / full - 1),
        "membrane": slow / fast,
    }


def left_range(seed: int = 1) -> dict[str, float]:
    """Cook's membrane with the reduced cell, whose range is two thirds of the largest strain: 50 % beyond it.

    Parameters
    ----------
    seed : int
        Of the snapshots.

    Returns
    -------
    dict
        ``missed``: points outside at the end that were not found; ``points`` that were found; ``tip``: relative error
        with the fall-back, ``inside``: the same without a limit; ``all``: the same with every point falling back.
    """
    cell = load_problem(_CELL).model()
    full, _, _, strains = _solid(cell)
    law = _reduced(cell, seed)
    inside, _, _, _ = _solid(law)
    limit = float(np.abs(strains).max()) / 1.5
    law.low, law.high = -limit, limit
    tip, _, micro, strain = _solid(law, cell)
    missed = (np.abs(strain) > limit).any(axis=1) & ~micro.found_outside
    found = int(micro.found_outside.sum())
    law.low, law.high = 1.0, 2.0
    everywhere, _, _, _ = _solid(law, cell)
    return {
        "missed": float(missed.sum()),
        "points": float(found),
        "tip": abs(tip / full - 1),
        "inside": abs(inside / full - 1),
        "all": abs(everywhere / full - 1),
    }
