"""Conjugate gradients, plain and flexible, with one stopping rule; what a solver is, and solving with one by its name.

The rule is ‖b − A x‖ ≤ tolerance ‖b‖ with the residual computed from x in float64, whatever the solver.
"""

from __future__ import annotations

import importlib
import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from sciml.errors import DivergenceError, OptionError, ParameterError, unknown_name
from sciml.linear.systems import LinearSystem

__all__ = [
    "SOLVERS",
    "Iteration",
    "LinearResult",
    "LinearSolver",
    "Prepared",
    "flexible_cg",
    "linear_solver",
    "pcg",
    "solve",
]

MOST_ITERATIONS = 10_000
_MOST_KEPT = 32
_STALLED = 3
"""Attempts from the true residual that do not halve it, after which rounding is the limit."""

SOLVERS = {
    "cg": "sciml.linear.baselines:ConjugateGradients",
    "icc": "sciml.linear.baselines:IncompleteCholesky",
    "gamg": "sciml.linear.baselines:Gamg",
    "pyamg_sa": "sciml.linear.baselines:SmoothedAggregation",
    "pyamg_rs": "sciml.linear.baselines:RugeStueben",
    "gmg": "sciml.linear.baselines:GeometricMultigrid",
    "dst": "sciml.linear.baselines:SineTransform",
    "dcdm": "sciml.linear.dcdm:DeepConjugateDirections",
    "learned_mg": "sciml.linear.learned:LearnedMultigrid",
}
"""Name → module and class."""


@dataclass
class Iteration:
    """What a loop found.

    Attributes
    ----------
    x : (n,) array
    residual : float
        ‖b − A x‖/‖b‖ computed from x.
    iterations : int
        Applications of the preconditioner.
    converged : bool
    history : list of float
        Relative residuals, the first before any iteration.
    status : str
        What there is to say beyond that, empty or a sentence.
    """

    x: np.ndarray
    residual: float
    iterations: int
    converged: bool
    history: list[float] = field(default_factory=list)
    status: str = ""


class Prepared(ABC):
    """A solver that is set up for one system: a preconditioner, and the loop around it.

    Attributes
    ----------
    symmetric : bool
        Whether r ↦ z is a symmetric positive definite matrix, so that plain conjugate gradients are legal.
    flexible : bool
        Whether it changes from one application to the next, or is not linear.
    directions : int
        Against how many the flexible loop makes the next one conjugate.
    """

    symmetric: bool = True
    flexible: bool = False
    directions: int = 2

    @abstractmethod
    def apply(self, r: np.ndarray) -> np.ndarray:
        """Z ≈ A⁻¹ r in float64 for r ``(n,)``; r stays as it is, and z is the caller's."""

    def apply_to(self, r: np.ndarray, z: np.ndarray) -> None:
        """The same into an array of the caller; r may be read-only."""
        z[:] = self.apply(r)

    def iterate(self, system: LinearSystem, b: np.ndarray, tolerance: float, max_iterations: int) -> Iteration:
        """Solve A x = b from x = 0."""
        if self.symmetric and not self.flexible:
            return pcg(system, b, self.apply, tolerance=tolerance, max_iterations=max_iterations)
        return flexible_cg(
            system, b, self.apply, directions=self.directions, tolerance=tolerance, max_iterations=max_iterations
        )

    def destroy(self) -> None:  # noqa: B027  most have nothing of the kind
        """Free what Python does not."""


class LinearSolver(ABC):
    """Makes a preconditioner of a system. Options are keywords of its constructor.

    Attributes
    ----------
    name, title : str
    """

    name: str = ""
    title: str = ""

    @abstractmethod
    def setup(self, system: LinearSystem) -> Prepared:
        """Everything that depends on the matrix alone.

        Raises
        ------
        UnsupportedError
            The system has not what the solver needs; one sentence.
        """


@dataclass
class LinearResult:
    """What a solver made of a system.

    Attributes
    ----------
    solver : str
    x : (n,) array
    iterations : int
    setup_seconds, solve_seconds : float
        Of the clock; the assembly of A is in neither.
    setup_cpu_seconds, solve_cpu_seconds : float
        Of this process.
    residual : float
        ‖b − A x‖/‖b‖ in float64, computed from x, with b after the projection off the null space.
    converged : bool
    history : list of float
        Relative residuals, the first 1.
    status : str
        One sentence.
    """

    solver: str
    x: np.ndarray
    iterations: int
    setup_seconds: float
    solve_seconds: float
    setup_cpu_seconds: float
    solve_cpu_seconds: float
    residual: float
    converged: bool
    history: list[float]
    status: str


def linear_solver(name: str, **options: Any) -> LinearSolver:
    """A solver by its name.

    Raises
    ------
    UnknownNameError
        There is none of the name.
    OptionError
        It has no such option, or not this value.
    """
    if name not in SOLVERS:
        raise unknown_name("linear solver", name, SOLVERS)
    module, _, attribute = SOLVERS[name].partition(":")
    factory = getattr(importlib.import_module(module), attribute)
    known = inspect.signature(factory, eval_str=True).parameters
    for key in options:
        if key not in known:
            takes = f"it has {', '.join(known)}" if known else "it has none"
            raise OptionError(f"The linear solver {name} has no option {key!r}; {takes}.")
    return factory(**{key: _checked(name, key, value, known[key].annotation) for key, value in options.items()})


def _checked(solver: str, option: str, value: Any, annotation: Any) -> Any:
    """An option's value as its annotation has it; texts of numbers are read."""
    try:
        config = ConfigDict(arbitrary_types_allowed=True)
        return TypeAdapter(annotation, config=config).validate_python(value)
    except ValidationError as error:
        what = error.errors()[0]["msg"]
        raise OptionError(f"{option} = {value!r} of the linear solver {solver} is not possible: {what}.") from error


def solve(
    system: LinearSystem,
    solver: str | LinearSolver = "cg",
    *,
    tolerance: float = 1e-6,
    max_iterations: int | None = None,
    **options: Any,
) -> LinearResult:
    """Solve a system from x = 0.

    Parameters
    ----------
    system : LinearSystem
    solver : str or LinearSolver
        A name of :data:`SOLVERS`, with its options, or one that is made.
    tolerance : float
        For ‖b − A x‖/‖b‖.
    max_iterations : int, optional
        10,000 by default.

    Raises
    ------
    ParameterError, OptionError, UnknownNameError
        What was given is not possible.
    UnsupportedError
        The solver cannot do this system.
    DivergenceError
        The matrix or the preconditioner turned out not to be positive definite.
    """
    if not 0 < tolerance < 1:
        raise ParameterError(f"tolerance = {tolerance} is not possible; it lies between 0 and 1, as 1e-6 does.")
    if max_iterations is not None and max_iterations < 1:
        raise ParameterError(f"max_iterations = {max_iterations} is not possible; at least 1 is needed.")
    if isinstance(solver, str):
        solver = linear_solver(solver, **options)
    elif options:
        raise OptionError(f"{next(iter(options))!r} was given with a solver that is made; give it when making it.")
    # Solvers begin with the assembled matrix.
    matrix, b = system.matrix, system.project(system.rhs)
    size = float(np.linalg.norm(b))
    start, start_cpu = time.perf_counter(), time.process_time()
    prepared = solver.setup(system)
    ready, ready_cpu = time.perf_counter(), time.process_time()
    try:
        if size:
            found = prepared.iterate(system, b / size, tolerance, max_iterations or MOST_ITERATIONS)
        else:
            found = Iteration(np.zeros_like(b), 0.0, 0, True, [0.0])
    finally:
        prepared.destroy()
    x = system.project(found.x) * size
    end, end_cpu = time.perf_counter(), time.process_time()
    residual = float(np.linalg.norm(b - matrix @ x)) / size if size else 0.0
    # The projection is exact up to rounding, and so is the verdict of the loop.
    converged = found.converged and residual <= tolerance * (1 + 1e-8)
    return LinearResult(
        solver=solver.name,
        x=x,
        iterations=found.iterations,
        setup_seconds=ready - start,
        solve_seconds=end - ready,
        setup_cpu_seconds=ready_cpu - start_cpu,
        solve_cpu_seconds=end_cpu - ready_cpu,
        residual=residual,
        converged=converged,
        history=found.history,
        status=" ".join(filter(None, [_verdict(found, tolerance), found.status])),
    )


def _verdict(found: Iteration, tolerance: float) -> str:
    if found.converged:
        return f"The relative residual is within {tolerance:g}."
    return (
        f"The relative residual is {found.residual:.2g} after {found.iterations} iterations, not within {tolerance:g}."
    )


# -- loops ---------------------------------------------------------------------------------------------------


def pcg(
    system: LinearSystem,
    b: np.ndarray,
    apply: Callable[[np.ndarray], np.ndarray],
    *,
    tolerance: float,
    max_iterations: int,
    start: np.ndarray | None = None,
) -> Iteration:
    """Conjugate gradients with a symmetric positive definite preconditioner.

    The residual of the recursion is replaced by the true one where it is within the tolerance, and the iteration goes
    on from there if that is not.

    Parameters
    ----------
    system : LinearSystem
    b : (n,) array
        Of norm 1, off the null space.
    apply : callable
        z from r.
    tolerance : float
    max_iterations : int
    start : (n,) array, optional
        0 by default.

    Raises
    ------
    DivergenceError
        p·A p or r·z is not positive.
    """
    matrix = system.matrix
    x = np.zeros_like(b) if start is None else start.copy()
    r = b.copy() if start is None else b - matrix @ x
    found = Iteration(x, float(np.linalg.norm(r)), 0, False)
    found.history.append(found.residual)
    found.converged = found.residual <= tolerance
    p, rz, attempts, best = np.zeros_like(b), 0.0, 0, found.residual
    while not found.converged and found.iterations < max_iterations:
        z = system.project(apply(r))
        rz, previous = float(r @ z), rz
        p = z + (rz / previous) * p if previous else z
        Ap = matrix @ p
        curvature = float(p @ Ap)
        _check_positive(rz, curvature, found)
        x += (rz / curvature) * p
        r -= (rz / curvature) * Ap
        found.iterations += 1
        found.history.append(float(np.linalg.norm(r)))
        if found.history[-1] > tolerance and found.iterations < max_iterations:
            continue
        r = b - matrix @ x
        found.residual = float(np.linalg.norm(r))
        found.converged = found.residual <= tolerance
        attempts = attempts + 1 if found.residual > 0.5 * best else 0
        best, rz = min(best, found.residual), 0.0
        if attempts >= _STALLED:
            found.status = "Rounding keeps the residual from getting smaller."
            break
    return found


def flexible_cg(
    system: LinearSystem,
    b: np.ndarray,
    apply: Callable[[np.ndarray], np.ndarray],
    *,
    tolerance: float,
    max_iterations: int,
    directions: int | Callable[[list[float]], int] = 2,
    leave: Callable[[list[float]], bool] = lambda history: False,
) -> Iteration:
    """Conjugate directions with a preconditioner that may be anything.

    ::

        p = q − Σ_j p_j (q·A p_j)/(p_j·A p_j)  over the last directions,   q = apply(r)
        x ← x + p (p·r)/(p·A p),   r = b − A x

    The residual is computed from x in each iteration. Directions that make no progress, p·r = 0, are replaced by the
    residual itself.

    Parameters
    ----------
    system, b, apply, tolerance, max_iterations
        As in :func:`pcg`.
    directions : int or callable
        k ≥ 0 of the sum; or what gives it from the relative residuals, at most 32.
    leave : callable
        Asked with the relative residuals after each iteration whether to stop early.

    Raises
    ------
    DivergenceError
        p·A p is not positive.

    Notes
    -----
    Y. Notay, Flexible conjugate gradients, SIAM J. Sci. Comput. 22 (2000) 1444.
    """
    matrix = system.matrix
    most = _MOST_KEPT if callable(directions) else max(1, directions)
    x, r = np.zeros_like(b), b.copy()
    found = Iteration(x, float(np.linalg.norm(r)), 0, False)
    found.history.append(found.residual)
    found.converged = found.residual <= tolerance
    kept: list[tuple[np.ndarray, np.ndarray, float]] = []
    while not found.converged and found.iterations < max_iterations:
        q = system.project(apply(r))
        k = directions(found.history) if callable(directions) else directions
        last = kept[-k:] if k else []
        p, Ap, curvature = _conjugate(q, last, matrix)
        if not abs(p @ r) > 1e-14 * np.linalg.norm(p) * found.residual:
            p, Ap, curvature = _conjugate(r, last, matrix)
        _check_positive(1.0, curvature, found)
        x += (float(p @ r) / curvature) * p
        r = b - matrix @ x
        kept = [*kept, (p, Ap, curvature)][-most:]
        found.residual = float(np.linalg.norm(r))
        found.iterations += 1
        found.history.append(found.residual)
        found.converged = found.residual <= tolerance
        if not found.converged and leave(found.history):
            break
    return found


def _conjugate(
    q: np.ndarray, kept: list[tuple[np.ndarray, np.ndarray, float]], matrix: Any
) -> tuple[np.ndarray, np.ndarray, float]:
    """Q made conjugate to the directions that are kept, A times it, and its curvature."""
    p = q.copy()
    for direction, image, curvature in kept:
        p -= (float(q @ image) / curvature) * direction
    Ap = matrix @ p
    return p, Ap, float(p @ Ap)


def _check_positive(rz: float, curvature: float, found: Iteration) -> None:
    if rz > 0 and curvature > 0:
        return
    if not (np.isfinite(rz) and np.isfinite(curvature)):
        what = "a value is not finite"
    elif curvature <= 0:
        what = f"p·A p = {curvature:.3g}, so the matrix is indefinite or singular"
    else:
        what = f"r·z = {rz:.3g}, so the preconditioner is not positive definite"
    raise DivergenceError(
        f"Conjugate gradients broke down in iteration {found.iterations + 1}: {what}; check the matrix."
    )
