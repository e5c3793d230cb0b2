"""Cells trained into laws: errors beside finite elements and beside peers, and what a point costs."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sciml import load_problem, solve
from sciml.benchmark.measurements._kept import kept_data
from sciml.datasets import generate_cell, open_cell_data
from sciml.datasets.cells import cell_of, draw_strains
from sciml.laws import Cell, CellModel, Law
from sciml.laws.reduced import ReducedCell
from sciml.problem import Problem
from sciml.surrogates.equino import CellFit, CellRun, EquinoLaw, evaluate_cell

__all__ = [
    "equino_cost",
    "equino_peers",
    "equino_published",
    "equino_solids",
    "equino_trained",
    "equino_untrained",
]

_SHOWN = ("homogenised", "shear", "tangent", "local")


def _data(cell: str, seed: int, count: int = 100) -> Path:
    """A data file, generated unless it is there."""
    path, problem = kept_data() / f"{cell.replace('/', '_')}_{count}_{seed}.h5", load_problem(cell)
    assert isinstance(problem, Cell)
    generate_cell(problem, path, count=count, seed=seed)
    return path


def _fitted(cell: str, seed: int, **options: Any) -> CellRun:
    """A training, on one thread."""
    torch.set_num_threads(1)
    return CellFit(cell, _data(cell, seed), options, seed=seed).run()


def _errors(run: CellRun, seed: int) -> dict[str, float]:
    """Errors on 100 fresh strains, and costs."""
    found = evaluate_cell(run, seed=seed)
    return {name: float(value) for name, value in found.items() if not isinstance(value, str)}


def equino_trained(
    cell: str = "rve/disc", cpu_seconds: float = 180.0, beside_warm: bool = True, seed: int = 0
) -> dict[str, float]:
    """A cell trained by the energy-weighted recipe on 100 snapshots, 16 modes, one thread; 100 fresh strains.

    Parameters
    ----------
    cell : str
    cpu_seconds : float
        Most that the training may take.
    beside_warm : bool
        Train a second time without physics.
    seed : int

    Returns
    -------
    homogenised, shear, tangent, local
        Relative errors of the mean stress, its shear component, the tangent, the local stress.
    worst
        Relative error of the mean stress of the worst strain.
    equilibrium
        Largest relative unbalanced forces of the branch of stresses.
    mismatch
        Mean relative mismatch between the two branches, the indicator that needs no truth.
    cpu_seconds
        Of the training.
    warm_over_tuned
        Error of the mean stress after the warm start on the snapshots alone, over that after the physics.
    tip, iterations, outside
        `solid/cook_two_scale` at 8 MPa in one step with the trained cell at its points: relative error of the tip's
        displacement against FE², iterations of Newton's method, points that left the training box.
    gain
        CPU time in the law at all points and iterations, the cell by finite elements over the trained one.
    """
    run = _fitted(cell, seed, cpu_seconds=cpu_seconds)
    found = _errors(run, seed)
    shown = {name: found[name] for name in (*_SHOWN, "worst", "equilibrium", "mismatch", "cpu_seconds")}
    if beside_warm:
        warm = _errors(_fitted(cell, seed, physics_steps=0), seed)["homogenised"]
        shown["warm_over_tuned"] = warm / found["homogenised"]
    problem = load_problem("solid/cook_two_scale")
    return shown | (_in_a_solid(run, problem) if problem.cell == cell else {})


def _in_a_solid(run: CellRun, problem: Problem) -> dict[str, float]:
    """A solid with a trained cell beside the cell itself: each quantity's relative error, and what it took."""
    with tempfile.TemporaryDirectory() as folder:
        run.save(Path(folder))
        made = solve(problem, "fe2", micro=folder, outside="fe")
    full = solve(problem, "fe2", micro="fe")
    errors = {name: abs(made.quantities()[name] / true - 1) for name, true in full.quantities().items()}
    return errors | {
        "iterations": float(made.iterations),
        "outside": float(len(made.details["outside"])),
        "gain": full.details["micro_cpu_seconds"] / made.details["micro_cpu_seconds"],
    }


def equino_solids(seed: int = 0) -> dict[str, float]:
    """The L-shaped panel and the plate with a hole in one step, with rve/disc trained by default options.

    Strains that leave the training box fall back to finite elements.

    Returns
    -------
    SOLID/QUANTITY
        Relative error of a displacement against FE²; solids are l_panel and plate.
    SOLID/iterations, SOLID/outside
        Of Newton's method; points that left the training box.
    SOLID/gain
        CPU time in the law at all points and iterations, the cell by finite elements over the trained one.
    """
    run, found = _fitted("rve/disc", seed), {}
    for name in ("l_panel", "plate"):
        figures = _in_a_solid(run, load_problem(f"solid/{name}_two_scale"))
        found |= {f"{name}/{key}": value for key, value in figures.items()}
    return found


def equino_untrained(seed: int = 0) -> dict[str, float]:
    """Both recipes' branches with random weights on rve/disc.

    Returns
    -------
    equilibrium_energy_weighted, equilibrium_as_published
        Largest relative unbalanced forces of the branch of stresses for 20 strains.
    """
    found = {}
    for recipe in ("energy_weighted", "as_published"):
        fit = CellFit("rve/disc", _data("rve/disc", seed), {"recipe": recipe}, seed=seed)
        bases, box = fit.training.bases, fit.data.box
        modes = bases.fluctuation, bases.stress, bases.mean_stress
        law = EquinoLaw(fit.training.branches, *modes, box, fit.data.about, model=fit.cell)
        fields = law.fields(draw_strains(box, 20, (seed, 4)))
        found[f"equilibrium_{recipe}"] = max(fit.cell.equilibrium_residual(own) for own in fields.stress)
    return found


def equino_published(seed: int = 0) -> dict[str, float]:
    """The recipe as published beside the linear map, on rve/disc, three CPU minutes.

    Returns
    -------
    homogenised, shear, tangent, local
        Relative errors of the recipe as published.
    linear_homogenised, linear_shear, linear_tangent, linear_local
        Of the linear map.
    cpu_seconds
        Of the training.
    homogenised_over_linear, shear_over_linear, tangent_over_linear
        Ratios of errors.
    """
    published, linear = (
        _errors(_fitted("rve/disc", seed, recipe=recipe), seed) for recipe in ("as_published", "linear")
    )
    own = {name: published[name] for name in (*_SHOWN, "cpu_seconds")}
    ratios = {f"{name}_over_linear": published[name] / linear[name] for name in ("homogenised", "shear", "tangent")}
    return own | {f"linear_{name}": linear[name] for name in _SHOWN} | ratios


def equino_peers(seed: int = 0) -> dict[str, float]:
    """Others on the same snapshots and with as many modes, on rve/disc.

    Returns
    -------
    supervised_homogenised, supervised_shear, supervised_tangent, supervised_local
        Relative errors of a network of the snapshots' coefficients, without physics, as many steps.
    supervised_cpu_seconds
        Of its training.
    reduced_homogenised, reduced_shear, reduced_tangent
        Of POD-Galerkin with empirical cubature.
    reduced_points
        Quadrature points that it keeps.
    """
    supervised = _errors(_fitted("rve/disc", seed, recipe="supervised"), seed)
    data = open_cell_data(_data("rve/disc", seed))
    cell = cell_of(data.about).model()
    reduced = ReducedCell(cell, data.strain, data.fluctuation, modes=16)
    strain = draw_strains(data.box, 100, (seed, 3))
    made, truth = reduced.evaluate(strain), cell.solve(strain, local=False)
    apart, slopes = made.stress - truth.stress, made.tangent - truth.tangent
    tangents = np.linalg.norm(slopes, axis=(1, 2)) / np.linalg.norm(truth.tangent, axis=(1, 2))
    return {
        **{f"supervised_{name}": supervised[name] for name in (*_SHOWN, "cpu_seconds")},
        "reduced_homogenised": float(np.linalg.norm(apart) / np.linalg.norm(truth.stress)),
        "reduced_shear": float(np.linalg.norm(apart[:, 2]) / np.linalg.norm(truth.stress[:, 2])),
        "reduced_tangent": float(tangents.mean()),
        "reduced_points": float(reduced.n_cubature),
    }


def equino_cost(batch: int = 1000, seed: int = 0) -> dict[str, float]:
    """CPU time of stress and tangent of a point of rve/disc, on one thread.

    Returns
    -------
    network
        Microseconds a point, a batch of them at once.
    network_alone
        Microseconds, one point at a time.
    cold, warm
        Milliseconds of a solve by finite elements with its tangent, from zero and from a strain 10 % away.
    reduced
        Microseconds a point of POD-Galerkin with empirical cubature, a batch at once.
    gain_cold, gain_warm, gain_reduced
        Over the network's batch.
    unknowns, batch
        Of the cell, of the batch.
    """
    torch.set_num_threads(1)
    data = open_cell_data(_data("rve/disc", seed))
    law = CellFit("rve/disc", data.path, {"warm_steps": 5, "physics_steps": 1}, seed=seed).run().law
    cell, strain = cell_of(data.about).model(), draw_strains(data.box, batch, (seed, 4))
    near = cell.solve(0.9 * strain[:20], local=False).state
    reduced = ReducedCell(cell, data.strain, data.fluctuation, modes=16)
    network, alone = _seconds(law, strain) / batch, _seconds(law, strain[:1])
    cold, warm = _solved(cell, strain[:20], None), _solved(cell, strain[:20], near)
    projected = _seconds(reduced, strain, times=2) / batch
    return {
        "network": 1e6 * network,
        "network_alone": 1e6 * alone,
        "cold": 1e3 * cold,
        "warm": 1e3 * warm,
        "reduced": 1e6 * projected,
        "gain_cold": cold / network,
        "gain_warm": warm / network,
        "gain_reduced": projected / network,
        "unknowns": float(cell.n_dofs),
        "batch": float(batch),
    }


def _seconds(law: Law, strain: np.ndarray, times: int = 10) -> float:
    """CPU time of an evaluation, the median of some."""
    law.evaluate(strain)
    spent = []
    for _ in range(times):
        start = time.process_time()
        law.evaluate(strain)
        spent.append(time.process_time() - start)
    return float(np.median(spent))


def _solved(cell: CellModel, strain: np.ndarray, state: dict[str, np.ndarray] | None) -> float:
    start = time.process_time()
    cell.solve(strain, state, local=False)
    return (time.process_time() - start) / len(strain)
