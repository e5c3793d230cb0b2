"""The Gaussian-process solver on high frequencies: errors, CPU seconds, and what it knows of its errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import ufl
from ufl import conditional, cos, exp, grad, pi, sin, tanh

from sciml import Box, Dirichlet, Problem, Solution, load_problem, solve
from sciml.solvers.gp.features import Axis, Mixture
from sciml.solvers.gp.system import System, rows_along
from sciml.solvers.gp.uncertainty import DensePosterior

__all__ = [
    "gp_beside_others",
    "gp_coverage",
    "gp_fixed_grid",
    "gp_in_several_dimensions",
    "gp_indicator",
    "gp_on_an_interval",
    "gp_random_loads",
    "gp_sparse_weights",
    "gp_student_t",
    "gp_variable_coefficient",
    "gp_variable_projection",
]


def _poisson(exact: Callable[[Any], Any], length: float = 1.0, dim: int = 1, **changes: Any) -> Problem:
    """−Δu = f with a solution that is given, and its values all round."""
    law: dict[str, Any] = {
        "domain": Box((0.0,) * dim, (length,) * dim) if dim > 1 else Box(0.0, length),
        "flux": lambda u: grad(u),
        "exact": exact,
        "conditions": [Dirichlet(on="boundary")],
    }
    return Problem(**(law | changes))


def _three(s: Any) -> Any:
    return sin(s) + 0.1 * sin(20 * s) + cos(100 * s)


def _allen_cahn_2d() -> Problem:
    """Δu + u (u² − 1) = f with a product of three waves along each axis."""
    return _poisson(lambda x: _three(x[0]) * _three(x[1]), dim=2, reaction=lambda u: u - u**3)


def _waves_3d() -> Problem:
    k = 32 * pi

    def exact(x: Any) -> Any:
        return sin(k * x[0]) * sin(k * x[1]) * sin(k * x[2]) + sin(3 * pi * x[0]) * sin(k * x[1]) * sin(2 * pi * x[2])

    return _poisson(exact, dim=3)


_INTERVAL: dict[str, Callable[[], Problem]] = {
    "sin 100x": lambda: load_problem("multiscale/sine"),
    "sin 6x cos 100x": lambda: load_problem("multiscale/product"),
    "x sin 200x": lambda: load_problem("multiscale/growing_wave"),
    "sin 500x − 2(x − ½)²": lambda: load_problem("multiscale/wave_on_parabola"),
    "three scales, cosine": lambda: load_problem("multiscale/three_scales", length=1.0),
    "three scales, sine": lambda: load_problem("multiscale/three_scales", length=1.0, third="sin"),
    "Allen–Cahn sin 100x": lambda: load_problem("allen_cahn/sine"),
    "Allen–Cahn sin 6x cos 100x": lambda: load_problem("allen_cahn/product"),
    "chirp sin 80x²": lambda: _poisson(lambda x: sin(80 * x[0] ** 2)),
    "Gabor exp(−20(x − ½)²) sin 300x": lambda: _poisson(lambda x: exp(-20 * (x[0] - 0.5) ** 2) * sin(300 * x[0])),
    "tanh 10(x − ½) + 0.1 sin 200x": lambda: _poisson(lambda x: tanh(10 * (x[0] - 0.5)) + 0.1 * sin(200 * x[0])),
}


def _measured(found: dict[str, float], name: str, problem: Problem, **options: Any) -> Solution:
    start = time.process_time()
    solution = solve(problem, "gp", **options)
    found[f"{name}: CPU seconds"] = time.process_time() - start
    found[f"{name}: relative L2"] = solution.error().relative_l2
    estimate = solution.error_estimate
    found[f"{name}: estimated relative L2"] = float("nan") if estimate is None else estimate.relative_l2
    found[f"{name}: off-grid residual"] = solution.details["off_grid_residual"]
    return solution


def gp_on_an_interval() -> dict[str, float]:
    """Poisson's and the Allen–Cahn equation on an interval, with default options.

    Returns
    -------
    dict
        ``"NAME: relative L2"``, ``"NAME: CPU seconds"`` (analysis of the declaration and error estimate included),
        ``"NAME: estimated relative L2"`` and ``"NAME: off-grid residual"`` of each problem.
    """
    found: dict[str, float] = {}
    for name, problem in _INTERVAL.items():
        _measured(found, name, problem())
    return found


def gp_in_several_dimensions() -> dict[str, float]:
    """Problems in the plane and in space, with the points along each axis that their names say.

    Returns
    -------
    dict
        As :func:`gp_on_an_interval`.
    """
    found: dict[str, float] = {}
    wide = 2 * np.pi
    cases: dict[str, tuple[Problem, int]] = {
        "sin 100x sin 100y, 300²": (load_problem("multiscale/plane_waves", length=wide), 300),
        "sum of beats, 200²": (load_problem("multiscale/sum_of_products"), 200),
        "advection with four sides, 200²": (load_problem("advection/four_sides"), 200),
        "Allen–Cahn, 200²": (_allen_cahn_2d(), 200),
        "sum of beats, 1000²": (load_problem("multiscale/sum_of_products"), 1000),
        "waves in space, 200³": (_waves_3d(), 200),
    }
    for name, (problem, points) in cases.items():
        _measured(found, name, problem, points_per_axis=points)
    return found


def gp_fixed_grid() -> dict[str, float]:
    """Thirty frequencies on a grid, none of them looked for.

    Returns
    -------
    dict
        As :func:`gp_on_an_interval`.
    """
    found: dict[str, float] = {}
    for name in ("sin 100x", "sin 6x cos 100x", "sin 500x − 2(x − ½)²", "three scales, cosine", "chirp sin 80x²"):
        _measured(found, name, _INTERVAL[name](), frequencies="grid")
    return found


def gp_variable_coefficient() -> dict[str, float]:
    """−div((1 + ½ sin 4πx cos 4πy) ∇u) = f with u = sin 30x cos 20y + xy.

    Returns
    -------
    dict
        As :func:`gp_on_an_interval`.
    """
    found: dict[str, float] = {}
    problem = _poisson(
        lambda x: sin(30 * x[0]) * cos(20 * x[1]) + x[0] * x[1],
        dim=2,
        flux=lambda u, x: (1 + 0.5 * sin(4 * pi * x[0]) * cos(4 * pi * x[1])) * grad(u),
    )
    _measured(found, "variable coefficient", problem)
    return found


def gp_random_loads() -> dict[str, float]:
    """Twenty solutions drawn at random: seven band-limited, seven whose amplitudes decay, six with a jump in the slope.

    The load of the last kind jumps in its slope, so that the fourth derivative of the solution does.

    Returns
    -------
    dict
        ``"median relative L2"``, ``"largest relative L2"``, ``"above 1e-3 and called converged"`` (how many)
        and, for the largest ratio of error to estimate among errors above 1e-12, ``"error over estimate"``.
    """
    generator = np.random.default_rng(6)
    errors, silent, ratio = [], 0, 0.0
    for case in range(20):
        solution = solve(_poisson(_drawn(generator, case % 3)), "gp")
        error = solution.error().relative_l2
        errors.append(error)
        silent += error > 1e-3 and solution.status == "converged"
        if error > 1e-12 and solution.error_estimate is not None:
            ratio = max(ratio, error / solution.error_estimate.relative_l2)
    return {
        "median relative L2": float(np.median(errors)),
        "largest relative L2": max(errors),
        "above 1e-3 and called converged": float(silent),
        "error over estimate": ratio,
    }


def _drawn(generator: np.random.Generator, kind: int) -> Callable[[Any], Any]:
    count = 8 if kind < 2 else 3
    frequencies = generator.uniform(0.0, 60.0, count)
    phases = generator.uniform(0.0, 2 * np.pi, count)
    sizes = generator.standard_normal(count)
    if kind == 1:
        sizes = sizes / (1 + frequencies) ** 2
    place, strength = float(generator.uniform(0.2, 0.8)), float(generator.standard_normal())

    def exact(x: Any) -> Any:
        total = sum(
            float(a) * sin(2 * pi * float(f) * x[0] + float(p))
            for a, f, p in zip(sizes, frequencies, phases, strict=True)
        )
        if kind == 2:
            total = total + strength * conditional(ufl.gt(x[0], place), (x[0] - place) ** 3, 0.0)
        return total

    return exact


def gp_coverage() -> dict[str, float]:
    """How often the 95 % band covers functions drawn from the prior, from noisy loads on a coarse grid.

    −u″ = f on (0, 1) with u = 0 at both ends; 200 functions, looked at between the points of the grid.

    Returns
    -------
    dict
        ``"coverage"`` (a share) and ``"width over error"``, the root mean square of band over that of the errors.
    """
    problem = Problem(
        domain=Box(0.0, 1.0), flux=lambda u: grad(u), load=0.0, conditions=[Dirichlet(0.0, on="boundary")]
    )
    axis = Axis.of(Mixture(0.0, 1.0, (0.0, 4.0, 9.0), 8, 4.0), 48)
    system = System(problem, [axis], rows_along(problem))
    slopes = system.linearised(system.lifted())[1]
    noise = 200.0
    known = DensePosterior(system, slopes, noise)
    generator = np.random.default_rng(0)
    x = np.linspace(0.005, 0.995, 199)
    values = axis.at(x, 0) @ system.free[0]
    deviation = np.sqrt(known.variance([x]))
    covered, errors = [], []
    for _ in range(200):
        free = known.draw(generator)
        load = sum(s * system.values(system.expanded(free), k.axes) for k, s in slopes.items())
        mean = known.mean(load + noise * generator.standard_normal(load.shape))
        error = values @ (mean - free)
        covered.append(np.mean(np.abs(error) <= 1.96 * deviation))
        errors.append(np.mean(error**2))
    return {
        "coverage": float(np.mean(covered)),
        "width over error": float(np.sqrt(np.mean(deviation**2) / np.mean(errors))),
    }


def gp_indicator() -> dict[str, float]:
    """The error that the solver measures over the true one, neither of which it is told.

    Returns
    -------
    dict
        ``"NAME: estimate over error"``.
    """
    cases: dict[str, tuple[Problem, int | None]] = {
        "sin 100x": (_INTERVAL["sin 100x"](), None),
        "sin 500x − 2(x − ½)²": (_INTERVAL["sin 500x − 2(x − ½)²"](), None),
        "three scales": (_INTERVAL["three scales, cosine"](), None),
        "sum of beats, 200²": (load_problem("multiscale/sum_of_products"), 200),
        "Allen–Cahn, 200²": (_allen_cahn_2d(), 200),
    }
    found = {}
    for name, (problem, points) in cases.items():
        solution = solve(problem, "gp", points_per_axis=points)
        assert solution.error_estimate is not None
        found[f"{name}: estimate over error"] = solution.error_estimate.relative_l2 / solution.error().relative_l2
    return found


# Solver → its option for the size, and sizes for an interval and a square.
_SIZES: dict[str, tuple[str, tuple[int, ...], tuple[int, ...]]] = {
    "gp": ("points_per_axis", (220, 260, 300, 400), (60, 80, 120, 200)),
    "chebyshev": ("nodes", (240, 280, 320, 360, 400, 480), (64, 80, 96, 112, 128, 160, 200)),
    "fast_poisson": ("cells", (2**14, 2**16, 2**17, 2**18, 2**19), (256, 512, 1024)),
}


def gp_beside_others(published_seconds: float = 250.0) -> dict[str, float]:
    """CPU seconds to an error of 1e-8 beside collocation and transforms; and what the published estimator has by then.

    Each solver with the size that it chooses by itself, its measured error included, and with the smallest of some
    sizes that is good enough, without one. The published estimator gets 400 points and its authors' top frequency.

    Parameters
    ----------
    published_seconds : float
        CPU seconds after which the published estimator stops.

    Returns
    -------
    dict
        ``"PROBLEM, SOLVER by itself: CPU seconds"`` and ``"…: error"``, and the same ``at a given size``, the largest
        where none is good enough; ``"published: CPU seconds"``, ``"published: error"``.
    """
    problems = {"sin 100x": load_problem("multiscale/sine"), "sum of beats": load_problem("multiscale/sum_of_products")}
    found: dict[str, float] = {}
    for name, problem in problems.items():
        for solver, (size, *sizes) in _SIZES.items():
            if solver != "fast_poisson":
                found |= _timed(f"{name}, {solver} by itself", problem, solver)[0]
            own = {} if solver == "fast_poisson" else {"measure_error": False}
            for n in sizes[problem.dim - 1]:
                measured, error = _timed(f"{name}, {solver} at a given size", problem, solver, **{size: n}, **own)
                if error <= 1e-8:
                    break
            found |= measured
    options = {
        "estimator": "published",
        "points_per_axis": 400,
        "top_frequency": 20.0,
        "cpu_seconds": published_seconds,
    }
    return found | _timed("published", problems["sin 100x"], "gp", **options)[0]


def _timed(name: str, problem: Problem, solver: str, **options: Any) -> tuple[dict[str, float], float]:
    """CPU seconds and relative L2 error, with names and without."""
    start = time.process_time()
    solution = solve(problem, solver, throw=False, **options)
    seconds, error = time.process_time() - start, solution.error().relative_l2
    return {f"{name}: CPU seconds": seconds, f"{name}: error": error}, error


def gp_student_t() -> dict[str, float]:
    """The fast estimator with sections of a Student's t mixture's kernel, ν = 5/2, at given sizes.

    Returns
    -------
    dict
        As :func:`gp_on_an_interval`.
    """
    found: dict[str, float] = {}
    cases: dict[str, tuple[Problem, int]] = {
        "sin 100x, 400": (_INTERVAL["sin 100x"](), 400),
        "sin 6x cos 100x, 400": (_INTERVAL["sin 6x cos 100x"](), 400),
        "Allen–Cahn sin 100x, 800": (_INTERVAL["Allen–Cahn sin 100x"](), 800),
        "sum of beats, 200²": (load_problem("multiscale/sum_of_products"), 200),
    }
    for name, (problem, points) in cases.items():
        _measured(found, name, problem, prior="student_t", points_per_axis=points)
    return found


def gp_sparse_weights() -> dict[str, float]:
    """Weights of thirty frequencies on a grid, learned: those of the note's grid up to 20 cycles, and a plane.

    Returns
    -------
    dict
        As :func:`gp_on_an_interval`, and ``"NAME: weights that stay"`` along the first axis.
    """
    found: dict[str, float] = {}
    cases: dict[str, tuple[Problem, dict[str, Any]]] = {
        "sin 6x cos 100x, 400": (_INTERVAL["sin 6x cos 100x"](), {"points_per_axis": 400, "top_frequency": 20.0}),
        "sin 100x, 400": (_INTERVAL["sin 100x"](), {"points_per_axis": 400, "top_frequency": 20.0}),
        "sum of beats, 200²": (load_problem("multiscale/sum_of_products"), {"points_per_axis": 200}),
    }
    for name, (problem, options) in cases.items():
        solution = _measured(found, name, problem, prior="grid_mixture", **options)
        found[f"{name}: weights that stay"] = float(len(solution.details["frequencies"][0]))
    return found


def gp_variable_projection() -> dict[str, float]:
    """The wave sin 100x on 400 points by variable projection, and Adam on the same density after as many evaluations.

    Returns
    -------
    dict
        ``"relative L2"``, ``"evaluations"``, ``"CPU seconds"``, ``"frequency"`` (of the largest weight, over the true
        one), ``"Adam: relative L2"``, ``"Adam: CPU seconds"``.
    """
    problem, options = _INTERVAL["sin 100x"](), {"points_per_axis": 400, "top_frequency": 20.0}
    start = time.process_time()
    solution = solve(problem, "gp", estimator="variable_projection", throw=False, **options)
    seconds, evaluations = time.process_time() - start, int(solution.details["evaluations"])
    adam, error = _timed("Adam", problem, "gp", estimator="published", steps=evaluations, **options)
    return {
        "relative L2": solution.error().relative_l2,
        "evaluations": float(evaluations),
        "CPU seconds": seconds,
        "frequency": abs(solution.details["spectrum"][0]["frequencies"][0]) / (100 / (2 * np.pi)),
        "Adam: relative L2": error,
        "Adam: CPU seconds": adam["Adam: CPU seconds"],
    }
