"""Two-phase Darcy flow as data for learning: values kept on a coarse grid of each member solved on a fine one."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from sciml import measure_label_errors, solve_members

_OPTIONS: dict[str, Any] = {"degree": 1, "cell_type": "tensor"}


def darcy_rate(seed: int = 0, members: int = 40, cells: int = 252, kept: int = 85) -> dict[str, float]:
    """How many members are solved and evaluated on one thread; the first one, which pays for what all share, apart.

    Parameters
    ----------
    seed : int
        Of the family.
    members, cells : int
        How many members; cells along each side.
    kept : int
        Values kept along each side.

    Returns
    -------
    dict
        ``members_per_second``: a CPU second.
    """
    grid = _grid(kept)
    run = solve_members("darcy/two_phase", members + 1, seed=seed, cells=cells, **_OPTIONS)
    next(run).evaluate(grid)
    start = time.process_time()
    for solution in run:
        solution.evaluate(grid)
    return {"members_per_second": members / (time.process_time() - start)}


def darcy_labels(seed: int = 0, members: int = 8, cells: int = 252, kept: int = 85) -> dict[str, float]:
    """The error of the kept values against members solved on finer meshes.

    Returns
    -------
    dict
        ``mean``, ``worst``: relative L2 over the members; ``order``: observed, where the medium is sampled anew.
    """
    found = measure_label_errors(
        "darcy/two_phase", members, _grid(kept), seed=seed, refinements=2, cells=cells, **_OPTIONS
    )
    return {"mean": found.mean, "worst": found.worst, "order": found.rate or 0.0}


def _grid(kept: int) -> np.ndarray:
    line = np.linspace(0, 1, kept)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
