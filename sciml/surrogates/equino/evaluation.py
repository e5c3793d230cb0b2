"""Holding a trained cell against finite elements on fresh strains."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from sciml.datasets.cells import TOLERANCE, cell_of, draw_strains
from sciml.errors import OptionError
from sciml.laws import CellModel, CellResult
from sciml.surrogates.equino.law import EquinoLaw, stress_norm
from sciml.surrogates.equino.run import CellRun

__all__ = ["evaluate_cell", "law_errors"]


def evaluate_cell(run: CellRun, *, count: int = 100, seed: int = 0, model: CellModel | None = None) -> dict[str, Any]:
    """Errors of a trained cell on strains that it has not seen, solved now by finite elements.

    Parameters
    ----------
    run : CellRun
    count : int
        Strains, by a Latin hypercube in the training box that training never takes.
    seed : int
    model : CellModel, optional
        The cell, if it is at hand.

    Returns
    -------
    dict
        As :func:`law_errors`, with ``strains``, the costs of training, of its snapshots and of this evaluation.

    Raises
    ------
    OptionError
        A count below 1.
    OutputError
        The cell's declaration has changed since it was trained.
    """
    if count < 1:
        raise OptionError(f"count={count} was given; an evaluation takes 1 strain or more.")
    start = time.process_time()
    cell = cell_of(run["cell"]).model(tolerance=TOLERANCE) if model is None else model
    strain = draw_strains(run.law.box, count, (seed, 3))
    found = law_errors(run.law, strain, cell.solve(strain), cell)
    return {
        "strains": count,
        **found,
        "modes": run["options"]["modes"],
        "recipe": run["options"]["recipe"],
        "trainable_parameters": run["trainable_parameters"],
        "cpu_seconds": run["cpu_seconds"],
        "snapshots_cpu_seconds": run["data"]["cpu_seconds"],
        "evaluation_cpu_seconds": time.process_time() - start,
    }


def law_errors(law: EquinoLaw, strain: np.ndarray, truth: CellResult, cell: CellModel) -> dict[str, float]:
    """Errors of a law on solved strains (m, 3), all relative.

    Returns
    -------
    dict
        ``homogenised``: mean stresses of all strains together, and of these ``shear`` alone; ``median`` and ``worst``:
        of the single strains; ``tangent``: mean over strains, Frobenius norm; ``tangent_asymmetry``: of the same
        norm; ``local``: mean over strains of the stress in L², of the branch of stresses, and ``local_constitutive``
        of the laws at the displacement's strain; ``equilibrium``: largest unbalanced forces of the branch of stresses;
        ``mismatch``, ``residual``: mean indicators, see :meth:`EquinoLaw.trust`.
    """
    made, fields = law.evaluate(strain), law.fields(strain)
    apart, size = made.stress - truth.stress, np.linalg.norm(truth.stress, axis=1)
    single = np.linalg.norm(apart, axis=1) / size
    scale = stress_norm(truth.local_stress, cell.weights)
    tangents = np.linalg.norm(truth.tangent, axis=(1, 2))
    return {
        "homogenised": _ratio(apart, truth.stress),
        "shear": _ratio(apart[:, 2], truth.stress[:, 2]),
        "tangent": float((np.linalg.norm(made.tangent - truth.tangent, axis=(1, 2)) / tangents).mean()),
        "local": float((stress_norm(fields.stress - truth.local_stress, cell.weights) / scale).mean()),
        "local_constitutive": float(
            (stress_norm(fields.constitutive_stress - truth.local_stress, cell.weights) / scale).mean()
        ),
        "median": float(np.median(single)),
        "worst": float(single.max()),
        "tangent_asymmetry": float(
            (np.linalg.norm(made.tangent - made.tangent.transpose(0, 2, 1), axis=(1, 2)) / tangents).mean()
        ),
        "equilibrium": max(cell.equilibrium_residual(own) for own in fields.stress),
        **{name: float(values.mean()) for name, values in law.trust(strain).items()},
    }


def _ratio(apart: np.ndarray, whole: np.ndarray) -> float:
    return float(np.linalg.norm(apart) / np.linalg.norm(whole))
