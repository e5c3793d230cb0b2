"""A sample of the classical data set of operator learning: forced flow on the torus by Fourier modes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from sciml import Problem, Solution, load_problem, solve


def vorticity_sample(seed: int = 0, duration: float = 20.0, modes: int = 128) -> dict[str, float]:
    """What a sample costs: viscosity 1e-5, the start that the authors' generator draws.

    Parameters
    ----------
    seed : int
        Of the start; member 1 is solved.
    duration : float
    modes : int
        Along each side.

    Returns
    -------
    dict
        ``seconds``: CPU seconds; ``steps``, ``shortest_step``, ``longest_step``.
    """
    solution, spent = _flow(_problem(duration, seed), modes=modes)
    shortest, longest = solution.details["step_range"]
    steps = float(solution.details["steps"])
    return {"seconds": spent, "steps": steps, "shortest_step": shortest, "longest_step": longest}


def vorticity_steps(duration: float = 20.0, modes: int = 128) -> dict[str, float]:
    """What the steps do to a sample: against equal steps of at most half the shortest one.

    Returns
    -------
    dict
        ``t_1``, ``t_10``, ``t_20``: relative difference on 64² points at these instants.
    """
    problem = _problem(duration)
    sample, _ = _flow(problem, modes=modes)
    steps, (shortest, _) = sample.details["steps"], sample.details["step_range"]
    halved, _ = _flow(problem, modes=modes, steps=2 * max(steps, round(duration / shortest)))
    return {f"t_{instant}": _gap(sample, halved, instant) for instant in (1, 10, 20) if instant <= duration}


def vorticity_modes(duration: float = 8.0, modes: int = 128) -> dict[str, float]:
    """What the modes do to a sample: against twice as many along each side.

    Returns
    -------
    dict
        ``t_2``, ``t_4``, ``t_8``: relative difference on 64² points at these instants.
    """
    problem = _problem(duration)
    coarse, fine = (_flow(problem, modes=n)[0] for n in (modes, 2 * modes))
    return {f"t_{instant}": _gap(coarse, fine, instant) for instant in (2, 4, 8) if instant <= duration}


def vorticity_schemes() -> dict[str, float]:
    """Integrators at about equal cost until T = 5: 400 steps of four evaluations, or 800 of two.

    Returns
    -------
    dict
        ``error_SCHEME``: against 1600 steps; ``seconds_SCHEME``: CPU seconds.
    """
    problem = _problem(5.0)
    truth, _ = _flow(problem, modes=128, steps=1600)
    figures = {}
    for scheme, steps in (("etdrk4", 400), ("ifrk4", 400), ("cn_heun", 800)):
        solution, spent = _flow(problem, modes=128, steps=steps, scheme=scheme)
        figures[f"error_{scheme}"] = _gap(solution, truth, 5.0)
        figures[f"seconds_{scheme}"] = spent
    return figures


def _problem(duration: float, seed: int = 0) -> Problem:
    amplitude = np.sqrt(2) * 7**0.75
    flow = load_problem("navier_stokes/vorticity", viscosity=1e-5, amplitude=amplitude, duration=duration)
    return flow.with_member(seed, 1)


def _flow(problem: Problem, **options: Any) -> tuple[Solution, float]:
    start = time.process_time()
    solution = solve(problem, "spectral", measure_error=False, snapshots=21, **options)
    return solution, time.process_time() - start


def _gap(one: Solution, other: Solution, instant: float) -> float:
    """Relative difference of the vorticity on 64² points."""
    a, b = (solution.at(instant).on_grid(64)[..., 0] for solution in (one, other))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))
